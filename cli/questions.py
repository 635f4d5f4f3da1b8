"""`alliance report`: the committee's questions (domain.md D16), as a table, JSON or CSV.

Counts come from the node's index at a published head; the number of records on the subject is
proven complete beside them, and every row names entries that can be proven one by one.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.options import Place, at_place
from cli.reports import FORMATS, as_csv, cell
from cli.screen import local_time, print_table, printable, say, wants_json
from cli.session import Session
from ledger.errors import MalformedError
from node.forms import Report

USES: Final = (
    "dataset", "org", "permit", "study", "person", "uses", "first_day", "last_day", "actions",
    "findings", "first_entry", "last_entry",
)  # fmt: skip
PERMITS: Final = (
    "permit", "org", "study", "status", "valid_from", "valid_until", "uses", "last_day", "due",
    "datasets",
)  # fmt: skip
MEMBER: Final = ("side", "dataset", "org", "uses", "findings")

From = Annotated[str | None, typer.Option("--from", help="UTC time, date or ms.")]
To = Annotated[str | None, typer.Option("--to", help="The same, exclusive.")]
Form = Annotated[str, typer.Option("--format", help="table, json or csv.")]
Bom = Annotated[bool, typer.Option("--bom", help="CSV for Excel: UTF-8 with BOM.")]


def uses(
    place: Place,
    dataset: Annotated[str, typer.Argument(help="SERIES, all its versions; or SERIES@VERSION.")],
    since: From = None,
    until: To = None,
    form: Form = "table",
    bom: Bom = False,
) -> None:
    """Who used a dataset, and under which permits (Q1)."""
    with Session(place) as session:
        report = ask(session, "uses", {"dataset": dataset, "from": since, "to": until})
        known, _head = session.subject(f"dataset:{dataset}")
    notes = [say("report-complete", subject=f"dataset:{dataset}", count=len(known.leaves))]
    result = {**report, "records": len(known.leaves)}
    give(result, USES, form, bom, notes)


def permits(
    place: Place,
    within: Annotated[int, typer.Option(min=0, help="EXPIRING within so many days.")] = 30,
    form: Form = "table",
    bom: Bom = False,
) -> None:
    """Permits, how they stand, and what is due (Q4)."""
    with Session(place) as session:
        report = ask(session, "permits", {"within": str(within)})
    give(report, PERMITS, form, bom, [])


def member(
    place: Place,
    org: Annotated[str, typer.Argument(help="Code of the organisation.")],
    since: From = None,
    until: To = None,
    form: Form = "table",
    bom: Bom = False,
) -> None:
    """What an organisation gave to others and took from others (Q8)."""
    with Session(place) as session:
        report = ask(session, "member", {"org": org, "from": since, "to": until})
    give(report, MEMBER, form, bom, [])


def ask(session: Session, name: str, params: Mapping[str, str | None]) -> Report:
    """The node's answer to a question."""
    given = {key: value for key, value in params.items() if value is not None}
    return session.client.report(name, given)


def give(
    report: Mapping[str, Any], columns: Sequence[str], form: str, bom: bool, notes: Sequence[str]
) -> None:
    """Print an answer in the form that was asked for."""
    if form not in FORMATS:
        raise MalformedError("X2", field="format")
    head = report["head"]
    at = say(
        "report-head",
        height=head["height"],
        size=head["size"],
        time=local_time(head["time_ms"]),
    )
    if form == "csv":
        typer.echo(("\ufeff" if bom else "") + as_csv(report["rows"], columns), nl=False)
        return
    if form == "json" or wants_json():
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    print_table(table_of(report["rows"], columns))
    for line in (say("rows", count=len(report["rows"])), at, *notes, say("unverified")):
        typer.echo(line)


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """Rows for the eye."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(say(f"report-{name}"), overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell(row.get(name))) for name in columns))
    return table


app = typer.Typer(no_args_is_help=True, help="Who used what, what is due, who gave and took.")
app.command("uses")(at_place(uses))
app.command("permits")(at_place(permits))
app.command("member")(at_place(member))
