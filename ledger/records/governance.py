"""Governance: who is in the alliance, with which keys, under which policy (domain.md D14)."""

from typing import Annotated, Final, Literal

import msgspec

from ledger.members import EpochConfig, Label
from ledger.records.envelope import ENCODE, Code, Digest, Instant, Name, Natural, Shape

Capacity = Literal["so", "dac", "ethics", "checker", "auditor", "registrar", "self", "system"]
"""What a key's holder acts as; node keys stand in the EpochConfig and have none of these."""

PublicKey = Annotated[str, msgspec.Meta(min_length=43, max_length=44)]
"""base64url: 32 bytes for Ed25519, 33 (compressed point) for P-256."""

Days = Annotated[int, msgspec.Meta(ge=0, le=36_525)]
"""A span of up to a hundred years: every deadline stays an integer of the format."""

Ratio = tuple[Annotated[int, msgspec.Meta(ge=1, le=64)], Annotated[int, msgspec.Meta(ge=1, le=64)]]
"""Numerator and denominator of a share of the ADMITTED organisations; the quorum is the ceiling."""

Kind = Literal["hospital", "centre", "institute", "operator"]
"""What sort of organisation a member is."""


Algorithm = Literal["EdDSA", "ES256"]
KEY_TAG: Final = b"alliance/key/1\n"


class KeyDescription(Shape, frozen=True, kw_only=True):
    """A public key and whom it stands for. `proof` is the key's own signature of that (SPEC 1.7):
    nobody registers a key that somebody else holds.
    """

    alg: Algorithm
    capacity: Capacity
    org: Label
    proof: Annotated[str, msgspec.Meta(min_length=86, max_length=86)]
    public_key: PublicKey
    subject: Code
    valid_from: Instant
    valid_until: Instant | None = None


class KeyClaim(Shape, frozen=True, kw_only=True):
    """What a key says of itself, for one chain: its short id, absent in block 0, where there is
    none yet. The time of its validity is for whoever registers it to say.
    """

    alg: Algorithm
    capacity: Capacity
    chain: Annotated[str, msgspec.Meta(min_length=22, max_length=22)] | None = None
    org: Label
    public_key: PublicKey
    subject: Code


def claim_of(key: KeyDescription, chain: str | None) -> KeyClaim:
    """What the proof of a description has to be a signature of, on the chain of this short id."""
    return KeyClaim(
        alg=key.alg,
        capacity=key.capacity,
        chain=chain,
        org=key.org,
        public_key=key.public_key,
        subject=key.subject,
    )


def claim_bytes(claim: KeyClaim) -> bytes:
    """The bytes that a key signs: they begin as nothing else does that is signed on a chain."""
    return KEY_TAG + ENCODE(claim)


class Founder(Shape, frozen=True, kw_only=True):
    """An organisation that the genesis admits."""

    kind: Kind
    org: Label
    region: Code | None = None
    uscc: Code | None = None


BasisPoints = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Weight = Annotated[int, msgspec.Meta(ge=0, le=1_000)]


class Pools(Shape, frozen=True, kw_only=True):
    """How the 10,000 basis points of an object are divided before anybody is looked at."""

    analysis: BasisPoints
    clinical: BasisPoints
    compute: BasisPoints
    holding: BasisPoints
    standards: BasisPoints
    stewardship: BasisPoints


class Degrees(Shape, frozen=True, kw_only=True):
    """What a confirmed contribution weighs, by its degree."""

    equal: Weight
    lead: Weight
    supporting: Weight


class Attribution(Shape, frozen=True, kw_only=True):
    """The parameters of the share vector (domain.md D9). `kappa`, a ratio, is what a derived
    dataset keeps for its maker.
    """

    certificate_months: Annotated[int, msgspec.Meta(ge=1, le=1_200)]
    degrees: Degrees
    direct_and_derived: Literal["count_once", "count_both"]
    egress_days: Days
    kappa: tuple[
        Annotated[int, msgspec.Meta(ge=0, le=64)], Annotated[int, msgspec.Meta(ge=1, le=64)]
    ]
    objection_days: Days
    pools: Pools


