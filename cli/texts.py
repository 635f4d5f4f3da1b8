"""Every sentence that the command line prints, in English and Chinese; rules have their own in
`ledger.rulebook`.
"""

from typing import Final

from cli.access_texts import ACCESS_TEXTS
from cli.certificate_texts import RIGHTS_TEXTS, Text
from cli.dossier_texts import DOSSIER_TEXTS
from cli.question_texts import QUESTION_TEXTS
from cli.story_texts import STORY_TEXTS

FRAME: dict[str, Text] = {
    "error": Text("Error {rule}: {sentence}", "错误 {rule}：{sentence}"),
    "next": Text("What to do: {step}", "处理办法：{step}"),
    "clause": Text("Clause {number}: {text}", "条款 {number}：{text}"),
    "usage": Text("Usage: ", "用法："),
    "interrupted": Text(
        "Interrupted. What was acknowledged is recorded; run the same command again to go on.",
        "已中断。已确认的内容均已记录；重新运行同一命令即可继续。",
    ),
}

REGISTER: dict[str, Text] = {
    "registering-datasets": Text("Registering data", "正在登记数据"),
    "register-taken": Text(
        "Register of {period}: {organisations} organisations, {agreements} agreements, "
        "{releases} releases of {datasets} kinds of data.",
        "登记册 {period}：{organisations} 个机构，{agreements} 份协议，"
        "{releases} 条发布记录，{datasets} 类数据。",
    ),
    "register-mark": Text(
        "All of it is marked IMPORTED: the register says so, and nobody here witnessed it.",
        "全部标记为 IMPORTED：仅为登记册所述，本链无人见证。",
    ),
    "register-problems": Text(
        "Not taken over as it stands: {count}.", "未能原样导入：{count} 处。"
    ),
    "register-problem": Text(
        "  {sheet}, row {row}, {column}: {why}", "  {sheet} 第 {row} 行，{column}：{why}"
    ),
    "register-columns": Text(
        "Columns that stay in the register's file: {columns}.",
        "仅保留在登记册文件中的列：{columns}。",
    ),
    "register-empty": Text("the cell is empty; the row is left out", "单元格为空，该行未导入"),
    "register-form": Text(
        "the cell has not the form of such a name; the row is left out",
        "单元格格式不符，该行未导入",
    ),
    "register-long": Text("the name is too long; the row is left out", "名称过长，该行未导入"),
    "register-no-statement": Text(
        "the agreement has no statement of purpose, so its organisation has no kind; "
        "its rows are left out",
        "该协议没有用途说明，机构类型未知，其各行未导入",
    ),
    "register-space-removed": Text("space around it was removed", "已去除首尾空格"),
    "register-twice": Text("another row has this id; the row is left out", "行号重复，该行未导入"),
    "register-unknown": Text("an unknown word; the row is left out", "词语未知，该行未导入"),
}

OUTBOX: dict[str, Text] = {
    "outbox-counts": Text(
        "{entry} signed and waiting, {open} begun and not ended, {refused} refused.",
        "已签名待发送 {entry} 条，已开始未结束 {open} 条，被拒绝 {refused} 条。",
    ),
    "outbox-sent": Text("{id}: entry {index}, block {height}", "{id}：条目 {index}，区块 {height}"),
    "outbox-refused": Text("{id}: refused, {sentence}", "{id}：被拒绝，{sentence}"),
    "sending-outbox": Text("Sending", "正在发送"),
    "wrap-waiting": Text(
        "The run {id} is signed and waits: the node cannot take it now. `alliance outbox send` "
        "sends it.",
        "运行 {id} 已签名并在等待：节点目前无法接收。可用 `alliance outbox send` 发送。",
    ),
    "wrap-no-output": Text(
        "The output {file} is not there; the run is recorded without it.",
        "输出 {file} 不存在；该运行记录中不含此输出。",
    ),
}

AUTHORISATION: dict[str, Text] = {
    "match-allow": Text("The use terms allow this study.", "使用条款允许该研究。"),
    "match-human": Text(
        "The use terms leave it to people to decide.", "使用条款要求由人作出判断。"
    ),
    "match-deny": Text("The use terms deny this study.", "使用条款不允许该研究。"),
    "match-reason": Text("  because {code}: {meaning}", "  原因 {code}：{meaning}"),
    "match-obligation": Text("  owed: {code} {params}", "  义务：{code} {params}"),
    "request-status": Text(
        "Request {request} of the study {study}: {status}",
        "研究 {study} 的申请 {request}：{status}",
    ),
    "request-dataset": Text("  data: {dataset}", "  数据：{dataset}"),
    "request-opinion": Text(
        "  {stage}: {opinion}, by {reviewer} of {org}",
        "  {stage}：{opinion}（{org} 的 {reviewer}）",
    ),
    "permit-status": Text(
        "Permit {permit} of the study {study}: {status}", "研究 {study} 的许可 {permit}：{status}"
    ),
    "permit-window": Text("  from {first} to {last}", "  自 {first} 至 {last}"),
    "permit-person": Text("  person: {person}", "  人员：{person}"),
    "vocabulary-root": Text(
        "{root}: {rows} diseases in {parts} parts. A policy names it with --vocabulary.",
        "{root}：{rows} 种疾病，{parts} 部分。策略以 --vocabulary 引用。",
    ),
    "loading-vocabulary": Text("Loading parts", "正在载入各部分"),
    "vocabulary-loaded": Text(
        "{root}: {loaded} of {parts} parts were recorded now, the others before.",
        "{root}：共 {parts} 部分，本次记录 {loaded} 部分，其余先前已记录。",
    ),
}

KEYS: dict[str, Text] = {
    "ask-passphrase": Text("Passphrase of the key {name}", "密钥 {name} 的口令"),
    "ask-new-passphrase": Text("New passphrase", "新口令"),
    "ask-again": Text("The same again", "请再次输入"),
    "passphrases-differ": Text(
        "The two are not the same; nothing was kept. Begin again.",
        "两次输入不一致，均未保存。请重新输入。",
    ),
    "ask-source-passphrase": Text("Passphrase of the given file", "所给文件的口令"),
    "key-made": Text("The key {name} was made.", "已生成密钥 {name}。"),
    "key-imported": Text("The key {name} was taken in.", "已导入密钥 {name}。"),
    "key-line": Text(
        "{name}  {alg}  id {kid}  public {public}", "{name}  {alg}  标识 {kid}  公钥 {public}"
    ),
    "key-none": Text("There are no keys here.", "此处没有密钥。"),
    "key-unsafe": Text(
        "Warning: others may read the key {name}. Run `chmod go= ` on its file.",
        "警告：其他用户可读取密钥 {name}。请对其文件执行 `chmod go= `。",
    ),
    "key-known": Text(
        "The genesis names it: {org}, {capacity}, valid from {since}.",
        "创世文件已列出：{org}，{capacity}，自 {since} 起有效。",
    ),
    "key-unknown": Text(
        "The genesis does not name it; it may have been registered later.",
        "创世文件未列出；可能在之后登记。",
    ),
}

