"""API keys: for systems that cannot sign (SPEC 13.2).

`keys/apikeys` in the home directory holds, for its owner alone, what is known of each: the hash of
its secret, the system key it is bound to, its scopes and its end. The secret is shown once.
"""

import re
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from threading import Lock
from typing import Annotated, Final, Literal

import msgspec

from ledger.encoding import UNREADABLE, b64url, unb64url
from ledger.errors import AuthenticationError, ConfigError, MalformedError, NotFoundError
from node.config import read_private, write_private

Scope = Literal["submit", "read", "log", "metrics"]
SCOPES: Final[tuple[Scope, ...]] = ("submit", "read", "log", "metrics")
MAX_API_KEYS: Final = 1_000
_FORM = re.compile(r"\Aalk_([A-Za-z0-9_-]{11})\.([A-Za-z0-9_-]{43})\Z", re.ASCII)


class ApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept of an API key. Times in POSIX seconds."""

    id: str
    digest: str
    """SHA-256 of the secret's 32 random bytes, base64url: there is nothing to guess."""
    kid: str
    """The system key on the chain that it stands for."""
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1)]
    created_s: int
    expires_s: int
    revoked_s: int | None = None


_DECODER = msgspec.json.Decoder(tuple[ApiKey, ...])


def new_api_key(
    kid: str, scopes: tuple[Scope, ...], now_s: int, days: int, chance: bytes
) -> tuple[ApiKey, str]:
    """A new key and its secret, made of 40 random bytes."""
    name, secret = b64url(chance[:8]), chance[8:40]
    key = ApiKey(
        id=name,
        digest=b64url(sha256(secret).digest()),
        kid=kid,
        scopes=scopes,
        created_s=now_s,
        expires_s=now_s + days * 86_400,
    )
    return key, f"alk_{name}.{b64url(secret)}"


class ApiKeys:
    """The API keys of a home directory; a change of the file acts at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, ApiKey] = {}
        self._lock = Lock()

    def all(self) -> list[ApiKey]:
        """Every key, the oldest first. Raises `ConfigError` (O1.file, O1.mode)."""
        with self._lock:
            self._refresh()
            return list(self._keys.values())

    def _refresh(self) -> None:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._keys, self._stamp = {}, None
            return
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp == self._stamp:
            return
        try:
            keys = _DECODER.decode(read_private(self.path))
        except UNREADABLE:
            raise ConfigError("O1.file", file=self.path.name) from None
        self._keys, self._stamp = {key.id: key for key in keys}, stamp

    def find(self, given: str, now_s: int) -> ApiKey:
        """The key with this secret. Raises `AuthenticationError` (P5), the same for whatever is
        wrong with it.
        """
        name, digest = _read(given)
        key = {key.id: key for key in self.all()}.get(name)
        known = unb64url(key.digest, 32) if key else bytes(32)
        same = compare_digest(digest, known)
        if key is None or not same or key.revoked_s is not None or key.expires_s <= now_s:
            raise AuthenticationError("P5")
        return key

    def add(self, key: ApiKey) -> None:
        """Keep a new key. Raises `ConfigError` (O1.file, X1.file)."""
        self._save([*self.all(), key][-MAX_API_KEYS:])

    def revoke(self, name: str, now_s: int) -> ApiKey:
        """The key is not taken any more. Raises `NotFoundError` (O6)."""
        keys = {key.id: key for key in self.all()}
        if name not in keys:
            raise NotFoundError("O6", what="API key", name=name)
        keys[name] = msgspec.structs.replace(keys[name], revoked_s=now_s)
        self._save(list(keys.values()))
        return keys[name]

    def _save(self, keys: list[ApiKey]) -> None:
        write_private(self.path, msgspec.json.encode(keys))


def _read(given: str) -> tuple[str, bytes]:
    """The id and the hash of the secret; an empty id for what is no API key."""
    found = _FORM.match(given)
    if found is None:
        return "", b""
    try:
        return found[1], sha256(unb64url(found[2], 32)).digest()
    except MalformedError:
        return "", b""
