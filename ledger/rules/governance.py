"""G and K: members, keys, policies and resolutions (domain.md D14, Governance)."""

import msgspec

from ledger.crypto import check_public_key, key_id
from ledger.encoding import b64url, decode_date, decode_time, unb64url
from ledger.errors import RefusedError, SignatureError, unreachable
from ledger.members import Verify
from ledger.records.envelope import Record, Shape
from ledger.records.governance import (
    Attribution,
    KeyBody,
    KeyDescription,
    MemberBody,
    PolicyBody,
    ResolutionBody,
    claim_bytes,
    claim_of,
)
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft
from ledger.rules.standing import PersonState, ResolutionState
from ledger.rules.values import Count, Holder, KeyState, MemberState, PolicyState
from ledger.state import state_key

ALGORITHMS = {"EdDSA": -8, "ES256": -7}
TRANSITIONS = {
    ("admit", None): "ADMITTED",
    ("admit", "EXITED"): "ADMITTED",
    ("suspend", "ADMITTED"): "SUSPENDED",
    ("restore", "SUSPENDED"): "ADMITTED",
    ("exit", "ADMITTED"): "EXITED",
    ("exit", "SUSPENDED"): "EXITED",
}
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

Changes = dict[bytes, Shape]


def kid_of(key: KeyDescription) -> str:
    """The key id of a description; raises `SignatureError` (C*) for a key that may not be used at
    all.
    """
    public_key = unb64url(key.public_key)
    alg = ALGORITHMS[key.alg]
    check_public_key(alg, public_key)
    return b64url(key_id(alg, public_key))


def check_possession(key: KeyDescription, chain: str | None, verify: Verify) -> None:
    """K8: whoever described this key holds it, and means this chain (None: block 0) and this
    organisation, subject and capacity. Raises `SignatureError`.
    """
    public_key, proof = unb64url(key.public_key), unb64url(key.proof, 64)
    if not verify(ALGORITHMS[key.alg], public_key, proof, claim_bytes(claim_of(key, chain))):
        raise SignatureError("K8", org=key.org, subject=key.subject)


def key_state(key: KeyDescription, height: int) -> KeyState:
    """A newly registered key. Raises `RefusedError` (K4) when its window is empty."""
    valid_from = decode_time(key.valid_from)
    valid_until = None if key.valid_until is None else decode_time(key.valid_until)
    if valid_until is not None and valid_until <= valid_from:
        raise RefusedError("K4")
    return KeyState(
        alg=ALGORITHMS[key.alg],
        capacity=key.capacity,
        org=key.org,
        public_key=key.public_key,
        registered=height,
        subject=key.subject,
        valid_from_ms=valid_from,
        valid_until_ms=valid_until,
    )


def key_changes(key: KeyDescription, height: int) -> Changes:
    """A newly registered key, and the person whose pid is bound to it."""
    kid = kid_of(key)
    changes: Changes = {state_key("key", kid): key_state(key, height)}
    if key.capacity == "self":
        changes[state_key("person", key.subject)] = PersonState(kid=kid, org=key.org)
    return changes


def check_pid(draft: Draft, key: KeyDescription) -> None:
    """K7: a pid is of one organisation, whatever keys are bound to it."""
    person = draft.get(PersonState, "person", key.subject) if key.capacity == "self" else None
    if person is not None and person.org != key.org:
        raise RefusedError("K7", person=key.subject)


# --- key ------------------------------------------------------------------------------------------
# ---------


def key_alternatives(
    draft: Draft, body: KeyBody, _org: str, committee: int, _at: At
) -> Alternatives:
    """An officer's `so` key needs two officers of its org or the committee; any other key one
    officer or registrar.
    """
    owner = body.key or draft.get(KeyState, "key", body.kid)
    if owner is not None and owner.capacity == "so":
        return ((Need(2, owner.org),), (Need(committee, None),))
    return ()


