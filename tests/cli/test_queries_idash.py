"""The real log, 40,000 lines on one chain: the command answers what a plain scan of the files, and
awk, answer.
"""

import csv
import io
import random
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import event

from cli.reports import COLUMNS
from node.store import Queries, Store, parse_query
from tests.cli.conftest import Chain, call, free_port, serving

REGISTERED = ("MOD_SGD", "GTEx")
"""So many datasets are registered before the log comes: findings then differ from line to line."""
SORTS = (
    "index", "at", "seq", "request", "finding", "dataset", "person", "activity", "system",
    "permit", "action", "outcome", "org",
)  # fmt: skip
QUERIES = 60
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


class Log(NamedTuple):
    """The log twice: on a chain, and as a list of what its lines say, in the order of the files."""

    chain: Chain
    rows: list[Row]
    store: Store
    files: list[Path]


def _utc(ms: int) -> str:
    moment = EPOCH + timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03}Z"


def _scan(files: list[Path]) -> Iterator[Row]:
    """What the lines say, read without any code of ours."""
    for path in files:
        for text in path.read_text(encoding="ascii").split("\n")[:-1]:
            at, node, seq, ref, user, activity, resource = text.rstrip("\r").split("\t")
            findings = ["BACKFILLED", "NO_PERMIT"]
            yield {
                "at_ms": int(at), "at": _utc(int(at)), "dataset": resource,
                "person": f"ext:idash:{user}", "activity": activity,
                "action": "request" if activity == "REQ_RESOURCE" else "read",
                "outcome": "unknown", "system": f"idash-{node}", "seq": int(seq), "org": "h1",
                "request": f"idash-{node}/{ref}", "ref": int(ref), "permit": "",
                "findings": findings if resource in REGISTERED else [*findings, "UNREGISTERED"],
            }  # fmt: skip


