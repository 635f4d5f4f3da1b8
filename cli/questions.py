"""`alliance report`: the committee's twelve questions (domain.md D16), as a table, JSON, CSV or a
printable page; with `--proofs` the receipts of every record that a row names.

Rows come from the node's index at a published head. What proves them is fetched record by record,
and checked here against the genesis before it is written.
"""

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.certificate_texts import RIGHTS_TEXTS
from cli.code_texts import CELLS_ZH, CODES_ZH
from cli.documents import fetch_document, leaves_in
from cli.home import write_over
from cli.options import Place, at_place
from cli.question_page import page_of_report
from cli.reports import as_csv, cell, write_proof
from cli.screen import language, local_time, print_table, printable, progress, say, wants_json
from cli.session import Session
from ledger.errors import MalformedError, NotFoundError
from node.forms import EXPORTS, Report

FORMATS: Final = ("table", "json", "csv", "page")
DOCUMENTS: Final[Mapping[str, frozenset[str]]] = {"provenance": frozenset(EXPORTS)}
"""The standard forms that a question is answered in as well."""
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "uses": (
        "dataset", "org", "permit", "study", "person", "uses", "first_day", "last_day", "actions",
        "findings", "runs", "results", "publications", "first_entry", "last_entry",
    ),
    "provenance": ("depth", "kind", "name", "rel", "status", "parties", "evidence", "records"),
    "coverage": (
        "of", "dimension", "verdict", "finding", "count", "first_day", "last_day", "first_entry",
        "last_entry",
    ),
    "permits": (
        "permit", "org", "study", "status", "valid_from", "valid_until", "uses", "last_day", "due",
        "obligations", "datasets",
    ),
    "credit": ("party", "basis_points", "held", "roles", "pools", "records"),
    "egress": (
        "request", "result", "org", "permit", "destination", "status", "files", "released",
        "reviewers", "organisations", "sdc", "exceptions", "publications",
    ),
    "consequences": ("depth", "kind", "name", "status", "action", "uses", "findings", "records"),
    "member": ("side", "dataset", "org", "uses", "findings"),
    "committee": (
        "request", "study", "status", "verdict", "overridden", "asked_day", "hours", "reviews",
        "counted", "conflicts", "organisations", "approved_by", "members",
    ),
    "copies": (
        "of", "name", "status", "size", "heard_ms", "contradictions", "numbers", "last", "complete",
        "erased", "waiting",
    ),
    "person": ("of", "what", "day", "role", "name", "org", "outcome", "entry"),
    "certificate": ("check", "outcome", "detail", "records"),
}  # fmt: skip
"""The columns of each report, in this order; `records` stand in CSV and JSON always."""
CODED: Final = frozenset({
    "check", "destination", "dimension", "of", "outcome", "side", "status", "verdict",
})  # fmt: skip
"""Columns of codes."""
MANY: Final = frozenset({"graph"})
"""Facts that are for programs: whole structures."""


From = Annotated[str | None, typer.Option("--from", help="UTC time, date or ms.")]
To = Annotated[str | None, typer.Option("--to", help="The same, exclusive.")]
_OUTPUT: Final[dict[str, tuple[object, object]]] = {
    "form": (
        Annotated[
            str,
            typer.Option(
                "--format", help="table, json, csv, page; of provenance also prov, crate, datacite."
            ),
        ],
        "table",
    ),
    "bom": (Annotated[bool, typer.Option("--bom", help="CSV for Excel: UTF-8 with BOM.")], False),
    "out": (Annotated[Path | None, typer.Option(help="Write it to this file.")], None),
    "proofs": (
        Annotated[Path | None, typer.Option(help="Write receipts of all its records here.")],
        None,
    ),
    "first": (Annotated[bool, typer.Option("--first", help="The first page only.")], False),
    "after": (Annotated[str | None, typer.Option(help="The page after this cursor.")], None),
}
Params = dict[str, str | None]
Words = Callable[..., Params]


def asking(name: str, words: Words) -> Callable[..., None]:
    """A command that asks this question with the parameters that `words` makes of its own, and
    takes the options that all answers take.
    """
    own = list(inspect.signature(words, eval_str=True).parameters.values())

    @functools.wraps(words)
    def command(place: Place, **values: Any) -> None:  # typer's
        output = {option: values.pop(option) for option in _OUTPUT}
        given = {key: text for key, text in words(**values).items() if text is not None}
        if output["form"] in DOCUMENTS.get(name, ()):
            give_document(place, given["object"], output)
            return
        if output["form"] not in FORMATS:
            raise MalformedError("X2", field="format")
        with Session(place) as session:
            report = ask(session, name, given, output["first"], output["after"])
            result: dict[str, Any] = {**report}
            if name == "uses":
                subject = f"dataset:{given['dataset']}"
                known, _head = session.subject(subject)
                result.update(records=len(known.leaves), subject=subject)
            if output["proofs"] is not None:
                _prove(session, report, _records_of(report), output["proofs"])
        give(result, output["form"], output["bom"], output["out"])

    first = inspect.Parameter("place", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Place)
    kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    added = [
        inspect.Parameter(
            option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for option, (annotation, default) in _OUTPUT.items()
    ]
    command.__signature__ = inspect.Signature([first, *kept, *added])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in (first, *kept, *added)}
    return command


