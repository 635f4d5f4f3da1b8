"""Everything about one person, for that person and its institution (Q11)."""

from typing import Final

from ledger.errors import ForbiddenError, NotFoundError
from ledger.provenance import backward
from ledger.records import decode_entry
from ledger.records.authorisation import AccessDecisionBody, StudyBody, StudyEventBody
from ledger.records.rights import ContributionBody
from ledger.records.use import AccessBatchBody, AccessBody, ComputeRunBody
from ledger.rules.entitlement import CertificateState, ContributionState
from ledger.rules.graph import Graph, party_name
from ledger.rules.standing import PermitState, PersonState
from node.forgetting import is_active
from node.reports.answer import Answer, Asked, Row, tally
from node.reports.ground import Ground, day_of

ROUTE: Final = "GET /api/v1/reports/person"


class PersonRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """One record that concerns the person, a payload about it, or who read one."""

    of: str
    """`record`, `payload` or `disclosure`."""
    what: str
    """A type of record; the schema of a payload; the role of who read."""
    day: str | None = None
    role: str | None = None
    """What the person is in it."""
    name: str | None = None
    org: str | None = None
    outcome: str | None = None
    entry: int | None = None


def person(ground: Ground, asked: Asked) -> Answer:
    """Q11: every record about a pid, its part in each, its credits, what the vault of its
    institution holds about it, who read that, and whether it can be erased.

    Raises `NotFoundError` (O6), and `ForbiddenError` (P4) elsewhere than at its institution.
    """
    pid = asked.need("pid")
    state = ground.get(PersonState, "person", pid)
    if state is None:
        raise NotFoundError("O6", what="person", name=pid[:80])
    if state.org != asked.local.org:
        raise ForbiddenError("P4", route=ROUTE, org=asked.local.org)
    kept, read = asked.local.about(pid)
    rows = [_record_row(ground, pid, index) for index in ground.on_subject(f"person:{pid}")]
    active = sorted(_active(ground, pid))
    rows += [
        PersonRow(
            of="payload",
            what=one.schema,
            name=one.commit,
            role=one.tier,
            outcome="kept-while-active" if active else "erasable",
        )
        for one in kept
    ]
    rows += [
        PersonRow(
            of="disclosure",
            what=one.role,
            day=one.at[:10],
            name=one.commit,
            org=one.org,
            outcome=one.outcome,
        )
        for one in read
    ]
    facts = {
        "active_permits": active,
        "certificates": _certificates(ground, pid),
        "key": state.kid,
        "org": state.org,
        "records": tally((row.what, 1) for row in rows if row.of == "record"),
    }
    return Answer(rows, ("one-pseudonym", "erasure-keeps-records", "recorded-only"), facts)


def _record_row(ground: Ground, pid: str, index: int) -> PersonRow:
    entry = decode_entry(ground.store.entry(index))
    record = entry.record
    node = ground.graph.nodes.get(ground.leaf_at(index))
    return PersonRow(
        of="record",
        what=record.type,
        day=day_of(ground.recorded_ms(index)),
        role=_role(pid, record.body),
        name=node.name if node else None,
        org=entry.statement.iss,
        entry=index,
        records=(ground.leaf_at(index),),
    )


def _role(pid: str, body: object) -> str | None:
    """What the person is in a record."""
    if isinstance(body, StudyBody):
        return next((one.role for one in body.team if one.person == pid), None)
    if isinstance(body, StudyEventBody):
        return next((one.role for one in body.new_team or () if one.person == pid), None)
    if isinstance(body, AccessDecisionBody):
        return "listed" if pid in body.persons else None
    if isinstance(body, ContributionBody):
        return f"{body.credit_role}/{body.degree}"
    if isinstance(body, AccessBody | AccessBatchBody | ComputeRunBody):
        return "user"
    return None


def _active(ground: Ground, pid: str) -> list[str]:
    """Permits under which the person uses data, or may again: its payloads stay as long."""
    return [
        name
        for name, permit in ground.all(PermitState, "permit").items()
        if is_active(permit, pid, ground.now_ms)
    ]


def _certificates(ground: Ground, pid: str) -> list[str]:
    """Certificates in whose acknowledgements the person stands."""
    claims = ground.all(ContributionState, "contribution").values()
    mine = {one.object for one in claims if party_name(one.party) == f"pid:{pid}"}
    found = []
    for name, state in ground.all(CertificateState, "certificate").items():
        walk = backward(Graph(ground.draft).find, [state.object])
        parties = {part.party for node in walk.nodes.values() for part in node.parts}
        if f"pid:{pid}" in parties or mine.intersection(walk.nodes):
            found.append(name)
    return found
