"""Notes and what stands in them: whatever the bytes, their one value or the project's error."""

from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.crypto import signer_from_seed
from ledger.encoding import b64
from ledger.errors import AllianceError, MalformedError, ProofError
from ledger.merkle import EMPTY_ROOT, MAX_LEVEL, Tree, leaf_hash
from ledger.notes import (
    COSIGNATURE_ED25519,
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
    decode_checkpoint,
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

V = TypeVar("V")
SIGNERS = [signer_from_seed(bytes([n]) * 32) for n in range(1, 6)]


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


def is_name(text: str) -> bool:
    """Whether a text may name a key."""
    return not isinstance(attempt(check_name, text), AllianceError)


def mutated(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Some bytes cut out and others put in."""
    for at, gone, new in changes:
        place = at % (len(data) + 1)
        data = data[:place] + new + data[place + gone :]
    return data


fragments = st.sampled_from(
    [
        b"\n",
        b"\n\n",
        b" ",
        b"+",
        b"=",
        b"\r",
        b"\t",
        b"0",
        b"\xe2\x80\x94 ",
        b"\x7f",
        b"\xc2\x85",
        b"extra AA==\n",
        b"none",
    ]
)
edits = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 3), st.one_of(fragments, st.binary(max_size=3))),
    min_size=1,
    max_size=3,
)
names = st.one_of(
    st.sampled_from(["kat.example/ledger", "w.example", "h1.cosigner.chain.example.org", "医院"]),
    st.text(min_size=1, max_size=8).filter(is_name),
)
texts = st.text(
    st.one_of(st.characters(min_codepoint=32, exclude_characters="\x7f"), st.just("\n")),
    max_size=60,
).map(lambda text: text.encode() + b"\n")
hashes = st.binary(min_size=32, max_size=32)
lines = st.builds(
    NoteSignature, names, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=80)
)
notes = st.builds(Note, texts, st.lists(lines, min_size=1, max_size=4).map(tuple))
sizes = st.one_of(st.integers(1, 50), st.integers(1, 10**19 - 1))
checkpoints = st.one_of(
    names.map(lambda name: Checkpoint(name, 0, EMPTY_ROOT)),
    st.builds(Checkpoint, names, sizes, hashes),
)
any_bytes = st.one_of(st.binary(max_size=60), st.lists(fragments, max_size=20).map(b"".join), texts)
keys = st.builds(
    NoteKey,
    names,
    st.sampled_from([NOTE_ED25519, COSIGNATURE_ED25519]),
    st.sampled_from([signer.public_key for signer in SIGNERS]),
)


# --- keys ---


@given(keys)
def test_keys_come_back(key: NoteKey) -> None:
    assert decode_vkey(key.vkey) == key
    raw = bytes([key.type]) + key.public_key
    assert key.key_id == sha256(key.name.encode() + b"\n" + raw).digest()[:4]


@given(
    st.one_of(st.text(max_size=40), st.builds(mutated, keys.map(lambda k: k.vkey.encode()), edits))
)
def test_any_key_is_refused_or_of_the_one_form(given_: str | bytes) -> None:
    text = given_ if isinstance(given_, str) else given_.decode("utf-8", "replace")
    found = attempt(decode_vkey, text)
    if isinstance(found, NoteKey):
        assert found.vkey == text
    else:
        assert found.rule in ("N1", "N2", "B4", "C1")


# --- notes ---


@given(notes)
def test_notes_come_back(note: Note) -> None:
    data = encode_note(note)
    assert decode_note(data) == note
    key = NoteKey(note.signatures[0].name, NOTE_ED25519, SIGNERS[0].public_key)
    found = attempt(verify_note, note, [key])
    assert isinstance(found, ProofError)
    assert found.rule in ("N4", "N5")


def check_note(data: bytes) -> bool:
    """Whether these bytes are a note; if so, its own bytes, parted at the last empty line."""
    found = attempt(decode_note, data)
    if isinstance(found, AllianceError):
        assert isinstance(found, MalformedError)
        assert found.rule in ("N2", "N3", "B4")
        return False
    assert encode_note(found) == data
    assert found.text.endswith(b"\n")
    assert data[len(found.text) + 1 :].count(b"\n") == len(found.signatures) >= 1
    return True


@given(notes, edits)
def test_mutated_notes_are_refused_or_of_the_one_form(
    note: Note, changes: list[tuple[int, int, bytes]]
) -> None:
    check_note(mutated(encode_note(note), changes))


@given(any_bytes)
def test_any_bytes_are_refused_or_a_note(data: bytes) -> None:
    check_note(data)
    check_note(data + b"\n\xe2\x80\x94 n AAAAAAA=\n")


def signed(text: bytes, who: list[tuple[int, int]]) -> tuple[Note, list[NoteKey]]:
    """A text signed by some of the signers (number, time; time 0: a plain signature)."""
    found, known = [], []
    for number, time_s in who:
        signer, name = SIGNERS[number], f"key.example/{number}"
        kind = COSIGNATURE_ED25519 if time_s else NOTE_ED25519
        known.append(NoteKey(name, kind, signer.public_key))
        found.append(
            cosign(text, name, signer, time_s) if time_s else sign_note(text, name, signer)
        )
    return Note(text, tuple(found)), known


GOOD, KNOWN = signed(
    b"kat.example\n3\n" + b64(bytes(32)).encode() + b"\n", [(0, 0), (1, 9), (2, 1)]
)
DATA = encode_note(GOOD)


@given(
    texts, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**64 - 1)), min_size=1, max_size=4)
)
@settings(max_examples=60)
def test_signed_notes_verify(text: bytes, who: list[tuple[int, int]]) -> None:
    note, known = signed(text, who)
    found = verify_note(decode_note(encode_note(note)), known)
    assert {item.key for item in found} == set(known)
    times = [(key, time_s or None) for key, (_, time_s) in zip(known, who, strict=True)]
    assert set(found) <= {Verified(*item) for item in times}
    assert isinstance(attempt(verify_note, note._replace(text=b"x" + text), known), ProofError)


def test_every_bit_of_a_signed_note_counts() -> None:
    """A flipped bit is refused, or hides one signature line: never another text or signer."""
    whole = set(verify_note(GOOD, KNOWN))
    for at in range(len(DATA)):
        for bit in range(8):
            data = DATA[:at] + bytes([DATA[at] ^ 1 << bit]) + DATA[at + 1 :]
            note = attempt(decode_note, data)
            found = note if isinstance(note, AllianceError) else attempt(verify_note, note, KNOWN)
            if not isinstance(found, AllianceError):
                assert at >= len(GOOD.text)
                assert len(whole - set(found)) == 1
                assert set(found) < whole
        assert isinstance(attempt(decode_note, DATA[:at]), MalformedError) or at in ENDS


ENDS = [at + 1 for at in range(len(GOOD.text) + 1, len(DATA)) if DATA[at] == 10]
"""Where a note may be cut and still be one: after a signature line."""


# --- checkpoints ---


@given(checkpoints)
def test_checkpoints_come_back(checkpoint: Checkpoint) -> None:
    assert decode_checkpoint(encode_checkpoint(checkpoint)) == checkpoint


@given(st.one_of(any_bytes, st.builds(mutated, checkpoints.map(encode_checkpoint), edits)))
def test_any_bytes_are_refused_or_a_checkpoint(data: bytes) -> None:
    found = attempt(decode_checkpoint, data)
    if isinstance(found, Checkpoint):
        assert encode_checkpoint(found) == data
    else:
        assert found.rule in ("N2", "N6", "B4")


# --- policies ---


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """A policy with groups of witnesses and of groups."""
    used = draw(st.lists(names.filter(lambda n: n != "none"), min_size=1, max_size=6, unique=True))
    count = draw(st.integers(0, min(3, len(used))))
    witnesses = {
        name: NoteKey(name, COSIGNATURE_ED25519, SIGNERS[n].public_key)
        for n, name in enumerate(used[:count])
    }
    groups: dict[str, Group] = {}
    free = list(witnesses)
    for name in used[count:]:
        if free:
            members = free[: draw(st.integers(1, len(free)))]
            free = [*free[len(members) :], name]
            groups[name] = Group(name, draw(st.integers(1, len(members))), tuple(members))
    quorum = draw(st.sampled_from([None, *witnesses, *groups]))
    log = NoteKey(draw(names), NOTE_ED25519, SIGNERS[4].public_key)
    return Policy((log,), witnesses, groups, quorum)


@given(policies())
def test_policies_come_back(policy: Policy) -> None:
    data = encode_policy(policy)
    found = decode_policy(data)
    assert found == policy
    assert encode_policy(found) == data
    everybody = [Verified(key, 1) for key in policy.keys]
    assert policy.is_met(everybody)
    assert not policy.is_met(everybody[1:])
    assert policy.is_met(everybody[:1]) is (policy.quorum is None)


@given(
    st.one_of(any_bytes, st.builds(mutated, policies().map(encode_policy), edits)),
    st.sets(st.integers(0, 5)),
)
def test_any_bytes_are_refused_or_a_policy(data: bytes, signed_by: set[int]) -> None:
    found = attempt(decode_policy, data)
    if isinstance(found, Policy):
        assert decode_policy(encode_policy(found)) == found
        some = [Verified(key, 1) for n, key in enumerate(found.keys) if n in signed_by]
        assert found.is_met(some) in (True, False)
        # Who meets a policy meets it with more signatures, too.
        if found.is_met(some):
            assert found.is_met([*some, *(Verified(key, 1) for key in found.keys)])
    else:
        assert found.rule in ("N1", "N2", "N6", "N7", "B4", "C1")


# --- offline proofs ---

checkpoint_notes = st.builds(
    Note, checkpoints.map(encode_checkpoint), st.lists(lines, min_size=1, max_size=3).map(tuple)
)
proofs = st.builds(
    TlogProof,
    st.integers(0, 10**19 - 1),
    st.lists(hashes, max_size=MAX_LEVEL).map(tuple),
    checkpoint_notes,
    st.one_of(st.none(), st.binary(max_size=20)),
)


@given(proofs)
def test_proofs_come_back(proof: TlogProof) -> None:
    assert decode_proof(encode_proof(proof)) == proof
    assert encode_checkpoint(proof.checkpoint) == proof.note.text


def check_proof(data: bytes) -> TlogProof | None:
    """The proof of these bytes, if they are one: then they are its own."""
    found = attempt(decode_proof, data)
    if isinstance(found, AllianceError):
        assert isinstance(found, MalformedError)
        assert found.rule in ("N2", "N3", "N6", "N8", "B4")
        return None
    assert encode_proof(found) == data
    return found


@given(proofs, edits)
def test_mutated_proofs_are_refused_or_of_the_one_form(
    proof: TlogProof, changes: list[tuple[int, int, bytes]]
) -> None:
    check_proof(mutated(encode_proof(proof), changes))


@given(any_bytes)
def test_any_bytes_are_refused_or_a_proof(data: bytes) -> None:
    check_proof(data)
    check_proof(b"c2sp.org/tlog-proof@v1\nindex 0\n" + data)


TREE = Tree(leaf_hash(entry) for entry in (b"a", b"b", b"c"))
HEAD, SIGNED_BY = signed(
    encode_checkpoint(Checkpoint("key.example/0", 3, TREE.root())), [(0, 0), (1, 9)]
)
POLICY = Policy((SIGNED_BY[0],), {"w": SIGNED_BY[1]}, {}, "w")
PROOF = encode_proof(TlogProof(1, tuple(TREE.inclusion(1, 3)), HEAD))


def test_no_bit_of_a_proof_may_be_another() -> None:
    leaf = leaf_hash(b"b")
    verify_proof(decode_proof(PROOF), leaf, POLICY)
    for at in range(len(PROOF)):
        for bit in range(8):
            found = check_proof(PROOF[:at] + bytes([PROOF[at] ^ 1 << bit]) + PROOF[at + 1 :])
            if found is not None:
                assert isinstance(attempt(verify_proof, found, leaf, POLICY), ProofError)
        cut = check_proof(PROOF[:at])
        if cut is not None:
            assert isinstance(attempt(verify_proof, cut, leaf, POLICY), ProofError)


@given(edits, st.sampled_from([b"a", b"b", b"c", b"d"]))
def test_no_mutation_of_a_proof_proves_another_entry(
    changes: list[tuple[int, int, bytes]], entry: bytes
) -> None:
    found = check_proof(mutated(PROOF, changes))
    if found is not None and not isinstance(
        attempt(verify_proof, found, leaf_hash(entry), POLICY), AllianceError
    ):
        assert (entry, found.index, found.note.text) == (b"b", 1, HEAD.text)
