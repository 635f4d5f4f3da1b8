"""J20 to J42: decisions on requests, and the life of the permits that they give (domain.md D13,
D14).
"""

from msgspec.structs import replace

from ledger.encoding import decode_date, decode_time
from ledger.errors import RefusedError, unreachable
from ledger.records.authorisation import AccessDecisionBody, PermitStatusBody
from ledger.records.catalogue import Term
from ledger.records.envelope import Record, Shape
from ledger.rules.catalogue import active_version
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft
from ledger.rules.governance import check_resolution_ref
from ledger.rules.machines import PERMIT, REQUEST, permit_status
from ledger.rules.requests import approving, custodians_of
from ledger.rules.standing import (
    EthicsState,
    PermitState,
    PermitTerms,
    RequestState,
    StudyState,
    add_span,
)
from ledger.rules.structure import CLOCK_TOLERANCE_MS
from ledger.rules.studies import check_nodes, effective_name, end_of, leader_of
from ledger.rules.terms import TS
from ledger.state import state_key

Changes = dict[bytes, Shape]
REMOVAL = "permit-status/removal"
"""The schema of the payload that attests that the data were removed."""


# --- access-decision ------------------------------------------------------------------------------


def check_decision(
    draft: Draft, record: Record[AccessDecisionBody], _org: str, _capacity: str, at: At
) -> None:
    """J20 to J33, G6."""
    body = record.body
    _name, request = _request_by(draft, body.request)
    event = "amend" if body.decision == "approve" and body.amends else body.decision
    if not _fits(event, request.status):
        raise RefusedError("J20", decision=body.decision, status=request.status)
    live = {one.leaf for one in request.opinions}
    for leaf in body.reviews:
        if leaf not in live:
            raise RefusedError("J31", leaf=leaf)
    if body.decision != "approve":
        if body.reasons is not None or body.permit_id is not None or not body.reason_codes:
            raise RefusedError("J29")
        return
    _check_approval(draft, record, request, at)


def _fits(event: str, status: str) -> bool:
    """Whether the request may be decided so; an amendment may rest on a new request, too."""
    return (event, status) in REQUEST or (event, status) == ("amend", "UNDER_REVIEW")


def _request_by(draft: Draft, leaf: str) -> tuple[str, RequestState]:
    """The request whose newest submission this is. Raises `RefusedError` (J20.request)."""
    name = effective_name(draft, leaf, "access-request")
    request = None if name is None else draft.get(RequestState, "request", name)
    if name is None or request is None or request.leaf != leaf:
        raise RefusedError("J20.request", leaf=leaf)
    return name, request


def _study_of(draft: Draft, request: RequestState) -> StudyState:
    study = draft.get(StudyState, "study", request.study)
    if study is None:
        unreachable("a request is of a registered study")
    return study


def _check_approval(
    draft: Draft, record: Record[AccessDecisionBody], request: RequestState, at: At
) -> None:
    body = record.body
    _check_permit_id(draft, body, request)
    if body.reasons is None:
        raise RefusedError("J29")
    resolution = check_resolution_ref(draft, record)
    if request.match.verdict == "DENY" and resolution.kind != "decide":
        raise RefusedError("J26")
    needed = draft.policy(at).body.min_reviewers
    if len(approving(request, body.reviews)) < needed:
        raise RefusedError("J30", needed=needed)
    study = _study_of(draft, request).body
    team = {one.person for one in study.team}
    if not body.persons or not set(body.persons) <= team:
        raise RefusedError("J22")
    if not set(body.purposes) <= set(study.purpose_classes) or not body.purposes:
        raise RefusedError("J32")
    if not set(body.compute_nodes) <= set(study.compute_nodes):
        raise RefusedError("J33")
    check_nodes(draft, body.compute_nodes)
    _check_data(draft, body, request)
    _check_time(draft, body, request)


def _check_permit_id(draft: Draft, body: AccessDecisionBody, request: RequestState) -> None:
    """J21: a new name; or an amendment of the decision that is in force under this name."""
    if body.permit_id is None:
        raise RefusedError("J21", permit="-")
    permit = draft.get(PermitState, "permit", body.permit_id)
    if body.amends is None:
        fits = permit is None
    else:
        fits = (
            permit is not None
            and permit.terms.decision == body.amends
            and permit.study == request.study
        )
    if not fits:
        raise RefusedError("J21", permit=body.permit_id)


