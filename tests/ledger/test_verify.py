"""What a stranger verifies with the genesis alone. Good receipts, lists and heads of a real chain
pass; every forgery is refused by the rule that it breaks.

The forger here is as strong as can be: it holds all keys and signs whatever it likes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from scitt_cose import parse_signed_statement  # type: ignore[import-untyped]

from ledger.chain import Applied
from ledger.crypto import EDDSA, ES256, Signer, verify
from ledger.encoding import (
    b64url,
    decode_statement,
    encode_protected,
    encode_statement,
    signature_input,
    unb64url,
)
from ledger.errors import AllianceError, MalformedError, ProofError
from ledger.merkle import EMPTY_ROOT, Tree, leaf_hash, tree_hash
from ledger.notes import (
    Checkpoint,
    Note,
    NoteSignature,
    TlogProof,
    cosign,
    decode_note,
    decode_policy,
    encode_checkpoint,
    encode_note,
    encode_policy,
    encode_proof,
    sign_note,
    verify_proof,
)
from ledger.records import decode_entry
from ledger.records.envelope import ENCODE
from ledger.records.governance import KeyBody
from ledger.records.seal import Seal, decode_seal, results_leaf
from ledger.records.use import AccessBody, Source
from ledger.rules.values import Holder, KeyState, MemberState, SubjectLog
from ledger.state import EMPTY_STATE, SUBJECT_START, State, state_key, subject_head
from ledger.verify import (
    QUORUM_GROUP,
    BlockReceipt,
    FindingsProof,
    Head,
    Receipt,
    SealProof,
    StateProof,
    cosigner_name,
    decode_block_receipt,
    decode_receipt,
    encode_receipt,
    policy_of,
    value_hash,
    verify_author,
    verify_block_receipt,
    verify_checkpoint,
    verify_growth,
    verify_head,
    verify_place,
    verify_receipt,
    verify_state_proof,
    verify_subject_log,
)
from tests.ledger.ledgers import Ledger, key_of
from tests.support.world import ORIGIN, make_world, sign_payload, sign_seal

ORGS = ("h1", "h2", "h3", "h4")
TIME = 1_767_225_700


# --- a log: entries in a row, and everything that can be said about them ---


class Log:
    """Entries, their tree, and heads that any members sign; the last entry is a seal."""

    def __init__(self, raws: Sequence[bytes], state: State, origin: str = ORIGIN) -> None:
        self.raws = list(raws)
        self.tree = Tree(leaf_hash(raw) for raw in raws)
        self.state = state
        self.origin = origin

    def note(
        self, by: Sequence[str] = ORGS[:3], log: str | None = "h1", size: int | None = None
    ) -> Note:
        """A checkpoint with the log signature of one member and cosignatures."""
        size = self.tree.size if size is None else size
        text = encode_checkpoint(Checkpoint(self.origin, size, self.tree.root(size)))
        lines = [sign_note(text, ORIGIN, KEYS[log].log)] if log else []
        lines += [cosign(text, cosigner_name(org, ORIGIN), KEYS[org].cosigner, TIME) for org in by]
        return Note(text, tuple(lines))

    def seal(self, index: int) -> SealProof:
        """The seal at an index, with its inclusion."""
        path = self.tree.inclusion(index, self.tree.size)
        return SealProof(entry=b64url(self.raws[index]), index=index, path=tuple(map(b64url, path)))

    @property
    def last(self) -> SealProof:
        """The last seal."""
        return self.seal(self.tree.size - 1)

    def head(self) -> Head:
        """The verified head."""
        return verify_head(self.note(), self.last, GENESIS)

    def state_proof(self, key: str) -> StateProof:
        """What the state holds under `namespace/name`, or that there is nothing."""
        namespace, _, name = key.partition("/")
        place = state_key(namespace, name)
        value = self.state.get(place)
        text = None if value is None else ENCODE(value).decode()
        return StateProof(key=key, proof=b64url(self.state.prove(place)), value=text)

    def receipt(self, index: int, results: Sequence[tuple[str, ...]] = ((),)) -> Receipt:
        """The receipt of an entry in the block of these findings, which ends at the next seal."""
        end = index
        while b'"type":"seal"' not in self.raws[end]:
            end += 1
        start = decode_seal(self.raws[end]).seal.start
        leaves = [results_leaf(self.tree.leaf(start + n), codes) for n, codes in enumerate(results)]
        entry = decode_entry(self.raws[index])
        kid = b64url(entry.statement.kid)
        path = Tree(leaves).inclusion(index - start, len(leaves))
        proof = TlogProof(index, tuple(self.tree.inclusion(index, self.tree.size)), self.note())
        return Receipt(
            entry=b64url(self.raws[index]),
            findings=FindingsProof(
                codes=results[index - start], path=tuple(b64url(node) for node in path)
            ),
            format="alliance-receipt/1",
            head=self.last,
            key=None if kid in GENESIS.config.node_kids else self.state_proof(f"key/{kid}"),
            proof=encode_proof(proof).decode(),
            seal=self.seal(end),
        )

    def block_receipt(self, index: int, results: Sequence[tuple[str, ...]]) -> BlockReceipt:
        """The receipt of the block whose seal stands at an index."""
        start = decode_seal(self.raws[index]).seal.start
        return BlockReceipt(
            checkpoint=encode_note(self.note()).decode(),
            findings=tuple(results),
            format="alliance-block-receipt/1",
            head=self.last,
            leaves=tuple(b64url(self.tree.leaf(n)) for n in range(start, index)),
            seal=self.seal(index),
        )

    def altered(self, index: int, raw: bytes) -> "Log":
        """The same log with another entry."""
        return Log([*self.raws[:index], raw, *self.raws[index + 1 :]], self.state, self.origin)


def access(seq: int, by: str, **fields: Any) -> bytes:
    """A signed access of `h1`."""
    body = AccessBody(
        action="read", activity="VIEW", channel="query", dataset="GTEx", outcome="ok",
        person="ext:idash:1", source=Source(seq=seq, system="gateway"),
    )  # fmt: skip
    return LEDGER.world.record("access", body, by=by, **fields)


def make_log() -> tuple[Log, list[Applied]]:
    """A chain of six blocks, and what became of each. Height: what is in it.

    1: three accesses. 2: registers the key `log` of h1. 3: an access under that key. 4: revokes it.
    5: an access. 6: an access under the node key of h1.
    """
    blocks = [LEDGER.world.genesis]

    def grow(*raws: bytes) -> None:
        LEDGER.last = LEDGER.world.extend(LEDGER.tip, raws, LEDGER.blocks)
        LEDGER.blocks.add(LEDGER.last)
        LEDGER.tip = LEDGER.last.tip
        blocks.append(LEDGER.last)

    late = key_of(LEDGER.world, "h1", "log", "system")
    kid = b64url(KEYS["h1"].log.kid)
    grow(*(access(seq, "system") for seq in (1, 2, 3)))
    grow(LEDGER.sign("key", KeyBody(action="register", key=late, kid=kid)))
    grow(access(4, "log"))
    grow(LEDGER.sign("key", KeyBody(action="revoke", kid=kid)))
    grow(access(5, "system"))
    grow(access(6, "node"))
    raws = [raw for block in blocks for raw in (*(e.raw for e in block.entries), block.seal.raw)]
    return Log(raws, LEDGER.tip.state), blocks


LEDGER = Ledger(make_world(ORGS))
KEYS, GENESIS = LEDGER.world.keys, LEDGER.world.genesis.tip
LOG, BLOCKS = make_log()
LAST = LOG.tree.size - 1
SEALS = [block.tip.seal_index for block in BLOCKS]
FIRST, MIDDLE, THIRD = range(SEALS[0] + 1, SEALS[1])
"""The indexes of the entries of block 1."""
REGISTERED, BY_LATE, REVOKED, BY_SYSTEM, BY_NODE = (index + 1 for index in SEALS[1:-1])
CODES = BLOCKS[1].findings[1]
GOOD = LOG.receipt(MIDDLE, BLOCKS[1].findings)


def rule_of(call: Callable[..., object], *given: Any) -> str:
    """The rule by which a call refuses what it was given."""
    with pytest.raises(AllianceError) as caught:
        call(*given)
    assert isinstance(caught.value, ProofError | MalformedError)
    assert caught.value.sentence("en") != caught.value.sentence("zh")
    assert caught.value.next_step("zh")
    return caught.value.rule


def refused(receipt: Receipt) -> str:
    """The rule that refuses a receipt."""
    return rule_of(verify_receipt, receipt, GENESIS, verify)


def changed(receipt: Any, **fields: Any) -> Any:  # noqa: ANN401
    """A receipt or a part of one with other fields."""
    return msgspec.structs.replace(receipt, **fields)


def other_seal(index: int, log: Log = LOG, **fields: Any) -> bytes:
    """The seal at an index with other fields, signed by h1's node."""
    seal = changed(decode_seal(log.raws[index]).seal, proposer="h1", **fields)
    return sign_seal(KEYS["h1"].node, seal).raw


