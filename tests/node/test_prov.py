"""W3C PROV-JSON of what an object comes from, read by the `prov` library; and compared with Q2, and
with the blocks.
"""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from prov.constants import PROV_TYPE
from prov.model import ProvDocument

from ledger.encoding import b64url, unb64url
from ledger.errors import AllianceError
from ledger.provenance import Edge, Node
from node.reports.lineage import Element, Head, Lineage
from node.reports.notes import Note
from node.reports.prov import prov_of
from tests.ledger.lives import ANALYST
from tests.ledger.yields import FILES, Yield
from tests.support.graphs import leaf
from tests.support.reports import Asked, asking, published

Json = dict[str, Any]


@pytest.fixture(scope="module")
def life() -> Yield:
    return published()


@pytest.fixture(scope="module")
def asked(life: Yield, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asking(life, tmp_path_factory.mktemp("prov") / "ledger.db") as found:
        yield found


@pytest.fixture(scope="module")
def drawn(life: Yield, asked: Asked) -> Json:
    """The document, as the route sends it."""
    return asked.export("prov", object=life.result_leaf)


def read(document: Json) -> ProvDocument:
    """The document as the library understands it: it refuses what is not PROV-JSON."""
    text = msgspec.json.encode(document).decode()
    found = ProvDocument.deserialize(content=text, format="json")
    assert isinstance(found, ProvDocument)
    return found


def elements(document: Json) -> dict[str, Json]:
    """Activities and entities that are records, by leaf hash, each with its name."""
    found = {**document.get("activity", {}), **document["entity"]}
    return {
        one["alliance:leaf"]: {**one, "name": name}
        for name, one in found.items()
        if "alliance:entry" in one
    }


def ends(document: Json, tie: str) -> list[Json]:
    """The relations of one kind."""
    return list(document.get(tie, {}).values())


def test_the_library_reads_it_and_writes_the_same_graph(drawn: Json) -> None:
    document = read(drawn)
    again = msgspec.json.decode(document.serialize(format="json") or "")
    assert document == read(again)
    assert {kind: len(found) for kind, found in again.items()} == {
        kind: len(found) for kind, found in drawn.items()
    }
    assert sorted(drawn) == [
        "activity", "agent", "entity", "prefix", "used", "wasAssociatedWith", "wasAttributedTo",
        "wasDerivedFrom", "wasGeneratedBy", "wasInfluencedBy",
    ]  # fmt: skip
    assert document.get_provn().startswith("document")


def test_its_elements_are_the_rows_of_q2_and_each_can_be_proven(
    life: Yield, asked: Asked, drawn: Json
) -> None:
    rows = asked("provenance", object=life.result_leaf)
    found = elements(drawn)
    assert set(found) == {row["records"][0] for row in rows}
    for row in rows:
        element = found[row["records"][0]]
        assert b64url(asked.store.tree.leaf(element["alliance:entry"])) == row["records"][0]
        assert element["name"] == f"chain:entry/{element['alliance:entry']}"
        assert element["prov:label"] == row["name"]
        assert element.get("alliance:status") == row.get("status")
        assert element["prov:type"][0]["$"] == f"alliance:{row['kind']}"


def test_the_head_says_where_it_was_worked_out(life: Yield, asked: Asked, drawn: Json) -> None:
    head = drawn["entity"][f"chain:head/{life.tip.size}"]
    origin, size, root, *_ = asked.view.checkpoint.decode().split("\n")
    assert (head["alliance:origin"], str(head["alliance:size"])) == (origin, size)
    assert unb64url(head["alliance:root"], 32) == b64decode(root)
    assert head["alliance:object"]["$"] == elements(drawn)[life.result_leaf]["name"]
    assert {note["lang"] for note in head["alliance:note"]} == {"en", "zh"}
    assert "alliance:missing" not in head


def test_every_edge_of_q2_is_a_relation(life: Yield, asked: Asked, drawn: Json) -> None:
    names = {leaf: one["name"] for leaf, one in elements(drawn).items()}
    graph = asked.answer("provenance", object=life.result_leaf)["facts"]["graph"]
    wanted = {(one["rel"], names[one["from"]], names[one["to"]]) for one in graph}
    pairs = {
        "used": ("prov:activity", "prov:entity"),
        "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
        "wasGeneratedBy": ("prov:entity", "prov:activity"),
        "wasInfluencedBy": ("prov:influencee", "prov:influencer"),
    }
    found = {
        (one["alliance:relation"]["$"].removeprefix("alliance:"), one[later], one[earlier])
        for tie, (later, earlier) in pairs.items()
        for one in ends(drawn, tie)
    }
    plans = {
        ("under_permit", one["prov:activity"], one["prov:plan"])
        for one in ends(drawn, "wasAssociatedWith")
    }
    assert found | plans == wanted
    assert found & plans == set()


def test_a_run_has_its_times_its_people_and_its_permit_as_the_plan(
    life: Yield, drawn: Json
) -> None:
    found = elements(drawn)
    run, permit = found[life.run_leaf], found[life.decision_leaf]
    assert run["prov:startTime"] <= run["prov:endTime"]
    assert run["alliance:input"] == ["D1@1", "D2@1"]
    assert drawn["entity"][permit["name"]]["prov:type"][1] == {
        "$": "prov:Plan",
        "type": "xsd:QName",
    }
    associated = {
        (one["prov:agent"], one["prov:role"]["$"], one["prov:plan"])
        for one in ends(drawn, "wasAssociatedWith")
        if one["prov:activity"] == run["name"]
    }
    assert associated == {
        ("chain:org/h1", "alliance:compute_provider", permit["name"]),
        (f"chain:pid/{ANALYST}", "alliance:person", permit["name"]),
    }
    weak = {one["prov:entity"]: one.get("alliance:evidence") for one in ends(drawn, "used")}
    names = {one["prov:label"]: one["name"] for one in found.values()}
    assert weak == {names["D1@1"]: None, names["D2@1"]: "one-sided"}


def test_who_had_a_part_is_attributed_with_the_record_that_shows_it(
    life: Yield, drawn: Json
) -> None:
    shown = {
        (part.party.replace(":", "/"), part.role, part.leaf)
        for element in elements(drawn)
        for part in life.node(element).parts
        if part.role != "compute_provider"
    }
    assert {
        (
            one["prov:agent"].removeprefix("chain:"),
            one["alliance:role"]["$"].removeprefix("alliance:"),
            one["alliance:shown_by"],
        )
        for one in ends(drawn, "wasAttributedTo")
    } == shown
    assert any(one.get("alliance:credit_role") for one in ends(drawn, "wasAttributedTo"))


def test_a_release_is_an_act_and_a_publication_comes_from_its_result(
    life: Yield, asked: Asked
) -> None:
    graph = {value.kind: value for _k, value in life.tip.state.items() if isinstance(value, Node)}
    release = asked.export("prov", object=graph["egress-decision"].leaf)
    act = elements(release)[graph["egress-decision"].leaf]
    assert act["name"] in release["activity"]
    assert act["alliance:released"] == list(FILES)
    assert act["name"] in {one["prov:activity"] for one in ends(release, "used")}
    paper = asked.export("prov", object=graph["publication"].leaf)
    names = {leaf: one["name"] for leaf, one in elements(paper).items()}
    assert (names[graph["publication"].leaf], names[life.result_leaf]) in {
        (one["prov:generatedEntity"], one["prov:usedEntity"])
        for one in ends(paper, "wasDerivedFrom")
    }
    read(release)
    read(paper)


def test_it_is_the_same_by_name_and_by_leaf_hash(asked: Asked, drawn: Json) -> None:
    assert msgspec.json.encode(asked.export("prov", object="RES-1")) == msgspec.json.encode(drawn)
    entries = [one["alliance:entry"] for one in elements(drawn).values()]
    assert len(entries) == len(set(entries))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"object": "nothing"}, "O6"),
        ({}, "Q2"),
        ({"object": "S-1", "limit": "3"}, "Q1"),
    ],
)
def test_bad_requests(asked: Asked, given: dict[str, str], rule: str) -> None:
    with pytest.raises(AllianceError) as caught:
        asked.export("prov", **given)
    assert caught.value.rule == rule


