"""`alliance keys`: key files of this machine. What the chain knows of keys is `alliance key`."""

import base64
import secrets
import struct
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import home as homes
from cli.home import PublicPart
from cli.options import DEFAULT_HOME, Home, Json, Lang, PassphraseFile
from cli.screen import local_time, say, show
from cli.statements import clock_ms, describe_key
from ledger.crypto import load_private_key, signer_from_seed
from ledger.encoding import b64url, unb64url
from ledger.errors import ConfigError, MalformedError
from ledger.records.envelope import ENCODE
from ledger.rules.values import KeyState
from ledger.state import state_key

app = typer.Typer(no_args_is_help=True, help="Key files on this machine.")
Name = Annotated[str, typer.Argument(help="Name of the key: its file is keys/NAME.pem.")]


def openssh_line(part: PublicPart, comment: str) -> str | None:
    """An Ed25519 key as a line of `authorized_keys`; None for other kinds."""
    if part.alg != "EdDSA":
        return None
    fields = (b"ssh-ed25519", unb64url(part.public_key, 32))
    blob = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}"


def _lines(name: str, part: PublicPart) -> list[str]:
    line = openssh_line(part, name)
    lines = [say("key-line", name=name, kid=part.kid, alg=part.alg, public=part.public_key)]
    return [*lines, line] if line else lines


def _result(name: str, part: PublicPart) -> dict[str, str | None]:
    return {
        "name": name,
        "kid": part.kid,
        "alg": part.alg,
        "public_key": part.public_key,
        "openssh": openssh_line(part, name),
    }


@app.command()
def new(
    name: Name,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Make an Ed25519 key and keep it encrypted."""
    homes.check_key_name(name)
    passphrase = homes.new_passphrase(home, passphrase_file)
    signer = signer_from_seed(secrets.token_bytes(32))
    part = homes.save_signer(home, name, signer, passphrase)
    show(_result(name, part), [say("key-made", name=name), *_lines(name, part)])


@app.command("list")
def list_keys(home: Home = DEFAULT_HOME, _lang: Lang = None, _json: Json = False) -> None:
    """List the keys, and warn of files that others may read."""
    names = sorted(path.stem for path in (home / "keys").glob("*.pem"))
    parts = {name: homes.load_public(home, name, None) for name in names}
    unsafe = [name for name in names if homes.is_unsafe(home / "keys" / f"{name}.pem")]
    rows = [{**_result(name, part), "unsafe": name in unsafe} for name, part in parts.items()]
    lines = [
        say("key-line", name=name, kid=part.kid, alg=part.alg, public=part.public_key)
        for name, part in parts.items()
    ]
    warnings = [say("key-unsafe", name=name) for name in unsafe]
    show(rows, [*(lines or [say("key-none")]), *warnings])


@app.command("show")
def show_key(
    name: Name,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Show a key's public part, and what the genesis says about it."""
    part = homes.load_public(home, name, passphrase_file)
    lines = _lines(name, part)
    result: dict[str, object] = dict(_result(name, part))
    if (home / "genesis").is_file():
        state = homes.load_genesis(home).tip.state.get(state_key("key", part.kid))
        known = state if isinstance(state, KeyState) else None
        result["org"] = known.org if known else None
        result["capacity"] = known.capacity if known else None
        if known:
            since = local_time(known.valid_from_ms)
            lines.append(say("key-known", org=known.org, capacity=known.capacity, since=since))
        else:
            lines.append(say("key-unknown"))
    show(result, lines)


@app.command("import")
def import_key(
    name: Name,
    file: Annotated[Path, typer.Argument(help="OpenSSH Ed25519 key, or PKCS#8 PEM.")],
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    source_passphrase_file: Annotated[
        Path | None, typer.Option("--source-passphrase-file", help="Passphrase of the given file.")
    ] = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Take in an existing key; the copy is encrypted, the original stays as it is."""
    homes.check_key_name(name)
    source = None
    if source_passphrase_file is not None:
        source = homes.known_passphrase(home, source_passphrase_file)
    signer = _load_foreign(homes.read_file(file), source)
    passphrase = homes.new_passphrase(home, passphrase_file)
    part = homes.save_signer(home, name, signer, passphrase)
    show(_result(name, part), [say("key-imported", name=name), *_lines(name, part)])


def _load_foreign(data: bytes, passphrase: bytes | None) -> homes.AnySigner:
    """A key file from elsewhere; asks for its passphrase on a terminal when it has one."""
    try:
        return load_private_key(data, passphrase)
    except ConfigError as error:
        if error.rule != "C3" or passphrase is not None or not sys.stdin.isatty():
            raise
    asked = typer.prompt(say("ask-source-passphrase"), hide_input=True).encode()
    return load_private_key(data, asked)


@app.command()
def public(
    name: Name,
    org: Annotated[str | None, typer.Option(help="Organisation of the key's holder.")] = None,
    capacity: Annotated[
        str | None,
        typer.Option(help="so, dac, ethics, checker, auditor, registrar, self or system."),
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Who or what holds the key.")] = None,
    chain: Annotated[
        str | None, typer.Option(help="Chain id; default: that of this home's genesis.")
    ] = None,
    home: Home = DEFAULT_HOME,
    passphrase_file: PassphraseFile = None,
    _lang: Lang = None,
    _json: Json = False,
) -> None:
    """Print a key's public part; with --org, --capacity and --subject as the description that
    `alliance key register` and `alliance member admit` take, signed by the key for one chain.
    """
    if org is None or capacity is None or subject is None:
        part = homes.load_public(home, name, passphrase_file)
        show(_result(name, part), _lines(name, part))
        return
    description = describe_key(
        homes.load_signer(home, name, passphrase_file),
        org=org,
        capacity=capacity,
        subject=subject,
        chain=homes.load_genesis(home).tip.chain if chain is None else short_chain(chain),
        valid_from_ms=clock_ms(),
    )
    typer.echo(ENCODE(description).decode())


def short_chain(chain_id: str) -> str:
    """The short form of a chain id, as it stands in records. Raises `MalformedError` (X2)."""
    try:
        return b64url(unb64url(chain_id, 32)[:16])
    except MalformedError:
        raise MalformedError("X2", field="chain") from None