# --- what is good ---


@pytest.mark.parametrize("height", range(len(BLOCKS)))
def test_every_entry_of_every_block_is_proven(height: int) -> None:
    block = BLOCKS[height]
    start = block.tip.seal_index - len(block.entries)
    for offset, entry in enumerate(block.entries):
        receipt = decode_receipt(encode_receipt(LOG.receipt(start + offset, block.findings)))
        found = verify_receipt(receipt, GENESIS, verify)
        assert (found.entry, found.index) == (entry, start + offset)
        assert (found.height, found.time_ms) == (height, block.tip.time_ms)
        assert found.findings == block.findings[offset]
        assert found.head.checkpoint == Checkpoint(ORIGIN, LAST + 1, LOG.tree.root())
        assert found.head.cosigners == (("h1", TIME), ("h2", TIME), ("h3", TIME))
        assert found.head.seal == BLOCKS[-1].seal


@pytest.mark.parametrize("height", range(len(BLOCKS)))
def test_every_block_is_proven_at_once(height: int) -> None:
    block = BLOCKS[height]
    made = LOG.block_receipt(block.tip.seal_index, block.findings)
    receipt = decode_block_receipt(encode_receipt(made))
    seal, head = verify_block_receipt(receipt, GENESIS)
    assert (seal, head.seal) == (block.seal, BLOCKS[-1].seal)


def test_a_receipt_holds_under_every_later_head() -> None:
    for height in range(1, len(BLOCKS)):
        end = SEALS[height] + 1
        log = Log(LOG.raws[:end], BLOCKS[height].tip.state)
        receipt = log.receipt(MIDDLE, BLOCKS[1].findings)
        assert verify_receipt(receipt, GENESIS, verify).head.checkpoint.size == end


