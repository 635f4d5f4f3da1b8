"""What an auditor calls: receipts, proofs of state, subject logs and growth, against the genesis
alone (SPEC V).

The verifier derives every key, policy and format from the genesis that it trusts; a proof never
says how to verify it.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

from ledger.chain import Tip
from ledger.consensus.messages import decode_certificate, verify_certificate
from ledger.crypto import EDDSA
from ledger.crypto import verify as verify_signature
from ledger.encoding import b64url, unb64url
from ledger.errors import ProofError
from ledger.members import EpochConfig, Verify, check_next_config
from ledger.merkle import tree_hash, verify_consistency, verify_inclusion
from ledger.notes import (
    COSIGNATURE_ED25519,
    NOTE_ED25519,
    Checkpoint,
    Group,
    Note,
    NoteKey,
    Policy,
    decode_checkpoint,
    decode_note,
    decode_proof,
    verify_note,
)
from ledger.records import decode_entry
from ledger.records.envelope import ENCODE, Entry, Shape, decode_canonical, decode_shape
from ledger.records.seal import SealEntry, decode_seal, results_leaf
from ledger.rules import VALUES, Signer
from ledger.rules.values import KeyState, ReadyState, SubjectLog
from ledger.state import SUBJECT_START, state_key, subject_head, verify_state

QUORUM_GROUP = ".members"
"""The group of a policy file; no organisation's code begins with a dot."""


class SealProof(Shape, frozen=True, kw_only=True):
    """A seal and its inclusion in the tree of the checkpoint."""

    entry: str
    index: int
    path: tuple[str, ...]


class BoundaryProof(Shape, frozen=True, kw_only=True):
    """The end of an epoch: its last seal, the certificate that made it final, and the
    configuration of the epoch after it.
    """

    certificate: str
    config: EpochConfig
    seal: SealProof


class FindingsProof(Shape, frozen=True, kw_only=True):
    """The findings of an entry and their path to the seal's `results_root`."""

    codes: tuple[str, ...]
    path: tuple[str, ...]


class StateProof(Shape, frozen=True, kw_only=True):
    """A value of the rule state and its proof; `key` is `namespace/name`, `value` canonical JSON.

    Without a value it is the proof that there is none.
    """

    key: str
    proof: str
    value: str | None = None


class StateAnswer(Shape, frozen=True, kw_only=True):
    """What the state holds under a key at a published head."""

    boundaries: tuple[BoundaryProof, ...] = ()
    checkpoint: str
    head: SealProof
    state: StateProof


class SubjectAnswer(Shape, frozen=True, kw_only=True):
    """All records on a subject, proven complete at a published head."""

    boundaries: tuple[BoundaryProof, ...] = ()
    checkpoint: str
    head: SealProof
    indexes: tuple[int, ...]
    leaves: tuple[str, ...]
    state: StateProof


class Receipt(Shape, frozen=True, kw_only=True):
    """Everything that proves one entry to a stranger who holds the genesis file (definitions.md
    5).
    """

    boundaries: tuple[BoundaryProof, ...] = ()
    entry: str
    findings: FindingsProof
    format: Literal["alliance-receipt/1"]
    head: SealProof
    key: StateProof | None = None
    proof: str
    seal: SealProof


class BlockReceipt(Shape, frozen=True, kw_only=True):
    """One proof for all entries of a block: their leaf hashes and findings re-derive its seal."""

    boundaries: tuple[BoundaryProof, ...] = ()
    checkpoint: str
    findings: tuple[tuple[str, ...], ...]
    format: Literal["alliance-block-receipt/1"]
    head: SealProof
    leaves: tuple[str, ...]
    seal: SealProof


class EpochsFile(Shape, frozen=True, kw_only=True):
    """How one epoch of a copy followed the other; a copy of the first epoch has none."""

    boundaries: tuple[BoundaryProof, ...]
    format: Literal["alliance-epochs/1"]


class Head(NamedTuple):
    """A checkpoint whose signatures were verified, and the seal that ends its tree."""

    checkpoint: Checkpoint
    cosigners: tuple[tuple[str, int], ...]
    """Organisation and claimed time (POSIX seconds)."""
    seal: SealEntry
    configs: tuple[EpochConfig, ...]
    """The configurations of all epochs up to that of the seal, by number."""


class VerifiedReceipt(msgspec.Struct, frozen=True):
    """What a verified receipt says."""

    entry: Entry
    index: int
    height: int
    time_ms: int
    findings: tuple[str, ...]
    head: Head


_RECEIPT = msgspec.json.Decoder(Receipt)
_BLOCK_RECEIPT = msgspec.json.Decoder(BlockReceipt)
_EPOCHS = msgspec.json.Decoder(EpochsFile)


