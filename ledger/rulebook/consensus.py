"""R: agreement. R1 to R12 are the protocol's own rules; R20 and above are what a stranger's bytes
must fulfil.
"""

from ledger.rulebook.rule import Rule

_OPERATOR = ("Ask the operator of that node to look at it.", "请该节点的运维人员检查。")
_CONFIG = (
    "Correct the configuration, then sign and submit it again.",
    "请改正配置后重新签名并提交。",
)

CONSENSUS: dict[str, Rule] = {
    "R20": Rule(
        "A consensus message is not of the one form that its format allows ({what}).",
        "共识消息不符合其格式规定的唯一形式（{what}）。",
        *_OPERATOR,
    ),
    "R21": Rule(
        "A certificate does not belong to epoch {epoch} and its configuration.",
        "证书不属于第 {epoch} 纪元及其配置。",
        "Give the certificate together with the configuration of its own epoch.",
        "请将证书与其所属纪元的配置一并提供。",
    ),
    "R22": Rule(
        "A certificate names a member with index {index}, but the epoch has {members} members.",
        "证书写有序号为 {index} 的成员，而该纪元只有 {members} 个成员。",
        *_OPERATOR,
    ),
    "R23": Rule(
        "A certificate holds {signatures} signatures; the quorum of the epoch is {quorum}.",
        "证书含有 {signatures} 个签名；该纪元的法定人数为 {quorum}。",
        "Wait for more members, or fetch the complete certificate.",
        "请等待更多成员，或取得完整的证书。",
    ),
    "R24": Rule(
        "The signature of member {index} on a consensus message does not verify.",
        "成员 {index} 在共识消息上的签名未通过验证。",
        *_OPERATOR,
    ),
    "R25": Rule(
        "A proposal for view {view} comes from member {index}, who does not lead that view.",
        "第 {view} 轮视图的提案来自成员 {index}，而该成员并非该视图的主持者。",
        *_OPERATOR,
    ),
    "R26": Rule(
        "Two signed messages were offered as evidence, but together they break no rule.",
        "作为证据提交的两条签名消息并未共同违反任何规则。",
        "Submit two messages of one member in one view that contradict each other.",
        "请提交同一成员在同一视图中相互矛盾的两条消息。",
    ),
    "R30": Rule(
        "An epoch needs 1 to {limit} members; the configuration lists {members}.",
        "一个纪元需有 1 至 {limit} 个成员；配置中列有 {members} 个。",
        *_CONFIG,
    ),
    "R31": Rule(
        "The members of the configuration are not in strict order of their node keys.",
        "配置中的成员未严格按节点公钥排序。",
        *_CONFIG,
    ),
    "R32": Rule(
        "A key or an organisation stands twice in the configuration ({what}).",
        "配置中有重复的密钥或机构（{what}）。",
        "Give each member one entry and each role its own key.",
        "请为每个成员只列一条记录，并为每个角色使用各自的密钥。",
    ),
    "R33": Rule(
        "The quorum {quorum} is not allowed for {members} members: {least} to {members} are.",
        "对 {members} 个成员而言，法定人数 {quorum} 不被允许；应为 {least} 至 {members}。",
        *_CONFIG,
    ),
    "R34": Rule(
        "{leaders} members may lead, and {offline} may be offline; more must be able to lead.",
        "可主持的成员有 {leaders} 个，而可离线的成员为 {offline} 个；可主持者至少须多一个。",
        *_CONFIG,
    ),
    "R35": Rule(
        "The limit {what} of the configuration is out of range.",
        "配置中的限值 {what} 超出范围。",
        *_CONFIG,
    ),
    "R36": Rule(
        "The next configuration must be epoch {epoch} of the same chain, with no older rules.",
        "下一份配置必须是同一条链的第 {epoch} 纪元，且规则版本不得更旧。",
        *_CONFIG,
    ),
    "R37": Rule(
        "A configuration is not of the one form that its format allows.",
        "配置不符合其格式规定的唯一形式。",
        *_CONFIG,
    ),
    "R38": Rule(
        "Block {height} of a run does not follow, or its certificate does not make it final.",
        "一段区块中第 {height} 个高度的区块不相衔接，或其证书不足以使其最终确定。",
        *_OPERATOR,
    ),
    "R40": Rule(
        "A row of the vote journal cannot be read.",
        "投票日志中有一行无法读取。",
        "Start the node with its journal in doubt, so that it recovers in quarantine.",
        "请以“日志存疑”方式启动节点，使其在隔离状态下恢复。",
    ),
}
