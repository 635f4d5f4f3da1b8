"""Use: evidence of accesses, never refused because it shows a violation (definitions.md 3;
domain.md D14).
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Literal, NamedTuple

import msgspec

from ledger.encoding import decode_moments
from ledger.records.catalogue import Day
from ledger.records.envelope import Code, Digest, Instant, Integer, Name, Natural, Shape

Seq = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Action = Literal["read", "execute", "export", "request", "unknown"]
Channel = Literal["query", "file", "api", "notebook", "unknown"]
Outcome = Literal["ok", "denied", "error", "unknown"]
CountBucket = Literal["0", "1-9", "10-99", "100-999", "1000+"]


PAYLOAD = "payload/"
"""What a node records as the `dataset` of an access when it releases a restricted payload: this,
and the payload's commitment.
"""


class Source(Shape, frozen=True, kw_only=True):
    """The number that the observing system gave to this event; gapless for each system (SPEC U)."""

    seq: Seq
    system: Name


class AccessBody(Shape, frozen=True, kw_only=True):
    """One access. `person` is a pid, or `ext:<system>:<code>` where the source is already
    pseudonymous. `ended` is the end of one that began `at`, where the observer saw both.
    """

    action: Action
    activity: Name
    channel: Channel
    count_bucket: CountBucket | None = None
    dataset: Name
    ended: Instant | None = None
    outcome: Outcome
    permit: Name | None = None
    person: Name | None = None
    purpose: Name | None = None
    request: Source | Digest | None = None
    source: Source


class AccessEvent(Shape, frozen=True, kw_only=True):
    """One access of a batch: the fields of `access` with its own time."""

    action: Action
    activity: Name
    at: str
    channel: Channel
    count_bucket: CountBucket | None = None
    dataset: Name
    ended: Instant | None = None
    outcome: Outcome
    permit: Name | None = None
    person: Name | None = None
    purpose: Name | None = None
    request: Source | Digest | None = None
    source: Source


class Column(NamedTuple):
    """One field of many accesses, which say the same in most of them."""

    words: tuple[str | None, ...]
    """What occurs, None among it, each once, in order."""
    places: list[int]
    """For each access where in `words` its own stands."""


class Columns(NamedTuple):
    """Accesses field by field: what the rules and the index ask of many, they ask of all at once,
    or of each word once.
    """

    actions: Column
    activities: Column
    datasets: Column
    outcomes: Column
    permits: Column
    persons: Column
    purposes: Column
    systems: Column
    ended: list[str | None]
    requests: list[Source | str | None]
    seqs: list[int]


def in_columns(accesses: Sequence[AccessBody | AccessEvent]) -> Columns:
    """These accesses field by field."""
    sources = [access.source for access in accesses]
    return Columns(
        actions=_column([access.action for access in accesses]),
        activities=_column([access.activity for access in accesses]),
        datasets=_column([access.dataset for access in accesses]),
        outcomes=_column([access.outcome for access in accesses]),
        permits=_column([access.permit for access in accesses]),
        persons=_column([access.person for access in accesses]),
        purposes=_column([access.purpose for access in accesses]),
        systems=_column([source.system for source in sources]),
        ended=[access.ended for access in accesses],
        requests=[access.request for access in accesses],
        seqs=[source.seq for source in sources],
    )


def _column(values: Sequence[str | None]) -> Column:
    if values and values.count(values[0]) == len(values):
        return Column((values[0],), [0] * len(values))
    places = {word: place for place, word in enumerate(dict.fromkeys(values))}
    return Column(tuple(places), [places[word] for word in values])


class BatchSummary(Shape, frozen=True, kw_only=True):
    """Events too many for one entry: the tree hash over them, kept as a T2 payload by the
    observer.
    """

    count: Seq
    first_seq: Seq
    last_seq: Seq
    root: Digest
    system: Name


class AccessBatchBody(Shape, frozen=True, kw_only=True, dict=True, gc=True):
    """Many accesses under one signature: up to 150 events, or the summary of more; exactly one of
    the two.

    Structs that remember what was worked out of them must be known to the collector.
    """

    events: Annotated[tuple[AccessEvent, ...], msgspec.Meta(max_length=150)] = ()
    summary: BatchSummary | None = None

    @cached_property
    def columns(self) -> Columns:
        """The events in columns, worked out once."""
        return in_columns(self.events)

    @cached_property
    def times(self) -> tuple[int, ...]:
        """When the events happened (POSIX ms), read once. Raises `MalformedError` (B5)."""
        return decode_moments([event.at for event in self.events])


class SourceCloseBody(Shape, frozen=True, kw_only=True):
    """The system's word that there was nothing more up to `last_seq` on this day."""

    count: Natural
    day: Day
    last_seq: Natural
    system: Name


class CorrectionBody(Shape, frozen=True, kw_only=True):
    """A correction is a new record: its target stays as it is, and queries show both."""

    commit: Digest | None = None
    field_path: Name
    new_value: Annotated[str, msgspec.Meta(max_length=128)] | Integer | None = None
    reason_code: Name
    target: Digest


RunState = Literal["requested", "signed-off", "started", "completed", "failed", "aborted"]


class Job(Shape, frozen=True, kw_only=True):
    """What a platform calls a piece of work."""

    name: Name
    namespace: Name


class Used(Shape, frozen=True, kw_only=True):
    """An input of a run: a dataset or version, a result, or a file known by its digest alone."""

    alias: Code | None = None
    digest: Digest | None = None
    kind: Literal["dataset", "result", "file"]
    name: Name | None = None


class ComputeRunBody(Shape, frozen=True, kw_only=True):
    """One state of a run, as its operator saw it. `compute_node` is `ORG` or `ORG/NODE`.

    `code_digest` and `image_digest` are of what ran; `generated` are digests of what came out;
    `exit_code` is what the program left with, 128 and the signal's number where one ended it.
    """

    code_digest: Digest | None = None
    compute_node: Name
    ended: Instant | None = None
    engine: Name | None = None
    exit_code: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    generated: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=256)] = ()
    image_digest: Digest | None = None
    job: Job
    permit: Name | None = None
    person: Name | None = None
    purpose: Name | None = None
    run_id: Code
    started: Instant | None = None
    state: RunState
    used: Annotated[tuple[Used, ...], msgspec.Meta(max_length=256)] = ()


class IncidentBody(Shape, frozen=True, kw_only=True):
    """Something went wrong; what exactly is a payload."""

    affected: Annotated[tuple[Digest, ...], msgspec.Meta(max_length=64)] = ()
    authority_notified: bool
    class_: Literal["breach", "misuse", "key", "availability", "other"] = msgspec.field(
        name="class"
    )
    contained_at: Instant | None = None
    detected_at: Instant
    incident_id: Code
    severity: Literal["low", "medium", "high"]
