"""Where things come from and what rests on them: the provenance graph over records, and its walks.

An edge leads from a record to one that was on the chain before it, so the graph has no cycle. Walks
are iterative and bounded: neither depth nor a hostile shape of the graph matters.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from ledger.errors import TooLargeError
from ledger.records.envelope import Digest, Shape

MAX_NODES = 20_000
"""Records that one walk may reach; more is refused, never cut off silently."""

Relation = Literal[
    "about", "decides", "derived_from", "for_study", "generated_by", "relies_on", "supersedes",
    "under_permit", "used", "uses_indicator",
]  # fmt: skip
"""What an earlier record is to a later one."""
RELATIONS: frozenset[Relation] = frozenset(get_args(Relation))

Degree = Literal["lead", "equal", "supporting"]

Role = Literal[
    "analyst", "author", "compute_provider", "contributor", "curator", "custodian", "funder",
    "steward", "team_member",
]  # fmt: skip
"""What a party did for the object of a record."""


class Edge(Shape, frozen=True, kw_only=True):
    """From a record to an earlier one. A `used` edge without two-sided evidence has no weight
    (domain.md D9, anti-gaming): it is shown and carries no share.
    """

    counts: bool = True
    leaf: Digest
    rel: Relation


class Part(Shape, frozen=True, kw_only=True):
    """One party's part in an object: `org:`, `pid:`, `dept:` or `funder:` and its code; `leaf` is
    the record that shows it.
    """

    credit_role: str | None = None
    degree: Degree | None = None
    leaf: Digest
    local_role: str | None = None
    party: str
    role: Role


class Node(Shape, frozen=True, kw_only=True):
    """A record as the graph sees it: `kind` is its type, `name` what people call its object."""

    edges: tuple[Edge, ...] = ()
    kind: str
    leaf: Digest
    name: str
    parts: tuple[Part, ...] = ()


Cause = Literal[
    "dataset-withdrawn", "ethics-withdrawn", "key-compromised", "permit-ended", "person-erased"
]

ACTIONS: Mapping[str, str] = {
    "access-decision": "suspend-permit",
    "access-request": "review-request",
    "certificate": "review-certificate",
    "compute-run": "check-run",
    "contribution": "ask-again",
    "contribution-confirm": "ask-again",
    "dataset-version": "rebuild-dataset",
    "egress-decision": "consider-recall",
    "egress-request": "stop-egress",
    "notice": "withdraw-notice",
    "publication": "notify-publisher",
    "result": "hold-result",
}
"""What has to be done about a record that rests on something that is gone, by its type. Nothing
that was recorded changes.
"""
PERSON_ACTIONS: Mapping[str, str] = {"certificate": "reissue-with-pid", "study": "replace-person"}
"""The same for a person who is erased: records under a pid stay as they are."""
PERMIT_ACTIONS: Mapping[str, str] = {
    "access-decision": "attest-removal",
    "compute-run": "check-run",
    "egress-request": "stop-egress",
}
"""The same for a permit that was revoked or whose time is over: what came out in time stays out."""
ACTIONS_ON: Mapping[Cause, Mapping[str, str]] = {
    "permit-ended": PERMIT_ACTIONS,
    "person-erased": PERSON_ACTIONS,
}
"""The causes that ask for something else than `ACTIONS`."""


def action_on(cause: Cause, node: Node) -> str | None:
    """What has to be done about a record that a cause reaches (domain.md Q7); None for nothing."""
    return ACTIONS_ON.get(cause, ACTIONS).get(node.kind)


Find = Callable[[str], Node | None]
"""The node of a leaf hash; None where the graph does not hold it."""


class Step(NamedTuple):
    """How a walk came to a record: from where, along which edge, after how many."""

    depth: int
    rel: Relation | None
    via: str | None


class Walk(NamedTuple):
    """What a walk reached, in the order in which it did; `missing` is named by an edge and unknown
    to the graph.
    """

    nodes: dict[str, Node]
    steps: dict[str, Step]
    missing: tuple[str, ...]

    def path(self, leaf: str) -> tuple[str, ...]:
        """The leaf hashes from the start of the walk to this record, one shortest way."""
        found = [leaf]
        while (via := self.steps[found[-1]].via) is not None:
            found.append(via)
        return tuple(reversed(found))


def backward(
    find: Find,
    starts: Iterable[str],
    relations: Collection[Relation] = RELATIONS,
    limit: int = MAX_NODES,
) -> Walk:
    """All that these records come from (domain.md Q2), along edges of these relations.

    Raises `TooLargeError` (W1) beyond the limit.
    """

    def earlier(node: Node) -> Iterable[tuple[Relation, str]]:
        return ((edge.rel, edge.leaf) for edge in node.edges if edge.rel in relations)

    return _walk(find, starts, earlier, limit)


class Onward:
    """A graph by what rests on what: turned around once, walked often."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self._later: dict[str, list[tuple[Relation, str]]] = {}
        for node in nodes.values():
            for edge in node.edges:
                self._later.setdefault(edge.leaf, []).append((edge.rel, node.leaf))

    def next(self, leaf: str) -> Sequence[tuple[Relation, str]]:
        """The records that rest on this one, and how."""
        return self._later.get(leaf, ())

    def walk(self, starts: Iterable[str], limit: int = MAX_NODES) -> Walk:
        """All that rests on these records (domain.md Q7).

        Raises `TooLargeError` (W1) beyond the limit.
        """
        return _walk(self.nodes.get, starts, lambda node: self.next(node.leaf), limit)


def forward(nodes: Mapping[str, Node], starts: Iterable[str], limit: int = MAX_NODES) -> Walk:
    """`Onward.walk` for one walk. Raises `TooLargeError` (W1) beyond the limit."""
    return Onward(nodes).walk(starts, limit)


def _walk(
    find: Find,
    starts: Iterable[str],
    neighbours: Callable[[Node], Iterable[tuple[Relation, str]]],
    limit: int,
) -> Walk:
    """Breadth first, each record once, neighbours by leaf hash: the same on every machine."""
    steps = {leaf: Step(0, None, None) for leaf in sorted(set(starts))}
    queue = deque(steps)
    nodes: dict[str, Node] = {}
    missing: list[str] = []
    while queue:
        leaf = queue.popleft()
        node = find(leaf)
        if node is None:
            missing.append(leaf)
            continue
        nodes[leaf] = node
        if len(nodes) > limit:
            raise TooLargeError("W1", limit=limit)
        depth = steps[leaf].depth + 1
        for rel, other in sorted(neighbours(node), key=lambda pair: (pair[1], pair[0])):
            if other not in steps:
                steps[other] = Step(depth, rel, leaf)
                queue.append(other)
    return Walk(nodes, steps, tuple(sorted(missing)))
