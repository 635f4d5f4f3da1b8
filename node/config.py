"""What a node is told: one frozen dataclass, read from `node.toml` in its home directory.

A setting that would make the node unsafe stops it here, before anything is opened (O1.*).
"""

import ipaddress
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO, Final

from ledger.errors import ConfigError
from ledger.rules.intake import names_pattern
from node.logs import FORMATS

DEFAULT_PORT: Final = 8470
DEFAULT_PEER_PORT: Final = 8471
OWN_TLS: Final = "tls"
"""The file, among the keys, of the certificate that a node made for itself, with its key."""
MAX_POST_ENTRIES: Final = 1_000


@dataclass(frozen=True)
class Config:
    """How one node runs. Times in milliseconds, sizes in bytes; secrets are not in it."""

    home: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    vault_backup: str = ""
    """The folder, best on another disk, where the node keeps a copy of its vault; relative to the
    home directory.
    """
    guarded_names: str = ""
    """A private file, relative to the home directory, of people's names, one a line: no text for
    all members, and no record handed in here, may hold one (SPEC 14.3).
    """
    vault_key_command: str = ""
    """Prints the keys of the vault (SPEC 14.2), where they are kept by something else."""
    tls: bool = False
    """Speak TLS, with the certificate that the node made for itself, on loopback, too."""
    tls_certificate: str = ""
    """PEM file of a certificate to show instead of that one, and `tls_key` of its key; relative to
    the home directory. With them both addresses speak TLS.
    """
    tls_key: str = ""
    tls_trust: str = ""
    """PEM file of the certificates, or authorities, that other members' nodes are known by where
    the chain holds no pin of theirs; empty: the authorities of this machine.
    """
    proxies: tuple[str, ...] = ()
    """The addresses of the reverse proxies that speak TLS before this node: whoever else comes is
    refused.
    """
    names: tuple[str, ...] = ()
    """The host names (with port, as clients write them) that this node answers to, beside those of
    loopback.
    """
    peer_host: str = ""
    """The address at which other members reach this node; empty: they cannot."""
    peer_port: int = DEFAULT_PEER_PORT
    dial_out: bool = False
    """Hold requests open to the others, because they cannot reach this node."""
    peers: Mapping[str, str] = field(default_factory=dict)
    """Where the other members listen: organisation to URL."""
    org: str = ""
    """The organisation of a node that is in no configuration yet; else the chain says it."""
    database: str = "ledger.db"
    """The SQLite file, relative to the home directory."""
    wait_ms: int = 10_000
    """How long a POST waits for its receipt before it is answered 202."""
    body_ms: int = 30_000
    """How long a request body may take to arrive."""
    max_pending_entries: int = 20_000
    max_pending_bytes: int = 128 << 20
    max_request_bytes: int = 66 << 20
    log_format: str = "text"
    """How events are written: `text` or `json`, a line each."""
    stop_ms: int = 10_000
    """How long a stopping node gives to what it has taken in."""
    record: str = ""
    """A file, relative to the home directory, for everything that consensus takes in and gives out;
    empty: nowhere (`node.recording`).
    """
    passphrase: bytes | None = field(default=None, repr=False)
    """Opens the key files. Not in node.toml: from the caller, the environment or `keys/passphrase`.
    """

    @property
    def genesis_file(self) -> Path:
        """Block 0 in entry-bundle form."""
        return self.home / "genesis"

    @property
    def database_file(self) -> Path:
        """The SQLite file."""
        return self.home / self.database

    @property
    def spoken_file(self) -> Path:
        """Beside the keys, so that a copy of them holds it: a node has run with them. Where it is
        and the database is not, the database was lost.
        """
        return self.key_dir / "spoken"

    @property
    def key_dir(self) -> Path:
        """Where the encrypted keys are."""
        return self.home / "keys"


ADDRESS: Final = re.compile(r"\A(?:http://[^#]+|https://[^#]+(?:#[A-Za-z0-9_-]{43})?)\Z", re.ASCII)
"""Of another member's node; over TLS perhaps with the pin of its certificate."""
TOML_LINE: Final = re.compile(r"at line (\d+),")
"""In what `tomllib` says of a mistake; without it the mistake is at the end."""
SETTINGS: Final = frozenset(item.name for item in fields(Config)) - {"home", "passphrase"}


def load_config(home: Path, passphrase: bytes | None = None) -> Config:
    """The configuration in `home/node.toml` (absent: defaults). Raises `ConfigError` (O1.*)."""
    values = _settings(home / "node.toml")
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
        if name not in SETTINGS or not _fits(name, values[name]):
            raise ConfigError("O1.field", field=name)
    config = Config(home=home, **values, passphrase=passphrase or find_passphrase(home))
    check_listening(config, config.host)
    for name in ("port", "peer_port"):
        if getattr(config, name) > 65_535:
            raise ConfigError("O1.field", field=name)
    if config.vault_backup:
        copy_place(home, config.vault_backup)
    if config.log_format not in FORMATS:
        raise ConfigError("O1.field", field="log_format")
    if Path(config.database).name != config.database:
        raise ConfigError("O1.field", field="database")
    return config


