"""Signed notes, checkpoints, cosignatures, policies and offline proofs: strangers' known answers,
and every other form refused.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from ledger.crypto import signer_from_seed
from ledger.encoding import b64, unb64
from ledger.errors import MalformedError, ProofError, SignatureError
from ledger.merkle import EMPTY_ROOT, Tree, leaf_hash
from ledger.notes import (
    COSIGNATURE_ED25519,
    MAX_NOTE_BYTES,
    MAX_PATH,
    MAX_SIGNATURES,
    NOTE_ED25519,
    Checkpoint,
    Group,
    Note,
    NoteKey,
    NoteSignature,
    Policy,
    TlogProof,
    Verified,
    check_name,
    cosign,
    cosignature_message,
    decode_checkpoint,
    decode_decimal,
    decode_note,
    decode_policy,
    decode_proof,
    decode_vkey,
    encode_checkpoint,
    encode_note,
    encode_policy,
    encode_proof,
    sign_note,
    verify_note,
    verify_proof,
)

# formats.md F13, accepted by Go x/mod and transparency-dev/formats.
LOG, WITNESS = signer_from_seed(b"\x01" * 32), signer_from_seed(b"\x02" * 32)
ORIGIN, WITNESS_NAME, TIME = "kat.example/ledger", "witness.example/w1", 1_700_000_000
LOG_VKEY = "kat.example/ledger+158d1705+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
WITNESS_VKEY = "witness.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
LOG_KEY = NoteKey(ORIGIN, NOTE_ED25519, LOG.public_key)
WITNESS_KEY = NoteKey(WITNESS_NAME, COSIGNATURE_ED25519, WITNESS.public_key)
TREE = Tree(leaf_hash(entry) for entry in (b"a", b"b", b"c"))
PROOF_OF_B = """\
c2sp.org/tlog-proof@v1
index 1
Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=
WX/LMSgtNGVMIA00GPylcFxkjr8ybsc9jd7xGEH4dtg=

kat.example/ledger
3
NmQuc8JUCrEh46a/lUWwokmCzYMOsT080Z3jzmwCHsE=

