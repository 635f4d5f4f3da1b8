"""`alliance import`: logs of other systems, one signed entry for each line.

All files are read and checked before the first line is sent. Lines go to the node in requests of up
to 1,000; the next request is signed while the node works on the one before. A line counts as
recorded when its block's receipt has been verified here; interrupting loses nothing, and the same
command again finds what is there already.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from cli.home import write_over
from cli.idash import DEFAULT_SYSTEM, Line, read_lines, sign_line
from cli.options import Place, signing
from cli.records import write
from cli.register import NOT_TAKEN, Register, read_register, sign_agreement, sign_release
from cli.screen import finding_text, progress, say, show
from cli.session import Session
from cli.statements import Signed
from ledger.errors import BusyError, MalformedError, ProofError, RefusedError, StorageError
from ledger.records.envelope import ENCODE
from ledger.rules.values import DatasetState
from ledger.verify import BlockReceipt
from node import forms
from node.client import RemoteError, error_of
from node.config import MAX_POST_ENTRIES

app = typer.Typer(no_args_is_help=True, help="Import logs of other systems.")
BUSY_PAUSE_S = 1.0
BUSY_TRIES = 60


class Origin(NamedTuple):
    """Where a line stands."""

    file: str
    number: int


class Chunk(NamedTuple):
    """The lines of one request, signed."""

    origins: list[Origin]
    entries: list[Signed]


class Imported(msgspec.Struct, kw_only=True):
    """What an import came to; `first` and `last` are tree indexes."""

    lines: int = 0
    new: int = 0
    known: int = 0
    first: int | None = None
    last: int | None = None
    findings: Counter[str] = msgspec.field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, index: int, findings: Iterable[str], size_before: int) -> None:
        """Count one line."""
        self.lines += 1
        if index < size_before:
            self.known += 1
        else:
            self.new += 1
        self.first = index if self.first is None else min(self.first, index)
        self.last = index if self.last is None else max(self.last, index)
        self.findings.update(findings)


def check_files(files: list[Path]) -> int:
    """Read every line once; gives how many there are. Raises `MalformedError` (X3.*)."""
    count = 0
    with progress("checking-lines", None) as advance:
        for path in files:
            for _line in read_lines(path):
                count += 1
                if count % MAX_POST_ENTRIES == 0:
                    advance(MAX_POST_ENTRIES)
    return count


def sign_chunks(session: Session, files: list[Path], system: str) -> Iterator[Chunk]:
    """The signed lines of all files, in order, in chunks of one request each."""
    author = session.author

    def lines() -> Iterator[tuple[Origin, Line]]:
        for path in files:
            for number, line in enumerate(read_lines(path), 1):
                yield Origin(path.name, number), line

    source = lines()
    while part := list(islice(source, MAX_POST_ENTRIES)):
        entries = [sign_line(author, line, system) for _origin, line in part]
        yield Chunk([origin for origin, _line in part], entries)


def import_files(
    session: Session, files: list[Path], system: str, advance: Callable[[int], None]
) -> Imported:
    """Record every line of these files. Raises as `import_chunks`."""
    return import_chunks(session, sign_chunks(session, files, system), advance)


def import_chunks(
    session: Session, chunks: Iterator[Chunk], advance: Callable[[int], None]
) -> Imported:
    """Record every line of these chunks; `advance` takes how many more are recorded.

    Raises `MalformedError` (X3.*), `RefusedError` (X3.refused), or what the node or its proofs
    raise.
    """
    started = time.monotonic()
    size_before = session.client.summary()["size"]
    done = Imported()
    stopping = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as background:
        try:
            chunk = next(chunks, None)
            while chunk is not None:
                waiting = background.submit(_submit, session, chunk, stopping)
                following = next(chunks, None)
                _take(session, chunk, waiting.result(), done, size_before)
                advance(len(chunk.entries))
                chunk = following
        finally:
            # Whoever interrupts does not wait until a busy node has time.
            stopping.set()
    done.seconds = time.monotonic() - started
    return done


def _submit(session: Session, chunk: Chunk, stopping: threading.Event) -> forms.Chunk:
    """Send one request, again while the node is busy and nobody says stop. Raises `BusyError` when
    it stays so.
    """
    raws = [entry.raw for entry in chunk.entries]
    for _attempt in range(BUSY_TRIES):
        try:
            answer = session.client.submit_chunk(raws)
        except BusyError:
            answer = {"receipts": [], "results": []}
        results = answer["results"]
        if results and not any(result["status"] == "busy" for result in results):
            return answer
        if stopping.wait(BUSY_PAUSE_S):
            break
    raise BusyError("X4", id=chunk.entries[0].id)


def _take(
    session: Session, chunk: Chunk, answer: forms.Chunk, done: Imported, size_before: int
) -> None:
    """Verify the receipts of an answer, keep them, and count its lines."""
    places: dict[bytes, tuple[int, tuple[str, ...]]] = {}
    for raw in answer["receipts"]:
        receipt = _block_receipt(raw)
        indexes = session.check_block(receipt)
        findings = zip(indexes.items(), receipt.findings, strict=True)
        places.update({leaf: (index, codes) for (leaf, index), codes in findings})
        file = session.place.home / "receipts" / f"block-{receipt.seal.index}.json"
        write_over(file, ENCODE(receipt))
    for origin, entry, result in zip(chunk.origins, chunk.entries, answer["results"], strict=True):
        if result["status"] != "published":
            error = error_of(result.get("problem", {}))
            if isinstance(error, StorageError | RemoteError):
                raise error
            raise RefusedError("X3.refused", file=origin.file, line=origin.number, inner=error.rule)
        place = places.get(entry.leaf)
        if place is None:
            raise ProofError("V3")
        done.add(*place, size_before)


def _block_receipt(value: object) -> BlockReceipt:
    try:
        return msgspec.convert(value, BlockReceipt)
    except msgspec.ValidationError:
        raise MalformedError("S1", field="receipts") from None


def import_idash(
    place: Place,
    files: Annotated[list[Path], typer.Argument(help="Files of the log, TSV with CRLF.")],
    system: Annotated[
        str, typer.Option("--as", help="Name of the observing system; its nodes are NAME-1, ...")
    ] = DEFAULT_SYSTEM,
) -> None:
    """Import the access log of the iDASH 2018 competition, one signed entry for each line."""
    total = check_files(files)
    with Session(place) as session, progress("importing", total) as advance:
        done = import_files(session, files, system, advance)
    show(as_json(done), lines_of(done))


def import_register(
    place: Place,
    file: Annotated[Path, typer.Argument(help="The register's workbook, as published.")],
    name: Annotated[
        str, typer.Option("--as", help="Name of the register: its rows are numbers of NAME:SERIES.")
    ] = "register",
    officer_key: Annotated[str, typer.Option(help="Registers data that is not known yet.")] = (
        "officer"
    ),
) -> None:
    """Import a national register of data releases: marked as imported, witnessed by nobody."""
    register = read_register(file, name)
    with Session(place._replace(key=officer_key)) as officer:
        register_datasets(officer, register)
    total = len(register.agreements) + len(register.releases)
    with Session(place) as session, progress("importing", total) as advance:
        done = import_chunks(session, sign_register(session, file.name, register), advance)
    show({**as_json(done), **register_json(register)}, [*lines_of(done), *register_lines(register)])


def register_datasets(session: Session, register: Register) -> None:
    """Register the kinds of data that the chain does not know yet."""
    with progress("registering-datasets", len(register.datasets)) as advance:
        for series in register.datasets:
            if session.state(DatasetState, "dataset", series) is None:
                fields = {
                    "custodian": session.author.org,
                    "openness": "conditional",
                    "series_id": series,
                }
                write(session, "dataset", fields)
            advance(1)


def sign_register(session: Session, file: str, register: Register) -> Iterator[Chunk]:
    """The signed entries of a register, agreements first: a use then finds what it is under."""
    author = session.author
    agreements = (sign_agreement(author, register, one) for one in register.agreements)
    releases = (sign_release(author, register, one) for one in register.releases)
    signed = enumerate(chain(agreements, releases), 1)
    while part := list(islice(signed, MAX_POST_ENTRIES)):
        yield Chunk([Origin(file, number) for number, _one in part], [one for _n, one in part])


def register_json(register: Register) -> dict[str, object]:
    """What a register holds, and what was not taken over, for scripts."""
    return {
        "agreements": len(register.agreements),
        "columns_left": list(NOT_TAKEN),
        "datasets": len(register.datasets),
        "organisations": len({one.org for one in register.agreements}),
        "problems": [problem._asdict() for problem in register.problems],
        "releases": len(register.releases),
    }


def register_lines(register: Register) -> list[str]:
    """The same for people."""
    period = f"{register.period.from_} - {register.period.to}"
    facts: Any = register_json(register)
    counts = {name: facts[name] for name in ("agreements", "datasets", "organisations", "releases")}
    problems = [
        say(
            "register-problem",
            sheet=one.sheet,
            row=one.row,
            column=one.column,
            why=say(f"register-{one.reason}"),
        )
        for one in register.problems
    ]
    return [
        say("register-taken", period=period, **counts),
        say("register-mark"),
        say("register-problems", count=len(problems)),
        *problems,
        say("register-columns", columns=", ".join(NOT_TAKEN)),
    ]


def as_json(done: Imported) -> dict[str, object]:
    """An import's result for scripts."""
    values: dict[str, object] = msgspec.to_builtins(done)
    return {**values, "findings": dict(sorted(done.findings.items()))}


def lines_of(done: Imported) -> list[str]:
    """An import's result for people."""
    rate = round(done.lines / done.seconds) if done.seconds else done.lines
    first = say(
        "imported",
        lines=done.lines,
        new=done.new,
        old=done.known,
        first="-" if done.first is None else done.first,
        last="-" if done.last is None else done.last,
        seconds=f"{done.seconds:.1f}",
        rate=rate,
    )
    return [first, *count_findings(done.findings)]


def count_findings(counts: "Counter[str] | dict[str, int]") -> list[str]:
    """One line for each finding code."""
    return [
        say("finding-count", code=code, count=count, meaning=finding_text(code))
        for code, count in sorted(counts.items())
    ]


app.command("idash")(signing("system")(import_idash))
app.command("register")(signing("system")(import_register))