# --- graphs that no honest chain has, by hand ---


def lineage(*nodes: Node, missing: tuple[str, ...] = ()) -> Lineage:
    """A graph of nodes whose records say nothing that is shown."""
    elements = [Element(one, index, "h1", AT, Bare(), None) for index, one in enumerate(nodes)]
    head = Head("chain", "origin", 3, 9, leaf("root"), 0)
    return Lineage(head, nodes[0].leaf, tuple(elements), missing, (Note("en", "zh"),))


AT = "2026-11-27T23:00:00.000Z"


class Bare:
    """A record's body of any type: it has no value in any field."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return () if name == "used" else None


def bare(name: str, kind: str, *edges: tuple[Any, str]) -> Node:
    """A node with edges (relation, name)."""
    made = tuple(Edge(leaf=leaf(other), rel=rel) for rel, other in edges)
    return Node(edges=made, kind=kind, leaf=leaf(name), name=name)


def test_links_that_lead_nowhere_are_named() -> None:
    missing = tuple(sorted(leaf(name) for name in ("data", "run")))
    document = prov_of(
        lineage(
            bare("result", "result", ("generated_by", "run"), ("derived_from", "data")),
            missing=missing,
        )
    )
    assert document["entity"]["chain:head/9"]["alliance:missing"] == list(missing)
    assert document["activity"] == {
        f"chain:missing/{leaf('run')}": {
            "alliance:leaf": leaf("run"),
            "prov:type": {"$": "alliance:missing", "type": "xsd:QName"},
        }
    }
    assert f"chain:missing/{leaf('data')}" in document["entity"]
    assert ends(document, "wasGeneratedBy")[0]["prov:activity"] == f"chain:missing/{leaf('run')}"
    read(document)


def test_names_that_no_name_of_prov_may_hold_are_escaped() -> None:
    node = bare("r", "compute-run")
    body = Bare()
    body.person = "ext:ward 9:李"  # type: ignore[attr-defined]
    element = Element(node, 0, "h1", AT, body, None)
    document = prov_of(lineage(node)._replace(elements=(element,)))
    assert "chain:pid/ext%3Award%209%3A%E6%9D%8E" in document["agent"]
    read(document)


def test_a_newer_version_is_a_revision() -> None:
    document = prov_of(
        lineage(
            bare("new", "result", ("supersedes", "old"), ("uses_indicator", "i")),
            bare("old", "result"),
            bare("i", "indicator-version"),
        )
    )
    kinds = {
        one["prov:usedEntity"]: one.get("prov:type") for one in ends(document, "wasDerivedFrom")
    }
    assert kinds == {
        "chain:entry/1": {"$": "prov:Revision", "type": "xsd:QName"},
        "chain:entry/2": None,
    }
    found = read(document)
    assert {str(one) for record in found.records for one in record.get_attribute(PROV_TYPE)} >= {
        "prov:Revision"
    }
