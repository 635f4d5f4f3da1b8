"""Commands that ask: accesses, proofs, subjects, state, findings. Proofs are verified before they
are shown; rows of queries come from the node's index, and say so.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.home import write_over
from cli.importing import count_findings
from cli.options import Place
from cli.screen import language, local_time, print_table, say, show, wants_json
from cli.session import Session
from ledger.encoding import b64url, decode_time
from ledger.errors import MalformedError
from ledger.verify import Receipt, VerifiedReceipt, encode_receipt
from node.forms import Accesses, EvidenceItem, Row

COLUMNS: Final = (
    "at", "dataset", "person", "activity", "action", "outcome", "system", "seq", "request",
    "permit", "findings", "org", "index", "leaf",
)  # fmt: skip
"""The columns of CSV, in this order; times in UTC."""
FORMATS: Final = ("table", "json", "csv")
MAX_PAGE: Final = 1_000
FORMULA: Final = re.compile(r"[=+\-@\t\r]").match
"""What begins a formula."""


def accesses(
    place: Place,
    dataset: Annotated[
        str | None, typer.Option(help="SERIES or SERIES@VERSION, as it was recorded.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Pid, or ext:SYSTEM:CODE.")] = None,
    activity: Annotated[str | None, typer.Option(help="The system's own word for it.")] = None,
    action: Annotated[
        str | None, typer.Option(help="read, execute, export, request, unknown.")
    ] = None,
    outcome: Annotated[str | None, typer.Option(help="ok, denied, error, unknown.")] = None,
    system: Annotated[str | None, typer.Option(help="The observing system.")] = None,
    seq: Annotated[int | None, typer.Option(help="The source's number.")] = None,
    request: Annotated[str | None, typer.Option(help="SYSTEM/SEQ, SEQ or leaf hash.")] = None,
    permit: Annotated[str | None, typer.Option(help="The permit that it names.")] = None,
    finding: Annotated[str | None, typer.Option(help="A finding code.")] = None,
    org: Annotated[str | None, typer.Option(help="Who recorded it.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="UTC time, date or ms.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same, exclusive.")] = None,
    sort: Annotated[str, typer.Option(help="Any field; -FIELD for descending.")] = "at",
    limit: Annotated[int, typer.Option(min=1, help="Rows of this page.")] = 20,
    after: Annotated[str | None, typer.Option(help="Go on after this cursor.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All rows, not one page.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Count all rows that fit.")] = False,
    form: Annotated[str, typer.Option("--format", help="table, json or csv.")] = "table",
    bom: Annotated[bool, typer.Option("--bom", help="CSV for Excel: UTF-8 with BOM.")] = False,
) -> None:
    """List uses: all given fields must fit; times are local on screen, UTC in CSV and JSON."""
    if form not in FORMATS:
        raise MalformedError("X2", field="format")
    given = {
        "dataset": dataset, "person": person, "activity": activity, "action": action,
        "outcome": outcome, "system": system, "seq": seq, "request": request, "permit": permit,
        "finding": finding, "org": org, "from": since, "to": until, "sort": sort, "after": after,
    }  # fmt: skip
    params = {name: value for name, value in given.items() if value is not None}
    if count:
        params["count"] = 1
    with Session(place) as session:
        page = fetch(session, params, limit, every)
    if wants_json() or form == "json":
        typer.echo(json.dumps(page, ensure_ascii=False, indent=2))
    elif form == "csv":
        typer.echo(("\ufeff" if bom else "") + as_csv(page["rows"], spreadsheet=bom), nl=False)
    else:
        show_table(page)


def fetch(
    session: Session, params: Mapping[str, str | int], limit: int, every: bool = False
) -> Accesses:
    """`limit` rows, or all, in as many requests as that takes: `rows`, `next`, `total`?"""
    rows: list[Row] = []
    wanted = dict(params)
    while True:
        left = MAX_PAGE if every else limit - len(rows)
        wanted["limit"] = min(MAX_PAGE, left)
        page = session.client.accesses(wanted)
        rows += page["rows"]
        if page["next"] is None or (not every and len(rows) >= limit):
            return {**page, "rows": rows}
        wanted["after"] = page["next"]


def as_csv(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str] = COLUMNS,
    spreadsheet: bool = False,
) -> str:
    """Rows as RFC 4180 text with a head line of the names of fields. For a `spreadsheet` program,
    which takes `=1+1` for a formula, such words of strangers begin with an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        cells = [cell(row.get(name)) for name in columns]
        writer.writerow([f"'{text}" if spreadsheet and FORMULA(text) else text for text in cells])
    return text.getvalue()


