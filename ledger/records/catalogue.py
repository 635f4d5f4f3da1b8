"""The catalogue: data resources and their versions (domain.md D14)."""

from typing import Annotated, Literal

import msgspec

from ledger.members import Label
from ledger.records.envelope import Code, Digest, Natural, Shape

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


class DatasetVersionBody(Shape, frozen=True, kw_only=True):
    """A version of a data resource, bound to its content by a digest."""

    class_level: Literal["core", "important", "general"]
    content_digest: Digest
    coverage: Coverage | None = None
    deid_method_code: Code | None = None
    digest_scope: Literal["files", "manifest", "query"]
    gbt39725_level: Annotated[int, msgspec.Meta(ge=1, le=5)]
    hgr_info: bool
    hgr_no: Code | None = None
    identifiability: Literal["identified", "deid", "anon"]
    records_bucket: Natural
    series_id: Code
    sources: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=256)] = ()
    standard: Code | None = None
    terms: Annotated[tuple[Term, ...], msgspec.Meta(max_length=64)] = ()
    version: Code
