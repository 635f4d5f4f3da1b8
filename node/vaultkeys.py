"""Where the key of the vault comes from: a file, the environment, or a command of the operator's
(domain.md D12; SPEC 14.2).

One key a line, `<id> <32 bytes, base64url>`, the newest first: older ones are there while a
rotation goes on. The id is the hash of the key, so that a wrong one is noticed before it is used.
"""

import os
import shlex
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Final

from ledger.encoding import b64url, unb64url
from ledger.errors import AllianceError, ConfigError
from node.config import Config, read_private, write_private

VARIABLE: Final = "ALLIANCE_VAULT_KEY"
COMMAND_S: Final = 30


class VaultKeys:
    """The keys by id; `newest` wraps what is written."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def newest(self) -> tuple[str, bytes]:
        """The key that new things are wrapped with. Raises `ConfigError` (T6)."""
        for name, key in self._keys.items():
            return name, key
        raise ConfigError("T6")

    def find(self, name: str) -> bytes:
        """A key by its id. Raises `ConfigError` (T6)."""
        if name not in self._keys:
            raise ConfigError("T6")
        return self._keys[name]

    def with_newest(self, key: bytes) -> "VaultKeys":
        """These keys, and a new one before them."""
        return VaultKeys({name_of(key): key, **self._keys})

    def encode(self) -> bytes:
        """As a file holds them."""
        return b"".join(f"{name} {b64url(key)}\n".encode() for name, key in self._keys.items())


def name_of(key: bytes) -> str:
    """The id of a key."""
    return b64url(sha256(b"alliance/vault-key/1\n" + key).digest()[:9])


def decode_keys(data: bytes) -> VaultKeys:
    """The keys of a file, a variable or a command. Raises `ConfigError` (T6)."""
    keys: dict[str, bytes] = {}
    try:
        for line in data.decode("ascii").split("\n"):
            if not line.strip():
                continue
            name, text = line.split()
            keys[name] = unb64url(text, 32)
    except (ValueError, AllianceError):
        raise ConfigError("T6") from None
    if not keys or any(name_of(key) != name for name, key in keys.items()):
        raise ConfigError("T6")
    return VaultKeys(keys)


def load_keys(config: Config) -> VaultKeys | None:
    """The keys of this node; None where none was made yet.

    Raises `ConfigError` (T6; O1.mode for a file that others may read).
    """
    given = os.environ.get(VARIABLE)
    if given:
        return decode_keys(given.encode())
    if config.vault_key_command:
        return decode_keys(_run(config.vault_key_command))
    path = key_file(config.home)
    return decode_keys(read_private(path)) if path.exists() else None


def keys_in_file(config: Config) -> bool:
    """Whether the keys are in a file of the home directory, and not somebody else's to keep."""
    return not (os.environ.get(VARIABLE) or config.vault_key_command)


def key_file(home: Path) -> Path:
    """The file of the vault's keys in a home directory."""
    return home / "keys" / "vault"


def make_keys(home: Path, key: bytes) -> VaultKeys:
    """The first key of a vault, in a file for its owner alone. Raises `ConfigError` (X1.file)."""
    keys = VaultKeys({name_of(key): key})
    save_keys(home, keys)
    return keys


def save_keys(home: Path, keys: VaultKeys) -> None:
    """Write the file of the vault's keys, whole or not at all. Raises `ConfigError` (X1.file)."""
    write_private(key_file(home), keys.encode())


def _run(command: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  # the operator's own command, from node.toml
            shlex.split(command), capture_output=True, timeout=COMMAND_S, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        raise ConfigError("T6") from None
    return done.stdout
