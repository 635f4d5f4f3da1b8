"""U: evidence of use. Findings, never refusals, for what breaks the rules of use (domain.md,
decision 1).
"""

from ledger.encoding import decode_date, unb64url
from ledger.errors import RefusedError, unreachable
from ledger.records.envelope import Record
from ledger.records.use import (
    AccessBatchBody,
    AccessBody,
    AccessEvent,
    CorrectionBody,
    SourceCloseBody,
)
from ledger.rules.draft import CHUNK, At, Draft, Numbers, Outcome
from ledger.rules.structure import CLOCK_TOLERANCE_MS, occurred, oldest_ms
from ledger.rules.values import DatasetState, VersionState

MAX_SUMMARY = 65_536
"""A summary changes no more keys of the map than a batch of its bytes may."""


def use_findings(draft: Draft, body: AccessBody | AccessEvent, org: str, codes: set[str]) -> None:
    """The compliance findings of one access: who, under what, on what, and whether its number is
    new.
    """
    if body.person is None:
        codes.add("NO_PERSON")
    if body.permit is None:
        codes.add("NO_PERMIT")
    else:
        # Permits are not registered on a chain of these rules; what is named cannot be checked
        # (definitions.md 3).
        codes.add("UNREGISTERED")
    custodian = custodian_of(draft, body.dataset)
    if custodian is None:
        codes.add("UNREGISTERED")
    elif custodian != org:
        codes.add("OBSERVED_BY_OTHER")


def custodian_of(draft: Draft, dataset: str) -> str | None:
    """Who holds the series, or the version, of this name; None when it is not registered."""
    if "@" in dataset:
        version = draft.get(VersionState, "version", dataset)
        return version.custodian if version else None
    series = draft.get(DatasetState, "dataset", dataset)
    return series.custodian if series else None


def check_end(body: AccessBody | AccessEvent, began: int, at: At) -> None:
    """U7: a use ends after it began, and not later than it is recorded."""
    if body.ended is None:
        return
    if not began <= occurred(body.ended) <= at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("U7", at=body.ended)


def apply_access(
    draft: Draft,
    record: Record[AccessBody],
    org: str,
    at: At,
    happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """One access: its findings (SPEC 5.6), and its number."""
    body = record.body
    check_end(body, happened, at)
    codes: set[str] = set()
    use_findings(draft, body, org, codes)
    number = body.source.seq
    numbers = {(f"{org}/{body.source.system}", number // CHUNK): 1 << number % CHUNK}
    if draft.is_used(numbers):
        codes.add("SEQ_REUSED")
    if happened < oldest_ms(draft, at):
        codes.add("BACKFILLED")
    return Outcome({}, tuple(sorted(codes)), subjects, numbers)


def apply_batch(
    draft: Draft,
    record: Record[AccessBatchBody],
    org: str,
    at: At,
    happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """Many accesses: the findings of all its events. U1 to U4."""
    body = record.body
    if (body.summary is None) == (not body.events):
        raise RefusedError("U1")
    codes: set[str] = {"BACKFILLED"} if happened < oldest_ms(draft, at) else set()
    numbers = (
        _summary_numbers(record, org)
        if body.summary
        else _event_numbers(draft, body, org, at, codes)
    )
    if draft.is_used(numbers):
        codes.add("SEQ_REUSED")
    return Outcome({}, tuple(sorted(codes)), subjects, numbers)


def _event_numbers(
    draft: Draft, body: AccessBatchBody, org: str, at: At, codes: set[str]
) -> Numbers:
    """The numbers of the events; their findings are added to `codes`."""
    events = body.events
    times = [occurred(event.at) for event in events]
    if max(times) > at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("S5", at=events[times.index(max(times))].at)
    for event, began in zip(events, times, strict=True):
        check_end(event, began, at)
    if min(times) < oldest_ms(draft, at):
        codes.add("BACKFILLED")
    # Findings depend on nothing else: one look for all events that are alike in this.
    kinds = {(event.dataset, event.person is None, event.permit is None): event for event in events}
    for event in kinds.values():
        use_findings(draft, event, org, codes)
    numbers: dict[tuple[str, int], int] = {}
    given: dict[str, list[int]] = {}
    for source in [event.source for event in events]:
        given.setdefault(source.system, []).append(source.seq)
    for system, seqs in given.items():
        used = set(seqs)
        if len(used) < len(seqs):
            codes.add("SEQ_REUSED")
        numbers.update(_places(f"{org}/{system}", used))
    return numbers


def _places(source: str, used: set[int]) -> Numbers:
    """Numbers of one source as bitmaps of chunks."""
    first, last = min(used), max(used)
    if last - first + 1 == len(used):
        return _range(source, first, last)
    numbers: dict[tuple[str, int], int] = {}
    for number in used:
        place = source, number // CHUNK
        numbers[place] = numbers.get(place, 0) | 1 << number % CHUNK
    return numbers


def _range(source: str, first: int, last: int) -> Numbers:
    """All numbers from `first` to `last` of one source, as bitmaps of chunks."""
    numbers: dict[tuple[str, int], int] = {}
    for chunk in range(first // CHUNK, last // CHUNK + 1):
        low, high = max(first - chunk * CHUNK, 0), min(last - chunk * CHUNK, CHUNK - 1)
        numbers[source, chunk] = (1 << high + 1) - (1 << low)
    return numbers


def _summary_numbers(record: Record[AccessBatchBody], org: str) -> Numbers:
    summary = record.body.summary
    if summary is None or summary.last_seq - summary.first_seq + 1 != summary.count:
        raise RefusedError("U2")
    if summary.count > MAX_SUMMARY:
        raise RefusedError("U3", limit=MAX_SUMMARY)
    unb64url(summary.root, 32)
    if not any(payload.tier == "T2" for payload in record.payloads):
        raise RefusedError("U4")
    return _range(f"{org}/{summary.system}", summary.first_seq, summary.last_seq)


def apply_close(
    draft: Draft,
    record: Record[SourceCloseBody],
    org: str,
    _at: At,
    _happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """The system says that there was nothing more: a hole below is the finding SEQ_GAP."""
    body = record.body
    decode_date(body.day)
    source = f"{org}/{body.system}"
    tally = draft.tally(source)
    closed = max(tally.closed, body.last_seq)
    complete = draft.complete_to(source, closed)
    codes = set()
    if complete < body.last_seq:
        codes.add("SEQ_GAP")
    if tally.last > body.last_seq:
        codes.add("SEQ_BEYOND_CLOSE")
    if body.last_seq - tally.closed != body.count:
        codes.add("COUNT_MISMATCH")
    return Outcome({}, tuple(sorted(codes)), subjects, {}, (source, closed, complete))


def apply_correction(
    draft: Draft,
    record: Record[CorrectionBody],
    org: str,
    _at: At,
    _happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """U5, U6: by the author's organisation, with a new value or a commitment to one."""
    body = record.body
    target = draft.resolved[unb64url(body.target, 32)]
    if target is None:
        unreachable("what a record corrects is looked up")
    if target.org != org:
        raise RefusedError("U5", org=target.org)
    if (body.new_value is None) == (body.commit is None):
        raise RefusedError("U6")
    if body.commit is not None:
        unb64url(body.commit, 32)
    return Outcome({}, (), subjects)
