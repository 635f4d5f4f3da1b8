"""The authenticated map: shape, sharing, and proofs that cannot be bent."""

from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest

from ledger import state as module
from ledger.encoding import canonical_json
from ledger.errors import MalformedError, ProofError
from ledger.rules.values import Holder
from ledger.state import (
    BUCKET,
    EMPTY_STATE,
    SUBJECT_START,
    State,
    state_key,
    subject_head,
    verify_state,
)


def keys(count: int) -> list[bytes]:
    """So many keys."""
    return [state_key("key", str(n)) for n in range(count)]


def state_of(count: int) -> State:
    """A map of so many keys."""
    return EMPTY_STATE.update({key: {"n": n} for n, key in enumerate(keys(count))})


def value_hash(value: object) -> bytes:
    """What a proof of presence answers."""
    return sha256(canonical_json(value)).digest()


def test_keys_have_their_namespace_before_a_zero_byte() -> None:
    assert state_key("key", "é") == b"key\x00\xc3\xa9"
    assert state_key("a", "b") != state_key("ab", "")


def test_the_head_of_a_subject_log_binds_order_and_content() -> None:
    first, second = bytes([1]) * 32, bytes([2]) * 32
    assert SUBJECT_START == bytes(32)
    head = subject_head(SUBJECT_START, first)
    assert head == sha256(b"\x04" + bytes(32) + first).digest()
    assert subject_head(head, second) != subject_head(subject_head(SUBJECT_START, second), first)


def test_the_empty_map() -> None:
    assert (EMPTY_STATE.root, EMPTY_STATE.count) == (bytes(32), 0)
    assert list(EMPTY_STATE.items()) == []
    assert EMPTY_STATE.get(b"k") is None
    assert EMPTY_STATE.update({}) is EMPTY_STATE
    assert EMPTY_STATE.prove(b"k") == b"\x00\x00"
    assert verify_state(bytes(32), b"k", b"\x00\x00") is None


def test_one_bucket_is_the_hash_of_its_items_in_order() -> None:
    items = sorted((sha256(k).digest(), value_hash({"n": n})) for n, k in enumerate(keys(BUCKET)))
    assert state_of(BUCKET).root == sha256(b"\x02" + b"".join(a + b for a, b in items)).digest()


def test_nine_items_are_parted_by_their_first_bit() -> None:
    items = sorted((sha256(k).digest(), value_hash({"n": n})) for n, k in enumerate(keys(9)))
    sides = [[i for i in items if i[0][0] >> 7 == bit] for bit in (0, 1)]
    assert all(sides)
    roots = [sha256(b"\x02" + b"".join(a + b for a, b in side)).digest() for side in sides]
    assert state_of(9).root == sha256(b"\x03" + b"".join(roots)).digest()


def test_values_are_kept_as_they_are_and_replaced() -> None:
    key = state_key("alias", "x")
    value = Holder(by="h1")
    state = EMPTY_STATE.update({key: value})
    assert state.get(key) is value
    assert verify_state(state.root, key, state.prove(key)) == value_hash({"by": "h1"})
    after = state.update({key: Holder(by="h2")})
    assert after.get(key) == Holder(by="h2")
    assert (after.count, state.count) == (1, 1)
    assert state.get(key) is value


def test_a_value_that_json_cannot_hold_changes_nothing() -> None:
    with pytest.raises(MalformedError, match=r"B2\.type"):
        EMPTY_STATE.update({b"k": 0.5})


def test_an_older_map_stays_what_it_was() -> None:
    old = state_of(300)
    root, listed = old.root, list(old.items())
    new = old.update({key: {"changed": True} for key in keys(200)})
    assert new.root != root
    assert (old.root, list(old.items())) == (root, listed)
    for key in keys(200):
        assert verify_state(root, key, old.prove(key)) == value_hash(old.get(key))
        assert verify_state(new.root, key, new.prove(key)) == value_hash({"changed": True})


