"""A national register of data releases as published (NHS Digital, `DataReleases` and
`PurposeStatements`): which organisation was given which data, under which agreement.

Read as a stranger's file: every row that cannot be taken over is named with its reason, and none is
guessed at. The same file gives the same records every time, so importing it twice makes no
duplicates.
"""

import re
import zipfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree.ElementTree import ParseError

import msgspec

from cli.home import read_file
from cli.statements import Author, Signed, make_record, sign
from ledger.encoding import b64url, decode_date, encode_uuid7
from ledger.errors import MalformedError
from ledger.records.authorisation import Period
from ledger.records.imports import ImportedAgreementBody, ImportedData
from ledger.records.use import AccessBody, Source

RELEASES: Final = "DataReleases"
PURPOSES: Final = "PurposeStatements"
ROW, ORG, DATASET, IDENTIFIABILITY, SENSITIVITY, LEGAL, FREQUENCY, AGREEMENT, OPT_OUTS, DUTY = (
    "RowID", "Organisation Name", "Type of Data Provided", "Data provided to customer",
    "Sensitive or Non-Sensitive", "Legal Basis for Provision of Data (Dissemination)", "Frequency",
    "NIC Number", "Patient Opt-Outs applied", "Common law duty of confidentiality",
)  # fmt: skip
COLUMNS: Final = (
    ROW, ORG, DATASET, IDENTIFIABILITY, SENSITIVITY, LEGAL, FREQUENCY, AGREEMENT, OPT_OUTS, DUTY,
)  # fmt: skip
NEEDED: Final = COLUMNS[:-1]
KIND: Final = "Organisation Type"
REFERENCE: Final = "Reference Number"
NOT_TAKEN: Final = (
    "Purpose", "MR Number (where relevant)", "Objective for Processing", "Processing Activities",
    "Expected Output", "Expected Measurable Benefits", "Yielded Benefits",
)  # fmt: skip
"""Columns that stay in the register's file: prose has no place on the ledger (domain.md D11)."""

SENSITIVITIES: Final = {"Sensitive": "sensitive", "Non Sensitive": "non-sensitive"}
FILE_NAME: Final = re.compile(r"_(\d{4})(\d{2})(\d{2})_(\d{4})(\d{2})(\d{2})\.", re.ASCII)
ROW_ID: Final = re.compile(r"\A([A-Za-z]{1,32})([0-9]{1,15})\Z", re.ASCII)
AGREEMENT_FORM: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}\Z", re.ASCII)
PLAIN: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9-]*(?: [A-Za-z0-9-]+)*\Z", re.ASCII)
MAX_UNPACKED: Final = 256 << 20
"""Bytes: a small file may unpack into any number of them."""
LONGEST_CODE: Final = 64
LONGEST_NAME: Final = 128


class Release(NamedTuple):
    """One row: data given to an organisation under an agreement."""

    series: str
    number: int
    agreement: str
    data: ImportedData


class Agreement(NamedTuple):
    """An agreement, and whose it is."""

    reference: str
    org: str
    org_name: str
    org_kind: str
    data: tuple[ImportedData, ...]


class Problem(NamedTuple):
    """A row that was not taken over, or not as it stands, and why."""

    sheet: str
    row: int
    column: str
    reason: str


class Register(NamedTuple):
    """What a file says."""

    name: str
    digest: bytes
    period: Period
    datasets: dict[str, str]
    """The register's names of data, by code."""
    agreements: tuple[Agreement, ...]
    releases: tuple[Release, ...]
    problems: tuple[Problem, ...]


def read_register(path: Path, name: str) -> Register:
    """Read and check a whole file.

    Raises `MalformedError` (X11.*) where it is not such a register, and `ConfigError` (X1.file).
    """
    digest = sha256(read_file(path)).digest()
    period = _period_of(path)
    sheets = {sheet: _rows(path, sheet) for sheet in (RELEASES, PURPOSES)}
    problems: list[Problem] = []
    kinds = _kinds(path, sheets[PURPOSES])
    releases, names = _releases(path, sheets[RELEASES], problems)
    agreements = _agreements(releases, names, kinds, problems)
    known = {one.reference for one in agreements}
    kept = tuple(one for one in releases if one.agreement in known)
    datasets = {one.data.dataset: names["dataset", one.data.dataset] for one in kept}
    return Register(
        name, digest, period, dict(sorted(datasets.items())), agreements, kept, tuple(problems)
    )


