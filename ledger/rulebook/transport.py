"""H: requests between nodes, and what they carry."""

from ledger.rulebook.rule import Rule

SIGN = "Sign the request with the node key in the form that SPEC 11 describes."
SIGN_ZH = "请按 SPEC 第 11 章规定的形式用节点密钥签署请求。"
SAME = "Compare genesis files and software versions of the two nodes."
SAME_ZH = "请比较两个节点的创世文件与软件版本。"

TRANSPORT: dict[str, Rule] = {
    "H1": Rule(
        "The request carries no signature of the one form that is taken.",
        "请求未携带规定形式的签名。",
        SIGN,
        SIGN_ZH,
    ),
    "H2": Rule(
        "The request was signed more than {window} seconds ago or ahead.",
        "请求的签署时间与当前相差超过 {window} 秒。",
        "Set the clocks of both machines; the same content may be sent again.",
        "请校准两台机器的时钟；可重新发送相同内容。",
    ),
    "H3": Rule(
        "The request was received before.",
        "该请求此前已收到。",
        "Sign each request anew, with a nonce of its own.",
        "请为每个请求使用新的随机数重新签署。",
    ),
    "H4": Rule(
        "The body is not the one that was signed.",
        "请求正文与签署内容不符。",
        SIGN,
        SIGN_ZH,
    ),
    "H5": Rule(
        "The key {kid} is no node key of this chain.",
        "密钥 {kid} 不是该链的节点密钥。",
        "Only members in the configuration of this epoch exchange; see `alliance node status`.",
        "只有本纪元配置中的成员可以交换；请查看 `alliance node status`。",
    ),
    "H6": Rule(
        "The signature of the request by key {kid} does not verify.",
        "密钥 {kid} 的请求签名验证失败。",
        SIGN,
        SIGN_ZH,
    ),
    "H7": Rule("The other node is of another chain.", "对方节点属于另一条链。", SAME, SAME_ZH),
    "H8": Rule("The message between nodes cannot be read.", "无法读取节点间消息。", SAME, SAME_ZH),
    "H9": Rule(
        "{org} sends faster than this node takes in; the message was dropped.",
        "{org} 的发送速度超过本节点处理能力；消息已丢弃。",
        "Nothing is lost: what is missing is asked for again.",
        "不会丢失：缺失内容会再次请求。",
    ),
}