— kat.example/ledger \
FY0XBVj+/2Pg1hnKwadCwy3OHcXwKfGYfeSvQjikKVqhoc1ipGBAyHTVyTL7aRNx0lS6DalSZOPxD8gOpohv/HDNZgY=
— witness.example/w1 \
3xwKNQAAAABlU/EAM+hqhPXDvuIi7tDjOB46eu/KNc2JkdtHetxuRiGnPLibMdl2I7fAW8/59s/GRQWdI1rceHEfMF+kKBe6v7atAg==
"""

# The example of Go's sumdb/note (golang.org/x/mod) and that of C2SP signed-note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SECRET = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"  # noqa: S105 - the published example
PETER_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
    "KvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01"
    "oOTGwnWLox33WWd1RvMc+QQ=\n"
)
FOO = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
FOO_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3"
    "mFXmRKuwHjG1Yu72IneyaQM=\n"
)


def rule_of(call: Callable[..., object], *given: Any) -> str:
    """The rule by which a call refuses what it was given."""
    with pytest.raises((MalformedError, ProofError, SignatureError)) as caught:
        call(*given)
    assert caught.value.sentence("en") != caught.value.sentence("zh")
    assert caught.value.next_step("zh")
    return caught.value.rule


def checkpoint_text(size: int = 3) -> bytes:
    """The checkpoint of the first entries."""
    return encode_checkpoint(Checkpoint(ORIGIN, size, TREE.root(size)))


def good_note(size: int = 3) -> Note:
    """The checkpoint, signed by the log and cosigned by the witness."""
    text = checkpoint_text(size)
    signed = sign_note(text, ORIGIN, LOG)
    return Note(text, (signed, cosign(text, WITNESS_NAME, WITNESS, TIME)))


# --- known answers ---


def test_the_known_keys() -> None:
    assert (LOG_KEY.vkey, WITNESS_KEY.vkey) == (LOG_VKEY, WITNESS_VKEY)
    assert decode_vkey(LOG_VKEY) == LOG_KEY
    assert decode_vkey(WITNESS_VKEY) == WITNESS_KEY
    assert LOG_KEY.key_id.hex() == "158d1705"


def test_the_known_proof_byte_for_byte() -> None:
    data = PROOF_OF_B.encode()
    proof = TlogProof(1, tuple(TREE.inclusion(1, 3)), good_note())
    assert encode_proof(proof) == data
    assert decode_proof(data) == proof
    assert proof.checkpoint == Checkpoint(ORIGIN, 3, TREE.root())
    policy = Policy((LOG_KEY,), {"w1": WITNESS_KEY}, {}, "w1")
    verified = verify_proof(proof, leaf_hash(b"b"), policy)
    assert verified == [Verified(LOG_KEY, None), Verified(WITNESS_KEY, TIME)]


def test_the_example_of_go() -> None:
    data = f"{PETER_TEXT}\n{PETER_LINE}".encode()
    note, key = decode_note(data), decode_vkey(PETER)
    assert key.vkey == PETER
    assert note.text == PETER_TEXT.encode()
    assert verify_note(note, [key]) == [Verified(key, None)]
    assert encode_note(note) == data
    signer = signer_from_seed(unb64(PETER_SECRET)[1:])
    assert note.signatures == (sign_note(PETER_TEXT.encode(), "PeterNeumann", signer),)


def test_the_example_of_go_with_two_signatures() -> None:
    note = decode_note(f"{PETER_TEXT}\n{PETER_LINE}{ENOCH_LINE}".encode())
    peter, enoch = decode_vkey(PETER), decode_vkey(ENOCH)
    assert verify_note(note, [peter]) == [Verified(peter, None)]
    assert verify_note(note, [enoch]) == [Verified(enoch, None)]
    assert verify_note(note, [enoch, peter]) == [Verified(peter, None), Verified(enoch, None)]
    assert rule_of(verify_note, note, []) == "N5"


def test_the_example_of_c2sp() -> None:
    note, key = decode_note(FOO_NOTE.encode()), decode_vkey(FOO)
    assert key.vkey == FOO
    assert verify_note(note, [key]) == [Verified(key, None)]
    assert encode_note(note) == FOO_NOTE.encode()
    forged = decode_note(FOO_NOTE.replace("an example", "no example").encode())
    assert rule_of(verify_note, forged, [key]) == "N4"


def test_manglings_of_the_key_of_go_are_refused() -> None:
    """The cases of x/mod's own tests: every part of it alone, every byte one higher."""
    for start in range(len(PETER)):
        for end in range(start, len(PETER) + 1):
            if end - start < len(PETER):
                with pytest.raises((MalformedError, SignatureError)):
                    decode_vkey(PETER[start:end])
    for at, char in enumerate(PETER):
        with pytest.raises((MalformedError, SignatureError)):
            decode_vkey(PETER[:at] + chr(ord(char) + 1) + PETER[at + 1 :])


@pytest.mark.parametrize(
    ("vkey", "rule"),
    [
        ("", "N2"),
        ("PeterNeumann", "N1"),
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", "B4"),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "N1"),
        (PETER.replace("c74f20a3", "C74F20A3"), "N1"),
        (PETER.replace("c74f20a3", "c74f20a4"), "N1"),
        (PETER.replace("c74f20a3", ""), "N1"),
        (PETER.replace("Peter", "Pieter"), "N1"),
        (PETER.replace("Peter", ""), "N1"),
        (PETER[PETER.index("+") :], "N2"),
        (PETER + "\n", "B4"),
        (PETER.replace("Peter", "Peter "), "N2"),
        ("n+00000000+" + b64(b"\x01" + bytes(31)), "N1"),
        ("n+00000000+" + b64(b"\x01" + bytes(32)), "C1"),
        ("n+00000000+" + b64(b"\x01" + b"\xff" * 32), "C1"),
        ("n+00000000+" + b64(b"\x02" + LOG.public_key), "N1"),
        ("n+00000000+" + b64(b"\x06" + bytes(1312)), "N1"),
        ("n+00000000+" + b64(b""), "N1"),
    ],
)
def test_what_is_no_key(vkey: str, rule: str) -> None:
    assert rule_of(decode_vkey, vkey) == rule


# --- names ---


