"""Members, epochs and quorums (definitions.md 1; consensus.md 2.1, 2.2). Nothing else knows what a
quorum is.

An `EpochConfig` says who votes in an epoch. A member's index is its position in the list, which is
ordered by node key. The order of leaders depends on the configuration alone, never on what a node
happens to have seen.
"""

from collections.abc import Callable
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Final, Literal

import msgspec

from ledger.crypto import EDDSA, check_public_key, key_id
from ledger.encoding import MAX_ENTRY_BYTES, UNREADABLE, b64url, unb64url
from ledger.errors import MalformedError

MAX_MEMBERS: Final = 31
MAX_BLOCK_BYTES: Final = 8 << 20
MAX_BLOCK_RECORDS: Final = 65_536
MAX_INTERVAL_MS: Final = 60_000

CONFIG_TAG: Final = b"alliance/config/1\n"

Verify = Callable[[int, bytes, bytes, bytes], bool]
"""`ledger.crypto.verify`, or a stand-in of the same shape: algorithm, public key, signature,
message.
"""

Key = Annotated[str, msgspec.Meta(min_length=43, max_length=43)]
"""A raw Ed25519 public key, base64url without padding."""
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Label = Annotated[
    str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9][A-Za-z0-9._:-]*\Z")
]
"""The code of an organisation, or a namespace. It stands before a slash in keys of the state (SPEC
6.2) and so holds none itself: `a/b` and `c` would be `a` and `b/c`.
"""


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One institution's node and its three keys. Fields stand in sorted order: that is the
    canonical form.
    """

    cosigner_pk: Key
    leader_eligible: bool
    log_pk: Key
    node_pk: Key
    org: Label


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a block may hold, and the shortest time between two blocks."""

    block_bytes: Natural
    block_records: Natural
    min_interval_ms: Natural


class EpochConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    dict=True,
):
    """Who votes in an epoch, with which keys, quorum and limits (definitions.md 1).

    `chain_id` (base64url) is empty, and then absent from the bytes, inside the genesis payload
    only: the chain id is a hash over it. Use `with_chain` to fill it in.
    """

    chain_id: Annotated[str, msgspec.Meta(max_length=43)] = ""
    epoch: Natural
    limits: Limits
    members: tuple[Member, ...]
    q: Natural
    rules_version: Natural
    v: Literal[1]

    def with_chain(self, chain_id: bytes) -> "EpochConfig":
        """The same configuration on the chain `chain_id` (32 bytes)."""
        return msgspec.structs.replace(self, chain_id=b64url(chain_id))

    @property
    def n(self) -> int:
        """The number of members."""
        return len(self.members)

    @cached_property
    def config_hash(self) -> bytes:
        """The hash that votes, seals and the previous boundary name this configuration by."""
        return sha256(CONFIG_TAG + encode_config(self)).digest()

    @cached_property
    def chain(self) -> bytes:
        """The chain id, 32 bytes. Raises `MalformedError` while it is not filled in."""
        return unb64url(self.chain_id, 32)

    @cached_property
    def node_keys(self) -> tuple[bytes, ...]:
        """The node keys by member index, 32 bytes each."""
        return tuple(unb64url(member.node_pk, 32) for member in self.members)

    @cached_property
    def node_kids(self) -> dict[str, Member]:
        """The members by the key id (base64url) of their node key."""
        return {
            b64url(key_id(EDDSA, key)): m
            for key, m in zip(self.node_keys, self.members, strict=True)
        }

    @cached_property
    def leaders(self) -> tuple[int, ...]:
        """The indexes of the members who lead, in the order of their turns (consensus.md 2.2)."""
        keys = self.node_keys
        eligible = [i for i, member in enumerate(self.members) if member.leader_eligible]
        return tuple(sorted(eligible, key=lambda i: sha256(self.config_hash + keys[i]).digest()))

    def leader(self, view: int) -> int:
        """The index of the member whose turn `view` (>= 1) is."""
        return self.leaders[(view - 1) % len(self.leaders)]

    def index_of(self, node_key: bytes) -> int | None:
        """The index of the member with this node key, or None for an observer."""
        return self.node_keys.index(node_key) if node_key in self.node_keys else None

    @property
    def offline(self) -> int:
        """c: so many members may be faulty in any way, and the chain still grows."""
        return tolerated_offline(self.n, self.q)

    @property
    def lying(self) -> int:
        """b: so many members may lie, and still no two histories become final."""
        return tolerated_lying(self.n, self.q)

    @property
    def joining(self) -> int:
        """a: among so many members one is correct, while at most c are faulty."""
        return join_threshold(self.n, self.q)


