"""Commands on indicators and disease vocabularies, and the withdrawal of a version."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
import typer

from cli.applications import version_named
from cli.fingerprints import fingerprint
from cli.home import read_file
from cli.options import Json, Lang, Place, signing
from cli.records import ValidDays, report, version, write
from cli.screen import progress, say, show
from cli.session import Session
from cli.studies import texts
from ledger.encoding import b64url
from ledger.errors import MalformedError, NotFoundError
from ledger.merkle import Tree, leaf_hash
from ledger.records.catalogue import Ancestry
from ledger.rules.standing import DiseaseState, IndicatorState, IndicatorVersionState
from ledger.rules.vocabulary import PART_ROWS, part_bytes

indicator = typer.Typer(no_args_is_help=True, help="Indicators, and their versions.")
vocabulary = typer.Typer(no_args_is_help=True, help="Disease vocabularies: what is a kind of what.")

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,63}", re.ASCII)


class Parts(NamedTuple):
    """A vocabulary in parts, and the tree over them."""

    rows: list[tuple[Ancestry, ...]]
    tree: Tree

    @property
    def root(self) -> str:
        """What a policy names."""
        return b64url(self.tree.root(len(self.rows)))


def read_vocabulary(path: Path) -> Parts:
    """A file of lines `ID<TAB>ANCESTOR ANCESTOR ...` in parts. Raises `MalformedError` (X3.field)
    or `ConfigError` (X1.file).
    """
    rows = list(_rows(path))
    if not rows:
        raise MalformedError("X3.field", file=path.name, line=1, field="id")
    parts = [tuple(rows[at : at + PART_ROWS]) for at in range(0, len(rows), PART_ROWS)]
    return Parts(parts, Tree(leaf_hash(part_bytes(part)) for part in parts))


def _rows(path: Path) -> Iterator[Ancestry]:
    seen: set[str] = set()
    lines = read_file(path).decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        name, _tab, kinds = line.partition("\t")
        ancestors = sorted(set(kinds.split()))
        if name in seen or not all(map(_ID.fullmatch, (name, *ancestors))) or len(ancestors) > 128:
            raise MalformedError("X3.field", file=path.name, line=number, field="id")
        seen.add(name)
        yield Ancestry(ancestors=tuple(ancestors), id=name)


Table = Annotated[Path, typer.Argument(help="Lines of ID, a tab, and its ancestors, by spaces.")]


def show_root(table: Table, _lang: Lang = None, _json: Json = False) -> None:
    """Print the tree hash of a vocabulary file, for a policy to name; nothing is recorded."""
    parts = read_vocabulary(table)
    count = sum(map(len, parts.rows))
    show(
        {"parts": len(parts.rows), "rows": count, "root": parts.root},
        [say("vocabulary-root", root=parts.root, rows=count, parts=len(parts.rows))],
    )


def load(place: Place, table: Table, valid_days: ValidDays = 30) -> None:
    """Put a vocabulary file on the chain, part by part; run it again to go on after an
    interruption.
    """
    parts = read_vocabulary(table)
    loaded = 0
    with Session(place) as session, progress("loading-vocabulary", len(parts.rows)) as advance:
        for number, rows in enumerate(parts.rows):
            name = f"{parts.root}/{rows[-1].id}"
            if session.state(DiseaseState, "disease", name) is None:
                _load_part(session, parts, number, valid_days)
                loaded += 1
            advance(1)
    show(
        {"loaded": loaded, "parts": len(parts.rows), "root": parts.root},
        [say("vocabulary-loaded", root=parts.root, loaded=loaded, parts=len(parts.rows))],
    )


def _load_part(session: Session, parts: Parts, number: int, valid_days: int) -> None:
    path = parts.tree.inclusion(number, len(parts.rows))
    fields = {
        "part": number,
        "parts": len(parts.rows),
        "path": [b64url(step) for step in path],
        "root": parts.root,
        "rows": msgspec.to_builtins(parts.rows[number]),
    }
    write(session, "vocabulary", fields, valid_days=valid_days)


# --- indicators, withdrawn versions ---


def register_indicator(
    place: Place,
    code: Annotated[str, typer.Argument(help="Code of the indicator.")],
    name: Annotated[str, typer.Argument(metavar="VERSION", help="Name of the version.")],
    file: Annotated[Path, typer.Argument(help="The file of its definition.")],
    definition: Annotated[str | None, typer.Option(help="In words; kept in the vault.")] = None,
    valid_days: ValidDays = 30,
) -> None:
    """Register a version of an indicator of this organisation, bound to its definition."""
    digest = b64url(fingerprint(file).digest)
    with Session(place) as session:
        fields = {
            "code": code,
            "definition_digest": digest,
            "org": session.author.org,
            "predecessor": _newest(session, code),
            "version": name,
        }
        payloads = texts(session, "indicator-version", {"definition": definition})
        recorded = write(
            session, "indicator-version", fields, payloads=payloads, valid_days=valid_days
        )
        report(session, recorded)


def _newest(session: Session, code: str) -> str | None:
    known = session.state(IndicatorState, "indicator", code)
    if known is None:
        return None
    name = f"{code}@{known.latest}"
    newest = session.state(IndicatorVersionState, "indicator-version", name)
    if newest is None:
        raise NotFoundError("O6", what="indicator", name=name)
    return newest.leaf


def withdraw_version(
    place: Place,
    name: Annotated[str, typer.Argument(help="SERIES@VERSION.")],
    reason: Annotated[str, typer.Option(help="Code of the reason.")],
    valid_days: ValidDays = 30,
) -> None:
    """Withdraw a version: nobody may ask for it any more, and uses of it are flagged."""
    with Session(place) as session:
        leaf = version_named(session, name).leaf
        fields = {"action": "withdraw", "reason_code": reason, "version": leaf}
        report(session, write(session, "dataset-status", fields, valid_days=valid_days))


indicator.command("register")(signing("officer")(register_indicator))
vocabulary.command("root")(show_root)
vocabulary.command("load")(signing("committee")(load))
version.command("withdraw")(signing("officer")(withdraw_version))
