"""The sentences of credit, outputs and certificates, in English and Chinese. A certificate page
prints both.
"""

from typing import Final, NamedTuple


class Text(NamedTuple):
    """One sentence in both languages; `{names}` are filled in."""

    en: str
    zh: str


COMMANDS: Final[dict[str, Text]] = {
    "credit-title": Text(
        "Credit for {name} ({kind}), at height {height}, under policy {policy}",
        "{name}（{kind}）的贡献核算，高度 {height}，策略 {policy}",
    ),
    "credit-pool": Text("   pool {pool}: {points} bp", "   份额池 {pool}：{points} 基点"),
    "credit-share": Text(
        "{points} bp  {party}{held}   {pools}", "{points} 基点  {party}{held}   {pools}"
    ),
    "credit-held": Text(" (held: dispute open)", "（冻结：存在未决争议）"),
    "credit-ack": Text(
        "To be acknowledged: {party} as {role} ({type}), through {path}",
        "须致谢：{party}，角色 {role}（{type}），经由 {path}",
    ),
    "credit-digest": Text(
        "Calculation {digest}; every node comes to the same.", "计算摘要 {digest}；各节点结果相同。"
    ),
    "credit-set": Text(
        "Acknowledgement set: {count} rows. No parameter takes anybody off it.",
        "致谢集合：{count} 行。任何参数都不能将人移除。",
    ),
    "claim-name": Text(
        "Certificates made from now on may print this name. `alliance erase {commit}` withdraws "
        "your consent; copies that were handed out cannot be recalled.",
        "此后制作的凭证可印出该姓名。可用 `alliance erase {commit}` 撤回同意；"
        "已交付的副本无法收回。",
    ),
    "trace-row": Text(
        "{indent}{kind} {name}  ({rel})  {action}", "{indent}{kind} {name}（{rel}）  {action}"
    ),
    "trace-missing": Text("missing: {leaf}", "缺失：{leaf}"),
    "trace-height": Text(
        "{count} records, at height {height}; an index, each record provable by `alliance proof`.",
        "共 {count} 条记录，高度 {height}；此为索引，每条记录可用 `alliance proof` 证明。",
    ),
    "action-ask-again": Text("ask for it again", "重新征询"),
    "action-attest-removal": Text("attest that the data were removed", "出具数据删除证明"),
    "action-check-record": Text("check what was signed with it", "核查用其签署的内容"),
    "action-resolve-findings": Text("resolve the findings", "处置发现项"),
    "action-check-run": Text("check what the run used", "核查该运行所用数据"),
    "action-consider-recall": Text("consider a recall", "考虑召回"),
    "action-hold-result": Text("hold the result back", "暂缓使用该成果"),
    "action-notify-publisher": Text("tell the publisher", "通知出版方"),
    "action-rebuild-dataset": Text("build the version again without it", "去除后重新构建版本"),
    "action-reissue-with-pid": Text("issue again with a pid", "以假名重新颁发"),
    "action-replace-person": Text("put somebody else in their place", "更换人员"),
    "action-review-certificate": Text("let the committee review it", "由委员会复核"),
    "action-review-request": Text("review the request", "复核申请"),
    "action-stop-egress": Text("stop the egress", "停止出域"),
    "action-suspend-permit": Text("suspend the permit", "中止许可"),
    "action-withdraw-notice": Text("let the notice lapse", "令公示失效"),
    "owed": Text(
        "{code} {params}  due {due}  {standing}  {by}",
        "{code} {params}  期限 {due}  {standing}  {by}",
    ),
    "owed-none": Text("The permit owes nothing.", "该许可没有义务。"),
    "owed-MET": Text("met", "已履行"),
    "owed-OPEN": Text("open", "待履行"),
    "owed-OVERDUE": Text("OVERDUE", "已逾期"),
    "owed-BREACHED": Text("BREACHED", "已违反"),
    "owed-BY_HAND": Text("no record can show it", "无法由记录证明"),
    "collecting": Text("collecting receipts", "收集回执"),
    "certificate-written": Text(
        "Certificate file {file}: {count} receipts, {size} bytes. It verifies with the genesis "
        "file alone.",
        "凭证文件 {file}：{count} 份回执，{size} 字节。仅凭创世文件即可核验。",
    ),
    "certificate-printed": Text("Written: {file}", "已写入：{file}"),
    "certificate-line": Text(
        "Certificate {no} for {object}: {status}", "凭证 {no}（{object}）：{status}"
    ),
    "certificate-until": Text(
        "As of {as_of}, valid until {until}; status as of block {height}, {time}",
        "基准日 {as_of}，有效期至 {until}；状态截至区块 {height}，{time}",
    ),
    "certificate-disputed": Text("In dispute: {ids}", "存在争议：{ids}"),
    "certificate-hash": Text("Leaf hash {leaf}, pin {pin}", "叶哈希 {leaf}，固定值 {pin}"),
    "step-form": Text("form of the file", "文件格式"),
    "step-certificate": Text(
        "the certificate and all its records are on the chain", "凭证及其全部记录均在链上"
    ),
    "step-decision": Text("the committee's decision took effect", "委员会决定已生效"),
    "step-evidence": Text(
        "every record that the calculation names says the same", "计算所引用的记录内容一致"
    ),
    "step-calculation": Text(
        "the shares, worked out again, are those signed", "重新计算的份额与签署的一致"
    ),
    "step-status": Text("how the certificate stands", "凭证状态"),
    "certificate-limits-title": Text("What this does not prove", "本凭证不证明的事项"),
    "no-limits-entry": Text(
        "It presumes integrity after entry only: not that the content was true before it was "
        "recorded.",
        "仅推定上链之后未被篡改：不证明上链之前内容真实。",
    ),
    "no-limits-law": Text(
        "It does not prove ownership under law; shares take effect only through agreements.",
        "不证明法律上的权属；份额仅通过协议生效。",
    ),
    "no-limits-unrecorded": Text(
        "It does not prove that there was no use that nobody recorded.",
        "不证明不存在未被记录的使用。",
    ),
    "no-limits-later": Text(
        "It says nothing of what was recorded after the head named above: ask a node for the "
        "current status.",
        "不反映上述链头之后的记录：当前状态请向节点查询。",
    ),
    "no-limits-key": Text(
        "It does not prove that no signing key was stolen before it was revoked.",
        "不证明签名密钥在吊销之前未被盗用。",
    ),
}  # fmt: skip