def default_quorum(n: int) -> int:
    """q = ceil(2n/3), the default for `n` members (consensus.md 2.1)."""
    return (2 * n + 2) // 3


def tolerated_offline(n: int, q: int) -> int:
    """c = n - q, the liveness tolerance."""
    return n - q


def tolerated_lying(n: int, q: int) -> int:
    """b = 2q - n - 1, the safety tolerance."""
    return 2 * q - n - 1


def join_threshold(n: int, q: int) -> int:
    """a = n - q + 1."""
    return n - q + 1


def least_quorum(n: int) -> int:
    """The smallest quorum that a configuration of `n` members may set: q > n/2, and from n = 4 on
    q >= ceil(2n/3).
    """
    return default_quorum(n) if n >= 4 else n // 2 + 1


def encode_config(config: EpochConfig) -> bytes:
    """The canonical JSON of a configuration (the fields are declared in sorted order and are
    ASCII).
    """
    return msgspec.json.encode(config)


_DECODER = msgspec.json.Decoder(EpochConfig)


def decode_config(data: bytes) -> EpochConfig:
    """A configuration from its canonical bytes. Raises `MalformedError` (R37); does not
    `check_config`.
    """
    try:
        config = _DECODER.decode(data)
    except UNREADABLE as error:
        raise MalformedError("R37") from error
    if encode_config(config) != data:
        raise MalformedError("R37")
    return config


def check_config(config: EpochConfig) -> None:
    """Check what every configuration must fulfil, wherever it comes from.

    Raises `MalformedError` (R30 to R35), or what `crypto.check_public_key` raises for a key that
    may not be used.
    """
    n = config.n
    if not 1 <= n <= MAX_MEMBERS:
        raise MalformedError("R30", members=n, limit=MAX_MEMBERS)
    _check_members(config)
    if not least_quorum(n) <= config.q <= n:
        raise MalformedError("R33", quorum=config.q, members=n, least=least_quorum(n))
    leaders = sum(member.leader_eligible for member in config.members)
    if leaders < config.offline + 1:
        raise MalformedError("R34", leaders=leaders, offline=config.offline)
    _check_limits(config.limits)


def check_next_config(current: EpochConfig, following: EpochConfig) -> None:
    """Check that `following` may come after `current`. Raises `MalformedError` (R30 to R36)."""
    if not follows(current, following):
        raise MalformedError("R36", epoch=current.epoch + 1)
    check_config(following)


def follows(current: EpochConfig, following: EpochConfig) -> bool:
    """Whether `following` is of the same chain, the next epoch, and has no older rules (R36)."""
    same = following.chain_id == current.chain_id and following.epoch == current.epoch + 1
    return same and following.rules_version >= current.rules_version


def _check_members(config: EpochConfig) -> None:
    keys = config.node_keys
    if any(left >= right for left, right in pairwise(keys)):
        raise MalformedError("R31")
    seen: set[bytes] = set()
    for member in config.members:
        for name in ("node_pk", "log_pk", "cosigner_pk"):
            key = unb64url(getattr(member, name), 32)
            check_public_key(EDDSA, key)
            if key in seen:
                raise MalformedError("R32", what=name)
            seen.add(key)
    if len({member.org for member in config.members}) != config.n:
        raise MalformedError("R32", what="org")


def _check_limits(limits: Limits) -> None:
    # A block holds every entry that may be written: one that fits into none would wait for ever.
    if not MAX_ENTRY_BYTES <= limits.block_bytes <= MAX_BLOCK_BYTES:
        raise MalformedError("R35", what="block_bytes")
    if not 1 <= limits.block_records <= MAX_BLOCK_RECORDS:
        raise MalformedError("R35", what="block_records")
    if limits.min_interval_ms > MAX_INTERVAL_MS:
        raise MalformedError("R35", what="min_interval_ms")
