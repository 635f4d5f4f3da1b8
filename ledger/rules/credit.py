"""W30 to W46: contributions and their confirmation, notices (公示), certificates (权益凭证)
(domain.md D7 to D10, D14).
"""

import msgspec

from ledger.attribution import DATASET, INDICATOR, RESULT, Calculation, custodian_of, roots_of
from ledger.encoding import b64url, decode_date, decode_time, unb64url
from ledger.errors import RefusedError
from ledger.provenance import Part, Role, Walk
from ledger.records.envelope import Entry, Record, Shape
from ledger.records.rights import (
    CertificateBody,
    ContributionBody,
    ContributionConfirmBody,
    NoticeBody,
)
from ledger.rules.catalogue import check_party
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft, Outcome
from ledger.rules.entitlement import (
    CertificateState,
    ContributionState,
    Disputed,
    DisputeState,
    NoticeState,
    ResultState,
)
from ledger.rules.graph import (
    attribution_of,
    name_at,
    node_at,
    parameters_at,
    party_name,
    walk_from,
)
from ledger.rules.machines import CERTIFICATE, CONTRIBUTION
from ledger.rules.permits import add_months
from ledger.rules.standing import StudyState
from ledger.rules.structure import DAY_MS, Signer
from ledger.rules.studies import end_of, leader_of
from ledger.rules.values import Holder
from ledger.state import state_key

Changes = dict[bytes, Shape]
PART: dict[str, Role] = {DATASET: "contributor", INDICATOR: "author", RESULT: "analyst"}
"""What a confirmed contribution is to an object of each type; nothing else has contributions."""
MAX_PARTS = 1024
"""Parts of one object: its node stays a value that every node can afford to rewrite."""


# --- contribution ---------------------------------------------------------------------------------


def apply_contribution(
    draft: Draft, entry: Entry, signer: Signer, _at: At, subjects: tuple[str, ...]
) -> Outcome:
    """W30, D11. A claim is evidence of itself alone until it is confirmed."""
    body: ContributionBody = entry.record.body
    _object_kind(draft, body.object)
    check_party(draft, body.party)
    state = ContributionState(
        by=signer.state.subject if signer.state else signer.org,
        credit_role=body.credit_role,
        degree=body.degree,
        local_role=body.local_role,
        object=body.object,
        party=body.party,
        status=CONTRIBUTION["claim", None],  # type: ignore[arg-type]
    )
    return Outcome({state_key("contribution", b64url(entry.leaf)): state}, (), subjects)


def _object_kind(draft: Draft, leaf: str) -> str:
    """The type of an object that people contribute to. Raises `RefusedError` (W30)."""
    node = node_at(draft, leaf)
    if node is None or node.kind not in PART:
        raise RefusedError("W30", leaf=leaf)
    return node.kind


def claim_by(draft: Draft, leaf: str) -> ContributionState:
    """A claim. Raises `RefusedError` (W31)."""
    claim = draft.get(ContributionState, "contribution", leaf)
    if claim is None:
        raise RefusedError("W31", leaf=leaf)
    return claim


def check_confirm(
    draft: Draft, record: Record[ContributionConfirmBody], org: str, capacity: str, _at: At
) -> None:
    """W31, W32, W34, W35."""
    body = record.body
    claim = claim_by(draft, body.contribution)
    if (body.decision, claim.status) not in CONTRIBUTION:
        raise RefusedError("W32", decision=body.decision, status=claim.status)
    if (body.decision == "amend") != (body.degree is not None):
        raise RefusedError("W34")
    node = node_at(draft, claim.object)
    if body.decision != "reject" and node is not None and len(node.parts) >= MAX_PARTS:
        raise RefusedError("W35", limit=MAX_PARTS)
    if capacity == "so" and org != _responsible(draft, claim.object):
        raise RefusedError("W33", leaf=body.contribution)


def _responsible(draft: Draft, leaf: str) -> str | None:
    """The organisation that answers for an object: a dataset's custodian, an indicator's author, a
    result's.
    """
    decision = draft.decision(leaf)
    if decision is not None:
        return decision.org
    result = draft.get(ResultState, "result", name_at(draft, leaf, RESULT) or "")
    return result.org if result else None


def check_confirmer(draft: Draft, record: Record[ContributionConfirmBody], signer: Signer) -> None:
    """W33: an officer of the organisation that answers for the object, or the principal
    investigator of the result; never the person who claims or is claimed for.
    """
    leaf = record.body.contribution
    claim = claim_by(draft, leaf)
    person = signer.state.subject if signer.state else ""
    claimed = draft.resolved.get(unb64url(leaf, 32))
    # Organisations name their officers themselves: two may use one name.
    is_claimant = person == claim.by and claimed is not None and claimed.org == signer.org
    if is_claimant or person == claim.party.person:
        raise RefusedError("W33", leaf=leaf)
    if signer.capacity == "self" and person != _leader(draft, claim.object):
        raise RefusedError("W33", leaf=leaf)


