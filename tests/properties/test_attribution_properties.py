"""The properties of domain.md D9 on random graphs, and the shares against a naive model that shares
no code with them: recursive, in fractions.
"""

import math
from fractions import Fraction
from hashlib import sha256
from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.attribution import Calculation
from ledger.provenance import Node, Part
from ledger.records.envelope import ENCODE
from ledger.records.governance import DEFAULT_ATTRIBUTION, Attribution, Degrees, Pools
from tests.support.graphs import Graph, calculation_of, graph_of, leaf, node, points

ORGS = [f"org:{name}" for name in "abcd"]
PEOPLE = [f"pid:{number}" for number in range(8)]
DEGREES = ["lead", "equal", "supporting"]

people = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.sampled_from(DEGREES)), max_size=4, unique_by=lambda p: p
)


@st.composite
def graphs(draw: Any) -> Graph:  # noqa: ANN401
    """Datasets derived from one another, runs over them, results of the runs; the last one is the
    object.
    """
    nodes: list[Node] = []
    datasets: list[str] = []
    for number in range(draw(st.integers(1, 7))):
        sources = (
            draw(st.lists(st.sampled_from(datasets), max_size=3, unique=True)) if number else []
        )
        parts: list[Any] = [(draw(st.sampled_from(ORGS)), "custodian", None)]
        parts += [(party, "contributor", degree) for party, degree in draw(people)]
        parts += [
            (org, "steward", None) for org in draw(st.lists(st.sampled_from(ORGS), max_size=1))
        ]
        name = f"d{number}"
        nodes.append(node(name, "dataset-version", [("derived_from", s) for s in sources], parts))
        datasets.append(name)
    indicators: list[str] = []
    for number in range(draw(st.integers(0, 2))):
        parts = [(party, "author", degree) for party, degree in draw(people)]
        nodes.append(node(f"i{number}", "indicator-version", parts=parts))
        indicators.append(f"i{number}")
    results: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        runs = []
        for index in range(draw(st.integers(1, 2))):
            used = draw(st.lists(st.sampled_from([*datasets, *results]), max_size=3, unique=True))
            shown = [name for name in used if draw(st.integers(0, 4)) == 0]
            provider = (draw(st.sampled_from(ORGS)), "compute_provider", None)
            edges = [("used", name) for name in used]
            runs.append(f"run{number}.{index}")
            nodes.append(node(runs[-1], "compute-run", edges, [provider], shown))
        edges = [("generated_by", run) for run in runs]
        edges += [("uses_indicator", name) for name in indicators if draw(st.booleans())]
        parts = [(party, "analyst", degree) for party, degree in draw(people)]
        results.append(f"r{number}")
        nodes.append(node(results[-1], "result", edges, parts))
    last = (draw(st.sampled_from(ORGS)), "compute_provider", None)
    nodes.append(node("run", "compute-run", [("used", name) for name in results], [last]))
    nodes.append(node("object", "result", [("generated_by", "run")]))
    return graph_of(nodes)


@st.composite
def parameters(draw: Any) -> Attribution:  # noqa: ANN401
    """Any parameters that a committee may set; holding is never of no size, for there is always a
    dataset or a provider to hold something.
    """
    sizes = st.integers(1, 10_000)
    weights = st.integers(1, 5)
    of = draw(st.integers(1, 9))
    return msgspec.structs.replace(
        DEFAULT_ATTRIBUTION,
        degrees=Degrees(equal=draw(weights), lead=draw(weights), supporting=draw(weights)),
        direct_and_derived=draw(st.sampled_from(["count_once", "count_both"])),
        kappa=(draw(st.integers(0, of)), of),
        pools=Pools(**{name: draw(sizes) for name in Pools.__struct_fields__}),
    )


# --- the model ---


def model(calculation: Calculation) -> dict[str, Fraction]:
    """Exact amounts by party, word for word from D9, with no thought of speed."""
    nodes = {one.leaf: one for one in calculation.nodes}
    given_ = calculation.parameters
    pools = model_pools(nodes, given_)
    sizes = {name: getattr(given_.pools, name) for name, weights in pools.items() if weights}
    amounts = {part.party: Fraction(0) for one in nodes.values() for part in one.parts}
    for name, size in sizes.items():
        for party, weight in pools[name].items():
            amounts[party] += Fraction(10_000 * size, sum(sizes.values())) * weight
    return amounts


