"""The home directory: keys, genesis, receipts; and how its files are opened safely.

    genesis  node.toml  keys/<name>.pem  keys/<name>.json  keys/passphrase  receipts/  ledger.db

A `.pem` is encrypted PKCS#8, readable by its owner alone; the `.json` beside it holds the public
part, so that listing keys needs no passphrase.
"""

import os
import re
import stat
import sys
from pathlib import Path
from typing import Final

import msgspec
import typer

from cli.copies import read_at_most
from cli.screen import say
from ledger.chain import Applied, check_genesis
from ledger.crypto import (
    EDDSA,
    Ed25519Signer,
    P256Signer,
    encrypt_private_key,
    load_private_key,
    verify,
)
from ledger.encoding import UNREADABLE, b64url
from ledger.errors import ConfigError, ConflictError, NotFoundError, TooLargeError
from node.config import Config, find_passphrase, load_config, read_private, speaks_tls
from node.tls import Trust, own_pins, split_pin

MIN_PASSPHRASE: Final = 8
MAX_FILE: Final = 1 << 28
"""Bytes of a file that is read whole: more than any that a command takes."""
HALF: Final = re.compile(r"\.\d+\.part\Z")
"""How the name ends of what a command writes before it takes its own name, with the number of the
process: a killed one leaves it.
"""
KEY_NAME: Final = re.compile(r"\A[a-z0-9][a-z0-9-]{0,31}\Z")
AnySigner = Ed25519Signer | P256Signer


class PublicPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be known of a key by everybody."""

    alg: str
    kid: str
    public_key: str


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that must not exist yet, durably: it takes its name when it is whole.

    Raises `ConflictError` (X1.exists) or `ConfigError` (X1.file).
    """
    if os.path.lexists(path):
        raise ConflictError("X1.exists", file=str(path))
    part = _half_of(path)
    try:
        part.unlink(missing_ok=True)
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(part, path)
        finally:
            part.unlink(missing_ok=True)
    except FileExistsError:
        raise ConflictError("X1.exists", file=str(path)) from None
    except OSError:
        raise ConfigError("X1.file", file=str(path)) from None


def _half_of(path: Path) -> Path:
    """Where a file is written before it is whole: beside it, and no name that anybody else uses."""
    return path.with_name(f"{path.name}.{os.getpid()}.part")


