"""What has a closed schema (records, seals, certificates, receipts, configurations): whatever the
bytes, the one value of them or the project's error.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from ledger.consensus.journal import Row, decode_journal, encode_journal
from ledger.consensus.messages import (
    Certificate,
    Fact,
    Proposal,
    Status,
    Summary,
    Vote,
    certificate_signers,
    decode_certificate,
    decode_fact,
    decode_summary,
    encode_certificate,
    encode_fact,
    encode_summary,
    make_certificate,
    signed_bytes,
    verify_certificate,
    verify_fact,
)
from ledger.crypto import ES256, signer_from_p256_scalar, verify
from ledger.encoding import (
    MAX_INTEGER,
    b64url,
    check_string,
    decode_bundle,
    decode_statement,
    encode_bundle,
    encode_protected,
    encode_statement,
)
from ledger.errors import AllianceError, MalformedError, ProofError, SignatureError
from ledger.members import EpochConfig, check_config, decode_config, encode_config
from ledger.records import BODIES, decode_entry
from ledger.records.envelope import ENCODE, Record, decode_canonical
from ledger.records.seal import Seal, decode_seal
from ledger.rules.values import VALUES
from ledger.state import EMPTY_STATE, verify_state
from ledger.verify import (
    BlockReceipt,
    Receipt,
    decode_block_receipt,
    decode_receipt,
    encode_receipt,
    verify_receipt,
)
from tests.ledger import test_verify as real
from tests.support.world import make_world

V = TypeVar("V")
WORLD = make_world(("h1", "h2", "h3", "h4"))
CONFIG = WORLD.config
SIGNER = WORLD.keys["h1"].officer


def attempt(call: Callable[..., V], *given_: object) -> V | AllianceError:
    """What a call gives, or the project's error by which it refuses; no other error is caught."""
    try:
        return call(*given_)
    except AllianceError as error:
        return readable(error)


def readable(error: AllianceError) -> AllianceError:
    """The error, once its sentences were filled in."""
    assert str(error)
    assert error.sentence("zh") != error.sentence("en")
    assert error.next_step("zh") != error.next_step("en")
    return error


# --- any value of a schema ---

plain = st.characters(min_codepoint=32, max_codepoint=126)
chinese = st.characters(min_codepoint=0x4E00, max_codepoint=0x9FA5)


