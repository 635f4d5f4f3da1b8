"""The catalogue: data resources and their versions (domain.md D14)."""

from typing import Annotated, Literal

import msgspec

from ledger.members import Label
from ledger.records.envelope import Code, Digest, Natural, Pid, Shape

Day = Annotated[str, msgspec.Meta(min_length=10, max_length=10)]
"""A date, `2026-11-23`."""


class Alias(Shape, frozen=True, kw_only=True):
    """Another name of a data resource, unique in its namespace."""

    name: Code
    namespace: Label


class DatasetBody(Shape, frozen=True, kw_only=True):
    """A data resource, held by its custodian."""

    aliases: tuple[Alias, ...] = ()
    catalogue_class: Code | None = None
    custodian: Code
    openness: Literal["unconditional", "conditional", "closed"]
    public_resource_reg_no: Code | None = None
    series_id: Code


class Term(Shape, frozen=True, kw_only=True):
    """A use term: a DUO or local (`EC:`) code with its parameters."""

    code: Code
    params: tuple[Code, ...] = ()


class Coverage(Shape, frozen=True, kw_only=True):
    """The time that the data cover."""

    from_: Day = msgspec.field(name="from")
    to: Day


class Party(Shape, frozen=True, kw_only=True):
    """Who has a part in something: an organisation, one of its units (科室), or one of its people;
    never a unit and a person.
    """

    org: Label
    person: Pid | None = None
    unit: Code | None = None


class DatasetVersionBody(Shape, frozen=True, kw_only=True):
    """A version of a data resource, bound to its content by a digest.

    `permits` are decisions under which the sources of other custodians were used. Its title, and
    the wording of acknowledgement and citation, are payloads.
    """

    class_level: Literal["core", "important", "general"]
    content_digest: Digest
    coverage: Coverage | None = None
    curator: Party | None = None
    deid_method_code: Code | None = None
    digest_scope: Literal["files", "manifest", "query"]
    gbt39725_level: Annotated[int, msgspec.Meta(ge=1, le=5)]
    hgr_info: bool
    hgr_no: Code | None = None
    identifiability: Literal["identified", "deid", "anon"]
    permits: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=64)] = ()
    records_bucket: Natural
    series_id: Code
    sources: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=256)] = ()
    standard: Code | None = None
    steward: Party | None = None
    terms: Annotated[tuple[Term, ...], msgspec.Meta(max_length=64)] = ()
    version: Code


class DatasetStatusBody(Shape, frozen=True, kw_only=True):
    """A custodian's word that a version is withdrawn: what was recorded stays, uses are flagged."""

    action: Literal["withdraw"]
    reason_code: Code
    version: Digest


class IndicatorVersionBody(Shape, frozen=True, kw_only=True):
    """A version of an indicator of `org`; its definition is a payload, its authors are
    contributions.
    """

    code: Code
    definition_digest: Digest
    org: Label
    predecessor: Digest | None = None
    version: Code


class Ancestry(Shape, frozen=True, kw_only=True):
    """A disease, and all that it is a kind of."""

    ancestors: Annotated[tuple[Code, ...], msgspec.Meta(max_length=128)] = ()
    id: Code


class VocabularyBody(Shape, frozen=True, kw_only=True):
    """One part of the closure table of a disease vocabulary. `root` is the tree hash over all
    parts, which a policy names; `path` proves that this part is one of them.
    """

    part: Natural
    parts: Annotated[int, msgspec.Meta(ge=1, le=65_536)]
    path: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=16)] = ()
    root: Digest
    rows: Annotated[tuple[Ancestry, ...], msgspec.Meta(min_length=1, max_length=512)]
