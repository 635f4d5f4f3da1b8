"""W50 to W59: disputes and rulings, resolved findings, assessments, erasures, time anchors
(domain.md D14, Rights and upkeep).
"""

import msgspec

from ledger.encoding import b64url, decode_date, decode_time, unb64url
from ledger.errors import RefusedError
from ledger.records.envelope import Entry, Record, Shape
from ledger.records.rights import (
    AssessmentBody,
    DisputeBody,
    DisputeRulingBody,
    ErasureBody,
    FindingResolutionBody,
    TimeAnchorBody,
)
from ledger.rules.catalogue import check_party
from ledger.rules.decisions import Alternatives, Need, committee_quorum
from ledger.rules.draft import At, Draft, Outcome
from ledger.rules.entitlement import (
    CertificateState,
    ContributionState,
    Disputed,
    DisputeState,
    PayloadState,
)
from ledger.rules.governance import check_resolution_ref
from ledger.rules.graph import name_at, node_at
from ledger.rules.machines import CERTIFICATE, CONTRIBUTION, DISPUTE
from ledger.rules.standing import RunState
from ledger.rules.structure import Signer
from ledger.rules.use import held_data
from ledger.rules.values import FindingState
from ledger.state import state_key

Changes = dict[bytes, Shape]
MAX_OPEN = 8
"""Open disputes of one organisation on one record: nobody fills the room for those of others."""


# --- dispute --------------------------------------------------------------------------------------


def apply_dispute(
    draft: Draft, entry: Entry, signer: Signer, _at: At, subjects: tuple[str, ...]
) -> Outcome:
    """W50, D11. Whoever objects is heard; shares are held until the committee rules."""
    body: DisputeBody = entry.record.body
    if draft.get(DisputeState, "dispute", body.dispute_id) is not None:
        raise RefusedError("W50", dispute=body.dispute_id)
    if body.claimant.org != signer.org:
        raise RefusedError("W50.claimant", org=signer.org, claimant=body.claimant.org)
    check_party(draft, body.claimant)
    target = draft.resolved.get(unb64url(body.target, 32))
    orgs = {signer.org, *([target.org] if target else [])}
    state = DisputeState(
        claimant=body.claimant,
        leaf=b64url(entry.leaf),
        parties=tuple(sorted(orgs)),
        status=DISPUTE["open", None],  # type: ignore[arg-type]
        target=body.target,
    )
    known = draft.get(Disputed, "disputed", body.target) or Disputed()
    if _open_of(draft, known, signer.org) >= MAX_OPEN:
        raise RefusedError("W51", org=signer.org, limit=MAX_OPEN)
    changes: Changes = {
        state_key("dispute", body.dispute_id): state,
        state_key("disputed", body.target): Disputed(by=(*known.by, body.dispute_id)),
    }
    return Outcome(changes, (), subjects)


def _open_of(draft: Draft, disputed: Disputed, org: str) -> int:
    """How many of these open disputes are of an organisation."""
    found = (draft.get(DisputeState, "dispute", name) for name in disputed.by)
    return sum(dispute is not None and dispute.claimant.org == org for dispute in found)


def check_ruling(
    draft: Draft, record: Record[DisputeRulingBody], org: str, _capacity: str, _at: At
) -> None:
    """W52 to W55."""
    body = record.body
    dispute = _dispute_by(draft, body.dispute)[1]
    if (body.outcome, dispute.status) not in DISPUTE:
        raise RefusedError("W52", leaf=body.dispute)
    if check_resolution_ref(draft, record).kind not in ("decide", "discipline"):
        raise RefusedError("W53")
    if org in dispute.parties:
        raise RefusedError("W54", org=org)
    if body.orders and body.outcome == "rejected":
        raise RefusedError("W55", leaf=body.orders[0].ref)
    for order in body.orders:
        _ordered(draft, order.action, order.ref)


def _dispute_by(draft: Draft, leaf: str) -> tuple[str, DisputeState]:
    """A dispute and its id. Raises `RefusedError` (W52)."""
    name = name_at(draft, leaf, "dispute")
    dispute = None if name is None else draft.get(DisputeState, "dispute", name)
    if name is None or dispute is None:
        raise RefusedError("W52", leaf=leaf)
    return name, dispute


def _ordered(draft: Draft, action: str, leaf: str) -> Changes:
    """What an order changes. Raises `RefusedError` (W55) for what cannot be ordered."""
    if action == "revoke":
        name = name_at(draft, leaf, "certificate")
        found = None if name is None else draft.get(CertificateState, "certificate", name)
        if name is None or found is None or (action, found.status) not in CERTIFICATE:
            raise RefusedError("W55", leaf=leaf)
        revoked = msgspec.structs.replace(found, status=CERTIFICATE[action, found.status])
        return {state_key("certificate", name): revoked}
    claim = draft.get(ContributionState, "contribution", leaf)
    if claim is None or (action, claim.status) not in CONTRIBUTION:
        raise RefusedError("W55", leaf=leaf)
    changes: Changes = {
        state_key("contribution", leaf): msgspec.structs.replace(
            claim, status=CONTRIBUTION[action, claim.status]
        )
    }
    node = node_at(draft, claim.object)
    if node is not None:
        parts = tuple(part for part in node.parts if part.leaf != leaf)
        changes[state_key("node", claim.object)] = msgspec.structs.replace(node, parts=parts)
    return changes


