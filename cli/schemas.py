"""The schemas of records, for people who write software: no node is needed."""

from typing import Annotated

import msgspec
import typer

from cli.options import Json, Lang
from cli.screen import show
from ledger.records import BODIES
from ledger.records.schemas import schema_of


def schema(
    kind: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="Type of record; none: list them.")
    ] = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Print the JSON Schema of a type of record, or the names of all types."""
    if kind is None:
        show({"types": sorted(BODIES)}, sorted(BODIES))
        return
    value = msgspec.json.decode(schema_of(kind))
    show(value, [msgspec.json.format(schema_of(kind), indent=2).decode()])
