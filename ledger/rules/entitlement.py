"""What the rule state holds of outputs and rights (SPEC 6.2): how results, requests to let files
out, contributions, notices, certificates, disputes and payloads stand.
"""

from typing import Literal

from ledger.records.catalogue import Party
from ledger.records.envelope import Shape
from ledger.records.governance import Attribution
from ledger.records.outputs import FileVote


class ResultState(Shape, frozen=True, kw_only=True):
    """`result`: by id. `permits` are those of its runs; `released` are the files that may be
    outside.
    """

    files: tuple[str, ...]
    height: int
    leaf: str
    org: str
    permits: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    status: Literal["REGISTERED", "CLEARED", "PUBLISHED", "CORRECTED", "RETRACTED"]
    study: str


class FileReview(Shape, frozen=True, kw_only=True):
    """The newest votes of one reviewer on the files of a request."""

    org: str
    reviewer: str
    votes: tuple[FileVote, ...]


class EgressState(Shape, frozen=True, kw_only=True):
    """`egress`: a request to let files out, by id; `leaf` is its newest submission, and `failed`
    says that the disclosure check failed for some output.
    """

    author: str
    failed: bool
    files: tuple[str, ...]
    leaf: str
    org: str
    permit: str
    released: tuple[str, ...] = ()
    result: str
    reviews: tuple[FileReview, ...] = ()
    status: Literal[
        "REQUESTED", "ONE_REVIEW", "TWO_REVIEWS", "RETURNED", "WITHDRAWN", "REJECTED", "RELEASED",
        "RECALLED",
    ]  # fmt: skip


class ContributionState(Shape, frozen=True, kw_only=True):
    """`contribution`: a claim, by leaf hash. `by` is the person whose key signed it, `degree` the
    one that was confirmed.
    """

    by: str
    credit_role: str
    degree: Literal["lead", "equal", "supporting"]
    local_role: str | None = None
    object: str
    party: Party
    status: Literal["CLAIMED", "CONFIRMED", "REJECTED", "WITHDRAWN"]


class NoticeState(Shape, frozen=True, kw_only=True):
    """`notice`: by id; the parameters are those of its policy, for ever."""

    closes_ms: int
    draft_hash: str
    leaf: str
    object: str
    parameters: Attribution
    policy: str


class CertificateState(Shape, frozen=True, kw_only=True):
    """`certificate`: by number. That it is expired or disputed follows from time and from
    `disputed`.
    """

    calc_digest: str
    leaf: str
    notice: str
    object: str
    status: Literal["ISSUED", "SUPERSEDED", "REVOKED"]
    until_ms: int


class DisputeState(Shape, frozen=True, kw_only=True):
    """`dispute`: by id. `parties` are the organisations that may not rule on it."""

    claimant: Party
    leaf: str
    parties: tuple[str, ...]
    status: Literal["OPEN", "UPHELD", "PARTLY", "REJECTED"]
    target: str


class Disputed(Shape, frozen=True, kw_only=True):
    """`disputed`: the open disputes on a record, by its leaf hash."""

    by: tuple[str, ...] = ()


class PayloadState(Shape, frozen=True, kw_only=True):
    """`payload`: who holds a payload, by `leaf/commit`, and who erased it."""

    erased: tuple[str, ...] = ()
    holders: tuple[str, ...]
    schema: str


ENTITLEMENT: dict[str, type[Shape]] = {
    "certificate": CertificateState,
    "contribution": ContributionState,
    "dispute": DisputeState,
    "disputed": Disputed,
    "egress": EgressState,
    "notice": NoticeState,
    "payload": PayloadState,
    "result": ResultState,
}
"""The namespaces of this module."""
