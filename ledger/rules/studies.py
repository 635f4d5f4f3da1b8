"""J1 to J9: studies, what ethics committees say of them, and what happens to them (domain.md D14,
Authorisation).
"""

from msgspec.structs import replace

from ledger.encoding import b64url, decode_date, unb64url
from ledger.errors import RefusedError, unreachable
from ledger.records.authorisation import EthicsBody, StudyBody, StudyEventBody, Team
from ledger.records.envelope import Record, Shape
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft, Outcome
from ledger.rules.machines import ETHICS, REQUEST, STUDY
from ledger.rules.standing import (
    EthicsState,
    PersonState,
    RequestState,
    Span,
    Spans,
    StudyState,
    add_span,
)
from ledger.rules.structure import DAY_MS
from ledger.rules.values import DatasetState, KeyState
from ledger.state import state_key

Changes = dict[bytes, Shape]
LEADER = "principal-investigator"


# --- study ----------------------------------------------------------------------------------------


def check_study(draft: Draft, record: Record[StudyBody], org: str, _capacity: str, at: At) -> None:
    """J1 to J5."""
    body = record.body
    if draft.get(StudyState, "study", body.study_no) is not None:
        raise RefusedError("J1", study=body.study_no)
    leader = leader_of(body.team)
    if org != body.lead_org and org != (leader[1] if leader else None):
        raise RefusedError("J2", org=body.lead_org)
    check_team(draft, body.team, at)
    check_nodes(draft, body.compute_nodes)
    if decode_date(body.period.from_) > decode_date(body.period.to):
        raise RefusedError("J5")
    unb64url(body.design_digest, 32)


def leader_of(team: Team) -> tuple[str, str] | None:
    """The principal investigator's pid and organisation, where there is exactly one."""
    leaders = [(one.person, one.org) for one in team if one.role == LEADER]
    return leaders[0] if len(leaders) == 1 else None


def check_team(draft: Draft, team: Team, at: At) -> None:
    """J3: one principal investigator, nobody twice, and for everybody a key in force."""
    if leader_of(team) is None or len({one.person for one in team}) != len(team):
        raise RefusedError("J3.team")
    for one in team:
        person = draft.get(PersonState, "person", one.person)
        key = None if person is None else draft.get(KeyState, "key", person.kid)
        if person is None or key is None or person.org != one.org or not _is_valid(key, at):
            raise RefusedError("J3.key", person=one.person)


def _is_valid(key: KeyState, at: At) -> bool:
    ended = key.valid_until_ms is not None and key.valid_until_ms < at.time_ms
    return key.revoked is None and not ended


def check_nodes(draft: Draft, nodes: tuple[str, ...]) -> None:
    """J4: computing takes place at members of the alliance alone (EC:STAY)."""
    for node in nodes:
        member = draft.member(node.partition("/")[0])
        if member is None or member.status != "ADMITTED":
            raise RefusedError("J4", node=node)


def study_alternatives(
    _draft: Draft, body: StudyBody, _org: str, _committee: int, _at: At
) -> Alternatives:
    """The principal investigator and an officer of the leading organisation."""
    return applicants(body)


def applicants(study: StudyBody) -> Alternatives:
    """Who speaks for a study: its principal investigator, with an officer of its organisation."""
    leader = leader_of(study.team)
    if leader is None:
        unreachable("a study that was checked has one principal investigator")
    person, org = leader
    return ((Need(1, study.lead_org), Need(1, org, person)),)


def effect_study(_draft: Draft, record: Record[StudyBody], at: At, leaf: str) -> Changes:
    """Registers the study."""
    body = record.body
    state = StudyState(
        body=body,
        height=at.height,
        leaf=leaf,
        status=STUDY["register", None],  # type: ignore[arg-type]
    )
    return {state_key("study", body.study_no): state}


def study_by(draft: Draft, leaf: str) -> StudyState:
    """The study that a leaf registered. Raises `RefusedError` (J6)."""
    name = effective_name(draft, leaf, "study")
    study = None if name is None else draft.get(StudyState, "study", name)
    if study is None:
        raise RefusedError("J6", leaf=leaf)
    return study


def effective_name(draft: Draft, leaf: str, kind: str) -> str | None:
    """The name under which an effective record of this type stands; None for anything else."""
    decision = draft.decision(leaf)
    if decision is None or (decision.type, decision.status) != (kind, "EFFECTIVE"):
        return None
    return decision.sub.partition(":")[2]


# --- ethics ---------------------------------------------------------------------------------------