def check_key(draft: Draft, record: Record[KeyBody], org: str, capacity: str, _at: At) -> None:
    """K1 to K8."""
    body = record.body
    known = draft.get(KeyState, "key", body.kid)
    if body.action == "revoke":
        if known is None or known.revoked is not None or body.key is not None:
            raise RefusedError("K5", kid=body.kid)
        owner, subject_capacity = known.org, known.capacity
    else:
        if body.key is None or kid_of(body.key) != body.kid:
            raise RefusedError("K1", kid=body.kid)
        if known is not None:
            raise RefusedError("K2", kid=body.kid)
        key_state(body.key, 0)
        check_pid(draft, body.key)
        owner, subject_capacity = body.key.org, body.key.capacity
    if body.suspect_from is not None:
        decode_time(body.suspect_from)
    if owner != org and capacity != "dac":
        raise RefusedError("K3", org=owner)
    if capacity == "registrar" and subject_capacity != "self":
        raise RefusedError("K6.registrar")
    if capacity == "dac" and subject_capacity != "so":
        raise RefusedError("K6.committee")
    if body.key is not None:
        check_possession(body.key, record.chain, draft.verify)


def effect_key(draft: Draft, record: Record[KeyBody], at: At, _leaf: str) -> Changes:
    """Registers or revokes; acts on signatures from the next height."""
    body = record.body
    key = state_key("key", body.kid)
    if body.key is not None:
        return key_changes(body.key, at.height)
    known = draft.get(KeyState, "key", body.kid)
    if known is None:
        unreachable("the check before has found the key")
    suspect = None if body.suspect_from is None else decode_time(body.suspect_from)
    return {key: _revoked(known, at.height, suspect)}


def _revoked(key: KeyState, height: int, suspect_from_ms: int | None) -> KeyState:
    return KeyState(
        alg=key.alg,
        capacity=key.capacity,
        org=key.org,
        public_key=key.public_key,
        registered=key.registered,
        revoked=height,
        subject=key.subject,
        suspect_from_ms=suspect_from_ms,
        valid_from_ms=key.valid_from_ms,
        valid_until_ms=key.valid_until_ms,
    )


# --- member
# ------------------------------------------------------------------------------------------------


def check_member(
    draft: Draft, record: Record[MemberBody], _org: str, _capacity: str, _at: At
) -> None:
    """G1 to G5, K8."""
    body = record.body
    known = draft.member(body.org)
    if (body.action, known.status if known else None) not in TRANSITIONS:
        raise RefusedError(
            "G1", action=body.action, org=body.org, status=known.status if known else "UNKNOWN"
        )
    check_resolution_ref(draft, record)
    if body.action != "admit":
        if body.keys or body.uscc:
            raise RefusedError("G2")
        return
    if body.kind is None or not any(key.capacity == "so" for key in body.keys):
        raise RefusedError("G2")
    kids: set[str] = set()
    for key in body.keys:
        kid = kid_of(key)
        if key.org != body.org or kid in kids or draft.get(KeyState, "key", kid) is not None:
            raise RefusedError("G3", org=body.org)
        kids.add(kid)
        key_state(key, 0)
        check_pid(draft, key)
    if body.uscc is not None:
        check_uscc(body.uscc)
        holder = draft.get(Holder, "uscc", body.uscc)
        if holder is not None and holder.by != body.org:
            raise RefusedError("G5", uscc=body.uscc)
    for key in body.keys:
        check_possession(key, record.chain, draft.verify)


def effect_member(draft: Draft, record: Record[MemberBody], at: At, _leaf: str) -> Changes:
    """Sets the membership, the number of ADMITTED organisations, and a joiner's first keys."""
    body = record.body
    known = draft.member(body.org)
    before = known.status if known else None
    status = TRANSITIONS[body.action, before]
    member = MemberState(
        kind=body.kind or (known.kind if known else "institute"),
        region=body.region or (known.region if known else None),
        since=at.height,
        status=status,  # type: ignore[arg-type]
        uscc=body.uscc or (known.uscc if known else None),
    )
    change = (status == "ADMITTED") - (before == "ADMITTED")
    changes: Changes = {
        state_key("member", body.org): member,
        state_key("members", "admitted"): Count(n=draft.admitted() + change),
    }
    if body.uscc is not None:
        changes[state_key("uscc", body.uscc)] = Holder(by=body.org)
    for key in body.keys:
        changes.update(key_changes(key, at.height))
    return changes


