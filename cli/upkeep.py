"""Commands on what keeps the alliance going: assessments of a period, anchors in outside time, and
logs of a platform in batches.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from cli.catalogue import read_pairs
from cli.home import read_file, write_over
from cli.options import Place, at_place, signing
from cli.outbox import Outbox
from cli.records import Resolution, ValidDays, access, report, resolution_ref, write
from cli.screen import progress, say, show
from cli.session import Recorded, Session
from cli.studies import texts
from ledger.encoding import UNREADABLE, b64url
from ledger.errors import MalformedError
from ledger.notes import decode_checkpoint, decode_note

assessment = typer.Typer(no_args_is_help=True, help="The committee's assessments (运行考核).")
anchor = typer.Typer(no_args_is_help=True, help="Time stamps of others (RFC 3161) over the chain.")

BATCH: Final = 150
"""So many events stand in one record at most."""
STAMP: Final = "time-anchor/token"


# --- assessments ---


def assess(
    place: Place,
    start: Annotated[str, typer.Option("--from", help="First day, 2026-01-01.")],
    end: Annotated[str, typer.Option("--until", help="Last day.")],
    resolution: Resolution = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="CODE=NUMBER; default: what Q8 and Q9 count.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--report", help="In words; kept in the vault, for all.")
    ] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Record the assessment of a period, with numbers that everybody can count again."""
    with Session(place) as session:
        metrics = dict(read_metrics(metric)) if metric else counted(session, start, end)
        fields = {"metrics": metrics, "period": {"from": start, "to": end}}
        refs = resolution_ref(session, resolution)
        payloads = texts(session, "assessment", {"report": text})
        recorded = write(
            session, "assessment", fields, refs=refs, payloads=payloads, valid_days=valid_days
        )
        lines = [f"  {name}: {value}" for name, value in sorted(metrics.items())]
        report(session, recorded, lines)


def read_metrics(given: Sequence[str]) -> Iterator[tuple[str, int]]:
    """`CODE=NUMBER` options. Raises `MalformedError` (X2)."""
    for name, value in read_pairs(given, "metric"):
        if not (value.isascii() and value.isdigit()):
            raise MalformedError("X2", field="metric")
        yield name, int(value)


def counted(session: Session, start: str, end: str) -> dict[str, int]:
    """What the committee's own questions count for a period: Q9, and Q8 for each member."""
    period = {"from": start, "to": end}
    metrics = dict(numbers("committee", session.client.report("committee", period)["facts"]))
    for org in session.members():
        facts = session.client.report("member", {**period, "org": org})["facts"]
        metrics.update(numbers(f"member.{org}", facts))
    return metrics


def numbers(name: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The whole numbers among facts, by where they stand."""
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from numbers(f"{name}.{key}", value)
        elif isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            yield f"{name}.{key}"[:64], value


# --- time anchors ---


def take_checkpoint(
    place: Place, out: Annotated[Path, typer.Option("--out", help="New file for the checkpoint.")]
) -> None:
    """Write the newest published checkpoint, as it is: what a time-stamping authority is to
    stamp (`openssl ts -query -sha256 -cert -data FILE -out FILE.tsq`).
    """
    with Session(place) as session:
        data = session.client.checkpoint()
    size = decode_checkpoint(decode_note(data).text).size
    write_over(out, data)
    digest = sha256(data).hexdigest()
    result = {"file": str(out), "sha256": digest, "size": size}
    show(result, [say("anchor-taken", file=str(out), size=size, digest=digest)])


def record_anchor(
    place: Place,
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint that was stamped.")],
    token: Annotated[Path, typer.Argument(help="The authority's answer (.tsr).")],
) -> None:
    """Put a time stamp on the record: the checkpoint's size and root, and the token in the vault
    of every member. `openssl ts -verify -data CHECKPOINT -in TOKEN -CAfile CA` checks it.
    """
    data, stamp = read_file(checkpoint), read_file(token)
    stamped = decode_checkpoint(decode_note(data).text)
    if sha256(data).digest() not in stamp:
        raise MalformedError("X13.token", file=token.name, checkpoint=checkpoint.name)
    with Session(place) as session:
        value: dict[str, object] = {
            "checkpoint": data.decode(),
            "token": base64.b64encode(stamp).decode(),
        }
        payload = session.deposit(value, "T1", STAMP, holders=session.members())
        fields = {"root": b64url(stamped.root), "size": stamped.size}
        report(session, write(session, "time-anchor", fields, payloads=(payload,)))


# --- logs in batches ---


def record_batch(
    place: Place,
    file: Annotated[Path, typer.Argument(help="JSON lines: at, dataset, activity, seq, ...")],
    system: Annotated[str, typer.Option(help="The observing system.")] = "gateway",
) -> None:
    """Record a platform's log: many uses under one signature. Each line has its number (`seq`);
    after an interruption run it again: what is recorded is left out.
    """
    events = list(read_events(file, system))
    done: list[Recorded] = []
    with Session(place) as session, Outbox(place.home).alone():
        source = session.source(system)
        last = source.last if source else 0
        left = iter([one for one in events if one["source"]["seq"] > last])
        with progress("importing", len(events)) as advance:
            while batch := list(islice(left, BATCH)):
                done.append(write(session, "access-batch", {"events": batch}))
                advance(len(batch))
    found = sorted({code for one in done for code in one.findings})
    codes = ", ".join(found) or "-"
    said = say("batch-recorded", count=len(events), records=len(done), findings=codes)
    result = {"events": len(events), "findings": found, "records": [one.to_json() for one in done]}
    show(result, [said])


def read_events(file: Path, system: str) -> Iterator[dict[str, Any]]:
    """The events of a log; what a line leaves open is unknown. Raises `ConfigError` (X1.file) or
    `MalformedError` (X13.line).
    """
    before = 0
    for number, line in enumerate(read_file(file).splitlines(), 1):
        try:
            given = msgspec.json.decode(line, type=dict[str, Any])
            seq = given.pop("seq")
        except (*UNREADABLE, KeyError):
            raise MalformedError("X13.line", file=file.name, line=number) from None
        if not isinstance(seq, int) or seq <= before:
            raise MalformedError("X13.line", file=file.name, line=number)
        before = seq
        unknown = {"action": "unknown", "channel": "unknown", "outcome": "unknown"}
        yield {**unknown, **given, "source": {"seq": seq, "system": system}}


assessment.command("record")(signing("committee")(assess))
anchor.command("take")(at_place(take_checkpoint))
anchor.command("record")(signing("node")(record_anchor))
access.command("batch")(signing("system")(record_batch))
