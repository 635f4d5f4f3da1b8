"""`alliance apikey ...`: keys for systems that cannot sign, kept on the machine of their node (SPEC
13.2).
"""

import secrets
from pathlib import Path
from typing import Annotated, Final, cast

import typer

from cli import home as homes
from cli.options import DEFAULT_HOME, TAKES_ID, Home, Json, Lang, PassphraseFile
from cli.screen import local_time, say, show
from cli.statements import clock_ms
from ledger.errors import MalformedError
from node.apikeys import SCOPES, ApiKey, ApiKeys, Scope, new_api_key

app = typer.Typer(no_args_is_help=True, help="API keys for systems that cannot sign.")
MAX_DAYS: Final = 730
KEY_BYTES: Final = 40


@app.command("new")
def new(
    scope: Annotated[list[str], typer.Option(help="submit, read, log or metrics; repeat.")],
    system: Annotated[
        str, typer.Option(help="Name of the system key of this home that it stands for.")
    ] = "system",
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How long it is good for.")] = 90,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Make an API key for one system; its secret is shown once, and kept as a hash."""
    if not set(scope) <= set(SCOPES):
        raise MalformedError("X2", field="scope")
    kid = homes.load_public(home, system, passphrase_file).kid
    scopes = cast("tuple[Scope, ...]", tuple(sorted(set(scope))))
    key, secret = new_api_key(kid, scopes, clock_ms() // 1000, days, secrets.token_bytes(KEY_BYTES))
    _keys(home).add(key)
    show({**_row(key), "secret": secret}, [say("apikey-new", secret=secret), _line(key)])


@app.command("list")
def list_keys(home: Home = DEFAULT_HOME, _lang: Lang = None, _json: Json = False) -> None:
    """Every API key of this node, with its scopes and its end; no secrets."""
    keys = _keys(home).all()
    show([_row(key) for key in keys], [_line(key) for key in keys])


@app.command("revoke", context_settings=TAKES_ID)
def revoke(
    name: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows.")],
    home: Home = DEFAULT_HOME,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Take an API key no more, from this moment on."""
    key = _keys(home).revoke(name, clock_ms() // 1000)
    show(_row(key), [_line(key)])


def _keys(home: Path) -> ApiKeys:
    return ApiKeys(home / "keys" / "apikeys")


def _row(key: ApiKey) -> dict[str, object]:
    return {
        "created_s": key.created_s,
        "expires_s": key.expires_s,
        "id": key.id,
        "kid": key.kid,
        "revoked_s": key.revoked_s,
        "scopes": list(key.scopes),
    }


def _line(key: ApiKey) -> str:
    name = "apikey" if key.revoked_s is None else "apikey-revoked"
    until = local_time(key.expires_s * 1000)
    return say(name, id=key.id, scopes=", ".join(key.scopes), kid=key.kid, until=until)
