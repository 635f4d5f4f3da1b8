"""V: receipts and what an auditor checks."""

from ledger.rulebook.rule import Rule

AGAIN = "Ask the node, or another member, for the receipt again; do not rely on this one."
AGAIN_ZH = "请向节点或其他成员重新索取回执；请勿依赖此回执。"

DOSSIER = "Ask for the dossier again, from another member if need be; do not rely on this one."
DOSSIER_ZH = "请重新索取卷宗，必要时向其他成员索取；请勿依赖此卷宗。"

RECEIPTS: dict[str, Rule] = {
    "V1": Rule(
        "A seal in the receipt is not one of this chain and epoch.",
        "回执中的封块不属于本链或本纪元。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V2": Rule(
        "The checkpoint does not end with the seal that the receipt names as its last.",
        "检查点并非以回执所称的末尾封块结束。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V3": Rule(
        "The entry does not lie in the block of the seal that the receipt names.",
        "条目不在回执所称封块的区块内。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V4": Rule(
        "The findings are not those that the block's seal commits to.",
        "发现项与区块封块的承诺不符。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V5": Rule(
        "The receipt does not prove that the key {kid} was the organisation's and in force.",
        "回执未能证明密钥 {kid} 属于该机构且当时有效。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V6": Rule(
        "The signature of {org} on the entry does not verify.",
        "{org} 在条目上的签名验证失败。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V7": Rule(
        "The value given for {key} is not the one that the state holds.",
        "所给的 {key} 的值与状态不符。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V8": Rule(
        "The list about {subject} is not complete, or not in order.",
        "关于 {subject} 的列表不完整或次序有误。",
        "Ask for the list again, from another member if need be: something is missing or was added.",
        "请重新索取列表，必要时向其他成员索取：有缺失或被添加的内容。",
    ),
    "V9": Rule(
        "The two checkpoints are of different logs.",
        "两个检查点属于不同的日志。",
        "Compare checkpoints of one origin.",
        "请比较同一来源的检查点。",
    ),
    "V10": Rule(
        "The file {file} is missing.",
        "缺少文件 {file}。",
        "Copy the chain again; a copy is complete or worth nothing.",
        "请重新复制；副本须完整。",
    ),
    "V11": Rule(
        "The file {file} is too long, too short, or holds another number of items than its name says.",
        "文件 {file} 过长、过短，或内容数量与名称不符。",
        "Copy the chain again.",
        "请重新复制。",
    ),
    "V12": Rule(
        "The genesis of this copy is not the one that you trust.",
        "该副本的创世文件不是您所信任的。",
        "Use the genesis file or the pin that you were given when the chain was founded.",
        "请使用建链时获得的创世文件或固定值。",
    ),
    "V13": Rule(
        "The policy file is not the one that follows from the genesis.",
        "策略文件与创世文件推导的不符。",
        "Do not give this policy file to anybody; copy the chain again.",
        "请勿向他人提供该策略文件；请重新复制。",
    ),
    "V14": Rule(
        "The tile {file} is not the one that follows from the entries.",
        "瓦片 {file} 与条目推导的不符。",
        "Compare the copy with another member's and report the difference.",
        "请与其他成员的副本比较并报告差异。",
    ),
    "V15": Rule(
        "The entries do not lead to the root that the checkpoint signs.",
        "条目推导的根与检查点签署的根不符。",
        "Entries were changed, added or removed. Compare with another member's copy and report it.",
        "条目被更改、增加或删除。请与其他成员的副本比较并报告。",
    ),
    "V16": Rule(
        "The file {file} does not belong into a copy of this size.",
        "文件 {file} 不属于该大小的副本。",
        "Remove it, or ask where it came from.",
        "请移除，或查明其来源。",
    ),
    "V17": Rule(
        "The blocks end at height {height}, and not where the checkpoint does.",
        "区块止于高度 {height}，与检查点不一致。",
        "Compare the copy with another member's and report the difference.",
        "请与其他成员的副本比较并报告差异。",
    ),
    "V18": Rule(
        "The last {count} entries have no seal after them.",
        "最后 {count} 个条目之后没有封块。",
        "Compare the copy with another member's and report the difference.",
        "请与其他成员的副本比较并报告差异。",
    ),
    "V19": Rule(
        "The finality certificate at height {height} is for another block.",
        "高度 {height} 的终局证书针对另一区块。",
        "Keep both blocks and their certificates: together they are evidence.",
        "请保留两个区块及其证书，二者合为证据。",
    ),
    "V20": Rule(
        "Blocks up to {height} are here, but only those up to {final} are proven final.",
        "区块至 {height}，但仅至 {final} 被证明为终局。",
        "Copy the chain again; treat later blocks as not final.",
        "请重新复制；之后的区块视为未终局。",
    ),
    "V21": Rule(
        "At {index} this copy holds another entry than the receipt proves.",
        "在 {index} 处，该副本的条目与回执所证明的不同。",
        "Keep the receipt and the copy: together they are evidence of a rewritten history.",
        "请保留回执与副本，二者合为历史被改写的证据。",
    ),
    "V22": Rule(
        "The older head has {old} entries, this copy only {new}.",
        "较早的树头有 {old} 个条目，该副本只有 {new} 个。",
        "The history was cut, or this copy is the older one. Ask for a newer copy.",
        "历史被截断，或该副本更旧。请索取更新的副本。",
    ),
    "V23": Rule(
        "Entry {index} is not the one that the older copy holds.",
        "条目 {index} 与较早副本中的不同。",
        "Keep both copies: together they are evidence of a rewritten history.",
        "请保留两个副本，二者合为历史被改写的证据。",
    ),
    "V24": Rule(
        "This is not a folder with a copy of a chain.",
        "这不是链副本的文件夹。",
        "Name a folder that `alliance export` made.",
        "请指定由 `alliance export` 生成的文件夹。",
    ),
    "V25": Rule(
        "The audit missed {count} of the damages.",
        "审计漏检了 {count} 种破坏。",
        "Do not rely on this version of the audit; report it.",
        "请勿依赖此版本的审计；请报告。",
    ),
    "V26": Rule(
        "The copy to be damaged is not sound itself.",
        "待破坏的副本本身不完好。",
        "Audit it first with `alliance audit`.",
        "请先用 `alliance audit` 审计。",
    ),
    "V27": Rule(
        "{file} is not a plain file that can be read.",
        "{file} 不是可读取的普通文件。",
        "Copy the chain again as plain files: no links, pipes, folders or devices in their place.",
        "请以普通文件重新复制链：不得以链接、管道、文件夹或设备代替。",
    ),
    "V28": Rule(
        "The epochs up to {epoch} are not proven: each must end in a final block that names the next configuration.",
        "第 {epoch} 纪元及之前的各纪元未获证明：每个纪元须以写明下一份配置的终局区块结束。",
        AGAIN,
        AGAIN_ZH,
    ),
    "V29": Rule(
        "The file {file} does not name the epochs that follow from the entries.",
        "文件 {file} 所列纪元与条目推导的不符。",
        "Compare the copy with another member's and report the difference.",
        "请与其他成员的副本比较并报告差异。",
    ),
    "V30": Rule(
        "The copies of {count} members are not the same.",
        "{count} 个成员的副本不一致。",
        "Compare their checkpoints and blocks; `alliance audit --since` names the first difference.",
        "请比较其检查点与区块；`alliance audit --since` 会指出首处差异。",
    ),
    "V31": Rule(
        "The two copies hold two histories that part at block {height}; {count} member(s) signed both.",
        "两份副本含有自区块 {height} 起分叉的两份历史；{count} 个成员同时签署了两者。",
        "Keep both copies: they are the proof. The alliance decides which history stands (OPERATING.md, procedure 6).",
        "请保存两份副本：它们就是证据。由联盟决定以哪份历史为准（OPERATING.zh-CN.md 第 6 项）。",
    ),
    "V32": Rule(
        "This chain does not continue the given one, which ends at block {height}.",
        "本链并非接续所给的链（其止于区块 {height}）。",
        "Give the last copy of the chain that its genesis names; one that is longer shows blocks that were left out.",
        "请给出创世文件所指那条链的最后副本；若副本更长，则说明有区块被遗漏。",
    ),
    "V33": Rule(
        "Only {accepted} of the {members} organisations of the old chain accepted the new one, with officers' keys that it knows.",
        "旧链的 {members} 个机构中，仅 {accepted} 个以旧链登记的授权人员密钥接受了新链。",
        "A majority must found it with the officers' keys of the old chain: `alliance create part --keep-keys-of HOME`.",
        "须由过半数机构以旧链的授权人员密钥共同建链：`alliance create part --keep-keys-of HOME`。",
    ),
    "V34": Rule(
        "The copies are of two chains: the genesis of one is {first}, that of the other {second}.",
        "两份副本属于不同的链：创世固定值分别为 {first} 与 {second}。",
        "Give two copies of one chain, and its pin with --pin.",
        "请给出同一条链的两份副本，并以 --pin 给出其固定值。",
    ),
    "V35": Rule(
        "The file is not a dossier: it is not a zip of the one form that a dossier has.",
        "该文件不是证据卷宗：不是卷宗规定的唯一 zip 格式。",
        "Ask for the file itself again: a dossier that was unpacked and zipped anew, or changed, is none.",
        "请重新索取原文件：解压后重新打包或被改动的文件不再是卷宗。",
    ),
    "V36": Rule(
        "The dossier lacks the file {file}.",
        "卷宗缺少文件 {file}。",
        DOSSIER,
        DOSSIER_ZH,
    ),
    "V37": Rule(
        "{file} does not belong into this dossier.",
        "{file} 不属于该卷宗。",
        DOSSIER,
        DOSSIER_ZH,
    ),
    "V38": Rule(
        "The file {file} is not the one that follows from the proofs in the dossier.",
        "文件 {file} 与卷宗中的证明所推导的不符。",
        "It was changed, or another version of this software made it: compare the versions, and ask for the dossier again.",
        "该文件被更改，或由本软件的其他版本生成：请核对版本，并重新索取卷宗。",
    ),
    "V39": Rule(
        "The proofs in the dossier do not stand under one and the same checkpoint.",
        "卷宗中的证明并非处于同一检查点之下。",
        DOSSIER,
        DOSSIER_ZH,
    ),
    "V40": Rule(
        "The dossier lacks {what}, which the records in it rest on, or which is about its subject.",
        "卷宗缺少 {what}：它关于卷宗的主体，或为其中记录所依据。",
        "Something was left out. Ask for the dossier again, from another member if need be.",
        "有内容被遗漏。请重新索取卷宗，必要时向其他成员索取。",
    ),
    "V41": Rule(
        "About {subject} there is more than a dossier holds (at least {count} records, with what they rest on).",
        "关于 {subject} 的内容超出卷宗的容量（连同所依据的至少 {count} 条记录）。",
        "Take a narrower subject, like one version or one permit; or copy the chain with `alliance export`.",
        "请选择更窄的主体，例如一个版本或一项许可；或用 `alliance export` 复制整条链。",
    ),
    "V42": Rule(
        "The chain grew {count} times while the dossier was being collected.",
        "收集卷宗期间，链增长了 {count} 次。",
        "Try again when less is being recorded: all proofs of a dossier stand under one head.",
        "请在记录较少时重试：卷宗的全部证明须处于同一链头之下。",
    ),
    "V43": Rule(
        "A dossier brings its own genesis: it cannot say whether that is the chain you trust.",
        "卷宗自带创世文件，无法自证其为您所信任的链。",
        "Give the genesis file that you have from elsewhere with --genesis, or its pin with --pin.",
        "请以 --genesis 给出另行取得的创世文件，或以 --pin 给出其固定值。",
    ),
}
