"""The provenance graph in the rule state: one node for each record that others come from, and the
attribution that every node works out from it (SPEC 12).
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ledger.attribution import CREDITED, DATASET, RUN, Calculation, calculate
from ledger.provenance import Edge, Node, Part, Relation, Role, Walk, backward
from ledger.records.authorisation import StudyBody
from ledger.records.catalogue import Party
from ledger.records.envelope import Record, Shape
from ledger.records.governance import DEFAULT_ATTRIBUTION, Attribution
from ledger.records.use import Used
from ledger.rules.draft import At, Draft
from ledger.rules.entitlement import ResultState
from ledger.rules.permits import terms_at
from ledger.rules.runs import has_access
from ledger.rules.standing import (
    EthicsState,
    PermitState,
    RunState,
    StudyState,
)
from ledger.rules.values import DatasetState, VersionState
from ledger.state import State, state_key


def party_name(party: Party) -> str:
    """A party as the graph and the shares know it."""
    if party.person is not None:
        return f"pid:{party.person}"
    return f"dept:{party.org}/{party.unit}" if party.unit is not None else f"org:{party.org}"


def node_at(draft: Draft, leaf: str) -> Node | None:
    """The node of a record; None where the graph has none."""
    return draft.get(Node, "node", leaf)


def name_at(draft: Draft, leaf: str, kind: str) -> str | None:
    """What the object of this record is called, if the record is of this type."""
    node = node_at(draft, leaf)
    return node.name if node is not None and node.kind == kind else None


# --- nodes of records ---


def node_of(
    draft: Draft, changes: Mapping[bytes, Shape], record: Record[Any], org: str, leaf: str
) -> Node | None:
    """The node of a record that took effect with these changes; None for types outside the
    graph.
    """
    made = NODES.get(record.type)
    if made is None:
        return None
    name, edges, parts = made(Given(draft, changes, record.body, org, leaf))
    unique = {(edge.rel, edge.leaf): edge for edge in edges}
    return Node(
        edges=tuple(unique[key] for key in sorted(unique)),
        kind=record.type,
        leaf=leaf,
        name=name,
        parts=tuple(parts),
    )


def node_changes(
    draft: Draft, changes: Mapping[bytes, Shape], record: Record[Any], org: str, leaf: str
) -> dict[bytes, Shape]:
    """The node of a record as a change of the state; nothing for types outside the graph."""
    node = node_of(draft, changes, record, org, leaf)
    return {} if node is None else {state_key("node", leaf): node}


class Given(NamedTuple):
    """A record that took effect: the state before it, what it changed, its body, who wrote it."""

    draft: Draft
    changes: Mapping[bytes, Shape]
    body: Any
    org: str
    leaf: str


Made = tuple[str, list[Edge], list[Part]]
"""Name, edges and parts of a node."""


def _edges(rel: Relation, *leaves: str | None) -> list[Edge]:
    return [Edge(leaf=leaf, rel=rel) for leaf in leaves if leaf is not None]


def _part(role: Role, party: str, leaf: str) -> Part:
    return Part(leaf=leaf, party=party, role=role)


def _version(given: Given) -> Made:
    body, leaf = given.body, given.leaf
    parts = [_part("custodian", f"org:{given.org}", leaf)]
    named: tuple[tuple[Role, Party | None], ...] = (
        ("curator", body.curator),
        ("steward", body.steward),
    )
    parts += [_part(role, party_name(party), leaf) for role, party in named if party is not None]
    edges = [*_edges("derived_from", *body.sources), *_edges("relies_on", *body.permits)]
    return f"{body.series_id}@{body.version}", edges, parts


def _indicator(given: Given) -> Made:
    body = given.body
    return f"{body.code}@{body.version}", _edges("supersedes", body.predecessor), []


def _study(given: Given) -> Made:
    return given.body.study_no, [], _study_parts(given.body, given.leaf)


def _study_parts(body: StudyBody, leaf: str) -> list[Part]:
    parts = [_part("team_member", f"pid:{one.person}", leaf) for one in body.team]
    return [*parts, *(_part("funder", f"funder:{code}", leaf) for code in body.funders)]


def _ethics(given: Given) -> Made:
    body = given.body
    before = given.draft.get(EthicsState, "ethics", body.approval_id)
    earlier = _edges("supersedes", before.leaf if before else None)
    return body.approval_id, [*_edges("for_study", body.study), *earlier], []


def _request(given: Given) -> Made:
    body = given.body
    edges = [
        *_edges("about", *body.datasets),
        *_edges("for_study", body.study),
        *_edges("relies_on", *body.ethics),
        *_edges("supersedes", body.revises),
    ]
    return body.request_id, edges, []


def _decision(given: Given) -> Made:
    body = given.body
    request = node_at(given.draft, body.request)
    study = [edge.leaf for edge in request.edges if edge.rel == "for_study"] if request else []
    edges = [
        *_edges("about", *body.datasets),
        *_edges("decides", body.request),
        *_edges("for_study", *study),
        *_edges("supersedes", body.amends),
    ]
    return body.permit_id or given.leaf, edges, []


def _status(given: Given) -> Made:
    permit = given.body.permit
    name = name_at(given.draft, permit, "access-decision")
    return name or given.leaf, _edges("about", permit), []


def _run(given: Given) -> Made:
    draft, body = given.draft, given.body
    name = f"{given.org}/{body.run_id}"
    run = given.changes.get(state_key("run", name))
    used = run.used if isinstance(run, RunState) else body.used
    permit = draft.get(PermitState, "permit", body.permit) if body.permit else None
    edges = [
        *_edges("under_permit", permit.terms.decision if permit else None),
        *_edges("used", *(_used_leaf(draft, one) for one in used)),
    ]
    provider = body.compute_node.partition("/")[0]
    return name, edges, [_part("compute_provider", f"org:{provider}", given.leaf)]


def _used_leaf(draft: Draft, used: Used) -> str | None:
    """The record that registered an input, where one did."""
    if used.name is None:
        return None
    if used.kind == "result":
        result = draft.get(ResultState, "result", used.name)
        return result.leaf if result else None
    version = version_named(draft, used.name)
    return version.leaf if version else None


def version_named(draft: Draft, name: str) -> VersionState | None:
    """The version of this name; of a series, its newest."""
    if "@" not in name:
        series = draft.get(DatasetState, "dataset", name)
        name = f"{name}@{series.latest}" if series and series.latest else name
    return draft.get(VersionState, "version", name)


def _result(given: Given) -> Made:
    body = given.body
    edges = [
        *_edges("for_study", body.study),
        *_edges("generated_by", *body.generated_by),
        *_edges("supersedes", body.supersedes),
        *_edges("uses_indicator", *body.indicators),
    ]
    return body.result_id, edges, []


def _about(name: str, *fields: tuple[Relation, str]) -> Callable[[Given], Made]:
    """The node of a record that is about, decides on, relies on or replaces others, by field."""

    def made(given: Given) -> Made:
        body = given.body
        named = [edge for rel, field in fields for edge in _edges(rel, getattr(body, field))]
        return getattr(body, name) if name else given.leaf, named, []

    return made


NODES: Final[Mapping[str, Callable[[Given], Made]]] = {
    "access-decision": _decision,
    "access-request": _request,
    "certificate": _about(
        "cert_no", ("about", "object"), ("relies_on", "notice"), ("supersedes", "supersedes")
    ),
    "compute-run": _run,
    "contribution": _about("", ("about", "object")),
    "contribution-confirm": _about("", ("decides", "contribution")),
    "dataset-version": _version,
    "dispute": _about("dispute_id", ("about", "target")),
    "dispute-ruling": _about("", ("decides", "dispute")),
    "egress-decision": _about("", ("decides", "request")),
    "egress-request": _about("request_id", ("about", "result"), ("supersedes", "revises")),
    "ethics": _ethics,
    "indicator-version": _indicator,
    "notice": _about("notice_id", ("about", "object"), ("relies_on", "policy")),
    "permit-status": _status,
    "publication": _about("pid_value", ("about", "result")),
    "result": _result,
    "study": _study,
    "study-event": _about("kind", ("about", "study")),
}
"""How a record of each type stands in the graph."""


# --- walking it ---


class Graph:
    """The graph as it stands in a state: teams as amended, and uses weighed by the evidence that
    there is by now (domain.md D9, anti-gaming).
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def find(self, leaf: str) -> Node | None:
        """The node of a record, as of now."""
        node = node_at(self._draft, leaf)
        if node is None:
            return None
        if node.kind == RUN:
            return self._weighed(node)
        if node.kind == "study":
            study = self._draft.get(StudyState, "study", node.name)
            parts = _study_parts(study.body, leaf) if study else ()
            return msgspec.structs.replace(node, parts=tuple(parts))
        return node

    def _weighed(self, node: Node) -> Node:
        run = self._draft.get(RunState, "run", node.name)
        edges = tuple(
            edge if self._counts(run, edge) else msgspec.structs.replace(edge, counts=False)
            for edge in node.edges
        )
        return msgspec.structs.replace(node, edges=edges)

    def _counts(self, run: RunState | None, edge: Edge) -> bool:
        """Whether a `used` edge rests on both sides: the permit lists the dataset, and its
        custodian recorded an access under this permit while the run lasted.
        """
        used = node_at(self._draft, edge.leaf) if edge.rel == "used" else None
        if used is None or used.kind != DATASET:
            return True
        permit = self._draft.get(PermitState, "permit", run.permit or "") if run else None
        if run is None or run.permit is None or permit is None:
            return False
        times = [ms for ms in (run.started_ms, run.ended_ms) if ms is not None]
        if not times:
            return False
        first, last = min(times), max(times)
        terms = terms_at(self._draft, run.permit, permit, first)
        names = (used.name, used.name.partition("@")[0])
        return used.name in terms.datasets and any(
            has_access(self._draft, f"{name}@{run.permit}", first, last) for name in names
        )


def nodes_of(state: State) -> dict[str, Node]:
    """Every node of a state, for walks forwards; looks at the whole state once."""
    found = (value for _key, value in state.items())
    return {value.leaf: value for value in found if isinstance(value, Node)}


def walk_from(draft: Draft, leaf: str) -> Walk:
    """All that earns credit for this object. Raises `TooLargeError` (W1)."""
    return backward(Graph(draft).find, [leaf], CREDITED)


def attribution_of(
    draft: Draft,
    leaf: str,
    parameters: Attribution,
    policy: str,
    held: Collection[str] = (),
) -> Calculation:
    """The attribution of an object, from the state alone. Raises `TooLargeError` (W1) or
    `RefusedError` (W2).
    """
    return calculate(walk_from(draft, leaf), leaf, parameters, policy, held)


def parameters_at(draft: Draft, at: At) -> tuple[Attribution, str]:
    """The parameters of attribution in force, and the leaf hash of their policy."""
    policy = draft.policy(at)
    return policy.body.attribution or DEFAULT_ATTRIBUTION, policy.leaf
