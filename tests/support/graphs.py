"""Provenance graphs by name, for tests: each record's leaf hash is the hash of its name."""

from collections.abc import Iterable
from hashlib import sha256

from ledger.attribution import CREDITED, Calculation, calculate
from ledger.encoding import b64url
from ledger.provenance import Edge, Node, Part, backward
from ledger.records.governance import DEFAULT_ATTRIBUTION, Attribution

Graph = dict[str, Node]


def leaf(name: str) -> str:
    """The leaf hash that stands for a record called so."""
    return b64url(sha256(name.encode()).digest())


def node(
    name: str,
    kind: str,
    edges: Iterable[tuple[str, str]] = (),
    parts: Iterable[tuple[str, str, str | None]] = (),
    shown: Iterable[str] = (),
) -> Node:
    """A record with its edges (relation, name) and parts (party, role, degree). `shown` are used
    without two-sided evidence.
    """
    bare = set(shown)
    return Node(
        edges=tuple(
            Edge(counts=other not in bare, leaf=leaf(other), rel=rel)  # type: ignore[arg-type]
            for rel, other in edges
        ),
        kind=kind,
        leaf=leaf(name),
        name=name,
        parts=tuple(
            Part(degree=degree, leaf=leaf(name), party=party, role=role)  # type: ignore[arg-type]
            for party, role, degree in parts
        ),
    )


def graph_of(nodes: Iterable[Node]) -> Graph:
    """Nodes by leaf hash."""
    return {one.leaf: one for one in nodes}


def calculation_of(
    graph: Graph,
    start: str,
    parameters: Attribution = DEFAULT_ATTRIBUTION,
    held: Iterable[str] = (),
) -> Calculation:
    """The attribution of the object of this name."""
    walk = backward(graph.get, [leaf(start)], CREDITED)
    return calculate(walk, leaf(start), parameters, leaf("policy"), frozenset(held))


def points(calculation: Calculation) -> dict[str, int]:
    """Basis points by party."""
    return {row.party: row.basis_points for row in calculation.shares.rows}


def worked_example() -> Graph:
    """The example of domain.md D9."""
    return graph_of(
        [
            node(
                "qilu",
                "dataset-version",
                parts=[
                    ("org:qilu", "custodian", None),
                    ("pid:q1", "contributor", "lead"),
                    ("pid:q2", "contributor", "supporting"),
                ],
            ),
            node(
                "guizhou",
                "dataset-version",
                parts=[
                    ("org:guizhou", "custodian", None),
                    ("pid:g1", "contributor", "lead"),
                    ("pid:g2", "contributor", "equal"),
                ],
            ),
            node(
                "standard",
                "dataset-version",
                [("derived_from", "qilu"), ("derived_from", "guizhou")],
                [("org:north", "custodian", None), ("org:north", "steward", None)],
            ),
            node(
                "indicator",
                "indicator-version",
                parts=[("pid:q1", "author", "lead"), ("pid:n1", "author", "supporting")],
            ),
            node(
                "run 1",
                "compute-run",
                [("used", "standard")],
                [("org:north", "compute_provider", None)],
            ),
            node(
                "run 2",
                "compute-run",
                [("used", "standard"), ("used", "qilu")],
                [("org:qilu", "compute_provider", None)],
            ),
            node(
                "result",
                "result",
                [
                    ("generated_by", "run 1"),
                    ("generated_by", "run 2"),
                    ("uses_indicator", "indicator"),
                ],
                [
                    ("pid:a1", "analyst", "lead"),
                    ("pid:a2", "analyst", "equal"),
                    ("pid:q1", "analyst", "supporting"),
                ],
            ),
        ]
    )
