"""The authenticated map: any fact, and any absence, has a short proof (definitions.md 4; SPEC A).

A binary trie over `SHA-256(key)` whose leaves are buckets of at most eight items. Nodes are
immutable, so that the
state of an unfinished block is just another root, and old roots cost only what differs.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

from ledger.encoding import canonical_json
from ledger.errors import ProofError

BUCKET: Final = 8
EMPTY: Final = bytes(32)
SUBJECT_START: Final = bytes(32)
"""The head of a subject log without records."""

Item = tuple[bytes, bytes, object]
"""`SHA-256(key) || SHA-256(value bytes)` as a bucket hashes them, key, value. In the order of the
tuples, items stand in the order of `SHA-256(key)`, and `(SHA-256(key),)` before the item.
"""

# A node is None (empty), (hash, bucket items) or (hash, left, right). Tuples: a million of them
# must stay small.
Bucket = tuple[bytes, tuple[Item, ...]]
Branch = tuple[bytes, "Node", "Node"]
Node = Bucket | Branch | None


def state_key(namespace: str, name: str) -> bytes:
    """The bytes of a key: `namespace || 0x00 || name`."""
    return f"{namespace}\0{name}".encode()


def subject_head(head: bytes, leaf: bytes) -> bytes:
    """The head of a subject log after one more record."""
    return sha256(b"\x04" + head + leaf).digest()


class State:
    """An immutable map. `root` commits to every key and value, `count` says how many there are."""

    __slots__ = ("_node", "count", "root")

    def __init__(self, node: Node = None, count: int = 0) -> None:
        self._node = node
        self.count = count
        self.root = _hash(node)

    def get(self, key: bytes) -> object | None:
        """The value under this key, or None."""
        place = sha256(key).digest()
        bits = int.from_bytes(place, "big")
        node, depth = self._node, 255
        while node is not None:
            if len(node) == 2:
                for item in node[1]:
                    if item[0].startswith(place):
                        return item[2]
                return None
            node = node[2] if bits >> depth & 1 else node[1]
            depth -= 1
        return None

    def update(self, changes: Mapping[bytes, object]) -> "State":
        """The map with these keys set; every value is encoded once, here."""
        if not changes:
            return self
        node, added = _insert(self._node, _items(changes), 0)
        return State(node, self.count + added)

    def items(self) -> Iterator[tuple[bytes, object]]:
        """All keys and values, in the order of `SHA-256(key)`."""
        stack: list[Node] = [self._node]
        while stack:
            node = stack.pop()
            if node is None:
                continue
            if len(node) == 2:
                yield from ((key, value) for _hashes, key, value in node[1])
            else:
                stack += (node[2], node[1])

    def prove(self, key: bytes) -> bytes:
        """The proof of what stands under this key, presence or absence."""
        place = sha256(key).digest()
        bits = int.from_bytes(place, "big")
        siblings: list[bytes] = []
        node = self._node
        while node is not None and len(node) == 3:
            right = bits >> (255 - len(siblings)) & 1
            siblings.append(_hash(node[1] if right else node[2]))
            node = node[2] if right else node[1]
        bucket = b"" if node is None else b"".join([item[0] for item in node[1]])
        return len(siblings).to_bytes(2, "big") + b"".join(siblings) + bucket


def _items(changes: Mapping[bytes, object]) -> list[Item]:
    items: list[Item] = [
        (sha256(key).digest() + sha256(canonical_json(value)).digest(), key, value)
        for key, value in changes.items()
    ]
    items.sort()
    return items


def _hash(node: Node) -> bytes:
    return EMPTY if node is None else node[0]


def _insert(node: Node, items: Sequence[Item], depth: int) -> tuple[Node, int]:
    """The node with these items (one at least, sorted, distinct) set, and how many of them are
    new.
    """
    if len(items) == 1:
        return _insert_one(node, items[0], depth)
    if node is None or len(node) == 2:
        return _fill(node, items, depth)
    middle = _split(items, depth)
    _digest, left, right = node
    added = more = 0
    if middle:
        left, added = _insert(left, items[:middle], depth + 1)
    if middle < len(items):
        right, more = _insert(right, items[middle:], depth + 1)
    return _branch(left, right), added + more


def _insert_one(node: Node, item: Item, depth: int) -> tuple[Node, int]:
    """`_insert` of one item: down to its bucket and up again, without recursion."""
    bits = int.from_bytes(item[0][:32], "big")
    path: list[Branch] = []
    bit = 255 - depth
    while node is not None and len(node) == 3:
        path.append(node)
        node = node[2] if bits >> bit & 1 else node[1]
        bit -= 1
    node, added = _fill(node, (item,), 255 - bit)
    while path:
        bit += 1
        branch = path.pop()
        node = _branch(branch[1], node) if bits >> bit & 1 else _branch(node, branch[2])
    return node, added


def _fill(node: Bucket | None, items: Sequence[Item], depth: int) -> tuple[Node, int]:
    """A bucket with these items set, split when it overflows."""
    if node is None:
        return _build(items, depth), len(items)
    old = node[1]
    merged, fresh = list(old), []
    for item in items:
        place = item[0][:32]
        at = bisect_left(old, (place,))
        if at < len(old) and old[at][0].startswith(place):
            merged[at] = item
        else:
            fresh.append(item)
    return _build(sorted(merged + fresh), depth), len(fresh)


def _build(items: Sequence[Item], depth: int) -> Node:
    """The subtree of these items, sorted."""
    if not items:
        return None
    if len(items) <= BUCKET:
        return sha256(b"\x02" + b"".join([item[0] for item in items])).digest(), tuple(items)
    middle = _split(items, depth)
    return _branch(_build(items[:middle], depth + 1), _build(items[middle:], depth + 1))


def _branch(left: Node, right: Node) -> Branch:
    both = (left[0] if left else EMPTY) + (right[0] if right else EMPTY)
    return sha256(b"\x03" + both).digest(), left, right


def _split(items: Sequence[Item], depth: int) -> int:
    """Where the items (sorted, equal in their first `depth` bits) turn from bit 0 to bit 1."""
    byte, mask = depth >> 3, 0x80 >> (depth & 7)
    low, high = 0, len(items)
    while low < high:
        middle = (low + high) // 2
        if items[middle][0][byte] & mask:
            high = middle
        else:
            low = middle + 1
    return low


EMPTY_STATE: Final = State()


def verify_state(root: bytes, key: bytes, proof: bytes) -> bytes | None:
    """What a root holds under a key: the SHA-256 of the value's bytes, or None when it is proven
    absent.

    Raises `ProofError` (A1) for a proof that is none.
    """
    depth = int.from_bytes(proof[:2], "big")
    start = 2 + 32 * depth
    bucket = proof[start:]
    if len(proof) < max(2, start) or depth > 256 or len(bucket) % 64 or len(bucket) > 64 * BUCKET:
        raise ProofError("A1")
    place = sha256(key).digest()
    bits = int.from_bytes(place, "big")
    places = [bucket[at : at + 32] for at in range(0, len(bucket), 64)]
    prefix = bits >> (256 - depth)
    ordered = all(a < b for a, b in pairwise(places))
    if not ordered or any(int.from_bytes(k, "big") >> (256 - depth) != prefix for k in places):
        raise ProofError("A1")
    node = sha256(b"\x02" + bucket).digest() if bucket else EMPTY
    for level in range(depth - 1, -1, -1):
        sibling = proof[2 + 32 * level : 34 + 32 * level]
        pair = sibling + node if bits >> (255 - level) & 1 else node + sibling
        node = sha256(b"\x03" + pair).digest()
    if node != root:
        raise ProofError("A1")
    if place in places:
        at = 64 * places.index(place)
        return bucket[at + 32 : at + 64]
    return None
