"""S: structure; K: keys; G: governance; D: catalogue; U: use; E: endorsements."""

from ledger.rulebook.rule import Rule

STRUCTURE = {
    "S1": Rule(
        "The record does not fit the closed schema of its type at {field}.",
        "记录在 {field} 处不符合其类型的封闭模式。",
        "Correct or remove that field; unknown fields are never accepted.",
        "请更正或删除该字段；不接受未知字段。",
    ),
    "S1.tail": Rule(
        "The payload does not end in the type and version of a record.",
        "载荷未以记录的类型和版本结尾。",
        "Build the record with this project's tools; the payload must be canonical JSON of version 1.",
        "请用本项目工具生成记录；载荷须为版本 1 的规范 JSON。",
    ),
    "S1.type": Rule(
        "No record type is called {type}.",
        "没有名为 {type} 的记录类型。",
        "Use one of the types of SPEC.md; a newer type needs newer software.",
        "请使用 SPEC.md 中的类型；较新的类型需要较新的软件。",
    ),
    "S2": Rule(
        "The payload is not in canonical form (RFC 8785): its re-encoding gives other bytes.",
        "载荷不是规范形式（RFC 8785）：重新编码得到不同的字节。",
        "Sort the keys, remove spaces and duplicate keys, and leave out empty optional fields.",
        "请对键排序，去除空格与重复键，并省略空的可选字段。",
    ),
    "S2.json": Rule(
        "The payload is not JSON.",
        "载荷不是 JSON。",
        "Build the record with this project's tools.",
        "请用本项目工具生成记录。",
    ),
    "S3.unknown": Rule(
        "The chain knows no key {kid}.",
        "链上没有密钥 {kid}。",
        "Register the key first; it may sign from the block after its registration.",
        "请先注册该密钥；注册所在区块之后的区块起方可签名。",
    ),
    "S3.other": Rule(
        "The entry names the organisation {org}, but its key belongs to {owner}, or has another algorithm.",
        "条目所称机构为 {org}，而其密钥属于 {owner}，或算法不同。",
        "Sign with a key of the organisation that the entry names.",
        "请使用条目所称机构的密钥签名。",
    ),
    "S3.capacity": Rule(
        "A key of capacity {capacity} may not sign records of type {type}.",
        "身份为 {capacity} 的密钥不得签署类型为 {type} 的记录。",
        "Sign with a key whose capacity may do so.",
        "请使用具有相应身份的密钥签名。",
    ),
    "S3.revoked": Rule(
        "The key was revoked at height {height}.",
        "该密钥已在高度 {height} 被吊销。",
        "Sign with a key that is in force.",
        "请使用有效的密钥签名。",
    ),
    "S3.expired": Rule(
        "The key has expired, and this record confers a right.",
        "该密钥已过期，而此记录授予权利。",
        "Register a new key and sign with it; evidence under an expired key is still accepted, with a finding.",
        "请注册新密钥并用其签名；用过期密钥签署的证据仍被接受，并附带发现项。",
    ),
    "S3.early": Rule(
        "The key is not valid yet, and this record confers a right.",
        "该密钥尚未生效，而此记录授予权利。",
        "Wait until the key's window opens, or sign with another key.",
        "请等待密钥生效，或使用其他密钥签名。",
    ),
    "S3.signature": Rule(
        "The signature of this entry of {org} does not verify.",
        "{org} 的此条目签名验证失败。",
        "Sign the exact bytes again; if they came from elsewhere, do not trust them.",
        "请对原始字节重新签名；若字节来自他处，请勿信任。",
    ),
    "S4": Rule(
        "The record refers to the entry {leaf}, which is not on this chain.",
        "记录引用的条目 {leaf} 不在本链上。",
        "Refer to an earlier entry by its leaf hash; wait until it is final.",
        "请用叶哈希引用更早的条目；并等待其最终确认。",
    ),
    "S5": Rule(
        "The record says that it happened at {at}, more than five minutes after the block's time.",
        "记录所述发生时间 {at} 晚于区块时间五分钟以上。",
        "Check the clock of the machine that made the record.",
        "请检查生成该记录的机器时钟。",
    ),
    "S6": Rule(
        "The id {id} is already used by this key with another content.",
        "该密钥已将编号 {id} 用于其他内容。",
        "Give the new record a new id; the earlier record stands.",
        "请为新记录使用新的编号；原有记录保持不变。",
    ),
    "S7": Rule(
        "The organisation {org} may not write this record; its status is {status}.",
        "机构 {org} 不得写入此记录；其状态为 {status}。",
        "Ask the committee; a suspended organisation may still write evidence.",
        "请联系联盟管理委员会；被暂停的机构仍可写入证据。",
    ),
    "S8": Rule(
        "The field {field} of the record holds personal data: a text of the form {pattern}.",
        "记录的字段 {field} 含有个人信息：存在{pattern}形式的文本。",
        "Replace it by a pseudonym or a code; personal data never go on the chain.",
        "请替换为假名或代码；个人信息不得上链。",
    ),
    "S9": Rule(
        "The payload is held by {holder}, which is no member.",
        "载荷的持有者 {holder} 不是成员。",
        "Name members of the alliance as holders.",
        "请指定联盟成员为持有者。",
    ),
    "S10": Rule(
        "The entry has {size} bytes; 65,535 are allowed.",
        "条目有 {size} 字节；上限为 65,535 字节。",
        "Put large content into a payload outside the chain and commit to it.",
        "请将大内容放在链外载荷中，并在链上提交承诺。",
    ),
    "S11.missing": Rule(
        "A record that confers a right must say until when it may be included (not_after).",
        "授予权利的记录须注明最晚收录时间（not_after）。",
        "Add not_after.",
        "请添加 not_after。",
    ),
    "S11.late": Rule(
        "The record could be included until {not_after} only.",
        "该记录最晚只能在 {not_after} 前收录。",
        "Sign it again with a later not_after.",
        "请以更晚的 not_after 重新签署。",
    ),
    "S11.evidence": Rule(
        "Evidence never expires: this type carries no not_after.",
        "证据不会过期：此类型不带 not_after。",
        "Leave not_after out.",
        "请省略 not_after。",
    ),
    "S12": Rule(
        "The record was signed for another chain.",
        "该记录是为另一条链签署的。",
        "Sign it for this chain; see the genesis for its id.",
        "请为本链签署；链标识见创世文件。",
    ),
    "S13": Rule(
        "The header's subject is {sub}; from type and body it is {expected}.",
        "头部主体为 {sub}；由类型和正文推导应为 {expected}。",
        "Set the subject to the derived one.",
        "请将主体设为推导值。",
    ),
}

