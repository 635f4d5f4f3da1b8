"""The drill: copies of a sound copy, each damaged in one known way; the audit must find every
one.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from cli.copies import CERTIFICATES, read_certificates
from cli.offline import SEAL_MARK, SEAL_TAIL, Audit, Held
from ledger.crypto import signer_from_seed
from ledger.encoding import (
    decode_bundle,
    encode_bundle,
    encode_statement,
    signature_input,
)
from ledger.errors import ProofError, ensure
from ledger.merkle import ENTRIES, Tile, Tree, leaf_hashes, tiles_of
from ledger.notes import (
    Checkpoint,
    Note,
    cosign,
    decode_checkpoint,
    decode_note,
    encode_checkpoint,
    encode_note,
    sign_note,
)
from ledger.records.seal import decode_seal, encode_seal

FORGER = signer_from_seed(b"a forger's key, known to everyone"[:32])


class Result(NamedTuple):
    """One damage, and what the audit said of it."""

    name: str
    found: bool
    step: int
    rule: str
    where: str


class Damaged:
    """A copy that can be damaged: entries, tiles, head and certificates as values."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.note = decode_note(self._file("checkpoint").read_bytes())
        self.checkpoint = decode_checkpoint(self.note.text)

    def _file(self, name: str) -> Path:
        return self.folder / name

    def bundles(self) -> list[Tile]:
        """The entry bundles."""
        return [tile for tile in tiles_of(self.checkpoint.size) if tile.level == ENTRIES]

    def entries(self) -> list[bytes]:
        """All entries. A drill copy is small enough."""
        return [
            raw
            for tile in self.bundles()
            for raw in decode_bundle(self._file(tile.path).read_bytes())
        ]

    def flip(self, name: str, at: int) -> None:
        """Turn one bit of a file."""
        data = bytearray(self._file(name).read_bytes())
        data[at] ^= 1
        self._file(name).write_bytes(bytes(data))

    def write_note(self, note: Note) -> None:
        """Another checkpoint file."""
        self._file("checkpoint").write_bytes(encode_note(note))

    def rebuild(self, entries: list[bytes], *, sign: bool) -> None:
        """All tiles anew from these entries, as a forger with the disk would; `sign` with its own
        key.
        """
        shutil.rmtree(self.folder / "tile")
        tree = Tree(leaf_hashes(entries))
        for tile in tiles_of(tree.size):
            path = self._file(tile.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            start = tile.number * 256
            bundle = encode_bundle(entries[start : start + tile.width])
            path.write_bytes(bundle if tile.level == ENTRIES else tree.tile(*tile))
        head = Checkpoint(self.checkpoint.origin, tree.size, tree.root())
        text = encode_checkpoint(head)
        lines = self.note.signatures
        if sign:
            lines = (sign_note(text, head.origin, FORGER), cosign(text, lines[1].name, FORGER, 1))
        self.write_note(Note(text, lines))


def _flip_entry(copy: Damaged) -> None:
    tile = copy.bundles()[-1]
    copy.flip(tile.path, (copy.folder / tile.path).stat().st_size // 2)


def _cut_bundle(copy: Damaged) -> None:
    path = copy.folder / copy.bundles()[-1].path
    path.write_bytes(path.read_bytes()[:-1])


def _remove_bundle(copy: Damaged) -> None:
    (copy.folder / copy.bundles()[0].path).unlink()


def _swap_entries(copy: Damaged) -> None:
    path = copy.folder / copy.bundles()[-1].path
    entries = decode_bundle(path.read_bytes())
    path.write_bytes(encode_bundle([entries[1], entries[0], *entries[2:]]))


def _remove_entry(copy: Damaged) -> None:
    path = copy.folder / copy.bundles()[-1].path
    path.write_bytes(encode_bundle(decode_bundle(path.read_bytes())[1:]))


def _flip_tile(copy: Damaged) -> None:
    copy.flip("tile/0/" + _first_tile(copy), 5)


def _remove_tile(copy: Damaged) -> None:
    (copy.folder / "tile/0" / _first_tile(copy)).unlink()


def _first_tile(copy: Damaged) -> str:
    return next(t.path for t in tiles_of(copy.checkpoint.size) if t.level == 0)[len("tile/0/") :]


def _extra_partial(copy: Damaged) -> None:
    path = copy.folder / "tile/0/999.p/7"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(7 * 32))


def _forge_size(copy: Damaged) -> None:
    text = encode_checkpoint(copy.checkpoint._replace(size=copy.checkpoint.size - 1))
    copy.write_note(Note(text, copy.note.signatures))


def _forge_root(copy: Damaged) -> None:
    text = encode_checkpoint(copy.checkpoint._replace(root=bytes(32)))
    copy.write_note(Note(text, copy.note.signatures))


def _strip_cosignatures(copy: Damaged) -> None:
    copy.write_note(Note(copy.note.text, copy.note.signatures[:1]))


def _strip_log_signature(copy: Damaged) -> None:
    copy.write_note(Note(copy.note.text, copy.note.signatures[1:]))


def _foreign_signatures(copy: Damaged) -> None:
    copy.rebuild(copy.entries(), sign=True)


def _rewrite_entry_and_tree(copy: Damaged) -> None:
    entries = copy.entries()
    at = _an_entry(entries)
    entries[at] = entries[at][:-1] + bytes([entries[at][-1] ^ 1])
    copy.rebuild(entries, sign=False)


def _rewrite_seal(copy: Damaged) -> None:
    """The last seal says other findings, sealed with another key, and the tree follows."""
    entries = copy.entries()
    seal = decode_seal(entries[-1])
    changed = msgspec.structs.replace(seal.seal, results_root=seal.seal.state_root)
    protected, payload = encode_seal(changed, FORGER.alg, FORGER.kid)
    signature = FORGER.sign(signature_input(protected, payload))
    entries[-1] = encode_statement(protected, payload, signature)
    copy.rebuild(entries, sign=True)


def _cut_history(copy: Damaged) -> None:
    """The newest block is cut off, and an older head put in place by somebody without the keys."""
    entries = copy.entries()
    seals = [n for n, raw in enumerate(entries) if SEAL_MARK in raw[-SEAL_TAIL:]]
    copy.rebuild(entries[: seals[-2] + 1], sign=True)


def _change_genesis(copy: Damaged) -> None:
    copy.flip("genesis", (copy.folder / "genesis").stat().st_size // 2)


def _change_policy(copy: Damaged) -> None:
    path = copy.folder / "policy"
    path.write_bytes(path.read_bytes().replace(b"quorum ", b"# quorum ") + b"quorum none\n")


def _change_certificate(copy: Damaged) -> None:
    copy.flip(CERTIFICATES, (copy.folder / CERTIFICATES).stat().st_size - 1)


def _remove_certificate(copy: Damaged) -> None:
    certificates = list(read_certificates(copy.folder))[:-1]
    framed = b"".join(len(item).to_bytes(4, "big") + item for item in certificates)
    (copy.folder / CERTIFICATES).write_bytes(framed)


def _an_entry(entries: list[bytes]) -> int:
    """The last entry that is no seal."""
    return max(n for n, raw in enumerate(entries) if SEAL_MARK not in raw[-SEAL_TAIL:])


DAMAGES: dict[str, Callable[[Damaged], None]] = {
    "bit of an entry turned": _flip_entry,
    "entry removed": _remove_entry,
    "entries swapped": _swap_entries,
    "bundle cut short": _cut_bundle,
    "bundle removed": _remove_bundle,
    "bit of a tile turned": _flip_tile,
    "tile removed": _remove_tile,
    "partial tile added": _extra_partial,
    "size forged": _forge_size,
    "root forged": _forge_root,
    "cosignatures stripped": _strip_cosignatures,
    "log signature stripped": _strip_log_signature,
    "signed by a stranger": _foreign_signatures,
    "entry and tree rewritten": _rewrite_entry_and_tree,
    "seal rewritten": _rewrite_seal,
    "newest block cut off": _cut_history,
    "genesis changed": _change_genesis,
    "policy weakened": _change_policy,
    "certificate changed": _change_certificate,
    "certificate removed": _remove_certificate,
}


def run_drill(folder: Path, advance: Callable[[int], None]) -> list[Result]:
    """What the audit says of each damaged copy. The copy itself must be sound.

    Raises `ProofError` (V26) when it is not.
    """
    if not Audit(folder, Held()).run().is_valid:
        raise ProofError("V26")
    genesis = (folder / "genesis").read_bytes()
    results = []
    for name, damage in DAMAGES.items():
        with tempfile.TemporaryDirectory(prefix="alliance-drill-") as place:
            target = Path(place) / "copy"
            shutil.copytree(folder, target)
            damage(Damaged(target))
            failed = Audit(target, Held(genesis=genesis), workers=0).run().failed
        if failed is None or failed.error is None:
            results.append(Result(name, False, 0, "-", ""))
        else:
            where = failed.where or str(failed.error.facts)
            results.append(Result(name, True, failed.number, failed.error.rule, where))
        advance(1)
    ensure(len(results) == len(DAMAGES), "every damage has its result")
    return results