def _leader(draft: Draft, leaf: str) -> str | None:
    result = draft.get(ResultState, "result", name_at(draft, leaf, RESULT) or "")
    study = draft.get(StudyState, "study", result.study) if result else None
    leader = leader_of(study.body.team) if study else None
    return leader[0] if leader else None


def effect_confirm(
    draft: Draft, record: Record[ContributionConfirmBody], _at: At, _leaf: str
) -> Changes:
    """The claim is decided; a confirmed one becomes a part of its object."""
    body = record.body
    claim = claim_by(draft, body.contribution)
    degree = body.degree or claim.degree
    decided = msgspec.structs.replace(
        claim, degree=degree, status=CONTRIBUTION[body.decision, claim.status]
    )
    changes: Changes = {state_key("contribution", body.contribution): decided}
    node = node_at(draft, claim.object)
    if node is None or decided.status != "CONFIRMED":
        return changes
    part = Part(
        credit_role=claim.credit_role,
        degree=degree,
        leaf=body.contribution,
        local_role=claim.local_role,
        party=party_name(claim.party),
        role=PART[node.kind],
    )
    changes[state_key("node", claim.object)] = msgspec.structs.replace(
        node, parts=(*node.parts, part)
    )
    return changes


# --- disputes, as credit sees them ----------------------------------------------------------------


def open_disputes(draft: Draft, leaf: str) -> tuple[DisputeState, ...]:
    """The disputes on a record that nobody ruled on yet."""
    disputed = draft.get(Disputed, "disputed", leaf)
    names = disputed.by if disputed else ()
    found = [draft.get(DisputeState, "dispute", name) for name in names]
    return tuple(dispute for dispute in found if dispute is not None)


def held_parties(draft: Draft, walk: Walk) -> frozenset[str]:
    """Whose shares are held: of an object in dispute everybody's, of a contribution in dispute that
    party's; and always the claimant's (domain.md D9, step 9).
    """
    held: set[str] = set()
    for node in walk.nodes.values():
        for dispute in open_disputes(draft, node.leaf):
            held.update(part.party for part in node.parts)
            held.add(party_name(dispute.claimant))
        for part in node.parts:
            if part.leaf != node.leaf:
                for dispute in open_disputes(draft, part.leaf):
                    held.update((part.party, party_name(dispute.claimant)))
    return frozenset(held)


def credit_of(draft: Draft, leaf: str, at: At) -> Calculation:
    """Who must be credited for an object, as of now, under the policy in force (domain.md Q5)."""
    _object_kind(draft, leaf)
    parameters, policy = parameters_at(draft, at)
    held = held_parties(draft, walk_from(draft, leaf))
    return attribution_of(draft, leaf, parameters, policy, held)


def noticed_credit(draft: Draft, leaf: str, notice: str) -> Calculation:
    """The same as a notice of the object shows it: its parameters, nothing held. W40."""
    found = notice_by(draft, notice, leaf)
    return attribution_of(draft, leaf, found.parameters, found.policy)


# --- notice ---------------------------------------------------------------------------------------


def check_notice(
    draft: Draft, record: Record[NoticeBody], _org: str, _capacity: str, at: At
) -> None:
    """W36 to W38."""
    body = record.body
    if draft.get(NoticeState, "notice", body.notice_id) is not None:
        raise RefusedError("W36", notice=body.notice_id)
    parameters, policy = parameters_at(draft, at)
    start = max(decode_time(body.opens), at.time_ms)
    if decode_time(body.closes) < start + parameters.objection_days * DAY_MS:
        raise RefusedError("W37", days=parameters.objection_days)
    if decode_date(body.as_of) > at.time_ms:
        raise RefusedError("W37", days=parameters.objection_days)
    if body.policy != policy or credit_of(draft, body.object, at).digest != body.draft_hash:
        raise RefusedError("W38")


def effect_notice(draft: Draft, record: Record[NoticeBody], at: At, leaf: str) -> Changes:
    """What is to be certified is shown from now on, under the parameters of now."""
    body = record.body
    state = NoticeState(
        closes_ms=decode_time(body.closes),
        draft_hash=body.draft_hash,
        leaf=leaf,
        object=body.object,
        parameters=parameters_at(draft, at)[0],
        policy=body.policy,
    )
    return {state_key("notice", body.notice_id): state}


