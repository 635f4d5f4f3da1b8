"""One command's conversation with a node. Every answer that carries a proof is verified here,
against the genesis in the home directory, before anything is printed.
"""

import secrets
from functools import cached_property
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import msgspec

from cli.home import (
    AnySigner,
    load_genesis,
    load_signer,
    reader_name,
    way_to_node,
    write_over,
)
from cli.options import Place
from cli.statements import Author, Signed
from ledger.chain import Applied
from ledger.crypto import verify
from ledger.encoding import b64url, unb64url
from ledger.errors import (
    BusyError,
    MalformedError,
    NotFoundError,
    ProofError,
    RefusedError,
    SignatureError,
)
from ledger.notes import decode_note
from ledger.records.catalogue import DatasetVersionBody
from ledger.records.envelope import Payload, Shape
from ledger.records.payloads import (
    Tier,
    Value,
    decode_payload,
    make_deposit,
    payload_of,
    reference,
)
from ledger.rules import RIGHTS
from ledger.rules.values import (
    ConfigState,
    DecisionState,
    Holder,
    KeyState,
    PolicyState,
    SourceState,
    VersionState,
)
from ledger.state import state_key
from ledger.verify import (
    BlockReceipt,
    Head,
    Receipt,
    StateAnswer,
    SubjectAnswer,
    VerifiedReceipt,
    encode_receipt,
    verify_block_receipt,
    verify_head,
    verify_receipt,
    verify_state_proof,
    verify_subject_log,
)
from node.answers import CreditAnswer, ObligationsAnswer, TraceAnswer
from node.client import NodeClient

V = TypeVar("V", bound=Shape)
SPOKEN: Final = {"ethics": "ethics approval"}
"""What is said of a namespace of the rule state that is no noun."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record stands, proven, and the file of its receipt."""

    id: str
    type: str
    leaf: str
    index: int
    height: int
    findings: tuple[str, ...]
    receipt: str

    def to_json(self) -> dict[str, object]:
        """The same for scripts."""
        values: dict[str, object] = msgspec.to_builtins(self)
        return {**values, "status": "published"}