@pytest.mark.parametrize(
    "name", ["a", "example.com/foo", "h1.cosigner.example", "医院", "a:b", "—"]
)
def test_names_that_are_taken(name: str) -> None:
    check_name(name)
    key = NoteKey(name, NOTE_ED25519, LOG.public_key)
    assert decode_vkey(key.vkey) == key
    note = Note(b"t\n", (sign_note(b"t\n", name, LOG),))
    assert decode_note(encode_note(note)) == note
    assert verify_note(note, [key]) == [Verified(key, None)]


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a+b", "a\n", "a\t", "a\u00a0b", "a\u3000b", "a\u2028b", "a\u200bb", "\x7f"],
)
def test_names_that_are_refused(name: str) -> None:
    assert rule_of(check_name, name) == "N2"


# --- notes ---

NOTE = encode_note(good_note())
LINE = NOTE[NOTE.index("—".encode()) :].split(b"\n")[0] + b"\n"
START = checkpoint_text() + b"\n"


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "N3"),
        (b"\n", "N3"),
        (b"\n\n", "N3"),
        (LINE, "N3"),
        (b"\n" + LINE, "N3"),
        (b"x" + LINE, "N3"),
        (START, "N3"),
        (START + b"\n", "N3"),
        (checkpoint_text() + LINE, "N3"),
        (START.replace(b"\n\n", b"\n \n") + LINE, "N3"),
        (START + LINE[:-1], "N3"),
        (START + LINE + b"\n", "N3"),
        (START + LINE + b"text\n", "N3"),
        (START + LINE + b" \n", "N3"),
        (START + LINE.replace("—".encode(), b"-"), "N3"),
        (START + LINE.replace("—".encode(), "–".encode()), "N3"),
        (START + LINE.replace(b" ", b"  "), "N3"),
        (START + b" " + LINE, "N3"),
        (START + LINE.replace(b"\n", b" \n"), "N3"),
        (START + LINE.replace(b"\n", b" x\n"), "N3"),
        (START + LINE.replace(b"\n", b"\r\n"), "N3"),
        (START.replace(b"3", b"3\t") + LINE, "N3"),
        (START.replace(b"3", b"3\x00") + LINE, "N3"),
        (START.replace(b"3", b"3\x7f") + LINE, "N3"),
        (START.replace(b"3", b"3\x0b") + LINE, "N3"),
        (START.replace(b"3", b"\xff") + LINE, "N3"),
        (START.replace(b"3", b"\xed\xa0\x80") + LINE, "N3"),
        (START + LINE.replace(b"kat", b"\xff"), "N3"),
        (START + LINE * (MAX_SIGNATURES + 1), "N3"),
        (b"x" * MAX_NOTE_BYTES + b"\n\n" + LINE, "N3"),
        (START + "— n AAAAAA==\n".encode(), "N3"),
        (START + "— n \n".encode(), "N3"),
        (START + "— n AAAAAAB=\n".encode(), "B4"),
        (START + "— n AAAAAAA\n".encode(), "B4"),
        (START + "— n AAAA-_A=\n".encode(), "B4"),
        (START + "— n+n AAAAAAA=\n".encode(), "N2"),
        (START + "—  AAAAAAA=\n".encode(), "N2"),
        (START + "— a\u00a0b AAAAAAA=\n".encode(), "N2"),
    ],
)
def test_notes_in_any_other_form_are_refused(data: bytes, rule: str) -> None:
    assert encode_note(decode_note(NOTE)) == NOTE
    assert rule_of(decode_note, data) == rule


def test_text_and_signatures_part_at_the_last_empty_line() -> None:
    text = b"one\n\n\xe2\x80\x94 n AAAAAAA=\n\ntwo\n"
    note = Note(text, (NoteSignature("n", bytes(4), b"\0"),))
    assert decode_note(encode_note(note)) == note
    # Three line feeds in a row: the text ends in an empty line of its own.
    assert decode_note(b"a\n\n\n" + "— n AAAAAAA=\n".encode()).text == b"a\n\n"
    assert decode_note(b"\n\n" + "— n AAAAAAA=\n".encode()).text == b"\n"