def model_pools(nodes: dict[str, Node], given_: Attribution) -> dict[str, dict[str, Fraction]]:
    """Each pool as fractions that add up to one, or empty."""
    kept = model_flow(nodes, given_)
    of_kind = lambda kind: [one for one in nodes.values() if one.kind == kind]  # noqa: E731
    stewards = {p.party for found in kept for p in nodes[found].parts if p.role == "steward"}
    return {
        "holding": normal([(custodian(nodes[found]), amount) for found, amount in kept.items()]),
        "clinical": normal(
            degreed([(n, nodes[d]) for d, n in kept.items()], "contributor", given_)
        ),
        "standards": normal(
            degreed([(Fraction(1), one) for one in of_kind("indicator-version")], "author", given_)
        ),
        "analysis": normal(
            degreed([(Fraction(1), one) for one in of_kind("result")], "analyst", given_)
        ),
        "compute": normal(
            [(p.party, Fraction(1)) for one in of_kind("compute-run") for p in one.parts]
        ),
        "stewardship": normal([(party, Fraction(1)) for party in sorted(stewards)]),
    }


def normal(rows: list[tuple[str, Fraction]]) -> dict[str, Fraction]:
    """The rows by party, as parts of one."""
    total = sum((amount for _, amount in rows), Fraction(0))
    found: dict[str, Fraction] = {}
    for party, amount in rows:
        if total:
            found[party] = found.get(party, Fraction(0)) + amount / total
    return found


def degreed(
    objects: list[tuple[Fraction, Node]], role: str, given_: Attribution
) -> list[tuple[str, Fraction]]:
    """Each object's amount, divided between its confirmed parties by their highest degree."""
    rows = []
    for amount, one in objects:
        degrees: dict[str, int] = {}
        for part in one.parts:
            if part.role == role and part.degree is not None:
                weight = getattr(given_.degrees, part.degree)
                degrees[part.party] = max(weight, degrees.get(part.party, 0))
        rows += [(p, amount * Fraction(d, sum(degrees.values()))) for p, d in degrees.items()]
    return rows


def custodian(one: Node) -> str:
    """Who holds a dataset."""
    return next(part.party for part in one.parts if part.role == "custodian")


def model_flow(nodes: dict[str, Node], given_: Attribution) -> dict[str, Fraction]:
    """What stays with each dataset, by walking every path from every root."""
    sources = lambda found: {e.leaf for e in nodes[found].edges if e.rel == "derived_from"}  # noqa: E731
    roots = {
        edge.leaf
        for one in nodes.values()
        for edge in one.edges
        if edge.rel == "used" and edge.counts and nodes[edge.leaf].kind == "dataset-version"
    }
    if given_.direct_and_derived == "count_once":

        def all_above(found: str) -> set[str]:
            return {a for s in sources(found) for a in {s, *all_above(s)}}

        roots -= {above for root in roots for above in all_above(root)}
    kept: dict[str, Fraction] = {}

    def pour(leaves: set[str], amount: Fraction) -> None:
        custodians = {custodian(nodes[found]) for found in leaves}
        for found in sorted(leaves):
            own = sum(custodian(nodes[o]) == custodian(nodes[found]) for o in leaves)
            here = amount / len(custodians) / own
            passed = here * (1 - Fraction(*given_.kappa)) if sources(found) else Fraction(0)
            kept[found] = kept.get(found, Fraction(0)) + here - passed
            if sources(found):
                pour(sources(found), passed)

    pour(roots, Fraction(1))
    return kept


# --- the properties ---


@settings(max_examples=100)
@given(graphs(), parameters())
def test_shares_are_those_of_the_model_and_add_up_to_the_whole(
    graph: Graph, given_: Attribution
) -> None:
    calculation = calculation_of(graph, "object", given_)
    found, exact = points(calculation), model(calculation)
    assert sum(found.values()) == 10_000
    assert set(found) == set(exact)
    left = 10_000 - sum(math.floor(amount) for amount in exact.values())
    order = sorted(
        exact, key=lambda p: (-(exact[p] - math.floor(exact[p])), sha256(p.encode()).digest())
    )
    assert found == {p: math.floor(exact[p]) + (p in order[:left]) for p in exact}


@settings(max_examples=100)
@given(graphs(), parameters())
def test_whoever_is_acknowledged_is_listed_and_nobody_else(
    graph: Graph, given_: Attribution
) -> None:
    calculation = calculation_of(graph, "object", given_)
    listed = {row.party for row in calculation.shares.rows}
    assert listed == {row.party for row in calculation.acknowledgements}


@settings(max_examples=100)
@given(graphs(), parameters(), st.sampled_from(["contributor", "author", "analyst"]))
def test_a_party_without_confirmed_part_gets_nothing(
    graph: Graph, given_: Attribution, role: str
) -> None:
    calculation = calculation_of(graph, "object", given_)
    silent = Part(leaf=leaf("n"), party="pid:null", role=role)  # type: ignore[arg-type]
    nodes = {
        one.leaf: msgspec.structs.replace(one, parts=(*one.parts, silent)) for one in graph.values()
    }
    assert points(calculation_of(nodes, "object", given_)) == {
        **points(calculation),
        "pid:null": 0,
    }