def ruling_alternatives(
    draft: Draft, body: DisputeRulingBody, _org: str, _committee: int, at: At
) -> Alternatives:
    """The committee without the parties: its quorum is a share of the others."""
    parties = _dispute_by(draft, body.dispute)[1].parties
    admitted = sum(
        1 for org in parties if (m := draft.member(org)) is not None and m.status == "ADMITTED"
    )
    others = max(1, draft.admitted() - admitted)
    number = committee_quorum(draft.policy(at).body, "dispute-ruling", others)
    return ((Need(number, None, barred_orgs=frozenset(parties)),),)


def effect_ruling(draft: Draft, record: Record[DisputeRulingBody], _at: At, _leaf: str) -> Changes:
    """The dispute is closed, and what was ordered is done."""
    body = record.body
    name, dispute = _dispute_by(draft, body.dispute)
    known = draft.get(Disputed, "disputed", dispute.target) or Disputed()
    changes: Changes = {
        state_key("dispute", name): msgspec.structs.replace(
            dispute, status=DISPUTE[body.outcome, dispute.status]
        ),
        state_key("disputed", dispute.target): Disputed(
            by=tuple(one for one in known.by if one != name)
        ),
    }
    for order in body.orders:
        changes.update(_ordered(draft, order.action, order.ref))
    return changes


# --- finding-resolution ---------------------------------------------------------------------------


def check_resolution(
    draft: Draft, record: Record[FindingResolutionBody], _org: str, _capacity: str, _at: At
) -> None:
    """W56."""
    body = record.body
    found = draft.get(FindingState, "finding", body.record)
    if found is None or body.code not in found.codes:
        raise RefusedError("W56", code=body.code, leaf=body.record)


def check_resolver(draft: Draft, record: Record[FindingResolutionBody], signer: Signer) -> None:
    """W57: nobody resolves a finding of their own, and the dataset is what the record is about.

    What stands at the record is known while this one is taken in, and not when its decision falls:
    so it is asked here alone.
    """
    body = record.body
    target = draft.resolved.get(unb64url(body.record, 32))
    if target is None or target.org == signer.org:
        raise RefusedError("W57", org=signer.org)
    if body.dataset is None:
        return
    subject, _, name = target.sub.partition(":")
    names = {name} if subject == "dataset" else set()
    if subject == "run":
        run = draft.get(RunState, "run", f"{target.org}/{name}")
        names = {one.name for one in run.used if one.name} if run else set()
    if body.dataset not in names:
        raise RefusedError("W57.data", dataset=body.dataset, leaf=body.record)


def resolution_alternatives(
    draft: Draft, body: FindingResolutionBody, _org: str, committee: int, _at: At
) -> Alternatives:
    """The committee; or an officer of the custodian of the dataset named."""
    held = held_data(draft, body.dataset) if body.dataset is not None else None
    by_custodian = ((Need(1, held.custodian),),) if held is not None else ()
    return ((Need(committee, None),), *by_custodian)


def effect_resolution(
    draft: Draft, record: Record[FindingResolutionBody], _at: At, _leaf: str
) -> Changes:
    """The finding is open no longer; what it says stays on the chain."""
    body = record.body
    found = draft.get(FindingState, "finding", body.record)
    left = tuple(code for code in found.codes if code != body.code) if found else ()
    return {state_key("finding", body.record): FindingState(codes=left)}


# --- assessment, erasure, time-anchor -------------------------------------------------------------


def check_assessment(
    draft: Draft, record: Record[AssessmentBody], _org: str, _capacity: str, _at: At
) -> None:
    """W58, G6."""
    period = record.body.period
    if decode_date(period.from_) > decode_date(period.to):
        raise RefusedError("W58")
    if check_resolution_ref(draft, record).kind != "assess":
        raise RefusedError("W58")


def check_erasure(
    draft: Draft, record: Record[ErasureBody], org: str, _capacity: str, _at: At
) -> None:
    """W59: a holder says what it erased itself, once."""
    decode_time(record.body.executed_at)
    if record.body.holder != org:
        raise RefusedError("W59", commit=record.body.targets[0].commit, org=record.body.holder)
    seen: set[tuple[str, str]] = set()
    for one in record.body.targets:
        held = draft.get(PayloadState, "payload", f"{one.record}/{one.commit}")
        place = one.record, one.commit
        if held is None or org not in held.holders or org in held.erased or place in seen:
            raise RefusedError("W59", commit=one.commit, org=org)
        seen.add(place)


def effect_erasure(draft: Draft, record: Record[ErasureBody], _at: At, _leaf: str) -> Changes:
    """This holder has the payloads no longer."""
    changes: Changes = {}
    org = record.body.holder
    for one in record.body.targets:
        name = f"{one.record}/{one.commit}"
        held = draft.get(PayloadState, "payload", name)
        if held is not None:
            changes[state_key("payload", name)] = msgspec.structs.replace(
                held, erased=tuple(sorted({*held.erased, org}))
            )
    return changes


def payload_changes(record: Record, leaf: str) -> Changes:  # type: ignore[type-arg]
    """Who holds the payloads of a record."""
    return {
        state_key("payload", f"{leaf}/{one.commit}"): PayloadState(
            holders=one.holders, schema=one.schema
        )
        for one in record.payloads
    }


def apply_anchor(
    _draft: Draft, entry: Entry, _signer: Signer, _at: At, subjects: tuple[str, ...]
) -> Outcome:
    """The form alone: whether the token's imprint is the checkpoint's, the auditor checks."""
    body: TimeAnchorBody = entry.record.body
    unb64url(body.root, 32)
    return Outcome({}, (), subjects)
