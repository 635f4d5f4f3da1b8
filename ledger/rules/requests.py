"""J10 to J16: requests for data, and the opinions of their reviewers (domain.md D14,
Authorisation).
"""

from msgspec.structs import replace

from ledger.encoding import b64url, unb64url
from ledger.errors import RefusedError
from ledger.records.authorisation import AccessRequestBody, Match, ReviewBody, StudyBody
from ledger.records.envelope import Entry, Record, Shape
from ledger.rules.catalogue import active_version
from ledger.rules.decisions import Alternatives
from ledger.rules.draft import At, Draft, Outcome
from ledger.rules.machines import REQUEST
from ledger.rules.standing import EthicsState, Opinion, RequestState, StudyState, status_at
from ledger.rules.structure import Signer
from ledger.rules.studies import applicants, effective_name, leader_of, study_by
from ledger.rules.terms import Place, match
from ledger.rules.values import VersionState
from ledger.rules.vocabulary import ancestors_by, vocabulary_of
from ledger.state import state_key

Changes = dict[bytes, Shape]
MAX_OPINIONS = 256
"""Live opinions that are kept for one request; more are recorded and do not count."""


# --- access-request -------------------------------------------------------------------------------


def check_request(
    draft: Draft, record: Record[AccessRequestBody], org: str, _capacity: str, at: At
) -> None:
    """J6, J10 to J16."""
    body = record.body
    study = study_by(draft, body.study)
    leader = leader_of(study.body.team)
    if org != study.body.lead_org and org != (leader[1] if leader else None):
        raise RefusedError("J10", org=study.body.lead_org)
    if study.status != "REGISTERED":
        raise RefusedError("J11", study=study.body.study_no, status=study.status)
    _check_place(draft, body, study)
    versions = _versions(draft, body)
    if len({version.name for version in versions}) != len(versions):
        raise RefusedError("J13", leaf=body.datasets[0])
    for leaf in body.ethics:
        _name, approval = _approval(draft, leaf)
        in_time = approval.from_ms <= at.time_ms <= approval.until_ms
        granted = status_at(approval.spans, at.time_ms) == "GRANTED"
        if approval.study != study.body.study_no or not (granted and in_time):
            raise RefusedError("J14", leaf=leaf)
    found = match_of(draft, versions, study.body, at)
    if body.match != found:
        raise RefusedError("J15", verdict=found.verdict)
    if found.verdict == "DENY" and not body.override_request:
        raise RefusedError("J16", reasons=", ".join(found.reasons))


def _check_place(draft: Draft, body: AccessRequestBody, study: StudyState) -> None:
    """J12: the id is new, or what it revises was returned."""
    known = draft.get(RequestState, "request", body.request_id)
    if known is None:
        fits = body.revises is None
    else:
        mine = known.study == study.body.study_no and known.leaf == body.revises
        fits = mine and ("resubmit", known.status) in REQUEST
    if not fits:
        raise RefusedError("J12", request=body.request_id)


def _versions(draft: Draft, body: AccessRequestBody) -> list[VersionState]:
    found = []
    for leaf in body.datasets:
        version = active_version(draft, leaf)
        if version is None:
            raise RefusedError("J13", leaf=leaf)
        found.append(version)
    return found


def _approval(draft: Draft, leaf: str) -> tuple[str, EthicsState]:
    """The approval that a leaf granted or changed, with its id."""
    name = effective_name(draft, leaf, "ethics")
    approval = None if name is None else draft.get(EthicsState, "ethics", name)
    if name is None or approval is None:
        raise RefusedError("J14", leaf=leaf)
    return name, approval


def match_of(draft: Draft, versions: list[VersionState], study: StudyBody, at: At) -> Match:
    """What the use terms of these versions say of a study, under the policy in force."""
    place = Place(ancestors_by(draft, at), lambda org: region_of(draft, org))
    found = match([version.terms for version in versions], study, place)
    return replace(found, vocabulary=vocabulary_of(draft, at))


def region_of(draft: Draft, org: str) -> str | None:
    """Where an organisation is."""
    member = draft.member(org)
    return member.region if member else None


