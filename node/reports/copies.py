"""Whether this copy is complete and equal to the others' (Q10)."""

from collections import Counter

from ledger.notes import decode_note
from ledger.rules.entitlement import PayloadState
from ledger.rules.values import MemberState, SourceState
from ledger.verify import verify_checkpoint
from node.reports.answer import Answer, Asked, Row
from node.reports.ground import Ground
from node.reports.local import Around


class CopyRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """How one member's copy, one source's numbers or one holder's payloads stand."""

    of: str
    """`member`, `source` or `payloads`."""
    name: str
    status: str
    """Members: cosigned, not-cosigned, contradicts, no-node. Sources: complete, open, gap. Holders
    of payloads: held, erasure-unanswered.
    """
    size: int | None = None
    """The tree that a member cosigned."""
    heard_ms: int | None = None
    contradictions: int = 0
    numbers: int | None = None
    """Numbers of a source that are recorded, of its payloads those that are held."""
    last: int | None = None
    complete: int | None = None
    erased: int = 0
    waiting: int = 0


def copies(ground: Ground, asked: Asked) -> Answer:
    """Q10: who cosigned the head of this answer, who contradicted, which sources have holes, which
    holders have not answered an erasure.
    """
    around = asked.local.around()
    note = decode_note(ground.view.checkpoint)
    config = ground.tip.configs[ground.view.seal.seal.epoch]
    checkpoint, cosigners = verify_checkpoint(note, config, ground.tip.origin)
    cosigned = {org for org, _time in cosigners}
    voting = {one.org for one in config.members}
    rows = [
        _member_row(name, around, checkpoint.size if name in cosigned else None, name in voting)
        for name, state in ground.all(MemberState, "member").items()
        if state.status != "EXITED" or name in voting
    ]
    rows += [_source_row(name, one) for name, one in ground.all(SourceState, "source").items()]
    rows += _holders(ground)
    facts = {
        "alarms": dict(around.alarms),
        "behind": around.behind,
        "cosigned_by": sorted(cosigned),
        "missing_payloads": around.missing_payloads,
        "quorum": config.q,
        "root": ground.view.checkpoint.decode().split("\n")[2],
        "this_node": asked.local.org,
    }
    return Answer(rows, ("equal-by-cosigning", "whole-copy-by-audit", "recorded-only"), facts)


def _member_row(name: str, around: Around, size: int | None, votes: bool) -> CopyRow:
    status = "cosigned" if size is not None else "not-cosigned" if votes else "no-node"
    return CopyRow(
        of="member",
        name=name,
        status="contradicts" if name in around.contradicting else status,
        size=size,
        heard_ms=around.heard_ms.get(name),
        contradictions=around.accused.get(name, 0),
    )


def _source_row(name: str, state: SourceState) -> CopyRow:
    status = "gap" if state.complete < state.closed else "open"
    return CopyRow(
        of="source",
        name=name,
        status="complete" if state.complete == state.last == state.closed else status,
        numbers=state.count,
        last=state.last,
        complete=state.complete,
    )


def _holders(ground: Ground) -> list[CopyRow]:
    held: Counter[str] = Counter()
    erased: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    for state in ground.all(PayloadState, "payload").values():
        gone = set(state.erased)
        held.update(set(state.holders) - gone)
        erased.update(gone)
        if gone:
            waiting.update(set(state.holders) - gone)
    return [
        CopyRow(
            of="payloads",
            name=org,
            status="erasure-unanswered" if waiting[org] else "held",
            numbers=held[org],
            erased=erased[org],
            waiting=waiting[org],
        )
        for org in sorted({*held, *erased})
    ]
