"""Rights and upkeep: contributions, certificates, disputes, what is resolved, assessed, erased
(domain.md D14).
"""

from typing import Annotated, Literal

import msgspec

from ledger.members import Label
from ledger.records.authorisation import Period
from ledger.records.catalogue import Day, Party
from ledger.records.envelope import Code, Digest, Instant, Name, Natural, Shape
from ledger.records.outputs import ObjectKind

CreditRole = Literal[
    "conceptualization",
    "data-curation",
    "formal-analysis",
    "funding-acquisition",
    "investigation",
    "methodology",
    "project-administration",
    "resources",
    "software",
    "supervision",
    "validation",
    "visualization",
    "writing-original-draft",
    "writing-review-editing",
]
"""The roles of CRediT (ANSI/NISO Z39.104), by the last part of their addresses."""

Degree = Literal["lead", "equal", "supporting"]


class ContributionBody(Shape, frozen=True, kw_only=True):
    """A claim: this party did this for that object (a version or a result)."""

    credit_role: CreditRole
    degree: Degree
    local_role: Code | None = None
    object: Digest
    party: Party


class ContributionConfirmBody(Shape, frozen=True, kw_only=True):
    """The answer of whoever is responsible for the object; `amend` confirms another degree."""

    contribution: Digest
    decision: Literal["confirm", "reject", "amend"]
    degree: Degree | None = None
    reason_code: Code | None = None


class NoticeBody(Shape, frozen=True, kw_only=True):
    """公示: what is to be certified is shown, and may be objected to, for a time. `draft_hash` is
    the digest of the calculation.
    """

    as_of: Day
    closes: Instant
    draft_hash: Digest
    notice_id: Code
    object: Digest
    opens: Instant
    policy: Digest


class Right(Shape, frozen=True, kw_only=True):
    """A right, its holder, and the effective record that it rests on. `right` is a word of the
    vocabulary of rights that the certificate's `limits_version` names.
    """

    basis: Digest
    exclusive: bool = False
    holder: Party
    right: Code
    scope: Code
    territory: Code | None = None
    until: Day | None = None


class CertificateBody(Shape, frozen=True, kw_only=True):
    """权益凭证: who holds which rights in an object and who is to be credited, as calculated by
    every node.
    """

    ack_root: Digest
    as_of: Day
    calc_digest: Digest
    cert_no: Code
    limits_version: Literal[1]
    notice: Digest
    object: Digest
    object_kind: ObjectKind
    rights: Annotated[tuple[Right, ...], msgspec.Meta(min_length=1, max_length=64)]
    share_root: Digest
    supersedes: Digest | None = None
    valid_until: Day


class DisputeBody(Shape, frozen=True, kw_only=True):
    """Somebody objects to a record; the reasons are a payload."""

    claim_code: Code
    claimant: Party
    dispute_id: Code
    target: Digest


class Order(Shape, frozen=True, kw_only=True):
    """What a ruling orders: a certificate is revoked, or a confirmed contribution withdrawn."""

    action: Literal["revoke", "withdraw"]
    ref: Digest


class DisputeRulingBody(Shape, frozen=True, kw_only=True):
    """The committee's answer to a dispute, by organisations that are no parties of it."""

    dispute: Digest
    orders: Annotated[tuple[Order, ...], msgspec.Meta(max_length=16)] = ()
    outcome: Literal["upheld", "partly", "rejected"]


class FindingResolutionBody(Shape, frozen=True, kw_only=True):
    """Closes one finding of one record; the record and its finding stay as they are. A custodian
    names the dataset, of its own, that the record is about.
    """

    code: Code
    dataset: Name | None = None
    outcome: Literal["justified", "remedied", "sanctioned"]
    record: Digest


class AssessmentBody(Shape, frozen=True, kw_only=True):
    """The committee's assessment of a period (运行考核); its report is a payload. Every metric can
    be computed again from the chain.
    """

    metrics: dict[Code, Natural]
    period: Period


class Erased(Shape, frozen=True, kw_only=True):
    """A payload that its holder no longer has: the record that committed to it, and the
    commitment.
    """

    commit: Digest
    record: Digest


class ErasureBody(Shape, frozen=True, kw_only=True):
    """A holder's word that payloads were erased, and on what ground; the records stay."""

    executed_at: Instant
    ground_code: Code
    holder: Label
    key_destroyed: bool
    targets: Annotated[tuple[Erased, ...], msgspec.Meta(min_length=1, max_length=64)]


class TimeAnchorBody(Shape, frozen=True, kw_only=True):
    """A time-stamp token (RFC 3161, a payload) over the checkpoint of this size; the auditor checks
    the token.
    """

    root: Digest
    size: Natural
