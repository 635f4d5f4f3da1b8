"""The history tree: RFC 9162 section 2.1 with SHA-256, and its tiles (C2SP tlog-tiles); on `int`
and `bytes` only.

`Frontier` is the immutable head of a growing tree, as blocks need it; `Tree` keeps all nodes and
answers proofs.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from struct import Struct
from typing import Final, NamedTuple

from ledger.errors import ProofError, ensure

EMPTY_ROOT: Final = sha256(b"").digest()
_NODE: Final = Struct("32s").unpack_from
_LEAF: Final = sha256(b"\x00")
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_LEVEL: Final = 63


def leaf_hash(data: bytes) -> bytes:
    """`SHA-256(0x00 || data)`."""
    return sha256(b"\x00" + data).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """The leaf hashes of many entries: copying a fed hash is cheaper than joining the prefix."""
    copy, hashes = _LEAF.copy, []
    for entry in entries:
        digest = copy()
        digest.update(entry)
        hashes.append(digest.digest())
    return hashes


def node_hash(left: bytes, right: bytes) -> bytes:
    """`SHA-256(0x01 || left || right)`."""
    return sha256(b"\x01" + left + right).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """MTH over these leaf hashes."""
    if not leaves:
        return EMPTY_ROOT
    row = list(leaves)
    while len(row) > 1:
        pairs = iter(row)
        above = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(pairs, pairs, strict=False)
        ]
        if len(row) & 1:
            above.append(row[-1])
        row = above
    return row[0]


class Frontier(NamedTuple):
    """The roots of the complete subtrees of a tree, largest first: all that appending needs."""

    size: int = 0
    stack: tuple[bytes, ...] = ()

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier after these leaf hashes."""
        size, stack = self.size, list(self.stack)
        pop = stack.pop
        for node in leaves:
            count = size
            while count & 1:
                node = sha256(b"\x01" + pop() + node).digest()
                count >>= 1
            stack.append(node)
            size += 1
        return Frontier(size, tuple(stack))

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier after one more leaf hash."""
        return self.extend((leaf,))

    def root(self) -> bytes:
        """The root of the tree."""
        if not self.stack:
            return EMPTY_ROOT
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = node_hash(left, root)
        return root


class Tree:
    """All nodes of complete subtrees, level by level, 64 bytes for each leaf; derived from the leaf
    hashes.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[bytearray] = [bytearray()]
        self.extend(leaves)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0]) // 32

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes."""
        self._levels[0] += b"".join(leaves)
        level = 0
        while True:
            row = self._levels[level]
            pairs = len(row) // 64
            if pairs == 0:
                return
            if level + 1 == len(self._levels):
                self._levels.append(bytearray())
            above = self._levels[level + 1]
            done = len(above) // 32
            above += b"".join(
                [sha256(b"\x01" + row[64 * i : 64 * i + 64]).digest() for i in range(done, pairs)]
            )
            level += 1

    def leaf(self, index: int) -> bytes:
        """The leaf hash at an index."""
        ensure(0 <= index < self.size, "asked for a leaf outside the tree")
        return bytes(self._levels[0][32 * index : 32 * index + 32])

    def leaves(self, start: int, end: int) -> list[bytes]:
        """The leaf hashes of a range."""
        row = bytes(self._levels[0][32 * start : 32 * end])
        return [row[at : at + 32] for at in range(0, len(row), 32)]

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves."""
        size = self.size if size is None else size
        return self._range(0, size) if size else EMPTY_ROOT

    def _range(self, start: int, end: int) -> bytes:
        """MTH of leaves [start, end), where start is a multiple of the largest power of two below
        its width.
        """
        root: bytes | None = None
        at = end
        # Complete subtrees from the right, smallest first.
        while at > start:
            level = ((at & -at) if at else 1).bit_length() - 1
            while (1 << level) > at - start:
                level -= 1
            index = (at >> level) - 1
            node = bytes(self._levels[level][32 * index : 32 * index + 32])
            root = node if root is None else node_hash(node, root)
            at -= 1 << level
        ensure(root is not None, "an empty range has no hash here")
        return root or EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """PATH(index, D[size]), leaf sibling first."""
        levels, end = self._levels, size - 1
        ensure(0 <= index <= end < len(levels[0]) >> 5, "asked for a path outside the tree")
        # Below the level where the paths to this leaf and to the last one meet, every sibling is
        # complete; at that level it is the last node of its row; above it lies on the left, or
        # there is none.
        meet = (index ^ end).bit_length() - 1
        path: list[bytes] = []
        append, place = path.append, index
        for row in levels[: max(meet, 0)]:
            append(_NODE(row, (place ^ 1) << 5)[0])
            place >>= 1
        if meet >= 0:
            last = end >> meet
            if (last + 1) << meet == size:
                append(_NODE(levels[meet], last << 5)[0])
            else:
                append(self._range(last << meet, size))
        for at in range(meet + 1, end.bit_length()):
            if index >> at & 1:
                append(_NODE(levels[at], (index >> at ^ 1) << 5)[0])
        return path

    def consistency(self, old: int, new: int) -> list[bytes]:
        """PROOF(old, D[new]); empty when old is 0 or equal to new."""
        ensure(0 <= old <= new <= self.size, "asked for growth outside the tree")
        if old in (0, new):
            return []
        path: list[bytes] = []
        start, end, whole = 0, new, True
        # SUBPROOF, from the root down; the answer is listed from the leaves up.
        while old != end - start:
            k = 1 << (end - start - 1).bit_length() - 1
            if old <= k:
                path.append(self._range(start + k, end))
                end = start + k
            else:
                path.append(self._range(start, start + k))
                start, old, whole = start + k, old - k, False
        if not whole:
            path.append(self._range(start, end))
        return path[::-1]

    def tile(self, level: int, number: int, width: int) -> bytes:
        """The hashes of a tile: `width` roots of complete subtrees of 256^level leaves."""
        row = self._levels[TILE_HEIGHT * level]
        start = 32 * TILE_WIDTH * number
        tile = bytes(row[start : start + 32 * width])
        ensure(len(tile) == 32 * width, "asked for a tile outside the tree")
        return tile