def encode_receipt(receipt: Receipt | BlockReceipt) -> bytes:
    """The canonical JSON of a receipt."""
    return ENCODE(receipt)


def decode_receipt(data: bytes) -> Receipt:
    """A receipt from its file. Raises `MalformedError` (S1, S2)."""
    return decode_shape(data, _RECEIPT)


def decode_block_receipt(data: bytes) -> BlockReceipt:
    """A block receipt from its file. Raises `MalformedError` (S1, S2)."""
    return decode_shape(data, _BLOCK_RECEIPT)


def encode_epochs(boundaries: Sequence[BoundaryProof]) -> bytes:
    """The canonical JSON of the epochs of a copy."""
    return ENCODE(EpochsFile(boundaries=tuple(boundaries), format="alliance-epochs/1"))


def decode_epochs(data: bytes) -> tuple[BoundaryProof, ...]:
    """The epochs of a copy from its file. Raises `MalformedError` (S1, S2)."""
    return decode_shape(data, _EPOCHS).boundaries


# --- keys and policy of an epoch ---


def log_keys(config: EpochConfig, origin: str) -> tuple[NoteKey, ...]:
    """The keys that may sign checkpoints: every member's log key, under the origin."""
    return tuple(NoteKey(origin, NOTE_ED25519, unb64url(m.log_pk, 32)) for m in config.members)


def cosigner_name(org: str, origin: str) -> str:
    """The note-key name of a member's cosigner."""
    return f"{org}.cosigner.{origin.partition('/')[0]}"


def cosigner_keys(config: EpochConfig, origin: str) -> dict[str, NoteKey]:
    """The members' cosigner keys, by organisation."""
    return {
        m.org: NoteKey(
            cosigner_name(m.org, origin), COSIGNATURE_ED25519, unb64url(m.cosigner_pk, 32)
        )
        for m in config.members
    }


def policy_of(config: EpochConfig, origin: str) -> Policy:
    """What makes a checkpoint published: one member's log key, and cosignatures of q members."""
    witnesses = cosigner_keys(config, origin)
    group = Group(QUORUM_GROUP, config.q, tuple(witnesses))
    return Policy(log_keys(config, origin), witnesses, {QUORUM_GROUP: group}, QUORUM_GROUP)


# --- epochs ---


def verify_epochs(boundaries: Sequence[BoundaryProof], genesis: Tip) -> tuple[EpochConfig, ...]:
    """The configurations of all epochs, each from the one before: its quorum made the block final
    that names the next one. Where these blocks stand in a tree is for `verify_head` to say.

    For every seal and checkpoint the one of its own epoch is to be taken.

    Raises `ProofError` (V1, V28, R21 to R23), `SignatureError` (R24) or `MalformedError` (R20,
    R30 to R36).
    """
    configs = [genesis.config]
    for boundary in boundaries:
        config = configs[-1]
        entry = decode_seal(unb64url(boundary.seal.entry))
        _check_place(entry, genesis.chain, config)
        seal = entry.seal
        check_next_config(config, boundary.config)
        certificate = decode_certificate(unb64url(boundary.certificate))
        verify_certificate(certificate, config, verify_signature)
        named = (certificate.kind, certificate.height, certificate.block)
        following = b64url(boundary.config.config_hash)
        if named != ("finalize", seal.height, entry.leaf) or seal.next_config_hash != following:
            raise ProofError("V28", epoch=config.epoch)
        configs.append(boundary.config)
    return tuple(configs)


def _check_place(entry: SealEntry, chain: str, config: EpochConfig) -> None:
    """V1: a seal is of this chain and of the epoch of this configuration."""
    seal, hashed = entry.seal, b64url(config.config_hash)
    if (seal.chain, seal.epoch, seal.config_hash) != (chain, config.epoch, hashed):
        raise ProofError("V1")


# --- heads ---


def verify_checkpoint(
    note: Note, config: EpochConfig, origin: str
) -> tuple[Checkpoint, tuple[tuple[str, int], ...]]:
    """The checkpoint of a note that q members cosigned, and who did. `config` is that of the
    epoch of the seal at `size - 1`: a block that closes an epoch is published by that epoch's
    quorum.

    Raises `ProofError` (N4, N5, N9) or `MalformedError` (N6).
    """
    checkpoint = decode_checkpoint(note.text)
    policy = policy_of(config, origin)
    verified = verify_note(note, policy.keys)
    if checkpoint.origin != origin or not policy.is_met(verified):
        raise ProofError("N9")
    orgs = {key: org for org, key in policy.witnesses.items()}
    return checkpoint, tuple((orgs[v.key], v.time_s) for v in verified if v.time_s is not None)


