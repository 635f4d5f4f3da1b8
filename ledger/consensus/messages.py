"""What members say to one another, and the bytes they sign (consensus.md 2.3, 2.5, 2.6).

Every message is a *fact*: signed, so that anyone may relay it, and the same however often and in
whatever order it arrives. Signed bytes are a fixed binary layout. How a message travels (here:
JSON) has no influence on validity.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from ledger.crypto import EDDSA
from ledger.encoding import UNREADABLE
from ledger.errors import MalformedError, ProofError, SignatureError
from ledger.members import EpochConfig, Verify

Kind: TypeAlias = Literal["propose", "notarize", "nullify", "finalize"]
CertificateKind: TypeAlias = Literal["notarize", "nullify", "finalize"]

NO_BLOCK: Final = bytes(32)
SIGNATURE_BYTES: Final = 64
MAX_SKIPS: Final = 4096
MAX_MESSAGE_BYTES: Final = 8 << 20

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]

_CODES: Final[dict[CertificateKind, int]] = {"notarize": 1, "nullify": 2, "finalize": 3}
_KINDS: Final[dict[int, CertificateKind]] = {code: kind for kind, code in _CODES.items()}


class BlockInfo(msgspec.Struct, frozen=True, gc=False):
    """All that consensus knows of a block. Read from the seal by the driver; `size` is in bytes."""

    id: Hash
    height: Number
    view: Number
    parent: Hash
    parent_view: Number
    epoch: Number
    config_hash: Hash
    time_ms: Number
    next_config_hash: Hash | None = None
    size: Number = 0

    @property
    def boundary(self) -> bool:
        """Whether this block closes its epoch."""
        return self.next_config_hash is not None


class Vote(msgspec.Struct, frozen=True, gc=False, tag="vote", forbid_unknown_fields=True):
    """One member's signed word about a view. `nullify` has height 0 and the block of zeros."""

    kind: Kind
    epoch: Number
    view: Number
    height: Number
    block: Hash
    signer: Number
    signature: Signature


class Certificate(msgspec.Struct, frozen=True, tag="cert", forbid_unknown_fields=True):
    """The same word of at least `q` members. Bit i of `signers` is member i; signatures ascend by
    member.
    """

    kind: CertificateKind
    epoch: Number
    config_hash: Hash
    view: Number
    height: Number
    block: Hash
    signers: Number
    signatures: tuple[Signature, ...]


class Proposal(msgspec.Struct, frozen=True, tag="proposal", forbid_unknown_fields=True):
    """A leader's signed offer of a block, with what justifies it.

    The block is new when its own view is the view of `vote`; otherwise it is proposed again (R5).
    The body travels beside a new block. The justification is not signed: whoever relays it may
    spoil it, so a voter only learns from it and then judges by the certificates it holds.
    """

    vote: Vote
    parent_cert: Certificate | None
    skips: Annotated[tuple[Certificate, ...], msgspec.Meta(max_length=MAX_SKIPS)]


class Status(msgspec.Struct, frozen=True, gc=False, tag="status", forbid_unknown_fields=True):
    """A member's signed heartbeat: where it stands. Never a vote."""

    epoch: Number
    view: Number
    final_height: Number
    final_block: Hash
    final_view: Number
    clock_ms: Number
    boot_id: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    version: Annotated[str, msgspec.Meta(max_length=64)]
    signer: Number
    signature: Signature


Fact: TypeAlias = Vote | Certificate | Proposal | Status


