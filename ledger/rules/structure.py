"""S1 to S13: what every record must fulfil, whatever it says (domain.md D0; definitions.md 3,
4).
"""

from functools import lru_cache
from typing import NamedTuple

from ledger.crypto import EDDSA
from ledger.encoding import decode_date, decode_time, unb64url
from ledger.errors import MalformedError, RefusedError, SignatureError
from ledger.members import EpochConfig
from ledger.records.catalogue import DatasetVersionBody
from ledger.records.envelope import Entry, Record
from ledger.records.governance import EndorseBody
from ledger.records.use import AccessBatchBody, AccessBody, CorrectionBody
from ledger.rules.draft import NEXT_CONFIG, At, Draft, pending_config
from ledger.rules.values import KeyState
from ledger.state import State, state_key

CLOCK_TOLERANCE_MS = 5 * 60_000
DAY_MS = 86_400_000

RIGHTS = frozenset(
    {
        "config",
        "dataset",
        "dataset-version",
        "endpoint",
        "key",
        "member",
        "policy",
        "ready",
        "resolution",
    }
)
"""Rights-conferring types (R): non-compliance refuses them. All others are evidence (V)."""

OFFICERS = frozenset({"so", "dac", "ethics", "checker", "self"})
OBSERVERS = frozenset({"system", "node"})
SIGNERS: dict[str, frozenset[str]] = {
    "access": OBSERVERS,
    "access-batch": OBSERVERS,
    "config": frozenset({"so"}),
    "correction": OFFICERS | {"system", "registrar", "auditor"},
    "dataset": frozenset({"so"}),
    "dataset-version": frozenset({"so"}),
    "endorse": OFFICERS,
    "endpoint": frozenset({"so"}),
    "evidence": frozenset({"node"}),
    "key": frozenset({"so", "registrar", "dac"}),
    "member": frozenset({"dac"}),
    "policy": frozenset({"dac"}),
    "ready": frozenset({"node", "joiner"}),
    "resolution": frozenset({"dac"}),
    "source-close": OBSERVERS,
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
    happened = occurred(record.at)
    if happened > at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("S5", at=record.at)
    rights = record.type in RIGHTS
    check_status(draft, org, rights=rights)
    if rights:
        check_not_after(record, at)
    elif record.not_after is not None:
        raise RefusedError("S11.evidence")
    check_references(draft, record)
    return happened


def check_status(draft: Draft, org: str, *, rights: bool) -> None:
    """S7: an ADMITTED organisation writes; a SUSPENDED one may write evidence."""
    member = draft.member(org)
    if member is None or member.status == "EXITED" or (rights and member.status == "SUSPENDED"):
        raise RefusedError("S7", org=org, status=member.status if member else "UNKNOWN")


def check_references(draft: Draft, record: Record) -> None:  # type: ignore[type-arg]
    """S4, S9: what the record refers to is on the chain, and its payloads are held by members."""
    for leaf in leaves_of(record):
        if leaf not in draft.resolved:
            raise RefusedError("S4", leaf=leaf.hex())
    for payload in record.payloads:
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


@lru_cache(maxsize=1 << 15)
def occurred(text: str) -> int:
    """`at` in POSIX ms: an instant with three decimals, or a date where time is coarse."""
    return decode_date(text) if len(text) == 10 else decode_time(text)


def targets_of(record: Record) -> tuple[bytes, ...]:  # type: ignore[type-arg]
    """The earlier entry that a record decides on or corrects: the rules ask what stands there, and
    not only whether it is on the chain.
    """
    body = record.body
    return (unb64url(body.target, 32),) if isinstance(body, EndorseBody | CorrectionBody) else ()


def leaves_of(record: Record) -> tuple[bytes, ...]:  # type: ignore[type-arg]
    """The earlier entries that a record names, in order."""
    body = record.body
    named = [ref.leaf for ref in record.refs]
    if isinstance(body, EndorseBody | CorrectionBody):
        named.append(body.target)
    elif isinstance(body, DatasetVersionBody):
        named.extend(body.sources)
    elif isinstance(body, AccessBody):
        if isinstance(body.request, str):
            named.append(body.request)
    elif isinstance(body, AccessBatchBody):
        named.extend(event.request for event in body.events if isinstance(event.request, str))
    return tuple(unb64url(leaf, 32) for leaf in named) if named else ()


def check_sub(entry: Entry, subjects: tuple[str, ...]) -> None:
    """S13: the header's subject is the first that the rules derive."""
    if entry.statement.sub != subjects[0]:
        raise MalformedError("S13", sub=entry.statement.sub, expected=subjects[0])


def oldest_ms(draft: Draft, at: At) -> int:
    """What happened before this time is recorded later than the policy's limit (finding
    BACKFILLED).
    """
    return at.time_ms - draft.policy(at).body.backfill_days * DAY_MS