def verify_head(
    note: Note, proof: SealProof, genesis: Tip, boundaries: Sequence[BoundaryProof] = ()
) -> Head:
    """A published checkpoint and its last seal, whose epoch follows the last of the boundaries.

    Raises `ProofError` (N4, N5, N9, V1, V2, V28, M1, M2) and what `verify_epochs` raises.
    """
    configs = verify_epochs(boundaries, genesis)
    checkpoint, cosigners = verify_checkpoint(note, configs[-1], genesis.origin)
    seal = _verify_seal(proof, checkpoint, genesis, configs)
    if proof.index != checkpoint.size - 1:
        raise ProofError("V2")
    if seal.seal.epoch != len(boundaries):
        raise ProofError("V28", epoch=seal.seal.epoch)
    verify_boundaries(boundaries, checkpoint, genesis, configs)
    return Head(checkpoint, cosigners, seal, configs)


def verify_boundaries(
    boundaries: Sequence[BoundaryProof],
    checkpoint: Checkpoint,
    genesis: Tip,
    configs: Sequence[EpochConfig],
) -> None:
    """The seals that closed the epochs stand in the checkpoint's tree. Raises `ProofError` (V1, M1,
    M2).
    """
    for boundary in boundaries:
        _verify_seal(boundary.seal, checkpoint, genesis, configs)


def _verify_seal(
    proof: SealProof, checkpoint: Checkpoint, genesis: Tip, configs: Sequence[EpochConfig]
) -> SealEntry:
    """A seal of this chain and one of its epochs that stands in the checkpoint's tree. V1."""
    entry = decode_seal(unb64url(proof.entry))
    path = [unb64url(node, 32) for node in proof.path]
    verify_inclusion(proof.index, checkpoint.size, entry.leaf, path, checkpoint.root)
    seal = entry.seal
    if not (seal.epoch < len(configs) and seal.start <= proof.index):
        raise ProofError("V1")
    _check_place(entry, genesis.chain, configs[seal.epoch])
    return entry


# --- receipts ---


def verify_receipt(receipt: Receipt, genesis: Tip, verify: Verify) -> VerifiedReceipt:
    """Everything that a receipt claims, from the genesis alone.

    Raises `ProofError` (V*, M*, N*, A*) or `MalformedError`.
    """
    entry = decode_entry(unb64url(receipt.entry))
    proof = decode_proof(receipt.proof.encode())
    head = verify_head(proof.note, receipt.head, genesis, receipt.boundaries)
    checkpoint = head.checkpoint
    verify_inclusion(proof.index, checkpoint.size, entry.leaf, proof.path, checkpoint.root)
    seal = _verify_seal(receipt.seal, checkpoint, genesis, head.configs)
    verify_place(entry, proof.index, receipt.seal.index, seal, receipt.findings)
    verify_author(entry, seal, head, receipt.key, verify)
    findings = receipt.findings.codes
    return VerifiedReceipt(entry, proof.index, seal.seal.height, seal.seal.time_ms, findings, head)


def verify_place(
    entry: Entry, index: int, seal_index: int, seal: SealEntry, findings: FindingsProof
) -> None:
    """The entry lies in the seal's block, with these findings. Raises `ProofError` (V3, V4, M1,
    M2).
    """
    start = seal.seal.start
    if not start <= index < seal_index or entry.record.chain not in (seal.seal.chain, None):
        raise ProofError("V3")
    leaf = results_leaf(entry.leaf, findings.codes)
    path = [unb64url(node, 32) for node in findings.path]
    root = unb64url(seal.seal.results_root, 32)
    try:
        verify_inclusion(index - start, seal_index - start, leaf, path, root)
    except ProofError as error:
        raise ProofError("V4") from error


def verify_author(
    entry: Entry,
    seal: SealEntry,
    head: Head,
    proof: StateProof | None,
    verify: Verify,
) -> Signer:
    """The entry is signed by a key of its organisation: a node key of the seal's epoch, one that
    was registered before and not revoked, or, for `ready`, one of a pending configuration.

    Raises `ProofError` (V5, V6, V7, A1).
    """
    kid = b64url(entry.statement.kid)
    node = head.configs[seal.seal.epoch].node_kids.get(kid)
    if node is not None:
        signer = Signer(EDDSA, unb64url(node.node_pk, 32), node.org, "node", None)
    elif entry.record.type == "ready":
        signer = _joining(kid, head, proof)
    else:
        signer = _registered(kid, seal.seal.height, head, proof)
    statement = entry.statement
    if signer.org != statement.iss or signer.alg != statement.alg:
        raise ProofError("V5", kid=kid)
    message = statement.to_be_signed
    if not verify(signer.alg, signer.public_key, statement.signature, message):
        raise ProofError("V6", org=statement.iss)
    return signer


