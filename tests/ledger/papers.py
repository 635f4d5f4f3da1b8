"""Receipts, proofs of state and certificate files of a chain in memory, published by all its
members: what a node would hand out.
"""

from typing import Any

from ledger.certificates import CertificateFile, evidence_of, state_keys
from ledger.dossier import Evidence, earlier_of, keys_of, log_of
from ledger.encoding import b64url, encode_bundle
from ledger.merkle import Tree, leaf_hash
from ledger.notes import (
    Checkpoint,
    Note,
    TlogProof,
    cosign,
    encode_checkpoint,
    encode_note,
    encode_proof,
    sign_note,
)
from ledger.records.envelope import ENCODE, Entry
from ledger.records.rights import CertificateBody
from ledger.records.seal import results_leaf
from ledger.rules.credit import noticed_credit
from ledger.rules.subjects import subjects_of
from ledger.state import state_key
from ledger.verify import (
    FindingsProof,
    Receipt,
    SealProof,
    StateAnswer,
    StateProof,
    SubjectAnswer,
    cosigner_name,
)
from tests.ledger.ledgers import Ledger
from tests.ledger.yields import Yield

TIME_S = 1_767_225_700


class Papers:
    """What can be said of a chain as it stands now."""

    def __init__(self, life: Ledger) -> None:
        self.life = life
        self.raws: list[bytes] = []
        self.entries = [entry for block in life.applied for entry in block.entries]
        self.places: dict[str, tuple[int, int]] = {}
        self.seals: list[int] = []
        for height, block in enumerate(life.applied):
            for entry in block.entries:
                self.places[b64url(entry.leaf)] = (len(self.raws), height)
                self.raws.append(entry.raw)
            self.seals.append(len(self.raws))
            self.raws.append(block.seal.raw)
        self.tree = Tree(leaf_hash(raw) for raw in self.raws)
        world = life.world
        origin = world.genesis.tip.origin
        text = encode_checkpoint(Checkpoint(origin, self.tree.size, self.tree.root(self.tree.size)))
        first, *_ = world.keys
        lines = [sign_note(text, origin, world.keys[first].log)]
        lines += [
            cosign(text, cosigner_name(org, origin), keys.cosigner, TIME_S)
            for org, keys in world.keys.items()
        ]
        self.note = Note(text, tuple(lines))

    def seal(self, height: int) -> SealProof:
        """The seal of a block, with its inclusion."""
        index = self.seals[height]
        path = self.tree.inclusion(index, self.tree.size)
        return SealProof(entry=b64url(self.raws[index]), index=index, path=tuple(map(b64url, path)))

    def state(self, key: str) -> StateProof:
        """A value of the newest state, or that there is none."""
        namespace, _, name = key.partition("/")
        place = state_key(namespace, name)
        value = self.life.tip.state.get(place)
        text = None if value is None else ENCODE(value).decode()
        return StateProof(key=key, proof=b64url(self.life.tip.state.prove(place)), value=text)

    def answer(self, key: str) -> StateAnswer:
        """The same with the head that it is proven under."""
        return StateAnswer(
            checkpoint=encode_note(self.note).decode(),
            head=self.seal(len(self.seals) - 1),
            state=self.state(key),
        )

    def receipt(self, leaf: str) -> Receipt:
        """The receipt of a record."""
        index, height = self.places[leaf]
        block = self.life.applied[height]
        hashes = [
            results_leaf(entry.leaf, codes)
            for entry, codes in zip(block.entries, block.findings, strict=True)
        ]
        start = self.seals[height] - len(hashes)
        entry = block.entries[index - start]
        kid = b64url(entry.statement.kid)
        findings = Tree(hashes).inclusion(index - start, len(hashes))
        proof = TlogProof(index, tuple(self.tree.inclusion(index, self.tree.size)), self.note)
        node = kid in self.life.world.config.node_kids
        return Receipt(
            entry=b64url(entry.raw),
            findings=FindingsProof(
                codes=block.findings[index - start], path=tuple(map(b64url, findings))
            ),
            format="alliance-receipt/1",
            head=self.seal(len(self.seals) - 1),
            key=None if node else self.state(f"key/{kid}"),
            proof=encode_proof(proof).decode(),
            seal=self.seal(height),
        )

    def log(self, subject: str) -> tuple[str, ...]:
        """The leaf hashes of all records about a subject, in order."""
        return tuple(
            b64url(entry.leaf) for entry in self.entries if subject in self.subjects(entry)
        )

    def subjects(self, entry: Entry) -> tuple[str, ...]:
        """All that a record is about."""
        return subjects_of(entry.statement.iss, entry.record, self.life.blocks.leaves)

    def about(self, subject: str) -> SubjectAnswer:
        """All records on a subject, and the proof that there are no others."""
        answer, leaves = self.answer(f"subject/{subject}"), self.log(subject)
        return SubjectAnswer(
            boundaries=answer.boundaries,
            checkpoint=answer.checkpoint,
            head=answer.head,
            indexes=tuple(self.places[leaf][0] for leaf in leaves),
            leaves=leaves,
            state=answer.state,
        )

    def evidence(self, subject: str, *certificates: str) -> Evidence:
        """All that a dossier is made of."""
        answer = self.about(subject)
        entries = {b64url(entry.leaf): entry for entry in self.entries}
        about, keys, needed = set[str](), set[str](), set[str]()
        waiting = list(answer.leaves)
        while waiting:
            about.add(leaf := waiting.pop())
            keys.add(log_of(leaf))
            waiting += set(self.log(f"record:{leaf}")) - about
        founded = {b64url(entry.leaf) for entry in self.life.world.genesis.entries}
        waiting, values = list(about), {}
        while waiting:
            needed.add(leaf := waiting.pop())
            for key in keys_of(entries[leaf]):
                keys.add(key)
                values[key] = self.life.value(*key.split("/", 1))
            waiting += set(earlier_of(entries[leaf], values)) - needed - founded
        ordered = sorted(needed, key=lambda leaf: self.places[leaf][0])
        return Evidence(
            genesis=encode_bundle(self.raws[: self.seals[0] + 1]),
            subject=answer,
            receipts=tuple(map(self.receipt, ordered)),
            states=tuple(map(self.answer, sorted(keys))),
            certificates=tuple(map(self.certificate, certificates)),
        )

    def certificate(self, leaf: str) -> CertificateFile:
        """The file of a certificate."""
        index, _height = self.places[leaf]
        body: Any = next(
            entry.record.body
            for block in self.life.applied
            for entry in block.entries
            if b64url(entry.leaf) == leaf
        )
        assert index
        assert isinstance(body, CertificateBody)
        assert isinstance(self.life, Yield)
        found = noticed_credit(self.life.draft(), body.object, body.notice)
        leaves = [leaf, body.notice, *evidence_of(found)]
        if found.policy != b64url(self.life.applied[0].entries[0].leaf):
            leaves.append(found.policy)
        return CertificateFile(
            calculation=found,
            format="alliance-certificate/1",
            receipts=tuple(map(self.receipt, leaves)),
            states=tuple(map(self.answer, state_keys(body, leaf))),
        )
