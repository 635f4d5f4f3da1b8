"""What a caller takes home: proofs built from the store, each verified as a stranger would before
it is sent.
"""

from base64 import urlsafe_b64encode
from collections import OrderedDict
from threading import Lock
from typing import Final

from ledger.chain import Tip
from ledger.crypto import verify
from ledger.encoding import b64url, decode_statement, decode_uuid, unb64url
from ledger.errors import AllianceError, MalformedError, NotFoundError
from ledger.merkle import Tree
from ledger.notes import TlogProof, decode_note, encode_proof
from ledger.records.envelope import ENCODE, type_of
from ledger.records.seal import results_leaf
from ledger.state import state_key
from ledger.verify import (
    BlockReceipt,
    BoundaryProof,
    FindingsProof,
    Head,
    Receipt,
    SealProof,
    StateAnswer,
    StateProof,
    SubjectAnswer,
    verify_block_receipt,
    verify_head,
    verify_receipt,
    verify_state_proof,
    verify_subject_log,
)
from node.cosigning import View
from node.store import Queries, Store

CACHED: Final = 64


class Receipts:
    """Receipts of one chain. All methods may be called from any thread."""

    def __init__(self, store: Store, genesis: Tip) -> None:
        self.store = store
        self.queries = Queries(store)
        self.genesis = genesis
        self._blocks: OrderedDict[int, BlockReceipt] = OrderedDict()
        self._lock = Lock()

    def block(self, view: View, height: int) -> BlockReceipt:
        """The receipt of all entries of a block, under a published checkpoint."""
        with self._lock:
            known = self._blocks.get(height)
        if known is not None:
            return known
        stored = self.store.block(height)
        receipt = BlockReceipt(
            boundaries=self._boundaries(view),
            checkpoint=view.checkpoint.decode(),
            findings=stored.findings,
            format="alliance-block-receipt/1",
            head=self._head(view),
            leaves=_texts(stored.leaves[:-32]),
            seal=self._seal(height, view.tip.size),
        )
        verify_block_receipt(receipt, self.genesis)
        with self._lock:
            self._blocks[height] = receipt
            while len(self._blocks) > CACHED:
                self._blocks.popitem(last=False)
        return receipt

    def entry(self, view: View, index: int) -> Receipt:
        """The receipt of one entry, under the newest checkpoint. Raises `NotFoundError` (O6) for a
        seal.
        """
        height = self.store.height_of(index)
        stored = self.store.block(height)
        place, count = index - stored.start, len(stored.findings)
        if place >= count:
            raise NotFoundError("O6", what="record", name=index)
        raws = stored.entries()
        note = decode_note(view.checkpoint)
        path = tuple(self.store.tree.inclusion(index, view.tip.size))
        receipt = Receipt(
            boundaries=self._boundaries(view),
            entry=b64url(raws[place]),
            findings=self._findings(stored.leaves, stored.findings, place),
            format="alliance-receipt/1",
            head=self._head(view),
            key=self._key(view, index, raws[place]),
            proof=encode_proof(TlogProof(index, path, note)).decode(),
            seal=self._seal(height, view.tip.size),
        )
        verify_receipt(receipt, self.genesis, verify)
        return receipt

    def _findings(
        self, leaves: bytes, findings: tuple[tuple[str, ...], ...], place: int
    ) -> FindingsProof:
        hashes = [
            results_leaf(leaves[32 * at : 32 * at + 32], codes) for at, codes in enumerate(findings)
        ]
        path = Tree(hashes).inclusion(place, len(hashes))
        return FindingsProof(codes=findings[place], path=tuple(map(b64url, path)))

    def _seal(self, height: int, size: int) -> SealProof:
        stored = self.store.block(height)
        index = stored.size - 1
        path = self.store.tree.inclusion(index, size)
        return SealProof(
            entry=b64url(stored.entries()[-1]), index=index, path=tuple(map(b64url, path))
        )

    def _head(self, view: View) -> SealProof:
        index, size = view.tip.seal_index, view.tip.size
        path = self.store.tree.inclusion(index, size)
        return SealProof(entry=b64url(view.seal.raw), index=index, path=tuple(map(b64url, path)))

    def _boundaries(self, view: View) -> tuple[BoundaryProof, ...]:
        """The ends of all epochs before that of the head."""
        return tuple(
            BoundaryProof(
                certificate=b64url(self.store.block(boundary.height).certificate or b""),
                config=view.tip.configs[number],
                seal=self._seal(boundary.height, view.tip.size),
            )
            for number, boundary in enumerate(view.tip.boundaries, 1)
            if boundary.seal_index < view.tip.seal_index
        )

    def _key(self, view: View, index: int, raw: bytes) -> StateProof | None:
        """The signer's key, unless it is a node key of the entry's own epoch."""
        tip, kid = view.tip, b64url(decode_statement(raw).kid)
        if kid in tip.configs[tip.epoch_of(index)].node_kids:
            return None
        return self._proof(view, "ready" if kind_of(raw) == "ready" else "key", kid)

    def _proof(self, view: View, namespace: str, name: str) -> StateProof:
        key, state = state_key(namespace, name), view.tip.state
        value = state.get(key)
        text = None if value is None else ENCODE(value).decode()
        return StateProof(key=f"{namespace}/{name}", proof=b64url(state.prove(key)), value=text)

    def _verified(self, view: View, answer: StateAnswer | SubjectAnswer) -> Head:
        note = decode_note(view.checkpoint)
        return verify_head(note, answer.head, self.genesis, answer.boundaries)

    def state(self, view: View, namespace: str, name: str) -> StateAnswer:
        """A value, or the proof that there is none."""
        answer = StateAnswer(
            boundaries=self._boundaries(view),
            checkpoint=view.checkpoint.decode(),
            head=self._head(view),
            state=self._proof(view, namespace, name),
        )
        head = self._verified(view, answer)
        verify_state_proof(answer.state, head)
        return answer

    def subject(self, view: View, name: str) -> SubjectAnswer:
        """All records on a subject. Raises `NotFoundError` (O6) when there are none."""
        indexes = self.queries.subject(name, view.tip.size, view.tip.state)
        leaves = [self.store.tree.leaf(index) for index in indexes]
        answer = SubjectAnswer(
            boundaries=self._boundaries(view),
            checkpoint=view.checkpoint.decode(),
            head=self._head(view),
            indexes=tuple(indexes),
            leaves=tuple(map(b64url, leaves)),
            state=self._proof(view, "subject", name),
        )
        head = self._verified(view, answer)
        verify_subject_log(leaves, answer.state, head)
        return answer

    def find(self, view: View, name: str) -> int:
        """The index of an entry by its UUID, leaf hash (base64url or hex) or index.

        Raises `NotFoundError` (O6). Where several keys used one UUID it is the first of them.
        """
        indexes = [index for index in self._find(name) if index < view.tip.size]
        if not indexes:
            raise NotFoundError("O6", what="entry", name=name[:80])
        return indexes[0]

    def _find(self, name: str) -> list[int]:
        try:
            if name.isascii() and name.isdigit() and len(name) <= 16:
                return [int(name)]
            if len(name) == 36:
                return self.store.find_id(decode_uuid(name))
            leaf = bytes.fromhex(name) if len(name) == 64 else unb64url(name, 32)
        except (MalformedError, ValueError):
            return []
        index = self.store.find_leaf(leaf)
        return [] if index is None else [index]


def _texts(hashes: bytes) -> tuple[str, ...]:
    """base64url of many hashes at once: with a byte of padding each they end on a character."""
    padded = b"".join([hashes[at : at + 32] + b"\0" for at in range(0, len(hashes), 32)])
    text = urlsafe_b64encode(padded).decode()
    return tuple([text[at : at + 43] for at in range(0, len(text), 44)])


def kind_of(raw: bytes) -> str:
    """The type of an entry, `seal` included."""
    try:
        return type_of(decode_statement(raw).payload)
    except AllianceError:
        return "unknown"
