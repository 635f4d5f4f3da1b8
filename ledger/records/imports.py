"""Imports: what the registers of others say, taken over as it stands there and witnessed by nobody
(domain.md D4).
"""

from typing import Annotated, Literal

import msgspec

from ledger.members import Label
from ledger.records.authorisation import Period
from ledger.records.envelope import Code, Digest, Name, Shape


class ImportedData(Shape, frozen=True, kw_only=True):
    """Data that an agreement lists, and how they are given. Codes stand for the register's own
    words.
    """

    confidentiality: Code | None = None
    dataset: Code
    frequency: Code
    identifiability: Code
    legal_basis: Code
    opt_outs: Code
    sensitivity: Literal["sensitive", "non-sensitive"]


class ImportedAgreementBody(Shape, frozen=True, kw_only=True):
    """An agreement on data as a register states it; `register_digest` is the SHA-256 of its file.

    The statements of purpose, of which registers hold many pages, stay in that file.
    """

    agreement: Code
    datasets: Annotated[tuple[ImportedData, ...], msgspec.Meta(min_length=1, max_length=512)]
    org: Label
    org_kind: Code
    org_name: Name
    period: Period
    register: Code
    register_digest: Digest
