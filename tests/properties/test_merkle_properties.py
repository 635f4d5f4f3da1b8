"""The history tree against its definition (RFC 9162 section 2.1), written down word for word."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import pymerkle  # type: ignore[import-untyped]
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.errors import ProofError
from ledger.merkle import (
    ENTRIES,
    Frontier,
    Tile,
    Tree,
    leaf_hash,
    leaf_hashes,
    parse_tile_path,
    tile_path,
    tiles_of,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = tuple(leaf_hash(b"%d" % n) for n in range(700))
TREE = Tree(LEAVES)


# --- the definition ---


@cache
def mth(start: int, end: int) -> bytes:
    """MTH(D[start:end])."""
    if start == end:
        return sha256(b"").digest()
    if end - start == 1:
        return LEAVES[start]
    k = split(end - start)
    return sha256(b"\x01" + mth(start, start + k) + mth(start + k, end)).digest()


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def defined_path(m: int, start: int, end: int) -> list[bytes]:
    """PATH(m, D[start:end])."""
    if end - start == 1:
        return []
    k = split(end - start)
    if m < k:
        return [*defined_path(m, start, start + k), mth(start + k, end)]
    return [*defined_path(m - k, start + k, end), mth(start, start + k)]


def defined_growth(m: int, start: int, end: int, whole: bool = True) -> list[bytes]:
    """SUBPROOF(m, D[start:end], whole)."""
    n = end - start
    if m == n:
        return [] if whole else [mth(start, end)]
    k = split(n)
    if m <= k:
        return [*defined_growth(m, start, start + k, whole), mth(start + k, end)]
    return [*defined_growth(m - k, start + k, end, False), mth(start, start + k)]


sizes = st.integers(1, 700)
two_sizes = st.tuples(sizes, sizes).map(lambda pair: (min(pair), max(pair)))
hashes = st.one_of(
    st.sampled_from(LEAVES[:4]),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=70),
)


@given(two_sizes)
def test_roots_are_the_defined_ones(pair: tuple[int, int]) -> None:
    old, new = pair
    assert TREE.root(new) == tree_hash(LEAVES[:new]) == mth(0, new)
    frontier = Frontier().extend(LEAVES[:old])
    assert frontier.root() == mth(0, old)
    assert frontier.extend(LEAVES[old:new]).root() == mth(0, new)


@given(st.lists(st.integers(0, 60), max_size=8))
def test_a_tree_that_grows_in_steps_is_the_tree_of_all(steps: list[int]) -> None:
    tree, frontier, size = Tree(), Frontier(), 0
    for step in steps:
        tree.extend(LEAVES[size : size + step])
        frontier = frontier.extend(LEAVES[size : size + step])
        size += step
        assert tree.size == frontier.size == size
        assert tree.root() == frontier.root() == mth(0, size)
    for old in (0, size // 3, size):
        assert tree.consistency(old, size) == TREE.consistency(old, size)


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=40))
@settings(max_examples=60)
def test_a_stranger_to_this_project_finds_the_same_root(entries: list[bytes]) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    theirs.append_entries(entries)
    assert theirs.get_root() == tree_hash(leaf_hashes(entries))
    assert leaf_hashes(entries) == [leaf_hash(entry) for entry in entries]


@given(two_sizes)
def test_inclusion_proofs_are_the_defined_ones(pair: tuple[int, int]) -> None:
    index, size = pair[0] - 1, pair[1]
    path = TREE.inclusion(index, size)
    assert path == defined_path(index, 0, size)
    verify_inclusion(index, size, LEAVES[index], path, mth(0, size))


@given(two_sizes)
def test_consistency_proofs_are_the_defined_ones(pair: tuple[int, int]) -> None:
    old, new = pair
    path = TREE.consistency(old, new)
    assert path == defined_growth(old, 0, new)
    verify_consistency(old, new, mth(0, old), mth(0, new), path)


# --- what may be proven, and nothing else ---


def is_taken(call: object, *given_: object) -> bool:
    """Whether a verifier takes a proof; nothing but its own error leaves it."""
    try:
        call(*given_)  # type: ignore[operator]
    except ProofError as error:
        return bool(error.rule not in ("M1", "M2", "M3"))
    return True


def edited(path: Sequence[bytes], edits: list[tuple[int, int, list[bytes]]]) -> list[bytes]:
    """Some nodes cut out and others put in."""
    nodes = list(path)
    for at, gone, new in edits:
        place = at % (len(nodes) + 1)
        nodes[place : place + gone] = new
    return nodes


edits = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 2), st.lists(hashes, max_size=2)),
    min_size=1,
    max_size=3,
)


@given(two_sizes, edits, st.integers(-2, 701), st.sampled_from(range(700)))
def test_no_mutation_of_a_path_proves_something_else(
    pair: tuple[int, int], changes: list[tuple[int, int, list[bytes]]], index: int, leaf: int
) -> None:
    size = pair[1]
    path = edited(TREE.inclusion(pair[0] - 1, size), changes)
    if is_taken(verify_inclusion, index, size, LEAVES[leaf], path, mth(0, size)):
        assert 0 <= index < size
        assert (leaf, path) == (index, defined_path(index, 0, size))


@given(two_sizes, edits, st.integers(0, 700))
def test_no_mutation_of_growth_proves_another_past(
    pair: tuple[int, int], changes: list[tuple[int, int, list[bytes]]], other: int
) -> None:
    old, new = pair
    path = edited(TREE.consistency(old, new), changes)
    for past in (mth(0, old), mth(0, other), LEAVES[other - 1]):
        if is_taken(verify_consistency, old, new, past, mth(0, new), path):
            assert (past, path) == (mth(0, old), defined_growth(old, 0, new))


numbers = st.one_of(
    st.integers(-2, 40), st.sampled_from([1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64, 10**19])
)


@given(numbers, numbers, hashes, hashes, st.lists(hashes, max_size=70))
@example(0, 1, LEAVES[0], LEAVES[0], [])
@example(5, 5, LEAVES[0], LEAVES[0], [])
def test_anything_is_refused_with_a_rule_or_holds(
    first: int, second: int, one: bytes, two: bytes, path: list[bytes]
) -> None:
    if is_taken(verify_inclusion, first, second, one, path, two):
        assert (first, second, one, path) == (0, 1, two, [])
    if is_taken(verify_consistency, first, second, one, two, path):
        assert not path
        assert (first, one) in ((0, sha256(b"").digest()), (second, two))


# --- tiles ---


@given(st.integers(0, 700))
def test_the_tiles_of_a_size_are_all_hashes_of_complete_subtrees(size: int) -> None:
    found: dict[int, bytes] = {}
    entries = 0
    paths = set()
    for tile in tiles_of(size):
        paths.add(tile.path)
        assert parse_tile_path(tile.path) == tile
        if tile.level == ENTRIES:
            assert (tile.number * 256, tile.width > 0) == (entries, True)
            entries += tile.width
            continue
        found[tile.level] = found.get(tile.level, b"") + TREE.tile(*tile)
    assert len(paths) == len(list(tiles_of(size)))
    assert entries == size
    for level in range(3):
        span = 256**level
        roots = [mth(at, at + span) for at in range(0, size - span + 1, span)]
        assert found.get(level, b"") == b"".join(roots)


@given(
    st.integers(ENTRIES, 63),
    st.one_of(st.integers(0, 3000), st.integers(0, 1 << 56)),
    st.integers(1, 256),
)
def test_tile_paths_come_back(level: int, number: int, width: int) -> None:
    path = tile_path(level, number, width % 256)
    assert parse_tile_path(path) == Tile(level, number, width)
    assert path == Tile(level, number, width).path


characters = st.text("0123456789x/.p", max_size=12)


@given(
    st.one_of(
        st.text(max_size=30),
        characters.map(lambda rest: f"tile/{rest}"),
        characters.map(lambda rest: f"tile/0/x001/{rest}"),
        st.from_regex(r"tile/(entries|\d{1,3})(/x?\d{2,4}){1,3}(\.p/\d{1,4})?\n?"),
    )
)
def test_any_path_is_refused_or_the_one_of_its_tile(path: str) -> None:
    try:
        tile = parse_tile_path(path)
    except ProofError as error:
        rule = error.rule
    else:
        assert tile.path == path
        assert (ENTRIES <= tile.level <= 63, 1 <= tile.width <= 256) == (True, True)
        return
    assert rule == "M4"
