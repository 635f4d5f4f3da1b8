"""RO-Crate 1.1 of what an object comes from: judged by what the specification asks of every crate,
and compared with Q2.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from ledger.errors import AllianceError
from ledger.provenance import Edge, Node
from node.reports.crate import crate_of
from node.reports.lineage import Element, Head, Lineage
from node.reports.notes import Note
from tests.ledger.lives import ANALYST
from tests.ledger.yields import Yield
from tests.support.graphs import leaf
from tests.support.reports import Asked, asking, published

Json = dict[str, Any]

TERMS = frozenset({
    "about", "actionStatus", "additionalType", "agent", "author", "conformsTo", "contributor",
    "dateCreated", "datePublished", "description", "endTime", "funder", "hasPart", "isBasedOn",
    "license", "mainEntity", "maintainer", "mentions", "name", "object", "participant", "result",
    "startTime",
})  # fmt: skip
"""Terms of RO-Crate's context that this crate may use."""
TYPES = frozenset({"Action", "CreateAction", "CreativeWork", "Dataset", "Organization", "Person"})


@pytest.fixture(scope="module")
def life() -> Yield:
    return published()


@pytest.fixture(scope="module")
def asked(life: Yield, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asking(life, tmp_path_factory.mktemp("crate") / "ledger.db") as found:
        yield found


@pytest.fixture(scope="module")
def crate(asked: Asked) -> dict[str, Json]:
    return things(asked.export("crate", object="RES-1"))


def things(document: Json) -> dict[str, Json]:
    """The things of a crate by their names, once it has been judged."""
    graph = document["@graph"]
    found = {one["@id"]: one for one in graph}
    assert len(found) == len(graph)
    assert document["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert (descriptor["about"], descriptor["@type"]) == ({"@id": "./"}, "CreativeWork")
    assert root["@type"] == "Dataset"
    assert {"name", "description", "datePublished", "license"} <= set(root)
    for name, one in found.items():
        assert one["@type"] in TYPES, name
        assert all(key in TERMS or key.startswith(("@", "alliance:")) for key in one), one
        assert set(links(one)) - {"https://w3id.org/ro/crate/1.1"} <= set(found), one
        assert all(value not in (None, []) for value in one.values())
    data = {name for name, one in found.items() if one["@type"] == "Dataset"} - {"./"}
    assert set(refs(root.get("hasPart"))) == data
    assert data | set(refs(root.get("mentions"))) == set(found) - {
        "./", "ro-crate-metadata.json", "#licence",
    }  # fmt: skip
    return found


def refs(value: Any) -> list[str]:  # noqa: ANN401
    """The names that a property links to; one value stands without a list."""
    several = value if isinstance(value, list) else [value]
    return [one["@id"] for one in several if isinstance(one, dict)]


def links(thing: Json) -> list[str]:
    """Whatever a thing links to; all things are at the top (JSON-LD, flattened)."""
    for value in thing.values():
        for one in value if isinstance(value, list) else [value]:
            assert not isinstance(one, dict) or set(one) == {"@id"}, thing
    return [name for value in thing.values() for name in refs(value)]


def by_leaf(crate: dict[str, Json]) -> dict[str, Json]:
    return {one["alliance:leaf"]: one for one in crate.values() if "alliance:entry" in one}


def test_its_things_are_the_rows_of_q2_under_the_same_names(
    life: Yield, asked: Asked, crate: dict[str, Json]
) -> None:
    rows = asked("provenance", object=life.result_leaf)
    found = by_leaf(crate)
    assert set(found) == {row["records"][0] for row in rows}
    for row in rows:
        one = found[row["records"][0]]
        assert one["name"] == row["name"]
        assert one["additionalType"] == f"urn:alliance:term:{row['kind']}"
        assert one.get("alliance:status") == row.get("status")
        assert one["@id"].endswith(f":entry/{one['alliance:entry']}")
    root = crate["./"]
    assert refs(root["mainEntity"]) == [found[life.result_leaf]["@id"]]
    assert root["alliance:size"] == life.tip.size


def test_every_edge_of_q2_is_a_link(life: Yield, asked: Asked, crate: dict[str, Json]) -> None:
    found = by_leaf(crate)
    graph = asked.answer("provenance", object=life.result_leaf)["facts"]["graph"]
    for edge in graph:
        later, earlier = found[edge["from"]], found[edge["to"]]
        if edge["rel"] == "generated_by":
            later, earlier = earlier, later
        assert earlier["@id"] in links(later), edge


def test_a_run_is_what_made_the_result(life: Yield, crate: dict[str, Json]) -> None:
    found = by_leaf(crate)
    run, result = found[life.run_leaf], found[life.result_leaf]
    named = {one["name"]: one["@id"] for one in found.values()}
    assert run["@type"] == "CreateAction"
    assert run["actionStatus"] == "http://schema.org/CompletedActionStatus"
    assert refs(run["result"]) == [result["@id"]]
    assert set(refs(run["object"])) == {named["D1@1"], named["D2@1"]}
    assert refs(run["alliance:one_sided"]) == [named["D2@1"]]
    assert refs(run["alliance:under_permit"]) == [found[life.decision_leaf]["@id"]]
    assert [crate[name]["name"] for name in refs(run["agent"])] == [f"pid:{ANALYST}"]
    assert [crate[name]["name"] for name in refs(run["participant"])] == ["h1"]
    assert [crate[name]["name"] for name in refs(result["author"])] == [f"pid:{ANALYST}"]
    assert refs(result["isBasedOn"]) == [named["sofa@1"]]


def test_links_that_lead_nowhere_are_named() -> None:
    edge = Edge(leaf=leaf("gone"), rel="about")
    node = Node(edges=(edge,), kind="notice", leaf=leaf("notice"), name="N-1")
    element = Element(node, 4, "h1", "2026-11-27T23:00:00.000Z", None, None)
    head = Head("chain", "origin", 3, 9, leaf("root"), 0)
    missing = (leaf("gone"),)
    document = crate_of(Lineage(head, node.leaf, (element,), missing, (Note("en", "zh"),)))
    found = things(document)
    gone = f"urn:alliance:chain:chain:missing/{leaf('gone')}"
    assert refs(found["./"]["alliance:missing"]) == [gone]
    assert found[gone]["additionalType"] == "urn:alliance:term:missing"
    assert refs(found["urn:alliance:chain:chain:entry/4"]["mentions"]) == [gone]


@pytest.mark.parametrize(("given", "rule"), [({"object": "nothing"}, "O6"), ({}, "Q2")])
def test_bad_requests(asked: Asked, given: dict[str, str], rule: str) -> None:
    with pytest.raises(AllianceError) as caught:
        asked.export("crate", **given)
    assert caught.value.rule == rule
