"""Queries against a list in memory: the same rows, in the same order, page by page; and the plan's
cost.
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.encoding import decode_time, encode_time
from ledger.errors import MalformedError
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.use import AccessBatchBody, AccessBody, AccessEvent, Source
from node.driver import Driver, Published
from node.store import Queries, parse_query
from node.store.queries import SORTS
from tests.support.node import make_config, make_home, running
from tests.support.world import GENESIS_MS, make_world

Row = dict[str, Any]
SYSTEMS = ("n1", "n2", "n3", "n4")


def _access(chance: random.Random, seq: int) -> dict[str, Any]:
    system = chance.choice(SYSTEMS)
    request: Source | None = None
    if chance.random() < 0.7:
        request = Source(seq=chance.randint(1, seq), system=chance.choice(SYSTEMS))
    return {
        "action": chance.choice(("read", "export")),
        "activity": chance.choice(("REQ", "VIEW", "FILE")),
        "channel": "query",
        "dataset": chance.choice(("GTEx", "MOD_SGD", "GTEx@v1", "FlyBase")),
        "outcome": chance.choice(("ok", "denied")),
        "permit": chance.choice((None, None, "P1", "P2")),
        "person": chance.choice((None, "ext:a:1", "ext:a:2", "ext:a:3")),
        "request": request,
        "source": Source(seq=seq, system=system),
    }


def _at(chance: random.Random) -> int:
    return GENESIS_MS + chance.randint(0, 50) * 1_000


def _accesses(entry: Entry) -> list[tuple[int, str, AccessBody | AccessEvent]]:
    """The accesses of an entry: the number in the index, the time, and what happened."""
    body = entry.record.body
    if isinstance(body, AccessBody):
        return [(0, entry.record.at, body)]
    return [(number, event.at, event) for number, event in enumerate(body.events, 1)]


def _expected(
    index: int, number: int, at: str, body: AccessBody | AccessEvent, findings: tuple[str, ...]
) -> Row:
    row = {
        "index": index, "place": (index, number), "at": decode_time(at), "dataset": body.dataset,
        "person": body.person or "", "activity": body.activity, "system": body.source.system,
        "seq": body.source.seq, "permit": body.permit or "", "action": body.action,
        "outcome": body.outcome, "org": "h1", "finding": ",".join(findings),
        "request": body.request.seq if isinstance(body.request, Source) else 0,
        "request_system": body.request.system if isinstance(body.request, Source) else "",
    }  # fmt: skip
    return row


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator["tuple[Driver, list[Row]]"]:
    chance = random.Random(7)
    world = make_world()
    home = make_home(world, tmp_path_factory.mktemp("node") / "home")
    rows: list[Row] = []
    with running(make_config(home)) as driver:
        for part in range(3):
            raws = [
                world.record(
                    "access", AccessBody(**_access(chance, seq)), by="system", at_ms=_at(chance)
                )
                for seq in range(1 + 200 * part, 171 + 200 * part)
            ]
            events = tuple(
                AccessEvent(at=encode_time(_at(chance)), **_access(chance, seq))
                for seq in range(171 + 200 * part, 201 + 200 * part)
            )
            raws.append(world.record("access-batch", AccessBatchBody(events=events), by="system"))
            for outcome in driver.submit(raws).result(20):
                assert isinstance(outcome, Published)
                block = driver.store.block(driver.store.height_of(outcome.index))
                findings = block.findings[outcome.index - block.start]
                rows += [
                    _expected(outcome.index, number, at, body, findings)
                    for number, at, body in _accesses(outcome.entry)
                ]
        yield driver, rows


@pytest.fixture
def queries(filled: "tuple[Driver, list[Row]]") -> "tuple[Queries, list[Row]]":
    driver, rows = filled
    return Queries(driver.store), rows


def _random_query(
    chance: random.Random, rows: list[Row]
) -> tuple[list[tuple[str, str]], list[Row]]:
    """A query of 0 to 7 predicates, and the rows that fit it."""
    example = chance.choice(rows)
    fields = ["dataset", "person", "activity", "system", "permit", "action", "outcome", "seq"]
    fields += ["request", "finding", "range", "org"]
    chosen = [name for name in chance.sample(fields, chance.randint(0, 7)) if example.get(name, 1)]
    items: list[tuple[str, str]] = []
    found = rows
    for name in chosen:
        if name == "range":
            low, high = sorted((example["at"], GENESIS_MS + chance.randint(0, 50) * 1_000))
            items += [("from", encode_time(low)), ("to", str(high + 1))]
            found = [row for row in found if low <= row["at"] <= high]
        elif name == "request" and chance.random() < 0.5:
            items.append(("request", f"{example['request_system']}/{example['request']}"))
            pair = (example["request"], example["request_system"])
            found = [row for row in found if (row["request"], row["request_system"]) == pair]
        elif name == "finding":
            code = example["finding"].split(",")[0]
            items.append(("finding", code))
            found = [row for row in found if code in row["finding"].split(",")]
        else:
            items.append((name, str(example[name])))
            found = [row for row in found if row[name] == example[name]]
    return items, found


@pytest.mark.parametrize("seed", range(80))
def test_queries_give_what_a_list_gives(queries: "tuple[Queries, list[Row]]", seed: int) -> None:
    answers, rows = queries
    chance = random.Random(seed)
    items, found = _random_query(chance, rows)
    sort = chance.choice(sorted(SORTS))
    down = chance.random() < 0.5
    found = sorted(found, key=lambda row: (row[sort], row["place"]), reverse=down)
    items += [("sort", f"{'-' if down else ''}{sort}"), ("limit", str(chance.randint(1, 60)))]
    places: list[tuple[int, int]] = []
    after: str | None = None
    while True:
        page = answers.accesses(
            parse_query([*items, ("count", "1"), *([("after", after)] if after else [])])
        )
        assert page.total == len(found)
        places += [(row.index, row.event) for row in page.rows]
        after = page.after
        if after is None:
            break
    assert places == [row["place"] for row in found]


def test_a_row_says_what_the_entry_says(queries: "tuple[Queries, list[Row]]") -> None:
    answers, rows = queries
    page = answers.accesses(parse_query([("limit", "600")]))
    for row, expected in zip(page.rows, rows, strict=True):
        accesses = _accesses(decode_entry(answers.store.entry(row.index)))
        body = next(body for number, _at, body in accesses if number == row.event)
        assert (row.dataset, row.person, row.permit) == (body.dataset, body.person, body.permit)
        assert decode_time(row.at) == expected["at"]
        assert ",".join(row.findings) == expected["finding"]
        if isinstance(body.request, Source):
            assert row.request == f"{body.request.system}/{body.request.seq}"
        assert (row.system, row.seq) == (body.source.system, body.source.seq)


@pytest.mark.parametrize(
    ("items", "rule"),
    [
        ([("colour", "red")], "Q1"),
        ([("seq", "-1")], "Q2"),
        ([("seq", "١")], "Q2"),
        ([("from", "yesterday")], "Q2"),
        ([("dataset", "a"), ("dataset", "b")], "Q2"),
        ([("sort", "colour")], "Q3"),
        ([("limit", "0")], "Q4"),
        ([("limit", "1001")], "Q4"),
    ],
)
def test_queries_that_are_none(items: list[tuple[str, str]], rule: str) -> None:
    with pytest.raises(MalformedError) as error:
        parse_query(items)
    assert error.value.rule == rule


@pytest.mark.parametrize("after", ["", "x", "!!", "WyJhdCIsMCwxLDJd", "bnVsbA", "W10"])
def test_a_cursor_belongs_to_its_query(queries: "tuple[Queries, list[Row]]", after: str) -> None:
    with pytest.raises(MalformedError) as error:
        queries[0].accesses(parse_query([("sort", "seq"), ("after", after)]))
    assert error.value.rule == "Q5"


def test_a_word_that_nobody_used_costs_nothing(queries: "tuple[Queries, list[Row]]") -> None:
    page = queries[0].accesses(parse_query([("dataset", "none"), ("count", "1")]))
    assert page == ([], None, 0)


def test_the_most_selective_predicate_drives(
    queries: "tuple[Queries, list[Row]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of rows that SQLite touches follows the rarest indexed predicate, not the
    table.
    """
    answers, _rows = queries
    seen: list[str] = []
    select = answers.store.select

    def spy(statement: str, *values: object) -> Any:  # noqa: ANN401
        seen.append(statement)
        return select(statement, *values)

    monkeypatch.setattr(answers.store, "select", spy)
    answers.accesses(parse_query([("dataset", "GTEx"), ("seq", "17"), ("activity", "VIEW")]))
    assert "INDEXED BY access_seq" in seen[-1]
    answers.accesses(parse_query([("permit", "P1"), ("activity", "VIEW")]))
    assert "INDEXED BY access_permit" in seen[-1]
    answers.accesses(
        parse_query([("activity", "VIEW"), ("from", "0"), ("to", str(GENESIS_MS + 1_000))])
    )
    assert "INDEXED BY access_at" in seen[-1]
    answers.accesses(parse_query([("sort", "-at"), ("limit", "10")]))
    assert "INDEXED BY access_at" in seen[-1]