def test_the_policy_for_strangers_follows_from_the_genesis() -> None:
    policy = policy_of(GENESIS.config, ORIGIN)
    assert decode_policy(encode_policy(policy)) == policy
    assert policy.groups[QUORUM_GROUP].threshold == GENESIS.config.q == 3
    assert set(policy.witnesses) == set(ORGS)
    assert {key.name for key in policy.logs} == {ORIGIN}
    assert cosigner_name("h1", ORIGIN) == "h1.cosigner.chain.example.org"
    # The proof in a receipt verifies with the tools of strangers, too.
    proof = TlogProof(MIDDLE, tuple(LOG.tree.inclusion(MIDDLE, LAST + 1)), LOG.note())
    assert len(verify_proof(proof, LOG.tree.leaf(MIDDLE), policy)) == 4


# --- heads: N4, N5, N6, N9, V1, V2 ---


def resigned(text: bytes) -> Note:
    """A note of this text with the signatures of the good head."""
    return Note(text, LOG.note().signatures)


def twice() -> Note:
    """One cosigner three times, in place of three."""
    note = LOG.note(by=("h1",))
    return Note(note.text, (*note.signatures, *note.signatures[1:], *note.signatures[1:]))


def with_key(org: str) -> Note:
    """Three cosignatures, one of which under a name that its key does not belong to."""
    note = LOG.note(by=("h1", "h2"))
    text = note.text
    line = cosign(text, cosigner_name(org, ORIGIN), KEYS["h1"].cosigner, TIME)
    return Note(text, (*note.signatures, line))


def by_strangers() -> Note:
    """A note that the keys of this chain signed under other names."""
    text = LOG.note().text
    line = cosign(text, "h1.cosigner.other.example", KEYS["h1"].cosigner, TIME)
    return Note(text, (sign_note(text, "other.example", KEYS["h1"].log), line))


def by_member(role: str) -> Note:
    """Cosignatures made with keys of another role."""
    text = LOG.note().text
    lines: list[NoteSignature] = [sign_note(text, ORIGIN, KEYS["h1"].log)]
    for org in ORGS:
        signer: Signer = getattr(KEYS[org], role)
        lines.append(cosign(text, cosigner_name(org, ORIGIN), signer, TIME))
    return Note(text, tuple(lines))


HEADS: dict[str, tuple[Note, str]] = {
    "two of four cosigners": (LOG.note(by=("h1", "h2")), "N9"),
    "no cosigner": (LOG.note(by=()), "N9"),
    "one cosigner, three times": (twice(), "N9"),
    "one cosigner under another's name": (with_key("h3"), "N9"),
    "no log signature": (LOG.note(log=None), "N9"),
    "nobody who is known": (by_strangers(), "N5"),
    "log keys cosign": (by_member("log"), "N9"),
    "node keys cosign": (by_member("node"), "N9"),
    "another size": (resigned(LOG.note().text.replace(b"\n20\n", b"\n21\n")), "N4"),
    "another root": (
        resigned(encode_checkpoint(Checkpoint(ORIGIN, LAST + 1, EMPTY_ROOT))),
        "N4",
    ),
    "another origin": (Log(LOG.raws, LOG.state, "other.example").note(), "N9"),
    "an extension line": (resigned(LOG.note().text + b"more\n"), "N6"),
}


@pytest.mark.parametrize("name", HEADS)
def test_heads_without_the_signatures_of_a_quorum_are_refused(name: str) -> None:
    assert LAST + 1 == 20
    note, rule = HEADS[name]
    assert rule_of(verify_checkpoint, note, GENESIS.config, ORIGIN) == rule
    assert rule_of(verify_head, note, LOG.last, GENESIS) == rule
    proof = TlogProof(MIDDLE, tuple(LOG.tree.inclusion(MIDDLE, LAST + 1)), note)
    if rule != "N6":
        assert refused(changed(GOOD, proof=encode_proof(proof).decode())) == rule
    block = LOG.block_receipt(SEALS[1], BLOCKS[1].findings)
    forged = changed(block, checkpoint=encode_note(note).decode())
    assert rule_of(verify_block_receipt, forged, GENESIS) == rule


@pytest.mark.parametrize("org", ORGS)
def test_any_member_may_sign_and_any_quorum_cosign(org: str) -> None:
    by = [other for other in ORGS if other != org]
    checkpoint, cosigners = verify_checkpoint(LOG.note(by, org), GENESIS.config, ORIGIN)
    assert checkpoint.size == LAST + 1
    assert [name for name, _ in cosigners] == by


