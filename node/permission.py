"""Who may use which route: one table, and nothing is reachable that does not stand in it (SPEC
13.3).

When and for what a role may use it is `policy`. Rows name roles, never people.
"""

from typing import Final, NamedTuple

from ledger.errors import AllianceError, ForbiddenError, InvariantError
from node.apikeys import Scope
from node.identity import Identity, Role


class Access(NamedTuple):
    """Who may use a route."""

    roles: frozenset[Role]
    scope: Scope | None = None
    """What an API key must be good for; None: no API key may use it."""
    own: bool = False
    """Whether it is for the people and systems of the node's own organisation alone."""
    is_open: bool = False
    """Whether it answers without an author."""
    page: bool = False
    """Whether it is for browsers: the session of one is an author here, and nowhere else."""


EVERYBODY: Final[frozenset[Role]] = frozenset({
    "node", "officer", "committee", "ethics", "checker", "registrar", "researcher", "auditor",
    "system",
})  # fmt: skip
WRITERS: Final = EVERYBODY - {"auditor"}
OVERSEERS: Final[frozenset[Role]] = frozenset({
    "node", "officer", "committee", "ethics", "checker", "auditor",
})  # fmt: skip
"""Those who see all records: a permissioned log that some members see less of could be split."""
PEOPLE: Final = EVERYBODY - {"node", "system"}
"""Who may have a browser."""
OPERATORS: Final[frozenset[Role]] = frozenset({"node", "officer", "system"})

ROUTES: Final[dict[str, Access]] = {
    "GET /health": Access(EVERYBODY, "metrics", is_open=True),
    "GET /genesis": Access(EVERYBODY, "log", is_open=True),
    "POST /api/v1/entries": Access(WRITERS, "submit"),
    "GET /api/v1/entries/{name}": Access(EVERYBODY, "read"),
    "GET /api/v1/state/{namespace}/{name:path}": Access(EVERYBODY, "read"),
    "GET /api/v1/subjects/{name:path}": Access(EVERYBODY, "read"),
    "GET /api/v1/accesses": Access(OVERSEERS),
    "GET /api/v1/reports/uses": Access(OVERSEERS),
    "GET /api/v1/reports/provenance": Access(EVERYBODY, "read"),
    "GET /api/v1/reports/coverage": Access(OVERSEERS),
    "GET /api/v1/reports/permits": Access(OVERSEERS),
    "GET /api/v1/reports/credit": Access(EVERYBODY, "read"),
    "GET /api/v1/reports/egress": Access(OVERSEERS),
    "GET /api/v1/reports/consequences": Access(OVERSEERS),
    "GET /api/v1/reports/member": Access(OVERSEERS),
    "GET /api/v1/reports/committee": Access(OVERSEERS),
    "GET /api/v1/reports/copies": Access(OVERSEERS),
    "GET /api/v1/reports/person": Access(frozenset({"officer", "researcher"}), own=True),
    "GET /api/v1/reports/certificate": Access(EVERYBODY, "read"),
    "GET /api/v1/reports/register": Access(OVERSEERS),
    "GET /api/v1/exports/crate": Access(EVERYBODY, "read"),
    "GET /api/v1/exports/datacite": Access(EVERYBODY, "read"),
    "GET /api/v1/exports/prov": Access(EVERYBODY, "read"),
    "POST /api/v1/payloads": Access(WRITERS, "submit", own=True),
    "GET /api/v1/payloads/{commit}": Access(EVERYBODY),
    "GET /api/v1/attachments/{commit}": Access(EVERYBODY),
    "PUT /api/v1/attachments/{commit}/{number}": Access(WRITERS, "submit", own=True),
    "GET /api/v1/attachments/{commit}/{number}": Access(EVERYBODY),
    "POST /api/v1/erasures": Access(frozenset({"officer"}), own=True),
    "GET /api/v1/vault": Access(frozenset({"node", "officer", "auditor"}), own=True),
    "GET /api/v1/credit/{name}": Access(EVERYBODY, "read"),
    "GET /api/v1/trace/{name}": Access(EVERYBODY, "read"),
    "GET /api/v1/obligations/{name}": Access(EVERYBODY, "read"),
    "GET /api/v1/summary": Access(EVERYBODY, "read"),
    "GET /api/v1/schemas/{name}": Access(EVERYBODY, "read"),
    "GET /api/v1/openapi.json": Access(EVERYBODY, "read"),
    "GET /checkpoint": Access(EVERYBODY, "log"),
    "GET /tile/{path:path}": Access(OVERSEERS | {"system"}, "log"),
    "GET /blocks": Access(OVERSEERS | {"system"}, "log"),
    "GET /justifications": Access(OVERSEERS | {"system"}, "log"),
    "GET /metrics": Access(OPERATORS, "metrics", own=True),
    "POST /api/v1/sessions": Access(PEOPLE),
    "GET /login": Access(EVERYBODY, is_open=True, page=True),
    "POST /login": Access(EVERYBODY, is_open=True, page=True),
    "POST /logout": Access(PEOPLE, page=True),
    "GET /": Access(PEOPLE, page=True),
    "GET /pages/uses": Access(PEOPLE - {"registrar"}, page=True),
    "GET /pages/credit": Access(PEOPLE, page=True),
    "GET /pages/erasures": Access(frozenset({"officer", "auditor"}), own=True, page=True),
}
"""Every route of a node (method and path) and who may use it."""


def access_of(route: str) -> Access:
    """The row of a route; a route without one is a mistake of ours."""
    access = ROUTES.get(route)
    if access is None:
        raise InvariantError(f"nobody decided who may use {route}")
    return access


def check_permission(identity: Identity, route: str, org: str) -> None:
    """Whether this author may use a route of the node of `org`. Raises `ForbiddenError` (P1, P3,
    P4).
    """
    access = access_of(route)
    if identity.role not in access.roles:
        raise ForbiddenError("P1", role=identity.role, route=route)
    if identity.scopes is not None and access.scope not in identity.scopes:
        scope = access.scope or "-"
        raise ForbiddenError("P3", id=identity.key, scope=scope, route=route)
    if access.own and identity.org != org:
        raise ForbiddenError("P4", route=route, org=org)


def can_use(identity: Identity, route: str, org: str) -> bool:
    """`check_permission` for pages and tables."""
    try:
        check_permission(identity, route, org)
    except AllianceError:
        return False
    return True