OPERATE: dict[str, Text] = {
    "init-made": Text(
        "Made a chain of one member, {org}, in {home}: keys, genesis, node.toml.",
        "已在 {home} 建立单成员链（{org}）：密钥、创世文件、node.toml。",
    ),
    "init-origin": Text("Origin: {origin}", "链名（origin）：{origin}"),
    "init-chain": Text("Chain id: {chain}", "链标识：{chain}"),
    "init-pin": Text("Pin, for auditors to keep: {pin}", "固定值（供审计者保存）：{pin}"),
    "init-passphrase": Text(
        "A random passphrase lies in keys/passphrase (readable by you alone), so that the node "
        "restarts by itself. Keep a copy elsewhere; whoever has both files holds the keys.",
        "随机口令保存在 keys/passphrase（仅本人可读），以便节点自动重启。请另存一份；"
        "同时持有两者即持有密钥。",
    ),
    "init-vault": Text(
        "The vault (people, documents) has its encrypted copy in {folder}, and the running node "
        "keeps it new: have that on another disk (`vault_backup` in node.toml), and save "
        "keys/vault apart from it. Credit is unprovable without them; `alliance doctor` opens the "
        "copy and says how it stands.",
        "保管库（人员、文件）的加密副本位于 {folder}，节点运行时保持更新："
        "请置于另一磁盘（node.toml 中的 `vault_backup`），并将 keys/vault 另行保存。"
        "没有它们便无法证明贡献；`alliance doctor` 会打开副本并报告其状态。",
    ),
    "init-next": Text(
        "Next: alliance node run --home {home}", "下一步：alliance node run --home {home}"
    ),
    "create-part": Text(
        "Made keys and node.toml of {org} in {home}. Send {file} to the convener; nothing in it is "
        "secret.",
        "已在 {home} 生成 {org} 的密钥与 node.toml。请将 {file} 发给召集方；其中没有秘密。",
    ),
    "create-names": Text("Alliance: {en} / {zh}", "联盟：{zh} / {en}"),
    "create-drafted": Text("Drafted by {org}, {at}", "由 {org} 起草，{at}"),
    "create-member": Text("  {org}  {kind}", "  {org}  {kind}"),
    "create-all-needed": Text(
        "No member may be absent: while one is away, nothing new becomes final.",
        "不能缺席任何成员：只要有一个离线，新内容便不能成为最终。",
    ),
    "create-policy": Text(
        "First policy: decisions need {shares} of the organisations, within {decision} days; what "
        "comes later than {backfill} days is BACKFILLED.",
        "首个策略：决定需 {shares} 的机构在 {decision} 天内同意；"
        "晚于 {backfill} 天记为 BACKFILLED。",
    ),
    "create-credit": Text(
        "Parameters of credit (SPEC 12.3): {parameters}", "贡献核算参数（SPEC 12.3）：{parameters}"
    ),
    "create-draft": Text(
        "Draft: {file}. Send it to every founder; each accepts it, you too, with alliance create "
        "accept {file}",
        "草案：{file}。请发给每个创始方；各方（包括您）用 alliance create accept {file} 接受。",
    ),
    "create-accepted": Text(
        "Signed for {org}: {file}. Read the above; if it is what you agreed on, send {file} to "
        "{convener}, else delete it.",
        "已代表 {org} 签署：{file}。请核对以上内容；若与约定一致，请将 {file} 发给 {convener}，"
        "否则请删除。",
    ),
    "create-finished": Text(
        "Block 0 is sealed: {file}, and in {home}. Send it to every founder, who takes it with "
        "alliance create take.",
        "零号区块已封：{file}，并已存入 {home}。请发给每个创始方，"
        "由其用 alliance create take 取用。",
    ),
    "create-taken": Text("Took the genesis into {home}.", "已将创世文件存入 {home}。"),
    "create-compare": Text(
        "Compare this pin with the other founders by telephone before you run the node.",
        "运行节点之前，请与其他创始方电话核对该固定值。",
    ),
    "node-start": Text(
        "Node of {org} on {url}. Stop it with Ctrl-C.", "{org} 的节点运行于 {url}。按 Ctrl-C 停止。"
    ),
    "rebuilding": Text("Rebuilding from blocks", "由区块重建"),
    "rebuilt": Text(
        "Rebuilt every index from {blocks} blocks.",
        "已由 {blocks} 个区块重建全部索引。",
    ),
    "backing-up": Text("Copying the database", "正在复制数据库"),
    "backed-up": Text(
        "Copied the database to {file}: height {height}, {size} entries. It holds no keys.",
        "已将数据库复制到 {file}：高度 {height}，条目 {size}。其中不含密钥。",
    ),
    "restored": Text(
        "Restored the database of {org} from {file}: height {height}, {size} entries.",
        "已由 {file} 恢复 {org} 的数据库：高度 {height}，条目 {size}。",
    ),
    "restored-nothing": Text(
        "The node of {org} will begin with an empty database and fetch everything from the other"
        " members.",
        "{org} 的节点将以空数据库开始，并从其他成员获取全部内容。",
    ),
    "restored-doubt": Text(
        "It may be older than what this node has said. The node will be silent until other"
        " members have told it how far it went (quarantine, SPEC 8.4); it then goes on by itself.",
        "它可能早于本节点已作出的表态。节点将保持沉默，直至其他成员告知其进度（隔离，SPEC 8.4）；"
        "此后自行继续。",
    ),
    "restored-alone": Text(
        "This chain has one member: nobody can say what is missing. Whatever was recorded after"
        " this copy is gone, and receipts for it will contradict the chain. To run the node on"
        " is your decision; tell everybody who holds a receipt (SPEC 8.4).",
        "该链只有一个成员：无人能说明缺失了什么。此副本之后的记录已丢失，其回执将与链相矛盾。"
        "是否继续运行节点由您决定；请通知所有持有回执者（SPEC 8.4）。",
    ),
    "status": Text(
        "Height {height}, {size} entries, last block {time}.",
        "高度 {height}，条目 {size}，最新区块 {time}。",
    ),
    "status-node": Text(
        "Node: {status}, {pending} waiting.", "节点：{status}，等待 {pending} 条。"
    ),
    "status-type": Text("  {type}: {count}", "  {type}：{count}"),
    "peers-listen": Text("Listens for other members at {address}.", "为其他成员监听：{address}。"),
    "peers-dial-out": Text(
        "Holds requests open to the others: they cannot reach this node.",
        "向其他成员保持请求：对方无法主动连接本节点。",
    ),
    "exporting": Text("Copying the chain", "正在复制链"),
    "exported": Text(
        "Copied {size} entries to {folder} ({files} files). Check it: alliance audit {folder}",
        "已将 {size} 个条目复制到 {folder}（{files} 个文件）。可用 alliance audit {folder} 核查。",
    ),
}