def test_a_note_may_be_as_large_and_have_as_many_signatures_as_the_limits_say() -> None:
    lines = "— n AAAAAAA=\n".encode() * MAX_SIGNATURES
    text = b"x" * (MAX_NOTE_BYTES - len(lines) - 2)
    assert len(decode_note(text + b"\n\n" + lines).signatures) == MAX_SIGNATURES
    assert rule_of(decode_note, b"x" + text + b"\n\n" + lines) == "N3"


def resigned(**changes: Any) -> Note:
    """The good note with other parts."""
    return good_note()._replace(**changes)


def changed(at: int, **fields: Any) -> Note:
    """The good note with another signature line."""
    lines = list(good_note().signatures)
    lines[at] = lines[at]._replace(**fields)
    return resigned(signatures=tuple(lines))


PLAIN, COSIGNED = good_note().signatures
BOTH = (LOG_KEY, WITNESS_KEY)


def another_time() -> Note:
    """The witness' signature under a time that it does not cover."""
    return changed(1, payload=(TIME + 1).to_bytes(8, "big") + COSIGNED.payload[8:])


@pytest.mark.parametrize(
    ("note", "name"),
    [
        (resigned(text=checkpoint_text(2)), ORIGIN),
        (changed(0, payload=bytes(64)), ORIGIN),
        (changed(0, payload=PLAIN.payload[:-1]), ORIGIN),
        (changed(0, payload=PLAIN.payload + b"\0"), ORIGIN),
        (changed(0, payload=b"\0"), ORIGIN),
        (changed(0, payload=COSIGNED.payload), ORIGIN),
        (changed(1, payload=COSIGNED.payload[:8] + bytes(64)), WITNESS_NAME),
        (changed(1, payload=COSIGNED.payload[8:]), WITNESS_NAME),
        (changed(1, payload=COSIGNED.payload + b"\0"), WITNESS_NAME),
        (changed(1, payload=COSIGNED.payload[:7]), WITNESS_NAME),
        (changed(1, payload=bytes(72)), WITNESS_NAME),
        (changed(1, payload=bytes(8) + WITNESS.sign(checkpoint_text())), WITNESS_NAME),
        (another_time(), WITNESS_NAME),
        # A known key's failing line refuses the note, also beside one that verifies.
        (resigned(signatures=(PLAIN, COSIGNED, PLAIN._replace(payload=bytes(64)))), ORIGIN),
    ],
)
def test_a_known_key_that_fails_refuses_the_note(note: Note, name: str) -> None:
    assert rule_of(verify_note, note, BOTH) == "N4"
    with pytest.raises(ProofError) as caught:
        verify_note(note, BOTH)
    assert caught.value.facts == {"name": name}


def test_two_keys_of_one_name_may_have_one_id() -> None:
    """A member that grinds its log key to the id of another's, all under the chain's origin, would
    else make every head that the other one signs look forged.
    """
    text, name = b"collide.example/log\n1\nx\n", "collide.example/log"
    seeds = (sha256(b"note key %d" % number).digest() for number in (131_734, 167_669))
    one, other = map(signer_from_seed, seeds)
    mine, rival = (NoteKey(name, NOTE_ED25519, signer.public_key) for signer in (one, other))
    assert mine.key_id == rival.key_id
    lines = sign_note(text, name, one), sign_note(text, name, other)
    for keys in ((mine, rival), (rival, mine)):
        assert verify_note(Note(text, lines[:1]), keys) == [Verified(mine, None)]
        assert {found.key for found in verify_note(Note(text, lines), keys)} == {mine, rival}
    assert rule_of(verify_note, Note(text, lines), [rival]) == "N4"


def test_a_time_of_zero_is_refused_even_when_it_was_signed() -> None:
    text = checkpoint_text()
    payload = bytes(8) + WITNESS.sign(cosignature_message(0, text))
    assert rule_of(verify_note, changed(1, payload=payload), BOTH) == "N4"


def test_a_cosignature_is_no_plain_signature_and_the_other_way_round() -> None:
    text = checkpoint_text()
    same = NoteKey(ORIGIN, COSIGNATURE_ED25519, LOG.public_key)
    assert same.key_id != LOG_KEY.key_id
    line = NoteSignature(ORIGIN, same.key_id, TIME.to_bytes(8, "big") + LOG.sign(text))
    assert rule_of(verify_note, Note(text, (line,)), [same]) == "N4"
    message = cosignature_message(TIME, text)
    assert message == b"cosignature/v1\ntime 1700000000\n" + text
    line = NoteSignature(ORIGIN, LOG_KEY.key_id, LOG.sign(message))
    assert rule_of(verify_note, Note(text, (line,)), [LOG_KEY]) == "N4"


