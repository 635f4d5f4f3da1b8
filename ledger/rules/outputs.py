"""W10 to W22: results, what of them leaves the alliance, and publications (domain.md D3, D13, D14).

What leaves passes two independent reviewers who are not the author; at least one is from another
institution.
"""

from collections.abc import Iterable

import msgspec

from ledger.attribution import DATASET, acknowledgement_root
from ledger.encoding import b64url, decode_date, unb64url
from ledger.errors import RefusedError, unreachable
from ledger.provenance import Node, backward
from ledger.records.envelope import Entry, Record, Shape
from ledger.records.outputs import (
    EgressDecisionBody,
    EgressRequestBody,
    EgressReviewBody,
    PublicationBody,
    ResultBody,
)
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft, Outcome
from ledger.rules.entitlement import EgressState, FileReview, ResultState
from ledger.rules.graph import Graph, name_at, node_at, parameters_at, walk_from
from ledger.rules.machines import EGRESS, RESULT, permit_status
from ledger.rules.standing import PermitState, RunState, StudyState
from ledger.rules.structure import DAY_MS, Signer
from ledger.rules.values import FindingState, VersionState
from ledger.state import state_key

Changes = dict[bytes, Shape]
EGRESS2 = "EC:EGRESS2"
MORATORIUM = "DUO:0000024"
FLAWS = frozenset({"NO_PERMIT", "NODE_NOT_MEMBER"})
"""Open findings of a run that its results carry on."""
MAX_REVIEWERS = 64
"""People whose votes on one request are kept; more are recorded and do not count."""


# --- result ---------------------------------------------------------------------------------------


def apply_result(
    draft: Draft, entry: Entry, signer: Signer, at: At, subjects: tuple[str, ...]
) -> Outcome:
    """W10 to W12. A result is evidence: what is wrong with its runs becomes a finding."""
    body: ResultBody = entry.record.body
    if draft.get(ResultState, "result", body.result_id) is not None:
        raise RefusedError("W10", result=body.result_id)
    study = _named(draft, body.study, "study")
    for leaf in body.indicators:
        _named(draft, leaf, "indicator-version")
    before = None
    if body.supersedes is not None:
        before = draft.get(ResultState, "result", _named(draft, body.supersedes, "result"))
    runs = [_named(draft, leaf, "compute-run") for leaf in body.generated_by]
    files = tuple(sorted(one.digest for one in body.files))
    if len(set(files)) != len(files):
        raise RefusedError("W12")
    for digest in (body.content_digest, *files):
        unb64url(digest, 32)
    states = [run for name in runs if (run := draft.get(RunState, "run", name)) is not None]
    leaf = b64url(entry.leaf)
    state = ResultState(
        files=files,
        height=at.height,
        leaf=leaf,
        org=signer.org,
        permits=tuple(sorted({run.permit for run in states if run.permit is not None})),
        status=RESULT["register", None],  # type: ignore[arg-type]
        study=study,
    )
    changes: Changes = {state_key("result", body.result_id): state}
    codes = _result_findings(draft, body, states, state)
    is_other = before is not None and before.study != study
    if is_other or not _speaks_for(draft, study, signer.org):
        # Whoever it is registers a result of its own, and changes nobody else's.
        codes.add("NOT_APPLICANT")
    elif before is not None and ("correct", before.status) in RESULT:
        name = _named(draft, before.leaf, "result")
        changes[state_key("result", name)] = _moved(before, "correct")
    return Outcome(changes, tuple(sorted(codes)), subjects)


def _speaks_for(draft: Draft, name: str, org: str) -> bool:
    """Whether an organisation leads a study, has people on its team, or computes for it."""
    study = draft.get(StudyState, "study", name)
    if study is None:
        unreachable("the node of a study and its state stand together")
    nodes = {node.partition("/")[0] for node in study.body.compute_nodes}
    return org in {study.body.lead_org, *(one.org for one in study.body.team), *nodes}


def _named(draft: Draft, leaf: str, kind: str) -> str:
    """What the object of an effective record of this type is called. Raises `RefusedError`
    (W11).
    """
    name = name_at(draft, leaf, kind)
    if name is None:
        raise RefusedError("W11", leaf=leaf, type=kind)
    return name


