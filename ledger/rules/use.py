"""U: evidence of use. Findings, never refusals, for what breaks the rules of use (domain.md,
decision 1).
"""

from collections.abc import Iterable

from ledger.encoding import decode_date, decode_moment, unb64url
from ledger.errors import RefusedError, unreachable
from ledger.records.envelope import Record
from ledger.records.use import (
    PAYLOAD,
    AccessBatchBody,
    AccessBody,
    AccessEvent,
    CorrectionBody,
    SourceCloseBody,
)
from ledger.rules.draft import CHUNK, At, Draft, Numbers, Outcome
from ledger.rules.imports import imported_findings
from ledger.rules.machines import permit_status
from ledger.rules.permits import terms_at
from ledger.rules.standing import EthicsState, PermitState, PermitTerms
from ledger.rules.structure import CLOCK_TOLERANCE_MS, DAY_MS, oldest_ms
from ledger.rules.values import DatasetState, VersionState

MAX_SUMMARY = 65_536
"""A summary changes no more keys of the map than a batch of its bytes may."""


def use_findings(
    draft: Draft, body: AccessBody | AccessEvent, org: str, happened: int, codes: set[str]
) -> tuple[str, int] | None:
    """The compliance findings of one access: who, under what, on what; added to `codes`.

    Gives the use and the day that the custodian itself recorded under a registered permit.
    """
    if body.person is None:
        codes.add("NO_PERSON")
    if body.dataset.startswith(PAYLOAD):
        payload_findings(draft, body, happened, codes)
        return None
    held = held_data(draft, body.dataset)
    held_findings(held, org, codes)
    if body.permit is None:
        codes.add("NO_PERMIT")
        return None
    permit = draft.get(PermitState, "permit", body.permit)
    if permit is None:
        if not imported_findings(draft, body.permit, body.dataset, codes):
            codes.add("UNREGISTERED")
        return None
    terms = terms_at(draft, body.permit, permit, happened)
    permit_findings(permit, terms, happened, codes)
    if body.ended is not None:
        permit_findings(permit, terms, decode_moment(body.ended), codes)
    data_findings(draft, terms, body.dataset, happened, codes)
    person_findings(terms, body.person, body.purpose, codes)
    if held is None or held.custodian != org or body.outcome != "ok":
        return None
    return f"{body.dataset}@{body.permit}", happened // DAY_MS


def held_findings(held: DatasetState | VersionState | None, org: str, codes: set[str]) -> None:
    """Whether the data are registered, and how they stand."""
    if held is None:
        codes.add("UNREGISTERED")
        return
    if held.custodian != org:
        codes.add("OBSERVED_BY_OTHER")
    if is_withdrawn(held):
        codes.add("DATASET_WITHDRAWN")


def payload_findings(
    draft: Draft, body: AccessBody | AccessEvent, happened: int, codes: set[str]
) -> None:
    """A vault released a restricted payload: its holders decide on that, and no permit is needed;
    one that the reader names is looked at.
    """
    if body.permit is None:
        return
    permit = draft.get(PermitState, "permit", body.permit)
    if permit is None:
        codes.add("UNREGISTERED")
        return
    terms = terms_at(draft, body.permit, permit, happened)
    permit_findings(permit, terms, happened, codes)
    if body.purpose is not None and body.purpose not in terms.purposes:
        codes.add("PURPOSE_MISMATCH")


def permit_findings(
    permit: PermitState, terms: PermitTerms, happened: int, codes: set[str]
) -> None:
    """How the permit stood when it was used, and whether its time had come."""
    status = permit_status(permit.spans, terms.until_ms, happened)
    if status in ("SUSPENDED", "REVOKED", "CLOSED", "EXPIRED"):
        codes.add(status)
    elif status != "ACTIVE" or happened < terms.from_ms:
        codes.add("NOT_ACTIVE")


def data_findings(
    draft: Draft, terms: PermitTerms, dataset: str, happened: int, codes: set[str]
) -> None:
    """Whether the permit lists the data, and an ethics approval covered them then."""
    if not lists(terms.datasets, dataset):
        codes.add("DATASET_NOT_LISTED")
    approvals = [draft.get(EthicsState, "ethics", name) for name in terms.ethics]
    if not any(one is not None and one.covers(dataset, happened, happened) for one in approvals):
        codes.add("ETHICS_INVALID")


def lists(datasets: tuple[str, ...], dataset: str) -> bool:
    """Whether a version is listed; a series is, when one of its versions is."""
    if "@" in dataset:
        return dataset in datasets
    return any(name.startswith(f"{dataset}@") for name in datasets)