DEFAULT_ATTRIBUTION = Attribution(
    certificate_months=36,
    degrees=Degrees(equal=2, lead=3, supporting=1),
    direct_and_derived="count_once",
    egress_days=30,
    kappa=(2, 5),
    objection_days=15,
    pools=Pools(
        analysis=3_000, clinical=1_500, compute=500, holding=3_500, standards=1_000, stewardship=500
    ),
)
"""In force where a policy states none: the illustration of domain.md D9."""


class PolicyBody(Shape, frozen=True, kw_only=True):
    """The rules that the committee sets. `quorum` names the types that need it; others take
    `default`. Without `attribution` that of domain.md D9 holds. `vocabulary` is the tree hash of
    the disease vocabulary (SPEC 5.9).
    """

    attribution: Attribution | None = None
    backfill_days: Days
    decision_days: Days
    effective_from: Instant
    min_reviewers: Natural
    name: Code
    quorum: dict[Code, Ratio]
    retention_months: dict[Code, Natural] = msgspec.field(default_factory=dict)
    version: Natural
    vocabulary: Digest | None = None


class AllianceName(Shape, frozen=True, kw_only=True):
    """The alliance's name in both languages."""

    en: Name
    zh: Name


class Continues(Shape, frozen=True, kw_only=True):
    """The chain that this one continues: its last final block, and the tree up to it (SPEC 9.6)."""

    block: Digest
    chain_id: Digest
    height: Natural
    pin: Digest
    root: Digest
    size: Natural


class GenesisBody(Shape, frozen=True, kw_only=True):
    """What a chain is founded on; its hash is the chain id (definitions.md 2)."""

    alliance: AllianceName
    config: EpochConfig
    continues: Continues | None = None
    founders: tuple[Founder, ...]
    keys: tuple[KeyDescription, ...]
    origin: Name
    policy: PolicyBody
    suite: Literal["sha256-ed25519/1"]


class FounderAcceptanceBody(Shape, frozen=True, kw_only=True):
    """A founder's word that this genesis is theirs."""

    chain_id: Digest


class MemberBody(Shape, frozen=True, kw_only=True):
    """A decision on membership. A joiner's first officer keys come with `admit`."""

    action: Literal["admit", "suspend", "restore", "exit"]
    keys: tuple[KeyDescription, ...] = ()
    kind: Kind | None = None
    org: Label
    reason_code: Code | None = None
    region: Code | None = None
    uscc: Code | None = None


class KeyBody(Shape, frozen=True, kw_only=True):
    """Registers or revokes a key. A revocation may say from when the key is not to be trusted."""

    action: Literal["register", "revoke"]
    key: KeyDescription | None = None
    kid: Annotated[str, msgspec.Meta(min_length=22, max_length=22)]
    reason_code: Code | None = None
    suspect_from: Instant | None = None


class Votes(Shape, frozen=True, kw_only=True):
    """How the committee voted."""

    abstain: Natural
    against: Natural
    in_favour: Natural


class ResolutionBody(Shape, frozen=True, kw_only=True):
    """A decision of the management committee (联盟管理委员会), taken in a meeting."""

    kind: Literal["admit", "decide", "policy", "assess", "discipline", "other"]
    meeting_date: Annotated[str, msgspec.Meta(min_length=10, max_length=10)]
    no: Code
    present: Natural
    recused: tuple[Code, ...] = ()
    votes: Votes


class EndorseBody(Shape, frozen=True, kw_only=True):
    """A co-decision on another record (domain.md, decision 2)."""

    capacity: Literal["so", "dac", "ethics", "checker", "self"]
    reason_code: Code | None = None
    target: Digest
    verdict: Literal["approve", "reject"]
