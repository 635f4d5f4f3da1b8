"""What the rule state holds of the life of a data use (SPEC 6.2): how studies, approvals, requests,
permits and runs stand.

A thing that changes keeps its *spans*: since when it stands how. So an access of last week is
judged by how the permit stood last week, and not by how it stands when the record arrives.
"""

from typing import Final, Literal

from ledger.records.authorisation import Match, Obligation, StudyBody
from ledger.records.envelope import Shape
from ledger.records.use import Used

MAX_SPANS: Final = 64
"""The newest changes that are kept; before them, the oldest kept one counts."""


class Span(Shape, frozen=True, kw_only=True):
    """From this time on, until the next span."""

    from_ms: int
    status: str


Spans = tuple[Span, ...]


def status_at(spans: Spans, time_ms: int) -> str | None:
    """How a thing stood at a time; None before its first span."""
    for span in reversed(spans):
        if span.from_ms <= time_ms:
            return span.status
    return None


def add_span(spans: Spans, status: str, from_ms: int) -> Spans:
    """One more change, never before the one before it: the past stays as it was."""
    start = max(from_ms, spans[-1].from_ms) if spans else from_ms
    return (*spans, Span(from_ms=start, status=status))[-MAX_SPANS:]


class PersonState(Shape, frozen=True, kw_only=True):
    """`person`: whose pid it is, and the newest key (`self`) that is bound to it."""

    kid: str
    org: str


class ResolutionState(Shape, frozen=True, kw_only=True):
    """`resolution`: an effective resolution, by leaf hash."""

    kind: str
    no: str


class DiseaseState(Shape, frozen=True, kw_only=True):
    """`disease`: what a disease is a kind of, by `root/id` of a vocabulary."""

    ancestors: tuple[str, ...] = ()


class IndicatorState(Shape, frozen=True, kw_only=True):
    """`indicator`: an indicator, by code."""

    latest: str
    org: str
    versions: int


class IndicatorVersionState(Shape, frozen=True, kw_only=True):
    """`indicator-version`: by `code@version`."""

    height: int
    leaf: str
    org: str


class StudyState(Shape, frozen=True, kw_only=True):
    """`study`: by number; its body as amended."""

    body: StudyBody
    height: int
    leaf: str
    status: Literal["REGISTERED", "COMPLETED", "TERMINATED"]


class EthicsState(Shape, frozen=True, kw_only=True):
    """`ethics`: an approval, by its id. `scope` are series; none means all."""

    committee_org: str
    from_ms: int
    leaf: str
    scope: tuple[str, ...] = ()
    spans: Spans
    study: str
    until_ms: int

    def covers(self, dataset: str, first_ms: int, last_ms: int) -> bool:
        """Whether it is granted for a dataset at both times, which lie in its window."""
        series = dataset.partition("@")[0]
        return (
            self.from_ms <= first_ms
            and last_ms <= self.until_ms
            and (not self.scope or series in self.scope)
            and status_at(self.spans, first_ms) == "GRANTED"
            and status_at(self.spans, last_ms) == "GRANTED"
        )


class Opinion(Shape, frozen=True, kw_only=True):
    """A reviewer's live opinion at one stage; `counted` unless a conflict of interest is
    declared.
    """

    counted: bool
    leaf: str
    opinion: str
    org: str
    reviewer: str
    stage: str


class RequestState(Shape, frozen=True, kw_only=True):
    """`request`: by id; `leaf` is its newest submission."""

    datasets: tuple[str, ...]
    duration_months: int
    ethics: tuple[str, ...]
    height: int
    leaf: str
    match: Match
    opinions: tuple[Opinion, ...] = ()
    status: Literal["SUBMITTED", "UNDER_REVIEW", "RETURNED", "APPROVED", "REJECTED", "WITHDRAWN"]
    study: str


class PermitTerms(Shape, frozen=True, kw_only=True):
    """What a decision allows: data, people, purposes, places, time. `since_ms` is when these terms
    came into force.
    """

    compute_nodes: tuple[str, ...] = ()
    custodians: tuple[str, ...]
    datasets: tuple[str, ...]
    decision: str
    ethics: tuple[str, ...]
    from_ms: int
    obligations: tuple[Obligation, ...] = ()
    persons: tuple[str, ...]
    purposes: tuple[str, ...]
    since_ms: int
    until_ms: int


class PermitState(Shape, frozen=True, kw_only=True):
    """`permit`: by id. `terms` are in force, number `version`; earlier ones stand under
    `permit-terms`. `pending` are those of an amendment that is not put into force yet.
    """

    lead_org: str
    pending: PermitTerms | None = None
    pi: str
    pi_org: str
    spans: Spans
    study: str
    terms: PermitTerms
    version: int


class RunState(Shape, frozen=True, kw_only=True):
    """`run`: by `org/run_id` of its operator; what its records said, the later ones in the place of
    the earlier.
    """

    compute_node: str
    ended_ms: int | None = None
    generated: tuple[str, ...] = ()
    permit: str | None = None
    person: str | None = None
    started_ms: int | None = None
    status: Literal["REQUESTED", "SIGNED_OFF", "STARTED", "COMPLETED", "FAILED", "ABORTED"]
    used: tuple[Used, ...] = ()


class UseDays(Shape, frozen=True, kw_only=True):
    """`use-days`: on which of 1,024 days the custodian recorded an access under a permit, by
    `dataset@permit/n`.
    """

    bits: str


STANDING: dict[str, type[Shape]] = {
    "disease": DiseaseState,
    "ethics": EthicsState,
    "indicator": IndicatorState,
    "indicator-version": IndicatorVersionState,
    "permit": PermitState,
    "permit-terms": PermitTerms,
    "person": PersonState,
    "request": RequestState,
    "resolution": ResolutionState,
    "run": RunState,
    "study": StudyState,
    "use-days": UseDays,
}
"""The namespaces of this module."""