GOVERNANCE = {
    "K1": Rule(
        "The key id {kid} is not that of the key described.",
        "密钥标识 {kid} 与所述密钥不符。",
        "Derive the id from the public key.",
        "请由公钥推导标识。",
    ),
    "K2": Rule(
        "The key {kid} is registered already.",
        "密钥 {kid} 已注册。",
        "A key is registered once; make a new one.",
        "密钥只能注册一次；请生成新密钥。",
    ),
    "K3": Rule(
        "The key belongs to {org}; only its own officers or the committee may decide on it.",
        "该密钥属于 {org}；只有其授权人员或委员会可作决定。",
        "Have an officer of that organisation sign.",
        "请由该机构的授权人员签署。",
    ),
    "K4": Rule(
        "The key's validity ends before it begins.",
        "密钥有效期的结束早于开始。",
        "Correct valid_from and valid_until.",
        "请更正 valid_from 与 valid_until。",
    ),
    "K5": Rule(
        "There is no key {kid} in force that could be revoked.",
        "没有可吊销的有效密钥 {kid}。",
        "Check the id; a revoked key stays revoked.",
        "请核对标识；已吊销的密钥保持吊销。",
    ),
    "K6.registrar": Rule(
        "A registrar registers and revokes keys of persons only.",
        "登记员只能登记和吊销个人密钥。",
        "Have an officer sign for other keys.",
        "其他密钥请由授权人员签署。",
    ),
    "K6.committee": Rule(
        "The committee decides on officers' keys (so) only.",
        "委员会只决定授权人员（so）的密钥。",
        "Have an officer of the organisation sign for other keys.",
        "其他密钥请由该机构授权人员签署。",
    ),
    "K7": Rule(
        "The pid {person} belongs to another organisation.",
        "pid {person} 属于其他机构。",
        "Draw a new pid: 128 random bits for each person and study.",
        "请重新生成 pid：每人每研究 128 位随机数。",
    ),
    "K8": Rule(
        "The key of {subject} ({org}) does not prove, for this chain, that its holder wants it registered so.",
        "{org} 的 {subject} 的密钥未能证明其持有人同意在本链上如此登记。",
        "Have the holder make the description with `alliance keys public`, for this chain, organisation, capacity and subject.",
        "请由密钥持有人用 `alliance keys public` 按本链、机构、权限和主体生成描述。",
    ),
    "G1": Rule(
        "{action} is not possible for {org}, whose status is {status}.",
        "{org} 的状态为 {status}，不能执行 {action}。",
        "See the table of membership transitions in SPEC.md.",
        "参见 SPEC.md 中的成员状态转换表。",
    ),
    "G2": Rule(
        "An admission states the kind of organisation and its first officer keys; other actions state neither keys nor uscc.",
        "接纳须写明机构类别及首批授权人员密钥；其他操作不得带密钥或统一社会信用代码。",
        "Complete or shorten the record accordingly.",
        "请据此补全或删减记录。",
    ),
    "G3": Rule(
        "A key in the admission of {org} is another organisation's or is registered already.",
        "接纳 {org} 的记录中有密钥属于其他机构或已注册。",
        "Name new keys of the joining organisation.",
        "请使用新加入机构的新密钥。",
    ),
    "G4": Rule(
        "{uscc} is not a unified social credit code: its check character is wrong.",
        "{uscc} 不是有效的统一社会信用代码：校验码错误。",
        "Copy the code from the certificate again.",
        "请按证书重新填写。",
    ),
    "G5": Rule(
        "The code {uscc} belongs to another member.",
        "代码 {uscc} 属于另一成员。",
        "One organisation is a member once.",
        "同一机构只能加入一次。",
    ),
    "G6": Rule(
        "The record refers to no resolution of the committee that is in effect.",
        "记录未引用已生效的委员会决议。",
        "Record the resolution and have the committee endorse it first; then refer to it"
        " (rel: resolution).",
        "请先记录决议并由委员会背书，再引用之（rel: resolution）。",
    ),
    "G7": Rule(
        "The policy does not follow the newest one: it must refer to it (rel: previous) and count one up.",
        "该策略未接续最新策略：须引用之（rel: previous）且版本加一。",
        "Refer to the newest policy's leaf hash and take the next version.",
        "请引用最新策略的叶哈希并使用下一版本号。",
    ),
    "G8": Rule(
        "A policy may not ask for fewer than two reviewers.",
        "策略要求的审查人不得少于两名。",
        "Set min_reviewers to 2 or more.",
        "请将 min_reviewers 设为 2 或以上。",
    ),
    "G9": Rule(
        "A quorum is a share of the members and cannot exceed one.",
        "法定人数是成员的一个比例，不得超过一。",
        "Correct the quorum.",
        "请更正法定人数。",
    ),
    "G10": Rule(
        "A policy never edits the past: effective_from lies before the block's time.",
        "策略不得改写过去：effective_from 早于区块时间。",
        "Set effective_from to a later time.",
        "请将 effective_from 设为更晚时间。",
    ),
    "G11": Rule(
        "More votes are counted than people were present.",
        "计票数多于到会人数。",
        "Correct the votes.",
        "请更正票数。",
    ),
    "G12": Rule(
        "The resolution did not pass: it needs more votes in favour than against.",
        "决议未通过：赞成票须多于反对票。",
        "Only passed resolutions are recorded.",
        "只记录已通过的决议。",
    ),
    "G13": Rule(
        "A resolution with the number {no} is on the chain already.",
        "编号为 {no} 的决议已在链上。",
        "Use the resolution's own number.",
        "请使用该决议自己的编号。",
    ),
    "E1": Rule(
        "The endorsement claims the capacity {capacity}; its key has {own}.",
        "背书声明的身份为 {capacity}；其密钥身份为 {own}。",
        "State the capacity of the key.",
        "请填写密钥的身份。",
    ),
    "E2": Rule(
        "The entry {target} is not a record that can be endorsed.",
        "条目 {target} 不是可背书的记录。",
        "Endorse a rights-conferring record by its leaf hash.",
        "请按叶哈希背书授予权利的记录。",
    ),
}

