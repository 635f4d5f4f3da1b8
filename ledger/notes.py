"""Signed notes, checkpoints, cosignatures, policies and offline proofs, as C2SP writes them
(formats.md F2 to F7).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from ledger.crypto import EDDSA, Signer, check_public_key, verify
from ledger.encoding import b64, unb64
from ledger.errors import MalformedError, ProofError
from ledger.merkle import EMPTY_ROOT, verify_inclusion

NOTE_ED25519: Final = 0x01
COSIGNATURE_ED25519: Final = 0x04
MAX_SIGNATURES: Final = 100
MAX_NOTE_BYTES: Final = 1 << 16
MAX_PATH: Final = 63
SIGNATURE_BYTES: Final = 64


# --- keys ---


class NoteKey(NamedTuple):
    """A public key that signs notes under a name."""

    name: str
    type: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """`SHA-256(name || 0x0A || type || public key)[:4]`."""
        return sha256(f"{self.name}\n".encode() + bytes([self.type]) + self.public_key).digest()[:4]

    @property
    def vkey(self) -> str:
        """`<name>+<key id in hex>+<base64(type || public key)>`."""
        return f"{self.name}+{self.key_id.hex()}+{b64(bytes([self.type]) + self.public_key)}"


def decode_vkey(text: str) -> NoteKey:
    """The key of a vkey. Raises `MalformedError` (N1), or `SignatureError` (C1) for a key that may
    not be used.
    """
    name, _, rest = text.partition("+")
    key_id, _, data = rest.partition("+")
    raw = unb64(data)
    check_name(name)
    if len(raw) != 33 or raw[0] not in (NOTE_ED25519, COSIGNATURE_ED25519):
        raise MalformedError("N1")
    check_public_key(EDDSA, raw[1:])
    key = NoteKey(name, raw[0], raw[1:])
    if key.key_id.hex() != key_id:
        raise MalformedError("N1")
    return key


def check_name(name: str) -> None:
    """A key name or origin: not empty, no space of any kind, no plus sign. Raises `MalformedError`
    (N2).
    """
    # Of everything that is a space, the plain one alone counts as printable.
    if not name or "+" in name or " " in name or not name.isprintable():
        raise MalformedError("N2")


# --- notes ---


class NoteSignature(NamedTuple):
    """One signature line: who, which key, and the payload after the key id."""

    name: str
    key_id: bytes
    payload: bytes


class Note(NamedTuple):
    """A text that ends in a newline, and its signature lines."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")


def encode_note(note: Note) -> bytes:
    """The bytes of a note."""
    lines = (f"\u2014 {s.name} {b64(s.key_id + s.payload)}\n" for s in note.signatures)
    return note.text + b"\n" + "".join(lines).encode()


def decode_note(data: bytes) -> Note:
    """The note of these bytes; text and signatures part at the last empty line. Raises
    `MalformedError` (N3).
    """
    at = data.rfind(b"\n\n")
    if len(data) > MAX_NOTE_BYTES or at < 0 or _CONTROL.search(data) or not data.endswith(b"\n"):
        raise MalformedError("N3")
    try:
        data.decode()
        lines = data[at + 2 :].decode().split("\n")[:-1]
    except UnicodeDecodeError:
        raise MalformedError("N3") from None
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise MalformedError("N3")
    return Note(data[: at + 1], tuple(_decode_line(line) for line in lines))


def _decode_line(line: str) -> NoteSignature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014":
        raise MalformedError("N3")
    check_name(parts[1])
    raw = unb64(parts[2])
    if len(raw) < 5:
        raise MalformedError("N3")
    return NoteSignature(parts[1], raw[:4], raw[4:])


class Verified(NamedTuple):
    """A signature that verified; `time_s` (POSIX seconds) is the cosigner's claim, None for a plain
    signature.
    """

    key: NoteKey
    time_s: int | None


def verify_note(note: Note, keys: Iterable[NoteKey]) -> list[Verified]:
    """The signatures of known keys, all of which verify; unknown ones are ignored.

    A key id has four bytes: who wants one that another key of this name has, finds it in hours. So
    a line is of whichever key of its name and id it verifies under.

    Raises `ProofError`: N4 when a known key's signature fails, N5 when none is known.
    """
    known: dict[tuple[str, bytes], list[NoteKey]] = {}
    for key in keys:
        known.setdefault((key.name, key.key_id), []).append(key)
    verified: dict[NoteKey, Verified] = {}
    for line in note.signatures:
        named = known.get((line.name, line.key_id))
        if named is None:
            continue
        found = next((one for key in named if (one := _verified(key, line, note.text))), None)
        if found is None:
            raise ProofError("N4", name=line.name)
        verified.setdefault(found.key, found)
    if not verified:
        raise ProofError("N5")
    return list(verified.values())