def _result_findings(
    draft: Draft, body: ResultBody, runs: list[RunState], state: ResultState
) -> set[str]:
    codes: set[str] = set()
    if not runs:
        codes.add("NO_RUN")
    generated = {digest for run in runs for digest in run.generated}
    if not {body.content_digest, *state.files} & generated or not set(state.files) <= generated:
        codes.add("OUTPUT_NOT_IN_RUN")
    for name in state.permits:
        permit = draft.get(PermitState, "permit", name)
        if permit is not None and permit.study != state.study:
            codes.add("STUDY_MISMATCH")
    for leaf in body.generated_by:
        found = draft.get(FindingState, "finding", leaf)
        if found is not None and FLAWS & set(found.codes):
            codes.add("RUN_FLAGGED")
    return codes


def _moved(state: ResultState, event: str, **changes: object) -> ResultState:
    return msgspec.structs.replace(state, status=RESULT[event, state.status], **changes)


# --- egress-request -------------------------------------------------------------------------------


def check_request(
    draft: Draft, record: Record[EgressRequestBody], org: str, _capacity: str, at: At
) -> None:
    """W11, W13, W15 to W17."""
    body = record.body
    result = result_by(draft, body.result)
    known = draft.get(EgressState, "egress", body.request_id)
    fits = (
        body.revises is None
        if known is None
        else known.leaf == body.revises and ("resubmit", known.status) in EGRESS
    )
    if not fits:
        raise RefusedError("W13", request=body.request_id)
    if len(set(body.files)) != len(body.files) or not set(body.files) <= set(result.files):
        raise RefusedError("W15")
    unb64url(body.sdc.profile_hash, 32)
    study = draft.get(StudyState, "study", result.study)
    team = {one.person for one in study.body.team} if study is not None else set()
    if body.author not in team or org not in _team_orgs(study, body.author):
        raise RefusedError("W16", study=result.study)
    _check_permit(draft, body.permit, result, at)


def _team_orgs(study: StudyState | None, person: str) -> set[str]:
    return {one.org for one in study.body.team if one.person == person} if study else set()


def result_by(draft: Draft, leaf: str) -> ResultState:
    """The result that a record registered. Raises `RefusedError` (W11)."""
    state = draft.get(ResultState, "result", _named(draft, leaf, "result"))
    if state is None:
        unreachable("the node of a result and its state stand together")
    return state


def _check_permit(draft: Draft, name: str, result: ResultState, at: At) -> None:
    """W17: the runs were under this permit, and it is active, or ended not too long ago."""
    permit = draft.get(PermitState, "permit", name)
    if permit is None or permit.study != result.study or name not in result.permits:
        raise RefusedError("W17", permit=name)
    status = permit_status(permit.spans, permit.terms.until_ms, at.time_ms)
    ended = permit.terms.until_ms if status == "EXPIRED" else permit.spans[-1].from_ms
    days = parameters_at(draft, at)[0].egress_days
    late = at.time_ms > ended + days * DAY_MS
    if status != "ACTIVE" and (status not in ("CLOSED", "EXPIRED") or late):
        raise RefusedError("W17", permit=name)


def check_author(_draft: Draft, record: Record[EgressRequestBody], signer: Signer) -> None:
    """W16: whoever asks signs as the author."""
    if signer.state is None or signer.state.subject != record.body.author:
        raise RefusedError("W16", study=record.body.request_id)


def effect_request(draft: Draft, record: Record[EgressRequestBody], _at: At, leaf: str) -> Changes:
    """The request is made, or made again: reviews begin anew."""
    body = record.body
    known = draft.get(EgressState, "egress", body.request_id)
    event = ("resubmit", known.status) if known else ("submit", None)
    state = EgressState(
        author=body.author,
        failed=any(one.status == "fail" for one in body.sdc.outputs),
        files=tuple(sorted(body.files)),
        leaf=leaf,
        org=result_by(draft, body.result).org,
        permit=body.permit,
        result=_named(draft, body.result, "result"),
        status=EGRESS[event],  # type: ignore[arg-type]
    )
    return {state_key("egress", body.request_id): state}


# --- egress-review --------------------------------------------------------------------------------