def _period_of(path: Path) -> Period:
    found = FILE_NAME.search(path.name)
    if found is None:
        raise MalformedError("X11.period", file=path.name)
    year, month, day, to_year, to_month, to_day = found.groups()
    return Period(from_=f"{year}-{month}-{day}", to=f"{to_year}-{to_month}-{to_day}")


Cells = Sequence[str]


def _rows(path: Path, sheet: str) -> list[Cells]:
    """The rows of a sheet as text, head first.

    Raises `MalformedError` (X11.file, X11.large, X11.sheet).
    """
    # Late: every command would wait for what reads the workbooks of this one.
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with zipfile.ZipFile(path) as packed:
            if sum(part.file_size for part in packed.infolist()) > MAX_UNPACKED:
                raise MalformedError("X11.large", file=path.name, limit=MAX_UNPACKED)
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        if sheet not in book.sheetnames:
            raise MalformedError("X11.sheet", file=path.name, sheet=sheet)
        rows: list[Cells] = [
            ["" if cell is None else str(cell) for cell in row]
            for row in book[sheet].iter_rows(values_only=True)
        ]
        book.close()
    except (InvalidFileException, zipfile.BadZipFile, ParseError, KeyError, ValueError, OSError):
        raise MalformedError("X11.file", file=path.name) from None
    return rows


def _columns(path: Path, sheet: str, head: Cells, wanted: Sequence[str]) -> dict[str, int]:
    """Where each column is: its title begins so. Raises `MalformedError` (X11.column)."""
    places = {}
    for title in wanted:
        place = next((at for at, cell in enumerate(head) if cell.startswith(title)), None)
        if place is None:
            raise MalformedError("X11.column", file=path.name, sheet=sheet, column=title)
        places[title] = place
    return places


def _kinds(path: Path, rows: list[Cells]) -> dict[str, str]:
    """The kind of organisation of each agreement."""
    places = _columns(path, PURPOSES, rows[0] if rows else (), (REFERENCE, KIND))
    return {row[places[REFERENCE]].strip(): row[places[KIND]] for row in rows[1:]}


Names = dict[tuple[str, str], str]


def _releases(
    path: Path, rows: list[Cells], problems: list[Problem]
) -> tuple[list[Release], Names]:
    """The rows that can be taken over, and the register's own words for the codes in them."""
    places = _columns(path, RELEASES, rows[0] if rows else (), COLUMNS)
    names: Names = {}
    releases: list[Release] = []
    seen: set[tuple[str, int]] = set()
    for number, row in enumerate(rows[1:], 2):
        cells = {title: row[place] for title, place in places.items()}
        missing = [title for title in NEEDED if not cells[title].strip()]
        fault = (missing[0], "empty") if missing else _fault(cells, seen)
        if fault is not None:
            problems.append(Problem(RELEASES, number, *fault))
            continue
        if cells[AGREEMENT] != cells[AGREEMENT].strip():
            problems.append(Problem(RELEASES, number, AGREEMENT, "space-removed"))
        releases.append(_release(cells, names))
        seen.add((releases[-1].series, releases[-1].number))
    return releases, names


def _fault(cells: dict[str, str], seen: set[tuple[str, int]]) -> tuple[str, str] | None:
    """The column and the reason why a row cannot be taken over."""
    found = ROW_ID.match(cells[ROW])
    if found is None or not int(found[2]):
        return ROW, "form"
    if (found[1], int(found[2])) in seen:
        return ROW, "twice"
    if AGREEMENT_FORM.match(cells[AGREEMENT].strip()) is None:
        return AGREEMENT, "form"
    if cells[SENSITIVITY] not in SENSITIVITIES:
        return SENSITIVITY, "unknown"
    if len(cells[ORG]) > LONGEST_NAME:
        return ORG, "long"
    return None