def check_uscc(uscc: str) -> None:
    """G4: the check character of GB 32100-2015 (统一社会信用代码)."""
    values = [USCC_ALPHABET.find(c) for c in uscc]
    if len(values) != 18 or -1 in values:
        raise RefusedError("G4", uscc=uscc)
    total = sum(value * pow(3, place, 31) for place, value in enumerate(values[:17]))
    if (31 - total % 31) % 31 != values[17]:
        raise RefusedError("G4", uscc=uscc)


def check_resolution_ref(draft: Draft, record: Record) -> ResolutionState:  # type: ignore[type-arg]
    """G6: the record names a resolution that is in effect; the first of them."""
    for ref in record.refs:
        if ref.rel == "resolution":
            found = draft.get(ResolutionState, "resolution", ref.leaf)
            if found is not None:
                return found
    raise RefusedError("G6")


# --- policy and resolution
# ---------------------------------------------------------------------------------


def check_policy(
    draft: Draft, record: Record[PolicyBody], _org: str, _capacity: str, _at: At
) -> None:
    """G6 to G9."""
    check_resolution_ref(draft, record)
    newest = draft.latest_policy()
    previous = next((ref.leaf for ref in record.refs if ref.rel == "previous"), None)
    if previous != newest.leaf or record.body.version != newest.body.version + 1:
        raise RefusedError("G7")
    check_policy_body(record.body)


def check_policy_body(body: PolicyBody) -> None:
    """G8, G9, W5: two reviewers at least, quorums that are shares, and pools that make a whole."""
    if body.min_reviewers < 2:
        raise RefusedError("G8")
    decode_time(body.effective_from)
    if any(numerator > denominator for numerator, denominator in body.quorum.values()):
        raise RefusedError("G9")
    if body.attribution is not None:
        check_attribution(body.attribution)
    if body.vocabulary is not None:
        unb64url(body.vocabulary, 32)


def check_attribution(given: Attribution) -> None:
    """W5: the pools make 10,000 basis points, a maker keeps at most all, some degree weighs."""
    pools, degrees = msgspec.structs.astuple(given.pools), msgspec.structs.astuple(given.degrees)
    keep, of = given.kappa
    if sum(pools) != 10_000 or keep > of or not any(degrees):
        raise RefusedError("W5")


def effect_policy(draft: Draft, record: Record[PolicyBody], at: At, leaf: str) -> Changes:
    """G10: a policy never edits the past; it is in force from its own time on."""
    if decode_time(record.body.effective_from) < at.time_ms:
        raise RefusedError("G10")
    return {
        state_key("policy", "current"): draft.policy(at),
        state_key("policy", "next"): policy_state(record.body, at.height, leaf),
    }


def policy_state(body: PolicyBody, height: int, leaf: str) -> PolicyState:
    """A policy as the state holds it."""
    return PolicyState(
        body=body, from_ms=decode_time(body.effective_from), height=height, leaf=leaf
    )


def check_resolution(
    draft: Draft, record: Record[ResolutionBody], _org: str, _capacity: str, _at: At
) -> None:
    """G11 to G13."""
    body, votes = record.body, record.body.votes
    decode_date(body.meeting_date)
    if votes.in_favour + votes.against + votes.abstain > body.present:
        raise RefusedError("G11")
    if votes.in_favour <= votes.against or votes.in_favour == 0:
        raise RefusedError("G12")
    if draft.get(Holder, "number", f"resolution/{body.no}") is not None:
        raise RefusedError("G13", no=body.no)


def effect_resolution(_draft: Draft, record: Record[ResolutionBody], _at: At, leaf: str) -> Changes:
    """Takes the number; records may now refer to the resolution."""
    body = record.body
    return {
        state_key("number", f"resolution/{body.no}"): Holder(by=leaf),
        state_key("resolution", leaf): ResolutionState(kind=body.kind, no=body.no),
    }
