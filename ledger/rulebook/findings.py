"""The finding codes: what evidence shows, computed the same everywhere for ever (definitions.md 4)."""

from typing import NamedTuple


class Finding(NamedTuple):
    """What a finding code means."""

    en: str
    zh: str


FINDINGS: dict[str, Finding] = {
    "BACKFILLED": Finding("recorded later than the policy allows", "补录时间超过策略期限"),
    "CLOSED": Finding("used under a permit that was closed", "使用时许可已关闭"),
    "COUNT_MISMATCH": Finding(
        "the day's count does not fit the numbers closed", "当日数量与关闭的编号不符"
    ),
    "CREDIT_MISSING": Finding("not everybody who is to be acknowledged is", "未致谢全部应致谢者"),
    "DATASET_NOT_LISTED": Finding(
        "used data that the permit does not list", "使用了许可未列明的数据"
    ),
    "DATASET_WITHDRAWN": Finding(
        "used a version that its custodian has withdrawn", "使用了保管方已撤回的版本"
    ),
    "EMBARGOED": Finding("published before the use terms allow it", "早于使用条款允许的日期发表"),
    "ENDORSE_LATE": Finding(
        "endorsed after the policy's deadline; does not count", "背书晚于策略期限，不计入"
    ),
    "ENDORSE_REPEATED": Finding(
        "this key endorsed before; does not count again", "该密钥已背书，不重复计入"
    ),
    "IMPORTED": Finding(
        "taken over from a register of others; witnessed by nobody here",
        "取自外部登记册，本链无人见证",
    ),
    "IMPORTED_BEFORE": Finding(
        "this agreement was taken over before; the first one counts", "该协议此前已导入，以首次为准"
    ),
    "ETHICS_INVALID": Finding(
        "no ethics approval covered the use at that time", "使用时没有有效的伦理批件覆盖"
    ),
    "EXPIRED": Finding("used under a permit whose time was over", "使用时许可已过期"),
    "KEY_EARLY": Finding("signed with a key before its validity", "签名密钥尚未生效"),
    "KEY_EXPIRED": Finding("signed with an expired key", "签名密钥已过期"),
    "NODE_NOT_LISTED": Finding(
        "computed where the permit does not allow it", "在许可未列明的计算节点运行"
    ),
    "NODE_NOT_MEMBER": Finding(
        "computed outside the alliance: data may have left it", "在联盟之外计算：数据可能已出域"
    ),
    "NOT_ACTIVE": Finding("used under a permit that was not active yet", "使用时许可尚未启用"),
    "NOT_APPLICANT": Finding(
        "signed by an organisation that does not speak for the study", "签署机构不代表该研究"
    ),
    "NOT_CUSTODIAN": Finding(
        "a custodian's opinion by an organisation that holds none of the data",
        "以保管方名义提出意见的机构并非数据保管方",
    ),
    "NOT_OPEN": Finding(
        "not open to this any more, or not yet; changes nothing", "当前状态不接受该操作，不产生变更"
    ),
    "NOT_PENDING": Finding("the endorsed record was decided already", "被背书的记录已有结果"),
    "NOT_RELEASED": Finding("published without a release of any file", "未经出域放行即发表"),
    "NO_MATCHING_ACCESS": Finding(
        "no access by the custodian is recorded on the days of the run",
        "运行期间没有保管方记录的相应访问",
    ),
    "NO_PERMIT": Finding("no permit was named", "未注明许可"),
    "NO_PERSON": Finding("no person was named", "未注明人员"),
    "NO_RUN": Finding("names no run that made it", "未注明产生它的运行"),
    "OBSERVED_BY_OTHER": Finding(
        "recorded by an organisation other than the custodian", "由保管方以外的机构记录"
    ),
    "OUTPUT_NOT_IN_RUN": Finding(
        "holds what none of its runs is recorded to have made", "含有未被记录为其运行产出的内容"
    ),
    "PERSON_NOT_LISTED": Finding(
        "used by somebody whom the permit does not list", "使用人员未列入许可"
    ),
    "PURPOSE_MISMATCH": Finding(
        "used for a purpose that the permit does not name", "使用目的与许可不符"
    ),
    "REVIEWER_ON_TEAM": Finding(
        "the reviewer works in the study; does not count", "评审人属于研究团队，不计入"
    ),
    "REVOKED": Finding("used under a permit that was revoked", "使用时许可已被撤销"),
    "RUN_FLAGGED": Finding("made by a run whose findings are open", "其运行存在未决的发现项"),
    "RUN_STATE": Finding(
        "does not follow from the recorded state of the run; changes nothing",
        "与已记录的运行状态不衔接，不产生变更",
    ),
    "SEQ_BEYOND_CLOSE": Finding(
        "higher numbers were recorded than the close states", "已记录的编号高于关闭值"
    ),
    "SEQ_GAP": Finding(
        "the source closed its day with numbers missing", "来源日终关闭时编号有缺口"
    ),
    "SEQ_REUSED": Finding("the source used this number before", "来源重复使用该编号"),
    "STUDY_MISMATCH": Finding("made under the permit of another study", "在其他研究的许可下产生"),
    "SUSPENDED": Finding("used under a permit that was suspended", "使用时许可已被中止"),
    "TEAM_UNVERIFIED": Finding(
        "the new team or period does not fulfil the rules; nothing was changed",
        "新团队或期限不符合规则，未作变更",
    ),
    "UNREGISTERED": Finding(
        "names a dataset or permit that is not registered", "所指数据集或许可未登记"
    ),
    "UNREGISTERED_INPUT": Finding(
        "used an input that the chain does not know", "使用了链上未登记的输入"
    ),
    "VOTES_INCOMPLETE": Finding(
        "does not vote on every file once; does not count", "未对每个文件各投一票，不计入"
    ),
}
