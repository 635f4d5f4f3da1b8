"""The published description: every route stands in it, and what is asked is answered as it says."""

import re
from pathlib import Path
from typing import Any

import msgspec

from node.openapi import describe
from node.permission import ROUTES
from tests.node.test_access import Stage, run

DESCRIPTION: dict[str, Any] = msgspec.json.decode(describe())
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


def test_answers_are_those_of_the_description_with_and_without_an_author(tmp_path: Path) -> None:
    """No 5xx, no status that is not described, no body of another type, no reading by nobody."""

    async def test(stage: Stage) -> None:
        for who in ("officer", "auditor", "system", None):
            async with stage.client(who) as client:
                for method, path, options in requests():
                    method, described = options["key"]
                    given = {name: value for name, value in options.items() if name != "key"}
                    answer = await client.request(method, path, **given)
                    operation = DESCRIPTION["paths"][described][method]
                    case = (who, method, path, given, answer.text[:200])
                    assert answer.status_code < 500, case
                    response = operation["responses"].get(str(answer.status_code))
                    assert response is not None, case
                    kind = answer.headers["content-type"].partition(";")[0]
                    assert kind in response["content"], case
                    if who is None and {} not in operation["security"]:
                        assert answer.status_code in (401, 404), case

    run(tmp_path, test)