def cell(value: object) -> str:
    """A value in one cell: counts as `CODE:3`, several parted by spaces."""
    if isinstance(value, dict):
        return " ".join(f"{name}:{count}" for name, count in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def table_of(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Rows for the eye, times local."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    names = ("time", "dataset", "person", "activity", "source", "request", "findings", "entry")
    for name in names:
        table.add_column(say(f"column-{name}"), overflow="fold")
    for row in rows:
        table.add_row(
            local_time(decode_time(row["at"])) if len(row["at"]) > 10 else row["at"],
            row["dataset"],
            row.get("person", ""),
            row["activity"],
            f"{row['system']}/{row['seq']}",
            row.get("request", ""),
            " ".join(row.get("findings", ())),
            str(row["index"]),
        )
    return table


def show_table(page: Mapping[str, Any]) -> None:
    """Print a page of rows as a table."""
    rows = page["rows"]
    print_table(table_of(rows))
    if page.get("total") is not None:
        typer.echo(say("rows-total", count=len(rows), total=page["total"]))
    if page["next"]:
        typer.echo(say("rows-more", count=len(rows), next=page["next"]))
    elif page.get("total") is None:
        typer.echo(say("rows", count=len(rows)))
    typer.echo(say("unverified"))


# --- proofs ---


def proof(
    place: Place,
    name: Annotated[str, typer.Argument(metavar="ID", help="Id, leaf hash or index.")],
    out: Annotated[Path | None, typer.Option(help="Folder; default: receipts/ of home.")] = None,
) -> None:
    """Write the proof of one record: a C2SP .tlog-proof, and the receipt that holds it."""
    with Session(place) as session:
        receipt = session.receipt(name)
        proven = session.verified(receipt)
    folder = out or place.home / "receipts"
    files = write_proof(folder, receipt, proven)
    record = proven.entry.record
    lines = [
        say(
            "proof-entry",
            index=proven.index,
            height=proven.height,
            type=record.type,
            org=proven.entry.statement.iss,
            kid=b64url(proven.entry.statement.kid),
        ),
        *(say("proof-written", file=str(file)) for file in files),
    ]
    result = {
        "id": record.id,
        "index": proven.index,
        "height": proven.height,
        "type": record.type,
        "kid": b64url(proven.entry.statement.kid),
        "findings": list(proven.findings),
        "files": [str(file) for file in files],
    }
    show(result, lines)


def write_proof(folder: Path, receipt: Receipt, proven: VerifiedReceipt) -> tuple[Path, Path]:
    """Write both files of a proof, named by the record's id. Raises `ConfigError` (X1.file)."""
    stem = proven.entry.record.id
    files = folder / f"{stem}.tlog-proof", folder / f"{stem}.json"
    write_over(files[0], receipt.proof.encode())
    write_over(files[1], encode_receipt(receipt))
    return files


def subject(
    place: Place,
    name: Annotated[str, typer.Argument(help="Like dataset:GTEx, person:..., org:...")],
) -> None:
    """List all records on a subject; the proof that nothing is missing is checked."""
    with Session(place) as session:
        answer, head = session.subject(name)
    height = head.seal.seal.height
    lines = [say("subject", subject=name, count=len(answer.leaves), height=height)]
    pairs = list(zip(answer.indexes, answer.leaves, strict=True))
    lines += [say("subject-line", index=index, leaf=leaf) for index, leaf in pairs]
    result = {
        "subject": name,
        "count": len(pairs),
        "height": height,
        "records": [{"index": index, "leaf": leaf} for index, leaf in pairs],
    }
    show(result, lines)


def state(
    place: Place,
    namespace: Annotated[str, typer.Argument(help="Like key, member, dataset, source.")],
    name: Annotated[str, typer.Argument(help="The name in it.")],
) -> None:
    """Show what the rules hold under a name, or that there is nothing; the proof is checked."""
    with Session(place) as session:
        _value, head, answer = session.proven_state(namespace, name)
    key, height = f"{namespace}/{name}", head.seal.seal.height
    text = answer.state.value
    value = None if text is None else json.loads(text)
    if text is None:
        lines = [say("state-absent", key=key, height=height)]
    else:
        shown = json.dumps(value, ensure_ascii=False, indent=2)
        lines = [say("state-present", key=key, height=height), shown]
    show({"key": key, "height": height, "value": value}, lines)


def findings(place: Place) -> None:
    """Count the findings on the chain, with what each code means; list evidence against members."""
    with Session(place) as session:
        summary, evidence = session.client.summary(), session.client.health()["evidence"]
    counts = {code: count for code, count in summary["findings"].items() if count}
    lines = count_findings(counts) or [say("findings-none")]
    lines += [_evidence_line(item) for item in evidence]
    result = {
        "evidence": evidence,
        "findings": counts,
        "height": summary["height"],
        "language": language(),
    }
    show(result, lines)


def _evidence_line(item: EvidenceItem) -> str:
    """One contradiction of a member: in which view, and where the record of it stands."""
    leaf = item["leaf"]
    place = say("evidence-recorded", leaf=leaf) if leaf else say("evidence-waiting")
    return say(
        "evidence-line",
        org=item["org"],
        kind=item["kind"],
        epoch=item["epoch"],
        view=item["view"],
        place=place,
    )