EPOCHS = {
    "G14": Rule(
        "The configuration lists {org}, which is no member of the alliance.",
        "配置中列有 {org}，而该机构不是联盟成员。",
        "Have the committee admit the organisation first, or leave it out.",
        "请先由委员会接纳该机构，或将其移除。",
    ),
    "G15": Rule(
        "The key {kid}, listed for {org}, has another owner or another role already.",
        "为 {org} 列出的密钥 {kid} 已有其他持有者或其他角色。",
        "One key, one role: make a new key for this one.",
        "一把密钥只有一个角色：请为此角色生成新密钥。",
    ),
    "G16": Rule(
        "The configuration {config} is not the pending one.",
        "配置 {config} 不是待激活的配置。",
        "Ask a node for the pending configuration; it may have been replaced or activated.",
        "请向节点查询待激活的配置；它可能已被替换或已激活。",
    ),
    "G17": Rule(
        "The node key {kid} is not listed in the pending configuration.",
        "节点密钥 {kid} 未列入待激活的配置。",
        "Sign with the node key that the pending configuration lists for this organisation.",
        "请使用待激活配置为该机构列出的节点密钥签名。",
    ),
    "G18": Rule(
        "{org} has declared itself ready for this configuration already.",
        "{org} 已声明为此配置就绪。",
        "Nothing more is needed from this member.",
        "该成员无须再做任何事。",
    ),
    "G19": Rule(
        "The pending configuration follows rules of version {version}, which this node does not support.",
        "待激活的配置遵循规则版本 {version}，而该节点不支持。",
        "Install software that knows these rules, then declare readiness again.",
        "请安装支持该规则版本的软件，然后重新声明就绪。",
    ),
    "G20": Rule(
        "The endpoint is that of {org}; an organisation states its own only.",
        "该接入点属于 {org}；机构只能声明自己的接入点。",
        "Have an officer of that organisation sign.",
        "请由该机构的授权人员签署。",
    ),
    "G21": Rule(
        "An address of the endpoint is not of the form https://host:port.",
        "接入点的地址不符合 https://主机:端口 的形式。",
        "Give scheme, host and port, and nothing after them.",
        "请只填写协议、主机和端口。",
    ),
    "G22": Rule(
        "These are not two words of the kind {kind} in an epoch up to now; the epoch given is {epoch}.",
        "这不是截至目前某一纪元中 {kind} 类的两条消息；所给纪元为 {epoch}。",
        "State the epoch of both words, and the kind that they are of.",
        "请填写两条消息所属的纪元及其类别。",
    ),
}

