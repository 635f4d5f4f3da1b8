"""The finding codes: what evidence shows, computed the same everywhere for ever (definitions.md 4)."""

from typing import NamedTuple


class Finding(NamedTuple):
    """What a finding code means."""

    en: str
    zh: str


FINDINGS: dict[str, Finding] = {
    "BACKFILLED": Finding("recorded later than the policy allows", "补录时间超过策略期限"),
    "COUNT_MISMATCH": Finding(
        "the day's count does not fit the numbers closed", "当日数量与关闭的编号不符"
    ),
    "ENDORSE_LATE": Finding(
        "endorsed after the policy's deadline; does not count", "背书晚于策略期限，不计入"
    ),
    "ENDORSE_REPEATED": Finding(
        "this key endorsed before; does not count again", "该密钥已背书，不重复计入"
    ),
    "KEY_EARLY": Finding("signed with a key before its validity", "签名密钥尚未生效"),
    "KEY_EXPIRED": Finding("signed with an expired key", "签名密钥已过期"),
    "NOT_PENDING": Finding("the endorsed record was decided already", "被背书的记录已有结果"),
    "NO_PERMIT": Finding("no permit was named", "未注明许可"),
    "NO_PERSON": Finding("no person was named", "未注明人员"),
    "OBSERVED_BY_OTHER": Finding(
        "recorded by an organisation other than the custodian", "由保管方以外的机构记录"
    ),
    "SEQ_BEYOND_CLOSE": Finding(
        "higher numbers were recorded than the close states", "已记录的编号高于关闭值"
    ),
    "SEQ_GAP": Finding(
        "the source closed its day with numbers missing", "来源日终关闭时编号有缺口"
    ),
    "SEQ_REUSED": Finding("the source used this number before", "来源重复使用该编号"),
    "UNREGISTERED": Finding(
        "names a dataset or permit that is not registered", "所指数据集或许可未登记"
    ),
}
