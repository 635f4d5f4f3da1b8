"""Attribution and provenance by example: domain.md D8 and D9, and each rule."""

import msgspec
import pytest

from ledger.attribution import acknowledge, roots_of, share_out
from ledger.errors import RefusedError, TooLargeError
from ledger.provenance import backward, forward
from ledger.records.governance import DEFAULT_ATTRIBUTION, Attribution, Degrees, Pools
from tests.support.graphs import calculation_of, graph_of, leaf, node, points, worked_example

COUNT_BOTH = msgspec.structs.replace(DEFAULT_ATTRIBUTION, direct_and_derived="count_both")


def pools_of(**sizes: int) -> Attribution:
    """The default parameters with these pools and no other."""
    every = dict.fromkeys(Pools.__struct_fields__, 0)
    return msgspec.structs.replace(DEFAULT_ATTRIBUTION, pools=Pools(**{**every, **sizes}))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        (DEFAULT_ATTRIBUTION, (2150, 1300, 1050, 1500, 1000, 1813, 187, 450, 300, 250)),
        (COUNT_BOTH, (1450, 2525, 525, 1500, 1000, 2164, 305, 169, 112, 250)),
    ],
    ids=["count_once", "count_both"],
)
def test_the_worked_example_to_the_digit(
    parameters: Attribution, expected: tuple[int, ...]
) -> None:
    parties = ("org:north", "org:qilu", "org:guizhou", "pid:a1", "pid:a2", "pid:q1", "pid:q2")
    parties += ("pid:g1", "pid:g2", "pid:n1")
    found = points(calculation_of(worked_example(), "result", parameters))
    assert found == dict(zip(parties, expected, strict=True))
    assert sum(found.values()) == 10_000


def test_the_acknowledgement_set_names_everybody_and_how_they_were_reached() -> None:
    graph = worked_example()
    walk = backward(graph.get, [leaf("result")])
    rows = acknowledge(walk)
    assert len(rows) == sum(len(one.parts) for one in graph.values())
    clinician = next(r for r in rows if r.party == "pid:g1")
    assert (clinician.contributor_type, clinician.degree) == ("DataCollector", "lead")
    assert walk.path(clinician.object)[0] == leaf("result")
    assert walk.path(clinician.object)[-2:] == (leaf("standard"), leaf("guizhou"))
    assert clinician.via == leaf("standard")


def test_a_use_without_two_sided_evidence_is_named_and_carries_no_share() -> None:
    graph = worked_example()
    extra = node(
        "elsewhere",
        "dataset-version",
        parts=[("org:else", "custodian", None), ("pid:e", "contributor", "lead")],
    )
    run = node(
        "run 1",
        "compute-run",
        [("used", "standard"), ("used", "elsewhere")],
        [("org:north", "compute_provider", None)],
        shown=["elsewhere"],
    )
    before = points(calculation_of(graph, "result"))
    after = calculation_of({**graph, **graph_of([extra, run])}, "result")
    assert points(after) == {**before, "org:else": 0, "pid:e": 0}
    assert {"org:else", "pid:e"} <= {row.party for row in after.acknowledgements}


def test_empty_pools_are_spread_in_proportion_and_the_spread_is_printed() -> None:
    graph = graph_of(
        [
            node("d", "dataset-version", parts=[("org:a", "custodian", None)]),
            node("run", "compute-run", [("used", "d")], [("org:b", "compute_provider", None)]),
            node("r", "result", [("generated_by", "run")]),
        ]
    )
    calculation = calculation_of(graph, "r")
    assert points(calculation) == {"org:a": 8750, "org:b": 1250}
    assert calculation.shares.pools == {"compute": 1_250_000, "holding": 8_750_000}


def test_several_roles_of_one_person_in_one_object_count_once() -> None:
    def graph(*parts: tuple[str, str, str | None]) -> dict[str, int]:
        return points(
            calculation_of(
                graph_of([node("r", "result", parts=parts)]), "r", pools_of(analysis=10_000)
            )
        )

    once = graph(("pid:a", "analyst", "lead"), ("pid:b", "analyst", "lead"))
    twice = graph(
        ("pid:a", "analyst", "lead"),
        ("pid:a", "analyst", "supporting"),
        ("pid:b", "analyst", "lead"),
    )
    assert once == twice == {"pid:a": 5000, "pid:b": 5000}


