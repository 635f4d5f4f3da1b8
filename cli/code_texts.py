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