def test_the_root_does_not_depend_on_the_way() -> None:
    names = keys(200)
    one_by_one = EMPTY_STATE
    for n, key in reversed(list(enumerate(names))):
        one_by_one = one_by_one.update({key: {"n": -1}}).update({key: {"n": n}})
    assert (one_by_one.root, one_by_one.count) == (state_of(200).root, 200)
    assert list(one_by_one.items()) == list(state_of(200).items())


def test_the_same_again_gives_the_same_root() -> None:
    state = state_of(100)
    assert state.update(dict(state.items())).root == state.root


class Counted:
    """Counts the hashes of a run."""

    def __init__(self, data: bytes) -> None:
        Counted.calls += 1
        self.digest = sha256(data).digest

    calls = 0


def test_a_change_costs_its_path_and_a_block_shares_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of(4096)
    depth = max(int.from_bytes(state.prove(key)[:2], "big") for key in keys(4096))
    monkeypatch.setattr(module, "sha256", Counted)
    for key in keys(50):
        Counted.calls = 0
        state.update({key: {"n": 1}})
        assert Counted.calls <= 3 + depth  # key, value, bucket, branches
    Counted.calls = 0
    state.update({key: {"n": 1} for key in keys(1000)})
    # 1,000 alone would cost 12 each; together the upper branches are hashed once.
    assert Counted.calls < 1000 * 5.5
    Counted.calls = 0
    EMPTY_STATE.update({key: {"n": 1} for key in keys(1000)})
    assert Counted.calls < 1000 * 2.5


# --- proofs ---

STATE = state_of(120)
PRESENT, ABSENT = keys(120)[7], state_key("key", "seven")


def test_all_proofs_of_presence_and_absence() -> None:
    for n, key in enumerate(keys(120)):
        assert verify_state(STATE.root, key, STATE.prove(key)) == value_hash({"n": n})
    for n in range(120, 400):
        key = state_key("key", str(n))
        assert verify_state(STATE.root, key, STATE.prove(key)) is None
        assert STATE.get(key) is None


def parts(proof: bytes) -> tuple[int, list[bytes], list[bytes]]:
    """Depth, siblings and items of a proof."""
    depth = int.from_bytes(proof[:2], "big")
    start = 2 + 32 * depth
    siblings = [proof[at : at + 32] for at in range(2, start, 32)]
    return depth, siblings, [proof[at : at + 64] for at in range(start, len(proof), 64)]


def joined(depth: int, siblings: list[bytes], items: list[bytes]) -> bytes:
    """A proof of these parts."""
    return depth.to_bytes(2, "big") + b"".join(siblings) + b"".join(items)


def bent(proof: bytes, other: bytes) -> Iterator[tuple[str, bytes]]:
    """The proof, bent in every way that comes to mind."""
    depth, siblings, items = parts(proof)
    forged = items[0][:32] + bytes(32)
    yield "nothing", b""
    yield "half a depth", proof[:1]
    yield "no bucket", joined(depth, siblings, [])
    yield "an item hidden", joined(depth, siblings, items[1:])
    yield "an item twice", joined(depth, siblings, [items[0], *items])
    yield "another value", joined(depth, siblings, [forged, *items[1:]])
    yield "items turned round", joined(depth, siblings, items[::-1])
    yield "siblings turned round", joined(depth, siblings[::-1], items)
    yield "a level less", joined(depth - 1, siblings[:-1], items)
    yield "a level less, from the root", joined(depth - 1, siblings[1:], items)
    yield "a level more", joined(depth + 1, [*siblings, bytes(32)], items)
    yield "an item more", joined(depth, siblings, [*items, b"\xff" * 64])
    yield "257 levels", joined(257, [bytes(32)] * 257, items)
    yield "65,535 levels claimed", b"\xff\xff" + proof[2:]
    yield "nine items", joined(depth, siblings, (items * 9)[:9])
    yield "of another key", other
    for at in range(len(proof)):
        yield f"byte {at} changed", proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
        yield f"cut at {at}", proof[:at]
    for extra in (1, 32, 63):
        yield f"{extra} bytes more", proof + bytes(extra)


