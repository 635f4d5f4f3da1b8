"""What the pages of a node say, in both languages."""

from typing import Final, Literal, NamedTuple

Language = Literal["en", "zh"]


class Words(NamedTuple):
    """One sentence in both languages."""

    en: str
    zh: str


WORDS: Final[dict[str, Words]] = {
    "title": Words("Alliance chain", "联盟链"),
    "home": Words("Overview", "概览"),
    "uses": Words("Uses of data", "数据使用记录"),
    "own-uses": Words("Uses recorded about you", "关于您的使用记录"),
    "credit": Words("Credit", "贡献与权益"),
    "erasures": Words("Erasures", "删除情况"),
    "login": Words("Log in", "登录"),
    "logout": Words("Log out", "退出"),
    "other-language": Words("中文", "English"),
    "who": Words("Who you are", "您的身份"),
    "org": Words("Organisation", "机构"),
    "role": Words("Role", "角色"),
    "subject": Words("Stands for", "代表"),
    "key": Words("Key", "密钥"),
    "officer": Words("officer", "授权人员"),
    "committee": Words("committee", "委员会"),
    "ethics": Words("ethics office", "伦理办公室"),
    "checker": Words("output checker", "输出审查员"),
    "registrar": Words("registrar", "登记员"),
    "researcher": Words("researcher", "研究人员"),
    "auditor": Words("auditor", "审计员"),
    "ok": Words("works", "正常"),
    "storage-failing": Words("the disk fails", "存储故障"),
    "silent": Words("does not vote", "不参与表决"),
    "observing": Words("observes, without a vote", "只读观察"),
    "broken": Words("stopped by a mistake of the software", "因软件错误停止"),
    "session-until": Words("Session ends (UTC)", "会话结束时间（UTC）"),
    "status": Words("This node", "本节点"),
    "state": Words("State", "状态"),
    "height": Words("Newest final block", "最新最终区块"),
    "published": Words("Published entries", "已公布条目"),
    "pending": Words("Waiting entries", "等待中的条目"),
    "quorum": Words("Members, quorum", "成员数与法定数"),
    "newest": Words("The newest 50; an index, each row is proven by its entry.",
                    "最近 50 条；此为索引，每行可由其条目证明。"),
    "nothing": Words("Nothing is recorded.", "没有记录。"),
    "at": Words("Time (UTC)", "时间（UTC）"),
    "dataset": Words("Dataset", "数据集"),
    "person": Words("Person", "人员"),
    "action": Words("Action", "操作"),
    "outcome": Words("Outcome", "结果"),
    "permit": Words("Permit", "许可"),
    "findings": Words("Findings", "问题标记"),
    "entry": Words("Entry", "条目"),
    "object": Words("Leaf hash of a result, dataset version, run or indicator",
                    "成果、数据集版本、运行或指标的叶哈希"),
    "show": Words("Show", "查看"),
    "party": Words("Party", "主体"),
    "share": Words("Share, in basis points", "份额（基点）"),
    "acknowledged": Words("To be acknowledged", "应致谢者"),
    "as": Words("As", "身份"),
    "as-of": Words("As of block", "截至区块"),
    "commit": Words("Commitment", "承诺值"),
    "ground": Words("Ground", "依据"),
    "answered": Words("Answered", "已答复"),
    "waiting": Words("Not answered yet", "尚未答复"),
    "code": Words("One-time code", "一次性代码"),
    "login-how": Words(
        "Run `alliance login` on your machine: your key signs the request for a code, and stays "
        "where it is. The code is good for one minute, and once. Only open a session with a code "
        "that you asked for yourself.",
        "请在您的电脑上运行 `alliance login`：由您的密钥签名申请代码，密钥不离开本机。"
        "代码一分钟内有效，且只能使用一次。请只使用您自己申请的代码。",
    ),
    "open-session": Words("Open the session", "开始会话"),
    "refused": Words("This cannot be shown", "无法显示"),
    "next": Words("What to do", "处理办法"),
    "back": Words("Back", "返回"),
}  # fmt: skip
