"""The options that many commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer

from cli.screen import LANGUAGES, set_json, set_language


def _check_language(value: str | None) -> str | None:
    if value is not None and value not in LANGUAGES:
        raise typer.BadParameter("en, zh")
    set_language(value)
    return value


def _check_json(value: bool) -> bool:
    set_json(value)
    return value


DEFAULT_HOME: Final = Path("alliance-home")

Lang = Annotated[
    str | None,
    typer.Option(
        "--lang", callback=_check_language, is_eager=True, metavar="en|zh", help="Language."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", callback=_check_json, is_eager=True, help="Print JSON.")
]
Home = Annotated[
    Path, typer.Option("--home", envvar="ALLIANCE_HOME", help="Home directory of keys and node.")
]
NodeUrl = Annotated[
    str | None,
    typer.Option("--node", envvar="ALLIANCE_NODE", help="Address of the node; default: node.toml."),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File that holds the passphrase.")
]