RECORDS: dict[str, Text] = {
    "recorded": Text(
        "Recorded: {type} {id}, entry {index}, block {height}.",
        "已记录：{type} {id}，条目 {index}，区块 {height}。",
    ),
    "leaf": Text("Leaf hash: {leaf}", "叶哈希：{leaf}"),
    "finding": Text("Finding {code}: {meaning}.", "发现项 {code}：{meaning}。"),
    "no-findings": Text("No findings.", "无发现项。"),
    "receipt-saved": Text("Receipt: {file}", "回执：{file}"),
    "decision": Text(
        "Decision: {status} ({votes} signature(s) counted).",
        "决定状态：{status}，已计 {votes} 个签名。",
    ),
    "fingerprinting": Text("Fingerprint", "计算指纹"),
    "fingerprint": Text("{digest}  {file}  {size} bytes", "{digest}  {file}  {size} 字节"),
    "fingerprint-all": Text(
        "{digest}  all {count} files (manifest)", "{digest}  共 {count} 个文件（清单）"
    ),
    "read-done": Text(
        "Read {file} ({size} bytes) as use number {seq} of {system}.",
        "已读取 {file}（{size} 字节），为 {system} 的第 {seq} 次使用。",
    ),
    "checking-lines": Text("Checking lines", "检查数据行"),
    "anchor-taken": Text(
        "The checkpoint of {size} entries: {file}, SHA-256 {digest}. Have it stamped, then run "
        "`alliance anchor record`.",
        "{size} 个条目的检查点：{file}，SHA-256 {digest}。请取得时间戳后运行 "
        "`alliance anchor record`。",
    ),
    "batch-recorded": Text(
        "{count} uses in the log; {records} records made now; findings: {findings}",
        "日志共 {count} 次使用；本次写入 {records} 条记录；发现项：{findings}",
    ),
    "importing": Text("Recording lines", "记录数据行"),
    "imported": Text(
        "{lines} lines: {new} newly recorded, {old} recorded before; entries {first} to {last}; "
        "{seconds} s, {rate} a second.",
        "共 {lines} 行：新记录 {new} 行，先前已记录 {old} 行；条目 {first} 至 {last}；"
        "用时 {seconds} 秒，每秒 {rate} 行。",
    ),
    "finding-count": Text(
        "Finding {code}: {count} ({meaning}).", "发现项 {code}：{count}（{meaning}）。"
    ),
}

REPORTS: dict[str, Text] = {
    "rows": Text("{count} rows.", "{count} 行。"),
    "rows-more": Text(
        "{count} rows; more with --after {next}", "{count} 行；更多请加 --after {next}"
    ),
    "rows-total": Text("{count} of {total} rows.", "共 {total} 行，显示 {count} 行。"),
    "unverified": Text(
        "Answers to queries come from the node's index; `alliance proof ID` proves a single row.",
        "查询结果来自节点索引；单行可用 `alliance proof ID` 取得证明。",
    ),
    "column-time": Text("time", "时间"),
    "column-dataset": Text("dataset", "数据集"),
    "column-person": Text("person", "人员"),
    "column-activity": Text("activity", "活动"),
    "column-action": Text("action", "动作"),
    "column-outcome": Text("outcome", "结果"),
    "column-source": Text("source", "来源"),
    "column-request": Text("request", "申请"),
    "column-findings": Text("findings", "发现项"),
    "column-entry": Text("entry", "条目"),
    "column-org": Text("org", "机构"),
    "proof-written": Text("Proof: {file}", "证明：{file}"),
    "proof-entry": Text(
        "Entry {index} in block {height}: {type} of {org}, signed by key {kid}.",
        "条目 {index}，区块 {height}：{org} 的 {type}，由密钥 {kid} 签署。",
    ),
    "subject": Text(
        "{subject}: {count} records; of what was recorded, all (proven against block {height}).",
        "{subject}：共 {count} 条记录，在已记录范围内完整（已对照区块 {height} 证明）。",
    ),
    "subject-line": Text("  {index}  {leaf}", "  {index}  {leaf}"),
    "state-absent": Text(
        "{key} is not on the chain (absence proven at block {height}).",
        "链上没有 {key}（已在区块 {height} 证明不存在）。",
    ),
    "state-present": Text("{key} (proven at block {height}):", "{key}（已在区块 {height} 证明）："),
    "findings-none": Text("No findings on this chain.", "此链上没有发现项。"),
}

