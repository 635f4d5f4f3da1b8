"""One table from error code to status, and errors as RFC 9457 problem documents in two
languages.
"""

from typing import Final

import msgspec
from starlette.responses import Response

from ledger.errors import AllianceError, Fact
from ledger.rulebook import RULES

STATUS: Final[dict[str, int]] = {
    "busy": 503,
    "config": 500,
    "conflict": 409,
    "erased": 410,
    "forbidden": 403,
    "limit": 429,
    "malformed": 400,
    "not-found": 404,
    "proof": 500,
    "refused": 422,
    "signature": 403,
    "storage": 507,
    "too-large": 413,
    "unauthenticated": 401,
}
RETRY_S: Final = 1
PROBLEM_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Signature tag="alliance-ledger-v1", Bearer'
"""The two ways to say who asks (SPEC 13)."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, and what to do next."""

    type: str
    title: str
    status: int
    code: str
    rule: str
    detail: str
    detail_zh: str
    next: str
    next_zh: str
    facts: dict[str, Fact]


def problem_of(error: AllianceError) -> Problem:
    """An error as callers see it."""
    return Problem(
        type=f"urn:alliance:rule:{error.rule}",
        title=error.code,
        status=STATUS.get(error.code, 500),
        code=error.code,
        rule=error.rule,
        detail=error.sentence("en"),
        detail_zh=error.sentence("zh"),
        next=error.next_step("en"),
        next_zh=error.next_step("zh"),
        facts=dict(error.facts),
    )


def internal_problem() -> Problem:
    """A mistake of ours: no detail leaves the node."""
    rule = RULES["O9"]
    return Problem(
        type="urn:alliance:rule:O9",
        title="internal",
        status=500,
        code="internal",
        rule="O9",
        detail=rule.en,
        detail_zh=rule.zh,
        next=rule.next_en,
        next_zh=rule.next_zh,
        facts={},
    )


def respond(problem: Problem) -> Response:
    """The problem document."""
    headers: dict[str, str] = {}
    if problem.status in (429, 503):
        headers["Retry-After"] = str(problem.facts.get("seconds", RETRY_S))
    if problem.status == 401:
        headers["WWW-Authenticate"] = CHALLENGE
    body = msgspec.json.encode(problem)
    return Response(body, problem.status, headers, PROBLEM_TYPE)
