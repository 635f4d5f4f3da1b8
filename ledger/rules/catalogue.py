"""D1 to D13: data resources and their versions (domain.md D14, Catalogue)."""

from collections.abc import Iterable

from msgspec.structs import replace

from ledger.encoding import decode_date, unb64url
from ledger.errors import RefusedError, unreachable
from ledger.records.catalogue import (
    DatasetBody,
    DatasetStatusBody,
    DatasetVersionBody,
    Party,
    Term,
)
from ledger.records.envelope import Record, Shape
from ledger.records.use import PAYLOAD
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft
from ledger.rules.governance import check_resolution_ref
from ledger.rules.standing import PermitState, PersonState
from ledger.rules.terms import HGR, IMPORTANT, Ancestors, check_terms, code_of, keeps
from ledger.rules.values import Bound, DatasetState, Holder, VersionState
from ledger.rules.vocabulary import ancestors_by
from ledger.state import state_key

Changes = dict[bytes, Shape]


def check_dataset(
    draft: Draft, record: Record[DatasetBody], org: str, _capacity: str, _at: At
) -> None:
    """D1 to D3."""
    body = record.body
    if body.custodian != org:
        raise RefusedError("D1", custodian=body.custodian, org=org)
    is_other = "@" in body.series_id or body.series_id.startswith(PAYLOAD)
    if is_other or draft.get(DatasetState, "dataset", body.series_id) is not None:
        raise RefusedError("D2", series=body.series_id)
    names = [f"{alias.namespace}/{alias.name}" for alias in body.aliases]
    seen: set[str] = set()
    for name in names:
        if draft.get(Holder, "alias", name) is not None or name in seen:
            raise RefusedError("D3", alias=name)
        seen.add(name)


def effect_dataset(_draft: Draft, record: Record[DatasetBody], at: At, leaf: str) -> Changes:
    """Registers the series and its other names."""
    body = record.body
    changes: Changes = {
        state_key("alias", f"{alias.namespace}/{alias.name}"): Holder(by=body.series_id)
        for alias in body.aliases
    }
    changes[state_key("dataset", body.series_id)] = DatasetState(
        custodian=body.custodian, height=at.height, leaf=leaf
    )
    return changes


def check_version(
    draft: Draft, record: Record[DatasetVersionBody], org: str, _capacity: str, _at: At
) -> None:
    """D1, D4 to D11."""
    body = record.body
    series = draft.get(DatasetState, "dataset", body.series_id)
    if series is None:
        raise RefusedError("D4", series=body.series_id)
    if series.custodian != org:
        raise RefusedError("D1", custodian=series.custodian, org=org)
    if draft.get(VersionState, "version", f"{body.series_id}@{body.version}") is not None:
        raise RefusedError("D5", name=f"{body.series_id}@{body.version}")
    if body.class_level == "core":
        raise RefusedError("D6")
    if body.identifiability == "identified" or body.gbt39725_level >= 4:
        check_resolution_ref(draft, record)
    unb64url(body.content_digest, 32)
    if body.coverage is not None and decode_date(body.coverage.from_) > decode_date(
        body.coverage.to
    ):
        raise RefusedError("D7")
    check_terms(body.terms)
    _check_origin(draft, body)


def _check_origin(draft: Draft, body: DatasetVersionBody) -> None:
    """D8, D10, D11: what a version comes from, under which permits, and who looks after it."""
    for source in body.sources:
        if active_version(draft, source) is None:
            raise RefusedError("D8", leaf=source)
    for permit in body.permits:
        _permit_of(draft, permit)
    for party in (body.curator, body.steward):
        check_party(draft, party)


def active_version(draft: Draft, leaf: str) -> VersionState | None:
    """A registered version that is not withdrawn."""
    version = draft.get(VersionState, "version-leaf", leaf)
    return version if version is not None and version.withdrawn is None else None


def _permit_of(draft: Draft, leaf: str) -> PermitState:
    """D10: the permit that a decision gave."""
    decision = draft.decision(leaf)
    if decision is not None and (decision.type, decision.status) == (
        "access-decision",
        "EFFECTIVE",
    ):
        permit = draft.get(PermitState, "permit", decision.sub.removeprefix("permit:"))
        if permit is not None:
            return permit
    raise RefusedError("D10", leaf=leaf)


def check_party(draft: Draft, party: Party | None) -> None:
    """D11: a party is a member, one of its units, or one of its people whose key is registered."""
    if party is None:
        return
    person = None if party.person is None else draft.get(PersonState, "person", party.person)
    unknown = draft.member(party.org) is None or (party.person is not None and person is None)
    if unknown or (person is not None and (person.org != party.org or party.unit is not None)):
        raise RefusedError("D11", org=party.org)


