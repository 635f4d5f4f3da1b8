"""What this node answers, as OpenAPI 3.1: made from the table of routes, so that it cannot say
anything else (SPEC 10).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ledger.records.envelope import Payload
from ledger.verify import StateAnswer, SubjectAnswer
from node.answers import CreditAnswer, ObligationsAnswer, TraceAnswer
from node.client import BUNDLE_TYPE, DEPOSIT_TYPE, ENTRY_TYPE
from node.forms import (
    EXPORTS,
    Accesses,
    Alive,
    AttachmentState,
    Described,
    Opening,
    Report,
    Summary,
)
from node.permission import ROUTES, Access
from node.problems import PROBLEM_TYPE, Problem
from node.reports import QUESTIONS

JSON: Final = "application/json"
SCHEMAS: Final = "#/components/schemas/{name}"
BYTES: Final = "application/octet-stream"
ALWAYS: Final = (400, 401, 403, 404, 422, 429, 500, 503)
"""Any request may be malformed, without an author, of one who may not, for another name, too
much, or meet a node that stops.
"""
FORM: Final = "application/x-www-form-urlencoded"
PAGE: Final = "text/html"
BODIES: Final[dict[str, tuple[str, ...]]] = {
    "POST /login": (FORM,),
    "POST /logout": (FORM,),
    "POST /api/v1/entries": (ENTRY_TYPE, BUNDLE_TYPE),
    "POST /api/v1/erasures": (JSON,),
    "POST /api/v1/payloads": (DEPOSIT_TYPE,),
    "PUT /api/v1/attachments/{commit}/{number}": (BYTES,),
}
SUCCESS: Final[dict[str, tuple[int, ...]]] = {
    "POST /login": (303,),
    "POST /logout": (303,),
    "POST /api/v1/sessions": (201,),
    "POST /api/v1/entries": (200, 201, 202),
    "POST /api/v1/erasures": (202,),
    "POST /api/v1/payloads": (201,),
}
BESIDES: Final[dict[str, tuple[int, ...]]] = {
    "POST /login": (413,),
    "POST /logout": (413,),
    "POST /api/v1/sessions": (413,),
    "POST /api/v1/entries": (409, 413, 507),
    "POST /api/v1/erasures": (410, 413, 507),
    "POST /api/v1/payloads": (410, 413, 507),
    "PUT /api/v1/attachments/{commit}/{number}": (409, 410, 413, 507),
    "GET /api/v1/attachments/{commit}": (410, 507),
    "GET /api/v1/attachments/{commit}/{number}": (410, 507),
    "GET /api/v1/payloads/{commit}": (410, 507),
}
"""What else a route may answer."""
TYPES: Final[dict[str, str]] = {
    "GET /blocks": "application/vnd.alliance.blocks",
    "GET /checkpoint": "text/plain",
    "GET /justifications": "application/vnd.alliance.blocks",
    "GET /genesis": BYTES,
    "GET /metrics": "text/plain",
    "GET /tile/{path:path}": BYTES,
    "GET /api/v1/payloads/{commit}": DEPOSIT_TYPE,
    "GET /api/v1/attachments/{commit}/{number}": BYTES,
    "GET /api/v1/schemas/{name}": "application/schema+json",
}
QUERIES: Final[dict[str, tuple[str, ...]]] = {
    "GET /blocks": ("from", "limit"),
    "GET /justifications": ("from", "limit"),
    "GET /": ("lang",),
    "GET /login": ("code", "lang"),
    "GET /pages/uses": ("lang",),
    "GET /pages/credit": ("lang", "object"),
    "GET /pages/erasures": ("lang",),
    "GET /api/v1/accesses": (
        "after", "activity", "count", "dataset", "finding", "from", "limit", "org", "person",
        "request", "seq", "sort", "system", "to",
    ),
    "GET /api/v1/payloads/{commit}": ("permit", "purpose"),
    "GET /api/v1/attachments/{commit}/{number}": ("permit", "purpose"),
    **{
        f"GET /api/v1/reports/{name}": (
            "after", *question.parameters, *(() if question.paged else ("limit",)),
        )
        for name, question in QUESTIONS.items()
    },
    **{f"GET /api/v1/exports/{form}": ("object",) for form in EXPORTS},
}  # fmt: skip
ANSWERS: Final[dict[str, Any]] = {
    "GET /health": Alive,
    "POST /api/v1/payloads": Payload,
    "POST /api/v1/sessions": Opening,
    "GET /api/v1/accesses": Accesses,
    "GET /api/v1/attachments/{commit}": AttachmentState,
    "GET /api/v1/credit/{name}": CreditAnswer,
    "GET /api/v1/entries/{name}": Described,
    "GET /api/v1/obligations/{name}": ObligationsAnswer,
    "GET /api/v1/state/{namespace}/{name:path}": StateAnswer,
    "GET /api/v1/subjects/{name:path}": SubjectAnswer,
    "GET /api/v1/summary": Summary,
    "GET /api/v1/trace/{name}": TraceAnswer,
    **{f"GET /api/v1/reports/{name}": Report for name in QUESTIONS},
    **{f"GET /api/v1/exports/{form}": document for form, document in EXPORTS.items()},
}
"""The form of an answer in JSON, where somebody relies on it."""
SECURITY: Final[list[dict[str, list[str]]]] = [{"signature": []}, {"apiKey": []}]


def describe() -> bytes:
    """The description, as JSON."""
    paths: dict[str, dict[str, Any]] = {}
    forms = [Problem, *ANSWERS.values()]
    found, schemas = msgspec.json.schema_components(forms, ref_template=SCHEMAS)
    answers = dict(zip(ANSWERS, found[1:], strict=True))
    for route, access in ROUTES.items():
        method, path = route.split(" ")
        plain = re.sub(r"\{(\w+):path\}", r"{\1}", path)
        paths.setdefault(plain, {})[method.lower()] = _operation(route, plain, access, answers)
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "alliance chain node", "version": "1"},
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "signature": {"type": "http", "scheme": "signature"},
                    "apiKey": {"type": "http", "scheme": "bearer"},
                    "session": {"type": "apiKey", "in": "cookie", "name": "alliance"},
                },
            },
        }
    )


def _operation(
    route: str, path: str, access: Access, answers: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    queries = QUERIES.get(route, ())
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", route).strip("_").lower(),
        "parameters": [
            *(_parameter(name, "path", required=True) for name in names),
            *(_parameter(name, "query", required=False) for name in queries),
        ],
        "responses": _responses(route, answers.get(route)),
        "security": [{}, *SECURITY] if access.is_open else _schemes(access),
    }
    if route in BODIES:
        content = {kind: {"schema": {"type": "string"}} for kind in BODIES[route]}
        operation["requestBody"] = {"content": content, "required": True}
    return operation


def _schemes(access: Access) -> list[dict[str, list[str]]]:
    if access.page:
        return [{"session": []}, *SECURITY[:1]]
    return SECURITY if access.scope else SECURITY[:1]


def _parameter(name: str, place: str, *, required: bool) -> dict[str, Any]:
    return {"in": place, "name": name, "required": required, "schema": {"type": "string"}}


def _responses(route: str, answer: dict[str, Any] | None) -> dict[str, Any]:
    is_page = ROUTES[route].page
    kind = PAGE if is_page else TYPES.get(route, JSON)
    schema = {} if answer is None else {"schema": answer}
    good = {
        str(status): {"description": "done", "content": {kind: schema}}
        for status in SUCCESS.get(route, (200,))
    }
    problem: dict[str, Any] = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if is_page:
        problem[PAGE] = {}
    bad = {
        str(status): {"description": "a problem document", "content": problem}
        for status in sorted({*ALWAYS, *BESIDES.get(route, ())})
    }
    return {**good, **bad}