DEMO: dict[str, Text] = {
    "demo-title": Text(
        "A hospital keeps a record of who used which research data, and proves it to strangers.",
        "一家医院记录谁使用了哪些科研数据，并向外人证明。",
    ),
    "demo-title-four": Text(
        "Four hospitals keep one record of who used which research data; none need be trusted.",
        "四家医院共同记录谁使用了哪些科研数据，其中任何一家都无需被信任。",
    ),
    "drill-disk": Text(
        "Procedure 2: the disk of {org} is lost. Its copy is older than what its node has said.",
        "第 2 项：{org} 的磁盘丢失。其副本早于该节点已作出的表态。",
    ),
    "drill-removed": Text(
        "The node is killed and its database is gone: {folder}/ledger.db",
        "节点已被强行终止，数据库已丢失：{folder}/ledger.db",
    ),
    "drill-officer": Text(
        "Procedure 1: the key of the only officer of {org} is in other hands.",
        "第 1 项：{org} 唯一授权人员的密钥落入他人之手。",
    ),
    "drill-refused": Text(
        "The old key {kid} is refused (rule {rule}).", "旧密钥 {kid} 被拒绝（规则 {rule}）。"
    ),
    "drill-keys": Text(
        "Procedure 3: others may know the keys of {org}'s node. It gets new ones; nothing stops.",
        "第 3 项：{org} 的节点密钥可能为他人所知。更换新密钥，期间一切照常。",
    ),
    "drill-lost": Text(
        "Procedure 3: the keys of {org}'s node are lost with its disk. It is taken out, makes "
        "itself anew and comes back.",
        "第 3 项：{org} 的节点密钥随磁盘一同丢失。先将其移出，再由其自行重建并重新加入。",
    ),
    "drill-nothing-left": Text(
        "The node is killed, and nothing is left of {folder}.",
        "节点已被强行终止，{folder} 已荡然无存。",
    ),
    "drill-gone": Text(
        "Procedure 5: {orgs} are gone for good, more than may be absent. The chain stops here; "
        "its last copies are compared.",
        "第 5 项：{orgs} 永久失去，多于可缺席的成员数。链到此为止；比较各份最后副本。",
    ),
    "drill-anew": Text(
        "{orgs} found the chain that goes on from it, with the officers' keys that it knows.",
        "{orgs} 以旧链登记的授权人员密钥建立接续的新链。",
    ),
    "drill-seam": Text(
        "The auditor checks the new chain, and where it goes on from the old one.",
        "审计者核查新链及其与旧链的接缝。",
    ),
    "drill-parted": Text(
        "Procedure 6: while {second} is away, {twice} and {first} go on; then an old image of "
        "{twice}'s disk is put back by hand, and it goes on with {second}.",
        "第 6 项：{second} 离线时，{twice} 与 {first} 继续；随后手工放回 {twice} 磁盘的旧镜像，"
        "它又与 {second} 继续。",
    ),
    "drill-image": Text(
        "The old image is in the place of {folder}, without `alliance restore`.",
        "旧镜像已放回 {folder}，未经 `alliance restore`。",
    ),
    "drill-compare": Text(
        "The copies of both are compared: where they part, and who signed both.",
        "比较双方的副本：何处分叉，谁同时签署了两者。",
    ),
    "drill-shown": Text(
        "{orgs} meet: who is shown the other history says so.",
        "{orgs} 相遇：见到另一份历史者即予说明。",
    ),
    "drill-done": Text("All procedures hold ({seconds} s).", "各项程序全部成立（{seconds} 秒）。"),
    "demo-found": Text(
        "{count} institutions found a chain together; each makes and keeps its own keys.",
        "{count} 家机构共同建链；每家自行生成并保管密钥。",
    ),
    "demo-nodes": Text("Start {count} nodes.", "启动 {count} 个节点。"),
    "demo-all": Text(
        "Record {count} lines: each member its own log, at its own node, all at the same time. "
        "In the middle {victim} is killed.",
        "记录 {count} 行：各成员在自己的节点上同时记录各自的日志。中途强行终止 {victim}。",
    ),
    "demo-others": Text(
        "While it was down the others went on: {counts} lines recorded. Start it again.",
        "在其停机期间其余成员继续运行：已记录 {counts} 行。重新启动它。",
    ),
    "demo-caught-up": Text(
        "{victim} has caught up; its own log is recorded to the last line, nothing twice.",
        "{victim} 已追平；其日志已记录至最后一行，无一重复。",
    ),
    "demo-fifth": Text(
        "A fifth institution, {org}, joins the running chain: one file to it, one file back",
        "第五个机构 {org} 加入运行中的链：发出一个文件，收回一个文件",
    ),
    "demo-followed": Text(
        "{org} follows the chain without a vote, and lacks no block.",
        "{org} 已无表决权地同步全链，不缺任何区块。",
    ),
    "demo-joining": Text("joining", "加入中"),
    "demo-copies": Text(
        "Copy the chain from each of the {count} nodes, and compare.",
        "从 {count} 个节点各复制一份链并比较。",
    ),
    "demo-equal": Text(
        "{count} copies, equal byte for byte (SHA-256 {digest}...).",
        "{count} 份副本逐字节相同（SHA-256 {digest}…）。",
    ),
    "demo-audit-any": Text(
        "The nodes are stopped. The auditor checks the copy of {org}, from files alone.",
        "节点已停止。审计者仅凭文件核查 {org} 的副本。",
    ),
    "demo-working": Text("at work", "工作中"),
    "demo-killed": Text("killed (kill -9)", "已被强行终止（kill -9）"),
    "demo-column-member": Text("member", "成员"),
    "demo-column-recorded": Text("recorded", "已记录"),
    "demo-column-height": Text("height", "高度"),
    "demo-column-published": Text("published", "已公布"),
    "demo-column-state": Text("state", "状态"),
    "demo-data": Text(
        "Input: the public access log of the iDASH 2018 competition in {folder}.",
        "输入：{folder} 中的 iDASH 2018 竞赛公开访问日志。",
    ),
    "demo-no-data": Text(
        "There is no log at hand: the demo makes files, reads them, and records these real uses.",
        "未找到日志：演示将生成文件、读取文件，并记录这些真实使用。",
    ),
    "demo-init": Text(
        "Found a chain of one member: keys, genesis, settings.",
        "建立单成员链：密钥、创世文件、设置。",
    ),
    "demo-node": Text("Start the hospital's node.", "启动医院的节点。"),
    "demo-node-up": Text(
        "The node answers on port {port} (process {pid}).",
        "节点已在端口 {port} 应答（进程 {pid}）。",
    ),
    "demo-datasets": Text(
        "The hospital's officer registers {count} datasets. Two that the log names are left "
        "out on purpose: {left}.",
        "医院授权人员登记 {count} 个数据集。日志中的两个有意不登记：{left}。",
    ),
    "demo-registered": Text(
        "  {name}: entry {index}, block {height}", "  {name}：条目 {index}，区块 {height}"
    ),
    "demo-import-first": Text(
        "Record the first part of the log: one signed entry for each line.",
        "记录日志的第一部分：每行一个签名条目。",
    ),
    "demo-early-copy": Text(
        "An auditor takes a copy now, to hold the hospital to it later.",
        "审计者此时取走一份副本，供日后核对。",
    ),
    "demo-import": Text(
        "Record the rest; then all {count} lines are on the chain.",
        "记录其余部分；此后全部 {count} 行均已上链。",
    ),
    "demo-files": Text(
        "Make files, fingerprint them, register two of three as data resources.",
        "生成文件、计算指纹，并将三个中的两个登记为数据资源。",
    ),
    "demo-reads": Text(
        "Read the files; each use is on the chain before the content is handed out.",
        "读取文件；内容交付之前，每次使用均已上链。",
    ),
    "demo-ask": Text("Ask who used what.", "查询谁使用了什么。"),
    "demo-scan": Text("A plain scan of the files gives {count}.", "直接扫描文件得到 {count}。"),
    "demo-findings": Text(
        "Use outside the rules is recorded, not hidden: {name} was never registered.",
        "违反规则的使用会被记录而非隐藏：{name} 从未登记。",
    ),
    "demo-close": Text(
        "The source system states that there was nothing more: a gap would show.",
        "来源系统声明再无其他记录：缺口将会显现。",
    ),
    "demo-prove": Text(
        "Prove one record to a stranger who holds the genesis file alone.",
        "向仅持有创世文件的外人证明一条记录。",
    ),
    "demo-copy": Text("Copy the whole chain into plain files.", "将整条链复制为普通文件。"),
    "demo-stopped": Text(
        "The node is stopped; what follows needs files only.",
        "节点已停止；以下步骤只需文件。",
    ),
    "demo-audit": Text(
        "The auditor checks every byte of the copy, and that it grew from the early one.",
        "审计者核查副本的每个字节，并确认其由早期副本增长而来。",
    ),
    "demo-drill": Text(
        "Does the audit notice damage? Damage copies in many ways, and see.",
        "审计能发现损坏吗？以多种方式损坏副本并验证。",
    ),
    "demo-done": Text(
        "Done in {seconds} seconds. Everything is in {out}.",
        "完成，用时 {seconds} 秒。所有文件位于 {out}。",
    ),
}