CATALOGUE = {
    "D1": Rule(
        "The custodian of the data is {custodian}; {org} cannot register them.",
        "数据保管方为 {custodian}；{org} 不能登记。",
        "Have the custodian's officer sign.",
        "请由保管方授权人员签署。",
    ),
    "D2": Rule(
        "The series id {series} is taken, holds an @, or begins like a payload (`payload/`).",
        "系列标识 {series} 已被占用、含有 @，或以载荷前缀 `payload/` 开头。",
        "Choose another series id.",
        "请选择其他系列标识。",
    ),
    "D3": Rule(
        "The alias {alias} is taken.",
        "别名 {alias} 已被占用。",
        "An alias names one data resource in the whole alliance.",
        "别名在全联盟内只指一个数据资源。",
    ),
    "D4": Rule(
        "No data resource {series} is registered.",
        "未登记数据资源 {series}。",
        "Register the dataset first.",
        "请先登记数据集。",
    ),
    "D5": Rule(
        "The version {name} is registered already.",
        "版本 {name} 已登记。",
        "Give the new content a new version.",
        "请为新内容使用新版本。",
    ),
    "D6": Rule(
        "Core data (核心数据) are not registered on the chain.",
        "核心数据不上链登记。",
        "Handle core data outside the alliance's ledger.",
        "核心数据请在联盟账本之外处理。",
    ),
    "D7": Rule(
        "The coverage ends before it begins.",
        "覆盖时段的结束早于开始。",
        "Correct the dates.",
        "请更正日期。",
    ),
    "D8": Rule(
        "The source {leaf} is not a registered version.",
        "来源 {leaf} 不是已登记的版本。",
        "Name sources by the leaf hash of their version record.",
        "请按版本记录的叶哈希指明来源。",
    ),
    "D9": Rule(
        "{code} is no use term, stands twice, or has other parameters than it takes.",
        "{code} 不是使用条款代码、重复出现或参数不符。",
        "See the table of use terms in SPEC 5.9; dates are 2026-11-23, months are a number.",
        "请参见 SPEC 5.9 的使用条款表；日期形如 2026-11-23，月数为整数。",
    ),
    "D10": Rule(
        "{leaf} is no decision that gave a permit.",
        "{leaf} 不是授予许可的决定。",
        "Name the decision under which the sources were used, or none: their custodians then endorse.",
        "请引用使用来源数据所依据的许可决定；若无，则由其保管方背书。",
    ),
    "D11": Rule(
        "A party of {org} is no member, no unit of one, and nobody whose key is registered there.",
        "{org} 的参与方既非成员或其科室，也非已在该处登记密钥的人员。",
        "Name a member, and of it either a unit or a pid with a key.",
        "请填写成员机构，以及其科室或已登记密钥的 pid 之一。",
    ),
    "D12": Rule(
        "{leaf} is no version that can be withdrawn.",
        "{leaf} 不是可撤回的版本。",
        "Name the record that registered the version; it must be in effect and not withdrawn.",
        "请引用已生效且未撤回的版本登记记录。",
    ),
    "D13": Rule(
        "The indicator version {name} is registered already.",
        "指标版本 {name} 已登记。",
        "Choose a new version.",
        "请使用新的版本号。",
    ),
    "D14": Rule(
        "{name} does not follow: an indicator's versions are of one organisation, each naming the one before.",
        "{name} 不衔接：指标的各版本须属同一机构，并逐一引用前一版本。",
        "Name the newest version as predecessor, or choose another code for another indicator.",
        "请将最新版本列为前一版本；不同指标请使用其他代码。",
    ),
    "D15": Rule(
        "Part {part} does not belong to the vocabulary {root}.",
        "第 {part} 部分不属于词表 {root}。",
        "Build the parts from one file with `alliance vocabulary load`.",
        "请用 `alliance vocabulary load` 由同一文件生成各部分。",
    ),
}