class HeldVotes(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The votes for one block in one view that a node holds, as bitmaps by member index."""

    block: Hash
    propose: Number
    notarize: Number
    finalize: Number


class ViewSummary(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a node holds of one view: certificates, votes to nullify as a bitmap, votes by block.

    By block, so that a member that says different things to different others is found out.
    """

    view: Number
    notarized: bool
    nullified: bool
    nullify: Number
    held: Annotated[tuple[HeldVotes, ...], msgspec.Meta(max_length=64)]


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node holds above its final block; peers answer with what is missing from it."""

    epoch: Number
    view: Number
    final_height: Number
    final_view: Number
    views: tuple[ViewSummary, ...]


def signed_bytes(config: EpochConfig, kind: Kind, view: int, height: int, block: bytes) -> bytes:
    """The bytes that a vote signs (consensus.md 2.3)."""
    tag = b"pl1/" + kind.encode()
    return b"".join(
        (
            bytes((len(tag),)),
            tag,
            config.chain,
            config.epoch.to_bytes(8, "big"),
            config.config_hash,
            view.to_bytes(8, "big"),
            height.to_bytes(8, "big"),
            block,
        )
    )


def status_bytes(config: EpochConfig, status: Status) -> bytes:
    """The bytes that a status signs; its own tag keeps it apart from every vote."""
    tag = b"pl1/status"
    version = status.version.encode()
    return b"".join(
        (
            bytes((len(tag),)),
            tag,
            config.chain,
            config.epoch.to_bytes(8, "big"),
            config.config_hash,
            status.view.to_bytes(8, "big"),
            status.final_height.to_bytes(8, "big"),
            status.final_block,
            status.final_view.to_bytes(8, "big"),
            status.clock_ms.to_bytes(8, "big"),
            status.boot_id,
            len(version).to_bytes(2, "big"),
            version,
        )
    )


def make_certificate(config: EpochConfig, votes: Sequence[Vote]) -> Certificate:
    """The certificate of votes that say the same; `votes` are of distinct members, in any order."""
    ordered = sorted(votes, key=lambda vote: vote.signer)
    first = ordered[0]
    kind: CertificateKind = first.kind if first.kind != "propose" else "notarize"
    return Certificate(
        kind=kind,
        epoch=first.epoch,
        config_hash=config.config_hash,
        view=first.view,
        height=first.height,
        block=first.block,
        signers=sum(1 << vote.signer for vote in ordered),
        signatures=tuple(vote.signature for vote in ordered),
    )


def certificate_signers(cert: Certificate) -> tuple[int, ...]:
    """The member indexes of a certificate, ascending."""
    return tuple(i for i in range(cert.signers.bit_length()) if cert.signers >> i & 1)


def certificate_votes(cert: Certificate) -> tuple[Vote, ...]:
    """The votes that a certificate holds, by ascending member."""
    return tuple(
        Vote(cert.kind, cert.epoch, cert.view, cert.height, cert.block, signer, signature)
        for signer, signature in zip(certificate_signers(cert), cert.signatures, strict=True)
    )


def verify_certificate(cert: Certificate, config: EpochConfig, verify: Verify) -> None:
    """Check a certificate against the configuration of its epoch (consensus.md 2.6).

    The one such function: nodes, observers, catching up and auditors all call it. `config` must
    come from a trusted place. Raises `ProofError` (R21 to R23) or `SignatureError` (R24).
    """
    if cert.epoch != config.epoch or cert.config_hash != config.config_hash:
        raise ProofError("R21", epoch=config.epoch)
    if cert.signers >> config.n:
        raise ProofError("R22", index=cert.signers.bit_length() - 1, members=config.n)
    count = cert.signers.bit_count()
    if count < config.q or count != len(cert.signatures):
        raise ProofError("R23", signatures=min(count, len(cert.signatures)), quorum=config.q)
    if cert.kind == "nullify" and (cert.height, cert.block) != (0, NO_BLOCK):
        raise ProofError("R20", what="nullify")
    message = signed_bytes(config, cert.kind, cert.view, cert.height, cert.block)
    keys = config.node_keys
    for index, signature in zip(certificate_signers(cert), cert.signatures, strict=True):
        if not verify(EDDSA, keys[index], signature, message):
            raise SignatureError("R24", index=index)


def verify_vote(vote: Vote, config: EpochConfig, verify: Verify) -> None:
    """Check one signed word. Raises `ProofError` (R20 to R22, R25) or `SignatureError` (R24)."""
    if vote.epoch != config.epoch:
        raise ProofError("R21", epoch=config.epoch)
    if vote.signer >= config.n:
        raise ProofError("R22", index=vote.signer, members=config.n)
    if vote.view < 1 or (vote.kind == "nullify" and (vote.height, vote.block) != (0, NO_BLOCK)):
        raise ProofError("R20", what=vote.kind)
    if vote.kind == "propose" and config.leader(vote.view) != vote.signer:
        raise ProofError("R25", view=vote.view, index=vote.signer)
    message = signed_bytes(config, vote.kind, vote.view, vote.height, vote.block)
    if not verify(EDDSA, config.node_keys[vote.signer], vote.signature, message):
        raise SignatureError("R24", index=vote.signer)


def verify_fact(
    fact: Fact, config: EpochConfig, verify: Verify, previous: EpochConfig | None = None
) -> None:
    """Check the signatures of a message before it may reach `Consensus.step`.

    `previous` is the configuration of the epoch before: its boundary certificate justifies the
    first proposals of this one. Raises as `verify_vote` and `verify_certificate` do.
    """
    if isinstance(fact, Proposal):
        if fact.vote.kind != "propose":
            raise ProofError("R20", what="proposal")
        for part in (fact.vote, fact.parent_cert, *fact.skips):
            if part is not None:
                verify_fact(part, config, verify, previous)
        return
    if previous is not None and fact.epoch == previous.epoch:
        config = previous
    if isinstance(fact, Certificate):
        verify_certificate(fact, config, verify)
    elif isinstance(fact, Vote):
        verify_vote(fact, config, verify)
    else:
        _verify_status(fact, config, verify)


def _verify_status(status: Status, config: EpochConfig, verify: Verify) -> None:
    if status.epoch != config.epoch:
        raise ProofError("R21", epoch=config.epoch)
    if status.signer >= config.n:
        raise ProofError("R22", index=status.signer, members=config.n)
    message = status_bytes(config, status)
    if not verify(EDDSA, config.node_keys[status.signer], status.signature, message):
        raise SignatureError("R24", index=status.signer)


_FACTS: msgspec.json.Decoder[Fact] = msgspec.json.Decoder(Fact)
_SUMMARY = msgspec.json.Decoder(Summary)


def encode_fact(fact: Fact) -> bytes:
    """A message as JSON, for the way between nodes."""
    return msgspec.json.encode(fact)


def decode_fact(data: bytes) -> Fact:
    """A message from JSON, strict in types and sizes, signatures unchecked. Raises
    `MalformedError` (R20).
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise MalformedError("R20", what="size")
    try:
        return _FACTS.decode(data)
    except UNREADABLE as error:
        raise MalformedError("R20", what="fact") from error


def encode_summary(summary: Summary) -> bytes:
    """A summary as JSON."""
    return msgspec.json.encode(summary)


def decode_summary(data: bytes) -> Summary:
    """A summary from JSON. Raises `MalformedError` (R20)."""
    try:
        return _SUMMARY.decode(data)
    except UNREADABLE as error:
        raise MalformedError("R20", what="summary") from error


def encode_certificate(cert: Certificate) -> bytes:
    """The bytes in which certificates are stored and exported.

    `kind[1] epoch[8] config_hash[32] view[8] height[8] block[32] m[1] bitmap[m] signature[64]...`,
    big-endian, with the shortest bitmap.
    """
    width = (cert.signers.bit_length() + 7) // 8
    return b"".join(
        (
            bytes((_CODES[cert.kind],)),
            cert.epoch.to_bytes(8, "big"),
            cert.config_hash,
            cert.view.to_bytes(8, "big"),
            cert.height.to_bytes(8, "big"),
            cert.block,
            bytes((width,)),
            cert.signers.to_bytes(width, "big"),
            *cert.signatures,
        )
    )


def decode_certificate(data: bytes) -> Certificate:
    """A certificate from exactly the bytes that `encode_certificate` makes. Raises
    `MalformedError` (R20).
    """
    if len(data) < 90 or data[0] not in _KINDS:
        raise MalformedError("R20", what="certificate of votes")
    width = data[89]
    signers = int.from_bytes(data[90 : 90 + width], "big")
    tail = data[90 + width :]
    if (
        len(tail) != SIGNATURE_BYTES * signers.bit_count()
        or (signers.bit_length() + 7) // 8 != width
    ):
        raise MalformedError("R20", what="certificate of votes")
    cut = range(0, len(tail), SIGNATURE_BYTES)
    return Certificate(
        kind=_KINDS[data[0]],
        epoch=int.from_bytes(data[1:9], "big"),
        config_hash=data[9:41],
        view=int.from_bytes(data[41:49], "big"),
        height=int.from_bytes(data[49:57], "big"),
        block=data[57:89],
        signers=signers,
        signatures=tuple(tail[i : i + SIGNATURE_BYTES] for i in cut),
    )