@pytest.mark.parametrize(
    "fields", [{"name": "kat.example/other"}, {"key_id": bytes(4)}, {"key_id": WITNESS_KEY.key_id}]
)
def test_lines_of_unknown_keys_are_ignored_whatever_they_hold(fields: dict[str, Any]) -> None:
    note = changed(0, payload=b"nonsense", **fields)
    assert verify_note(note, BOTH) == [Verified(WITNESS_KEY, TIME)]
    assert rule_of(verify_note, note, [LOG_KEY]) == "N5"


def test_a_key_that_signed_twice_counts_once() -> None:
    text = checkpoint_text()
    lines = [cosign(text, WITNESS_NAME, WITNESS, TIME + n) for n in range(3)]
    assert verify_note(Note(text, tuple(lines)), BOTH) == [Verified(WITNESS_KEY, TIME)]


# --- checkpoints ---

ROOT = b64(TREE.root())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "N6"),
        (f"o\n3\n{ROOT}", "N6"),
        ("o\n3\n", "N6"),
        (f"o\n3\n{ROOT}\n\n", "N6"),
        (f"o\n3\n{ROOT}\nextension\n", "N6"),
        (f"o\n3\n{ROOT}\nextension", "N6"),
        (f"\no\n3\n{ROOT}\n", "N6"),
        (f"\n3\n{ROOT}\n", "N2"),
        (f"o o\n3\n{ROOT}\n", "N2"),
        (f"o+o\n3\n{ROOT}\n", "N2"),
        (f"o\n03\n{ROOT}\n", "N6"),
        (f"o\n+3\n{ROOT}\n", "N6"),
        (f"o\n-3\n{ROOT}\n", "N6"),
        (f"o\n 3\n{ROOT}\n", "N6"),
        (f"o\n3 \n{ROOT}\n", "N6"),
        (f"o\n\n{ROOT}\n", "N6"),
        (f"o\n0x3\n{ROOT}\n", "N6"),
        (f"o\n３\n{ROOT}\n", "N6"),
        (f"o\n1_0\n{ROOT}\n", "N6"),
        (f"o\n{10**19}\n{ROOT}\n", "N6"),
        (f"o\n0\n{ROOT}\n", "N6"),
        (f"o\n3\n{ROOT[:-1]}\n", "B4"),
        (f"o\n3\n{ROOT} \n", "B4"),
        (f"o\n3\n{b64(bytes(31))}\n", "B4"),
        (f"o\n3\n{b64(bytes(33))}\n", "B4"),
        ("o\n3\n\n", "B4"),
        (f"o\r\n3\n{ROOT}\n", "N2"),
    ],
)
def test_checkpoints_in_any_other_form_are_refused(text: str, rule: str) -> None:
    assert rule_of(decode_checkpoint, text.encode()) == rule


def test_checkpoints_that_are_taken() -> None:
    for checkpoint in (
        Checkpoint(ORIGIN, 3, TREE.root()),
        Checkpoint("o", 0, EMPTY_ROOT),
        Checkpoint("医院", 10**19 - 1, bytes(32)),
    ):
        assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint
    assert rule_of(decode_checkpoint, b"\xff\n3\n" + ROOT.encode() + b"\n") == "N6"


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("7", 7), ("9" * 19, 10**19 - 1)])
def test_decimals(text: str, value: int) -> None:
    assert decode_decimal(text) == value


@pytest.mark.parametrize(
    "text", ["", "00", "07", "-0", "+1", "1 ", "1\n", "٣", "1e3", "1" + "0" * 19]
)
def test_decimals_that_are_refused(text: str) -> None:
    assert rule_of(decode_decimal, text) == "N6"


# --- policies ---


def witness(number: int) -> NoteKey:
    """A witness key."""
    key = signer_from_seed(bytes([number]) * 32).public_key
    return NoteKey(f"w.example/{number}", COSIGNATURE_ED25519, key)


