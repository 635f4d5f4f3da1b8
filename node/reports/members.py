"""What an organisation gave and took (Q8), and how the committee works (Q9)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Any, Final

from ledger.encoding import b64url
from ledger.records import decode_entry
from ledger.records.authorisation import ReviewBody
from ledger.records.governance import EndorseBody
from ledger.rules.entitlement import (
    CertificateState,
    ContributionState,
    DisputeState,
    ResultState,
)
from ledger.rules.standing import (
    IndicatorVersionState,
    PermitState,
    RequestState,
    RunState,
)
from ledger.rules.values import DatasetState, DecisionState, VersionState
from node.reports.answer import Answer, Asked, Row, codes_of, tally, unique
from node.reports.ground import Ground, day_of
from node.reports.known import check_organisation
from node.store import Group, Window

HOUR_MS: Final = 3_600_000


class DataRow(Row, frozen=True, kw_only=True):
    """What one organisation had of one dataset, or others of its own."""

    dataset: str
    side: str
    """`given` (it is the custodian) or `taken`."""
    org: str
    """The other side: who took it, or who holds it; empty where that is not known."""
    uses: int
    findings: dict[str, int]


def member(ground: Ground, asked: Asked) -> Answer:
    """Q8: which data an organisation gave to others and took from others; what else it did.

    Raises `NotFoundError` (O6, O6.near) for one that is neither a member nor named by any permit.
    """
    org, window = asked.need("org"), asked.window()
    own = [name for name in ground.uses.words("dataset") if ground.custodian(name) == org]
    permits = [name for name, permit in ground.permits().items() if permit.org == org]
    check_organisation(ground, org)

    def taker(group: Group) -> str:
        permit = ground.permit(group.permit)
        return permit.org if permit else ""

    def giver(group: Group) -> str:
        return ground.custodian(group.dataset) or ""

    given = _sides(ground, ground.uses.groups("dataset", own, window), "given", taker)
    taken = _sides(ground, ground.uses.groups("permit", permits, window), "taken", giver)
    rows = [*given, *taken]
    facts = {
        **_holdings(ground, org, window),
        "reused_by_others": sum(row.uses for row in given if row.org not in ("", org)),
        "findings": tally(pair for row in taken for pair in row.findings.items()),
        "response_hours": _hours(_responses(ground, org, window)),
    }
    return Answer(rows, ("recorded-only", "no-uptime", "imported"), facts)


def _sides(
    ground: Ground, groups: Iterator[Group], side: str, other: Callable[[Group], str]
) -> list[DataRow]:
    found: dict[tuple[str, str], list[Group]] = {}
    for group in groups:
        found.setdefault((group.dataset, other(group)), []).append(group)
    return [
        DataRow(
            dataset=dataset,
            side=side,
            org=org,
            uses=sum(group.uses for group in found[dataset, org]),
            findings=codes_of(found[dataset, org]),
            records=unique(
                ground.leaf_at(min(group.first for group in found[dataset, org])),
                ground.leaf_at(max(group.last for group in found[dataset, org])),
            ),
        )
        for dataset, org in sorted(found)
    ]


def _holdings(ground: Ground, org: str, window: Window) -> dict[str, object]:
    """How much of each kind is recorded of an organisation within a time."""

    def count(found: Iterable[int]) -> int:
        return sum(window.from_ms <= ground.sealed_ms(height) < window.to_ms for height in found)

    def heights(leaves: Iterable[str]) -> list[int]:
        indexes = (ground.index_of(leaf) for leaf in leaves)
        return [ground.store.height_of(index) for index in indexes if index is not None]

    datasets = ground.all(DatasetState, "dataset").values()
    versions = ground.all(VersionState, "version").values()
    indicators = ground.all(IndicatorVersionState, "indicator-version").values()
    results = ground.all(ResultState, "result").values()
    mine = {one.leaf for one in results if one.org == org}
    certificates = ground.all(CertificateState, "certificate").values()
    contributions = ground.all(ContributionState, "contribution")
    return {
        "certificates": count(heights(c.leaf for c in certificates if c.object in mine)),
        "contributions": count(
            heights(
                leaf
                for leaf, one in contributions.items()
                if one.party.org == org and one.status == "CONFIRMED"
            )
        ),
        "datasets": count(one.height for one in datasets if one.custodian == org),
        "indicators": count(one.height for one in indicators if one.org == org),
        "publications": count(heights(ground.after(sorted(mine), "about", "publication"))),
        "results": count(one.height for one in results if one.org == org),
        "runs": sum(
            name.partition("/")[0] == org
            and (one.started_ms is None or window.from_ms <= one.started_ms < window.to_ms)
            for name, one in ground.all(RunState, "run").items()
        ),
        "versions": count(heights(one.leaf for one in versions if one.custodian == org)),
    }


def _responses(ground: Ground, org: str, window: Window) -> Iterator[int]:
    """How long the organisation took for each endorsement and review, from its target on, in ms."""
    for index in ground.posted(f"org:{org}"):
        entry = decode_entry(ground.store.entry(index))
        body = entry.record.body
        target = body.target if isinstance(body, EndorseBody) else None
        if isinstance(body, ReviewBody):
            target = body.request
        asked_at = ground.index_of(target) if target else None
        answered_ms = ground.recorded_ms(index)
        if asked_at is not None and window.from_ms <= answered_ms < window.to_ms:
            yield answered_ms - ground.recorded_ms(asked_at)


def _hours(spans_ms: Iterable[int]) -> dict[str, object]:
    """Number, median and worst, in hours to one decimal; as text: an answer has no floats."""
    spans = sorted(spans_ms)
    if not spans:
        return {"count": 0}
    return {
        "count": len(spans),
        "median": _tenths(int(median(spans))),
        "worst": _tenths(spans[-1]),
    }


def _tenths(ms: int) -> str:
    tenths = (10 * ms + HOUR_MS // 2) // HOUR_MS
    return f"{tenths // 10}.{tenths % 10}"


# --- Q9 ---


class DecisionRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """How the committee dealt with one request."""

    request: str
    study: str
    status: str
    verdict: str
    """What the use terms say: ALLOW, HUMAN, DENY."""
    overridden: bool = False
    """Whether access was given although the terms say DENY."""
    asked_day: str
    hours: str | None = None
    """From the newest submission to the decision."""
    reviews: int
    counted: int
    """Reviews by somebody without a conflict of interest."""
    conflicts: int
    organisations: int
    """Of the counted reviews."""
    approved_by: tuple[str, ...] = ()
    members: int | None = None
    """How many members there were when it was decided."""


def committee(ground: Ground, asked: Asked) -> Answer:
    """Q9: time to decision, what is pending, quorums and conflicts of interest, DENY that was
    overridden, disputes.
    """
    window = asked.window()
    rows, spans = [], []
    for name, state in ground.all(RequestState, "request").items():
        # The height in the state is that of the newest change; the newest submission is earlier.
        submitted = ground.index_of(state.leaf)
        asked_at = state.height if submitted is None else ground.store.height_of(submitted)
        asked_ms = ground.sealed_ms(asked_at)
        if not window.from_ms <= asked_ms < window.to_ms:
            continue
        decision = _decision_on(ground, name, asked_at)
        decided_ms = None if decision is None else _decided_ms(ground, *decision)
        if decided_ms is not None:
            spans.append(decided_ms - asked_ms)
        rows.append(_decision_row(ground, name, state, decision, asked_ms, decided_ms))
    disputes = ground.all(DisputeState, "dispute").values()
    pending = [one for one in ground.all(DecisionState, "decision").values()
               if one.status == "PENDING" and one.deadline_ms >= ground.now_ms]  # fmt: skip
    facts = {
        "conflicts_declared": sum(row.conflicts for row in rows),
        "denied_and_overridden": sum(row.overridden for row in rows),
        "disputes": tally((one.status, 1) for one in disputes),
        "hours_to_decision": _hours(spans),
        "open_requests": sum(row.status in ("SUBMITTED", "UNDER_REVIEW") for row in rows),
        "pending_decisions": tally((one.type, 1) for one in pending),
    }
    return Answer(rows, ("recorded-only", "quorum-by-rules"), facts)


Decision = tuple[str, DecisionState]
"""The record of a decision and how it stands."""


def _decision_on(ground: Ground, name: str, asked_at: int) -> Decision | None:
    """The first decision on a request that took effect since it was submitted: later ones amend."""
    for index in ground.posted(f"request:{name}"):
        leaf = ground.leaf_at(index)
        decision = ground.get(DecisionState, "decision", leaf)
        if decision is None or decision.height < asked_at:
            continue
        if (decision.type, decision.status) == ("access-decision", "EFFECTIVE"):
            return leaf, decision
    return None


def _decided_ms(ground: Ground, leaf: str, decision: DecisionState) -> int:
    """When the deciding signature was recorded: the last one that was counted."""
    kids = {vote.kid for vote in decision.votes}
    index = ground.index_of(leaf)
    found = [decision.height] if index is None else [ground.store.height_of(index)]
    for endorsed in ground.posted(f"record:{leaf}"):
        entry = decode_entry(ground.store.entry(endorsed))
        if isinstance(entry.record.body, EndorseBody) and b64url(entry.statement.kid) in kids:
            found.append(ground.store.height_of(endorsed))
    return ground.sealed_ms(max(found))


def _decision_row(
    ground: Ground,
    name: str,
    state: RequestState,
    decision: Decision | None,
    asked_ms: int,
    decided_ms: int | None,
) -> DecisionRow:
    counted = [one for one in state.opinions if one.counted]
    votes: Sequence[Any] = decision[1].votes if decision else ()
    permits = ground.all(PermitState, "permit").values()
    given = decision is not None and any(one.terms.decision == decision[0] for one in permits)
    return DecisionRow(
        request=name,
        study=state.study,
        status=state.status,
        verdict=state.match.verdict,
        overridden=given and state.match.verdict == "DENY",
        asked_day=day_of(asked_ms),
        hours=None if decided_ms is None else _tenths(decided_ms - asked_ms),
        reviews=len(state.opinions),
        counted=len(counted),
        conflicts=len(state.opinions) - len(counted),
        organisations=len({one.org for one in counted}),
        approved_by=tuple(sorted({one.org for one in votes if one.verdict == "approve"})),
        members=decision[1].members if decision else None,
        records=unique(
            state.leaf, decision[0] if decision else None, *(one.leaf for one in state.opinions)
        ),
    )