AUDIT: dict[str, Text] = {
    "auditing": Text("Auditing", "正在审计"),
    "step-trust": Text("Genesis, pin and policy", "创世文件、固定值与策略"),
    "step-head": Text("Signatures of the checkpoint", "检查点签名"),
    "step-tree": Text("Every leaf, tile and the root", "全部叶、瓦片与根"),
    "step-blocks": Text("Every block by the rules", "按规则核查每个区块"),
    "step-finality": Text("Finality certificates", "终局证书"),
    "step-older": Text("Growth since what you hold", "与您所持旧件的一致性"),
    "step-receipt-form": Text("Form of the receipt", "回执格式"),
    "step-receipt-proof": Text(
        "Signatures, inclusion, findings and key", "签名、包含关系、发现项与密钥"
    ),
    "mark-ok": Text("passed", "通过"),
    "mark-none": Text("nothing to compare with", "没有可对照的旧件"),
    "mark-FAILED": Text("FAILED", "未通过"),
    "verdict-valid": Text("Verdict: VALID", "结论：有效"),
    "verdict-invalid": Text("Verdict: NOT VALID", "结论：无效"),
    "audit-origin": Text("Chain {origin}, pin {pin}", "链 {origin}，固定值 {pin}"),
    "audit-size": Text(
        "{size} entries in blocks 0 to {height}; final up to {final}",
        "{size} 个条目，区块 0 至 {height}；终局至 {final}",
    ),
    "audit-time": Text("Sealed from {first} to {last}", "封块时间自 {first} 至 {last}"),
    "audit-signers": Text("Cosigned by {signers}", "联署：{signers}"),
    "audit-members": Text(
        "Members n = {n}, quorum q = {q}: {offline} may be absent, {lying} may lie",
        "成员 n = {n}，法定数 q = {q}：可缺席 {offline}，可说谎 {lying}",
    ),
    "audit-alone": Text(
        "One member alone: it could rewrite what nobody else holds. Keep checkpoints and receipts.",
        "仅一个成员：它可改写无人另存的内容。请保存检查点与回执。",
    ),
    "audit-no-liar": Text(
        "No lying member is tolerated: two histories could both be signed.",
        "不能容忍任何成员说谎：可能出现两份都已签署的历史。",
    ),
    "audit-block": Text("block {number}", "区块 {number}"),
    "audit-entry": Text("entry {number}", "条目 {number}"),
    "audit-findings": Text("Findings:", "发现项："),
    "audit-compared": Text("Holds all of {name}", "包含 {name} 的全部内容"),
    "unchecked-title": Text("Not checked:", "未核查："),
    "unchecked-pin": Text(
        "whether this genesis is the right one: give --pin, or --genesis with a file that came to "
        "you another way than the copy",
        "该创世文件是否正确：请给出 --pin，或以 --genesis 给出并非随副本而来的文件",
    ),
    "unchecked-older": Text(
        "whether history was rewritten since you last looked: give --since or --receipt",
        "自上次查看以来历史是否被改写：请给出 --since 或 --receipt",
    ),
    "unchecked-truth": Text(
        "whether what was recorded is true; only that it was recorded so, and when",
        "所记录内容是否属实；仅核查其被如此记录及其时间",
    ),
    "unchecked-unrecorded": Text(
        "use that was never recorded; gaps in a source's numbers show as findings",
        "从未记录的使用；来源编号的缺口会显示为发现项",
    ),
    "unchecked-payloads": Text(
        "payloads outside the chain, to which records commit", "记录所承诺的链外载荷"
    ),
    "unchecked-anchors": Text(
        "independent time stamps (RFC 3161) on record: their tokens are payloads",
        "已记录的独立时间戳（RFC 3161）：其令牌为链外载荷",
    ),
    "unchecked-others": Text(
        "whether other members hold the same copy", "其他成员是否持有相同副本"
    ),
    "unchecked-old-keys": Text("whether signing keys were stolen later", "签名密钥日后是否被盗"),
    "receipt-entry": Text("{type} {id} of {org}", "{org} 的 {type} {id}"),
    "receipt-place": Text("Entry {index} in block {height}", "条目 {index}，区块 {height}"),
    "receipt-time": Text("Happened {at}; sealed {recorded}", "发生于 {at}；封块于 {recorded}"),
    "receipt-limits": Text(
        "Not checked: the truth of the content before it was recorded, later records about it, and "
        "everything else on the chain.",
        "未核查：记录之前内容的真实性、之后有关该条目的记录，以及链上其他内容。",
    ),
    "drill-found": Text("found", "已发现"),
    "drill-missed": Text("MISSED", "漏检"),
    "drill-sum": Text("{found} of {count} damages found.", "共 {count} 种破坏，发现 {found} 种。"),
}