def _registered(kid: str, height: int, head: Head, proof: StateProof | None) -> Signer:
    """A key that the state at the checkpoint tells to have been in force at a height. V5."""
    if proof is None or proof.key != f"key/{kid}":
        raise ProofError("V5", kid=kid)
    key = verify_state_proof(proof, head)
    if not isinstance(key, KeyState):
        raise ProofError("V5", kid=kid)
    # A key of block 0 signs in block 0; any other acts from the height after its registration.
    before = key.registered < height or key.registered == 0
    if not before or (key.revoked is not None and key.revoked < height):
        raise ProofError("V5", kid=kid)
    return Signer(key.alg, unb64url(key.public_key), key.org, key.capacity, key)


def _joining(kid: str, head: Head, proof: StateProof | None) -> Signer:
    """A node key that the state at the checkpoint tells to have been pending, and to have declared
    itself ready. V5.
    """
    if proof is None or proof.key != f"ready/{kid}":
        raise ProofError("V5", kid=kid)
    ready = verify_state_proof(proof, head)
    if not isinstance(ready, ReadyState):
        raise ProofError("V5", kid=kid)
    return Signer(EDDSA, unb64url(ready.node_pk, 32), ready.org, "joiner", None)


def verify_block_receipt(receipt: BlockReceipt, genesis: Tip) -> tuple[SealEntry, Head]:
    """All leaf hashes and findings of a block are those that its seal commits to.

    Raises `ProofError` (V3, V4, and those of `verify_head`).
    """
    note = decode_note(receipt.checkpoint.encode())
    head = verify_head(note, receipt.head, genesis, receipt.boundaries)
    seal = _verify_seal(receipt.seal, head.checkpoint, genesis, head.configs)
    leaves = [unb64url(leaf, 32) for leaf in receipt.leaves]
    count = receipt.seal.index - seal.seal.start
    if not len(leaves) == len(receipt.findings) == count:
        raise ProofError("V3")
    if b64url(tree_hash(leaves)) != seal.seal.entries_root:
        raise ProofError("V3")
    results = [
        results_leaf(leaf, codes) for leaf, codes in zip(leaves, receipt.findings, strict=True)
    ]
    if b64url(tree_hash(results)) != seal.seal.results_root:
        raise ProofError("V4")
    return seal, head


# --- state and subjects ---


def verify_state_proof(proof: StateProof, head: Head) -> Shape | None:
    """The value that the state at the checkpoint holds under a key, or None when it is proven
    absent.

    Raises `ProofError` (A1, V7) or `MalformedError` (S1, S2).
    """
    namespace, _, name = proof.key.partition("/")
    root = unb64url(head.seal.seal.state_root, 32)
    found = verify_state(root, state_key(namespace, name), unb64url(proof.proof))
    if proof.value is None:
        if found is not None:
            raise ProofError("V7", key=proof.key)
        return None
    data = proof.value.encode()
    kind = VALUES.get(namespace)
    if found != value_hash(data) or kind is None:
        raise ProofError("V7", key=proof.key)
    return decode_canonical(data, msgspec.json.Decoder(kind))


def value_hash(data: bytes) -> bytes:
    """The hash of a value's bytes as the map holds it."""
    return sha256(data).digest()


def verify_subject_log(leaves: Sequence[bytes], proof: StateProof, head: Head) -> None:
    """These leaf hashes, in this order, are all records about the subject, and nothing else.

    Raises `ProofError` (V8, and those of `verify_state_proof`).
    """
    subject = proof.key.removeprefix("subject/")
    if subject == proof.key:
        # What stands under another key says nothing about any subject.
        raise ProofError("V8", subject=proof.key)
    log = verify_state_proof(proof, head)
    expected = (
        log if isinstance(log, SubjectLog) else SubjectLog(count=0, head=b64url(SUBJECT_START))
    )
    chain = SUBJECT_START
    for leaf in leaves:
        chain = subject_head(chain, leaf)
    if (len(leaves), b64url(chain)) != (expected.count, expected.head):
        raise ProofError("V8", subject=subject)


def verify_growth(old: Checkpoint, new: Checkpoint, path: Sequence[bytes]) -> None:
    """The newer tree holds all of the older one. Raises `ProofError` (M1, M3, V9)."""
    if old.origin != new.origin:
        raise ProofError("V9")
    verify_consistency(old.size, new.size, old.root, new.root, path)