FOREIGN = {
    "another chain": {"chain": b64url(bytes(16))},
    "another epoch": {"epoch": 1},
    "another configuration": {"config_hash": b64url(bytes(32))},
    "a block that begins after its seal": {"start": 1 << 40},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_v1_the_last_seal_is_of_this_chain_and_epoch(name: str) -> None:
    log = LOG.altered(LAST, other_seal(LAST, **FOREIGN[name]))
    assert rule_of(verify_head, log.note(), log.last, GENESIS) == "V1"
    assert refused(log.receipt(MIDDLE, BLOCKS[1].findings)) == "V1"


@pytest.mark.parametrize("name", FOREIGN)
def test_v1_the_seal_of_the_block_is_of_this_chain_and_epoch(name: str) -> None:
    log = LOG.altered(SEALS[1], other_seal(SEALS[1], **FOREIGN[name]))
    receipt = msgspec.structs.replace(
        log.altered(SEALS[1], LOG.raws[SEALS[1]]).receipt(MIDDLE, BLOCKS[1].findings),
        head=log.last,
        proof=encode_proof(
            TlogProof(MIDDLE, tuple(log.tree.inclusion(MIDDLE, LAST + 1)), log.note())
        ).decode(),
        seal=log.seal(SEALS[1]),
    )
    assert refused(receipt) == "V1"
    block = changed(
        LOG.block_receipt(SEALS[1], BLOCKS[1].findings),
        checkpoint=encode_note(log.note()).decode(),
        head=log.last,
        seal=log.seal(SEALS[1]),
    )
    assert rule_of(verify_block_receipt, block, GENESIS) == "V1"


def test_a_seal_that_begins_at_itself_is_refused_where_an_entry_is_asked_for() -> None:
    log = LOG.altered(SEALS[1], other_seal(SEALS[1], start=SEALS[1]))
    block = changed(LOG.block_receipt(SEALS[1], ()), leaves=(), findings=())
    empty = changed(
        block,
        checkpoint=encode_note(log.note()).decode(),
        head=log.last,
        seal=log.seal(SEALS[1]),
    )
    # It commits to three entries, and has room for none.
    assert rule_of(verify_block_receipt, empty, GENESIS) == "V3"


def test_v2_the_head_is_the_last_entry() -> None:
    for index in SEALS[:-1]:
        assert rule_of(verify_head, LOG.note(), LOG.seal(index), GENESIS) == "V2"
    assert refused(changed(GOOD, head=LOG.seal(SEALS[-2]))) == "V2"
    older = changed(LOG.block_receipt(SEALS[1], BLOCKS[1].findings), head=LOG.seal(SEALS[-2]))
    assert rule_of(verify_block_receipt, older, GENESIS) == "V2"


def test_a_checkpoint_that_does_not_end_with_a_seal_has_no_head() -> None:
    size = SEALS[1] + 2
    log = Log(LOG.raws[:size], LOG.state)
    path = tuple(map(b64url, log.tree.inclusion(SEALS[1], size)))
    earlier = changed(LOG.seal(SEALS[1]), path=path)
    assert rule_of(verify_head, log.note(), earlier, GENESIS) == "V2"
    assert rule_of(verify_head, log.note(), log.last, GENESIS).startswith("S1")


# --- inclusion: M1, M2 ---

Edit = Callable[[SealProof], SealProof]
SPOILED: dict[str, tuple[Edit, str]] = {
    "another index": (lambda seal: changed(seal, index=seal.index - 1), "M2"),
    "an index outside": (lambda seal: changed(seal, index=LAST + 1), "M1"),
    "a negative index": (lambda seal: changed(seal, index=-1), "M1"),
    "a path that is too short": (lambda seal: changed(seal, path=seal.path[:-1]), "M2"),
    "a path that is too long": (lambda seal: changed(seal, path=(*seal.path, seal.path[0])), "M2"),
    "a path of another": (lambda seal: changed(seal, path=LOG.seal(SEALS[2]).path), "M2"),
    "a short node": (lambda seal: changed(seal, path=(b64url(bytes(31)),)), "B4"),
    "another seal": (lambda seal: changed(seal, entry=b64url(other_seal(LAST, view=99))), "M2"),
    "no seal": (lambda seal: changed(seal, entry=b64url(LOG.raws[MIDDLE])), "S1"),
    "no entry": (lambda seal: changed(seal, entry=""), "B1.tag"),
    "text that is no base64": (lambda seal: changed(seal, entry="="), "B4"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_seals_are_in_the_tree(name: str) -> None:
    spoil, rule = SPOILED[name]
    block = LOG.block_receipt(SEALS[1], BLOCKS[1].findings)
    assert rule_of(verify_head, LOG.note(), spoil(LOG.last), GENESIS) == rule
    assert refused(changed(GOOD, head=spoil(GOOD.head))) == rule
    assert refused(changed(GOOD, seal=spoil(GOOD.seal))) == rule
    assert rule_of(verify_block_receipt, changed(block, head=spoil(block.head)), GENESIS) == rule
    assert rule_of(verify_block_receipt, changed(block, seal=spoil(block.seal)), GENESIS) == rule


def test_the_entry_is_in_the_tree() -> None:
    path = tuple(LOG.tree.inclusion(MIDDLE, LAST + 1))
    for proof, rule in (
        (TlogProof(MIDDLE, path[:-1], LOG.note()), "M2"),
        (TlogProof(MIDDLE, tuple(LOG.tree.inclusion(FIRST, LAST + 1)), LOG.note()), "M2"),
        (TlogProof(FIRST, path, LOG.note()), "M2"),
        (TlogProof(LAST + 1, path, LOG.note()), "M1"),
    ):
        assert refused(changed(GOOD, proof=encode_proof(proof).decode())) == rule
    assert refused(changed(GOOD, entry=b64url(LOG.raws[FIRST]))) == "M2"
    assert refused(changed(GOOD, entry=b64url(access(99, "system")))) == "M2"
    assert refused(changed(GOOD, entry=b64url(LOG.raws[SEALS[1]]))) == "S1.type"
    assert refused(changed(GOOD, proof="c2sp.org/tlog-proof@v1\n")) == "N8"


# --- V3: the place ---


def of_another_chain(index: int, height: int) -> Log:
    """The log with a good entry of another chain in the place of one."""
    entry = decode_entry(LOG.raws[index])
    record = changed(entry.record, chain=b64url(bytes(16)))
    raw = sign_payload(KEYS["h1"].system, "h1", entry.statement.sub, ENCODE(record))
    return with_entry(raw, index, height)


def with_entry(raw: bytes, index: int, height: int, codes: tuple[str, ...] = ()) -> Log:
    """The log with another entry, alone in its block, which commits to these findings."""
    end = SEALS[height]
    assert end == index + 1
    root = b64url(tree_hash([results_leaf(leaf_hash(raw), codes)]))
    return LOG.altered(index, raw).altered(end, other_seal(end, results_root=root))


@pytest.mark.parametrize("height", [0, 2, 5])
def test_v3_the_entry_is_in_the_block_of_the_seal(height: int) -> None:
    """Another block's seal lends the entry another time and height."""
    assert refused(changed(GOOD, seal=LOG.seal(SEALS[height]))) == "V3"


def test_v3_the_entry_is_before_the_seal() -> None:
    entry = BLOCKS[1].entries[1]
    findings = GOOD.findings
    verify_place(entry, MIDDLE, SEALS[1], BLOCKS[1].seal, findings)
    for index in (SEALS[0], SEALS[1], SEALS[1] + 1, -1):
        given = (entry, index, SEALS[1], BLOCKS[1].seal, findings)
        assert rule_of(verify_place, *given) == "V3"


def test_v3_the_entry_is_of_this_chain() -> None:
    log = of_another_chain(BY_SYSTEM, 5)
    assert refused(log.receipt(BY_SYSTEM, ((),))) == "V3"


# --- V4: the findings ---


def test_v4_findings_are_those_of_the_seal() -> None:
    assert CODES
    findings = GOOD.findings
    for other in (
        changed(findings, codes=()),
        changed(findings, codes=(*CODES, "SEQ_REUSED")),
        changed(findings, codes=("SEQ_REUSED",)),
        changed(findings, path=findings.path[:-1]),
        changed(findings, path=(*findings.path, findings.path[0])),
        changed(findings, path=findings.path[::-1]),
        changed(findings, path=()),
        changed(findings, path=LOG.receipt(THIRD, BLOCKS[1].findings).findings.path),
    ):
        assert refused(changed(GOOD, findings=other)) == "V4"
    short = changed(findings, path=(b64url(bytes(31)), *findings.path[1:]))
    assert refused(changed(GOOD, findings=short)) == "B4"


def test_v4_a_seal_without_the_entrys_findings_proves_none() -> None:
    log = with_entry(LOG.raws[BY_SYSTEM], BY_SYSTEM, 5, ("NO_PERMIT",))
    assert refused(log.receipt(BY_SYSTEM, ((),))) == "V4"
    assert verify_receipt(log.receipt(BY_SYSTEM, (("NO_PERMIT",),)), GENESIS, verify).findings


# --- V5: the key ---

OTHER_KID = b64url(KEYS["h2"].system.kid)


@pytest.mark.parametrize(
    "key",
    [
        None,
        LOG.state_proof(f"key/{OTHER_KID}"),
        LOG.state_proof(f"key/{b64url(KEYS['h1'].officer.kid)}"),
        LOG.state_proof("key/"),
        LOG.state_proof("member/h1"),
        LOG.state_proof(f"keys/{b64url(KEYS['h1'].system.kid)}"),
    ],
)
def test_v5_the_receipt_proves_the_key_that_signed(key: StateProof | None) -> None:
    assert refused(changed(GOOD, key=key)) == "V5"


def test_v5_the_key_that_is_proven_is_the_one_that_the_entry_names() -> None:
    """Named is the system's key, signed and proven is the officer's, of the same organisation."""
    statement = decode_entry(LOG.raws[BY_SYSTEM]).statement
    signature = KEYS["h1"].officer.sign(statement.to_be_signed)
    raw = encode_statement(statement.protected, statement.payload, signature)
    receipt = with_entry(raw, BY_SYSTEM, 5).receipt(BY_SYSTEM, ((),))
    officer = LOG.state_proof(f"key/{b64url(KEYS['h1'].officer.kid)}")
    assert refused(changed(receipt, key=officer)) == "V5"
    assert refused(receipt) == "V6"


def test_v5_an_absent_key_is_none() -> None:
    """Proven absent, and so in force never."""
    stranger = KEYS["h1"].cosigner
    raw = resign(LOG.raws[BY_SYSTEM], stranger)
    log = with_entry(raw, BY_SYSTEM, 5)
    receipt = log.receipt(BY_SYSTEM, ((),))
    assert receipt.key is not None
    assert receipt.key.value is None
    assert refused(receipt) == "V5"


def resign(raw: bytes, signer: Signer, iss: str = "h1", alg: int | None = None) -> bytes:
    """The record of an entry under another key, name or algorithm."""
    statement = decode_entry(raw).statement
    protected = encode_protected(signer.alg if alg is None else alg, signer.kid, iss, statement.sub)
    signature = signer.sign(signature_input(protected, statement.payload))
    return encode_statement(protected, statement.payload, signature)


@pytest.mark.parametrize(
    ("height", "index", "is_good"),
    [
        (2, REGISTERED, False),  # registered here: it acts from the next height
        (3, BY_LATE, True),
        (4, REVOKED, True),  # revoked here: likewise
        (5, BY_SYSTEM, False),
        (6, BY_NODE, False),
    ],
)
def test_v5_a_key_is_in_force_from_after_its_registration_to_its_revocation(
    height: int, index: int, is_good: bool
) -> None:
    log = with_entry(resign(LOG.raws[index], KEYS["h1"].log), index, height)
    receipt = log.receipt(index, ((),))
    if is_good:
        assert verify_receipt(receipt, GENESIS, verify).height == height
    else:
        assert refused(receipt) == "V5"


def test_v5_a_key_of_a_later_block_signs_nothing_in_block_0() -> None:
    raw = resign(LOG.raws[0], KEYS["h1"].log)
    results = tuple(() for _ in range(SEALS[0]))
    leaves = [leaf_hash(raw), *map(leaf_hash, LOG.raws[1 : SEALS[0]])]
    root = b64url(tree_hash([results_leaf(leaf, ()) for leaf in leaves]))
    log = LOG.altered(0, raw).altered(SEALS[0], other_seal(SEALS[0], results_root=root))
    assert refused(log.receipt(0, results)) == "V5"
    assert verify_receipt(LOG.receipt(0, results), GENESIS, verify).height == 0


@pytest.mark.parametrize("role", ["system", "node"])
def test_v5_the_key_is_of_the_organisation_that_the_entry_names(role: str) -> None:
    log = with_entry(resign(LOG.raws[BY_SYSTEM], getattr(KEYS["h2"], role)), BY_SYSTEM, 5)
    assert refused(log.receipt(BY_SYSTEM, ((),))) == "V5"
    named = with_entry(
        resign(LOG.raws[BY_SYSTEM], getattr(KEYS["h2"], role), iss="h2"), BY_SYSTEM, 5
    )
    assert verify_receipt(named.receipt(BY_SYSTEM, ((),)), GENESIS, verify).height == 5


@pytest.mark.parametrize("role", ["system", "node"])
def test_v5_the_algorithm_is_the_keys(role: str) -> None:
    signer = getattr(KEYS["h1"], role)
    assert signer.alg == EDDSA
    log = with_entry(resign(LOG.raws[BY_SYSTEM], signer, alg=ES256), BY_SYSTEM, 5)
    assert refused(log.receipt(BY_SYSTEM, ((),))) == "V5"


# --- V6: the signature ---


@pytest.mark.parametrize("index", [BY_SYSTEM, BY_NODE])
def test_v6_the_entry_is_signed(index: int) -> None:
    height = SEALS.index(index + 1)
    raw = LOG.raws[index][:-64] + bytes(64)
    assert refused(with_entry(raw, index, height).receipt(index, ((),))) == "V6"
    other = LOG.raws[index].replace(b'"seq":', b'"seq":1')
    payload = decode_entry(LOG.raws[index]).statement.payload.replace(b'"seq":', b'"seq":1')
    statement = decode_entry(LOG.raws[index]).statement
    other = encode_statement(statement.protected, payload, statement.signature)
    assert refused(with_entry(other, index, height).receipt(index, ((),))) == "V6"


def test_v6_the_verifier_that_is_given_is_asked() -> None:
    asked: list[tuple[int, bytes, bytes, bytes]] = []

    def recording(alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        asked.append((alg, key, signature, message))
        return False

    assert rule_of(verify_receipt, GOOD, GENESIS, recording) == "V6"
    statement = BLOCKS[1].entries[1].statement
    key = KEYS["h1"].system.public_key
    assert asked == [(EDDSA, key, statement.signature, statement.to_be_signed)]


def test_the_author_is_told() -> None:
    head = LOG.head()
    for index, role in ((MIDDLE, "system"), (BY_NODE, "node")):
        receipt = LOG.receipt(index, ((),) * 3 if index == MIDDLE else ((),))
        entry = decode_entry(LOG.raws[index])
        seal = BLOCKS[1].seal if index == MIDDLE else BLOCKS[6].seal
        author = verify_author(entry, seal, head, receipt.key, verify)
        assert (author.org, author.capacity) == ("h1", role)
        assert author.public_key == getattr(KEYS["h1"], role).public_key
        assert (author.state is None) is (role == "node")


# --- block receipts: V3, V4 ---

BLOCK = LOG.block_receipt(SEALS[1], BLOCKS[1].findings)
FORGED_BLOCKS: dict[str, tuple[BlockReceipt, str]] = {
    "a leaf less": (changed(BLOCK, leaves=BLOCK.leaves[:-1]), "V3"),
    "a leaf more": (changed(BLOCK, leaves=(*BLOCK.leaves, BLOCK.leaves[0])), "V3"),
    "another order": (changed(BLOCK, leaves=BLOCK.leaves[::-1]), "V3"),
    "another leaf": (changed(BLOCK, leaves=(*BLOCK.leaves[:-1], b64url(bytes(32)))), "V3"),
    "nothing": (changed(BLOCK, leaves=(), findings=()), "V3"),
    "findings of fewer": (changed(BLOCK, findings=BLOCK.findings[:-1]), "V3"),
    "findings of more": (changed(BLOCK, findings=(*BLOCK.findings, ())), "V3"),
    "a leaf and its findings less": (
        changed(BLOCK, leaves=BLOCK.leaves[:-1], findings=BLOCK.findings[:-1]),
        "V3",
    ),
    "another seal": (changed(BLOCK, seal=LOG.seal(SEALS[2])), "V3"),
    "a finding hidden": (changed(BLOCK, findings=((), *BLOCK.findings[1:])), "V4"),
    "a finding made up": (
        changed(BLOCK, findings=((*BLOCK.findings[0], "SEQ_REUSED"), *BLOCK.findings[1:])),
        "V4",
    ),
    "a short leaf": (changed(BLOCK, leaves=(b64url(bytes(31)), *BLOCK.leaves[1:])), "B4"),
}


@pytest.mark.parametrize("name", FORGED_BLOCKS)
def test_block_receipts_are_complete_and_in_order(name: str) -> None:
    verify_block_receipt(BLOCK, GENESIS)
    receipt, rule = FORGED_BLOCKS[name]
    assert rule_of(verify_block_receipt, receipt, GENESIS) == rule


def test_block_receipts_count_even_when_the_roots_agree() -> None:
    """A seal that commits to a leaf alone and to the findings of the same leaf alone."""
    leaf = LOG.tree.leaf(FIRST)
    seal = other_seal(
        SEALS[1],
        entries_root=b64url(tree_hash([leaf])),
        results_root=b64url(tree_hash([results_leaf(leaf, ())])),
    )
    log = LOG.altered(SEALS[1], seal)
    receipt = changed(log.block_receipt(SEALS[1], ((),)), leaves=(b64url(leaf),))
    for findings in (((),), ((),) * 2, ((),) * 3, ()):
        assert rule_of(verify_block_receipt, changed(receipt, findings=findings), GENESIS) == "V3"


# --- V7: values of the state ---


def test_values_and_absences_are_proven() -> None:
    head = LOG.head()
    member = verify_state_proof(LOG.state_proof("member/h1"), head)
    assert isinstance(member, MemberState)
    assert member.status == "ADMITTED"
    key = verify_state_proof(LOG.state_proof(f"key/{b64url(KEYS['h1'].log.kid)}"), head)
    assert isinstance(key, KeyState)
    assert (key.registered, key.revoked) == (2, 4)
    for absent in ("member/h9", "key/x", "subject/dataset:none", "nothing", "", "/"):
        assert verify_state_proof(LOG.state_proof(absent), head) is None
    assert value_hash(b"{}") != value_hash(b"{ }")


MEMBER = LOG.state_proof("member/h1")
ABSENT = LOG.state_proof("member/h9")
assert MEMBER.value is not None
EMPTY_PROOF = b64url(EMPTY_STATE.prove(b"x"))
FORGED_VALUES: dict[str, tuple[StateProof, str]] = {
    "another value": (changed(MEMBER, value=MEMBER.value.replace("ADMITTED", "EXITED")), "V7"),
    # Which of the two depends on whether the keys share a bucket of the map.
    "the value of another key": (changed(MEMBER, key="member/h2"), "A1 V7"),
    "the value with a space": (changed(MEMBER, value=MEMBER.value + " "), "V7"),
    "no value": (changed(MEMBER, value=None), "V7"),
    "an empty value": (changed(MEMBER, value=""), "V7"),
    "a value for what is absent": (changed(ABSENT, value=MEMBER.value), "V7"),
    "a value of an unknown namespace": (changed(LOG.state_proof("x/y"), value="{}"), "V7"),
    "no proof": (changed(MEMBER, proof=""), "A1"),
    "the proof of another map": (changed(MEMBER, proof=EMPTY_PROOF), "A1"),
    "the absence of what is there": (changed(ABSENT, key="member/h1"), "A1 V7"),
    "a proof that is no base64": (changed(MEMBER, proof="="), "B4"),
}


@pytest.mark.parametrize("name", FORGED_VALUES)
def test_v7_values_are_those_of_the_map(name: str) -> None:
    proof, rules = FORGED_VALUES[name]
    assert rule_of(verify_state_proof, proof, LOG.head()) in rules.split()


def in_state(changes: dict[bytes, Any]) -> Log:
    """The log whose last seal commits to a state with these changes."""
    state = LOG.state.update(changes)
    seal = other_seal(LAST, state_root=b64url(state.root))
    return Log([*LOG.raws[:-1], seal], state)


def test_v7_a_namespace_that_nobody_knows_proves_no_value() -> None:
    """Even when the map holds it: this verifier could not say what it means."""
    log = in_state({state_key("later", "x"): Holder(by="h1")})
    assert rule_of(verify_state_proof, log.state_proof("later/x"), log.head()) == "V7"


def test_values_are_of_the_form_of_their_namespace() -> None:
    log = in_state({state_key("member", "h1"): Holder(by="h1")})
    assert rule_of(verify_state_proof, log.state_proof("member/h1"), log.head()) == "S1"


def test_a_proof_of_an_older_state_is_none_of_the_newest() -> None:
    kid = b64url(KEYS["h1"].log.kid)
    older = Log(LOG.raws, BLOCKS[3].tip.state).state_proof(f"key/{kid}")
    assert rule_of(verify_state_proof, older, LOG.head()) == "A1"
    # Under the head of block 3 the revocation is not known yet: its receipts hold there.
    log = Log(LOG.raws[: SEALS[3] + 1], BLOCKS[3].tip.state)
    assert verify_receipt(log.receipt(BY_LATE, BLOCKS[3].findings), GENESIS, verify).height == 3


# --- V8: subject logs ---

SUBJECT = LOG.state_proof("subject/dataset:GTEx")
ABOUT = [FIRST, MIDDLE, THIRD, BY_LATE, BY_SYSTEM, BY_NODE]
LEAVES = [LOG.tree.leaf(index) for index in ABOUT]


def test_a_subject_log_is_complete() -> None:
    head = LOG.head()
    verify_subject_log(LEAVES, SUBJECT, head)
    verify_subject_log([], LOG.state_proof("subject/dataset:none"), head)


FORGED_LISTS: dict[str, list[bytes]] = {
    "one is missing at the end": LEAVES[:-1],
    "one is missing at the beginning": LEAVES[1:],
    "one is missing inside": [*LEAVES[:2], *LEAVES[3:]],
    "one too many": [*LEAVES, LEAVES[0]],
    "one is another": [*LEAVES[:-1], LOG.tree.leaf(REGISTERED)],
    "another order": LEAVES[::-1],
    "none": [],
}


@pytest.mark.parametrize("name", FORGED_LISTS)
def test_v8_lists_are_complete_and_in_order(name: str) -> None:
    assert rule_of(verify_subject_log, FORGED_LISTS[name], SUBJECT, LOG.head()) == "V8"


def test_v8_nothing_may_be_added_to_an_empty_list() -> None:
    absent = LOG.state_proof("subject/dataset:none")
    assert rule_of(verify_subject_log, LEAVES[:1], absent, LOG.head()) == "V8"


def test_v8_count_and_head_are_both_checked() -> None:
    log = in_state(
        {
            state_key("subject", "a"): SubjectLog(count=1, head=b64url(SUBJECT_START)),
            state_key("subject", "b"): SubjectLog(
                count=2, head=b64url(subject_head(SUBJECT_START, LEAVES[0]))
            ),
        }
    )
    assert rule_of(verify_subject_log, [], log.state_proof("subject/a"), log.head()) == "V8"
    given = (LEAVES[:1], log.state_proof("subject/b"), log.head())
    assert rule_of(verify_subject_log, *given) == "V8"


@pytest.mark.parametrize(
    "key", ["member/h1", "member/h9", "subjects/dataset:GTEx", "subject", "", "members/admitted"]
)
def test_v8_what_stands_under_another_key_says_nothing_about_a_subject(key: str) -> None:
    assert rule_of(verify_subject_log, [], LOG.state_proof(key), LOG.head()) == "V8"


def test_subject_logs_stand_on_proofs() -> None:
    hidden = changed(SUBJECT, value=None)
    assert rule_of(verify_subject_log, [], hidden, LOG.head()) == "V7"
    other = changed(SUBJECT, key="subject/dataset:other")
    assert rule_of(verify_subject_log, LEAVES, other, LOG.head()) in ("A1", "V7")


# --- V9: growth ---


def head_of(size: int, origin: str = ORIGIN) -> Checkpoint:
    """The checkpoint of the first entries."""
    return Checkpoint(origin, size, LOG.tree.root(size))


def test_growth_is_proven() -> None:
    for old in (0, 1, 6, LAST, LAST + 1):
        verify_growth(head_of(old), head_of(LAST + 1), LOG.tree.consistency(old, LAST + 1))


def test_v9_heads_of_two_logs_are_not_compared() -> None:
    path = LOG.tree.consistency(6, LAST + 1)
    for old, new in ((ORIGIN, "other.example"), ("other.example", ORIGIN)):
        given = (head_of(6, old), head_of(LAST + 1, new), path)
        assert rule_of(verify_growth, *given) == "V9"


def test_a_rewritten_history_did_not_grow() -> None:
    path = LOG.tree.consistency(6, LAST + 1)
    other = LOG.altered(3, LOG.raws[4])
    rewritten = Checkpoint(ORIGIN, LAST + 1, other.tree.root())
    assert rule_of(verify_growth, head_of(6), rewritten, path) == "M3"
    theirs = other.tree.consistency(6, LAST + 1)
    assert rule_of(verify_growth, head_of(6), rewritten, theirs) == "M3"
    assert rule_of(verify_growth, head_of(LAST + 1), head_of(6), path) == "M1"


# --- files ---


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda data: data[:-1], "S2.json"),
        (lambda data: data + b"\n", "S2"),
        (lambda data: data[:1] + data[-1:], "S1"),
        (lambda data: b"[" + data + b"]", "S1"),
        (lambda data: data.replace(b'{"entry"', b'{"a":1,"entry"'), "S1"),
        (lambda data: data.replace(b"receipt/1", b"receipt/2"), "S1"),
        (lambda data: data.replace(b'":"', b'": "', 1), "S2"),
        (lambda data: data.replace(b'"format"', b'"format":"alliance-receipt/1","format"'), "S2"),
        (lambda data: b'{"key":null,' + data[1:], "S2"),
    ],
)
def test_receipts_have_one_form(spoil: Callable[[bytes], bytes], rule: str) -> None:
    data = encode_receipt(GOOD)
    assert decode_receipt(data) == GOOD
    assert rule_of(decode_receipt, spoil(data)) == rule


def test_a_receipt_of_one_kind_is_none_of_the_other() -> None:
    assert rule_of(decode_block_receipt, encode_receipt(GOOD)) == "S1"
    assert rule_of(decode_receipt, encode_receipt(BLOCK)) == "S1"
    assert decode_block_receipt(encode_receipt(BLOCK)) == BLOCK
    assert decode_note(BLOCK.checkpoint.encode()) == LOG.note()


def test_a_receipt_of_another_chain_is_refused() -> None:
    """The genesis decides, not the receipt: another chain of the same members has other keys in
    no place, and yet its receipts say nothing here.
    """
    other = make_world(ORGS, at_ms=1_767_225_600_001).genesis.tip
    assert rule_of(verify_receipt, GOOD, other, verify) == "V1"
    stranger = make_world(("x1", "x2", "x3", "x4")).genesis.tip
    assert rule_of(verify_receipt, GOOD, stranger, verify) == "N5"


def test_a_stranger_to_this_project_reads_every_entry_of_a_chain() -> None:
    """Records of every kind here, and seals, are SCITT signed statements to `scitt_cose`."""
    roles = ("officer", "system", "node", "log")
    signers = {s.kid: s for own in KEYS.values() for s in (getattr(own, role) for role in roles)}
    for raw in LOG.raws:
        ours = decode_statement(raw)
        pem = (
            signers[ours.kid]
            .private.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        theirs = parse_signed_statement(raw, public_key_pem=pem)
        assert theirs["signature_verified"] is True
        assert (theirs["issuer"], theirs["subject"]) == (ours.iss, ours.sub)
        assert theirs["payload"] == ours.payload


def test_the_seals_of_this_chain_are_seals() -> None:
    assert all(isinstance(decode_seal(LOG.raws[index]).seal, Seal) for index in SEALS)
    assert unb64url(BLOCK.leaves[0], 32) == LOG.tree.leaf(FIRST)