STANDING: dict[str, Text] = {
    "standing-members": Text(
        "Members: n = {n}, quorum q = {q}; {absent} may be absent (c), {lying} may lie (b).",
        "成员：n = {n}，法定数 q = {q}；可缺席 {absent} 个（c），可作假 {lying} 个（b）。",
    ),
    "standing-silent": Text(
        "{org} is silent since {since} ({ago}). Its operator must look at its node and its line.",
        "{org} 自 {since} 起没有应答（{ago}）。其运维人员须检查其节点与线路。",
    ),
    "ago-days": Text("for {count} days", "已 {count} 天"),
    "ago-hours": Text("for {count} hours", "已 {count} 小时"),
    "ago-minutes": Text("for {count} minutes", "已 {count} 分钟"),
    "ago-seconds": Text("for {count} seconds", "已 {count} 秒"),
    "standing-never": Text(
        "{org} has not been heard since this node started. Check its address here"
        " (alliance node peers); its operator must look at its node and its line.",
        "自本节点启动以来未收到 {org} 的消息。请核对其地址（alliance node peers）；"
        "其运维人员须检查其节点与线路。",
    ),
    "standing-all": Text("All {n} members are at work.", "全部 {n} 个成员均在工作。"),
    "standing-spare": Text(
        "{at_work} of {n} members are at work; {spare} more may be absent.",
        "{n} 个成员中有 {at_work} 个在工作；还可再缺席 {spare} 个。",
    ),
    "standing-last": Text(
        "{at_work} of {n} members are at work, just enough: if one more falls silent, nothing new"
        " becomes final.",
        "{n} 个成员中有 {at_work} 个在工作，刚好足够：再有一个失联，新内容便不能成为最终。",
    ),
    "standing-stopped": Text(
        "Nothing becomes final until {count} more take part again. Silent: {orgs}. What is"
        " submitted now waits and is not lost.",
        "在再有 {count} 个成员恢复参与之前，不会有新的最终区块。没有应答：{orgs}。"
        "现在提交的内容会等待，不会丢失。",
    ),
    "standing-gone": Text(
        "If more than {absent} of them are gone for good, the chain ends here and is continued by a"
        " new one: OPERATING.md, procedure 5.",
        "若其中永久失去的超过 {absent} 个，本链到此为止，由新链接续："
        "见 OPERATING.zh-CN.md 第 5 项。",
    ),
    "standing-unpublished": Text(
        "This node knows of no tree head that {q} members have cosigned yet.",
        "本节点尚不知道由 {q} 个成员联署的树头。",
    ),
    "standing-node-storage-failing": Text(
        "This node cannot write: look at its disk (alliance doctor). It goes on by itself.",
        "本节点无法写入：请检查磁盘（alliance doctor）。恢复后它会自行继续。",
    ),
    "standing-node-silent": Text(
        "This node does not vote now. It still takes in records and serves copies.",
        "本节点现在不投票，但仍接收记录并提供副本。",
    ),
    "standing-node-observing": Text(
        "This node has no vote: it follows, checks every block and serves copies.",
        "本节点没有投票权：它跟随并检查每个区块，并提供副本。",
    ),
    "standing-behind": Text(
        "This node lacks {count} blocks, and fetches them from all members that answer.",
        "本节点尚缺 {count} 个区块，正从所有应答的成员取得。",
    ),
    "standing-node-broken": Text(
        "This node has stopped by a mistake of the software: start it again and report its log.",
        "本节点因软件错误已停止：请重新启动并报告其日志。",
    ),
    "standing-alarm-safety": Text(
        "ALARM: two final histories exist. This node votes no more. Stop, export, and compare with"
        " the others' copies: alliance audit compare (OPERATING.md, procedure 6).",
        "警报：存在两份都已终局的历史。本节点不再投票。请停止、导出并与他方副本比较："
        "alliance audit compare（OPERATING.zh-CN.md 第 6 项）。",
    ),
    "standing-alarm-invalid-final": Text(
        "ALARM: the others made a block final that this node finds invalid. It votes no more;"
        " compare the versions of the software with the other operators.",
        "警报：其他成员已使一个本节点判为无效的区块终局。本节点不再投票；"
        "请与其他运维人员核对软件版本。",
    ),
    "standing-alarm-invalid-notarized": Text(
        "ALARM ({count}): others approved a block that this node finds invalid. Compare the"
        " versions of the software with the other operators.",
        "警报（{count} 次）：其他成员同意了本节点判为无效的区块。请与其他运维人员核对软件版本。",
    ),
    "standing-alarm-own-key": Text(
        "ALARM: this node's key is in use elsewhere, or was. Find the other process or copy, stop"
        " it, then start this node again; if it is not yours, have the keys changed"
        " (OPERATING.md, procedure 3).",
        "警报：本节点的密钥正在或曾在别处使用。请找到并停止另一进程或副本，再重新启动本节点；"
        "若非己方所为，请更换密钥（OPERATING.zh-CN.md 第 3 项）。",
    ),
    "standing-alarm-quarantine": Text(
        "This node was or is in quarantine: its database may be older than its word. It waits until"
        " the others have told it how far it went; nothing is to be done.",
        "本节点曾处于或正处于隔离：其数据库可能早于其表态。它会等待其他成员告知进度；无需操作。",
    ),
    "standing-clock-off": Text(
        "The clock of this machine is {offset} ms ahead of the other members': set it (NTP).",
        "本机时钟比其他成员快 {offset} 毫秒：请校准（NTP）。",
    ),
    "standing-clock-unfit": Text(
        "The clock of this machine is {offset} ms ahead of the other members': this node does not"
        " propose blocks until it is set (NTP).",
        "本机时钟比其他成员快 {offset} 毫秒：校准（NTP）之前本节点不提出区块。",
    ),
    "standing-liar": Text(
        "{org} has contradicted itself {count} time(s); the evidence is kept and put on the chain."
        " The committee must decide about it. {left} of the {lying} that may lie are left.",
        "{org} 已自相矛盾 {count} 次；证据已保存并上链。须由委员会决定。"
        "可容忍作假的 {lying} 个中还剩 {left} 个。",
    ),
    "standing-too-many-liars": Text(
        "More members have lied than may: two histories are possible. Compare copies now:"
        " alliance audit compare (OPERATING.md, procedure 6).",
        "作假的成员多于可容忍数：可能出现两份历史。请立即比较副本："
        "alliance audit compare（OPERATING.zh-CN.md 第 6 项）。",
    ),
    "standing-cosigned": Text(
        "{org} has cosigned another tree than this node's. Export from both and compare them:"
        " alliance audit compare (OPERATING.md, procedure 6).",
        "{org} 联署了与本节点不同的树。请分别导出并比较：alliance audit compare"
        "（OPERATING.zh-CN.md 第 6 项）。",
    ),
    "evidence-line": Text(
        "Evidence against {org}: {kind}, epoch {epoch}, view {view}; {place}",
        "针对 {org} 的证据：{kind}，纪元 {epoch}，视图 {view}；{place}",
    ),
    "evidence-recorded": Text("on the chain: {leaf}", "已上链：{leaf}"),
    "evidence-waiting": Text("not on the chain yet", "尚未上链"),
}