USE = {
    "I1": Rule(
        "The register's period begins after it ends.",
        "登记册的起始日期晚于结束日期。",
        "Correct the period.",
        "请更正期间。",
    ),
    "I2": Rule(
        "The agreement lists the same data twice.",
        "协议重复列出相同的数据。",
        "List each once.",
        "每项请只列一次。",
    ),
    "U1": Rule(
        "A batch holds either events or the summary of events.",
        "批次要么含事件，要么含事件摘要。",
        "Give exactly one of the two.",
        "请二者择一。",
    ),
    "U2": Rule(
        "The summary's count does not fit its first and last number.",
        "摘要的数量与其首末编号不符。",
        "Correct count, first_seq or last_seq.",
        "请更正 count、first_seq 或 last_seq。",
    ),
    "U3": Rule(
        "A summary may cover {limit} events at most.",
        "摘要最多涵盖 {limit} 个事件。",
        "Split it.",
        "请拆分。",
    ),
    "U4": Rule(
        "The events of a summary are kept as a T2 payload, to which the record commits.",
        "摘要的事件须作为 T2 载荷保存，并由记录作出承诺。",
        "Add the payload's commitment.",
        "请添加载荷承诺。",
    ),
    "U5": Rule(
        "The corrected entry is {org}'s; only its author's organisation may correct it.",
        "被更正的条目属于 {org}；只有作者机构可以更正。",
        "Ask that organisation, or open a dispute.",
        "请联系该机构，或提出争议。",
    ),
    "U6": Rule(
        "A correction holds either the new value or a commitment to it.",
        "更正要么含新值，要么含对新值的承诺。",
        "Give exactly one of the two.",
        "请二者择一。",
    ),
    "U7": Rule(
        "A use ends after it began, and not after it is recorded; this one ends at {at}.",
        "使用的结束时间须晚于开始时间，且不得晚于记录时间；此处结束时间为 {at}。",
        "Correct the times, or leave out the end.",
        "请更正时间，或省略结束时间。",
    ),
    "U8": Rule(
        "The run ended before it began.",
        "运行的结束早于开始。",
        "Correct the two times.",
        "请更正两个时间。",
    ),
    "U9": Rule(
        "An input has no name; a file is known by its digest, anything else by its name.",
        "输入缺少标识；文件以摘要标识，其他以名称标识。",
        "Give the name of the dataset or result, or the digest of the file.",
        "请填写数据集或成果的名称，或文件的摘要。",
    ),
    "U10": Rule(
        "The incident was contained before it was detected.",
        "事件的控制时间早于发现时间。",
        "Correct the two times.",
        "请更正两个时间。",
    ),
}

DOMAIN: dict[str, Rule] = {**STRUCTURE, **GOVERNANCE, **EPOCHS, **CATALOGUE, **USE}