def _verified(key: NoteKey, line: NoteSignature, text: bytes) -> Verified | None:
    """What a signature line is under this key; None unless it verifies."""
    time_s, signature, message = None, line.payload, text
    if key.type == COSIGNATURE_ED25519:
        time_s, signature = int.from_bytes(line.payload[:8], "big"), line.payload[8:]
        message = cosignature_message(time_s, text)
    if time_s == 0 or len(signature) != SIGNATURE_BYTES:
        return None
    return Verified(key, time_s) if verify(EDDSA, key.public_key, signature, message) else None


def sign_note(text: bytes, name: str, signer: Signer) -> NoteSignature:
    """A plain Ed25519 signature line (`0x01`) for a text."""
    key = NoteKey(name, NOTE_ED25519, signer.public_key)
    return NoteSignature(name, key.key_id, signer.sign(text))


def cosignature_message(time_s: int, text: bytes) -> bytes:
    """What a cosigner signs: its time and the whole checkpoint."""
    return b"cosignature/v1\ntime %d\n" % time_s + text


def cosign(text: bytes, name: str, signer: Signer, time_s: int) -> NoteSignature:
    """A timestamped cosignature line (`0x04`) for a checkpoint text; `time_s` in POSIX seconds, not
    0.
    """
    key = NoteKey(name, COSIGNATURE_ED25519, signer.public_key)
    return NoteSignature(
        name, key.key_id, time_s.to_bytes(8, "big") + signer.sign(cosignature_message(time_s, text))
    )


# --- checkpoints ---


class Checkpoint(NamedTuple):
    """The head of a tree: origin, number of entries, root."""

    origin: str
    size: int
    root: bytes