COMPARE: dict[str, Text] = {
    "seam-continues": Text(
        "SEAM: continues chain {chain} (pin {pin}) after its block {height}, {size} entries.",
        "接缝：接续链 {chain}（固定值 {pin}）的区块 {height}（{size} 个条目）。",
    ),
    "seam-checked": Text(
        "The old chain ends there. Accepted by {count} of its {of} organisations: {orgs}.",
        "旧链止于该处。旧链 {of} 个机构中有 {count} 个接受：{orgs}。",
    ),
    "seam-below-share": Text(
        "That is a majority, but fewer than the {share} that its policy asks of decisions: see the"
        " statutes.",
        "已过半数，但少于其策略对决定所要求的 {share} 个：请查阅章程。",
    ),
    "unchecked-seam": Text(
        "whether the chain before this one ended there: give its last copy with --continues",
        "前一条链是否止于该处：请用 --continues 给出其最后副本",
    ),
    "compare-invalid": Text(
        "The copy {folder} does not pass its own audit; nothing follows from comparing it.",
        "副本 {folder} 未通过自身审计；与之比较得不出结论。",
    ),
    "compare-equal": Text(
        "The same history: {first} entries in both.", "历史相同：两份均为 {first} 个条目。"
    ),
    "compare-first-continues": Text(
        "One history: the first copy ({first} entries) continues the second ({second}).",
        "同一历史：第一份（{first} 个条目）接续第二份（{second} 个）。",
    ),
    "compare-second-continues": Text(
        "One history: the second copy ({second} entries) continues the first ({first}).",
        "同一历史：第二份（{second} 个条目）接续第一份（{first} 个）。",
    ),
    "compare-fork": Text(
        "TWO HISTORIES: they part at block {height}, in epoch {epoch}.",
        "两份历史：自第 {epoch} 纪元的区块 {height} 起分叉。",
    ),
    "compare-block": Text("  block {block}", "  区块 {block}"),
    "compare-culprit": Text(
        "{org} signed both: {one} and {two} in view {view}, of which no honest member says both.",
        "{org} 同时签署了两者：视图 {view} 中的 {one} 与 {two}，诚实成员绝不会两者都签。",
    ),
    "compare-enough": Text(
        "{count} members are named; a fork needs at least {least}.",
        "已指名 {count} 个成员；分叉至少需要 {least} 个。",
    ),
    "compare-too-few": Text(
        "{count} members are named of at least {least}: these copies lack certificates, as a member"
        " that caught up has not seen them all. Compare copies of other members, too.",
        "已指名 {count} 个，至少应有 {least} 个：这些副本缺少证书（追赶进度的成员未见到全部）。"
        "请再比较其他成员的副本。",
    ),
    "compare-cosigned": Text(
        "Their cosignatures stand under both heads: {orgs}.", "以下成员联署了两个树头：{orgs}。"
    ),
}

DOCTOR: dict[str, Text] = {
    "doctor-ok": Text("ok", "正常"),
    "doctor-warning": Text("LOOK", "注意"),
    "doctor-problem": Text("PROBLEM", "故障"),
    "doctor-unknown": Text("?", "未查"),
    "doctor-because": Text(
        "not checked, because of the finding on: {check}.", "未检查，原因见：{check}。"
    ),
    "doctor-sum": Text(
        "{problems} problem(s), {warnings} to look at. Nothing was changed.",
        "{problems} 个故障，{warnings} 项需注意。未作任何更改。",
    ),
    "check-settings": Text("Settings", "设置"),
    "check-permissions": Text("Permissions of keys", "密钥权限"),
    "check-genesis": Text("Genesis and pin", "创世文件与固定值"),
    "check-keys": Text("Keys and passphrase", "密钥与口令"),
    "check-database": Text("Database", "数据库"),
    "check-journal": Text("Vote journal", "投票日志"),
    "check-alarms": Text("Alarms and evidence", "警报与证据"),
    "check-disk": Text("Disk", "磁盘"),
    "check-node": Text("Node", "节点"),
    "check-quorum": Text("Quorum", "法定数"),
    "check-peers": Text("Other members", "其他成员"),
    "check-clock": Text("Clock", "时钟"),
    "check-backup": Text("Backup", "备份"),
    "check-vault": Text("Copy of the vault", "保管库副本"),
    "doctor-vault": Text(
        "{time}, {count} payloads; it can be restored.", "{time}，{count} 个载荷；可以恢复。"
    ),
    "doctor-settings": Text(
        "node at {address}, for other members at {listen}.",
        "节点地址 {address}，供其他成员连接 {listen}。",
    ),
    "doctor-permissions": Text("{count} readable by their owner alone.", "{count} 项仅本人可读。"),
    "doctor-genesis": Text("{origin}, pin {pin}.", "{origin}，固定值 {pin}。"),
    "doctor-keys": Text(
        "they open, and are those of {org} on the chain.", "可打开，且为链上 {org} 的密钥。"
    ),
    "doctor-keys-opened": Text("they open.", "可打开。"),
    "doctor-database": Text(
        "whole; height {height}, {size} entries, epoch {epoch}.",
        "完好；高度 {height}，条目 {size}，纪元 {epoch}。",
    ),
    "doctor-journal": Text("{rows} rows, all readable.", "{rows} 行，均可读取。"),
    "doctor-alarms": Text("none.", "无。"),
    "doctor-disk": Text("{free} MiB free.", "剩余 {free} MiB。"),
    "doctor-node": Text("runs, and says: {status}.", "正在运行，状态：{status}。"),
    "doctor-quorum": Text(
        "{at_work} of {n} members at work, {q} needed.",
        "{n} 个成员中有 {at_work} 个在工作，需要 {q} 个。",
    ),
    "doctor-peer": Text(
        "{org} answers at {url}, and knows this node.", "{org} 在 {url} 应答，且认得本节点。"
    ),
    "doctor-no-peers": Text("none to call.", "无需连接。"),
    "doctor-clock": Text("{offset} ms ahead of the other members.", "比其他成员快 {offset} 毫秒。"),
    "doctor-no-clock": Text("nobody to compare with.", "无可比对者。"),
    "doctor-backup": Text("{time}, height {height}.", "{time}，高度 {height}。"),
}