def apply_review(
    draft: Draft, entry: Entry, signer: Signer, _at: At, subjects: tuple[str, ...]
) -> Outcome:
    """A review is always recorded; whether it counts, its findings say."""
    body: EgressReviewBody = entry.record.body
    for digest in (body.checklist_hash, *(one.digest for one in body.file_votes)):
        unb64url(digest, 32)
    name = name_at(draft, body.request, "egress-request")
    request = None if name is None else draft.get(EgressState, "egress", name)
    if name is None or request is None:
        return Outcome({}, ("UNREGISTERED",), subjects)
    reviewer = signer.state.subject if signer.state else ""
    finding = _why_not(draft, request, body, signer.org, reviewer)
    if finding is not None:
        return Outcome({}, (finding,), subjects)
    kept = [one for one in request.reviews if (one.org, one.reviewer) != (signer.org, reviewer)]
    review = FileReview(org=signer.org, reviewer=reviewer, votes=body.file_votes)
    state = request
    if len(kept) == len(request.reviews):
        state = msgspec.structs.replace(request, status=EGRESS["review", request.status])
    state = msgspec.structs.replace(state, reviews=(*kept, review))
    return Outcome({state_key("egress", name): state}, (), subjects)


def _why_not(
    draft: Draft, request: EgressState, body: EgressReviewBody, org: str, reviewer: str
) -> str | None:
    """The finding of a review that does not count."""
    full = len(request.reviews) >= MAX_REVIEWERS
    if request.leaf != body.request or ("review", request.status) not in EGRESS or full:
        return "NOT_OPEN"
    if _is_insider(draft, request, reviewer):
        return "REVIEWER_ON_TEAM"
    voted = sorted(one.digest for one in body.file_votes)
    return None if voted == sorted(request.files) and org else "VOTES_INCOMPLETE"


def _is_insider(draft: Draft, request: EgressState, person: str) -> bool:
    """Whether this person is the author, or of the study's team."""
    result = draft.get(ResultState, "result", request.result)
    study = draft.get(StudyState, "study", result.study) if result else None
    team = {one.person for one in study.body.team} if study else set()
    return person == request.author or person in team


# --- egress-decision ------------------------------------------------------------------------------


def check_decision(
    draft: Draft, record: Record[EgressDecisionBody], _org: str, _capacity: str, at: At
) -> None:
    """W18 to W22: X1 to X3 of domain.md D14."""
    body = record.body
    request = egress_by(draft, body.request)
    if (body.decision, request.status) not in EGRESS:
        raise RefusedError("W18", decision=body.decision, status=request.status)
    if body.decision != "release":
        if body.released:
            raise RefusedError("W21")
        return
    chosen = set(body.released)
    if not chosen or len(chosen) != len(body.released) or not chosen <= set(request.files):
        raise RefusedError("W21")
    if request.failed and body.exception_code is None:
        raise RefusedError("W20")
    needed = draft.policy(at).body.min_reviewers
    for digest in body.released:
        _check_votes(request, digest, needed)


def _check_votes(request: EgressState, digest: str, needed: int) -> None:
    """W19 (X1): enough people approve this file, one of them from elsewhere, and nobody rejects."""
    votes = {
        (review.org, review.reviewer): vote.vote
        for review in request.reviews
        for vote in review.votes
        if vote.digest == digest
    }
    approving = [who for who, vote in votes.items() if vote == "approve"]
    elsewhere = any(org != request.org for org, _ in approving)
    if len(approving) < needed or not elsewhere or "reject" in votes.values():
        raise RefusedError("W19", digest=digest, needed=needed)


def egress_by(draft: Draft, leaf: str) -> EgressState:
    """The request whose newest submission this is. Raises `RefusedError` (W18.request)."""
    name = name_at(draft, leaf, "egress-request")
    request = None if name is None else draft.get(EgressState, "egress", name)
    if request is None or request.leaf != leaf:
        raise RefusedError("W18.request", leaf=leaf)
    return request


