"""S1 to S13: what every record must fulfil, whatever it says (domain.md D0; definitions.md 3,
4).
"""

from typing import NamedTuple

from ledger.crypto import EDDSA
from ledger.encoding import decode_moment, decode_time, unb64url
from ledger.errors import MalformedError, RefusedError, SignatureError
from ledger.members import EpochConfig
from ledger.records.envelope import Entry, Record
from ledger.rules.draft import NEXT_CONFIG, At, Draft, pending_config
from ledger.rules.values import KeyState
from ledger.state import State, state_key

CLOCK_TOLERANCE_MS = 5 * 60_000
DAY_MS = 86_400_000

RIGHTS = frozenset(
    {
        "access-decision",
        "access-request",
        "assessment",
        "certificate",
        "config",
        "contribution-confirm",
        "dataset",
        "dataset-status",
        "dataset-version",
        "dispute-ruling",
        "egress-decision",
        "egress-request",
        "endpoint",
        "erasure",
        "ethics",
        "finding-resolution",
        "indicator-version",
        "key",
        "member",
        "notice",
        "permit-status",
        "policy",
        "ready",
        "resolution",
        "study",
        "vocabulary",
    }
)
"""Rights-conferring types (R): non-compliance refuses them. All others are evidence (V)."""

OFFICERS = frozenset({"so", "dac", "ethics", "checker", "self"})
OBSERVERS = frozenset({"system", "node"})
APPLICANTS = frozenset({"self", "so"})
SIGNERS: dict[str, frozenset[str]] = {
    "access": OBSERVERS,
    "access-batch": OBSERVERS,
    "access-decision": frozenset({"dac"}),
    "access-request": APPLICANTS,
    "assessment": frozenset({"dac"}),
    "certificate": frozenset({"dac"}),
    "compute-run": OBSERVERS,
    "config": frozenset({"so"}),
    "contribution": APPLICANTS,
    "contribution-confirm": APPLICANTS,
    "correction": OFFICERS | {"system", "registrar", "auditor"},
    "dataset": frozenset({"so"}),
    "dataset-status": frozenset({"so"}),
    "dataset-version": frozenset({"so"}),
    "dispute": APPLICANTS,
    "dispute-ruling": frozenset({"dac"}),
    "egress-decision": frozenset({"checker", "self"}),
    "egress-request": frozenset({"self"}),
    "egress-review": frozenset({"checker"}),
    "endorse": OFFICERS,
    "endpoint": frozenset({"so"}),
    "erasure": frozenset({"so", "node"}),
    "ethics": frozenset({"ethics"}),
    "evidence": frozenset({"node"}),
    "imported-agreement": OBSERVERS,
    "finding-resolution": frozenset({"dac", "so"}),
    "incident": frozenset({"so", "node"}),
    "indicator-version": frozenset({"so"}),
    "key": frozenset({"so", "registrar", "dac"}),
    "member": frozenset({"dac"}),
    "notice": frozenset({"dac"}),
    "permit-status": APPLICANTS | {"dac"},
    "policy": frozenset({"dac"}),
    "publication": APPLICANTS,
    "ready": frozenset({"node", "joiner"}),
    "resolution": frozenset({"dac"}),
    "result": APPLICANTS | {"system"},
    "review": frozenset({"dac", "so"}),
    "source-close": OBSERVERS,
    "study": APPLICANTS,
    "study-event": APPLICANTS,
    "time-anchor": frozenset({"node"}),
    "vocabulary": frozenset({"dac"}),
}
"""Which capacities may sign which type (S3); genesis and founder-acceptance stand in block 0
alone.
"""


class Signer(NamedTuple):
    """Who stands behind a key id at some height."""

    alg: int
    public_key: bytes
    org: str
    capacity: str
    state: KeyState | None


