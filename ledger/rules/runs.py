"""U8 to U10: runs of analyses, and incidents; evidence, never refused for what it shows (domain.md
D14, Use).
"""

from typing import Final

from ledger.encoding import decode_time, unb64url
from ledger.errors import RefusedError
from ledger.records.envelope import Record, Shape
from ledger.records.use import ComputeRunBody, IncidentBody, Used
from ledger.rules.draft import CHUNK, At, Draft, Outcome
from ledger.rules.machines import RUN
from ledger.rules.permits import terms_at
from ledger.rules.standing import PermitState, PermitTerms, RunState
from ledger.rules.structure import CLOCK_TOLERANCE_MS, DAY_MS, oldest_ms
from ledger.rules.use import (
    data_findings,
    held_data,
    is_withdrawn,
    permit_findings,
    person_findings,
)
from ledger.state import state_key

MAX_RUN_DAYS: Final = 1_024
"""Of a longer run, its last days are looked at."""
WANTED = "requested"
ENDS = frozenset({"completed", "failed"})


def apply_run(
    draft: Draft,
    record: Record[ComputeRunBody],
    org: str,
    at: At,
    happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """One state of a run: its findings (SPEC 5.6), and how the run stands. U8, U9."""
    body = record.body
    started = None if body.started is None else decode_time(body.started)
    ended = None if body.ended is None else decode_time(body.ended)
    if started is not None and ended is not None and ended < started:
        raise RefusedError("U8")
    if ended is not None and ended > at.time_ms + CLOCK_TOLERANCE_MS:
        raise RefusedError("S5", at=body.ended or "")
    for one in body.used:
        if (one.digest if one.kind == "file" else one.name) is None:
            raise RefusedError("U9")
    inputs = (one.digest for one in body.used)
    for digest in (body.code_digest, body.image_digest, *body.generated, *inputs):
        if digest is not None:
            unb64url(digest, 32)
    codes: set[str] = {"BACKFILLED"} if happened < oldest_ms(draft, at) else set()
    # A job that is only asked for uses nothing yet.
    if body.state != WANTED:
        _run_findings(draft, body, started or ended or happened, ended or happened, codes)
    name = f"{org}/{body.run_id}"
    known = draft.get(RunState, "run", name)
    changes: dict[bytes, Shape] = {}
    if (body.state, known.status if known else None) in RUN:
        changes[state_key("run", name)] = _run_state(body, known, started, ended)
    else:
        codes.add("RUN_STATE")
    return Outcome(changes, tuple(sorted(codes)), subjects)


def _run_state(
    body: ComputeRunBody, known: RunState | None, started: int | None, ended: int | None
) -> RunState:
    before = known or RunState(compute_node=body.compute_node, status="REQUESTED")
    return RunState(
        compute_node=body.compute_node,
        ended_ms=before.ended_ms if ended is None else ended,
        generated=body.generated or before.generated,
        permit=body.permit or before.permit,
        person=body.person or before.person,
        started_ms=before.started_ms if started is None else started,
        status=RUN[body.state, known.status if known else None],  # type: ignore[arg-type]
        used=body.used or before.used,
    )


def _run_findings(
    draft: Draft, body: ComputeRunBody, first_ms: int, last_ms: int, codes: set[str]
) -> None:
    """The findings of a run: where, under what, by whom, on what."""
    if draft.member(body.compute_node.partition("/")[0]) is None:
        codes.add("NODE_NOT_MEMBER")
    if body.person is None:
        codes.add("NO_PERSON")
    terms = _permit_findings(draft, body, first_ms, codes)
    for one in body.used:
        held = held_data(draft, one.name or "") if one.kind == "dataset" else None
        if held is not None and is_withdrawn(held):
            codes.add("DATASET_WITHDRAWN")
        if held is None and not _is_result(draft, one):
            codes.add("UNREGISTERED_INPUT")
        elif terms is not None and one.kind == "dataset" and one.name is not None:
            data_findings(draft, terms, one.name, first_ms, codes)
            matching = has_access(draft, f"{one.name}@{body.permit}", first_ms, last_ms)
            if body.state in ENDS and not matching:
                codes.add("NO_MATCHING_ACCESS")


def _permit_findings(
    draft: Draft, body: ComputeRunBody, first_ms: int, codes: set[str]
) -> PermitTerms | None:
    """What the permit says of the run, whatever its inputs; and its terms at that time."""
    if body.permit is None:
        codes.add("NO_PERMIT")
        return None
    permit = draft.get(PermitState, "permit", body.permit)
    if permit is None:
        codes.add("UNREGISTERED")
        return None
    terms = terms_at(draft, body.permit, permit, first_ms)
    permit_findings(permit, terms, first_ms, codes)
    person_findings(terms, body.person, body.purpose, codes)
    if terms.compute_nodes and body.compute_node not in terms.compute_nodes:
        codes.add("NODE_NOT_LISTED")
    return terms


def _is_result(draft: Draft, used: Used) -> bool:
    """Whether an input is a registered result; a file is known by nothing but its digest."""
    name = used.name if used.kind == "result" else None
    return name is not None and draft.get(Shape, "result", name) is not None


def has_access(draft: Draft, use: str, first_ms: int, last_ms: int) -> bool:
    """Whether the custodian recorded an access under the permit on one of the days of the run."""
    last = last_ms // DAY_MS
    first = max(first_ms // DAY_MS, last - MAX_RUN_DAYS)
    for chunk in range(first // CHUNK, last // CHUNK + 1):
        low, high = max(first - chunk * CHUNK, 0), min(last - chunk * CHUNK, CHUNK - 1)
        if draft.use_days((use, chunk)) & ((1 << high + 1) - (1 << low)):
            return True
    return False


# --- incident -------------------------------------------------------------------------------------


def apply_incident(
    _draft: Draft,
    record: Record[IncidentBody],
    _org: str,
    _at: At,
    _happened: int,
    subjects: tuple[str, ...],
) -> Outcome:
    """An incident joins the logs of all that it concerns. U10."""
    body = record.body
    detected = decode_time(body.detected_at)
    if body.contained_at is not None and decode_time(body.contained_at) < detected:
        raise RefusedError("U10")
    return Outcome({}, (), subjects)