ACCESS: dict[str, Text] = {
    "apikey-new": Text(
        "{secret}\nThis is shown once: give it to the system, as `Authorization: Bearer ...`.",
        "{secret}\n仅显示一次：请交给该系统，以 `Authorization: Bearer ...` 使用。",
    ),
    "apikey": Text(
        "{id}  {scopes}  until {until}  for {kid}", "{id}  {scopes}  有效至 {until}  代表 {kid}"
    ),
    "erased": Text(
        "{count} payloads destroyed here; the record of it, and the other holders, follow.",
        "已在此销毁 {count} 个载荷；相应记录及其他持有者随后完成。",
    ),
    "uploading": Text("Hand in {file}", "上传 {file}"),
    "fetching": Text("Fetch {file}", "下载 {file}"),
    "attached": Text(
        "{file} ({bytes} bytes) is in the vault. A record names it with `--attachment {commit}`.",
        "{file}（{bytes} 字节）已存入保管库。记录可用 `--attachment {commit}` 引用。",
    ),
    "fetched": Text(
        "{file}: {bytes} bytes, the ones that the payload names.",
        "{file}：{bytes} 字节，与载荷所载一致。",
    ),
    "vault-counts": Text(
        "{T1} payloads for all members, {T2} restricted, {missing} missing, {erased} erased;"
        " {groups} keys.",
        "面向全体成员 {T1} 个，受限 {T2} 个，缺失 {missing} 个，已删除 {erased} 个；"
        "密钥 {groups} 个。",
    ),
    "vault-erasure": Text(
        "{commit}  {ground}  {time}  not answered yet: {orgs}",
        "{commit}  {ground}  {time}  尚未答复：{orgs}",
    ),
    "vault-erasure-done": Text(
        "{commit}  {ground}  {time}  gone everywhere", "{commit}  {ground}  {time}  各处均已删除"
    ),
    "vault-backed-up": Text(
        "The vault was copied to {folder}, encrypted. Keep `keys/vault` apart from it: without that"
        " key the copy opens nothing.",
        "保管库已加密复制到 {folder}。请将 `keys/vault` 另行保存：没有该密钥无法打开副本。",
    ),
    "vault-restored": Text(
        "The vault was restored from {folder}; erasures since then act before anything is served.",
        "已从 {folder} 恢复保管库；其后的删除会在提供服务之前执行。",
    ),
    "vault-rewrapped": Text(
        "{count} keys wrapped with the first key given. The others are needed no more.",
        "已用所提供的首个密钥重新封装 {count} 个密钥；其余密钥不再需要。",
    ),
    "vault-rotated": Text(
        "{count} keys wrapped anew. Save `keys/vault` again, apart from the copies.",
        "已重新封装 {count} 个密钥。请再次单独保存 `keys/vault`。",
    ),
    "apikey-revoked": Text("{id}  revoked  for {kid}", "{id}  已吊销  代表 {kid}"),
}

MEMBERSHIP: dict[str, Text] = {
    "invite-made": Text(
        "The invitation for {org} is {file}. Nothing in it is secret.",
        "{org} 的邀请文件为 {file}，其中没有秘密。",
    ),
    "invite-next": Text(
        "{org} runs `alliance join` with it, compares the pin with you, and sends back {org}.part.",
        "{org} 用它运行 `alliance join`，与您核对固定值，并发回 {org}.part。",
    ),
    "join-start": Text(
        "Joining as {org}. Pin: {pin}; compare it by telephone with the member who invited you.\n"
        "Send {part} to that member. Leave this command running; after a stop run it again.",
        "以 {org} 加入。固定值：{pin}；请通过电话与邀请您的成员核对。\n"
        "请将 {part} 发给该成员。请让此命令保持运行；中断后重新运行即可。",
    ),
    "join-waiting": Text(
        "No member answers {org} yet: the committee has not admitted it, or the way is closed.",
        "尚无成员应答 {org}：委员会尚未接纳，或无法连接。",
    ),
    "join-behind": Text(
        "{count} blocks to go (at height {height}).", "还差 {count} 个区块（当前高度 {height}）。"
    ),
    "join-current": Text(
        "Up to date; waits for the committee to decide on a configuration that lists this node.",
        "已同步；等待委员会通过包含本节点的配置。",
    ),
    "join-ready": Text(
        "Declared ready for epoch {epoch}; {count} more members must run `alliance ready`.",
        "已声明为纪元 {epoch} 就绪；还需 {count} 个成员运行 `alliance ready`。",
    ),
    "join-member": Text(
        "{org} is a member since epoch {epoch}: {n} members, quorum {q}. The node goes on working.",
        "{org} 自纪元 {epoch} 起成为成员：共 {n} 个成员，法定数 {q}。节点继续运行。",
    ),
    "observe-start": Text(
        "Observing for {org}. Pin: {pin}; compare it by telephone with the one who invited you.\n"
        "Send {key} to {org}, whose officer runs `alliance key register` with it. Leave this "
        "command running; after a stop run it again.",
        "以 {org} 的名义观察。固定值：{pin}；请通过电话与邀请您的成员核对。\n"
        "请将 {key} 发给 {org}，由其授权人员用它运行 `alliance key register`。"
        "请让此命令保持运行；中断后重新运行即可。",
    ),
    "observe-waiting": Text(
        "Waits until {org} has registered the key: the members answer nobody else.",
        "等待 {org} 登记该密钥：成员不应答其他任何人。",
    ),
    "observe-unreached": Text(
        "No member has said yet how far the chain is.", "尚无成员告知链的高度。"
    ),
    "observe-current": Text(
        "Up to date: every block so far is here and checked. The node goes on following.",
        "已同步：至今的每个区块均已取得并通过核验。节点继续跟随。",
    ),
    "join-trouble": Text("Tried again: {sentence}", "正在重试：{sentence}"),
    "config-current": Text("In force:", "现行配置："),
    "config-pending": Text("Decided, waits for readiness:", "已通过，等待就绪："),
    "config-none-pending": Text("No other configuration is pending.", "没有待生效的配置。"),
    "config-members": Text("  Epoch {epoch}: {orgs}", "  纪元 {epoch}：{orgs}"),
    "config-ready": Text("  Ready: {orgs}", "  已就绪：{orgs}"),
    "config-missing": Text(
        "  Must still declare readiness: {orgs}; and {count} others.",
        "  尚须声明就绪：{orgs}；另需 {count} 个成员。",
    ),
    "config-replaces": Text(
        "When this takes effect it replaces the pending configuration of epoch {epoch}.",
        "生效后将取代当前待生效的纪元 {epoch} 配置。",
    ),
    "config-next": Text(
        "The committee endorses it: `alliance endorse {leaf}`; then members run `alliance ready`.",
        "请委员会背书：`alliance endorse {leaf}`；随后各成员运行 `alliance ready`。",
    ),
    "rotate-next": Text(
        "Restart the node now: it takes up the next keys. Then run `alliance ready`.",
        "请立即重启节点以载入新密钥，然后运行 `alliance ready`。",
    ),
    "ready-already": Text(
        "This node is declared ready for epoch {epoch}. Missing: {orgs}; and {count} others.",
        "本节点已声明为纪元 {epoch} 就绪。尚缺：{orgs}；另需 {count} 个成员。",
    ),
}

TEXTS: Final[dict[str, Text]] = {
    **ACCESS,
    **ACCESS_TEXTS,
    **FRAME,
    **AUTHORISATION,
    **MEMBERSHIP,
    **KEYS,
    **OPERATE,
    **OUTBOX,
    **QUESTION_TEXTS,
    **RECORDS,
    **REGISTER,
    **REPORTS,
    **DEMO,
    **AUDIT,
    **STANDING,
    **COMPARE,
    **DOCTOR,
    **DOSSIER_TEXTS,
    **RIGHTS_TEXTS,
    **STORY_TEXTS,
}
