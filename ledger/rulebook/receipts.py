"""V: receipts and what an auditor checks."""

from ledger.rulebook.rule import Rule

AGAIN = "Ask the node, or another member, for the receipt again; do not rely on this one."
AGAIN_ZH = "请向节点或其他成员重新索取回执；请勿依赖此回执。"

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
}