def ask(
    session: Session,
    name: str,
    given: Mapping[str, str | int],
    first: bool = False,
    after: str | None = None,
) -> Report:
    """The node's answer: all pages at one head, or one page. An answer whose head the node let go
    of meanwhile is asked for once more.
    """
    if after is not None:
        return session.client.report(name, {**given, "after": after})
    if first:
        return session.client.report(name, given)
    try:
        return session.client.whole_report(name, given)
    except NotFoundError as error:
        if error.rule != "Q6":
            raise
        return session.client.whole_report(name, given)


def give_document(place: Place, name: str, output: Mapping[str, Any]) -> None:
    """Print where an object came from in a standard form, or write it to a file. Such a document
    has no pages.
    """
    for option in ("first", "after"):
        if output[option]:
            raise MalformedError("X2", field=option)
    with Session(place) as session:
        document = fetch_document(session, output["form"], name)
        if output["proofs"] is not None:
            _prove(session, document, leaves_in(output["form"], document), output["proofs"])
    put(as_json(document), output["out"])


def write_proofs(session: Session, report: Report, folder: Path) -> int:
    """The answer and the receipt of every record in it, each checked first; gives their number.

    Raises `ProofError` for a record that its receipt does not prove, `ConfigError` (X1.file).
    """
    leaves = _records_of(report)
    _write_receipts(session, report, leaves, folder)
    return len(leaves)


def _records_of(report: Report) -> list[str]:
    return list(dict.fromkeys(leaf for row in report["rows"] for leaf in row.get("records", ())))


def _prove(
    session: Session, answer: Mapping[str, Any], leaves: Sequence[str], folder: Path
) -> None:
    _write_receipts(session, answer, leaves, folder)
    typer.echo(say("report-proved", count=len(leaves), folder=str(folder)), err=True)


def _write_receipts(
    session: Session, answer: Mapping[str, Any], leaves: Sequence[str], folder: Path
) -> None:
    write_over(folder / "answer.json", as_json(answer).encode())
    with progress("report-proving", len(leaves)) as done:
        for leaf in leaves:
            receipt = session.receipt(leaf)
            write_proof(folder / "receipts", receipt, session.verified(receipt))
            done(1)


# --- forms ---


def give(report: Mapping[str, Any], form: str, bom: bool, out: Path | None = None) -> None:
    """Print an answer in the form that was asked for, or write it to a file."""
    columns = COLUMNS[report["report"]]
    if form == "csv":
        text = ("\ufeff" if bom else "") + csv_of(report, columns, bom)
    elif form == "page":
        text = page_of_report(report, columns, facts_of(report), _in_both)
    elif form == "json" or wants_json():
        text = as_json(report)
    else:
        print_table(table_of(report["rows"], columns))
        for line in lines_of(report):
            typer.echo(line)
        return
    put(text, out, nl=form == "json" or wants_json())


def put(text: str, out: Path | None, *, nl: bool = True) -> None:
    """Print a whole text, or write it to a file and say so."""
    if out is None:
        typer.echo(text, nl=nl)
        return
    write_over(out, text.encode())
    typer.echo(say("report-written", file=str(out)), err=True)


def as_json(report: Mapping[str, Any]) -> str:
    """An answer as a program reads it."""
    return json.dumps(report, ensure_ascii=False, indent=2)


def csv_of(report: Mapping[str, Any], columns: Sequence[str], spreadsheet: bool) -> str:
    """The rows with the records that show them."""
    names = (*columns, *(() if "records" in columns else ("records",)))
    rows = [{name: shown(name, row.get(name)) for name in names} for row in report["rows"]]
    return as_csv(rows, names, spreadsheet=spreadsheet)


def lines_of(report: Mapping[str, Any]) -> list[str]:
    """What stands below a table: the head, facts, notes, and where it goes on."""
    head = report["head"]
    at = say(
        "report-head",
        height=head["height"],
        size=head["size"],
        time=local_time(head["time_ms"]),
        policy=report["policy"]["version"],
    )
    facts = [
        say("report-fact", name=say(f"fact-{name}"), value=value)
        for name, value in facts_of(report)
    ]
    notes = [say("report-note", text=note[language()]) for note in report["notes"]]
    more = [say("report-next", cursor=report["next"])] if report["next"] else []
    if "records" in report:
        known = say("report-log-complete", subject=report["subject"], count=report["records"])
        notes.insert(0, known)
    return [say("rows", count=len(report["rows"])), at, *facts, *notes, *more, say("unverified")]