def _release(cells: dict[str, str], names: Names) -> Release:
    found = ROW_ID.match(cells[ROW])
    series, number = found.groups() if found else ("", "0")

    def code(kind: str, text: str) -> str:
        made = code_of(text)
        names[kind, made] = text
        return made

    agreement = cells[AGREEMENT].strip()
    names["org", agreement] = cells[ORG]
    data = ImportedData(
        confidentiality=code("duty", cells[DUTY]) if cells[DUTY].strip() else None,
        dataset=code("dataset", cells[DATASET]),
        frequency=code("frequency", cells[FREQUENCY]),
        identifiability=code("identifiability", cells[IDENTIFIABILITY]),
        legal_basis=code("legal", cells[LEGAL]),
        opt_outs=code("opt-outs", cells[OPT_OUTS]),
        sensitivity="sensitive" if cells[SENSITIVITY] == "Sensitive" else "non-sensitive",
    )
    return Release(series, int(number), agreement, data)


def code_of(text: str) -> str:
    """A code for a name of any letters: its words, and a hash where they do not say it all.

    Different names have different codes; the same name has the same code in every register.
    """
    if PLAIN.match(text) is not None and len(text) <= LONGEST_CODE:
        return text.replace(" ", "_")
    words = re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_-")
    mark = sha256(text.encode()).hexdigest()[:12]
    return f"{words[: LONGEST_CODE - 13]}.{mark}".lstrip(".")


def _agreements(
    releases: list[Release], names: Names, kinds: dict[str, str], problems: list[Problem]
) -> tuple[Agreement, ...]:
    """The agreements of the releases, in the order of their references."""
    data: dict[str, dict[ImportedData, None]] = {}
    for one in releases:
        data.setdefault(one.agreement, {})[one.data] = None
    agreements = []
    for reference in sorted(data):
        if not kinds.get(reference, "").strip():
            problems.append(Problem(PURPOSES, 0, reference, "no-statement"))
            continue
        name = names["org", reference]
        kind = code_of(kinds[reference])
        agreements.append(Agreement(reference, code_of(name), name, kind, tuple(data[reference])))
    return tuple(agreements)


# --- records --------------------------------------------------------------------------------------


def sign_agreement(author: Author, register: Register, one: Agreement) -> Signed:
    """An agreement as the register states it, on the last day that the register covers."""
    body = ImportedAgreementBody(
        agreement=one.reference,
        datasets=one.data,
        org=one.org,
        org_kind=one.org_kind,
        org_name=one.org_name,
        period=register.period,
        register=register.name,
        register_digest=b64url(register.digest),
    )
    return _sign(author, register, body, one.reference)


def sign_release(author: Author, register: Register, one: Release) -> Signed:
    """A row, as a use under its agreement: that it was given is what the register says."""
    extract = one.data.frequency != "System_Access"
    body = AccessBody(
        action="export" if extract else "read",
        activity=f"RELEASE:{one.data.frequency}",
        channel="file" if extract else "query",
        dataset=one.data.dataset,
        outcome="ok",
        permit=one.agreement,
        source=Source(seq=one.number, system=f"{register.name}:{one.series}"),
    )
    return _sign(author, register, body, f"{one.series}/{one.number}")


def _sign(
    author: Author, register: Register, body: AccessBody | ImportedAgreementBody, name: str
) -> Signed:
    """The day is known, the hour is not. The id follows from what the record is about."""
    day = register.period.to
    chance = sha256(f"{author.org}\n{register.name}\n{name}".encode()).digest()
    kind = "access" if isinstance(body, AccessBody) else "imported-agreement"
    at_ms = decode_date(day)
    record = make_record(
        kind,
        body,
        chain=author.chain,
        at_ms=at_ms,
        record_id=encode_uuid7(at_ms, chance),
    )
    return sign(author, msgspec.structs.replace(record, at=day))