def _check_data(draft: Draft, body: AccessDecisionBody, request: RequestState) -> None:
    """J23, J25: no more data than asked for, and nothing owed is left out."""
    names = _names(draft, body)
    if not names or len(set(names)) != len(names) or not set(names) <= set(request.datasets):
        raise RefusedError("J23", leaf=body.datasets[0] if body.datasets else "-")
    stated = {Term(code=one.code, params=one.params) for one in body.obligations}
    missing = [term.code for term in request.match.obligations if term not in stated]
    if missing:
        raise RefusedError("J25", codes=", ".join(missing))
    for one in body.obligations:
        if one.due is not None:
            decode_date(one.due)


def _names(draft: Draft, body: AccessDecisionBody) -> tuple[str, ...]:
    """The versions that a decision gives, by name. Raises `RefusedError` (J23)."""
    names = []
    for leaf in body.datasets:
        version = active_version(draft, leaf)
        if version is None:
            raise RefusedError("J23", leaf=leaf)
        names.append(version.name)
    return tuple(names)


def _check_time(draft: Draft, body: AccessDecisionBody, request: RequestState) -> None:
    """J24, J27: within the ethics approvals, the terms and what was asked for."""
    first, last = body.valid_from, body.valid_until
    if first is None or last is None or decode_date(first) > decode_date(last):
        raise RefusedError("J27", limit="-")
    months = [int(term.params[0]) for term in request.match.obligations if term.code == TS]
    limit = add_months(first, min([request.duration_months, *months]))
    if last > limit:
        raise RefusedError("J27", limit=limit)
    approvals = [draft.get(EthicsState, "ethics", name) for name in request.ethics]
    for name in _names(draft, body):
        window = decode_date(first), end_of(last)
        if not any(one is not None and one.covers(name, *window) for one in approvals):
            raise RefusedError("J24", dataset=name)


def add_months(day: str, months: int) -> str:
    """The same day so many months later, or the last day of that month."""
    years, month = divmod(int(day[5:7]) - 1 + months, 12)
    year = int(day[:4]) + years
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = 29 if leap and month == 1 else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month]
    return f"{year:04}-{month + 1:02}-{min(int(day[8:]), days):02}"


def decision_alternatives(
    draft: Draft, body: AccessDecisionBody, _org: str, committee: int, _at: At
) -> Alternatives:
    """J28: the committee, without the people of the study; for an approval every custodian, too."""
    _name, request = _request_by(draft, body.request)
    team = frozenset(one.person for one in _study_of(draft, request).body.team)
    by_committee = Need(committee, None, barred=team)
    if body.decision != "approve":
        return ((by_committee,),)
    custodians = custodians_of(draft, _names(draft, body))
    return ((by_committee, *(Need(1, org, barred=team) for org in custodians)),)


def effect_decision(draft: Draft, record: Record[AccessDecisionBody], at: At, leaf: str) -> Changes:
    """The request is decided; an approval gives the permit, which is not active yet."""
    body = record.body
    name, request = _request_by(draft, body.request)
    event = "amend" if body.amends and request.status == "APPROVED" else body.decision
    status = REQUEST[event, request.status]
    changes: Changes = {
        state_key("request", name): replace(request, height=at.height, status=status)
    }
    if body.decision == "approve" and body.permit_id is not None:
        terms = _terms_of(draft, body, request, at, leaf)
        known = draft.get(PermitState, "permit", body.permit_id)
        changes[state_key("permit", body.permit_id)] = (
            replace(known, pending=terms) if known else _first(draft, request, terms, at)
        )
    return changes


def _terms_of(
    draft: Draft, body: AccessDecisionBody, request: RequestState, at: At, leaf: str
) -> PermitTerms:
    names = _names(draft, body)
    return PermitTerms(
        compute_nodes=body.compute_nodes,
        custodians=custodians_of(draft, names),
        datasets=tuple(sorted(names)),
        decision=leaf,
        ethics=request.ethics,
        from_ms=decode_date(body.valid_from or ""),
        obligations=body.obligations,
        persons=tuple(sorted(body.persons)),
        purposes=tuple(sorted(body.purposes)),
        since_ms=at.time_ms,
        until_ms=end_of(body.valid_until or ""),
    )


def _first(draft: Draft, request: RequestState, terms: PermitTerms, at: At) -> PermitState:
    study = _study_of(draft, request).body
    leader = leader_of(study.team)
    if leader is None:
        unreachable("a registered study has one principal investigator")
    person, org = leader
    return PermitState(
        lead_org=study.lead_org,
        pi=person,
        pi_org=org,
        spans=add_span((), PERMIT["approve", None], at.time_ms),
        study=request.study,
        terms=terms,
        version=1,
    )


