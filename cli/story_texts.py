"""The sentences of the story and of the tour, in English and Chinese."""

from typing import Final

from cli.certificate_texts import Text

STORY_TEXTS: Final[dict[str, Text]] = {
    "story-recorded": Text(
        "   on the chain: {type}, entry {index}, block {height}{status}",
        "   已上链：{type}，条目 {index}，区块 {height}{status}",
    ),
    "story-effective": Text("   decided: it takes effect", "   已决定：自此生效"),
    "story-nothing-leaves": Text(
        "   refused by rule {rule}: both reviewers are of one institution. With a second member "
        "the result could leave.",
        "   按规则 {rule} 拒绝：两位审查人属于同一机构。有第二个成员时成果方可出域。",
    ),
    "story-cast": Text(
        "A life of a data use. {hospital} and {clinic} are hospitals, {centre} is a data centre.",
        "一次数据使用的完整过程。{hospital} 与 {clinic} 是两家医院，{centre} 是数据中心。",
    ),
    "story-people": Text("People and offices get their keys", "人员与部门取得密钥"),
    "story-people-why": Text(
        "A principal investigator, an analyst, a clinician, the author of an indicator, an ethics "
        "office, two output checkers. A key stays on its holder's machine; the chain knows a "
        "random pseudonym, never a name.",
        "项目负责人、分析人员、临床医生、指标作者、伦理办公室和两位输出审查人。"
        "密钥留在持有人的机器上；链上只有随机假名，没有姓名。",
    ),
    "story-data": Text(
        "Two hospitals register sepsis data; the data centre derives a standard dataset",
        "两家医院登记脓毒症数据；数据中心由此制作标准数据集",
    ),
    "story-data-why": Text(
        "A version is bound to its files by their digest, and carries its use terms: research on "
        "sepsis alone, results are published, two reviewers before anything leaves. Both sources' "
        "custodians sign what is derived from theirs. An indicator is registered by its "
        "definition.",
        "版本以文件摘要绑定内容，并附使用条款：仅限脓毒症研究、成果须发表、出域须两人审查。"
        "由两家数据派生的版本须两家保管方签署。指标按其定义登记。",
    ),
    "story-study": Text("A study begins: {study}", "研究立项：{study}"),
    "story-study-why": Text(
        "The officer of the leading hospital and the principal investigator both sign; the title "
        "goes to the vault, the chain keeps a commitment to it. The ethics office adds its "
        "approval under its own key.",
        "牵头医院授权人员与项目负责人共同签署；题目存入保管库，链上只有对它的承诺。"
        "伦理办公室用自己的密钥给出批准。",
    ),
    "story-request": Text("The study asks for data: {request}", "研究申请数据：{request}"),
    "story-request-why": Text(
        "The use terms are matched with the study: the same answer at every node, with what the "
        "study will owe. The match decides nothing: people review.",
        "使用条款与研究匹配：各节点结论一致，并列出研究将承担的义务。匹配不作决定：由人审查。",
    ),
    "story-decision": Text(
        "The management committee decides (members: {count}); permit {permit} is put into force",
        "管理委员会作出决定（成员数：{count}）；许可 {permit} 生效",
    ),
    "story-decision-why": Text(
        "Two thirds of the members and the data's custodian must sign; each signature is a record. "
        "Then an officer of each side activates the permit.",
        "须三分之二成员和数据保管方签署；每个签名都是一条记录。随后双方授权人员激活许可。",
    ),
    "story-analysis": Text(
        "A real script runs on real files at the data centre", "真实程序在数据中心对真实文件运行"
    ),
    "story-analysis-why": Text(
        "The file is compared with the registered version and handed out on the record; the "
        "wrapper fingerprints inputs, program and output, and keeps the exit code.",
        "文件与登记的版本比对后方在链上交付；包装程序记录输入、程序、输出的指纹和退出码。",
    ),
    "story-outside": Text(
        "Somebody else reads the data under permit {permit}",
        "另有他人以许可 {permit} 的名义读取数据",
    ),
    "story-outside-why": Text(
        "Not on the permit, and for another purpose. A ledger that refused this record would hide "
        "the breach: it is taken, with findings that every node computes.",
        "此人不在许可之列，用途也不同。拒收该记录等于掩盖违规：链照样收录，并附各节点一致的发现项。",
    ),
    "story-result": Text(
        "The table becomes result {result}, and leaves through two reviewers",
        "结果表登记为成果 {result}，经两人审查后出域",
    ),
    "story-result-why": Text(
        "The result names its run by hash. Its disclosure check is attached; two checkers of two "
        "institutions, neither of them an author, vote on every file before it is released.",
        "成果以哈希指明其运行，并附披露检查结果；两家机构的两位非作者审查人逐文件表决后方可放行。",
    ),
    "story-credit": Text("Who did what", "谁做了什么"),
    "story-credit-why": Text(
        "Each claims a part; somebody else, who answers for the object, confirms it. From this and "
        "the chain's own evidence every node computes the same shares.",
        "各人声明其贡献；由对该对象负责的他人确认。据此与链上证据，各节点算出相同的份额。",
    ),
    "story-certificate": Text(
        "Public notice, then the certificate of rights {certificate}",
        "公示，随后颁发权益凭证 {certificate}",
    ),
    "story-certificate-why": Text(
        "What is to be certified is shown first and may be objected to; here the alliance was "
        "founded with no days to wait. Committee and custodian sign exactly what was shown.",
        "拟认证内容先行公示，可提异议；本联盟创立时设定公示期为零天。委员会与保管方签署的正是所公示的内容。",
    ),
    "story-stranger": Text(
        "A stranger with two files checks the certificate, and prints it",
        "外人仅凭两个文件核验并打印凭证",
    ),
    "story-stranger-why": Text(
        "The certificate and the genesis file are enough: no node, no network, no key, nobody's "
        "word.",
        "凭证文件与创世文件即已足够：无需节点、网络、密钥，也不必相信任何人。",
    ),
    "tour-welcome": Text(
        "One whole life of a data use, in about five minutes, on a scratch ledger in {folder}.\n"
        "One institution, h1, plays hospital, second hospital and data centre, and all offices. "
        "Each line that begins with $ is what a person would type.",
        "用约五分钟走完一次数据使用的完整过程，账本临时建于 {folder}。\n"
        "一家机构 h1 兼任两家医院、数据中心及各部门。以 $ 开头的行即人们实际输入的命令。",
    ),
    "tour-enter": Text("[Enter to continue]", "[按回车继续]"),
    "tour-init": Text("An institution founds a ledger", "机构创建账本"),
    "tour-init-why": Text(
        "Keys, the first block, settings. The pin that it prints is all that an auditor must hold.",
        "生成密钥、首个区块和设置。输出的固定值是审计者唯一需要持有的东西。",
    ),
    "tour-node": Text("Its node starts", "节点启动"),
    "tour-node-why": Text(
        "Commands sign on their user's machine and post to the node; the node seals blocks and "
        "answers with receipts.",
        "命令在使用者的机器上签名并提交给节点；节点封装区块并返回回执。",
    ),
    "tour-ask": Text("Where the result comes from", "成果从何而来"),
    "tour-ask-why": Text(
        "The chain is asked backwards, from the result to the data; then what the permit owes.",
        "从成果反向查询到数据；再查看许可尚欠的义务。",
    ),
    "tour-audit": Text("An auditor checks everything", "审计者核验全部内容"),
    "tour-audit-why": Text(
        "The whole chain as plain files; every signature, rule and finding is worked out again, "
        "without the node.",
        "整条链导出为普通文件；不依赖节点，逐一重新核验签名、规则与发现项。",
    ),
    "tour-end": Text(
        "That was all of it. Next: `alliance init` for a ledger of your own, `alliance --help` for "
        "all commands, `alliance demo` for four institutions.",
        "到此结束。接下来：`alliance init` 创建自己的账本，`alliance --help` 查看全部命令，"
        "`alliance demo` 演示四家机构。",
    ),
    "tour-kept": Text("Everything is in {folder}.", "全部文件位于 {folder}。"),
}
