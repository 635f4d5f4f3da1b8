"""Sessions of browsers: opened with a code that a signed request was given, bounded, and gone with
the process (SPEC 13.8).

A session holds a key id and nothing else of its author: who that is, and whether the key is still
in force, is asked of the chain at each request. Codes and tokens are kept as hashes.
"""

from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple

from ledger.encoding import b64url
from ledger.errors import AuthenticationError, LimitError

CODE_S: Final = 60
"""How long a code is good for: once."""
SESSION_S: Final = 8 * 3_600
IDLE_S: Final = 30 * 60
MAX_OF_ONE: Final = 8
"""Sessions, and codes, of one key at a time; the oldest make room."""
MAX_SESSIONS: Final = 1_024
SECRET_BYTES: Final = 32


class Session(NamedTuple):
    """One browser's."""

    kid: str
    form_token: str
    """What a form of this session's pages brings back."""
    opened_s: int
    seen_s: int

    @property
    def until_s(self) -> int:
        """When it ends at the latest, POSIX seconds."""
        return self.opened_s + SESSION_S

    def is_over(self, now_s: int) -> bool:
        """Whether its time is over, or nobody used it for long."""
        return now_s >= self.until_s or now_s >= self.seen_s + IDLE_S


class Sessions:
    """All of a node, in memory. `chance` is 32 random bytes that were never used before."""

    def __init__(self) -> None:
        self._codes: dict[bytes, tuple[str, int]] = {}
        """By hash: the key and the end."""
        self._sessions: dict[bytes, Session] = {}
        self._lock = Lock()

    def issue(self, kid: str, now_s: int, chance: bytes) -> str:
        """A code for whoever holds this key. Raises `LimitError` (H14) when all are in use."""
        with self._lock:
            self._forget(now_s)
            mine = [name for name, (owner, _end) in self._codes.items() if owner == kid]
            for name in mine[: max(0, len(mine) + 1 - MAX_OF_ONE)]:
                del self._codes[name]
            if len(self._codes) >= MAX_SESSIONS:
                raise LimitError("H14", limit=MAX_SESSIONS, seconds=CODE_S)
            code = b64url(chance)
            self._codes[_name(code)] = kid, now_s + CODE_S
        return code

    def open(self, code: str, now_s: int, chance: bytes) -> tuple[str, Session]:
        """A session for a code, and its token. Raises `AuthenticationError` (P7) for a code that is
        unknown, used or old, `LimitError` (H14) when all are in use.
        """
        with self._lock:
            self._forget(now_s)
            kid, _end = self._codes.pop(_name(code), ("", 0))
            if not kid:
                raise AuthenticationError("P7", seconds=CODE_S)
            mine = [name for name, item in self._sessions.items() if item.kid == kid]
            for name in mine[: max(0, len(mine) + 1 - MAX_OF_ONE)]:
                del self._sessions[name]
            if len(self._sessions) >= MAX_SESSIONS:
                raise LimitError("H14", limit=MAX_SESSIONS, seconds=CODE_S)
            token = b64url(chance)
            # Whoever reads a page learns this, and not the token.
            form_token = b64url(sha256(b"alliance/form/1\n" + chance).digest())
            session = Session(kid, form_token, now_s, now_s)
            self._sessions[_name(token)] = session
        return token, session

    def find(self, token: str, now_s: int) -> Session:
        """The session of a token, used now. Raises `AuthenticationError` (P8)."""
        name = _name(token)
        with self._lock:
            self._forget(now_s)
            session = self._sessions.get(name)
            if session is None:
                raise AuthenticationError("P8")
            self._sessions[name] = session = session._replace(seen_s=now_s)
        return session

    def close(self, token: str) -> None:
        """The session has ended."""
        with self._lock:
            self._sessions.pop(_name(token), None)

    def _forget(self, now_s: int) -> None:
        for name in [name for name, (_kid, end) in self._codes.items() if now_s >= end]:
            del self._codes[name]
        for name in [name for name, item in self._sessions.items() if item.is_over(now_s)]:
            del self._sessions[name]


def _name(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
