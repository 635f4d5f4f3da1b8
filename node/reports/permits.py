"""Permits and what is due (Q4), and the agreements of the chain as registers show them (domain.md
D4).
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from ledger.records.authorisation import AccessDecisionBody, StudyBody
from ledger.records.catalogue import DatasetVersionBody
from ledger.records.envelope import Record
from ledger.records.imports import ImportedAgreementBody
from ledger.rules.machines import permit_status
from ledger.rules.obligations import Owed, obligations_of
from ledger.rules.standing import PermitState, StudyState
from ledger.rules.structure import DAY_MS
from ledger.rules.values import ImportedState, VersionState
from node.reports.answer import Answer, Asked, Row, tally, unique
from node.reports.ground import Ground, Permit, day_of
from node.store import Group, parse_integer


class PermitRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """A permit, or an agreement that was taken over, and what is due of it."""

    permit: str
    org: str
    status: str
    """As in SPEC 5.11, or IMPORTED."""
    study: str | None = None
    datasets: tuple[str, ...]
    valid_from: str | None = None
    valid_until: str | None = None
    uses: int
    last_day: str | None = None
    due: tuple[str, ...] = ()
    """EXPIRING, NEVER_USED, USED_AFTER_END, OVERDUE:<obligation>, BREACHED:<obligation>; sorted."""
    obligations: tuple[Owed, ...] = ()


def permits(ground: Ground, asked: Asked) -> Answer:
    """Q4: every permit, how it stands and what it owes; `EXPIRING` ends within so many days."""
    within = parse_integer("within", asked.take("within") or "30")
    found = ground.permits()
    groups = by_permit(ground, found)
    rows = [
        _permit_row(ground, name, permit, groups.get(name, []), within)
        for name, permit in found.items()
    ]
    notes = ("recorded-only", "obligations-by-hand", "imported")
    return Answer(rows, notes, {"statuses": tally((row.status, 1) for row in rows)})


def by_permit(ground: Ground, names: Iterable[str]) -> dict[str, list[Group]]:
    """The uses under each of these permits."""
    groups: dict[str, list[Group]] = {}
    for group in ground.uses.groups("permit", list(names)):
        groups.setdefault(group.permit, []).append(group)
    return groups


def _permit_row(
    ground: Ground, name: str, permit: Permit, groups: list[Group], within_days: int
) -> PermitRow:
    state, uses = permit.state, sum(group.uses for group in groups)
    last_ms = max((group.last_ms for group in groups), default=None)
    last = [ground.leaf_at(max(group.last for group in groups))] if groups else []
    row = PermitRow(
        permit=name,
        org=permit.org,
        status="IMPORTED",
        study=permit.study,
        datasets=state.datasets if isinstance(state, ImportedState) else state.terms.datasets,
        uses=uses,
        last_day=None if last_ms is None else day_of(last_ms),
        due=() if uses else ("NEVER_USED",),
        records=unique(*_decided_by(ground, name, state), *last),
    )
    if isinstance(state, ImportedState):
        return row
    owed = obligations_of(ground.draft, ground.graph, name, ground.now_ms)
    return msgspec.structs.replace(
        row,
        status=permit_status(state.spans, state.terms.until_ms, ground.now_ms) or "",
        valid_from=day_of(state.terms.from_ms),
        valid_until=day_of(state.terms.until_ms),
        due=tuple(sorted({*row.due, *_due(state, owed, ground.now_ms, last_ms, within_days)})),
        obligations=owed,
        records=unique(*row.records, *(one.by for one in owed)),
    )


def _decided_by(ground: Ground, name: str, state: PermitState | ImportedState) -> list[str]:
    if isinstance(state, PermitState):
        return [state.terms.decision]
    return [ground.leaf_at(index) for index in ground.posted(f"permit:{name}")[:1]]


def _due(
    state: PermitState, owed: Iterable[Owed], now_ms: int, last_ms: int | None, within_days: int
) -> set[str]:
    due = {f"{one.standing}:{one.code}" for one in owed if one.standing in ("OVERDUE", "BREACHED")}
    until_ms = state.terms.until_ms
    if last_ms is not None and last_ms > until_ms:
        due.add("USED_AFTER_END")
    is_active = permit_status(state.spans, until_ms, now_ms) == "ACTIVE"
    if is_active and until_ms - now_ms <= within_days * DAY_MS:
        due.add("EXPIRING")
    return due


# --- the register ---


class DataItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Data that an agreement lists, and how they are given."""

    dataset: str
    identifiability: str | None = None
    deid_method: str | None = None
    legal_basis: str | None = None
    sensitivity: str | None = None
    frequency: str | None = None
    confidentiality: str | None = None
    opt_outs: str | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What was observed of one dataset under an agreement."""

    dataset: str
    uses: int
    first_day: str
    last_day: str


class AgreementRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """An agreement as registers show it. `texts` are commitments to what all members may read, by
    what it is; the words themselves are in the vaults.
    """

    agreement: str
    register: str | None = None
    """Whose register it was taken over from; None for one of this chain."""
    status: str
    org: str
    org_name: str | None = None
    org_kind: str | None = None
    org_id: str | None = None
    study: str | None = None
    commercial: bool | None = None
    for_profit: bool | None = None
    accredited: bool | None = None
    category: str | None = None
    funders: tuple[str, ...] = ()
    linkage: str | None = None
    people: tuple[str, ...] = ()
    ethics: tuple[str, ...] = ()
    valid_from: str | None = None
    valid_until: str | None = None
    decided_day: str | None = None
    frequency: str | None = None
    legal_basis: tuple[str, ...] = ()
    version: int | None = None
    controllers: tuple[str, ...] = ()
    datasets: tuple[DataItem, ...] = ()
    releases: tuple[Release, ...] = ()
    outputs: tuple[str, ...] = ()
    texts: dict[str, str] = msgspec.field(default_factory=dict)


def register(ground: Ground, _asked: Asked) -> Answer:
    """Every agreement: what was intended, what was observed, what came out."""
    found = ground.permits()
    groups = by_permit(ground, found)
    rows = []
    for name, permit in found.items():
        observed = groups.get(name, [])
        if isinstance(permit.state, ImportedState):
            rows.append(_imported_row(ground, name, permit.state, observed))
        else:
            rows.append(_native_row(ground, name, permit.state, observed))
    return Answer(rows, ("recorded-only", "imported", "register-texts", "pseudonyms"))


def _releases(groups: list[Group]) -> tuple[Release, ...]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.dataset, []).append(group)
    return tuple(
        Release(
            dataset=name,
            uses=sum(group.uses for group in found[name]),
            first_day=day_of(min(group.first_ms for group in found[name])),
            last_day=day_of(max(group.last_ms for group in found[name])),
        )
        for name in sorted(found)
    )


def _imported_row(
    ground: Ground, name: str, state: ImportedState, groups: list[Group]
) -> AgreementRow:
    leaves = _decided_by(ground, name, state)
    body = _body(ground.record(leaves[0]) if leaves else None, ImportedAgreementBody)
    row = AgreementRow(
        agreement=name,
        register=state.register,
        status="IMPORTED",
        org=state.org,
        releases=_releases(groups),
        records=tuple(leaves),
    )
    if body is None:
        return row
    return msgspec.structs.replace(
        row,
        org_name=body.org_name,
        org_kind=body.org_kind,
        controllers=(body.org_name,),
        datasets=tuple(
            DataItem(
                dataset=one.dataset,
                identifiability=one.identifiability,
                legal_basis=one.legal_basis,
                sensitivity=one.sensitivity,
                frequency=one.frequency,
                confidentiality=one.confidentiality,
                opt_outs=one.opt_outs,
            )
            for one in body.datasets
        ),
    )


def _native_row(ground: Ground, name: str, state: PermitState, groups: list[Group]) -> AgreementRow:
    terms = state.terms
    decision = _body(ground.record(terms.decision), AccessDecisionBody)
    study = ground.get(StudyState, "study", state.study)
    member = ground.member(state.lead_org)
    made = {
        out
        for (_used, permit, _person), runs in ground.made.items()
        for one in runs
        for out in one.publications
        if permit == name
    }
    row = AgreementRow(
        agreement=name,
        status=permit_status(state.spans, terms.until_ms, ground.now_ms) or "",
        org=state.lead_org,
        org_kind=member.kind if member else None,
        org_id=member.uscc if member else None,
        study=state.study,
        people=terms.persons,
        ethics=terms.ethics,
        valid_from=day_of(terms.from_ms),
        valid_until=day_of(terms.until_ms),
        decided_day=day_of(terms.since_ms),
        frequency=decision.frequency if decision else None,
        legal_basis=decision.legal_basis_codes if decision else (),
        version=state.version,
        controllers=terms.custodians,
        datasets=tuple(_data_item(ground, one) for one in terms.datasets),
        releases=_releases(groups),
        outputs=tuple(sorted(made)),
        records=unique(terms.decision, study.leaf if study else None),
    )
    return row if study is None else _with_study(ground, row, study)


def _with_study(ground: Ground, row: AgreementRow, study: StudyState) -> AgreementRow:
    body: StudyBody = study.body
    record = ground.record(study.leaf)
    payloads = record.payloads if record else ()
    return msgspec.structs.replace(
        row,
        commercial=body.commercial,
        for_profit=body.for_profit_org,
        accredited=body.accredited,
        category=body.category,
        funders=body.funders,
        linkage=body.linkage,
        texts={one.schema.rpartition("/")[2]: one.commit for one in payloads if one.tier == "T1"},
    )


def _data_item(ground: Ground, name: str) -> DataItem:
    version = ground.get(VersionState, "version", name)
    body = _body(ground.record(version.leaf), DatasetVersionBody) if version else None
    if body is None:
        return DataItem(dataset=name)
    return DataItem(
        dataset=name,
        identifiability=body.identifiability,
        deid_method=body.deid_method_code,
        sensitivity=f"{body.class_level}/{body.gbt39725_level}",
    )


def _body(record: Record[Any] | None, kind: type[Any]) -> Any:  # noqa: ANN401
    """The body of a record of this kind, or None."""
    return record.body if record is not None and isinstance(record.body, kind) else None
