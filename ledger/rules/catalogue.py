"""D: data resources and their versions (domain.md D14, Catalogue)."""

from ledger.encoding import decode_date, unb64url
from ledger.errors import RefusedError
from ledger.records.catalogue import DatasetBody, DatasetVersionBody
from ledger.records.envelope import Record, Shape
from ledger.rules.decisions import Alternatives, Need
from ledger.rules.draft import At, Draft
from ledger.rules.governance import check_resolution_ref
from ledger.rules.values import Bound, DatasetState, Holder, VersionState
from ledger.state import state_key

Changes = dict[bytes, Shape]


def check_dataset(draft: Draft, record: Record[DatasetBody], org: str, _capacity: str) -> None:
    """D1 to D3."""
    body = record.body
    if body.custodian != org:
        raise RefusedError("D1", custodian=body.custodian, org=org)
    if draft.get(DatasetState, "dataset", body.series_id) is not None or "@" in body.series_id:
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
    draft: Draft, record: Record[DatasetVersionBody], org: str, _capacity: str
) -> None:
    """D1, D4 to D8."""
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
    for source in body.sources:
        if draft.get(VersionState, "version-leaf", source) is None:
            raise RefusedError("D8", leaf=source)


def version_alternatives(draft: Draft, body: DatasetVersionBody, org: str) -> Alternatives:
    """A derived version with weaker terms than a custodian asks for needs an officer of that
    custodian.
    """
    terms = {term.code for term in body.terms}
    asked = _asked(draft, body, org)
    custodians = sorted(custodian for custodian, codes in asked.items() if not codes <= terms)
    return (tuple(Need(1, custodian) for custodian in custodians),) if custodians else ()


def _asked(draft: Draft, body: DatasetVersionBody, org: str) -> dict[str, set[str]]:
    """The terms that other custodians ask for: of the sources, and of what these come from."""
    asked: dict[str, set[str]] = {}
    for leaf in body.sources:
        source = draft.get(VersionState, "version-leaf", leaf)
        if source is not None:
            own = Bound(custodian=source.custodian, terms=source.terms)
            for bound in (own, *source.bound):
                if bound.custodian != org:
                    asked.setdefault(bound.custodian, set()).update(bound.terms)
    return asked


def effect_version(draft: Draft, record: Record[DatasetVersionBody], _at: At, leaf: str) -> Changes:
    """Registers the version and makes it the latest of its series."""
    body = record.body
    series = draft.get(DatasetState, "dataset", body.series_id)
    if series is None:
        raise RefusedError("D4", series=body.series_id)
    terms = {term.code for term in body.terms}
    asked = _asked(draft, body, series.custodian)
    # What is asked for and not kept was given up by that custodian's officer.
    kept = {custodian: tuple(sorted(codes & terms)) for custodian, codes in sorted(asked.items())}
    version = VersionState(
        bound=tuple(Bound(custodian=name, terms=codes) for name, codes in kept.items() if codes),
        custodian=series.custodian,
        leaf=leaf,
        name=f"{body.series_id}@{body.version}",
        terms=tuple(sorted(terms)),
    )
    return {
        state_key("version", version.name): version,
        state_key("version-leaf", leaf): version,
        state_key("dataset", body.series_id): DatasetState(
            custodian=series.custodian,
            height=series.height,
            latest=body.version,
            leaf=series.leaf,
            versions=series.versions + 1,
        ),
    }
