"""The words that sentences are filled with, in Chinese. A fact is a number, a name or a code, which
is the same in every language; where it is a word of English, its Chinese stands here.
"""

from typing import Final

_THINGS: Final = {
    # what can be asked for by name (O6)
    "API key": "API 密钥",
    "block": "区块",
    "certificate": "凭证",
    "dataset": "数据集",
    "entry": "条目",
    "ethics approval": "伦理批件",
    "indicator": "指标",
    "key": "密钥",
    "object": "对象",
    "organisation": "机构",
    "permit": "许可",
    "person": "人员",
    "piece": "附件分段",
    "policy": "策略",
    "record": "记录",
    "record type": "记录类型",
    "report": "报告",
    "request": "申请",
    "result": "成果",
    "study": "研究",
    "subject": "记录主体",
    "tile": "瓦片",
    "version": "版本",
}
_PARTS: Final = {
    # parts of a message (R20)
    "certificate of votes": "投票证书",
    "fact": "消息",
    "finalize": "终局投票",
    "notarize": "认可投票",
    "nullify": "跳过投票",
    "proposal": "提案",
    "propose": "提案",
    "size": "长度",
    "summary": "进度摘要",
    # parts of a configuration (R32)
    "org": "机构代码",
    # parts of a database (O2)
    "accusation": "指控证据",
    "body": "区块内容",
    "checkpoint": "检查点",
    "cosigned": "联署的树头",
    "leaves": "叶哈希",
    "order": "区块次序",
    "tables": "数据表",
    "tip": "末块",
}
_EXPECTED: Final = {
    # what `alliance drill` expects (X6.story)
    "a restored database must be in doubt": "恢复的数据库须处于存疑状态",
    "a restored node must vote again": "恢复的节点须重新投票",
    "the committee's decision must take effect": "委员会的决定须生效",
    "the node must have other keys": "节点须已换用其他密钥",
    "the members must know that they lack nothing": "各成员须确知自己不缺区块",
    "the next epoch must begin": "下一纪元须开始",
    "the member must take part again": "该成员须重新参与",
    "the fork must be found, and who signed both": "须发现分叉及同时签署两者的成员",
    "a node must notice that there are two histories": "须有节点发现存在两份历史",
    "the doctor must tell of two histories": "体检须报告存在两份历史",
    "a revoked key must be refused": "已吊销的密钥须被拒绝",
    "the last copies must be equal": "各份最后副本须一致",
    "all founders must stand in the old chain, too": "所有创始方须在旧链中有据可查",
    # what the story of a data use expects
    "an access under the permit must have no findings": "许可之下的使用不应有发现项",
    "a run under the permit must have no findings": "许可之下的运行不应有发现项",
    "the run must leave its output": "运行须留下输出",
    "an access outside the permit must have its findings": "许可之外的使用须有相应发现项",
    "the result must have no findings": "成果不应有发现项",
    "the publication must count as released": "发表的内容须已放行",
    "the release must be refused by its rule": "放行须按相应规则被拒绝",
    "the contribution must be confirmed": "贡献须得到确认",
    "the certificate must be genuine and in force": "凭证须真实且有效",
    "the shares must add up": "份额合计须为全部",
    "the certificate must name who consented, and nobody else": "凭证须且仅须列出同意署名者",
    "the certificate must have all titles": "凭证须列出全部题目",
    "the printed certificate must be a PDF": "打印的凭证须为 PDF 文件",
}

WORDS: Final[dict[str, dict[str, str]]] = {
    "what": {**_THINGS, **_PARTS, **_EXPECTED},
    # the form of a text that names somebody (S8, T7)
    "pattern": {
        "e-mail": "电子邮箱",
        "ip": "IP 地址",
        "mobile": "手机号",
        "name": "姓名",
        "phone": "电话号码",
        "resident-id": "居民身份证号",
    },
    # the role of a key (O1.key, P1)
    "role": {
        "auditor": "审计员",
        "checker": "输出审查员",
        "committee": "委员会",
        "cosigner": "联署",
        "ethics": "伦理办公室",
        "log": "日志",
        "node": "节点",
        "officer": "授权人员",
        "registrar": "登记员",
        "researcher": "研究人员",
        "system": "系统",
    },
    "status": {"UNKNOWN": "未知"},
}
"""The Chinese of a fact, by its name and its English."""


def in_chinese(name: str, fact: str | int) -> str | int:
    """A fact as a Chinese sentence says it: what is no word of English stays what it is."""
    return WORDS.get(name, {}).get(fact, fact) if isinstance(fact, str) else fact