@settings(max_examples=100)
@given(graphs(), parameters(), st.permutations(PEOPLE))
def test_parties_are_told_apart_by_what_they_did_alone(
    graph: Graph, given_: Attribution, order: list[str]
) -> None:
    """Renaming people renames their shares; only the single point of a tie may go to another."""
    names = dict(zip(PEOPLE, order, strict=True))

    def renamed(one: Node) -> Node:
        parts = tuple(
            msgspec.structs.replace(p, party=names.get(p.party, p.party)) for p in one.parts
        )
        return msgspec.structs.replace(one, parts=parts)

    before = points(calculation_of(graph, "object", given_))
    moved = {found: renamed(one) for found, one in graph.items()}
    after = points(calculation_of(moved, "object", given_))
    assert all(abs(after[names.get(p, p)] - share) <= 1 for p, share in before.items())


@settings(max_examples=100)
@given(graphs(), parameters(), st.integers(2, 10), st.integers(0, 6))
def test_cutting_a_dataset_into_pieces_moves_no_share(
    graph: Graph, given_: Attribution, pieces: int, which: int
) -> None:
    """Where its custodian has no other dataset beside it: one level, one custodian, one part."""
    chosen = graph.get(leaf(f"d{which}"))
    assume(chosen is not None)
    assert chosen is not None
    holder = custodian(chosen)
    beside = [{e.leaf for e in one.edges if e.rel == "derived_from"} for one in graph.values()]
    beside.append(
        {e.leaf for one in graph.values() for e in one.edges if e.rel == "used" and e.counts}
    )
    for level in beside:
        others = {found for found in level if graph[found].kind == "dataset-version"}
        held = [found for found in others if custodian(graph[found]) == holder]
        assume(chosen.leaf not in level or held == [chosen.leaf])
    names = [f"{chosen.name}/{piece}" for piece in range(pieces)]
    cut = {
        found: msgspec.structs.replace(one, edges=tuple(_cut(one, chosen.leaf, names)))
        for found, one in graph.items()
    }
    del cut[chosen.leaf]
    for name in names:
        cut[leaf(name)] = msgspec.structs.replace(chosen, leaf=leaf(name), name=name)
    whole = calculation_of(graph, "object", given_)
    assert points(calculation_of(cut, "object", given_)) == points(whole)


def _cut(one: Node, old: str, names: list[str]) -> list[Any]:
    edges: list[Any] = []
    for edge in one.edges:
        new = names if edge.leaf == old else None
        if new is None:
            edges.append(edge)
        else:
            edges += [msgspec.structs.replace(edge, leaf=leaf(name)) for name in new]
    return edges


@settings(max_examples=100)
@given(graphs(), parameters(), st.randoms(use_true_random=False))
def test_the_same_graph_in_any_order_gives_the_same_bytes(
    graph: Graph,
    given_: Attribution,
    chance: Any,  # noqa: ANN401
) -> None:
    keys = list(graph)
    chance.shuffle(keys)
    other = {found: graph[found] for found in keys}
    one, two = (calculation_of(g, "object", given_) for g in (graph, other))
    assert ENCODE(one) == ENCODE(two)
    assert (one.digest, one.ack_root, one.share_root) == (two.digest, two.ack_root, two.share_root)


@settings(max_examples=100)
@given(graphs(), parameters(), parameters())
def test_a_calculation_stands_by_its_own_policy_for_ever(
    graph: Graph, old: Attribution, new: Attribution
) -> None:
    """A later policy gives another calculation; the digest of the earlier one stays."""
    before = calculation_of(graph, "object", old)
    later = calculation_of(graph, "object", new)
    assert (before.digest == later.digest) == (old == new)
    assert calculation_of(graph, "object", before.parameters).digest == before.digest


@settings(max_examples=100)
@given(graphs(), parameters(), st.sets(st.sampled_from([*PEOPLE, *ORGS])))
def test_held_and_paid_shares_are_the_whole(
    graph: Graph, given_: Attribution, held: set[str]
) -> None:
    rows = calculation_of(graph, "object", given_, held).shares.rows
    kept = sum(row.basis_points for row in rows if row.held)
    paid = sum(row.basis_points for row in rows if not row.held)
    assert kept + paid == 10_000
    assert {row.party for row in rows if row.held} == held & {row.party for row in rows}