def terms_of(body: DatasetVersionBody) -> tuple[Term, ...]:
    """The terms that a version carries: those stated, and those that follow from what it holds
    (SPEC 5.5), by code.
    """
    terms = {code_of(term): term for term in body.terms}
    if body.hgr_info:
        terms.setdefault(HGR, Term(code=HGR, params=(body.hgr_no,) if body.hgr_no else ()))
    if body.class_level == "important":
        terms.setdefault(IMPORTANT, Term(code=IMPORTANT))
    return tuple(terms[code] for code in sorted(terms))


def version_alternatives(
    draft: Draft, body: DatasetVersionBody, org: str, _committee: int, at: At
) -> Alternatives:
    """What is derived from another custodian's data under weaker terms, or under no permit, needs
    an officer of that custodian.
    """
    terms, ancestors = terms_of(body), ancestors_by(draft, at)
    asked = _asked(draft, body, org)
    weaker = {
        custodian
        for custodian, theirs in asked.items()
        if not all(keeps(terms, term, ancestors) for term in theirs)
    }
    custodians = sorted(weaker | _not_permitted(draft, body, org))
    return (tuple(Need(1, custodian) for custodian in custodians),) if custodians else ()


def _not_permitted(draft: Draft, body: DatasetVersionBody, org: str) -> set[str]:
    """Other custodians of sources that no permit named covers."""
    allowed: set[str] = set()
    for leaf in body.permits:
        allowed.update(_permit_of(draft, leaf).terms.datasets)
    sources = [draft.get(VersionState, "version-leaf", leaf) for leaf in body.sources]
    return {
        source.custodian
        for source in sources
        if source is not None and source.custodian != org and source.name not in allowed
    }


def _asked(draft: Draft, body: DatasetVersionBody, org: str) -> dict[str, set[Term]]:
    """The terms that other custodians ask for: of the sources, and of what these come from."""
    asked: dict[str, set[Term]] = {}
    for leaf in body.sources:
        source = draft.get(VersionState, "version-leaf", leaf)
        if source is not None:
            own = Bound(custodian=source.custodian, terms=source.terms)
            for bound in (own, *source.bound):
                if bound.custodian != org:
                    asked.setdefault(bound.custodian, set()).update(bound.terms)
    return asked


def _kept(own: tuple[Term, ...], asked: Iterable[Term], ancestors: Ancestors) -> tuple[Term, ...]:
    """Of the terms asked for, those that are kept; the others that custodian's officer gave up."""
    kept = [term for term in asked if keeps(own, term, ancestors)]
    return tuple(sorted(kept, key=lambda term: (term.code, term.params)))


def effect_version(draft: Draft, record: Record[DatasetVersionBody], at: At, leaf: str) -> Changes:
    """Registers the version and makes it the latest of its series."""
    body = record.body
    series = draft.get(DatasetState, "dataset", body.series_id)
    if series is None:
        unreachable("the check before has found the series")
    terms, ancestors = terms_of(body), ancestors_by(draft, at)
    asked = _asked(draft, body, series.custodian)
    kept = {name: _kept(terms, asked[name], ancestors) for name in sorted(asked)}
    version = VersionState(
        bound=tuple(Bound(custodian=name, terms=theirs) for name, theirs in kept.items() if theirs),
        custodian=series.custodian,
        leaf=leaf,
        name=f"{body.series_id}@{body.version}",
        terms=terms,
    )
    return {
        **_version_changes(version),
        state_key("dataset", body.series_id): DatasetState(
            custodian=series.custodian,
            height=series.height,
            latest=body.version,
            leaf=series.leaf,
            versions=series.versions + 1,
        ),
    }


def _version_changes(version: VersionState) -> Changes:
    return {
        state_key("version", version.name): version,
        state_key("version-leaf", version.leaf): version,
    }


def check_withdrawal(
    draft: Draft, record: Record[DatasetStatusBody], org: str, _capacity: str, _at: At
) -> None:
    """D1, D12."""
    version = _to_withdraw(draft, record.body)
    if version.custodian != org:
        raise RefusedError("D1", custodian=version.custodian, org=org)


def _to_withdraw(draft: Draft, body: DatasetStatusBody) -> VersionState:
    version = active_version(draft, body.version)
    if version is None:
        raise RefusedError("D12", leaf=body.version)
    return version


def effect_withdrawal(
    draft: Draft, record: Record[DatasetStatusBody], at: At, _leaf: str
) -> Changes:
    """Nobody may ask for the version or derive from it any more; its uses are flagged."""
    version = _to_withdraw(draft, record.body)
    return _version_changes(replace(version, withdrawn=at.height))
