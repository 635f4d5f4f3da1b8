"""H: who sends a request, and what nodes carry to one another."""

from ledger.rulebook.rule import Rule

SIGN = "Sign the request in the form that SPEC 13.1 describes, with a key that the chain names; the command line does so by itself (`--key`)."
SIGN_ZH = "请按 SPEC 13.1 规定的形式、用链上登记的密钥签署请求；命令行会自动签署（`--key`）。"
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
        "The request was signed more than {window} seconds before or after this node's clock, which says {now}, or before the node started.",
        "请求的签署时间与本节点时钟（{now}）相差超过 {window} 秒，或早于节点启动时间。",
        "Set the clock of one of the two machines, and sign the request anew.",
        "请校准其中一台机器的时钟，然后重新签署请求。",
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
        "The key {kid} is none that this chain names for requests, or it was revoked.",
        "密钥 {kid} 不是链上可用于请求的密钥，或已被吊销。",
        "Use a key of a member, a person or a system that is registered (`alliance key register`); between nodes only members of this epoch speak.",
        "请使用已登记的成员、人员或系统密钥（`alliance key register`）；节点之间只有本纪元成员可以通信。",
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
    "H10": Rule(
        "This key has signed too many requests in the last minutes.",
        "该密钥在最近几分钟内签署的请求过多。",
        "Send entries in bundles, and wait {seconds} seconds.",
        "请将条目打包提交，并等待 {seconds} 秒。",
    ),
    "H11": Rule(
        "This author asks more often than {rate} times a second.",
        "该请求者的请求超过每秒 {rate} 次。",
        "Wait {seconds} second(s), then send the same request again; send entries in bundles.",
        "请等待 {seconds} 秒后重发同一请求；条目请打包提交。",
    ),
    "H12": Rule(
        "{limit} requests of this author are in work already.",
        "该请求者已有 {limit} 个请求正在处理。",
        "Wait for their answers, then send the same request again.",
        "请等待其答复后重发同一请求。",
    ),
    "H13": Rule(
        "More than {limit} bytes of this author are on their way.",
        "该请求者正在传输的数据超过 {limit} 字节。",
        "Wait for the answers, then send the same request again.",
        "请等待答复后重发同一请求。",
    ),
    "H14": Rule(
        "All {limit} sessions or codes of this node are in use.",
        "本节点的 {limit} 个会话或代码均已占用。",
        "Wait {seconds} seconds, then try again.",
        "请等待 {seconds} 秒后重试。",
    ),
}