_DECIMAL = re.compile(r"\A(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)


def decode_decimal(text: str) -> int:
    """A decimal without leading zeros, below 10^19. Raises `MalformedError` (N6)."""
    if _DECIMAL.match(text) is None:
        raise MalformedError("N6")
    return int(text)


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The three lines of a checkpoint."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{b64(checkpoint.root)}\n".encode()


def decode_checkpoint(text: bytes) -> Checkpoint:
    """The checkpoint of exactly three lines. Raises `MalformedError` (N6)."""
    try:
        lines = text.decode().split("\n")
    except UnicodeDecodeError:
        raise MalformedError("N6") from None
    if len(lines) != 4 or lines[3]:
        raise MalformedError("N6")
    check_name(lines[0])
    checkpoint = Checkpoint(lines[0], decode_decimal(lines[1]), unb64(lines[2], 32))
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise MalformedError("N6")
    return checkpoint


# --- policies ---


class Group(NamedTuple):
    """So many (`threshold`) of these witnesses or groups."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Policy(NamedTuple):
    """What an outsider asks of a checkpoint (C2SP tlog-policy): accepted logs, witnesses, and a
    quorum of them.
    """

    logs: tuple[NoteKey, ...]
    witnesses: Mapping[str, NoteKey]
    groups: Mapping[str, Group]
    quorum: str | None

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """All keys that the policy knows."""
        return (*self.logs, *self.witnesses.values())

    def is_met(self, verified: Iterable[Verified]) -> bool:
        """Whether a log key signed and the quorum of witnesses cosigned."""
        signed = {item.key for item in verified}
        if not signed.intersection(self.logs):
            return False
        return self.quorum is None or self._counts(self.quorum, signed)

    def _counts(self, name: str, signed: set[NoteKey]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return self.witnesses[name] in signed
        return sum(self._counts(member, signed) for member in group.members) >= group.threshold


def encode_policy(policy: Policy) -> bytes:
    """The policy file. Witness lines name no address: receipts are checked offline."""
    lines = [f"log {key.vkey}" for key in policy.logs]
    lines += [f"witness {name} {key.vkey}" for name, key in policy.witnesses.items()]
    lines += [f"group {g.name} {g.threshold} {' '.join(g.members)}" for g in policy.groups.values()]
    lines.append(f"quorum {policy.quorum or 'none'}")
    return "".join(f"{line}\n" for line in lines).encode()


_POLICY_BYTES = re.compile(rb"\A[\x09\x0a\x20-\x7e\x80-\xff]*\Z")


class _PolicyDraft:
    def __init__(self) -> None:
        self.logs: list[NoteKey] = []
        self.witnesses: dict[str, NoteKey] = {}
        self.groups: dict[str, Group] = {}
        self.grouped: set[str] = set()
        self.quorum: list[str] = []

    def add(self, words: Sequence[str]) -> None:
        """Take one line."""
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(_typed_key(vkey, NOTE_ED25519))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._new(name)
                self.witnesses[name] = _typed_key(vkey, COSIGNATURE_ED25519)
            case ["group", name, count, *members] if members:
                self._group(name, count, tuple(members))
            case ["quorum", name] if not self.quorum:
                if name != "none" and name not in self.witnesses and name not in self.groups:
                    raise MalformedError("N7")
                self.quorum.append(name)
            case _:
                raise MalformedError("N7")

    def _new(self, name: str) -> None:
        if name in self.witnesses or name in self.groups or name == "none":
            raise MalformedError("N7")

    def _group(self, name: str, count: str, members: tuple[str, ...]) -> None:
        self._new(name)
        for member in members:
            if (
                member not in self.witnesses and member not in self.groups
            ) or member in self.grouped:
                raise MalformedError("N7")
            self.grouped.add(member)
        threshold = {"any": 1, "all": len(members)}.get(count) or decode_decimal(count)
        if not 1 <= threshold <= len(members):
            raise MalformedError("N7")
        self.groups[name] = Group(name, threshold, members)


def _typed_key(vkey: str, kind: int) -> NoteKey:
    key = decode_vkey(vkey)
    if key.type != kind:
        raise MalformedError("N7")
    return key


def decode_policy(data: bytes) -> Policy:
    """The policy of a file. Raises `MalformedError` (N1, N7)."""
    if len(data) > MAX_NOTE_BYTES or _POLICY_BYTES.match(data) is None:
        raise MalformedError("N7")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise MalformedError("N7") from None
    draft = _PolicyDraft()
    for line in lines:
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if words and not words[0].startswith("#"):
            draft.add(words)
    if not draft.quorum or not draft.logs:
        raise MalformedError("N7")
    quorum = None if draft.quorum[0] == "none" else draft.quorum[0]
    return Policy(tuple(draft.logs), draft.witnesses, draft.groups, quorum)


# --- offline proofs ---


class TlogProof(msgspec.Struct, frozen=True):
    """One entry's place under a signed checkpoint (C2SP tlog-proof); `extra` is not
    authenticated.
    """

    index: int
    path: tuple[bytes, ...]
    note: Note
    extra: bytes | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint that the note says, not verified by this."""
        return decode_checkpoint(self.note.text)


_MAGIC: Final = "c2sp.org/tlog-proof@v1"


def encode_proof(proof: TlogProof) -> bytes:
    """The `.tlog-proof` file."""
    lines = [_MAGIC]
    if proof.extra is not None:
        lines.append(f"extra {b64(proof.extra)}")
    lines += [f"index {proof.index}", *(b64(node) for node in proof.path), "", ""]
    return "\n".join(lines).encode() + encode_note(proof.note)


def decode_proof(data: bytes) -> TlogProof:
    """The proof of a `.tlog-proof` file. Raises `MalformedError` (N8, and N3, N6 for its
    checkpoint).
    """
    head, blank, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise MalformedError("N8") from None
    if not blank or lines.pop(0) != _MAGIC or len(lines) > MAX_PATH + 2:
        raise MalformedError("N8")
    extra = unb64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("N8")
    index = decode_decimal(lines.pop(0)[6:])
    proof = TlogProof(index, tuple(unb64(line, 32) for line in lines), decode_note(note), extra)
    decode_checkpoint(proof.note.text)
    return proof


def verify_proof(proof: TlogProof, leaf: bytes, policy: Policy) -> list[Verified]:
    """The signatures under which this leaf hash stands at `proof.index`, when they meet the policy.

    Raises `ProofError`: N4, N5 (signatures), N9 (origin or quorum), M1, M2 (inclusion).
    """
    checkpoint = proof.checkpoint
    verified = verify_note(proof.note, policy.keys)
    if checkpoint.origin not in {key.name for key in policy.logs} or not policy.is_met(verified):
        raise ProofError("N9")
    verify_inclusion(proof.index, checkpoint.size, leaf, proof.path, checkpoint.root)
    return verified