def find_signer(parent: State, config: EpochConfig, kid: str) -> Signer:
    """The holder of a key after the previous block: a node key of the epoch, one of the pending
    configuration (capacity `joiner`), or a registered one.

    Raises `SignatureError` (S3.unknown).
    """
    node = config.node_kids.get(kid)
    if node is not None:
        return Signer(EDDSA, unb64url(node.node_pk, 32), node.org, "node", None)
    pending = pending_config(parent.get(NEXT_CONFIG), config)
    joiner = None if pending is None else pending.config.node_kids.get(kid)
    if joiner is not None:
        return Signer(EDDSA, unb64url(joiner.node_pk, 32), joiner.org, "joiner", None)
    found = parent.get(state_key("key", kid))
    if not isinstance(found, KeyState):
        raise SignatureError("S3.unknown", kid=kid)
    return Signer(found.alg, unb64url(found.public_key), found.org, found.capacity, found)


def check_signer(signer: Signer, entry: Entry, at: At) -> tuple[str, ...]:
    """S3 but for the signature itself. Returns the findings of evidence under a key outside its
    window.
    """
    statement, record = entry.statement, entry.record
    if statement.iss != signer.org or statement.alg != signer.alg:
        raise SignatureError("S3.other", org=statement.iss, owner=signer.org)
    if signer.capacity not in SIGNERS.get(record.type, ()):
        raise RefusedError("S3.capacity", capacity=signer.capacity, type=record.type)
    key = signer.state
    if key is None:
        return ()
    if key.revoked is not None and key.revoked < at.height:
        raise SignatureError("S3.revoked", height=key.revoked)
    late = key.valid_until_ms is not None and at.time_ms > key.valid_until_ms
    early = at.time_ms < key.valid_from_ms
    if not (late or early):
        return ()
    if record.type in RIGHTS:
        raise SignatureError("S3.expired" if late else "S3.early")
    return ("KEY_EXPIRED",) if late else ("KEY_EARLY",)


def check_structure(draft: Draft, entry: Entry, at: At, chain: str) -> int:
    """S4, S5, S7, S9, S11, S12; returns when the record says that it happened (POSIX ms)."""
    record, org = entry.record, entry.statement.iss
    if record.chain != chain:
        raise RefusedError("S12")
    happened = decode_moment(record.at)
    if happened > at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("S5", at=record.at)
    rights = record.type in RIGHTS
    check_status(draft, org, rights=rights)
    if rights:
        check_not_after(record, at)
    elif record.not_after is not None:
        raise RefusedError("S11.evidence")
    check_references(draft, entry)
    return happened


def check_status(draft: Draft, org: str, *, rights: bool) -> None:
    """S7: an ADMITTED organisation writes; a SUSPENDED one may write evidence."""
    member = draft.member(org)
    if member is None or member.status == "EXITED" or (rights and member.status == "SUSPENDED"):
        raise RefusedError("S7", org=org, status=member.status if member else "UNKNOWN")


def check_references(draft: Draft, entry: Entry) -> None:
    """S4, S9: what the record refers to is on the chain, and its payloads are held by members."""
    for leaf in entry.named:
        if leaf not in draft.resolved:
            raise RefusedError("S4", leaf=leaf.hex())
    for payload in entry.record.payloads:
        unb64url(payload.commit, 32)
        for holder in payload.holders:
            if draft.member(holder) is None:
                raise RefusedError("S9", holder=holder)


def check_not_after(record: Record, at: At) -> None:  # type: ignore[type-arg]
    """S11: a rights-conferring record says until when it may still be included."""
    if record.not_after is None:
        raise RefusedError("S11.missing")
    if decode_time(record.not_after) < at.time_ms:
        raise RefusedError("S11.late", not_after=record.not_after)


def check_sub(entry: Entry, subjects: tuple[str, ...]) -> None:
    """S13: the header's subject is the first that the rules derive."""
    if entry.statement.sub != subjects[0]:
        raise MalformedError("S13", sub=entry.statement.sub, expected=subjects[0])


def oldest_ms(draft: Draft, at: At) -> int:
    """What happened before this time is recorded later than the policy's limit (finding
    BACKFILLED).
    """
    return at.time_ms - draft.policy(at).body.backfill_days * DAY_MS
