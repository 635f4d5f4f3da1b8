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
from ledger.crypto import EDDSA
from ledger.encoding import b64url, unb64url
from ledger.errors import ProofError
from ledger.members import EpochConfig, Verify
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
from ledger.rules.values import KeyState, SubjectLog
from ledger.state import SUBJECT_START, state_key, subject_head, verify_state

QUORUM_GROUP = ".members"
"""The group of a policy file; no organisation's code begins with a dot."""


class SealProof(Shape, frozen=True, kw_only=True):
    """A seal and its inclusion in the tree of the checkpoint."""

    entry: str
    index: int
    path: tuple[str, ...]


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


class Receipt(Shape, frozen=True, kw_only=True):
    """Everything that proves one entry to a stranger who holds the genesis file (definitions.md
    5).
    """

    entry: str
    findings: FindingsProof
    format: Literal["alliance-receipt/1"]
    head: SealProof
    key: StateProof | None = None
    proof: str
    seal: SealProof


class BlockReceipt(Shape, frozen=True, kw_only=True):
    """One proof for all entries of a block: their leaf hashes and findings re-derive its seal."""

    checkpoint: str
    findings: tuple[tuple[str, ...], ...]
    format: Literal["alliance-block-receipt/1"]
    head: SealProof
    leaves: tuple[str, ...]
    seal: SealProof


class Head(NamedTuple):
    """A checkpoint whose signatures were verified, and the seal that ends its tree."""

    checkpoint: Checkpoint
    cosigners: tuple[tuple[str, int], ...]
    """Organisation and claimed time (POSIX seconds)."""
    seal: SealEntry


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


def encode_receipt(receipt: Receipt | BlockReceipt) -> bytes:
    """The canonical JSON of a receipt."""
    return ENCODE(receipt)


def decode_receipt(data: bytes) -> Receipt:
    """A receipt from its file. Raises `MalformedError` (S1, S2)."""
    return decode_shape(data, _RECEIPT)


def decode_block_receipt(data: bytes) -> BlockReceipt:
    """A block receipt from its file. Raises `MalformedError` (S1, S2)."""
    return decode_shape(data, _BLOCK_RECEIPT)


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


# --- heads ---


def verify_checkpoint(
    note: Note, config: EpochConfig, origin: str
) -> tuple[Checkpoint, tuple[tuple[str, int], ...]]:
    """The checkpoint of a note that q members cosigned, and who did.

    Raises `ProofError` (N4, N5, N9) or `MalformedError` (N6).
    """
    checkpoint = decode_checkpoint(note.text)
    policy = policy_of(config, origin)
    verified = verify_note(note, policy.keys)
    if checkpoint.origin != origin or not policy.is_met(verified):
        raise ProofError("N9")
    orgs = {key: org for org, key in policy.witnesses.items()}
    return checkpoint, tuple((orgs[v.key], v.time_s) for v in verified if v.time_s is not None)


def verify_head(note: Note, proof: SealProof, genesis: Tip) -> Head:
    """A published checkpoint and its last seal. Raises `ProofError` (N4, N5, N9, V1, V2, M1,
    M2).
    """
    checkpoint, cosigners = verify_checkpoint(note, genesis.config, genesis.origin)
    seal = _verify_seal(proof, checkpoint, genesis)
    if proof.index != checkpoint.size - 1:
        raise ProofError("V2")
    return Head(checkpoint, cosigners, seal)


def _verify_seal(proof: SealProof, checkpoint: Checkpoint, genesis: Tip) -> SealEntry:
    """A seal of this chain and epoch that stands in the checkpoint's tree. V1."""
    entry = decode_seal(unb64url(proof.entry))
    path = [unb64url(node, 32) for node in proof.path]
    verify_inclusion(proof.index, checkpoint.size, entry.leaf, path, checkpoint.root)
    seal, config = entry.seal, genesis.config
    mine = (seal.chain, seal.epoch, seal.config_hash) == (
        genesis.chain,
        config.epoch,
        b64url(config.config_hash),
    )
    if not mine or not seal.start <= proof.index:
        raise ProofError("V1")
    return entry


# --- receipts ---


def verify_receipt(receipt: Receipt, genesis: Tip, verify: Verify) -> VerifiedReceipt:
    """Everything that a receipt claims, from the genesis alone.

    Raises `ProofError` (V*, M*, N*, A*) or `MalformedError`.
    """
    entry = decode_entry(unb64url(receipt.entry))
    proof = decode_proof(receipt.proof.encode())
    head = verify_head(proof.note, receipt.head, genesis)
    checkpoint = head.checkpoint
    verify_inclusion(proof.index, checkpoint.size, entry.leaf, proof.path, checkpoint.root)
    seal = _verify_seal(receipt.seal, checkpoint, genesis)
    verify_place(entry, proof.index, receipt.seal.index, seal, receipt.findings)
    verify_author(entry, seal, head, receipt.key, genesis, verify)
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
    genesis: Tip,
    verify: Verify,
) -> Signer:
    """The entry is signed by a key of its organisation that was registered before, and not revoked.

    Raises `ProofError` (V5, V6, V7, A1).
    """
    kid = b64url(entry.statement.kid)
    node = genesis.config.node_kids.get(kid)
    if node is not None:
        signer = Signer(EDDSA, unb64url(node.node_pk, 32), node.org, "node", None)
    else:
        signer = _registered(kid, seal.seal.height, head, proof)
    statement = entry.statement
    if signer.org != statement.iss or signer.alg != statement.alg:
        raise ProofError("V5", kid=kid)
    message = statement.to_be_signed()
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


def verify_block_receipt(receipt: BlockReceipt, genesis: Tip) -> tuple[SealEntry, Head]:
    """All leaf hashes and findings of a block are those that its seal commits to.

    Raises `ProofError` (V3, V4, and those of `verify_head`).
    """
    head = verify_head(decode_note(receipt.checkpoint.encode()), receipt.head, genesis)
    seal = _verify_seal(receipt.seal, head.checkpoint, genesis)
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