def test_shares_of_an_open_dispute_are_held_and_not_given_to_others() -> None:
    free = calculation_of(worked_example(), "result")
    held = calculation_of(worked_example(), "result", held=["pid:g1"])
    assert points(free) == points(held)
    assert [row.party for row in held.shares.rows if row.held] == ["pid:g1"]
    assert free.digest != held.digest


def test_measured_weights_replace_the_equal_split_between_roots() -> None:
    graph = graph_of(
        [
            node("a", "dataset-version", parts=[("org:a", "custodian", None)]),
            node("b", "dataset-version", parts=[("org:b", "custodian", None)]),
            node("run", "compute-run", [("used", "a"), ("used", "b")]),
            node("r", "result", [("generated_by", "run")]),
        ]
    )
    measured = {leaf("a"): 3, leaf("b"): 1}
    rows = share_out(graph, pools_of(holding=10_000), measured=measured).rows
    assert {row.party: row.basis_points for row in rows} == {"org:a": 7500, "org:b": 2500}
    for wrong in ({leaf("a"): 1}, {leaf("a"): 0, leaf("b"): 1}):
        with pytest.raises(RefusedError) as refused:
            share_out(graph, DEFAULT_ATTRIBUTION, measured=wrong)
        assert refused.value.rule == "W3"


def test_nobody_reached_is_refused() -> None:
    with pytest.raises(RefusedError) as refused:
        calculation_of(graph_of([node("r", "result")]), "r")
    assert refused.value.rule == "W2"


def test_a_dataset_without_custodian_is_refused() -> None:
    graph = graph_of(
        [
            node("d", "dataset-version"),
            node("run", "compute-run", [("used", "d")]),
            node("r", "result", [("generated_by", "run")]),
        ]
    )
    with pytest.raises(RefusedError) as refused:
        calculation_of(graph, "r")
    assert refused.value.rule == "W4"


def test_a_dataset_is_its_own_root_when_it_is_the_object() -> None:
    graph = worked_example()
    walk = backward(graph.get, [leaf("standard")])
    assert roots_of(walk.nodes, count_once=True) == (leaf("standard"),)
    found = points(calculation_of(graph, "standard"))
    assert found["org:north"] > found["org:qilu"] > 0
    assert sum(found.values()) == 10_000


def test_a_degree_of_no_weight_is_still_listed() -> None:
    parameters = msgspec.structs.replace(
        pools_of(analysis=10_000), degrees=Degrees(equal=1, lead=1, supporting=0)
    )
    found = points(calculation_of(worked_example(), "result", parameters))
    assert found["pid:q1"] == 0
    assert found["pid:a1"] == found["pid:a2"] == 5000


def test_what_rests_on_a_record_is_found_forwards() -> None:
    graph = worked_example()
    walk = forward(graph, [leaf("guizhou")])
    names = [walk.nodes[found].name for found in walk.nodes]
    assert names[0] == "guizhou"
    assert set(names) == {"guizhou", "standard", "run 1", "run 2", "result"}
    assert [step.depth for step in walk.steps.values()] == [0, 1, 2, 2, 3]


def test_credit_goes_along_what_was_used_and_not_along_what_was_replaced() -> None:
    old = node("old", "result", parts=[("pid:old", "analyst", "lead")])
    new = node(
        "new",
        "result",
        [("supersedes", "old")],
        parts=[("pid:new", "analyst", "lead")],
    )
    graph = graph_of([old, new])
    assert points(calculation_of(graph, "new", pools_of(analysis=10_000))) == {"pid:new": 10_000}
    assert set(backward(graph.get, [leaf("new")]).nodes) == {leaf("old"), leaf("new")}


def test_what_an_edge_names_and_the_graph_lacks_is_reported() -> None:
    graph = graph_of([node("r", "result", [("generated_by", "gone")])])
    assert backward(graph.get, [leaf("r")]).missing == (leaf("gone"),)


def test_a_walk_is_bounded_and_deep_graphs_are_no_matter() -> None:
    chain = [node("0", "dataset-version", parts=[("org:a", "custodian", None)])]
    chain += [
        node(
            str(n),
            "dataset-version",
            [("derived_from", str(n - 1))],
            [(f"org:{n}", "custodian", None)],
        )
        for n in range(1, 3000)
    ]
    graph = graph_of(chain)
    walk = backward(graph.get, [leaf("2999")])
    assert len(walk.path(leaf("0"))) == 3000
    assert sum(points(calculation_of(graph, "2999")).values()) == 10_000
    with pytest.raises(TooLargeError) as refused:
        backward(graph.get, [leaf("2999")], limit=2999)
    assert refused.value.rule == "W1"