W1, W2, W3 = (witness(n) for n in (11, 12, 13))
BASE = f"log {LOG_VKEY}\nwitness a {W1.vkey}\nwitness b {W2.vkey}\nwitness c {W3.vkey}\n"


def test_a_policy_in_the_form_that_this_project_writes() -> None:
    groups = {"ab": Group("ab", 1, ("a", "b")), "all": Group("all", 2, ("ab", "c"))}
    policy = Policy((LOG_KEY,), {"a": W1, "b": W2, "c": W3}, groups, "all")
    text = BASE + "group ab 1 a b\ngroup all 2 ab c\nquorum all\n"
    assert encode_policy(policy) == text.encode()
    assert decode_policy(text.encode()) == policy
    assert policy.keys == (LOG_KEY, W1, W2, W3)


def test_a_policy_as_others_write_it() -> None:
    text = (
        f"# a comment\n\n \tlog\t{LOG_VKEY}  https://log.example/\n"
        f"log {NoteKey(ORIGIN, NOTE_ED25519, WITNESS.public_key).vkey}\n"
        f"witness a {W1.vkey} https://a.example/ \nwitness b\t{W2.vkey}\n"
        "  # another: 重症\ngroup any any a\ngroup both all any b\nquorum both"
    )
    policy = decode_policy(text.encode())
    assert len(policy.logs) == 2
    assert policy.groups == {"any": Group("any", 1, ("a",)), "both": Group("both", 2, ("any", "b"))}
    assert decode_policy(encode_policy(policy)) == policy
    none = decode_policy(f"log {LOG_VKEY}\nquorum none\n".encode())
    assert (none.quorum, none.keys) == (None, (LOG_KEY,))
    assert encode_policy(none).endswith(b"quorum none\n")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "N7"),
        (BASE, "N7"),
        ("quorum none\n", "N7"),
        (BASE.replace("log", "logs") + "quorum none\n", "N7"),
        (BASE + "quorum none\nquorum none\n", "N7"),
        (BASE + "quorum a\nquorum b\n", "N7"),
        (BASE + "quorum\n", "N7"),
        (BASE + "quorum a b\n", "N7"),
        (BASE + "quorum d\n", "N7"),
        (BASE + "quorum g\ngroup g 1 a\n", "N7"),
        (BASE + "group g 1\nquorum none\n", "N7"),
        (BASE + "group g 0 a\nquorum none\n", "N7"),
        (BASE + "group g 3 a b\nquorum none\n", "N7"),
        (BASE + "group g 01 a\nquorum none\n", "N6"),
        (BASE + "group g some a\nquorum none\n", "N6"),
        (BASE + "group g 1 g\nquorum none\n", "N7"),
        (BASE + "group g 1 a a\nquorum none\n", "N7"),
        (BASE + "group g 1 a\ngroup h 1 a\nquorum none\n", "N7"),
        (BASE + "group g 1 h\ngroup h 1 a\nquorum none\n", "N7"),
        (BASE + "group a 1 b\nquorum none\n", "N7"),
        (BASE + "group none 1 b\nquorum none\n", "N7"),
        (BASE + f"witness a {W3.vkey}\nquorum none\n", "N7"),
        (BASE + f"witness none {W3.vkey}\nquorum none\n", "N7"),
        (BASE + "group g 1 a\n" + f"witness g {W3.vkey}\nquorum none\n", "N7"),
        (BASE + f"witness d {LOG_VKEY}\nquorum none\n", "N7"),
        (f"log {WITNESS_VKEY}\nquorum none\n", "N7"),
        (f"log {LOG_VKEY} url more\nquorum none\n", "N7"),
        (f"log\nquorum none\n{BASE}", "N7"),
        (BASE + "witness d\nquorum none\n", "N7"),
        (BASE + "unknown\nquorum none\n", "N7"),
        (BASE + "QUORUM none\n", "N7"),
        (BASE + "quorum none\r\n", "N7"),
        (BASE + "quorum none\x00\n", "N7"),
        (BASE + "quorum none\x7f\n", "N7"),
        (BASE + "# \r\nquorum none\n", "N7"),
        (BASE + "# \x00\nquorum none\n", "N7"),
        (BASE + "# \x7f\nquorum none\n", "N7"),
        (BASE + "log x\nquorum none\n", "N1"),
        (BASE + "#" * MAX_NOTE_BYTES + "\nquorum none\n", "N7"),
    ],
)
def test_policies_in_any_other_form_are_refused(text: str, rule: str) -> None:
    assert rule_of(decode_policy, text.encode()) == rule


