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
    "O2.derived": Rule(
        "The indexes of the database stand at block {height}, not at its last block.",
        "数据库索引停在区块 {height}，而非最后一个区块。",
        "Run `alliance node rebuild`; the blocks themselves are in order.",
        "请运行 `alliance node rebuild`；区块本身完好。",
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
    "O4.quorum": Rule(
        "This node does not know yet of a tree head that {quorum} members have cosigned.",
        "本节点尚不知道由 {quorum} 个成员联署的树头。",
        "Wait until enough members are reachable; `alliance node status` says who is silent.",
        "请等待足够多的成员可达；`alliance node status` 显示谁没有应答。",
    ),
    "O4.bodies": Rule(
        "{limit} bytes of requests are on their way; the node takes no more at a time.",
        "正在传输的请求已达 {limit} 字节；节点暂不接收更多。",
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
        "This route does not take this content type; entries are application/cose or application/vnd.alliance.entries.",
        "该接口不接受此内容类型；条目应为 application/cose 或 application/vnd.alliance.entries。",
        SHAPE,
        SHAPE_ZH,
    ),
    "O5.count": Rule(
        "The request holds {count} entries; 1 to {limit} are taken.",
        "请求含 {count} 个条目；允许 1 至 {limit} 个。",
        SHAPE,
        SHAPE_ZH,
    ),
    "O5.host": Rule(
        "The request is for {host}; this node answers to loopback names only.",
        "请求的目标为 {host}；本节点仅响应本机回环名称。",
        "Use http://127.0.0.1 and the node's port.",
        "请使用 http://127.0.0.1 及节点端口。",
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
    "O10": Rule(
        "The chain has gone over to rules version {version}; this node knows version {known}, and has stopped voting.",
        "链已启用规则版本 {version}；本节点只支持版本 {known}，已停止投票。",
        "Install the newer software and start the node again; the others go on, and nothing is lost.",
        "请安装新版软件并重新启动节点；其他成员照常运行，数据不会丢失。",
    ),
    "O11.alarm": Rule(
        "The database keeps the proof of an alarm: {kind}, {time}.",
        "数据库中保存有一次警报的证明：{kind}，{time}。",
        "Read OPERATING.md, procedure 6, before anything else; `alliance audit compare` says who lied.",
        "请先阅读 OPERATING.zh-CN.md 第 6 项；`alliance audit compare` 可指出作假者。",
    ),
    "O11.lies": Rule(
        "{count} contradiction(s) of other members are kept here.",
        "此处保存有其他成员的 {count} 次自相矛盾。",
        "See `alliance findings`; the committee decides what follows.",
        "请查看 `alliance findings`；后果由委员会决定。",
    ),
    "O11.log": Rule(
        "The database {file} has a write-ahead log without its index; it was not looked into.",
        "数据库 {file} 有预写日志而缺少其索引；未予检查。",
        "Start the node: it takes the log in by itself. Then run the check again.",
        "请启动节点：它会自行处理该日志。然后重新检查。",
    ),
    "O11.journal": Rule(
        "The vote journal is damaged: the node will be in quarantine when it starts.",
        "投票日志已损坏：节点启动后将处于隔离。",
        "Nothing is to be done if it is started; look at the disk if this comes back.",
        "启动即可，无需操作；若再次出现，请检查磁盘。",
    ),
    "O11.doubt": Rule(
        "This database may be older than what the node has said: the node does not vote yet (quarantine).",
        "该数据库可能早于节点已作出的表态：节点暂不投票（隔离）。",
        "Let it run; it goes on by itself once enough other members have answered.",
        "请保持运行；足够多的其他成员应答后会自行继续。",
    ),
    "O11.disk": Rule(
        "Only {free} MiB are left on the disk of the home directory.",
        "主目录所在磁盘仅剩 {free} MiB。",
        "Make room; a full disk stops this node until there is some.",
        "请腾出空间；磁盘写满后本节点会停止，直至有空间。",
    ),
    "O11.down": Rule(
        "The node does not run.",
        "节点未运行。",
        "Start it with `alliance node run`; the other checks say what would stop it.",
        "请用 `alliance node run` 启动；其他检查项会指出阻碍启动的原因。",
    ),
    "O11.status": Rule(
        "The node says that it is {status}.",
        "节点报告其状态为 {status}。",
        "See `alliance node status`: it says what that means and who must act.",
        "请查看 `alliance node status`：其中说明含义及应由谁处理。",
    ),
    "O11.version": Rule(
        "The node runs {found}, this command is of {known}.",
        "节点运行的是 {found}，本命令属于 {known}。",
        "Start the node again after an update.",
        "更新后请重新启动节点。",
    ),
    "O11.quorum": Rule(
        "Nothing becomes final until {count} more member(s) take part; silent: {orgs}.",
        "在再有 {count} 个成员参与之前不会有新的最终区块；没有应答：{orgs}。",
        "Their operators must act; if they are gone for good, OPERATING.md, procedure 5.",
        "须由其运维人员处理；若永久失去，见 OPERATING.zh-CN.md 第 5 项。",
    ),
    "O11.few": Rule(
        "{orgs} do not answer; if one more member falls silent, nothing new becomes final.",
        "{orgs} 没有应答；再有一个成员失联，新内容便不能成为最终。",
        "Tell their operators.",
        "请通知其运维人员。",
    ),
    "O11.peer": Rule(
        "{org} cannot be reached at {url}.",
        "无法在 {url} 连接 {org}。",
        "Check the address (alliance node peers), the line and the firewall; ask its operator.",
        "请检查地址（alliance node peers）、线路与防火墙，并询问其运维人员。",
    ),
    "O11.stranger": Rule(
        "What answers at {url} is no node of this chain that knows this node as a member (rule {inner}).",
        "{url} 处的应答者不是认得本节点为成员的本链节点（规则 {inner}）。",
        "Compare pins with its operator: it may run another chain, or have no word of this node's keys.",
        "请与其运维人员核对固定值：对方可能运行另一条链，或不知道本节点的密钥。",
    ),
    "O11.address": Rule(
        "It is not known where {orgs} listen.",
        "不知道 {orgs} 的监听地址。",
        "Give it with `alliance node peers ORG=URL`, unless they dial out themselves.",
        "请用 `alliance node peers 机构=URL` 给出，除非对方主动连接。",
    ),
    "O11.clock": Rule(
        "The clock of this machine is {offset} ms ahead of the other members'.",
        "本机时钟比其他成员快 {offset} 毫秒。",
        "Set it (NTP); more than 5 s and this node does not propose blocks.",
        "请校准（NTP）；超过 5 秒本节点不提出区块。",
    ),
    "O11.backup": Rule(
        "No backup of this node is known here ({age}).",
        "此处未见本节点的近期备份（{age}）。",
        "Run `alliance backup FILE` regularly, and keep the file and the keys elsewhere.",
        "请定期运行 `alliance backup FILE`，并将文件与密钥存放于别处。",
    ),
    "O11.locked": Rule(
        "No passphrase is known: the keys were not opened.",
        "未知口令：未打开密钥。",
        "Give --passphrase-file or ALLIANCE_PASSPHRASE, or run the command on a terminal.",
        "请使用 --passphrase-file 或 ALLIANCE_PASSPHRASE，或在终端中运行该命令。",
    ),
    "Q1": Rule("{field} is no field of this query.", "{field} 不是该查询的字段。", ASK, ASK_ZH),
    "Q2": Rule("The value of {field} cannot be read.", "无法读取 {field} 的值。", ASK, ASK_ZH),
    "Q3": Rule("Rows cannot be sorted by {field}.", "不能按 {field} 排序。", ASK, ASK_ZH),
    "Q4": Rule("A page holds 1 to {limit} rows.", "每页为 1 至 {limit} 行。", ASK, ASK_ZH),
    "Q5": Rule("The cursor does not belong to this query.", "游标不属于该查询。", ASK, ASK_ZH),
    "X1.file": Rule(
        "The file {file} cannot be read or written.",
        "无法读取或写入文件 {file}。",
        "Check its name, its place and its permissions.",
        "请检查文件名、位置和权限。",
    ),
    "X1.exists": Rule(
        "{file} exists already; nothing was changed.",
        "{file} 已存在；未作任何更改。",
        "Choose another name or another home directory.",
        "请使用其他名称或其他主目录。",
    ),
    "X1.key": Rule(
        "There is no key called {name} in this home directory.",
        "此主目录中没有名为 {name} 的密钥。",
        "See `alliance keys list`; make one with `alliance keys new {name}`.",
        "请查看 `alliance keys list`；可用 `alliance keys new {name}` 生成。",
    ),
    "X1.name": Rule(
        "The name of a key is made of 1 to 32 small letters, digits and hyphens.",
        "密钥名称由 1 至 32 个小写字母、数字和连字符组成。",
        "Choose another name.",
        "请使用其他名称。",
    ),
    "X1.passphrase": Rule(
        "A new key needs a passphrase of {least} characters or more.",
        "新密钥需要至少 {least} 个字符的口令。",
        "Set ALLIANCE_PASSPHRASE, use --passphrase-file, or run the command on a terminal.",
        "请设置 ALLIANCE_PASSPHRASE、使用 --passphrase-file，或在终端中运行该命令。",
    ),
    "X1.stranger": Rule(
        "The chain knows no holder of the key {name}.",
        "链上没有密钥 {name} 的持有者。",
        "Have it registered with `alliance key register`, or use another key with --key.",
        "请用 `alliance key register` 登记，或用 --key 指定其他密钥。",
    ),
    "X2": Rule(
        "The value given for {field} is not one that the chain takes.",
        "为 {field} 给出的值不被链接受。",
        "See the command's --help and chapter 4 of ledger/SPEC.md.",
        "请查看命令的 --help 和 ledger/SPEC.md 第 4 章。",
    ),
    "X2.file": Rule(
        "{file} does not hold the description of a key.",
        "{file} 不是密钥描述文件。",
        "Make it with `alliance keys public NAME --org ... --capacity ... --subject ...`.",
        "请用 `alliance keys public NAME --org ... --capacity ... --subject ...` 生成。",
    ),
    "X3.count": Rule(
        "{file}, line {line}: {found} fields instead of {expected}.",
        "{file} 第 {line} 行：有 {found} 个字段，应为 {expected} 个。",
        "Correct the line; fields are parted by tabs. Nothing of the files was recorded.",
        "请更正该行；字段以制表符分隔。这些文件的内容均未记录。",
    ),
    "X3.end": Rule(
        "{file}, line {line}: the line does not end in CR and LF.",
        "{file} 第 {line} 行：行尾不是 CR LF。",
        "Take the file as it was published. Nothing of the files was recorded.",
        "请使用原始发布的文件。这些文件的内容均未记录。",
    ),
    "X3.field": Rule(
        "{file}, line {line}: the field {field} cannot be read.",
        "{file} 第 {line} 行：无法读取字段 {field}。",
        "Correct the line. Nothing of the files was recorded.",
        "请更正该行。这些文件的内容均未记录。",
    ),
    "X3.long": Rule(
        "{file}, line {line}: the line is longer than {limit} bytes.",
        "{file} 第 {line} 行：该行超过 {limit} 字节。",
        "Take the file as it was published. Nothing of the files was recorded.",
        "请使用原始发布的文件。这些文件的内容均未记录。",
    ),
    "X3.refused": Rule(
        "{file}, line {line}: the node refused this line by rule {inner}.",
        "{file} 第 {line} 行：节点按规则 {inner} 拒绝该行。",
        "The lines before it are recorded. Remove the cause and import the same files again.",
        "此行之前的内容已记录。请排除原因后重新导入相同文件。",
    ),
    "X4": Rule(
        "The record {id} was accepted, and is not published yet.",
        "记录 {id} 已被接受，但尚未公布。",
        "Ask again with `alliance proof {id}`; sending it again is harmless.",
        "请稍后用 `alliance proof {id}` 查询；重复发送无害。",
    ),
    "X5.content": Rule(
        "{file} is not the content registered as {dataset}.",
        "{file} 的内容与登记的 {dataset} 不符。",
        "Check which version the file is; nothing was recorded or handed out.",
        "请核对文件版本；未作记录，也未输出内容。",
    ),
    "X6.folder": Rule(
        "The folder {folder} holds something that the demo did not make.",
        "目录 {folder} 中有并非由演示生成的内容。",
        "Name another folder with --out.",
        "请用 --out 指定其他目录。",
    ),
    "X6.node": Rule(
        "The demo's node did not answer within {seconds} seconds.",
        "演示节点在 {seconds} 秒内没有应答。",
        "Read the end of {log}.",
        "请查看 {log} 的末尾。",
    ),
    "X7.part": Rule(
        "{file} is not the public part of a founder, or it was damaged (rule {inner}).",
        "{file} 不是创始方的公开部分文件，或已损坏（规则 {inner}）。",
        "Ask its founder for the file that `alliance create part` wrote.",
        "请向该创始方索取 `alliance create part` 写出的文件。",
    ),
    "X7.keys": Rule(
        "The keys in {file} must all be of its own organisation, stand nowhere else and not end, and one must be an officer's (so).",
        "{file} 中的密钥须全部属于其所属机构、不得在别处重复出现、不得有失效时间，且其中须有一个授权人员（so）密钥。",
        "Ask its founder for a part of a home directory that `alliance create part` made.",
        "请该创始方用 `alliance create part` 新建主目录，并索取其公开部分。",
    ),
    "X7.twice": Rule(
        "{file} is of {org}, which another of the given files is of already.",
        "{file} 属于 {org}，而所给文件中已有一份属于该机构。",
        "Give one file of each founder.",
        "每个创始方请只给一份文件。",
    ),
    "X7.absent": Rule(
        "None of the given parts is the one of this home directory.",
        "所给公开部分文件中没有本主目录的那一份。",
        "Give the convener's own part too, as `alliance create part` wrote it.",
        "请同时给出召集方自己的公开部分（由 `alliance create part` 写出）。",
    ),
    "X7.draft": Rule(
        "{file} is not the draft of a genesis, or it was damaged (rule {inner}).",
        "{file} 不是创世草案，或已损坏（规则 {inner}）。",
        "Ask the convener for the file that `alliance create draft` wrote.",
        "请向召集方索取 `alliance create draft` 写出的文件。",
    ),
    "X7.own": Rule(
        "What {file} says of the keys of {org} is not what this home directory holds.",
        "{file} 中关于 {org} 密钥的内容与本主目录持有的密钥不符。",
        "Do not use it. Send the convener the part of this home directory, and ask for a new draft.",
        "请勿使用该文件。请把本主目录的公开部分发给召集方，并索取新的草案。",
    ),
    "X7.stranger": Rule(
        "None of the founders named in {file} has the node key of this home directory.",
        "{file} 列出的创始方中，没有一个使用本主目录的节点密钥。",
        "Check the home directory, and that the convener put its part into the draft.",
        "请核对主目录，并确认召集方已将其公开部分纳入草案。",
    ),
    "X7.convener": Rule(
        "{file} was drafted by {org}; only its home directory can seal block 0.",
        "{file} 由 {org} 起草；只有其主目录能封零号区块。",
        "Send the acceptance to {org}; then `alliance create take` takes the genesis that it finished.",
        "请把接受文件发给 {org}；随后用 `alliance create take` 取用其完成的创世文件。",
    ),
    "X7.acceptance": Rule(
        "{file} is not the acceptance of a founder, or it was damaged (rule {inner}).",
        "{file} 不是创始方的接受文件，或已损坏（规则 {inner}）。",
        "Ask its founder for the file that `alliance create accept` wrote.",
        "请向该创始方索取 `alliance create accept` 写出的文件。",
    ),
    "X7.other": Rule(
        "{file} is the acceptance by {org} of another draft.",
        "{file} 是 {org} 对另一份草案的接受。",
        "Send {org} this draft, and ask for its acceptance.",
        "请把本草案发给 {org}，并索取其接受文件。",
    ),
    "X7.missing": Rule(
        "The acceptance of these founders is missing: {orgs}.",
        "缺少以下创始方的接受文件：{orgs}。",
        "Ask them for it; a draft that one of them does not want must be made again without them.",
        "请向其索取；若其中有机构不愿接受，须重新起草不含该机构的草案。",
    ),
    "X7.genesis": Rule(
        "{file} is not a genesis file, or it was damaged (rule {inner}).",
        "{file} 不是创世文件，或已损坏（规则 {inner}）。",
        "Ask the convener for the file that `alliance create finish` wrote.",
        "请向召集方索取 `alliance create finish` 写出的文件。",
    ),
    "X11.file": Rule(
        "{file} is not a workbook (.xlsx), or it is damaged.",
        "{file} 不是工作簿文件（.xlsx），或已损坏。",
        "Give the register as it was published.",
        "请提供登记册的原始发布文件。",
    ),
    "X11.large": Rule(
        "{file} unpacks into more than {limit} bytes.",
        "{file} 解压后超过 {limit} 字节。",
        "Give the register as it was published.",
        "请提供登记册的原始发布文件。",
    ),
    "X11.period": Rule(
        "The name of {file} does not say which days the register covers.",
        "文件名 {file} 未标明登记册所涵盖的日期。",
        "Keep its published name, like releaseregister_20210201_20210228.xlsx.",
        "请保留其发布时的文件名，例如 releaseregister_20210201_20210228.xlsx。",
    ),
    "X11.sheet": Rule(
        "{file} has no sheet {sheet}.",
        "{file} 中没有工作表 {sheet}。",
        "Give a register of data releases in the form of NHS Digital.",
        "请提供 NHS Digital 格式的数据发布登记册。",
    ),
    "X11.column": Rule(
        "The sheet {sheet} of {file} has no column {column}.",
        "{file} 的工作表 {sheet} 中没有 {column} 列。",
        "Give a register of data releases in the form of NHS Digital.",
        "请提供 NHS Digital 格式的数据发布登记册。",
    ),
    "X9": Rule(
        "The command made a mistake and stopped ({kind}).",
        "命令内部出错，已中止（{kind}）。",
        "Run it again with ALLIANCE_DEBUG=1 and report what it prints.",
        "请设置 ALLIANCE_DEBUG=1 后重新运行，并报告其输出。",
    ),
}