# --- certificate ----------------------------------------------------------------------------------


def check_certificate(
    draft: Draft, record: Record[CertificateBody], _org: str, _capacity: str, at: At
) -> None:
    """W39 to W46. Every node works the attribution out again."""
    body = record.body
    if draft.get(CertificateState, "certificate", body.cert_no) is not None:
        raise RefusedError("W39", certificate=body.cert_no)
    notice = notice_by(draft, body.notice, body.object)
    if at.time_ms < notice.closes_ms:
        raise RefusedError("W41", notice=body.notice)
    walk = walk_from(draft, body.object)
    _check_no_dispute(draft, walk, body)
    calculation = noticed_credit(draft, body.object, body.notice)
    stated = (body.calc_digest, body.ack_root, body.share_root)
    found = (calculation.digest, calculation.ack_root, calculation.share_root)
    if stated != found or body.calc_digest != notice.draft_hash:
        raise RefusedError("W42", digest=calculation.digest)
    for right in body.rights:
        check_party(draft, right.holder)
        if right.until is not None:
            decode_date(right.until)
        basis = draft.decision(right.basis)
        if basis is None or basis.status != "EFFECTIVE":
            raise RefusedError("W44", right=right.right)
    _check_term(body, notice, at)
    _check_succession(draft, body)


def _check_term(body: CertificateBody, notice: NoticeState, at: At) -> None:
    """W45: in force now, and not for longer than the policy of the notice allows."""
    is_current = decode_date(body.as_of) <= at.time_ms <= end_of(body.valid_until)
    limit = add_months(body.as_of, notice.parameters.certificate_months)
    if not (is_current and body.as_of <= body.valid_until <= limit):
        raise RefusedError("W45", limit=limit)


def notice_by(draft: Draft, leaf: str, target: str) -> NoticeState:
    """The notice of this object. Raises `RefusedError` (W40)."""
    name = name_at(draft, leaf, "notice")
    notice = None if name is None else draft.get(NoticeState, "notice", name)
    if notice is None or notice.object != target:
        raise RefusedError("W40", notice=leaf)
    return notice


def _check_no_dispute(draft: Draft, walk: Walk, body: CertificateBody) -> None:
    """W43: nothing that the certificate rests on is in dispute."""
    leaves = {body.notice, *walk.nodes}
    leaves.update(part.leaf for node in walk.nodes.values() for part in node.parts)
    for leaf in sorted(leaves):
        if open_disputes(draft, leaf):
            raise RefusedError("W43", leaf=leaf)


def _check_succession(draft: Draft, body: CertificateBody) -> None:
    """W46: one current certificate for an object; a new one names the one that it replaces."""
    current = current_certificate(draft, body.object)
    if (current.leaf if current else None) != body.supersedes:
        raise RefusedError("W46", certificate=body.supersedes or "-")


def current_certificate(draft: Draft, leaf: str) -> CertificateState | None:
    """The certificate in force of an object."""
    holder = draft.get(Holder, "certified", leaf)
    found = draft.get(CertificateState, "certificate", holder.by) if holder else None
    return found if found is not None and found.status == "ISSUED" else None


def certificate_alternatives(
    draft: Draft, body: CertificateBody, _org: str, committee: int, _at: At
) -> Alternatives:
    """The committee, with an officer of each custodian whose data the object was made from."""
    walk = walk_from(draft, body.object)
    roots = [walk.nodes[leaf] for leaf in roots_of(walk.nodes, count_once=False)]
    orgs = {custodian_of(node).removeprefix("org:") for node in roots}
    return ((Need(committee, None), *(Need(1, org) for org in sorted(orgs))),)


def effect_certificate(
    draft: Draft, record: Record[CertificateBody], _at: At, leaf: str
) -> Changes:
    """The certificate is issued; the one that it replaces is superseded."""
    body = record.body
    state = CertificateState(
        calc_digest=body.calc_digest,
        leaf=leaf,
        notice=body.notice,
        object=body.object,
        status=CERTIFICATE["issue", "NOTICE"],  # type: ignore[arg-type]
        until_ms=end_of(body.valid_until),
    )
    changes: Changes = {
        state_key("certificate", body.cert_no): state,
        state_key("certified", body.object): Holder(by=body.cert_no),
    }
    before = draft.get(Holder, "certified", body.object)
    current = current_certificate(draft, body.object)
    if before is not None and current is not None:
        changes[state_key("certificate", before.by)] = msgspec.structs.replace(
            current, status=CERTIFICATE["supersede", current.status]
        )
    return changes