def write_over(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises `ConfigError` (X1.file)."""
    part = _half_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        raise ConfigError("X1.file", file=str(path)) from None


def read_file(path: Path) -> bytes:
    """The bytes of a file, which may be a pipe. Raises `ConfigError` (X1.file) or `TooLargeError`
    (X1.large).
    """
    try:
        with path.open("rb") as file:
            data = read_at_most(file, MAX_FILE)
    except OSError:
        raise ConfigError("X1.file", file=str(path)) from None
    if len(data) > MAX_FILE:
        raise TooLargeError("X1.large", file=str(path), limit=MAX_FILE >> 20)
    return data


def make_key_dir(home: Path) -> Path:
    """The directory of keys, made for its owner alone. Raises `ConfigError` (X1.file)."""
    path = home / "keys"
    try:
        home.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError:
        raise ConfigError("X1.file", file=str(path)) from None
    return path


# --- passphrases ---


def known_passphrase(home: Path, file: Path | None) -> bytes | None:
    """From `--passphrase-file`, ALLIANCE_PASSPHRASE or `keys/passphrase`, in this order.

    Raises `ConfigError` (O1.mode, X1.file) for a file that others may read, or that is missing.
    """
    if file is None:
        return find_passphrase(home)
    data = read_file(file)
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        raise ConfigError("O1.mode", file=file.name, mode=f"{mode:04o}")
    return data.strip()


def new_passphrase(home: Path, file: Path | None) -> bytes:
    """A passphrase for a new key: a known one, else asked for twice on a terminal.

    Raises `ConfigError` (X1.passphrase) for a short one, or when there is nobody to ask.
    """
    passphrase = known_passphrase(home, file)
    if passphrase is None and sys.stdin.isatty():
        passphrase = _ask_for_new()
    if passphrase is None or len(passphrase) < MIN_PASSPHRASE:
        raise ConfigError("X1.passphrase", least=MIN_PASSPHRASE)
    return passphrase


def _ask_for_new() -> bytes:
    """What a person types twice, the same both times."""
    while True:
        first: str = typer.prompt(say("ask-new-passphrase"), hide_input=True)
        if typer.prompt(say("ask-again"), hide_input=True) == first:
            return first.encode()
        typer.echo(say("passphrases-differ"), err=True)


# --- keys ---


def check_key_name(name: str) -> None:
    """A key's name is a file name. Raises `ConfigError` (X1.name)."""
    if KEY_NAME.match(name) is None or name == "passphrase":
        raise ConfigError("X1.name")


def save_signer(home: Path, name: str, signer: AnySigner, passphrase: bytes) -> PublicPart:
    """Write a key, encrypted, and its public part. Raises `ConflictError` (X1.exists)."""
    check_key_name(name)
    folder = make_key_dir(home)
    write_new(folder / f"{name}.pem", encrypt_private_key(signer, passphrase), 0o600)
    part = public_part(signer)
    write_over(folder / f"{name}.json", msgspec.json.encode(part) + b"\n")
    return part


def public_part(signer: AnySigner) -> PublicPart:
    """What may be known of this key."""
    return PublicPart(
        alg="EdDSA" if signer.alg == EDDSA else "ES256",
        kid=b64url(signer.kid),
        public_key=b64url(signer.public_key),
    )


def load_signer(home: Path, name: str, file: Path | None) -> AnySigner:
    """A key of this home directory; asks for the passphrase on a terminal when none is known.

    Raises `NotFoundError` (X1.key), or `ConfigError` (O1.mode, C2 to C4).
    """
    path = key_path(home, name)
    data = read_private(path)
    passphrase = known_passphrase(home, file)
    if passphrase is None and sys.stdin.isatty():
        passphrase = typer.prompt(say("ask-passphrase", name=name), hide_input=True).encode()
    return load_private_key(data, passphrase)


def reader_name(home: Path) -> str:
    """The key that asks where none is named: the officer's, else a person's, else a machine's.

    Raises `NotFoundError` (X1.key) for a home directory without keys.
    """
    names = {path.stem for path in (home / "keys").glob("*.pem")} - {"log", "cosigner"}
    people = sorted(names - {"officer", "node", "system"})
    for name in ("officer", *people, "node", "system"):
        if name in names:
            return name
    raise NotFoundError("X1.key", name="officer")


def key_path(home: Path, name: str) -> Path:
    """The file of a key. Raises `NotFoundError` (X1.key)."""
    check_key_name(name)
    path = home / "keys" / f"{name}.pem"
    if not path.is_file():
        raise NotFoundError("X1.key", name=name)
    return path


def load_public(home: Path, name: str, file: Path | None) -> PublicPart:
    """The public part of a key; from its private file only when the public one is missing.

    Raises as `load_signer`.
    """
    check_key_name(name)
    path = home / "keys" / f"{name}.json"
    if path.is_file():
        try:
            return msgspec.json.decode(read_file(path), type=PublicPart)
        except UNREADABLE:
            raise ConfigError("X1.file", file=path.name) from None
    return public_part(load_signer(home, name, file))


# --- genesis and node ---


def load_genesis(home: Path) -> Applied:
    """Block 0 of this home's chain, checked.

    Raises `ConfigError` (O1.file), `ProofError` (L*) or `MalformedError`.
    """
    path = home / "genesis"
    if not path.is_file():
        raise ConfigError("O1.file", file="genesis")
    return check_genesis(read_file(path), verify)


def node_url(home: Path, given: str | None) -> str:
    """Where the node is: the given address, else the one of `node.toml`.

    Raises `ConfigError` (O1.file) where there is neither.
    """
    return way_to_node(home, given)[0]


def way_to_node(home: Path, given: str | None) -> tuple[str, Trust]:
    """Where the node is, and by what it is known: the pin that the given address brings along; else
    that of the certificate of this home, where there is one; else the authorities of this machine.

    Raises `ConfigError` (O1.file, O1.tls) where there is no address, or no certificate in a file.
    """
    config = load_config(home, b"-") if (home / "node.toml").is_file() else None
    if given is None and config is None:
        raise ConfigError("O1.file", file="node.toml")
    url, pins = split_pin(given) if given is not None else ("", frozenset())
    if config is not None:
        url, pins = url or url_of(config), pins or own_pins(config)
    return url.rstrip("/"), Trust(pins)


def url_of(config: Config) -> str:
    """The address of the node of a configuration."""
    scheme = "https" if speaks_tls(config, config.host) else "http"
    if scheme == "https" and config.names:
        return f"https://{config.names[0]}"
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"{scheme}://{host}:{config.port}"


def is_unsafe(path: Path) -> bool:
    """Whether others than its owner may read or change a file."""
    return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