def test_a_policy_may_be_as_large_as_the_limit_says() -> None:
    text = BASE + "quorum none\n#"
    comment = "x" * (MAX_NOTE_BYTES - len(text))
    assert decode_policy((text + comment).encode()).quorum is None
    assert rule_of(decode_policy, (text + comment + "x").encode()) == "N7"


def test_a_policy_is_utf_8() -> None:
    assert rule_of(decode_policy, BASE.encode() + b"# \xff\nquorum none\n") == "N7"


@pytest.mark.parametrize(
    ("quorum", "signed", "met"),
    [
        ("quorum none", (LOG_KEY,), True),
        ("quorum none", (), False),
        ("quorum none", (W1, W2, W3), False),
        ("quorum a", (LOG_KEY, W1), True),
        ("quorum a", (LOG_KEY, W2), False),
        ("quorum a", (W1,), False),
        ("group g 2 a b c\nquorum g", (LOG_KEY, W1, W3), True),
        ("group g 2 a b c\nquorum g", (LOG_KEY, W3), False),
        ("group g 2 a b c\nquorum g", (W1, W2, W3), False),
        ("group g 1 a b\ngroup h all g c\nquorum h", (LOG_KEY, W2, W3), True),
        ("group g 1 a b\ngroup h all g c\nquorum h", (LOG_KEY, W1, W2), False),
        ("group g 1 a b\ngroup h all g c\nquorum h", (LOG_KEY, W3), False),
        ("group g 1 a b\ngroup h any g c\nquorum h", (LOG_KEY, W3), True),
    ],
)
def test_what_meets_a_policy(quorum: str, signed: tuple[NoteKey, ...], met: bool) -> None:
    policy = decode_policy((BASE + quorum).encode())
    assert policy.is_met(Verified(key, None) for key in signed) is met


# --- offline proofs ---

GOOD = PROOF_OF_B.encode()
HASH = b"Aippeebat6pa5MPl5F9+l3ESp+Y1k4INvsHsc4ok+Tw=\n"


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "N8"),
        (b"c2sp.org/tlog-proof@v1", "N8"),
        (b"c2sp.org/tlog-proof@v1\n\n", "N8"),
        (b"c2sp.org/tlog-proof@v1\nindex 1", "N8"),
        (GOOD.replace(b"@v1", b"@v2"), "N8"),
        (GOOD.replace(b"@v1", b"@v1 "), "N8"),
        (GOOD.replace(b"c2sp", b"C2SP"), "N8"),
        (b"\n" + GOOD, "N8"),
        (b"\xef\xbb\xbf" + GOOD, "N8"),
        (GOOD.replace(b"\n", b"\r\n"), "N8"),
        (GOOD.replace(b"index 1\n", b""), "N8"),
        (GOOD.replace(b"index 1", b"Index 1"), "N8"),
        (GOOD.replace(b"index 1", b"index"), "N8"),
        (GOOD.replace(b"index 1", b"index  1"), "N6"),
        (GOOD.replace(b"index 1", b"index 01"), "N6"),
        (GOOD.replace(b"index 1", b"index -1"), "N6"),
        (GOOD.replace(b"index 1", b"index "), "N6"),
        (GOOD.replace(b"index 1", b"index 1\nindex 1"), "B4"),
        (GOOD.replace(b"index 1", b"index 1\nextra AA=="), "B4"),
        (GOOD.replace(b"index 1", b"extra AA==\nextra AA==\nindex 1"), "N8"),
        (GOOD.replace(b"index 1", b"extra AA\nindex 1"), "B4"),
        (GOOD.replace(b"index 1", b"extra\nindex 1"), "N8"),
        (GOOD.replace(HASH, HASH[1:]), "B4"),
        (GOOD.replace(HASH, b"AA==\n"), "B4"),
        (GOOD.replace(HASH, b" " + HASH), "B4"),
        (GOOD.replace(HASH, HASH * (MAX_PATH + 2)), "N8"),
        (GOOD.replace(b"\n\nkat", b"\nkat"), "B4"),
        (GOOD.replace(b"\n\nkat", b"\n\n\nkat"), "N6"),
        (GOOD[: GOOD.index("—".encode())], "N3"),
        (GOOD[:-1], "N3"),
        (GOOD + b"\n", "N3"),
        (GOOD.replace(b"\n3\n", b"\n03\n"), "N6"),
        (GOOD.replace(b"\n3\n", b"\n3\n3\n"), "N6"),
    ],
)
def test_proofs_in_any_other_form_are_refused(data: bytes, rule: str) -> None:
    assert encode_proof(decode_proof(GOOD)) == GOOD
    assert rule_of(decode_proof, data) == rule