@pytest.mark.parametrize("key", [PRESENT, ABSENT])
def test_bent_proofs_are_refused(key: bytes) -> None:
    proof = STATE.prove(key)
    assert len(parts(proof)[2]) > 1
    far = next(k for k in keys(120) if sha256(k).digest()[0] >> 7 != sha256(key).digest()[0] >> 7)
    for name, other in bent(proof, STATE.prove(far)):
        with pytest.raises(ProofError) as caught:
            verify_state(STATE.root, key, other)
        assert caught.value.rule == "A1", name


def test_a_key_is_absent_only_from_its_own_place() -> None:
    """A proof that holds for one key says nothing about keys of other places."""
    for asked in keys(60):
        for shown in keys(60):
            try:
                answer = verify_state(STATE.root, asked, STATE.prove(shown))
            except ProofError:
                continue
            assert answer == value_hash(STATE.get(asked))


def test_a_proof_holds_for_its_root_alone() -> None:
    proof = STATE.prove(PRESENT)
    for root in (bytes(32), state_of(121).root, STATE.update({PRESENT: {}}).root):
        with pytest.raises(ProofError, match="A1"):
            verify_state(root, PRESENT, proof)


def hashed_with_order(items: list[bytes]) -> bytes:
    return sha256(b"\x02" + b"".join(items)).digest()


Order = Callable[[bytes, bytes], list[bytes]]
MISPLACED: list[tuple[str, Order]] = [
    ("not in order", lambda a, b: [b, a]),
    ("twice", lambda a, b: [a, a, b]),
]


@pytest.mark.parametrize(("name", "order"), MISPLACED, ids=[name for name, _ in MISPLACED])
def test_a_root_over_a_bucket_out_of_order_proves_nothing(name: str, order: Order) -> None:
    """Even where the root agrees: a bucket has one form, or absence could be faked."""
    items = sorted(sha256(key).digest() + bytes(32) for key in (b"a", b"b"))
    bucket = order(*items)
    with pytest.raises(ProofError, match="A1"):
        verify_state(hashed_with_order(bucket), b"a", joined(0, [], bucket))
    assert verify_state(hashed_with_order(items), b"a", joined(0, [], items)) == bytes(32), name


def test_a_bucket_holds_only_items_of_its_own_place() -> None:
    """Even where the root agrees: an item of the other side says nothing about this one."""
    left = min((b"a", b"b", b"c", b"d"), key=lambda k: sha256(k).digest())
    right = max((b"a", b"b", b"c", b"d"), key=lambda k: sha256(k).digest())
    assert sha256(left).digest()[0] >> 7 < sha256(right).digest()[0] >> 7
    bucket = [sha256(left).digest() + bytes(32)]
    inner = hashed_with_order(bucket)
    root = sha256(b"\x03" + bytes(32) + inner).digest()  # the left item on the right side
    with pytest.raises(ProofError, match="A1"):
        verify_state(root, right, joined(1, [bytes(32)], bucket))


def test_a_bucket_holds_at_most_eight_items() -> None:
    bucket = sorted(sha256(key).digest() + bytes(32) for key in keys(9))
    with pytest.raises(ProofError, match="A1"):
        verify_state(hashed_with_order(bucket), keys(1)[0], joined(0, [], bucket))


def test_256_levels_are_the_most() -> None:
    place = int.from_bytes(sha256(b"k").digest(), "big")
    items = [sha256(b"k").digest() + bytes(32)]
    siblings = [bytes([n % 251]) * 32 for n in range(257)]

    def root_of(levels: int) -> bytes:
        node = hashed_with_order(items)
        for level in range(levels - 1, -1, -1):
            # Beyond the last bit there is none; the fold would read one anyway if it were let.
            right = place >> (255 - level) & 1 if level < 256 else 0
            pair = siblings[level] + node if right else node + siblings[level]
            node = sha256(b"\x03" + pair).digest()
        return node

    assert verify_state(root_of(256), b"k", joined(256, siblings[:256], items)) == bytes(32)
    with pytest.raises(ProofError, match="A1"):
        verify_state(root_of(257), b"k", joined(257, siblings, items))