def _settings(path: Path) -> dict[str, Any]:
    """What a file of settings says; nothing where there is none. Raises `ConfigError` (O1.file,
    O1.toml).
    """
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError:
        raise ConfigError("O1.file", file=path.name) from None
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("O1.toml", line=_line_of(error, data)) from None


def _line_of(error: UnicodeDecodeError | tomllib.TOMLDecodeError, data: bytes) -> int:
    """Where a file of settings stops making sense: the first line is 1."""
    if isinstance(error, UnicodeDecodeError):
        return data.count(b"\n", 0, error.start) + 1
    found = TOML_LINE.search(str(error))
    return int(found[1]) if found else max(1, len(data.splitlines()))


def _fits(name: str, value: object) -> bool:
    if name == "peers":
        return isinstance(value, dict) and all(is_address(url) for url in value.values())
    if isinstance(value, tuple) and not all(isinstance(item, str) for item in value):
        return False
    if type(value) is not type(getattr(Config, name)):
        return False
    return isinstance(value, bool) or not isinstance(value, int) or value >= 1


def is_address(value: object) -> bool:
    """Whether this is an address of a node, over TLS perhaps with its pin."""
    return isinstance(value, str) and ADDRESS.match(value) is not None


def copy_place(home: Path, folder: str) -> Path:
    """Where copies of a vault go. Raises `ConfigError` (O1.copy) for a place inside the home
    directory: what destroys the vault destroys that, too.
    """
    place = (home / folder).resolve()
    if place == home.resolve() or home.resolve() in place.parents:
        raise ConfigError("O1.copy", folder=folder)
    return place


def names_at(host: str, port: int) -> tuple[str, ...]:
    """The names that a node listening there answers to by itself: none on loopback, where it needs
    none. Raises `ConfigError` (O1.host, O1.names) for what is no address, or is every address.
    """
    if is_loopback(host):
        return ()
    if ipaddress.ip_address(host).is_unspecified:
        raise ConfigError("O1.names", host=host)
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}",)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address. Raises `ConfigError` (O1.host) for what is
    none.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise ConfigError("O1.host", host=host) from None


def check_listening(config: Config, host: str) -> None:
    """Elsewhere than on loopback a node listens with TLS, its own or that of a declared proxy, and
    under names of its own: what it answers is not for everybody on the way.

    Raises `ConfigError` (O1.host, O1.tls, O1.names, O1.file, O1.mode).
    """
    if bool(config.tls_certificate) != bool(config.tls_key):
        raise ConfigError("O1.tls")
    if config.tls_key:
        read_private(config.home / config.tls_key)
    elif config.tls or speaks_tls(config, host):
        read_private(config.key_dir / OWN_TLS)
    if is_loopback(host):
        return
    if not (config.proxies or speaks_tls(config, host)):
        raise ConfigError("O1.host", host=host)
    if not config.names:
        raise ConfigError("O1.names", host=host)


def speaks_tls(config: Config, host: str) -> bool:
    """Whether the node speaks TLS at this address: with a certificate that it was given, always;
    with the one that it made for itself, on loopback only where it is told to, and elsewhere unless
    proxies do it. Raises `ConfigError` (O1.host).
    """
    if config.tls_key:
        return True
    if not (config.key_dir / OWN_TLS).exists():
        return False
    return config.tls or not (is_loopback(host) or config.proxies)


def find_passphrase(home: Path) -> bytes | None:
    """From ALLIANCE_PASSPHRASE, else from `keys/passphrase`; None when there is neither."""
    given = os.environ.get("ALLIANCE_PASSPHRASE")
    if given:
        return given.encode()
    path = home / "keys" / "passphrase"
    if not path.exists():
        return None
    return read_private(path).strip()


def read_private(path: Path) -> bytes:
    """The bytes of a file that only its owner may touch. Raises `ConfigError` (O1.file,
    O1.mode).
    """
    try:
        for place in (path.parent, path):
            mode = stat.S_IMODE(place.stat().st_mode)
            if mode & 0o077:
                raise ConfigError("O1.mode", file=place.name, mode=f"{mode:04o}")
        return path.read_bytes()
    except OSError:
        raise ConfigError("O1.file", file=path.name) from None


def make_private_folder(path: Path) -> None:
    """A folder for its owner alone. Raises `ConfigError` (X1.file)."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise ConfigError("X1.file", file=path.name) from None


def load_names(config: Config) -> re.Pattern[str] | None:
    """What finds the names of `guarded_names`. Raises `ConfigError` (O1.file, O1.mode)."""
    if not config.guarded_names:
        return None
    data = read_private(config.home / config.guarded_names)
    try:
        return names_pattern(data.decode().splitlines())
    except UnicodeDecodeError:
        raise ConfigError("O1.file", file=config.guarded_names) from None


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A file that only its owner may touch, there whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        raise ConfigError("X1.file", file=path.name) from None


def copy_private(source: Path, path: Path) -> None:
    """Copy a file, of any size, for its owner alone, whole or not at all. Raises `ConfigError`
    (X1.file).
    """
    with _private(path) as file, source.open("rb") as found:
        shutil.copyfileobj(found, file)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may touch, whole or not at all. Raises `ConfigError`
    (X1.file).
    """
    with _private(path) as file:
        file.write(data)