# --- permit-status --------------------------------------------------------------------------------


def check_status_change(
    draft: Draft, record: Record[PermitStatusBody], _org: str, _capacity: str, at: At
) -> None:
    """J40 to J42."""
    body = record.body
    name, permit = permit_by(draft, body.permit)
    status = permit_status(permit.spans, permit.terms.until_ms, at.time_ms)
    if (body.action, status) not in PERMIT:
        raise RefusedError("J40", action=body.action, permit=name, status=status or "-")
    if decode_time(body.effective_at) > at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("J41", at=body.effective_at)
    if body.action == "extend" and permit.pending is None:
        raise RefusedError("J42.amendment", permit=name)
    if body.action in ("activate", "extend", "resume"):
        terms = permit.pending if body.action == "extend" else permit.terms
        _check_ethics_now(draft, terms or permit.terms, name, at)
    attested = any(payload.schema == REMOVAL for payload in record.payloads)
    if body.action == "close" and status == "REVOKED" and not attested:
        raise RefusedError("J42.removal", permit=name)


def _check_ethics_now(draft: Draft, terms: PermitTerms, name: str, at: At) -> None:
    """J42: nothing is put into force without ethics approval, or after its end."""
    approvals = [draft.get(EthicsState, "ethics", one) for one in terms.ethics]
    start = max(at.time_ms, terms.from_ms)
    for dataset in terms.datasets:
        if not any(one is not None and one.covers(dataset, start, start) for one in approvals):
            raise RefusedError("J42.ethics", permit=name, dataset=dataset)
    if at.time_ms > terms.until_ms:
        raise RefusedError("J42.over", permit=name)


def permit_by(draft: Draft, leaf: str) -> tuple[str, PermitState]:
    """The permit of a decision, with its name. Raises `RefusedError` (J40.permit)."""
    name = effective_name(draft, leaf, "access-decision")
    permit = None if name is None else draft.get(PermitState, "permit", name)
    if name is None or permit is None:
        raise RefusedError("J40.permit", leaf=leaf)
    return name, permit


def status_alternatives(
    draft: Draft, body: PermitStatusBody, _org: str, committee: int, _at: At
) -> Alternatives:
    """Who may take this step (SPEC 5.2)."""
    _name, permit = permit_by(draft, body.permit)
    terms = (permit.pending if body.action == "extend" else None) or permit.terms
    custodians = tuple(Need(1, org) for org in terms.custodians)
    if body.action in ("suspend", "revoke"):
        return ((Need(committee, None),), *((one,) for one in custodians))
    if body.action == "resume":
        return ((Need(committee, None), *custodians),)
    if body.action == "close":
        return ((Need(1, permit.lead_org), Need(1, permit.pi_org, permit.pi)),)
    # An officer of an organisation that is both sides signs for both.
    return ((Need(1, permit.lead_org), *custodians),)


def effect_status_change(
    draft: Draft, record: Record[PermitStatusBody], at: At, _leaf: str
) -> Changes:
    """The permit stands so: what is taken away from the time stated, what is given from now on."""
    body = record.body
    name, permit = permit_by(draft, body.permit)
    status = permit_status(permit.spans, permit.terms.until_ms, at.time_ms)
    taken = body.action in ("suspend", "revoke")
    start = min(decode_time(body.effective_at), at.time_ms) if taken else at.time_ms
    extended = permit.pending if body.action == "extend" else None
    changes: Changes = {}
    if extended is not None:
        changes[state_key("permit-terms", f"{name}/{permit.version}")] = permit.terms
    terms = replace(extended, since_ms=at.time_ms) if extended else permit.terms
    changes[state_key("permit", name)] = replace(
        permit,
        pending=None if extended else permit.pending,
        spans=add_span(permit.spans, PERMIT[body.action, status], start),
        terms=terms,
        version=permit.version + (extended is not None),
    )
    return changes


# --- what a permit says of a use ------------------------------------------------------------------


def terms_at(draft: Draft, name: str, permit: PermitState, time_ms: int) -> PermitTerms:
    """The terms that were in force at a time: a later amendment allows nothing before it."""
    terms, version = permit.terms, permit.version
    while version > 1 and time_ms < terms.since_ms:
        version -= 1
        earlier = draft.get(PermitTerms, "permit-terms", f"{name}/{version}")
        if earlier is None:
            unreachable("the terms before an amendment are kept")
        terms = earlier
    return terms