def check_decider(draft: Draft, record: Record[EgressDecisionBody], signer: Signer) -> None:
    """W22 (X4): no insider decides; the author alone withdraws."""
    request = egress_by(draft, record.body.request)
    person = signer.state.subject if signer.state else ""
    mine = signer.capacity == "self" and person == request.author
    withdraws = record.body.decision == "withdraw"
    if withdraws != (signer.capacity == "self") or (withdraws and not mine):
        raise RefusedError("W22")
    if not withdraws and _is_insider(draft, request, person):
        raise RefusedError("W22")


def decision_alternatives(
    draft: Draft, body: EgressDecisionBody, _org: str, _committee: int, _at: At
) -> Alternatives:
    """An officer of each custodian whose terms ask for it (EC:EGRESS2)."""
    if body.decision != "release":
        return ()
    request = egress_by(draft, body.request)
    names = {node.name for node in _inputs(draft, request.result)}
    permit = draft.get(PermitState, "permit", request.permit)
    names.update(permit.terms.datasets if permit else ())
    versions = [draft.get(VersionState, "version", name) for name in sorted(names)]
    custodians = {
        one.custodian
        for one in versions
        if one is not None and any(term.code == EGRESS2 for term in one.terms)
    }
    return (tuple(Need(1, org) for org in sorted(custodians)),) if custodians else ()


def _inputs(draft: Draft, result: str) -> Iterable[Node]:
    """The datasets that went into a result, through whatever results in between."""
    state = draft.get(ResultState, "result", result)
    relations = frozenset({"generated_by", "used"})
    starts = [state.leaf] if state else []
    walk = backward(Graph(draft).find, starts, relations)  # type: ignore[arg-type]
    return [node for node in walk.nodes.values() if node.kind == DATASET]


def effect_decision(
    draft: Draft, record: Record[EgressDecisionBody], _at: At, _leaf: str
) -> Changes:
    """The request is decided; a release clears the files of the result, a recall unclears them."""
    body = record.body
    request = egress_by(draft, body.request)
    name = _named(draft, body.request, "egress-request")
    status = EGRESS[body.decision, request.status]
    decided = msgspec.structs.replace(request, released=body.released, status=status)
    changes: Changes = {state_key("egress", name): decided}
    result = draft.get(ResultState, "result", request.result)
    if result is None or body.decision not in ("release", "recall"):
        return changes
    released = set(result.released) | set(body.released)
    if body.decision == "recall":
        released = set(result.released) - set(request.released)
    if (body.decision, result.status) in RESULT:
        result = _moved(result, body.decision)
    changes[state_key("result", request.result)] = msgspec.structs.replace(
        result, released=tuple(sorted(released))
    )
    return changes


# --- publication ----------------------------------------------------------------------------------


def apply_publication(
    draft: Draft, entry: Entry, _signer: Signer, _at: At, subjects: tuple[str, ...]
) -> Outcome:
    """A publication is evidence, also of what should not have been published."""
    body: PublicationBody = entry.record.body
    decode_date(body.published_on)
    if body.ack_root is not None:
        unb64url(body.ack_root, 32)
    result = result_by(draft, body.result)
    codes: set[str] = set()
    if not result.released:
        codes.add("NOT_RELEASED")
    if any(body.published_on < day for day in _moratoria(draft, result)):
        codes.add("EMBARGOED")
    if not body.acknowledgement_ok or _lacks_credit(draft, body):
        codes.add("CREDIT_MISSING")
    changes: Changes = {}
    if ("publish", result.status) in RESULT and result.released:
        name = _named(draft, result.leaf, "result")
        changes[state_key("result", name)] = _moved(result, "publish")
    return Outcome(changes, tuple(sorted(codes)), subjects)


def _moratoria(draft: Draft, result: ResultState) -> list[str]:
    """The days before which the terms of its permits allow no publication."""
    permits = [draft.get(PermitState, "permit", name) for name in result.permits]
    return [
        one.params[0]
        for permit in permits
        if permit is not None
        for one in permit.terms.obligations
        if one.code == MORATORIUM and one.params
    ]


def _lacks_credit(draft: Draft, body: PublicationBody) -> bool:
    """Whether the acknowledgements printed are others than the chain's."""
    if body.ack_root is None:
        return False
    node = node_at(draft, body.result)
    return node is None or acknowledgement_root(walk_from(draft, body.result)) != body.ack_root