@pytest.fixture(scope="module")
def log(idash: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    home = tmp_path_factory.mktemp("idash") / "home"
    files = [idash / f"node{node}.tsv" for node in range(1, 5)]
    assert call("init", "--org", "h1", "--port", str(free_port()), "--home", home).code == 0
    with serving(home) as app:
        chain = Chain(home, "")
        for name in REGISTERED:
            chain.json("dataset", "register", name, "--openness", "conditional")
        done = chain.json("import", "idash", *files)
        assert (done["lines"], done["new"]) == (40_000, 40_000)
        yield Log(chain, list(_scan(files)), app.state.driver.store, files)


# --- questions --------------------------------------------------------------------------------


class Question(NamedTuple):
    """The words of a command, the rows that fit, in order, and the same condition for awk."""

    words: list[str]
    found: list[Row]
    awk: str


Predicate = Callable[[Row, random.Random], tuple[list[str], Callable[[Row], bool], str]]


def _equal(name: str, field: str, prefix: str = "") -> Predicate:
    """`--name VALUE`, and awk's `field == "VALUE"`, without the prefix that the import adds."""

    def make(example: Row, _chance: random.Random) -> Any:  # noqa: ANN401
        value = example[name]
        bare = str(value).removeprefix(prefix)
        return [f"--{name}", str(value)], lambda row: row[name] == value, f'{field} == "{bare}"'

    return make


def _action(example: Row, _chance: random.Random) -> Any:  # noqa: ANN401
    value = example["action"]
    sign = "==" if value == "request" else "!="
    return ["--action", value], lambda row: row["action"] == value, f'$6 {sign} "REQ_RESOURCE"'


def _request(example: Row, chance: random.Random) -> Any:  # noqa: ANN401
    ref, text = example["ref"], example["request"]
    if chance.random() < 0.5:
        return ["--request", str(ref)], lambda row: row["ref"] == ref, f"$4 == {ref}"
    node = text.split("/")[0].removeprefix("idash-")
    return ["--request", text], lambda row: row["request"] == text, f"$4 == {ref} && $2 == {node}"


def _finding(example: Row, chance: random.Random) -> Any:  # noqa: ANN401
    code = chance.choice(example["findings"])
    known = " || ".join(f'$7 == "{name}"' for name in REGISTERED)
    awk = f"!({known})" if code == "UNREGISTERED" else "1"
    return ["--finding", code], lambda row: code in row["findings"], awk


def _range(example: Row, chance: random.Random) -> Any:  # noqa: ANN401
    """A time range around the example; each bound in one of the forms that the command takes."""
    low = example["at_ms"] - chance.randrange(40_000_000)
    high = example["at_ms"] + 1 + chance.randrange(40_000_000)
    shown = [chance.choice((str, _utc))(ms) for ms in (low, high)]
    fits, awk = lambda row: low <= row["at_ms"] < high, f"$1 >= {low} && $1 < {high}"
    return ["--from", shown[0], "--to", shown[1]], fits, awk


PREDICATES: tuple[Predicate, ...] = (
    _equal("dataset", "$7"), _equal("person", "$5", "ext:idash:"), _equal("activity", "$6"),
    _equal("system", "$2", "idash-"), _equal("seq", "$3"), _action, _request, _finding, _range,
    lambda _row, _chance: (["--outcome", "unknown"], lambda _other: True, "1"),
    lambda _row, _chance: (["--org", "h1"], lambda _other: True, "1"),
)  # fmt: skip
COMMON = (0, 1, 2, 3, 8, 8)
"""Predicates that many lines fit: most questions take these, so that most answers are long."""


def _question(number: int, rows: list[Row]) -> Question:
    """Question `number`: 1 to 7 predicates, nearly always with an answer; sorts take turns."""
    chance = random.Random(number)
    example = chance.choice(rows)
    count = 1 + number % 7
    pool = list(dict.fromkeys(COMMON)) if number % 3 and count < 5 else range(len(PREDICATES))
    words, awk, found = [], [], rows
    for which in chance.sample(list(pool), count):
        source = chance.choice(rows) if chance.random() < 0.03 else example
        option, fits, condition = PREDICATES[which](source, chance)
        words += option
        awk.append(f"({condition})")
        found = [row for row in found if fits(row)]
    sort, down = SORTS[number % len(SORTS)], number // len(SORTS) % 2 == 1
    words += ["--sort", f"{'-' if down else ''}{sort}"]
    return Question(words, _sorted(found, sort, down), " && ".join(awk))


def _sorted(found: list[Row], sort: str, down: bool) -> list[Row]:
    """By the field, then in the order of the chain, which is that of the files."""
    keys: dict[str, Callable[[Row], Any]] = {
        "index": lambda _row: 0, "at": lambda row: row["at_ms"],
        "request": lambda row: row["ref"], "finding": lambda row: ",".join(row["findings"]),
    }  # fmt: skip
    key = keys.get(sort, lambda row: row[sort])
    if down:  # the exact reverse, of equal fields, too
        return sorted(found[::-1], key=key, reverse=True)
    return sorted(found, key=key)


def _same(row: Row, expected: Row) -> bool:
    """Every column but the place on the chain, which the files do not know."""
    return all(
        row.get(name, "") == expected[name] for name in COLUMNS if name not in ("index", "leaf")
    )


# --- answers ----------------------------------------------------------------------------------


def test_the_questions_are_of_every_kind(log: Log) -> None:
    questions = [_question(number, log.rows) for number in range(QUERIES)]
    sorts = {question.words[-1] for question in questions}
    assert sorts == {way + sort for sort in SORTS for way in ("", "-")}
    sizes = [len(question.found) for question in questions]
    assert sum(size > 0 for size in sizes) >= 50
    assert sum(size > 1_000 for size in sizes) >= 8
    counts = [question.awk.count(") && (") + 1 for question in questions]
    assert {count: counts.count(count) >= 8 for count in range(1, 8)} == dict.fromkeys(
        range(1, 8), True
    )
    assert sum("--from" in question.words for question in questions) >= 15


@pytest.mark.parametrize("number", range(QUERIES))
def test_the_command_gives_what_a_scan_gives(log: Log, number: int) -> None:
    question = _question(number, log.rows)
    if number % 6 == 5:
        done = log.chain("accesses", *question.words, "--all", "--format", "csv")
        assert done.code == 0, done.err
        found = [_of_csv(row) for row in csv.DictReader(io.StringIO(done.data.decode()))]
    else:
        page = log.chain.json("accesses", *question.words, "--all", "--count")
        assert (page["total"], page["next"]) == (len(question.found), None)
        found = page["rows"]
    places = [(row["system"], row["seq"]) for row in found]
    assert places == [(row["system"], row["seq"]) for row in question.found]
    assert all(map(_same, found, question.found))


def _of_csv(row: dict[str, str]) -> Row:
    return {**row, "seq": int(row["seq"]), "findings": row["findings"].split()}


@pytest.mark.parametrize("number", range(10))
def test_the_command_gives_what_awk_gives(log: Log, number: int) -> None:
    question = _question(100 + 7 * number + number % 4, log.rows)
    sort, column = [("index", ""), ("at", "-k1,1n"), ("seq", "-k3,3n"), ("request", "-k4,4n")][
        number % 4
    ]
    program = f'{{ sub(/\\r$/, "") }} {question.awk} {{ print }}'
    ordered = f"| sort -s -t '\t' {column}" if column else ""
    script = f"""awk -F '\t' "$1" "${{@:2}}" {ordered} | cut -f 2,3"""
    said = subprocess.run(
        ["bash", "-c", script, "awk", program, *map(str, log.files)],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    expected = [tuple(line.split("\t")) for line in said.stdout.splitlines()]
    words = [*question.words[:-1], sort]
    rows = log.chain.json("accesses", *words, "--all")["rows"]
    assert [(row["system"].removeprefix("idash-"), str(row["seq"])) for row in rows] == expected


# --- cost -------------------------------------------------------------------------------------


def _steps(store: Store, words: list[tuple[str, str]]) -> int:
    """How many instructions SQLite's machine runs for a first page."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    def watch(connection: Any, *_rest: object) -> None:  # noqa: ANN401
        connection.set_progress_handler(count, 1)

    def unwatch(connection: Any, *_rest: object) -> None:  # noqa: ANN401
        connection.set_progress_handler(None, 1)

    readers = store._readers
    event.listen(readers, "checkout", watch)
    event.listen(readers, "checkin", unwatch)
    try:
        Queries(store).accesses(parse_query([*words, ("limit", "20")]))
    finally:
        event.remove(readers, "checkout", watch)
        event.remove(readers, "checkin", unwatch)
    return steps


WIDE = [("from", "2018-01-01"), ("to", "2019-01-01")]
RARE = [("seq", "77")]


@pytest.mark.parametrize(
    "words",
    [
        RARE,
        [*RARE, ("dataset", "MOD_SGD"), ("person", "ext:idash:10")],
        [*RARE, *WIDE],
        [*RARE, *WIDE, ("sort", "-at")],
        [*RARE, *WIDE, ("activity", "FILE_ACCESS"), ("sort", "-dataset")],
        [("request", "idash-1/3"), *WIDE, ("sort", "-seq")],
        [("request", "idash-1/3"), ("seq", "5"), ("finding", "NO_PERMIT")],
        [("from", "1522000000000"), ("to", "1522000010000"), ("activity", "FILE_ACCESS")],
        [("activity", "REQ_RESOURCE"), *WIDE, ("system", "idash-2"), ("sort", "person")],
    ],
)
def test_a_first_page_costs_as_much_as_its_rarest_predicate(
    log: Log, words: list[tuple[str, str]]
) -> None:
    """A few dozen instructions for each row of the rarest predicate; a scan would take millions."""
    fitting = [
        sum(_fits(row, name, value) for row in log.rows) for name, value in words if name in FIELDS
    ]
    ranged = [sum(_fits_range(row, words) for row in log.rows)] if ("from" in dict(words)) else []
    rarest = min(fitting + ranged)
    assert rarest < 1_200
    assert _steps(log.store, words) < 40 * (rarest + 20) * len(words) + 1_000


FIELDS = ("seq", "dataset", "person", "activity", "request", "system")


def _fits(row: Row, name: str, value: str) -> bool:
    return str(row[name]) == value


def _fits_range(row: Row, words: list[tuple[str, str]]) -> bool:
    given = dict(words)
    if not given["from"].isdigit():
        return True
    return int(given["from"]) <= row["at_ms"] < int(given["to"])
