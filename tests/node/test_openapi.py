"""The published description: every route stands in it, and what is asked is answered as it says."""

import asyncio
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.encoding import b64url
from node.client import BUNDLE_TYPE, DEPOSIT_TYPE
from node.openapi import ANSWERS, describe
from node.permission import ROUTES
from node.problems import PROBLEM_TYPE, Problem
from tests.node.test_access import Stage, run

DESCRIPTION: dict[str, Any] = msgspec.json.decode(describe())
FORMS = {
    (route.split(" ")[0], re.sub(r":path}", "}", route.split(" ")[1])): form
    for route, form in ANSWERS.items()
}
NAMES = ("0", "x", "h1", "\u00e9", "a/b", "dataset:D", "-", "%", "." * 3, "9" * 400)
BODIES = (b"", b"x", b"{}", b"[1]", b"\x00\x00\x00\x01", b'{"ground":"X"}')


def test_every_route_is_described_and_no_other() -> None:
    written = {
        f"{method.upper()} {path}"
        for path, operations in DESCRIPTION["paths"].items()
        for method in operations
    }
    assert written == {re.sub(r":path}", "}", route) for route in ROUTES}


def test_what_is_open_says_so() -> None:
    opened = {
        path
        for path, operations in DESCRIPTION["paths"].items()
        for operation in operations.values()
        if {} in operation["security"]
    }
    assert opened == {"/health", "/genesis", "/login"}


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    """A handful of requests for each operation: method, path, options."""
    found = []
    for path, operations in DESCRIPTION["paths"].items():
        for method, operation in operations.items():
            kinds = list(operation.get("requestBody", {}).get("content", {})) or [""]
            queries = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
            for number, name in enumerate(NAMES):
                real = re.sub(r"\{\w+\}", lambda _m, name=name: name, path)
                options: dict[str, Any] = {
                    "params": {query: name for query in queries[number % 3 :: 3]}
                }
                if method == "post":
                    options["content"] = BODIES[number % len(BODIES)]
                    kind = [*kinds, "text/plain"][number % (len(kinds) + 1)]
                    options["headers"] = {"content-type": kind}
                found.append((method, real, {**options, "key": (method, path)}))
    return found


class Case(NamedTuple):
    """A request and who sends it; None is nobody."""

    who: str | None
    operation: tuple[str, str]
    path: str
    options: dict[str, Any]


def check(case: Case, answer: httpx.Response) -> None:
    """No 5xx, no status that is not described, no body of another type or form, no reading by
    nobody.
    """
    path, method = case.operation
    operation = DESCRIPTION["paths"][path][method]
    shown = (case, answer.status_code, answer.text[:200])
    assert answer.status_code < 500, shown
    response = operation["responses"].get(str(answer.status_code))
    assert response is not None, shown
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in response["content"], shown
    if kind == PROBLEM_TYPE:
        msgspec.json.decode(answer.content, type=Problem, strict=True)
    elif answer.is_success and "schema" in response["content"][kind]:
        msgspec.json.decode(answer.content, type=FORMS[method.upper(), path])
    if case.who is None and {} not in operation["security"]:
        assert answer.status_code in (401, 404), shown


def test_answers_are_those_of_the_description_with_and_without_an_author(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        for who in ("officer", "auditor", "system", None):
            async with stage.client(who) as client:
                for method, path, options in requests():
                    given = {name: value for name, value in options.items() if name != "key"}
                    method, described = options["key"]
                    case = Case(who, (described, method), path, given)
                    check(case, await client.request(method, path, **given))

    run(tmp_path, test)


# --- whatever comes ---


ANYTHING = st.one_of(
    st.text(max_size=40),
    st.sampled_from([*NAMES, "member", "2026-01-01T00:00:00.000Z", "person:self-1", "zh", "-at"]),
    st.integers().map(str),
    st.binary(min_size=32, max_size=32).map(b64url),
)
ROLES_THAT_ASK = ("node", "officer", "committee", "researcher", "auditor", "system", None)
CONTENT_TYPES = (
    "application/json", "application/cose", "text/plain", "application/octet-stream", "",
    "application/x-www-form-urlencoded", BUNDLE_TYPE, DEPOSIT_TYPE,
)  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Any operation by anybody, with anything in every place that the description names."""
    path = draw(st.sampled_from(sorted(DESCRIPTION["paths"])))
    method = draw(st.sampled_from(sorted(DESCRIPTION["paths"][path])))
    operation = DESCRIPTION["paths"][path][method]
    real = re.sub(r"\{\w+\}", lambda _m: quote(draw(ANYTHING), safe=":"), path)
    names = [p["name"] for p in operation["parameters"] if p["in"] == "query"]
    query = draw(st.lists(st.tuples(st.sampled_from([*names, "other"]), ANYTHING), max_size=4))
    options: dict[str, Any] = {"params": query, "headers": {}}
    if draw(st.booleans()):
        options["headers"]["accept"] = "text/html"
    if method != "get":
        options["content"] = draw(st.one_of(st.binary(max_size=300), st.sampled_from(BODIES)))
        options["headers"]["content-type"] = draw(st.sampled_from(CONTENT_TYPES))
        options["headers"]["origin"] = draw(st.sampled_from(("http://127.0.0.1", "null")))
    return Case(draw(st.sampled_from(ROLES_THAT_ASK)), (path, method), real, options)


def test_whatever_is_asked_the_answer_is_described(tmp_path: Path) -> None:
    """What schemathesis asks, of our own description (see DECISIONS)."""

    async def test(stage: Stage) -> None:
        loop = asyncio.get_running_loop()

        async def ask(case: Case) -> httpx.Response:
            async with stage.client(case.who) as client:
                return await client.request(case.operation[1], case.path, **case.options)

        @settings(
            max_examples=200, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(cases())
        def walk(case: Case) -> None:
            check(case, asyncio.run_coroutine_threadsafe(ask(case), loop).result(60))

        await asyncio.to_thread(walk)

    run(tmp_path, test)
