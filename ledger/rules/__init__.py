"""The domain: `apply(draft, entry, at)` gives the outcome of one record, or refuses it with its
rule number.

Inside, nothing counts but the entry, the state and what the entry refers to (definitions.md 4).
`RULES_VERSION`
names this set of rules: any change that can change a state is a new version, beside the old one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ledger.encoding import b64url
from ledger.errors import RefusedError
from ledger.records import DECODERS
from ledger.records.envelope import ENCODE, Entry, Record, Shape, decode_canonical
from ledger.records.governance import EndorseBody
from ledger.rules import (
    catalogue,
    credit,
    disputes,
    epochs,
    governance,
    imports,
    indicators,
    outputs,
    permits,
    requests,
    runs,
    studies,
    use,
    vocabulary,
)
from ledger.rules.decisions import (
    Alternatives,
    Need,
    committee_quorum,
    decided,
    is_decided,
    is_impossible,
    with_vote,
)
from ledger.rules.draft import At, Draft, Located, Outcome
from ledger.rules.graph import NODES, node_changes
from ledger.rules.guard import check_personal_data
from ledger.rules.structure import (
    DAY_MS,
    RIGHTS,
    SIGNERS,
    Signer,
    check_not_after,
    check_signer,
    check_status,
    check_structure,
    check_sub,
    find_signer,
)
from ledger.rules.subjects import subjects_of
from ledger.rules.values import VALUES, DecisionState, FindingState, Vote
from ledger.state import state_key

__all__ = [
    "RIGHTS",
    "RULES_VERSION",
    "SIGNERS",
    "VALUES",
    "At",
    "Draft",
    "Located",
    "Outcome",
    "Signer",
    "apply",
    "check_signer",
    "find_signer",
]

RULES_VERSION = 1


def _no_effect(_draft: Draft, _record: Record[Any], _at: At, _leaf: str) -> dict[bytes, Shape]:
    return {}


CHECKS: dict[str, Callable[[Draft, Record[Any], str, str, At], None]] = {
    "access-decision": permits.check_decision,
    "access-request": requests.check_request,
    "assessment": disputes.check_assessment,
    "certificate": credit.check_certificate,
    "config": epochs.check_config_record,
    "contribution-confirm": credit.check_confirm,
    "dataset": catalogue.check_dataset,
    "dataset-status": catalogue.check_withdrawal,
    "dataset-version": catalogue.check_version,
    "dispute-ruling": disputes.check_ruling,
    "egress-decision": outputs.check_decision,
    "egress-request": outputs.check_request,
    "endpoint": epochs.check_endpoint,
    "erasure": disputes.check_erasure,
    "ethics": studies.check_ethics,
    "finding-resolution": disputes.check_resolution,
    "indicator-version": indicators.check_indicator,
    "key": governance.check_key,
    "member": governance.check_member,
    "notice": credit.check_notice,
    "permit-status": permits.check_status_change,
    "policy": governance.check_policy,
    "resolution": governance.check_resolution,
    "study": studies.check_study,
    "vocabulary": vocabulary.check_vocabulary,
}
EFFECTS: dict[str, Callable[[Draft, Record[Any], At, str], dict[bytes, Shape]]] = {
    "access-decision": permits.effect_decision,
    "access-request": requests.effect_request,
    "assessment": _no_effect,
    "certificate": credit.effect_certificate,
    "config": epochs.effect_config,
    "contribution-confirm": credit.effect_confirm,
    "dataset": catalogue.effect_dataset,
    "dataset-status": catalogue.effect_withdrawal,
    "dataset-version": catalogue.effect_version,
    "dispute-ruling": disputes.effect_ruling,
    "egress-decision": outputs.effect_decision,
    "egress-request": outputs.effect_request,
    "endpoint": epochs.effect_endpoint,
    "erasure": disputes.effect_erasure,
    "ethics": studies.effect_ethics,
    "finding-resolution": disputes.effect_resolution,
    "indicator-version": indicators.effect_indicator,
    "key": governance.effect_key,
    "member": governance.effect_member,
    "notice": credit.effect_notice,
    "permit-status": permits.effect_status_change,
    "policy": governance.effect_policy,
    "resolution": governance.effect_resolution,
    "study": studies.effect_study,
    "vocabulary": vocabulary.effect_vocabulary,
}
EVIDENCE: dict[str, Callable[[Draft, Record[Any], str, At, int, tuple[str, ...]], Outcome]] = {
    "access": use.apply_access,
    "access-batch": use.apply_batch,
    "compute-run": runs.apply_run,
    "correction": use.apply_correction,
    "evidence": epochs.apply_evidence,
    "imported-agreement": imports.apply_agreement,
    "incident": runs.apply_incident,
    "source-close": use.apply_close,
    "study-event": studies.apply_event,
}

SIGNED: dict[str, Callable[[Draft, Entry, Signer, At, tuple[str, ...]], Outcome]] = {
    "contribution": credit.apply_contribution,
    "dispute": disputes.apply_dispute,
    "egress-review": outputs.apply_review,
    "publication": outputs.apply_publication,
    "result": outputs.apply_result,
    "review": requests.apply_review,
    "time-anchor": disputes.apply_anchor,
}
"""Evidence that depends on who signed it."""
AUTHORS: dict[str, Callable[[Draft, Record[Any], Signer], None]] = {
    "contribution-confirm": credit.check_confirmer,
    "egress-decision": outputs.check_decider,
    "egress-request": outputs.check_author,
    "finding-resolution": disputes.check_resolver,
}
"""Rights that only some people may ask for; who they are is checked when they sign."""


def _by_committee(_draft: Draft, _body: object, _org: str, committee: int, _at: At) -> Alternatives:
    return ((Need(committee, None),),)


ALTERNATIVES: dict[str, Callable[[Draft, Any, str, int, At], Alternatives]] = {
    "access-decision": permits.decision_alternatives,
    "access-request": requests.request_alternatives,
    "assessment": _by_committee,
    "certificate": credit.certificate_alternatives,
    "config": _by_committee,
    "dataset-version": catalogue.version_alternatives,
    "dispute-ruling": disputes.ruling_alternatives,
    "egress-decision": outputs.decision_alternatives,
    "finding-resolution": disputes.resolution_alternatives,
    "key": governance.key_alternatives,
    "member": _by_committee,
    "permit-status": permits.status_alternatives,
    "policy": _by_committee,
    "resolution": _by_committee,
    "study": studies.study_alternatives,
}
"""What a record needs besides its own signature; types that are not here need nothing."""


def apply(draft: Draft, entry: Entry, signer: Signer, at: At, chain: str) -> Outcome:
    """The outcome of one record on this draft; the draft itself stays as it was.

    `chain` is the short chain id as it stands in records. The signature and the uniqueness of the
    id are checked by
    `ledger.chain`. Raises `RefusedError`, `SignatureError` or `MalformedError` with the rule
    number.
    """
    record, org = entry.record, entry.statement.iss
    early = check_signer(signer, entry, at)
    happened = check_structure(draft, entry, at, chain)
    check_personal_data(record)
    subjects = subjects_of(org, record, draft.resolved)
    check_sub(entry, subjects)
    evidence = EVIDENCE.get(record.type)
    if evidence is not None:
        outcome = evidence(draft, record, org, at, happened, subjects)
    elif record.type == "endorse":
        outcome = _apply_endorse(draft, entry, signer, at, subjects)
    elif record.type in SIGNED:
        outcome = SIGNED[record.type](draft, entry, signer, at, subjects)
    elif record.type == "ready":
        outcome = epochs.apply_ready(draft, entry, at, subjects)
    else:
        outcome = _apply_right(draft, entry, signer, at, subjects)
    if record.payloads or (record.type in NODES and record.type not in RIGHTS):
        traces = _with_traces(draft, entry, outcome.changes)
        outcome = msgspec.structs.replace(outcome, changes=traces)
    if not (early or outcome.findings):
        return outcome
    findings = tuple(sorted({*early, *outcome.findings})) if early else outcome.findings
    changes = {
        **outcome.changes,
        state_key("finding", b64url(entry.leaf)): FindingState(codes=findings),
    }
    return msgspec.structs.replace(outcome, changes=changes, findings=findings)


def _with_traces(draft: Draft, entry: Entry, changes: Mapping[bytes, Shape]) -> dict[bytes, Shape]:
    """With the changes of a record, who holds its payloads, and, of evidence, where it stands in
    the provenance graph.
    """
    record, leaf = entry.record, b64url(entry.leaf)
    traces = {**changes, **disputes.payload_changes(record, leaf)}
    if record.type not in RIGHTS:
        traces.update(node_changes(draft, changes, record, entry.statement.iss, leaf))
    return traces


def _effect(draft: Draft, record: Record[Any], org: str, at: At, leaf: str) -> dict[bytes, Shape]:
    """What a rights-conferring record changes when it takes effect."""
    changes = EFFECTS[record.type](draft, record, at, leaf)
    return {**changes, **node_changes(draft, changes, record, org, leaf)}


def _alternatives(
    draft: Draft, record: Record[Any], org: str, committee: int, at: At
) -> Alternatives:
    """What a record needs besides its own signature; empty when that is enough."""
    needs = ALTERNATIVES.get(record.type)
    return needs(draft, record.body, org, committee, at) if needs else ()


def _apply_right(
    draft: Draft, entry: Entry, signer: Signer, at: At, subjects: tuple[str, ...]
) -> Outcome:
    """A rights-conferring record: checked now; in effect now, or PENDING until its co-decision is
    complete.
    """
    record, org, leaf = entry.record, entry.statement.iss, b64url(entry.leaf)
    if record.type in AUTHORS:
        AUTHORS[record.type](draft, record, signer)
    CHECKS[record.type](draft, record, org, signer.capacity, at)
    policy = draft.policy(at).body
    members = draft.admitted()
    committee = committee_quorum(policy, record.type, members)
    kid = b64url(entry.statement.kid)
    own = Vote(capacity=signer.capacity, kid=kid, org=org, verdict="approve")
    alternatives = _alternatives(draft, record, org, committee, at)
    effective = not alternatives or is_decided(draft, (own,), alternatives)
    decision = DecisionState(
        committee=committee,
        deadline_ms=at.time_ms + policy.decision_days * DAY_MS,
        height=at.height,
        kid=kid,
        members=members,
        org=org,
        record=None if effective else ENCODE(record).decode(),
        status="EFFECTIVE" if effective else "PENDING",
        sub=entry.statement.sub,
        type=record.type,
        votes=(own,),
    )
    effect = _effect(draft, record, org, at, leaf) if effective else {}
    return Outcome({**effect, state_key("decision", leaf): decision}, (), subjects)


def _apply_endorse(
    draft: Draft, entry: Entry, signer: Signer, at: At, subjects: tuple[str, ...]
) -> Outcome:
    """E1, E2. An endorsement is always recorded; the deciding one makes its target EFFECTIVE,
    REJECTED or VOID.
    """
    body: EndorseBody = entry.record.body
    if body.capacity != signer.capacity:
        raise RefusedError("E1", capacity=body.capacity, own=signer.capacity)
    state = draft.decision(body.target)
    if state is None:
        raise RefusedError("E2", target=body.target)
    kid = b64url(entry.statement.kid)
    if state.status != "PENDING" or state.record is None:
        return Outcome({}, ("NOT_PENDING",), subjects)
    if any(vote.kid == kid for vote in state.votes):
        return Outcome({}, ("ENDORSE_REPEATED",), subjects)
    if at.time_ms > state.deadline_ms:
        return Outcome({}, ("ENDORSE_LATE",), subjects)
    vote = Vote(capacity=signer.capacity, kid=kid, org=entry.statement.iss, verdict=body.verdict)
    changes = _decide(draft, state, vote, at, body.target)
    return Outcome(changes, (), subjects)


def _decide(
    draft: Draft, state: DecisionState, vote: Vote, at: At, target: str
) -> dict[bytes, Shape]:
    """What a further vote makes of a pending decision; its rules are evaluated again when it is the
    deciding one.
    """
    record = decode_canonical((state.record or "").encode(), DECODERS[state.type])
    key = state_key("decision", target)
    try:
        alternatives = _alternatives(draft, record, state.org, state.committee, at)
    except RefusedError as refusal:
        # Who would have to agree cannot be said any more: what it rests on is gone.
        return {key: decided(state, state.votes, "VOID", refusal.rule)}
    votes = with_vote(draft, state.votes, vote, alternatives)
    if is_decided(draft, votes, alternatives):
        try:
            check_not_after(record, at)
            check_status(draft, state.org, rights=True)
            CHECKS[record.type](draft, record, state.org, votes[0].capacity, at)
            effect = _effect(draft, record, state.org, at, target)
        except RefusedError as refusal:
            return {key: decided(state, votes, "VOID", refusal.rule)}
        return {**effect, key: decided(state, votes, "EFFECTIVE", None)}
    lost = is_impossible(draft, votes, alternatives, state.members)
    return {key: decided(state, votes, "REJECTED" if lost else "PENDING", None)}
