"""`alliance register`: public registers made from the chain (domain.md D4): what was intended
(permit), what was observed (accesses) and what came out (publications), one row or file for each
agreement; agreements that were taken over from other registers stand beside those of this chain.

Titles and summaries are fetched from the vault for whoever may read them; what is not held, or was
erased, stays empty.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.home import write_over
from cli.options import Place, at_place
from cli.questions import ask
from cli.reports import as_csv
from cli.screen import progress, say
from cli.session import Session
from ledger.errors import ErasedError, ForbiddenError, NotFoundError
from node.forms import Report

Row = Mapping[str, Any]
Words = Mapping[str, str]
"""What was written about an agreement, by kind: title, lay-summary, public-benefit and so on."""
VERSION: Final = re.compile(r"\A(?P<reference>.+)-v(?P<version>[0-9]+(?:\.[0-9]+)*)\Z", re.ASCII)
SYSTEM_ACCESS: Final = "System_Access"
NOT_APPLICABLE: Final = "Not applicable"


def _several(values: Sequence[Any]) -> str:
    return "; ".join(dict.fromkeys(str(value) for value in values if value not in (None, "")))


def _of_data(name: str) -> Callable[[Row, Words], str]:
    """What the datasets of an agreement say in a field, each once."""

    def found(row: Row, _words: Words) -> str:
        return _several([one.get(name) for one in row.get("datasets", ())])

    return found


def _field(name: str) -> Callable[[Row, Words], str]:
    def found(row: Row, _words: Words) -> str:
        value = row.get(name)
        if isinstance(value, bool):
            return "Yes" if value else "No"
        return _several(value) if isinstance(value, list) else "" if value is None else str(value)

    return found


def _text(name: str) -> Callable[[Row, Words], str]:
    return lambda _row, words: words.get(name, "")


def _imported(there: Callable[[Row, Words], str], here: str) -> Callable[[Row, Words], str]:
    """What a register of others says; on this chain always the same."""
    return lambda row, words: there(row, words) if "register" in row else here


def _basis(under_9: bool) -> Callable[[Row, Words], str]:
    """Codes of a permit that begin with `art9` are conditions of Article 9, all others a basis of
    Article 6, as is whatever a register of others names.
    """

    def found(row: Row, words: Words) -> str:
        if "register" in row:
            return "" if under_9 else _of_data("legal_basis")(row, words)
        codes = row.get("legal_basis", ())
        return _several([code for code in codes if code.lower().startswith("art9") == under_9])

    return found


def _first_use(row: Row, _words: Words) -> str:
    return min((one["first_day"] for one in row.get("releases", ())), default="")


def _organisation(row: Row, _words: Words) -> str:
    return str(row.get("org_name") or row["org"])


def _access_type(row: Row, _words: Words) -> str:
    """Data of this alliance never leave it; a register of others says how its data were given."""
    kinds = {one.get("frequency") for one in row.get("datasets", ())}
    return "Release" if "register" in row and kinds != {SYSTEM_ACCESS} else "TRE"


COLUMNS: Final[Mapping[str, Callable[[Row, Words], str]]] = {
    "Project ID": lambda row, _words: str(row.get("study") or row["agreement"]),
    "Organisation name*": _organisation,
    "Organisation ID": _field("org_id"),
    "Organisation sector": _field("org_kind"),
    "Applicant name(s)": _field("people"),
    "Applicant ID": lambda _row, _words: "",
    "Funders/ Sponsors": _field("funders"),
    "DEA accredited researcher?": _field("accredited"),
    "Sub-licence arrangements (if any)?": lambda row, _words: "" if "register" in row else "No",
    "Project title*": _text("title"),
    "Lay summary*": _text("lay-summary"),
    "Public benefit statement*": _text("public-benefit"),
    "Request category type": _field("category"),
    "Technical summary": _text("technical-summary"),
    "Other approval committees": _field("ethics"),
    "Project start date": _field("valid_from"),
    "Project end date": _field("valid_until"),
    "Latest approval date*": _field("decided_day"),
    "Dataset(s) name*": _of_data("dataset"),
    "Data sensitivity level": _of_data("identifiability"),
    "Legal basis for provision of data under Article 6": _basis(under_9=False),
    "Lawful conditions for provision of data under Article 9": _basis(under_9=True),
    "Common Law Duty of Confidentiality": _imported(_of_data("confidentiality"), NOT_APPLICABLE),
    "National data opt-out applied?": _imported(_of_data("opt_outs"), NOT_APPLICABLE),
    "Request frequency": lambda row, words: (
        _field("frequency")(row, words) or _of_data("frequency")(row, words)
    ),
    "For linked datasets, specify how the linkage will take place": _field("linkage"),
    "Description of the confidential data being used": _text("data-description"),
    "Release/Access date": _first_use,
    "Access type*": _access_type,
    "How has data been processed to enhance privacy?": _of_data("deid_method"),
    "Link to research outputs": _field("outputs"),
}
"""The 31 columns of the data-use register, in its order, and where each comes from."""


def data_uses(
    place: Place,
    out: Annotated[Path | None, typer.Option(help="Write it to this file.")] = None,
    bom: Annotated[bool, typer.Option("--bom", help="CSV for Excel: UTF-8 with BOM.")] = False,
) -> None:
    """The data-use register of HDR UK: 31 columns, as CSV."""
    with Session(place) as session:
        report = ask(session, "register", {})
        words = fetch_words(session, report)
    rows = [
        {name: source(row, words[row["agreement"]]) for name, source in COLUMNS.items()}
        for row in report["rows"]
    ]
    text = ("\ufeff" if bom else "") + as_csv(rows, tuple(COLUMNS), spreadsheet=bom)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_over(out, text.encode())
    _tell(report, words, out)


def agreements(
    place: Place,
    out: Annotated[
        Path | None, typer.Option(help="Folder; one file for each agreement. Default: all here.")
    ] = None,
) -> None:
    """Agreements in the form of NHS Digital's register: JSON, with all versions inside."""
    with Session(place) as session:
        report = ask(session, "register", {})
        words = fetch_words(session, report)
    found = agreements_of(report["rows"], words)
    if out is None:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for one in found:
            name = re.sub(r"[^A-Za-z0-9._-]", "_", one["reference"])
            data = json.dumps(one, ensure_ascii=False, indent=2) + "\n"
            write_over(out / f"{name}.json", data.encode())
    _tell(report, words, out)