def facts_of(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an answer says as a whole, by name."""
    found = sorted(report["facts"].items())
    return [
        (name, printable(cell(value)))
        for name, value in found
        if name not in MANY and value not in (None, [], {})
    ]


def shown(name: str, value: object) -> str:
    """A value of a row in one cell."""
    if name == "obligations" and isinstance(value, list):
        return " ".join(f"{one['code']}:{one['standing']}" for one in value)
    return cell(value)


def _said(name: str, value: object) -> str:
    """A value of a row for the eye: what has to be done is a sentence, a code is explained."""
    if name == "action" and value:
        return say(f"action-{value}")
    code = shown(name, value)
    meaning = _meaning(name, code) if language() == "zh" else ""
    return f"{meaning}（{code}）" if meaning else code


def _in_both(name: str, value: object) -> str:
    """The same for a page in both languages."""
    if name == "action" and value:
        text = RIGHTS_TEXTS[f"action-{value}"]
        return f"{text.zh} {text.en}"
    code = shown(name, value)
    return f"{_meaning(name, code)} {code}".lstrip()


def _meaning(name: str, code: str) -> str:
    """What a code means in Chinese; nothing for what is no code, or is not known."""
    return (CELLS_ZH.get(code) or CODES_ZH.get(code, "")) if name in CODED else ""


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Table:
    """Rows for the eye; record hashes are for files."""
    names = [name for name in columns if name != "records"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(say(f"report-{name}"), overflow="fold")
    for row in rows:
        table.add_row(*(printable(_said(name, row.get(name))) for name in names))
    return table


# --- the questions ---


def uses(
    dataset: Annotated[str, typer.Argument(help="SERIES, all its versions; or SERIES@VERSION.")],
    since: From = None,
    until: To = None,
    descendants: Annotated[
        bool, typer.Option("--descendants", help="Also what was derived from it.")
    ] = False,
) -> Params:
    """Who used a dataset, under which permits, and what came out (Q1)."""
    also = "1" if descendants else None
    return {"dataset": dataset, "from": since, "to": until, "descendants": also}


Object = Annotated[
    str, typer.Argument(metavar="OBJECT", help="Result, version, indicator ..., or leaf hash.")
]


def provenance(name: Object) -> Params:
    """Where a result came from, all the way back (Q2)."""
    return {"object": name}


def coverage(
    dataset: Annotated[str | None, typer.Option(help="Only its accesses.")] = None,
    permit: Annotated[str | None, typer.Option(help="Only those under it.")] = None,
    since: From = None,
    until: To = None,
) -> Params:
    """Whether every access was covered, and in what it was not (Q3)."""
    return {"dataset": dataset, "permit": permit, "from": since, "to": until}


def permits(
    within: Annotated[int, typer.Option(min=0, help="EXPIRING within so many days.")] = 30,
) -> Params:
    """Permits, how they stand, what they owe, and what is due (Q4)."""
    return {"within": str(within)}


def credit(
    name: Object,
    notice: Annotated[str | None, typer.Option(help="As this notice shows it (leaf hash).")] = None,
) -> Params:
    """Who must be credited for an object, with what share (Q5)."""
    return {"object": name, "notice": notice}


def egress(
    org: Annotated[str | None, typer.Option("--of", help="Only of this organisation.")] = None,
) -> Params:
    """What left the alliance, who checked it, what was published without (Q6)."""
    return {"org": org}


def consequences(
    of: Annotated[
        str, typer.Argument(help="ethics:ID, permit:ID, dataset:SERIES[@V], key:KID, person:PID.")
    ],
) -> Params:
    """What is affected if this is gone, and what has to be done (Q7)."""
    return {"of": of}


def member(
    org: Annotated[str, typer.Argument(help="Code of the organisation.")],
    since: From = None,
    until: To = None,
) -> Params:
    """What an organisation gave to others, took from others, and did (Q8)."""
    return {"org": org, "from": since, "to": until}


def committee(since: From = None, until: To = None) -> Params:
    """How the committee works: time to decision, conflicts, what is pending (Q9)."""
    return {"from": since, "to": until}


def copies() -> Params:
    """Whether this copy is complete and equal to the others' (Q10)."""
    return {}


def person(pid: Annotated[str, typer.Argument(help="A pid of this institution.")]) -> Params:
    """Everything about one person: for that person and its institution (Q11)."""
    return {"pid": pid}


def certificate(
    number: Annotated[str, typer.Argument(help="Number of the certificate.")],
) -> Params:
    """Whether a certificate is genuine and current, as the node says (Q12)."""
    return {"number": number}


app = typer.Typer(no_args_is_help=True, help="The committee's twelve questions.")
for _words in (
    uses, provenance, coverage, permits, credit, egress, consequences, member, committee, copies,
    person, certificate,
):  # fmt: skip
    app.command(_words.__name__)(at_place(asking(_words.__name__, _words)))
