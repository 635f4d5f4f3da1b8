"""All that an object comes from (Q2), with the records themselves and the head at which it was
worked out: what the standard forms of provenance are made from.
"""

from typing import Any, NamedTuple

from ledger.encoding import b64url
from ledger.errors import NotFoundError
from ledger.provenance import Node, backward
from ledger.records import decode_entry
from ledger.rules.graph import Graph
from node.reports.ground import Ground
from node.reports.notes import NOTES, Note
from node.reports.origins import LINEAGE_NOTES, status_of


class Element(NamedTuple):
    """One record of the graph: its node, where it stands, whose it is, when its signer says that it
    was signed, what it says, and how its object stands now.
    """

    node: Node
    entry: int
    org: str
    at: str
    body: Any
    status: str | None


class Head(NamedTuple):
    """The published head that an answer stands on."""

    chain: str
    origin: str
    height: int
    size: int
    root: str
    time_ms: int


class Lineage(NamedTuple):
    """The backward graph of the record `start`, in the order of the chain; `missing` are links that
    lead nowhere.
    """

    head: Head
    start: str
    elements: tuple[Element, ...]
    missing: tuple[str, ...]
    notes: tuple[Note, ...]


def lineage_of(ground: Ground, name: str) -> Lineage:
    """The backward graph of an object, by its name or leaf hash, with its records.

    Raises `NotFoundError` (O6) or `TooLargeError` (W1).
    """
    start = ground.leaf_of(name)
    walk = backward(Graph(ground.draft).find, [start])
    elements = [element_of(ground, leaf) for leaf in walk.nodes]
    return Lineage(
        head_of(ground),
        start,
        tuple(sorted(elements, key=lambda one: one.entry)),
        walk.missing,
        tuple(NOTES[code] for code in LINEAGE_NOTES),
    )


def element_of(ground: Ground, leaf: str) -> Element:
    """A record of the graph, by its leaf hash. Raises `NotFoundError` (O6)."""
    node, index = Graph(ground.draft).find(leaf), ground.index_of(leaf)
    if node is None or index is None:
        raise NotFoundError("O6", what="record", name=leaf)
    found = decode_entry(ground.store.entry(index))
    record, org = found.record, found.statement.iss
    return Element(node, index, org, record.at, record.body, status_of(ground, node))


def head_of(ground: Ground) -> Head:
    """The head that answers stand on."""
    tip = ground.tip
    return Head(tip.chain, tip.origin, tip.height, tip.size, b64url(tip.tree.root()), tip.time_ms)