def fetch_words(session: Session, report: Report) -> dict[str, Words]:
    """What was written about each agreement, as far as the vault gives it to whoever asks."""
    wanted = sum(len(row.get("texts", {})) for row in report["rows"])
    found: dict[str, Words] = {}
    with progress("register-texts", wanted) as done:
        for row in report["rows"]:
            words = {}
            for kind, commit in row.get("texts", {}).items():
                try:
                    words[kind] = str(session.payload(commit).get("text", ""))
                except (ErasedError, ForbiddenError, NotFoundError):
                    continue
                finally:
                    done(1)
            found[row["agreement"]] = words
    return found


def agreements_of(rows: Sequence[Row], words: Mapping[str, Words]) -> list[dict[str, Any]]:
    """Agreements by their reference, each with its versions in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        named = VERSION.match(row["agreement"]) if "register" in row else None
        number = named["version"] if named else str(row.get("version", 1))
        base = named["reference"] if named else row["agreement"]
        found.setdefault(base, []).append(_version(row, words[row["agreement"]], number))
    return [
        {"reference": reference, "versions": sorted(found[reference], key=_order)}
        for reference in sorted(found)
    ]


def _order(version: Mapping[str, Any]) -> list[int]:
    return [int(part) for part in str(version["version"]).split(".")]


def _version(row: Row, words: Words, number: str) -> dict[str, Any]:
    return {
        "reference": row["agreement"],
        "version": number,
        "title": words.get("title"),
        "organisation": _organisation(row, words),
        "organisation_type": row.get("org_kind"),
        "controllers": row.get("controllers", []),
        "controller_basis": None,
        "start_date": row.get("valid_from"),
        "end_date": row.get("valid_until"),
        "commercial": row.get("commercial"),
        "sublicensing": None if "register" in row else False,
        "objective": words.get("lay-summary"),
        "activities": words.get("technical-summary"),
        "expected_output": None,
        "expected_benefits": words.get("public-benefit"),
        "yielded_benefits": row.get("outputs", []),
        "files_released": sum(one["uses"] for one in row.get("releases", ())),
        "datasets": [_dataset(row, one) for one in row.get("datasets", ())],
        "releases": [_release(row, one) for one in row.get("releases", ())],
        "status": row["status"],
        "records": row.get("records", []),
    }


def _dataset(row: Row, data: Row) -> dict[str, Any]:
    return {
        "name": data["dataset"],
        "legal_basis": data.get("legal_basis") or _several(row.get("legal_basis", ())) or None,
        "sensitivity": data.get("sensitivity"),
        "type_of_data": data.get("identifiability"),
        "confidentiality": data.get("confidentiality"),
        "frequency": data.get("frequency") or row.get("frequency"),
    }


def _release(row: Row, seen: Row) -> dict[str, Any]:
    listed = [one.get("opt_outs") for one in row.get("datasets", ())
              if one["dataset"] == seen["dataset"]]  # fmt: skip
    return {
        "dataset": seen["dataset"],
        "files": seen["uses"],
        "first_month": seen["first_day"][:7],
        "last_month": seen["last_day"][:7],
        "opt_outs_applied": _several(listed) or None,
    }


def _tell(report: Report, words: Mapping[str, Words], out: Path | None) -> None:
    """Where it was written, and what is missing in it, beside the output."""
    known = sum(len(found) for found in words.values())
    wanted = sum(len(row.get("texts", {})) for row in report["rows"])
    head = report["head"]
    said = say(
        "register-done",
        count=len(report["rows"]),
        height=head["height"],
        size=head["size"],
        known=known,
        wanted=wanted,
    )
    typer.echo(said, err=True)
    if out is not None:
        typer.echo(say("report-written", file=str(out)), err=True)


app = typer.Typer(no_args_is_help=True, help="Public registers, made from the chain.")
app.command("data-uses")(at_place(data_uses))
app.command("agreements")(at_place(agreements))