def check_ethics(
    draft: Draft, record: Record[EthicsBody], org: str, _capacity: str, _at: At
) -> None:
    """J6 to J9."""
    body = record.body
    if body.committee_org != org:
        raise RefusedError("J7", org=body.committee_org)
    study = study_by(draft, body.study)
    known = draft.get(EthicsState, "ethics", body.approval_id)
    status = known.spans[-1].status if known else None
    other = known is not None and (known.committee_org != org or known.study != study.body.study_no)
    if (body.status, status) not in ETHICS or other:
        raise RefusedError(
            "J8", action=body.status, approval=body.approval_id, status=status or "-"
        )
    if decode_date(body.valid_from) > decode_date(body.valid_until):
        raise RefusedError("J9")
    if (body.decision == "exempt") != (body.exempt_code is not None):
        raise RefusedError("J9.exempt")
    for series in body.scope_datasets:
        if draft.get(DatasetState, "dataset", series) is None:
            raise RefusedError("D4", series=series)


def effect_ethics(draft: Draft, record: Record[EthicsBody], at: At, leaf: str) -> Changes:
    """The approval stands so from now on; what happened before is judged as before."""
    body = record.body
    known = draft.get(EthicsState, "ethics", body.approval_id)
    before = known.spans[-1].status if known else None
    status = ETHICS[body.status, before]
    if known is None:
        # A committee may enter what it approved before: the approval counts from its first day.
        spans: Spans = (Span(from_ms=decode_date(body.valid_from), status=status),)
    else:
        spans = add_span(known.spans, status, at.time_ms)
    changed = known is not None and body.status in ("suspend", "withdraw")
    state = EthicsState(
        committee_org=body.committee_org,
        from_ms=known.from_ms if known else decode_date(body.valid_from),
        leaf=known.leaf if known else leaf,
        scope=known.scope if known and changed else body.scope_datasets,
        spans=spans,
        study=study_by(draft, body.study).body.study_no,
        until_ms=known.until_ms if known and changed else end_of(body.valid_until),
    )
    return {state_key("ethics", body.approval_id): state}


def end_of(day: str) -> int:
    """The last millisecond of a day (UTC)."""
    return decode_date(day) + DAY_MS - 1


# --- study-event ----------------------------------------------------------------------------------


def apply_event(
    draft: Draft,
    record: Record[StudyEventBody],
    org: str,
    at: At,
    _happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """What happens to a study is recorded; it changes the study where it may (SPEC 5.8)."""
    body = record.body
    named = draft.resolved.get(unb64url(body.study, 32))
    name = named.sub.partition(":")[2] if named is not None and named.type == "study" else ""
    study = draft.get(StudyState, "study", name)
    if study is None or study.leaf != body.study:
        return Outcome({}, ("UNREGISTERED",), subjects)
    leader = leader_of(study.body.team)
    if org != study.body.lead_org and org != (leader[1] if leader else None):
        return Outcome({}, ("NOT_APPLICANT",), subjects)
    if body.kind == "withdraw-request":
        return _withdraw(draft, body, study, at, subjects)
    if (body.kind, study.status) not in STUDY:
        return Outcome({}, ("NOT_OPEN",), subjects)
    changed = study.body
    if body.kind == "amend":
        try:
            changed = _amended(draft, study.body, body, at)
        except RefusedError:
            return Outcome({}, ("TEAM_UNVERIFIED",), subjects)
    state = StudyState(
        body=changed,
        height=at.height,
        leaf=study.leaf,
        status=STUDY[body.kind, study.status],  # type: ignore[arg-type]
    )
    return Outcome({state_key("study", name): state}, (), subjects)


def _amended(draft: Draft, study: StudyBody, event: StudyEventBody, at: At) -> StudyBody:
    """The study with a new team or period. Raises `RefusedError` (J3, J5)."""
    team = event.new_team or study.team
    period = event.new_period or study.period
    if leader_of(team) != leader_of(study.team):
        raise RefusedError("J3.team")
    check_team(draft, team, at)
    if decode_date(period.from_) > decode_date(period.to):
        raise RefusedError("J5")
    return replace(study, team=team, period=period)


def _withdraw(
    draft: Draft, body: StudyEventBody, study: StudyState, at: At, subjects: tuple[str, ...]
) -> Outcome:
    """The applicants take a request back, while it is not decided."""
    leaf = b"" if body.request is None else unb64url(body.request, 32)
    named = draft.resolved.get(leaf)
    name = named.sub.partition(":")[2] if named and named.type == "access-request" else ""
    request = draft.get(RequestState, "request", name)
    if request is None or request.study != study.body.study_no or request.leaf != b64url(leaf):
        return Outcome({}, ("UNREGISTERED",), subjects)
    if ("withdraw", request.status) not in REQUEST:
        return Outcome({}, ("NOT_OPEN",), subjects)
    state = replace(request, height=at.height, status=REQUEST["withdraw", request.status])
    return Outcome({state_key("request", name): state}, (), subjects)