@cache
def any_of(kind: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401
    """Values of a type as its schema admits them."""
    return values_of(inspect.type_info(kind))


def values_of(info: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a type that msgspec described."""
    match info:
        case inspect.StructType(cls=kind, fields=fields):
            return st.builds(kind, **{field.name: values_of(field.type) for field in fields})
        case inspect.UnionType(types=types):
            return st.one_of(*map(values_of, types))
        case inspect.VarTupleType(item_type=item, min_length=least):
            return st.lists(values_of(item), min_size=least or 0, max_size=2).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(values_of, items))
        case inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(values_of(key), values_of(value), max_size=3)
        case inspect.LiteralType(values=literals):
            return st.sampled_from(literals)
        case inspect.StrType():
            return texts_like(info)
    return simple_values(info)


def simple_values(info: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a type without parts."""
    match info:
        case inspect.IntType(ge=ge, le=le):
            least, most = -MAX_INTEGER if ge is None else ge, MAX_INTEGER if le is None else le
            return st.one_of(st.integers(least, min(most, least + 9)), st.integers(least, most))
        case inspect.BytesType(min_length=least, max_length=most):
            return st.binary(min_size=least or 0, max_size=most or 20)
        case inspect.BoolType():
            return st.booleans()
    return st.none()


def texts_like(info: inspect.StrType) -> st.SearchStrategy[str]:
    """Strings of this length or pattern; the only patterns are those of pids and of codes."""
    if info.min_length == info.max_length == 43:
        return st.binary(min_size=32, max_size=32).map(b64url)
    if info.min_length == info.max_length == 32:
        return st.text("0123456789abcdef", min_size=32, max_size=32)
    if info.pattern is not None:
        slash = "/" if "/" in info.pattern else ""
        return st.text(f"aZ09._:-{slash}", max_size=9).map(lambda text: f"c{text}")
    least = info.min_length or 0
    most = min(info.max_length or 20, max(20, least))
    return st.text(st.one_of(plain, chinese), min_size=least, max_size=most)


@st.composite
def records(draw: st.DrawFn, kind: str) -> Record[Any]:
    """A record of a type. Only its schema is kept, not the rules."""
    record = draw(any_of(Record[BODIES[kind]]))  # type: ignore[valid-type]
    return msgspec.structs.replace(
        record, type=kind, id=str(draw(st.uuids(version=4))), at=record.at[:24]
    )


kinds = st.sampled_from(sorted(BODIES))
any_record = st.one_of(*map(records, sorted(BODIES)))
seals = any_of(Seal)
words = st.binary(min_size=64, max_size=64)


def statement_of(payload: bytes, iss: str = "h1", sub: str = "s") -> bytes:
    """A statement whose signature nobody checks here."""
    protected = encode_protected(SIGNER.alg, SIGNER.kid, iss, sub)
    return encode_statement(protected, payload, bytes(64))


def mutated(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Some bytes cut out and others put in."""
    for at, gone, new in changes:
        place = at % (len(data) + 1)
        data = data[:place] + new + data[place + gone :]
    return data


def flipped(data: bytes) -> Iterator[bytes]:
    """Every single bit the other way round, and every beginning."""
    for at in range(len(data)):
        yield data[:at]
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


JSON = ('"', "{", "}", "[", "]", ",", ":", " ", "null", "true", "0", "-", ".0", "e1", "\\u0041")
TEXT = ("\x7f", "\\u007f", "\\n", '"v":1', '"type":"access"', "\u00e9", "e\u0301", "\\ud800")
fragments = st.sampled_from([text.encode() for text in (*JSON, *TEXT)])
edits = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 3), st.one_of(fragments, st.binary(max_size=3))),
    min_size=1,
    max_size=3,
)
json_like = st.one_of(
    st.binary(max_size=40),
    st.lists(fragments, max_size=12).map(b"".join),
    st.integers(1, 3000).map(lambda depth: b'{"a":' * depth),
)


# --- records ---


@given(any_record)
def test_records_come_back(record: Record[Any]) -> None:
    payload = ENCODE(record)
    raw = statement_of(payload)
    entry = decode_entry(raw)
    assert (entry.record, entry.raw, entry.statement.payload) == (record, raw, payload)
    assert type(entry.record.body) is BODIES[record.type]
    assert entry.id_key[:16] == SIGNER.kid


def texts_of(value: object) -> Iterator[str]:
    """All strings in a value, keys included."""
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield from (key, *texts_of(item))
        case list():
            for item in value:
                yield from texts_of(item)


def check_entry(raw: bytes) -> bool:
    """Whether these bytes are an entry; if so, the one form of what was read."""
    found = attempt(decode_entry, raw)
    if isinstance(found, AllianceError):
        assert isinstance(found, MalformedError)
        assert found.rule.split(".")[0] in ("S1", "S2", "S10", "B1", "B3", "B4", "B6", "B7")
        return False
    statement = found.statement
    payload = ENCODE(found.record)
    assert encode_statement(statement.protected, payload, statement.signature) == raw
    for text in texts_of(msgspec.json.decode(payload)):
        check_string(text)
    return True


@given(any_record, edits)
def test_mutated_records_are_refused_or_of_the_one_form(
    record: Record[Any], changes: list[tuple[int, int, bytes]]
) -> None:
    check_entry(statement_of(mutated(ENCODE(record), changes)))
    check_entry(mutated(statement_of(ENCODE(record)), changes))


@given(json_like, kinds)
def test_any_payload_is_refused_or_a_record(payload: bytes, kind: str) -> None:
    check_entry(payload)
    check_entry(statement_of(payload))
    assert not check_entry(statement_of(payload + b',"type":"%s","v":1}' % kind.encode()))


def test_no_bit_of_a_record_may_be_another_form() -> None:
    raw = WORLD.access(seq=7, activity='a "quoted" 数据')
    assert check_entry(raw)
    taken = sum(check_entry(other) for other in flipped(raw))
    assert 0 < taken < 8 * len(raw)


@pytest.mark.parametrize("char", ["\x7f", "\x00", "\n", "\x85", "e\u0301", "\ue000"])
@pytest.mark.parametrize("around", ["plain", "数据", 'with "quotes"'])
def test_no_text_of_a_record_holds_what_b3_refuses(char: str, around: str) -> None:
    raw = WORLD.access(seq=1, activity=around + char)
    found = attempt(decode_entry, raw)
    assert isinstance(found, MalformedError)
    assert found.rule == "B3"


# --- seals ---


@given(seals, st.sampled_from([("h1", "chain"), ("h2", "chain"), ("h1", "chains")]))
def test_seals_come_back(seal: Seal, header: tuple[str, str]) -> None:
    raw = statement_of(ENCODE(seal), *header)
    found = attempt(decode_seal, raw)
    if header == (seal.proposer, "chain"):
        assert not isinstance(found, AllianceError)
        assert (found.seal, found.raw) == (seal, raw)
    else:
        assert isinstance(found, MalformedError)
        assert found.rule == "L1.header"


def check_seal(raw: bytes) -> bool:
    """Whether these bytes are a seal; if so, the one form of what was read."""
    found = attempt(decode_seal, raw)
    if isinstance(found, AllianceError):
        assert isinstance(found, MalformedError)
        assert found.rule.split(".")[0] in ("S1", "S2", "B1", "B3", "B7", "L1")
        return False
    statement = found.statement
    assert (statement.iss, statement.sub) == (found.seal.proposer, "chain")
    assert encode_statement(statement.protected, ENCODE(found.seal), statement.signature) == raw
    # A seal is no record, and no record is a seal.
    assert isinstance(attempt(decode_entry, raw), MalformedError)
    return True


@given(seals, edits)
def test_mutated_seals_are_refused_or_of_the_one_form(
    seal: Seal, changes: list[tuple[int, int, bytes]]
) -> None:
    payload = ENCODE(msgspec.structs.replace(seal, proposer="h1"))
    check_seal(statement_of(mutated(payload, changes), "h1", "chain"))
    check_seal(mutated(statement_of(payload, "h1", "chain"), changes))


@given(json_like, any_record)
def test_anything_else_is_no_seal(payload: bytes, record: Record[Any]) -> None:
    for raw in (payload, statement_of(payload, "h1", "chain"), statement_of(ENCODE(record))):
        assert not check_seal(raw)


def test_no_bit_of_a_seal_may_be_another_form() -> None:
    raw = WORLD.genesis.seal.raw
    assert check_seal(raw)
    taken = sum(check_seal(other) for other in flipped(raw))
    assert 0 < taken < 8 * len(raw)


# --- configurations and values of the state ---


@given(any_of(EpochConfig))
def test_configurations_come_back(config: EpochConfig) -> None:
    assert decode_config(encode_config(config)) == config
    attempt(check_config, config)


def check_configuration(data: bytes) -> None:
    """A configuration is refused, or its re-encoding gives the same bytes."""
    found = attempt(decode_config, data)
    if isinstance(found, AllianceError):
        assert found.rule == "R37"
    else:
        assert encode_config(found) == data
        attempt(check_config, found)


@given(edits, json_like)
def test_any_bytes_are_refused_or_a_configuration(
    changes: list[tuple[int, int, bytes]], data: bytes
) -> None:
    check_configuration(mutated(encode_config(CONFIG), changes))
    check_configuration(data)


def test_no_bit_of_a_configuration_may_be_another_form() -> None:
    data = encode_config(make_world(("h1",)).config)
    check_configuration(data)
    for other in flipped(data):
        check_configuration(other)


@given(st.sampled_from(sorted(VALUES)).flatmap(lambda name: any_of(VALUES[name])), edits)
def test_values_of_the_state_have_one_form(
    value: msgspec.Struct, changes: list[tuple[int, int, bytes]]
) -> None:
    decoder = msgspec.json.Decoder(type(value))
    assert decode_canonical(ENCODE(value), decoder) == value
    data = mutated(ENCODE(value), changes)
    found = attempt(decode_canonical, data, decoder)
    if not isinstance(found, AllianceError):
        assert ENCODE(found) == data


@given(st.binary(max_size=200), st.integers(0, 300), st.integers(0, 9))
def test_any_bytes_are_no_proof_of_the_state(data: bytes, depth: int, items: int) -> None:
    """That mutated proofs say nothing else is in test_state_properties."""
    state = EMPTY_STATE.update({b"k%d" % n: {"n": n} for n in range(20)})
    made = depth.to_bytes(2, "big") + bytes(32 * depth + 64 * items)
    for proof in (data, made, made + data, data[:2] + bytes(32)):
        assert isinstance(attempt(verify_state, state.root, b"k1", proof), ProofError)


# --- bundles ---


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_every_cut_of_a_bundle_is_refused_or_fewer_entries(entries: list[bytes]) -> None:
    data = encode_bundle(entries)
    ends = [len(encode_bundle(entries[:n])) for n in range(len(entries) + 1)]
    for at in range(len(data) + 1):
        found = attempt(decode_bundle, data[:at])
        if at in ends:
            assert found in [entries[:n] for n, end in enumerate(ends) if end == at]
        else:
            assert isinstance(found, MalformedError)
            assert found.rule == "B8"


# --- agreement: certificates, words, journals ---

numbers = st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1))
hashes = st.binary(min_size=32, max_size=32)


@st.composite
def certificates(draw: st.DrawFn) -> Certificate:
    """A certificate as bytes hold it."""
    signers = draw(st.integers(0, 2**40 - 1))
    count = signers.bit_count()
    return Certificate(
        kind=draw(st.sampled_from(["notarize", "nullify", "finalize"])),
        epoch=draw(numbers),
        config_hash=draw(hashes),
        view=draw(numbers),
        height=draw(numbers),
        block=draw(hashes),
        signers=signers,
        signatures=tuple(bytes([n]) * 64 for n in range(count)),
    )


@given(certificates())
def test_certificates_come_back(cert: Certificate) -> None:
    data = encode_certificate(cert)
    assert decode_certificate(data) == cert
    assert len(certificate_signers(cert)) == len(cert.signatures)


def check_certificate(data: bytes) -> Certificate | None:
    """The certificate of these bytes, if they are one: then they are its own."""
    found = attempt(decode_certificate, data)
    if isinstance(found, AllianceError):
        assert isinstance(found, MalformedError)
        assert found.rule == "R20"
        return None
    assert encode_certificate(found) == data
    return found


@given(certificates(), edits, st.binary(max_size=200))
def test_mutated_certificates_are_refused_or_of_the_one_form(
    cert: Certificate, changes: list[tuple[int, int, bytes]], data: bytes
) -> None:
    check_certificate(mutated(encode_certificate(cert), changes))
    check_certificate(data)
    check_certificate(bytes([1]) + data)


def good_vote(kind: Any, signer: int, view: int = 3, block: bytes = bytes(range(32))) -> Vote:  # noqa: ANN401
    """A member's signed word."""
    height = 0 if kind == "nullify" else 2
    block = bytes(32) if kind == "nullify" else block
    message = signed_bytes(CONFIG, kind, view, height, block)
    member = CONFIG.members[signer]
    signature = WORLD.keys[member.org].node.sign(message)
    return Vote(kind, CONFIG.epoch, view, height, block, signer, signature)


@pytest.mark.parametrize("kind", ["notarize", "nullify", "finalize"])
def test_no_bit_of_a_certificate_may_be_another(kind: str) -> None:
    cert = make_certificate(CONFIG, [good_vote(kind, signer) for signer in (3, 0, 1)])
    data = encode_certificate(cert)
    verify_certificate(cert, CONFIG, verify)
    for other in (*flipped(data), data + b"\0", b"\0" + data):
        found = check_certificate(other)
        if found is not None:
            refusal = attempt(verify_certificate, found, CONFIG, verify)
            assert isinstance(refusal, ProofError | SignatureError)


facts = st.one_of(*(any_of(kind) for kind in get_args(Fact)))


@given(facts)
def test_words_between_nodes_come_back(fact: Fact) -> None:
    assert decode_fact(encode_fact(fact)) == fact
    refusal = attempt(verify_fact, fact, CONFIG, verify)
    assert isinstance(refusal, ProofError | SignatureError)


def check_fact(data: bytes) -> None:
    """A message is refused, or what was read from it comes back: its JSON has no one form."""
    for decode, encode in ((decode_fact, encode_fact), (decode_summary, encode_summary)):
        found = attempt(decode, data)
        if isinstance(found, AllianceError):
            assert isinstance(found, MalformedError)
            assert found.rule == "R20"
        else:
            assert decode(encode(found)) == found  # type: ignore[arg-type, operator]
            if isinstance(found, Vote | Certificate | Proposal | Status):
                attempt(verify_fact, found, CONFIG, verify)


@given(st.one_of(facts.map(encode_fact), any_of(Summary).map(encode_summary)), edits, json_like)
def test_mutated_words_are_refused_or_come_back(
    data: bytes, changes: list[tuple[int, int, bytes]], other: bytes
) -> None:
    check_fact(mutated(data, changes))
    check_fact(other)


@pytest.mark.parametrize("start", [b"", b'{"type":"vote","kind":', b'{"type":"proposal","vote":'])
@pytest.mark.parametrize("depth", [10, 1000, 100_000])
@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_nesting_without_end_is_refused_like_anything_else(
    start: bytes, depth: int, bracket: bytes
) -> None:
    check_fact(start + bracket * depth)


@given(any_of(Row))
def test_rows_of_the_journal_come_back(row: Row) -> None:
    assert decode_journal(encode_journal(row)) == row


@given(any_of(Row), edits, json_like)
@settings(suppress_health_check=[HealthCheck.data_too_large])
def test_mutated_rows_are_refused_or_of_the_one_form(
    row: Row, changes: list[tuple[int, int, bytes]], other: bytes
) -> None:
    data = mutated(encode_journal(row), changes)
    for given_ in (data, other, b'{"epoch":1,"finalized":' + other):
        found = attempt(decode_journal, given_)
        if isinstance(found, AllianceError):
            assert found.rule == "R40"
        else:
            assert encode_journal(found) == given_


# --- receipts ---

receipts = st.one_of(any_of(Receipt), any_of(BlockReceipt))


def check_receipt(data: bytes) -> None:
    """A receipt of either kind is refused, or its re-encoding gives the same bytes."""
    for decode in (decode_receipt, decode_block_receipt):
        found = attempt(decode, data)
        if isinstance(found, AllianceError):
            assert found.rule.split(".")[0] in ("S1", "S2")
        else:
            assert encode_receipt(found) == data  # type: ignore[arg-type]


@given(receipts, edits, json_like)
def test_receipts_come_back_and_mutated_ones_have_one_form(
    receipt: Receipt | BlockReceipt, changes: list[tuple[int, int, bytes]], other: bytes
) -> None:
    decode = decode_receipt if isinstance(receipt, Receipt) else decode_block_receipt
    assert decode(encode_receipt(receipt)) == receipt
    check_receipt(mutated(encode_receipt(receipt), changes))
    check_receipt(other)


TRUTH = {
    start + offset: (entry, block.tip.height, block.tip.time_ms, block.findings[offset])
    for block in real.BLOCKS
    for start in (block.tip.seal_index - len(block.entries),)
    for offset, entry in enumerate(block.entries)
}
"""What stands at each index of the real chain."""
GOOD = [
    real.LOG.receipt(index, real.BLOCKS[height].findings)
    for index, (_, height, _, _) in TRUTH.items()
]


def check_truth(receipt: Receipt) -> None:
    """A receipt is refused, or says what is so."""
    found = attempt(verify_receipt, receipt, real.GENESIS, verify)
    if not isinstance(found, AllianceError):
        said = (found.entry, found.height, found.time_ms, found.findings)
        assert said == TRUTH[found.index]


@given(st.lists(st.sampled_from(GOOD), min_size=6, max_size=6))
def test_no_receipt_pieced_together_from_others_says_something_else(parts: list[Receipt]) -> None:
    entry, findings, key, proof, seal, seal_path = parts
    check_truth(
        Receipt(
            entry=entry.entry,
            findings=findings.findings,
            format="alliance-receipt/1",
            head=entry.head,
            key=key.key,
            proof=proof.proof,
            seal=msgspec.structs.replace(seal.seal, path=seal_path.seal.path),
        )
    )
    check_truth(msgspec.structs.replace(entry, findings=findings.findings))
    check_truth(msgspec.structs.replace(entry, seal=seal.seal))


@given(st.sampled_from(GOOD), edits)
def test_no_mutation_of_a_receipt_says_something_else(
    receipt: Receipt, changes: list[tuple[int, int, bytes]]
) -> None:
    check_truth(receipt)
    found = attempt(decode_receipt, mutated(encode_receipt(receipt), changes))
    if isinstance(found, Receipt):
        check_truth(found)
    text = mutated(receipt.proof.encode(), changes).decode("utf-8", "replace")
    check_truth(msgspec.structs.replace(receipt, proof=text))


# --- statements, through a stranger's eyes ---


@given(any_record)
@settings(max_examples=40)
def test_both_algorithms_sign_every_record(record: Record[Any]) -> None:
    for signer in (SIGNER, signer_from_p256_scalar(7)):
        payload = ENCODE(record)
        protected = encode_protected(signer.alg, signer.kid, "h1", "s")
        unsigned = decode_statement(encode_statement(protected, payload, bytes(64)))
        signature = signer.sign(unsigned.to_be_signed)
        entry = decode_entry(encode_statement(protected, payload, signature))
        assert entry.statement.alg == signer.alg
        assert (signer.alg == ES256) is (len(signer.public_key) == 33)
        assert verify(signer.alg, signer.public_key, signature, entry.statement.to_be_signed)
