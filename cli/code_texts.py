"""What the codes mean that sentences are filled with: how a decision, a request, a permit or a
node stands, and what people chose. Records and JSON hold the codes alone.
"""

from typing import Final

CODES_ZH: Final[dict[str, str]] = {
    # decisions
    "PENDING": "待定",
    "EFFECTIVE": "已生效",
    "REJECTED": "已否决",
    "VOID": "已失效",
    # certificates
    "NOTICE": "公示中",
    "ISSUED": "已颁发",
    "SUPERSEDED": "已被取代",
    # requests, permits
    "SUBMITTED": "已提交",
    "UNDER_REVIEW": "评审中",
    "RETURNED": "已退回",
    "WITHDRAWN": "已撤回",
    "APPROVED": "已批准",
    "ACTIVE": "有效",
    "SUSPENDED": "已中止",
    "EXPIRED": "已到期",
    "REVOKED": "已撤销",
    "CLOSED": "已关闭",
    # reviews
    "completeness": "完整性",
    "custodian": "保管方",
    "scientific": "科学性",
    "security": "安全",
    "committee": "委员会",
    "approve": "同意",
    "reject": "否决",
    "return": "退回",
    "abstain": "弃权",
    # nodes
    "ok": "正常",
    "silent": "不参与表决",
    "storage-failing": "存储故障",
    "observing": "只读观察",
    "broken": "因软件错误停止",
    # damages of the audit's drill
    "bit of an entry turned": "条目翻转一位",
    "entry removed": "删除条目",
    "entries swapped": "调换条目",
    "bundle cut short": "截短条目包",
    "bundle removed": "删除条目包",
    "bit of a tile turned": "瓦片翻转一位",
    "tile removed": "删除瓦片",
    "partial tile added": "添加部分瓦片",
    "size forged": "伪造大小",
    "root forged": "伪造根",
    "cosignatures stripped": "去除联署",
    "log signature stripped": "去除日志签名",
    "signed by a stranger": "由外人签名",
    "entry and tree rewritten": "改写条目与树",
    "seal rewritten": "改写封块记录",
    "newest block cut off": "截去最新区块",
    "genesis changed": "更改创世文件",
    "policy weakened": "放宽策略",
    "certificate changed": "更改证书",
    "certificate removed": "删除证书",
    # organisations
    "hospital": "医院",
    "centre": "中心",
    "institute": "研究所",
    "operator": "运营方",
}

CELLS_ZH: Final[dict[str, str]] = {
    # what a report is of, and in what an access is covered
    "access": "访问",
    "run": "运行",
    "registration": "登记",
    "permit": "许可",
    "person": "人员",
    "dataset": "数据集",
    "purpose": "目的",
    "node": "节点",
    "ethics": "伦理",
    "time": "时间",
    "recording": "记录方式",
    "all": "各方面",
    # verdicts
    "covered": "有依据",
    "exception": "例外",
    "not-judged": "未判断",
    "noted": "已注明",
    "ALLOW": "允许",
    "HUMAN": "须人工判断",
    "DENY": "拒绝",
    # sides of a member's statement
    "given": "提供",
    "taken": "取用",
    # copies
    "member": "成员",
    "source": "来源",
    "payloads": "载荷",
    "cosigned": "已联署",
    "not-cosigned": "未联署",
    "no-node": "无节点",
    "contradicts": "自相矛盾",
    "gap": "有缺口",
    "open": "未了结",
    "complete": "完整",
    "held": "持有",
    "erasure-unanswered": "删除未回应",
    # checks of a certificate
    "record": "记录",
    "decision": "决定",
    "calculation": "计算",
    "status": "状态",
    "disputes": "争议",
    "superseded": "取代",
    "missing": "缺失",
    "failed": "未通过",
    "changed-since": "此后有变",
    "none": "无",
    "yes": "是",
    # what leaves, and approvals
    "TWO_REVIEWS": "双审完成",
    "RELEASED": "已放行",
    "PUBLISHED_WITHOUT_RELEASE": "未放行即发表",
    "IMPORTED": "外部导入",
    "GRANTED": "已批准",
    "publication": "发表",
    # a person's records
    "erasable": "可删除",
    "kept-while-active": "有效期内保留",
}
"""What a code in a cell of a report means; the codes of sentences (`CODES_ZH`) are cells, too."""