LIMITS: Final = ("entry", "law", "unrecorded", "later", "key")
"""What no certificate proves (limits, version 1)."""

PAGE: Final[dict[str, Text]] = {
    "page-title": Text("Certificate of Rights and Credit", "权益凭证"),
    "page-no": Text("Number", "凭证编号"),
    "page-issuer": Text("Issued by the management committee of", "颁发：联盟管理委员会"),
    "page-as-of": Text("As of", "基准日"),
    "page-issued": Text("Issued", "颁发时间"),
    "page-until": Text("Valid until", "有效期至"),
    "page-status": Text("Status", "状态"),
    "page-language": Text("Languages", "语言"),
    "page-check-at": Text("Current status at", "当前状态查询"),
    "page-object-title": Text("Title", "标题"),
    "page-pid": Text("Published as", "发表标识"),
    "page-statements": Text("Statements of the issuer", "颁发方陈述"),
    "page-source": Text("Source of the data", "数据来源说明"),
    "page-processing": Text("Processing rules", "处理规则"),
    "page-scenario": Text("Application scenario", "应用场景"),
    "page-update-period": Text("Update period", "更新周期"),
    "page-authorship": Text("Authorship (no right that can be handed on)", "署名（不可转让）"),
    "page-ethics": Text("Ethics approval", "伦理批准"),
    "page-outgoing": Text("What left the alliance", "出域情况"),
    "page-egress": Text("Request, status, files released", "申请、状态、放行文件数"),
    "page-reviewers": Text("Reviewed by", "审查人"),
    "page-impact": Text("Impact assessment (commitment)", "影响评估（承诺值）"),
    "page-inside": Text("Runs recorded at members of the alliance", "在联盟成员处记录的运行"),
    "page-inside-all": Text(
        "{n} of {m}; no transfer across the border is recorded", "{n} / {m}；无跨境传输记录"
    ),
    "page-acknowledgement": Text("Acknowledgement", "致谢用语"),
    "page-citation": Text("Citation", "引用格式"),
    "page-supersedes": Text("Supersedes", "取代"),
    "page-suite": Text("Algorithms and format", "算法与格式"),
    "page-object": Text("Object", "对象"),
    "page-kind": Text("Kind", "类别"),
    "page-name": Text("Name on the chain", "链上名称"),
    "page-digest": Text("Content digest (SHA-256)", "内容摘要（SHA-256）"),
    "page-files": Text("Files", "文件"),
    "page-rights": Text("Rights", "权利"),
    "page-right": Text("Right", "权利类型"),
    "page-holder": Text("Holder", "权利人"),
    "page-scope": Text("Scope", "范围"),
    "page-term": Text("Until", "期限"),
    "page-exclusive": Text("Exclusive", "独占"),
    "page-basis": Text("Basis", "依据"),
    "page-provenance": Text("Provenance", "来源"),
    "page-dataset": Text("Data", "数据"),
    "page-run": Text("Run", "运行"),
    "page-indicator": Text("Indicator", "指标"),
    "page-permit": Text("Permit", "许可"),
    "page-study": Text("Study", "研究"),
    "page-result": Text("Result", "成果"),
    "page-data": Text("Classification of the data", "数据分类分级"),
    "page-class": Text("Class", "类别"),
    "page-level": Text("GB/T 39725 level", "GB/T 39725 级别"),
    "page-identifiability": Text("Identifiability", "可识别性"),
    "page-hgr": Text("Human genetic resources", "人类遗传资源"),
    "page-terms": Text("Use terms", "使用条款"),
    "page-obligations": Text("Obligations under the permits", "许可项下义务"),
    "page-code": Text("Code", "代码"),
    "page-params": Text("Parameters", "参数"),
    "page-due": Text("Due", "期限"),
    "page-nothing": Text("None is stated.", "未注明。"),
    "page-coverage": Text("Uses with evidence from both sides", "双方均有证据的使用"),
    "page-coverage-of": Text("{n} of {m}", "{n} / {m}"),
    "page-acknowledgements": Text(
        "To be acknowledged (no parameter removes anybody)", "须致谢（任何参数不得移除）"
    ),
    "page-party": Text("Party", "主体"),
    "page-role": Text("Role", "角色"),
    "page-degree": Text("Degree", "程度"),
    "page-type": Text("DataCite type", "DataCite 类型"),
    "page-shares": Text("Shares, of 10,000 basis points", "份额（共 10,000 基点）"),
    "page-points": Text("Basis points", "基点"),
    "page-pools": Text("From the pools", "来自份额池"),
    "page-policy": Text("Policy", "策略"),
    "page-calculation": Text("Digest of the calculation", "计算摘要"),
    "page-notice": Text("Public notice", "公示"),
    "page-opens": Text("Opened", "开始"),
    "page-closes": Text("Closed", "结束"),
    "page-outcome": Text("Objections", "异议"),
    "page-none": Text(
        "none open on the certificate or its object", "凭证及其对象均无未决异议"
    ),
    "page-evidence": Text("Evidence", "证据"),
    "page-leaf": Text("Certificate hash (leaf)", "凭证哈希（叶）"),
    "page-place": Text("Place", "位置"),
    "page-place-of": Text("entry {index}, block {height}", "条目 {index}，区块 {height}"),
    "page-head": Text("Published head", "已公布链头"),
    "page-head-of": Text("size {size}, root {root}", "大小 {size}，根 {root}"),
    "page-cosigners": Text("Cosigned by", "联署成员"),
    "page-approved": Text("Approved by", "批准方"),
    "page-pin": Text("Pin of the genesis", "创世固定值"),
    "page-verify": Text("How to check", "核验方法"),
    "page-verify-how": Text(
        "alliance certificate verify FILE --genesis GENESIS (offline; needs these two files only)",
        "alliance certificate verify 文件 --genesis 创世文件（离线；仅需这两个文件）",
    ),
    "page-limits": Text("What this does not prove", "不证明的事项"),
}  # fmt: skip

RIGHTS_TEXTS: Final[dict[str, Text]] = {**COMMANDS, **PAGE}