def person_findings(
    terms: PermitTerms, person: str | None, purpose: str | None, codes: set[str]
) -> None:
    """Whether the permit lists the person and the purpose, where they are named."""
    if person is not None and person not in terms.persons:
        codes.add("PERSON_NOT_LISTED")
    if purpose is not None and purpose not in terms.purposes:
        codes.add("PURPOSE_MISMATCH")


def held_data(draft: Draft, dataset: str) -> DatasetState | VersionState | None:
    """The series, or the version, of this name; None when it is not registered."""
    if "@" in dataset:
        return draft.get(VersionState, "version", dataset)
    return draft.get(DatasetState, "dataset", dataset)


def is_withdrawn(held: DatasetState | VersionState) -> bool:
    """Whether its custodian has withdrawn a version."""
    return isinstance(held, VersionState) and held.withdrawn is not None


def days_of(used: set[tuple[str, int]]) -> Numbers:
    """The days of uses as bitmaps."""
    days: dict[tuple[str, int], int] = {}
    for name, day in used:
        place = name, day // CHUNK
        days[place] = days.get(place, 0) | 1 << day % CHUNK
    return days


def check_end(body: AccessBody | AccessEvent, began: int, at: At) -> None:
    """U7: a use ends after it began, and not later than it is recorded."""
    if body.ended is None:
        return
    if not began <= decode_moment(body.ended) <= at.time_ms + CLOCK_TOLERANCE_MS:
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
    used = use_findings(draft, body, org, happened, codes)
    number = body.source.seq
    numbers = {(f"{org}/{body.source.system}", number // CHUNK): 1 << number % CHUNK}
    if draft.is_used(numbers):
        codes.add("SEQ_REUSED")
    if happened < oldest_ms(draft, at):
        codes.add("BACKFILLED")
    days = days_of({used}) if used else {}
    return Outcome({}, tuple(sorted(codes)), subjects, numbers, days=days)


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
    days: Numbers = {}
    if body.summary:
        numbers = _summary_numbers(record, org)
    else:
        numbers = _event_numbers(draft, body, org, at, codes)
        days = _event_findings(draft, body, org, codes)
    if draft.is_used(numbers):
        codes.add("SEQ_REUSED")
    return Outcome({}, tuple(sorted(codes)), subjects, numbers, days=days)


def _event_findings(draft: Draft, body: AccessBatchBody, org: str, codes: set[str]) -> Numbers:
    """The findings of the events are added to `codes`; on which days permits were used."""
    used: set[tuple[str, int]] = set()
    for event, happened in _of_each_kind(body):
        found = use_findings(draft, event, org, happened, codes)
        if found is not None:
            used.add(found)
    return days_of(used)


def _of_each_kind(body: AccessBatchBody) -> Iterable[tuple[AccessEvent, int]]:
    """Of all events whose findings are the same one, and when it happened."""
    given = body.columns
    # Without a permit findings depend on the data, and on whether somebody is named.
    kinds: Iterable[object] = given.datasets.places
    if any(given.permits.words):
        kinds = [
            (event.dataset, event.person is None)
            if event.permit is None
            else (
                event.dataset,
                event.person,
                event.permit,
                event.purpose,
                event.outcome,
                event.at,
                event.ended,
            )
            for event in body.events
        ]
    elif None in given.persons.words:
        kinds = [(event.dataset, event.person is None) for event in body.events]
    events = zip(body.events, body.times, strict=True)
    return dict(zip(kinds, events, strict=True)).values()


def _event_numbers(
    draft: Draft, body: AccessBatchBody, org: str, at: At, codes: set[str]
) -> Numbers:
    """The numbers of the events; what their times and numbers show is added to `codes`."""
    given, times = body.columns, body.times
    latest = max(times)
    if latest > at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("S5", at=body.events[times.index(latest)].at)
    if any(given.ended):
        for event, began in zip(body.events, times, strict=True):
            check_end(event, began, at)
    if min(times) < oldest_ms(draft, at):
        codes.add("BACKFILLED")
    numbers: dict[tuple[str, int], int] = {}
    systems = given.systems.words
    by_system: list[list[int]] = [[] for _ in systems]
    if len(systems) == 1:
        by_system = [given.seqs]
    else:
        for place, seq in zip(given.systems.places, given.seqs, strict=True):
            by_system[place].append(seq)
    for system, seqs in zip(systems, by_system, strict=True):
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