# --- verification
# --------------------------------------------------------------------------------------------------


def _check_hashes(*hashes: bytes) -> None:
    if set(map(len, hashes)) != {32}:
        raise ProofError("M1")


def verify_inclusion(
    index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes
) -> None:
    """RFC 9162 section 2.1.3.2, with the number of right turns worked out beforehand.

    Raises `ProofError`: M1 for a malformed proof, M2 for one that does not lead to the root.
    """
    _check_hashes(leaf, root, *path)
    if not 0 <= index < size:
        raise ProofError("M1")
    # Up to the level where the paths to this leaf and to the last one meet, the index says the
    # side; above it every sibling is on the left: ones without end.
    inner = (index ^ (size - 1)).bit_length()
    if len(path) != inner + (index >> inner).bit_count():
        raise ProofError("M2")
    node, at, digest = leaf, index | -1 << inner, sha256
    for sibling in path:
        if at & 1:
            node = digest(b"\x01" + sibling + node).digest()
        else:
            node = digest(b"\x01" + node + sibling).digest()
        at >>= 1
    if node != root:
        raise ProofError("M2")


def verify_consistency(
    old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]
) -> None:
    """RFC 9162 section 2.1.4.2. Raises `ProofError` (M1, M3). An old size of 0 takes an empty path
    only.
    """
    _check_hashes(old_root, new_root, *path)
    if not 0 <= old <= new:
        raise ProofError("M1")
    if old in (0, new):
        expected = new_root if old else EMPTY_ROOT
        if path or old_root != expected or (new == 0 and new_root != EMPTY_ROOT):
            raise ProofError("M3")
    elif not path or _fold_growth(old, new, old_root, path) != (old_root, new_root):
        raise ProofError("M3")


def _fold_growth(
    old: int, new: int, old_root: bytes, path: Sequence[bytes]
) -> tuple[bytes, bytes] | None:
    """The two roots that a consistency path leads to, or None when it is too long or too short."""
    rest = list(path)
    first = old_root if old & (old - 1) == 0 else rest.pop(0)
    at, last = old - 1, new - 1
    while at & 1:
        at >>= 1
        last >>= 1
    before = after = first
    for node in rest:
        if last == 0:
            return None
        if at & 1 or at == last:
            before, after = node_hash(node, before), node_hash(node, after)
            while not at & 1 and at:
                at >>= 1
                last >>= 1
        else:
            after = node_hash(after, node)
        at >>= 1
        last >>= 1
    return None if last else (before, after)


# --- tiles ---


class Tile(NamedTuple):
    """A tile or an entry bundle (`level` -1); `width` 256 is a full one."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it stands under the log's prefix."""
        return tile_path(self.level, self.number, 0 if self.width == TILE_WIDTH else self.width)


ENTRIES: Final = -1
"""The level of entry bundles."""

_GROUPS = r"((?:x[0-9]{3}/)*[0-9]{3})"
_PATH = re.compile(rf"\Atile/(entries|[0-9]{{1,2}})/{_GROUPS}(?:\.p/([0-9]{{1,3}}))?\Z", re.ASCII)


def tile_path(level: int, number: int, width: int = 0) -> str:
    """The path of a tile; `width` 0 is a full one."""
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    name = "entries" if level == ENTRIES else str(level)
    return f"tile/{name}/{'/'.join(groups)}" + (f".p/{width}" if width else "")


def parse_tile_path(path: str) -> Tile:
    """The tile that a path names. Raises `ProofError` (M4) unless it is the one path of that
    tile.
    """
    found = _PATH.match(path)
    if found is None:
        raise ProofError("M4")
    kind, groups, partial = found.groups()
    level = ENTRIES if kind == "entries" else int(kind)
    number = int(groups.replace("x", "").replace("/", ""))
    width = int(partial) if partial else TILE_WIDTH
    tile = Tile(level, number, width)
    if level > MAX_LEVEL or (partial and not 0 < width < TILE_WIDTH) or tile.path != path:
        raise ProofError("M4")
    return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """All tiles and entry bundles of exactly this size: the full ones, and the partial ones that it
    implies.
    """
    level, count = 0, size
    while count:
        for kind in (ENTRIES, 0) if level == 0 else (level,):
            yield from (Tile(kind, number, TILE_WIDTH) for number in range(count // TILE_WIDTH))
            if count % TILE_WIDTH:
                yield Tile(kind, count // TILE_WIDTH, count % TILE_WIDTH)
        count //= TILE_WIDTH
        level += 1
