"""The history tree: known roots, proofs that cannot be bent, tiles and their one path."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pymerkle  # type: ignore[import-untyped]
import pytest

from ledger.errors import InvariantError, ProofError
from ledger.merkle import (
    EMPTY_ROOT,
    ENTRIES,
    Frontier,
    Tile,
    Tree,
    leaf_hash,
    leaf_hashes,
    node_hash,
    parse_tile_path,
    tile_path,
    tiles_of,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots of formats.md F1 (RFC 6962's test set, in transparency-dev/merkle, too).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
LEAVES = leaf_hashes(INPUTS)
TREE = Tree(LEAVES)

# Of formats.md F13: the entries `a`, `b`, `c`.
LEAF_A = "022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c"
LEAF_B = "57eb35615d47f34ec714cacdf5fd74608a5e8e102724e80b24b287c0c27b6a31"
LEAF_C = "597fcb31282d34654c200d3418fca5705c648ebf326ec73d8ddef11841f876d8"
ROOT_3 = "36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1"


def rule_of(call: Any, *given: Any) -> str:  # noqa: ANN401
    """The rule by which a call refuses what it was given."""
    with pytest.raises(ProofError) as caught:
        call(*given)
    assert caught.value.sentence("en") != caught.value.sentence("zh")
    return caught.value.rule


def many(count: int) -> list[bytes]:
    """So many leaf hashes."""
    return [leaf_hash(b"%d" % n) for n in range(count)]


# --- roots ---


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    root = bytes.fromhex(ROOTS[size])
    assert tree_hash(LEAVES[:size]) == root
    assert TREE.root(size) == root
    assert Tree(LEAVES[:size]).root() == root
    assert Frontier().extend(LEAVES[:size]).root() == root


def test_known_leaves_and_root_of_three() -> None:
    leaves = [leaf_hash(entry) for entry in (b"a", b"b", b"c")]
    assert leaves == leaf_hashes((b"a", b"b", b"c"))
    assert [leaf.hex() for leaf in leaves] == [LEAF_A, LEAF_B, LEAF_C]
    assert tree_hash(leaves).hex() == ROOT_3
    assert node_hash(node_hash(leaves[0], leaves[1]), leaves[2]).hex() == ROOT_3


def test_leaves_and_nodes_are_kept_apart() -> None:
    """An entry that looks like two hashes is not the node above them."""
    left, right = many(2)
    assert leaf_hash(left + right) != node_hash(left, right)
    assert EMPTY_ROOT == sha256(b"").digest() != leaf_hash(b"")


@pytest.mark.parametrize("size", [*range(1, 40), 255, 256, 257])
def test_a_stranger_to_this_project_finds_the_same_roots(size: int) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    entries = [b"%d" % n for n in range(size)]
    for entry in entries:
        theirs.append_entry(entry)
    assert theirs.get_root() == tree_hash(leaf_hashes(entries))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 21])
def test_a_stranger_to_this_project_takes_our_paths(size: int) -> None:
    theirs = pymerkle.InmemoryTree(algorithm="sha256")
    ours = Tree(many(size))
    for n in range(size):
        theirs.append_entry(b"%d" % n)
    for index in range(size):
        proof = theirs.prove_inclusion(index + 1, size)
        # Theirs begins with the leaf itself.
        assert [bytes(node) for node in proof.path[1:]] == ours.inclusion(index, size)
        proof.path[1:] = ours.inclusion(index, size)
        pymerkle.verify_inclusion(ours.leaf(index), ours.root(), proof)
    for old in range(1, size + 1):
        # Their growth proofs list other nodes; their verdict on our roots is what counts.
        growth = theirs.prove_consistency(old, size)
        pymerkle.verify_consistency(ours.root(old), ours.root(), growth)


def test_a_frontier_is_what_it_was_whatever_is_appended() -> None:
    old = Frontier().extend(LEAVES[:5])
    root, new = old.root(), old.append(LEAVES[5])
    assert (old.size, old.root()) == (5, root) == (5, TREE.root(5))
    assert (new.size, new.root()) == (6, TREE.root(6))
    assert old.extend(()) == old
    assert [len(Frontier().extend(many(size)).stack) for size in (0, 1, 7, 8, 9)] == [0, 1, 3, 1, 2]


def test_a_tree_grows_by_any_steps() -> None:
    leaves = many(300)
    tree = Tree()
    for start, end in ((0, 0), (0, 1), (1, 2), (2, 255), (255, 257), (257, 257), (257, 300)):
        tree.extend(leaves[start:end])
        assert (tree.size, tree.root()) == (end, tree_hash(leaves[:end]))
    assert tree.leaves(254, 258) == leaves[254:258]
    assert tree.leaf(299) == leaves[299]


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("leaf", (8,)),
        ("leaf", (-1,)),
        ("inclusion", (8, 8)),
        ("inclusion", (3, 3)),
        ("inclusion", (0, 9)),
        ("inclusion", (-1, 8)),
        ("inclusion", (0, 0)),
        ("consistency", (5, 4)),
        ("consistency", (4, 9)),
        ("consistency", (-1, 4)),
        ("tile", (0, 0, 9)),
        ("tile", (0, 1, 1)),
    ],
)
def test_asking_beyond_the_tree_is_our_own_mistake(name: str, given: tuple[int, ...]) -> None:
    with pytest.raises(InvariantError):
        getattr(TREE, name)(*given)


# --- inclusion ---

Inclusion = tuple[int, int, bytes, Sequence[bytes], bytes]


def inclusion(index: int, size: int) -> Inclusion:
    """What proves the leaf at an index of the known tree."""
    return index, size, LEAVES[index], TREE.inclusion(index, size), TREE.root(size)


GOOD = inclusion(4, 7)
INDEX, SIZE, LEAF, PATH, ROOT = GOOD


def test_all_inclusion_proofs_of_the_known_tree() -> None:
    for size in range(1, 9):
        for index in range(size):
            verify_inclusion(*inclusion(index, size))
    assert TREE.inclusion(0, 1) == []


REFUSED_INCLUSION: dict[str, tuple[Inclusion, str]] = {
    "another index": ((5, SIZE, LEAF, PATH, ROOT), "M2"),
    "an index of another shape": ((0, SIZE, LEAF, PATH, ROOT), "M2"),
    "another size and its root": ((INDEX, 8, LEAF, PATH, TREE.root(8)), "M2"),
    "a size of another shape": ((INDEX, 5, LEAF, PATH, ROOT), "M2"),
    "a huge size": ((INDEX, 1 << 62, LEAF, PATH, ROOT), "M2"),
    "another leaf": ((INDEX, SIZE, LEAVES[5], PATH, ROOT), "M2"),
    "path without its end": ((INDEX, SIZE, LEAF, PATH[:-1], ROOT), "M2"),
    "path without its beginning": ((INDEX, SIZE, LEAF, PATH[1:], ROOT), "M2"),
    "path that goes on": ((INDEX, SIZE, LEAF, [*PATH, ROOT], ROOT), "M2"),
    "path from below": ((INDEX, SIZE, LEAF, [LEAF, *PATH], ROOT), "M2"),
    "path upside down": ((INDEX, SIZE, LEAF, PATH[::-1], ROOT), "M2"),
    "no path": ((INDEX, SIZE, LEAF, [], ROOT), "M2"),
    "another root": ((INDEX, SIZE, LEAF, PATH, TREE.root(6)), "M2"),
    "the root as leaf": ((INDEX, SIZE, ROOT, [], ROOT), "M2"),
    "a tree of one": ((0, 1, LEAF, [], ROOT), "M2"),
    "index at the end": ((7, SIZE, LEAF, PATH, ROOT), "M1"),
    "negative index": ((-1, SIZE, LEAF, PATH, ROOT), "M1"),
    "negative size": ((INDEX, -7, LEAF, PATH, ROOT), "M1"),
    "empty tree": ((0, 0, LEAF, [], EMPTY_ROOT), "M1"),
    "short leaf": ((INDEX, SIZE, LEAF[:31], PATH, ROOT), "M1"),
    "long root": ((INDEX, SIZE, LEAF, PATH, ROOT + b"\0"), "M1"),
    "no root": ((INDEX, SIZE, LEAF, PATH, b""), "M1"),
    "long node": ((INDEX, SIZE, LEAF, [*PATH[:-1], PATH[-1] + b"\0"], ROOT), "M1"),
    "empty node": ((INDEX, SIZE, LEAF, [b"", *PATH], ROOT), "M1"),
    "empty leaf and root": ((0, 1, b"", [], b""), "M1"),
    "a byte moved between leaf and node": (
        (4, 6, LEAVES[4] + LEAVES[5][:1], [LEAVES[5][1:], TREE.root(4)], TREE.root(6)),
        "M1",
    ),
}


@pytest.mark.parametrize("name", REFUSED_INCLUSION)
def test_inclusion_proofs_that_are_refused(name: str) -> None:
    verify_inclusion(*GOOD)
    changed, rule = REFUSED_INCLUSION[name]
    assert rule_of(verify_inclusion, *changed) == rule


def test_a_node_is_no_leaf() -> None:
    """Second preimage: the children of a node offered as one entry."""
    pair = LEAVES[0] + LEAVES[1]
    assert rule_of(verify_inclusion, 0, 2, leaf_hash(pair), [TREE.root(2)], TREE.root(4)) == "M2"


# --- consistency ---


def test_all_consistency_proofs_of_the_known_tree() -> None:
    for new in range(9):
        for old in range(new + 1):
            path = TREE.consistency(old, new)
            assert bool(path) == (0 < old < new)
            verify_consistency(old, new, TREE.root(old), TREE.root(new), path)


OLD_ROOT, NEW_ROOT, GROWTH = TREE.root(3), TREE.root(7), TREE.consistency(3, 7)
WHOLE = TREE.consistency(4, 7)


Consistency = tuple[int, int, bytes, bytes, Sequence[bytes]]
REFUSED_GROWTH: dict[str, tuple[Consistency, str]] = {
    "no path": ((3, 7, OLD_ROOT, NEW_ROOT, []), "M3"),
    "path without its end": ((3, 7, OLD_ROOT, NEW_ROOT, GROWTH[:-1]), "M3"),
    "path without its beginning": ((3, 7, OLD_ROOT, NEW_ROOT, GROWTH[1:]), "M3"),
    "path of one": ((3, 7, OLD_ROOT, NEW_ROOT, GROWTH[:1]), "M3"),
    "path that goes on": ((3, 7, OLD_ROOT, NEW_ROOT, [*GROWTH, NEW_ROOT]), "M3"),
    "path from below": ((3, 7, OLD_ROOT, NEW_ROOT, [OLD_ROOT, *GROWTH]), "M3"),
    "path upside down": ((3, 7, OLD_ROOT, NEW_ROOT, GROWTH[::-1]), "M3"),
    "another old root": ((3, 7, TREE.root(2), NEW_ROOT, GROWTH), "M3"),
    "another new root": ((3, 7, OLD_ROOT, TREE.root(8), GROWTH), "M3"),
    "roots exchanged": ((3, 7, NEW_ROOT, OLD_ROOT, GROWTH), "M3"),
    "another old size": ((2, 7, OLD_ROOT, NEW_ROOT, GROWTH), "M3"),
    "a later old size": ((5, 7, OLD_ROOT, NEW_ROOT, GROWTH), "M3"),
    "a new size of another shape": ((3, 4, OLD_ROOT, NEW_ROOT, GROWTH), "M3"),
    "a far larger new size": ((3, 9, OLD_ROOT, NEW_ROOT, GROWTH), "M3"),
    "whole old tree, cut": ((4, 7, TREE.root(4), NEW_ROOT, WHOLE[1:]), "M3"),
    "whole old tree, named": ((4, 7, TREE.root(4), NEW_ROOT, [TREE.root(4), *WHOLE]), "M3"),
    "whole old tree, another": ((4, 7, TREE.root(3), NEW_ROOT, WHOLE), "M3"),
    "same size, other root": ((7, 7, NEW_ROOT, OLD_ROOT, []), "M3"),
    "same size, with a path": ((7, 7, NEW_ROOT, NEW_ROOT, [NEW_ROOT]), "M3"),
    "from nothing, with a path": ((0, 7, EMPTY_ROOT, NEW_ROOT, [NEW_ROOT]), "M3"),
    "from nothing, with a root": ((0, 7, OLD_ROOT, NEW_ROOT, []), "M3"),
    "nothing, with a new root": ((0, 0, EMPTY_ROOT, NEW_ROOT, []), "M3"),
    "nothing, with roots": ((0, 0, NEW_ROOT, NEW_ROOT, []), "M3"),
    "nothing, with a path": ((0, 0, EMPTY_ROOT, EMPTY_ROOT, [EMPTY_ROOT]), "M3"),
    "shrinking": ((7, 3, NEW_ROOT, OLD_ROOT, GROWTH), "M1"),
    "shrinking to nothing": ((1, 0, OLD_ROOT, EMPTY_ROOT, []), "M1"),
    "negative size": ((-1, 7, OLD_ROOT, NEW_ROOT, GROWTH), "M1"),
    "short old root": ((3, 7, OLD_ROOT[1:], NEW_ROOT, GROWTH), "M1"),
    "long new root": ((3, 7, OLD_ROOT, NEW_ROOT + b"\0", GROWTH), "M1"),
    "empty node": ((3, 7, OLD_ROOT, NEW_ROOT, [*GROWTH[:-1], b""]), "M1"),
    "empty roots": ((7, 7, b"", b"", []), "M1"),
}


@pytest.mark.parametrize("name", REFUSED_GROWTH)
def test_consistency_proofs_that_are_refused(name: str) -> None:
    verify_consistency(3, 7, OLD_ROOT, NEW_ROOT, GROWTH)
    verify_consistency(4, 7, TREE.root(4), NEW_ROOT, WHOLE)
    changed, rule = REFUSED_GROWTH[name]
    assert rule_of(verify_consistency, *changed) == rule


def test_a_path_alone_binds_no_size() -> None:
    """Sizes of one shape share a path (RFC 9162): size and root are one only in a signed head."""
    for size in (5, 6, 7, 8):
        verify_consistency(3, size, OLD_ROOT, NEW_ROOT, GROWTH)
    verify_inclusion(2, 5, LEAVES[2], TREE.inclusion(2, 7), NEW_ROOT)


def test_a_rewritten_history_has_no_proof() -> None:
    """Every path that either tree could offer is refused."""
    other = Tree([LEAVES[7], *LEAVES[1:]])
    for old in range(1, 8):
        for new in range(old + 1, 9):
            for path in (TREE.consistency(old, new), other.consistency(old, new)):
                given = (old, new, TREE.root(old), other.root(new), path)
                assert rule_of(verify_consistency, *given) == "M3"


# --- tiles (C2SP tlog-tiles) ---


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        (0, 0, 0, "tile/0/000"),
        (0, 5, 0, "tile/0/005"),
        (0, 1000, 0, "tile/0/x001/000"),
        (1, 1_234_067, 0, "tile/1/x001/x234/067"),
        (63, 999, 255, "tile/63/999.p/255"),
        (ENTRIES, 273, 112, "tile/entries/273.p/112"),
        (2, 0, 1, "tile/2/000.p/1"),
        (0, 10**9, 0, "tile/0/x001/x000/x000/000"),
    ],
)
def test_tile_paths(level: int, number: int, width: int, path: str) -> None:
    assert tile_path(level, number, width) == path
    tile = Tile(level, number, width or 256)
    assert tile.path == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/5",
        "tile/0/0005",
        "tile/00/005",
        "tile/64/000",
        "tile/100/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/005",
        "tile/0/x001/x000/5",
        "tile/0/x001/",
        "tile/0/001/000",
        "tile/0/001000",
        "tile/0/X001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/00",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/-1",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/００0",
        "/tile/0/000",
        "tile//0/000",
        "tile/0/../000",
        "x/tile/0/000",
        "Tile/0/000",
        "tile/Entries/000",
    ],
)
def test_paths_that_name_no_tile(path: str) -> None:
    assert rule_of(parse_tile_path, path) == "M4"


def of_level(size: int, level: int) -> list[str]:
    """The paths of one level of a tree of this size."""
    return [tile.path for tile in tiles_of(size) if tile.level == level]


def test_the_tiles_of_a_size_are_those_of_the_specification() -> None:
    """70,000 and 256 are C2SP's own examples."""
    assert of_level(70_000, 0) == [*(f"tile/0/{n:03}" for n in range(273)), "tile/0/273.p/112"]
    assert of_level(70_000, 1) == ["tile/1/000", "tile/1/001.p/17"]
    assert of_level(70_000, 2) == ["tile/2/000.p/1"]
    assert of_level(70_000, 3) == []
    assert [t.path for t in tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert [t.path for t in tiles_of(1)] == ["tile/entries/000.p/1", "tile/0/000.p/1"]
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize("size", [1, 255, 256, 257, 600])
def test_tiles_hold_the_roots_of_complete_subtrees(size: int) -> None:
    leaves = many(size)
    tree = Tree(leaves)
    for level, number, width in tiles_of(size):
        if level == ENTRIES:
            continue
        span = 256**level
        roots = [
            tree_hash(leaves[at * span : (at + 1) * span])
            for at in range(256 * number, 256 * number + width)
        ]
        assert tree.tile(level, number, width) == b"".join(roots)


def test_level_two_needs_a_full_level_one() -> None:
    leaves = many(256) * 256
    tree = Tree(leaves)
    assert tree.tile(2, 0, 1) == tree.root() == tree_hash(leaves)
    assert tree.tile(1, 0, 256) == tree_hash(leaves[:256]) * 256