def request_alternatives(
    draft: Draft, body: AccessRequestBody, _org: str, _committee: int, _at: At
) -> Alternatives:
    """The applicants: the principal investigator and an officer of the leading organisation."""
    return applicants(study_by(draft, body.study).body)


def effect_request(draft: Draft, record: Record[AccessRequestBody], at: At, leaf: str) -> Changes:
    """The request is submitted, or submitted again; reviews begin anew."""
    body = record.body
    known = draft.get(RequestState, "request", body.request_id)
    event = ("resubmit", known.status) if known else ("submit", None)
    state = RequestState(
        datasets=tuple(version.name for version in _versions(draft, body)),
        duration_months=body.duration_months,
        ethics=tuple(_approval(draft, one)[0] for one in body.ethics),
        height=at.height,
        leaf=leaf,
        match=body.match,
        status=REQUEST[event],  # type: ignore[arg-type]
        study=study_by(draft, body.study).body.study_no,
    )
    return {state_key("request", body.request_id): state}


# --- review ---------------------------------------------------------------------------------------


def apply_review(
    draft: Draft, entry: Entry, signer: Signer, at: At, subjects: tuple[str, ...]
) -> Outcome:
    """An opinion is always recorded; whether it counts, its findings say (SPEC 5.8)."""
    body: ReviewBody = entry.record.body
    named = draft.resolved.get(unb64url(body.request, 32))
    name = named.sub.partition(":")[2] if named and named.type == "access-request" else ""
    request = draft.get(RequestState, "request", name)
    if request is None:
        return Outcome({}, ("UNREGISTERED",), subjects)
    reviewer = signer.state.subject if signer.state else b64url(entry.statement.kid)
    finding = _why_not(draft, request, body, signer.org, reviewer)
    if finding is not None:
        return Outcome({}, (finding,), subjects)
    state = _with_opinion(
        request,
        body,
        at,
        Opinion(
            counted=body.coi == "none",
            leaf=b64url(entry.leaf),
            opinion=body.opinion,
            org=signer.org,
            reviewer=reviewer,
            stage=body.stage,
        ),
    )
    return Outcome({state_key("request", name): state}, (), subjects)


def _why_not(
    draft: Draft, request: RequestState, body: ReviewBody, org: str, reviewer: str
) -> str | None:
    """The finding of an opinion that does not count at all."""
    open_ = request.status == ("SUBMITTED" if body.stage == "completeness" else "UNDER_REVIEW")
    if not open_ or request.leaf != body.request or len(request.opinions) >= MAX_OPINIONS:
        return "NOT_OPEN"
    study = draft.get(StudyState, "study", request.study)
    if study is not None and any(one.person == reviewer for one in study.body.team):
        return "REVIEWER_ON_TEAM"
    if body.stage == "custodian" and org not in custodians_of(draft, request.datasets):
        return "NOT_CUSTODIAN"
    return None


def custodians_of(draft: Draft, names: tuple[str, ...]) -> tuple[str, ...]:
    """Who holds these versions, each once."""
    versions = [draft.get(VersionState, "version", name) for name in names]
    return tuple(sorted({version.custodian for version in versions if version is not None}))


def _with_opinion(
    request: RequestState, body: ReviewBody, at: At, opinion: Opinion
) -> RequestState:
    """The request with this opinion in the place of the reviewer's earlier one at this stage."""
    place = (opinion.org, opinion.reviewer, opinion.stage)
    kept = [one for one in request.opinions if (one.org, one.reviewer, one.stage) != place]
    status: str = request.status
    if opinion.stage == "completeness" and opinion.counted:
        event = {"approve": "complete", "return": "return"}.get(body.opinion, "")
        status = REQUEST.get((event, status), status)
    return replace(
        request,
        height=at.height,
        opinions=(*kept, opinion),
        status=status,
    )


def approving(request: RequestState, leaves: tuple[str, ...]) -> set[tuple[str, str]]:
    """The distinct people whose counted opinions, among those relied on, approve, and who oppose at
    no stage; completeness is no opinion on the matter.
    """
    live = [one for one in request.opinions if one.counted and one.stage != "completeness"]
    against = {(one.org, one.reviewer) for one in live if one.opinion == "reject"}
    relied = [one for one in live if one.opinion == "approve" and one.leaf in leaves]
    return {(one.org, one.reviewer) for one in relied} - against
