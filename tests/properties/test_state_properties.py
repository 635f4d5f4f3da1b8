"""The authenticated map against its definition, written down word for word."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from ledger.encoding import canonical_json
from ledger.errors import ProofError
from ledger.state import EMPTY_STATE, State, state_key, verify_state

Items = list[tuple[bytes, bytes]]


def defined_root(items: Items, depth: int = 0) -> bytes:
    """definitions.md section 4, with no thought of speed."""
    if not items:
        return bytes(32)
    if len(items) <= 8:
        return sha256(b"\x02" + b"".join(k + v for k, v in sorted(items))).digest()
    sides = [[i for i in items if bit_of(i[0], depth) == bit] for bit in (0, 1)]
    left, right = (defined_root(side, depth + 1) for side in sides)
    return sha256(b"\x03" + left + right).digest()


def bit_of(place: bytes, depth: int) -> int:
    """Bit `depth`, counted from the most significant."""
    return int(f"{int.from_bytes(place, 'big'):0256b}"[depth])


def items_of(values: dict[bytes, object]) -> Items:
    """Places and value hashes."""
    return [(sha256(k).digest(), sha256(canonical_json(v)).digest()) for k, v in values.items()]


names = st.integers(0, 120).map(lambda n: state_key("n", str(n)))
changes = st.dictionaries(names, st.integers(0, 5), max_size=60)


@given(st.lists(changes, max_size=8))
def test_every_root_is_the_defined_one(blocks: list[dict[bytes, object]]) -> None:
    state, model = EMPTY_STATE, dict[bytes, object]()
    older: list[tuple[State, bytes]] = []
    for block in blocks:
        older.append((state, state.root))
        state = state.update(block)
        model |= block
        assert state.root == defined_root(items_of(model))
        assert state.count == len(model)
    assert dict(state.items()) == model
    assert [k for k, _ in state.items()] == sorted(model, key=lambda k: sha256(k).digest())
    assert all(before.root == root for before, root in older)


@given(st.dictionaries(names, st.integers(0, 5), max_size=121), st.lists(names, max_size=10))
def test_every_key_is_proven_present_or_absent(
    model: dict[bytes, object], asked: list[bytes]
) -> None:
    state = EMPTY_STATE.update(model)
    for key in asked:
        answer = verify_state(state.root, key, state.prove(key))
        value = model.get(key)
        assert answer == (None if value is None else sha256(canonical_json(value)).digest())
        assert state.get(key) == value


@given(
    st.dictionaries(names, st.integers(0, 5), min_size=1, max_size=121),
    names,
    names,
    st.lists(
        st.tuples(
            st.integers(0, 1200), st.integers(0, 70), st.one_of(st.binary(max_size=70), st.none())
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_no_mutation_of_a_proof_makes_it_say_something_else(
    model: dict[bytes, object],
    asked: bytes,
    shown: bytes,
    edits: list[tuple[int, int, bytes | None]],
) -> None:
    """Bytes cut out, put in or copied from elsewhere in the proof of a key, this one or another."""
    state = EMPTY_STATE.update(model)
    proof = state.prove(shown)
    for at, gone, new in edits:
        place = at % (len(proof) + 1)
        put = proof[-gone:] if new is None else new
        proof = proof[:place] + put + proof[place + gone :]
    value = model.get(asked)
    truth = None if value is None else sha256(canonical_json(value)).digest()
    try:
        answer = verify_state(state.root, asked, proof)
    except ProofError:
        return
    assert answer == truth