@pytest.mark.parametrize("extra", [None, b"", b"\x00\xff"])
@pytest.mark.parametrize("length", [0, 1, MAX_PATH])
def test_proofs_with_more_or_less(extra: bytes | None, length: int) -> None:
    proof = TlogProof(10**19 - 1, (TREE.leaf(0),) * length, good_note(), extra)
    assert decode_proof(encode_proof(proof)) == proof


POLICY = Policy((LOG_KEY,), {"w1": WITNESS_KEY}, {}, "w1")
NO_WITNESS = Policy((LOG_KEY,), {}, {}, None)


def proof_of(index: int, note: Note | None = None, size: int = 3) -> TlogProof:
    """The proof of an entry under a checkpoint."""
    return TlogProof(index, tuple(TREE.inclusion(index, size)), note or good_note(size))


def of_another_log() -> Note:
    """A good note whose checkpoint names an origin that nobody asked for."""
    text = encode_checkpoint(Checkpoint("other.example", 3, TREE.root()))
    return Note(text, (sign_note(text, ORIGIN, LOG), cosign(text, WITNESS_NAME, WITNESS, TIME)))


REFUSED: dict[str, tuple[TlogProof, bytes, Policy, str]] = {
    "another leaf": (proof_of(1), leaf_hash(b"a"), POLICY, "M2"),
    "another index": (TlogProof(0, proof_of(1).path, good_note()), leaf_hash(b"b"), POLICY, "M2"),
    "index at the end": (TlogProof(3, (), good_note()), leaf_hash(b"c"), POLICY, "M1"),
    "the entry, not its hash": (proof_of(1), b"b", POLICY, "M1"),
    "path without its end": (
        TlogProof(1, proof_of(1).path[:-1], good_note()),
        leaf_hash(b"b"),
        POLICY,
        "M2",
    ),
    "another checkpoint": (
        TlogProof(1, proof_of(1).path, good_note(2)),
        leaf_hash(b"b"),
        POLICY,
        "M2",
    ),
    "no cosignature": (proof_of(1, resigned(signatures=(PLAIN,))), leaf_hash(b"b"), POLICY, "N9"),
    "no log signature": (
        proof_of(1, resigned(signatures=(COSIGNED,))),
        leaf_hash(b"b"),
        POLICY,
        "N9",
    ),
    "another origin": (proof_of(1, of_another_log()), leaf_hash(b"b"), POLICY, "N9"),
    "another origin, no witness": (
        proof_of(1, of_another_log()),
        leaf_hash(b"b"),
        NO_WITNESS,
        "N9",
    ),
    "a failing signature": (
        proof_of(1, changed(0, payload=bytes(64))),
        leaf_hash(b"b"),
        POLICY,
        "N4",
    ),
    "nobody known": (proof_of(1, changed(0, name="x")), leaf_hash(b"b"), NO_WITNESS, "N5"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_proofs_that_do_not_prove(name: str) -> None:
    verify_proof(proof_of(1), leaf_hash(b"b"), POLICY)
    proof, leaf, policy, rule = REFUSED[name]
    assert rule_of(verify_proof, proof, leaf, policy) == rule


def test_what_is_extra_is_not_authenticated() -> None:
    proof = proof_of(1)
    with_extra = TlogProof(proof.index, proof.path, proof.note, b"anything")
    assert verify_proof(with_extra, leaf_hash(b"b"), POLICY) == [
        Verified(LOG_KEY, None),
        Verified(WITNESS_KEY, TIME),
    ]
