"""O: the node, its store and its API; X: the command line; Q: queries."""

from ledger.rulebook.rule import Rule

LATER = "Send the same request again after the time given; nothing was recorded twice or lost."
LATER_ZH = "请在给出的时间后重发同一请求；不会重复记录，也不会丢失。"
RESTORE = "Do not start from this copy: restore the file, or compare it with an export by `alliance audit`."
RESTORE_ZH = "请勿使用该副本启动：请恢复文件，或用 `alliance audit` 与导出副本比较。"
SETUP = "Correct the node's home directory; `alliance init` makes a complete one."
SETUP_ZH = "请修正节点主目录；`alliance init` 可生成完整目录。"
SHAPE = "Send the request in the form that SPEC describes."
SHAPE_ZH = "请按 SPEC 规定的形式发送请求。"
ASK = "Correct the query; `GET /api/v1/accesses` names its fields in SPEC."
ASK_ZH = "请修正查询；字段见 SPEC 中的 `GET /api/v1/accesses`。"

OPERATION: dict[str, Rule] = {
    "O1.host": Rule(
        "The node may listen on a loopback address only, not on {host}.",
        "节点只能监听本机回环地址，不能监听 {host}。",
        "Use 127.0.0.1; requests are not authenticated yet.",
        "请使用 127.0.0.1；目前请求尚未鉴权。",
    ),
    "O1.file": Rule(
        "{file} is missing or cannot be read.", "{file} 缺失或无法读取。", SETUP, SETUP_ZH
    ),
    "O1.field": Rule(
        "The setting {field} of node.toml is unknown or has a wrong value.",
        "node.toml 的设置项 {field} 未知或取值错误。",
        SETUP,
        SETUP_ZH,
    ),
    "O1.mode": Rule(
        "{file} can be read or changed by others (mode {mode}).",
        "{file} 可被其他用户读取或修改（权限 {mode}）。",
        "Run `chmod go= {file}`, and think of who may have read it.",
        "请执行 `chmod go= {file}`，并考虑可能已读取它的人。",
    ),
    "O1.key": Rule(
        "The {role} key is not the one that the chain names for {org}.",
        "{role} 密钥不是链上为 {org} 登记的密钥。",
        SETUP,
        SETUP_ZH,
    ),
    "O1.org": Rule(
        "None of the members of this chain has this node key.",
        "该链没有成员使用此节点密钥。",
        SETUP,
        SETUP_ZH,
    ),
    "O2.locked": Rule(
        "Another process already uses the database {file}.",
        "另一进程正在使用数据库 {file}。",
        "Stop the other node first; two writers are never allowed.",
        "请先停止另一节点；不允许两个写入者。",
    ),
    "O2.corrupt": Rule(
        "The database is damaged: {what}, block {height}.",
        "数据库已损坏：{what}，区块 {height}。",
        RESTORE,
        RESTORE_ZH,
    ),
    "O2.genesis": Rule(
        "The database belongs to another chain than the genesis file.",
        "数据库与创世文件不属于同一条链。",
        SETUP,
        SETUP_ZH,
    ),
    "O2.schema": Rule(
        "The database has layout {found}; this software knows layout {known}.",
        "数据库布局为 {found}；本软件支持布局 {known}。",
        "Use software that knows this layout.",
        "请使用支持该布局的软件。",
    ),
    "O3.full": Rule(
        "The disk is full; the entry was not recorded.",
        "磁盘已满；该条目未被记录。",
        "Make room, then send the same entry again; the node goes on by itself.",
        "请腾出空间后重发同一条目；节点会自行继续。",
    ),
    "O3.failed": Rule(
        "The database failed ({kind}); what was answered before is safe.",
        "数据库出错（{kind}）；此前已答复的内容是安全的。",
        "Look at the disk, then send the same entry again.",
        "请检查磁盘，然后重发同一条目。",
    ),
    "O3.tip": Rule(
        "Somebody else wrote to the database; block {height} was not added.",
        "数据库被其他进程写入；区块 {height} 未添加。",
        "Stop the other process and start the node again.",
        "请停止另一进程并重新启动节点。",
    ),
    "O3.cosigned": Rule(
        "A tree head of size {size} was not signed: it is not the successor of the last one signed.",
        "大小为 {size} 的树头未签署：它不是上一个已签树头的后继。",
        "Stop this node and compare it with another copy.",
        "请停止该节点并与其他副本比较。",
    ),
    "O4.queue": Rule(
        "{pending} entries are waiting; the node takes {limit}.",
        "{pending} 个条目正在等待；节点上限为 {limit}。",
        LATER,
        LATER_ZH,
    ),
    "O4.stopping": Rule("The node is stopping.", "节点正在停止。", LATER, LATER_ZH),
    "O5.large": Rule(
        "The request is larger than {limit} bytes.", "请求超过 {limit} 字节。", SHAPE, SHAPE_ZH
    ),
    "O5.truncated": Rule(
        "The request ended after {received} bytes.",
        "请求在 {received} 字节后中断。",
        "Send the whole request again; nothing of it was recorded.",
        "请重发完整请求；其内容均未记录。",
    ),
    "O5.type": Rule(
        "This route takes application/cose or application/vnd.alliance.entries.",
        "该接口接受 application/cose 或 application/vnd.alliance.entries。",
        SHAPE,
        SHAPE_ZH,
    ),
    "O5.count": Rule(
        "The request holds {count} entries; 1 to {limit} are taken.",
        "请求含 {count} 个条目；允许 1 至 {limit} 个。",
        SHAPE,
        SHAPE_ZH,
    ),
    "O5.founding": Rule(
        "Records of type {type} stand in block 0 alone.",
        "{type} 类型的记录只存在于零号区块。",
        SHAPE,
        SHAPE_ZH,
    ),
    "O6": Rule(
        "There is no {what} {name} on this chain.",
        "该链上没有 {what} {name}。",
        "Check the name; a record that was refused is not on the chain.",
        "请核对名称；被拒绝的记录不在链上。",
    ),
    "O6.route": Rule("There is no such route.", "没有此接口。", SHAPE, SHAPE_ZH),
    "O7": Rule(
        "The node at {url} cannot be reached.",
        "无法连接节点 {url}。",
        "Start it with `alliance node run`.",
        "请用 `alliance node run` 启动节点。",
    ),
    "O7.answer": Rule(
        "The node at {url} answered with status {status}, not in the form of this API.",
        "节点 {url} 返回状态 {status}，不符合本接口形式。",
        "Check the address and the versions of node and command.",
        "请核对地址以及节点与命令的版本。",
    ),
    "O9": Rule(
        "The node made a mistake and stopped this request.",
        "节点内部出错，该请求已中止。",
        "Report it with the node's log; nothing was answered that is not durable.",
        "请附节点日志报告；已答复的内容均已持久保存。",
    ),
    "Q1": Rule("{field} is no field of this query.", "{field} 不是该查询的字段。", ASK, ASK_ZH),
    "Q2": Rule("The value of {field} cannot be read.", "无法读取 {field} 的值。", ASK, ASK_ZH),
    "Q3": Rule("Rows cannot be sorted by {field}.", "不能按 {field} 排序。", ASK, ASK_ZH),
    "Q4": Rule("A page holds 1 to {limit} rows.", "每页为 1 至 {limit} 行。", ASK, ASK_ZH),
    "Q5": Rule("The cursor does not belong to this query.", "游标不属于该查询。", ASK, ASK_ZH),
}