class Session:
    """A conversation of one command; closes its connection at the end."""

    def __init__(self, place: Place) -> None:
        self.place = place if place.key else place._replace(key=reader_name(place.home))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if "client" in self.__dict__:
            self.client.close()

    # --- who and where ---

    @cached_property
    def client(self) -> NodeClient:
        """The way to the node, in the name of the key in use."""
        url, trust = way_to_node(self.place.home, self.place.node)
        return NodeClient(url, self.signer, trust=trust)

    @cached_property
    def signer(self) -> AnySigner:
        """The key in use: it signs every request, and the records that the command makes."""
        return load_signer(self.place.home, self.place.key, self.place.passphrase_file)

    @cached_property
    def genesis(self) -> Applied:
        """Block 0 of this home directory: what every proof is checked against."""
        return load_genesis(self.place.home)

    @cached_property
    def author(self) -> Author:
        """Who signs. Raises `SignatureError` (X1.stranger) for a key unknown to the chain."""
        kid = b64url(self.signer.kid)
        tip = self.genesis.tip
        node = self._node_org(kid)
        if node is not None:
            return Author(self.signer, node, tip.chain)
        return Author(self.signer, self._known_key(kid).org, tip.chain)

    def _node_org(self, kid: str) -> str | None:
        """Whose node has this key: in the first epoch, in force now, or in the one to come."""
        node = self.genesis.tip.config.node_kids.get(kid)
        if node is None and self.place.key.endswith("node"):
            newest = self.state(ConfigState, "config", "next")
            node = None if newest is None else newest.config.node_kids.get(kid)
        return None if node is None else node.org

    @property
    def capacity(self) -> str:
        """The capacity of the key that signs."""
        return self._known_key(b64url(self.author.signer.kid)).capacity

    @property
    def subject_of_key(self) -> str:
        """Whom the key that signs stands for: a person's pid, or a name in office."""
        return self._known_key(b64url(self.author.signer.kid)).subject

    @property
    def genesis_leaf(self) -> str:
        """The leaf hash of the genesis record."""
        return b64url(self.genesis.entries[0].leaf)

    def _known_key(self, kid: str) -> KeyState:
        founding = self.genesis.tip.state.get(state_key("key", kid))
        if isinstance(founding, KeyState):
            return founding
        known = self.state(KeyState, "key", kid)
        if known is None:
            raise SignatureError("X1.stranger", name=self.place.key)
        return known

    # --- what the chain holds, proven ---

    def proven_state(self, namespace: str, name: str) -> tuple[Shape | None, Head, StateAnswer]:
        """A value of the rule state, or None when its absence is proven. Raises `ProofError`."""
        answer = _convert(self.client.state(namespace, quote(name)), StateAnswer)
        head = self.check_head(answer)
        if answer.state.key != f"{namespace}/{name}":
            raise ProofError("V7", key=f"{namespace}/{name}")
        return verify_state_proof(answer.state, head), head, answer

    def check_head(self, answer: StateAnswer | SubjectAnswer) -> Head:
        """The published head of an answer. Raises `ProofError` (N*, V1, V2)."""
        note = decode_note(answer.checkpoint.encode())
        return verify_head(note, answer.head, self.genesis.tip, answer.boundaries)

    def state(self, kind: type[V], namespace: str, name: str) -> V | None:
        """A value of this kind, proven, or None."""
        value, _head, _answer = self.proven_state(namespace, name)
        return value if isinstance(value, kind) else None

    def named(self, kind: type[V], namespace: str, name: str) -> V:
        """What must be there under this name, proven. Raises `NotFoundError` (O6)."""
        found = self.state(kind, namespace, name)
        if found is None:
            raise NotFoundError("O6", what=SPOKEN.get(namespace, namespace), name=name)
        return found

    def newest_policy(self) -> PolicyState:
        """The newest policy, whether or not its time has come. Raises `NotFoundError` (O6)."""
        for name in ("next", "current"):
            found = self.state(PolicyState, "policy", name)
            if found is not None:
                return found
        raise NotFoundError("O6", what="policy", name="current")

    def source(self, system: str) -> SourceState | None:
        """What is recorded of an observing system of this organisation."""
        return self.state(SourceState, "source", f"{self.author.org}/{system}")

    def subject(self, name: str) -> tuple[SubjectAnswer, Head]:
        """All records on a subject, proven complete. Raises `ProofError` (V8)."""
        answer = _convert(self.client.subject(quote(name)), SubjectAnswer)
        head = self.check_head(answer)
        if answer.state.key != f"subject/{name}":
            raise ProofError("V8", subject=name)
        leaves = [unb64url(leaf, 32) for leaf in answer.leaves]
        verify_subject_log(leaves, answer.state, head)
        return answer, head

    def decision_on(self, recorded: Recorded, target: str | None = None) -> DecisionState | None:
        """How the decision on a rights-conferring record stands, or on the `target` (leaf hash) of
        an endorsement; None for evidence.
        """
        if target is None and recorded.type not in RIGHTS:
            return None
        return self.state(DecisionState, "decision", target or recorded.leaf)

    def content_digest_of(self, dataset: str) -> str | None:
        """The digest that a version was registered with; None for a series or an unknown name."""
        if "@" not in dataset:
            return None
        version = self.state(VersionState, "version", dataset)
        if version is None:
            return None
        body = self.entry(version.leaf).entry.record.body
        return body.content_digest if isinstance(body, DatasetVersionBody) else None

    def leaf_of(self, name: str) -> str:
        """The leaf hash of a record, by leaf hash, id or index. Raises `NotFoundError` (O6)."""
        return b64url(self.entry(name).entry.leaf)

    def resolution_leaf(self, given: str) -> str:
        """The leaf hash of a resolution, by its number, id or leaf hash. Raises `RefusedError`
        (G6) for one that is not on the chain, or a number that is not in effect.
        """
        holder = self.state(Holder, "number", f"resolution/{given}")
        if holder is not None:
            return holder.by
        try:
            return self.leaf_of(given)
        except NotFoundError:
            # Its number is known from when it takes effect.
            raise RefusedError("G6") from None

    def entry(self, name: str) -> VerifiedReceipt:
        """A record by leaf hash, id or index, with its receipt verified."""
        return self.verified(self.receipt(name))

    def receipt(self, name: str) -> Receipt:
        """The receipt of a record. Raises `NotFoundError` (O6) for a seal or an unknown name."""
        answer = self.client.entry(quote(name))
        if "receipt" not in answer:
            raise NotFoundError("O6", what="record", name=name)
        return _convert(answer["receipt"], Receipt)

    def verified(self, receipt: Receipt) -> VerifiedReceipt:
        """What a receipt proves. Raises `ProofError`."""
        return verify_receipt(receipt, self.genesis.tip, verify)

    # --- payloads ---

    def deposit(
        self,
        value: Value,
        tier: Tier,
        schema: str,
        *,
        holders: tuple[str, ...] = (),
        group: str = "",
    ) -> Payload:
        """Hand a payload in to the node's vault; gives how a record names it, in its `payloads`.

        Without `holders` T1 is held by all members, T2 by this organisation. Raises
        `MalformedError` (B2, S1), `TooLargeError` (T1.large) or what the node refuses with (T*).
        """
        if not holders:
            holders = self.members() if tier == "T1" else (self.author.org,)
        deposit = make_deposit(value, secrets.token_bytes(32), tier, schema, holders, group)
        named = self.client.deposit(deposit)
        if named != reference(deposit):
            raise ProofError("T2", commit=named.commit)
        return named

    def payload(self, commit: str, purpose: str = "", permit: str = "") -> Value:
        """A payload that the node releases, checked against its commitment. Raises as
        `NodeClient.payload`.
        """
        return decode_payload(payload_of(self.client.payload(commit, purpose, permit)))

    def attached(self) -> tuple[Payload, ...]:
        """How a record names what `--attachment` says. Raises `BusyError` (T13) while that is not
        all there.
        """
        found = []
        for commit in self.place.attachments:
            state = self.client.attachment(commit)
            if not state.complete:
                raise BusyError("T13", commit=commit, have=state.have, count=state.count)
            found.append(state.payload)
        return tuple(found)

    def members(self) -> tuple[str, ...]:
        """The organisations whose nodes keep this chain."""
        health = self.client.health()
        return tuple(sorted({health["org"], *health["heard_ms"]}))

    def trace(self, leaf: str, cause: str | None = None) -> TraceAnswer:
        """What an object comes from, or, with a cause, what rests on it, as the node tells it."""
        return _convert(self.client.trace(quote(leaf), cause), TraceAnswer)

    def obligations(self, permit: str) -> ObligationsAnswer:
        """What a permit owes, as the node tells it."""
        return _convert(self.client.obligations(quote(permit)), ObligationsAnswer)

    def credit(self, leaf: str, notice: str | None = None) -> CreditAnswer:
        """Who must be credited for an object, as the node works it out."""
        return _convert(self.client.credit(quote(leaf), notice), CreditAnswer)

    # --- posting ---

    def post(self, signed: Signed) -> Recorded:
        """Post an entry, verify its receipt and keep it under `receipts/`.

        Raises `BusyError` (X4) when it was accepted and is not published yet.
        """
        answer = self.client.submit(signed.raw)
        if answer["status"] != "published" or "receipt" not in answer:
            raise BusyError("X4", id=signed.id)
        receipt = _convert(answer["receipt"], Receipt)
        proven = self.verified(receipt)
        if proven.entry.leaf != signed.leaf:
            raise ProofError("V3")
        file = self.place.home / "receipts" / f"{signed.id}.json"
        write_over(file, encode_receipt(receipt))
        return Recorded(
            id=signed.id,
            type=proven.entry.record.type,
            leaf=b64url(signed.leaf),
            index=proven.index,
            height=proven.height,
            findings=proven.findings,
            receipt=str(file),
        )

    def check_block(self, receipt: BlockReceipt) -> dict[bytes, int]:
        """Where each leaf of a block stands, proven. Raises `ProofError` (V3, V4)."""
        seal, _head = verify_block_receipt(receipt, self.genesis.tip)
        start = seal.seal.start
        return {unb64url(leaf, 32): start + at for at, leaf in enumerate(receipt.leaves)}


def _convert(value: Any, kind: type[V]) -> V:  # noqa: ANN401
    """A value of an answer. Raises `MalformedError` (S1)."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise MalformedError("S1", field=kind.__name__) from None
