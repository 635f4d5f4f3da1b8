"""The options that many commands share."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import typer
from typer.core import TyperGroup

from cli.screen import LANGUAGES, UsageError, set_explain, set_json, set_language


def _check_language(context: typer.Context, value: str | None) -> str | None:
    if value is not None and value not in LANGUAGES:
        path, choices = context.command_path, ", ".join(LANGUAGES)
        raise UsageError("X10.choice", command=path, word="--lang", choices=choices)
    if value is not None or not isinstance(context.command, TyperGroup):
        # Before a command that is still to be read, what was foreseen stands.
        set_language(value or _language_before(context))
    return value


def _language_before(context: Any) -> str | None:  # noqa: ANN401
    while (context := context.parent) is not None:
        given: str | None = context.params.get("lang")
        if given is not None:
            return given
    return None


def _check_json(value: bool) -> bool:
    set_json(value)
    return value


def _check_explain(value: bool) -> bool:
    set_explain(value)
    return value


DEFAULT_HOME: Final = Path("alliance-home")
TAKES_ID: Final = {"ignore_unknown_options": True}
"""For commands that take a key id or a leaf hash: one of 64 begins with a dash, and is no option.
"""

Lang = Annotated[
    str | None,
    typer.Option(
        "--lang", callback=_check_language, is_eager=True, metavar="en|zh", help="Language."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", callback=_check_json, is_eager=True, help="Print JSON.")
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        callback=_check_explain,
        is_eager=True,
        help="Of a refusal tell the clause of the specification, too.",
    ),
]
Home = Annotated[
    Path, typer.Option("--home", envvar="ALLIANCE_HOME", help="Home directory of keys and node.")
]
NodeUrl = Annotated[
    str | None,
    typer.Option(
        "--node", envvar="ALLIANCE_NODE", help="Address of the node, URL[#PIN]; default: node.toml."
    ),
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File that holds the passphrase.")
]
SignerName = Annotated[str, typer.Option("--key", help="Name of the key that signs.")]
ReaderName = Annotated[
    str,
    typer.Option(
        "--key",
        envvar="ALLIANCE_KEY",
        show_default=False,
        help="Name of the key that asks; default: the officer's, else the one that is there.",
    ),
]
Attached = Annotated[
    list[str] | None,
    typer.Option(
        "--attachment",
        metavar="COMMITMENT",
        help="What `alliance vault attach` handed in: the record names it, too.",
    ),
]
Org = Annotated[str, typer.Option("--org", help="Code of the organisation, as in records.")]
Kind = Annotated[str, typer.Option("--kind", help="hospital, centre, institute, operator.")]
NameEn = Annotated[str, typer.Option("--name-en", help="The alliance's name in English.")]
NameZh = Annotated[str, typer.Option("--name-zh", help="The alliance's name in Chinese.")]
Origin = Annotated[
    str,
    typer.Option("--origin", help="Name of the chain for ever: a host name you own, and a path."),
]
BackfillDays = Annotated[int, typer.Option("--backfill-days", min=0, help="Later is BACKFILLED.")]
AttributionFile = Annotated[
    Path | None,
    typer.Option("--attribution", help="JSON of the parameters of credit (SPEC 12.3)."),
]
DecisionDays = Annotated[int, typer.Option("--decision-days", min=1, help="Time to endorse.")]
Host = Annotated[str, typer.Option("--host", help="Address at which the node listens.")]
VaultBackup = Annotated[
    Path | None,
    typer.Option(
        "--vault-backup",
        help="Folder for the encrypted copy of the vault, best on another disk; default: beside"
        " the home.",
    ),
]
TrustedGenesis = Annotated[
    Path | None, typer.Option("--genesis", help="Genesis file that you trust.")
]
TrustedPin = Annotated[str | None, typer.Option("--pin", help="Pin of the genesis that you trust.")]
Keep = Annotated[
    Path | None,
    typer.Option(
        help="Folder for everything, emptied first where a demo, tour or drill made it; kept at "
        "the end."
    ),
]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Its port.")]


class Place(NamedTuple):
    """Where a command works: the home directory, the node, and how keys are opened."""

    home: Path
    node: str | None
    passphrase_file: Path | None
    key: str
    """The name of the key that signs; empty: the one that this home directory asks with."""
    attachments: tuple[str, ...] = ()
    """Commitments of payloads that were handed in before, for the record that is signed."""


R = TypeVar("R")
_SHARED: Final[dict[str, tuple[object, object]]] = {
    "home": (Home, DEFAULT_HOME),
    "node": (NodeUrl, None),
    "passphrase_file": (PassphraseFile, None),
    "lang": (Lang, None),
    "as_json": (Json, False),
    "explain": (Explain, False),
}


def at_place(command: Callable[..., R], key: str = "") -> Callable[..., R]:
    """The command with the options that all commands share; its first argument becomes a `Place`.

    `--key` signs its requests; with `key` also a record, by default with that one.
    """
    inner = inspect.signature(command, eval_str=True)
    options = dict(_SHARED)
    options["key"] = (SignerName, key) if key else (ReaderName, "")
    if key:
        options["attachment"] = (Attached, None)

    @functools.wraps(command)
    def outer(**values: Any) -> R:
        shared = {name: values.pop(name) for name in options}
        place = Place(
            shared["home"],
            shared["node"],
            shared["passphrase_file"],
            shared["key"],
            tuple(shared.get("attachment") or ()),
        )
        return command(place, **values)

    own = list(inner.parameters.values())[1:]
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in options.items()
    ]
    kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    parameters = [*kept, *added]
    outer.__signature__ = inner.replace(parameters=parameters)  # type: ignore[attr-defined]
    outer.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return outer


def signing(key: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """`at_place` for a command that signs, by default with this key."""
    return functools.partial(at_place, key=key)
