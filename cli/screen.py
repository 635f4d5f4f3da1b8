"""What people and scripts see: one language, results as text or JSON, progress, exit codes.

Nothing here knows a node, so that the offline audit may use it too.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from cli.clauses import clause_of
from cli.code_texts import CODES_ZH
from cli.texts import TEXTS
from ledger.errors import AllianceError
from ledger.rulebook.findings import FINDINGS
from ledger.rulebook.reasons import REASONS

EXIT_INTERNAL: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130
EXIT_CODES: Final[Mapping[str, int]] = {
    "usage": EXIT_USAGE,
    "malformed": 10,
    "too-large": 10,
    "signature": 11,
    "refused": 12,
    "conflict": 13,
    "not-found": 14,
    "erased": 14,
    "proof": 15,
    "busy": 16,
    "limit": 16,
    "storage": 17,
    "config": 18,
    "unreachable": 19,
    "unauthenticated": 20,
    "forbidden": 20,
}
"""From the code of an error to the exit code of the command (README, "Exit codes")."""


class UsageError(AllianceError):
    """Words that no command can be made of."""

    code = "usage"


LANGUAGES: Final = ("en", "zh")
_LANGUAGE: ContextVar[str | None] = ContextVar("language", default=None)
_JSON: ContextVar[bool] = ContextVar("json", default=False)
_EXPLAIN: ContextVar[bool] = ContextVar("explain", default=False)
_LOG_EVERY_S: Final = 5.0
WIDE: Final = 240


def language() -> str:
    """`en` or `zh`: from `--lang`, else ALLIANCE_LANG, else the locale of the environment."""
    chosen = _LANGUAGE.get()
    if chosen is not None:
        return chosen
    for name in ("ALLIANCE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def set_language(chosen: str | None) -> None:
    """Speak this language from here on; None follows the environment."""
    _LANGUAGE.set(chosen)


def wants_json() -> bool:
    """Whether this command was asked for JSON."""
    return _JSON.get()


def set_json(wanted: bool) -> None:
    """Print results, and errors, as JSON from here on."""
    _JSON.set(wanted)


def say(name: str, /, **facts: str | int) -> str:
    """A sentence of the catalogue in the language of this run."""
    text = TEXTS[name]
    return (text.zh if language() == "zh" else text.en).format_map(facts)


def tell(name: str, /, **facts: str | int) -> None:
    """Print a sentence of the catalogue; a run that prints JSON leaves it out."""
    if not wants_json():
        typer.echo(say(name, **facts))


def show(result: object, lines: Iterable[str]) -> None:
    """Print a result: the value as JSON where that was asked for, else the lines."""
    if wants_json():
        typer.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return
    for line in lines:
        typer.echo(printable(line))


def foresee(words: Iterable[str]) -> None:
    """Speak the language, and in the form, that these words will ask for: what is wrong with them
    is found before they are all read.
    """
    chosen, before = None, ""
    set_json(False)
    for word in words:
        if word == "--":
            break
        if word == "--json":
            set_json(True)
        given = word if before == "--lang" else word.removeprefix("--lang=")
        if given in LANGUAGES and (before == "--lang" or given != word):
            chosen = given
        before = word
    set_language(chosen)


def printable(text: str) -> str:
    """The text with everything escaped that a terminal would obey or could not show: names and
    strings come from strangers.
    """
    if text.isprintable():
        return text
    shown = (c if c.isprintable() or c in "\n\t\u3000" else _escaped(c) for c in text)
    return "".join(shown)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def exit_code(error: AllianceError) -> int:
    """The exit code of an error, by one table."""
    return EXIT_CODES.get(error.code, EXIT_INTERNAL)


def explain(error: AllianceError) -> None:
    """Print what was wrong and what to do next, on the error stream."""
    clause = clause_of(error.rule) if _EXPLAIN.get() else None
    if wants_json():
        problem: dict[str, object] = {
            "code": error.code,
            "rule": error.rule,
            "detail": error.sentence("en"),
            "detail_zh": error.sentence("zh"),
            "next": error.next_step("en"),
            "next_zh": error.next_step("zh"),
        }
        if clause is not None:
            problem["clause"] = clause._asdict()
        typer.echo(json.dumps(problem, ensure_ascii=False), err=True)
        return
    lang = language()
    typer.echo(
        printable(say("error", rule=error.rule, sentence=error.sentence(lang))),
        err=True,
    )
    if clause is not None:
        told = say("clause", number=clause.number, text=clause.text)
        typer.echo(printable(told), err=True)
    step = error.next_step(lang)
    if step:
        typer.echo(printable(say("next", step=step)), err=True)


def set_explain(value: bool) -> None:
    """Tell of a refusal the clause, too (`--explain`)."""
    _EXPLAIN.set(value)


def reason_text(reason: str) -> str:
    """What a reason of a match means; its code stands before the stroke."""
    word = reason.rpartition("/")[2]
    found = REASONS.get(word)
    if found is None:
        return word
    return found.zh if language() == "zh" else found.en


def print_table(table: Table) -> None:
    """Print a table. Cells hold the words of strangers: nothing in them is markup or a picture."""
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        # A pipe has no width: keep every row on one line for the tools that read it.
        console.width = WIDE
    console.print(table)


def code_text(code: str) -> str:
    """A code in a sentence: with what it means, where it is not a word of the reader's language."""
    meaning = meaning_of(code)
    return code if meaning == code else f"{meaning}（{code}）"


def meaning_of(code: str) -> str:
    """What a code means, in Chinese; in English a code is a word of the language."""
    return CODES_ZH.get(code, code) if language() == "zh" else code


def finding_text(code: str) -> str:
    """What a finding code means; an unknown code speaks for itself."""
    finding = FINDINGS.get(code)
    if finding is None:
        return code
    return finding.zh if language() == "zh" else finding.en


def local_time(ms: int) -> str:
    """POSIX milliseconds in the reader's own time zone, with its offset; records keep UTC. Beyond
    the calendar it is the plain number: a seal or a cosigner may claim any time.
    """
    try:
        moment = datetime.fromtimestamp(ms / 1000, tz=UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms"
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{ms % 1000:03}" + moment.strftime(" %z")


@contextmanager
def progress(
    name: str, total: int | None, /, **facts: str | int
) -> Iterator[Callable[[int], None]]:
    """Show how far long work is: a bar on a terminal, else a line on the error stream now and then.

    Gives a function that takes how much was done since the last call.
    """
    label = say(name, **facts)
    if sys.stderr.isatty():
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda done: bar.advance(task, done)
        return
    yield _log_lines(label, total)


def _log_lines(label: str, total: int | None) -> Callable[[int], None]:
    done, shown = 0, time.monotonic()

    def advance(step: int) -> None:
        nonlocal done, shown
        done += step
        now = time.monotonic()
        if now - shown >= _LOG_EVERY_S:
            shown = now
            typer.echo(f"{label} {done}/{total}" if total else f"{label} {done}", err=True)

    return advance
