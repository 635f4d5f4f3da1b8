"""Who sends a request: RFC 9421 message signatures in one exact profile (formats.md F11; SPEC
12.1).

The covered components, their order and the parameters are fixed, so that reading is comparing: a
header of any other form is refused. People, systems, auditors and nodes sign alike; nothing on the
chain depends on these signatures.
"""

import base64
import re
from collections import Counter
from collections.abc import Callable, Mapping
from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple

from ledger.crypto import Signer, verify
from ledger.encoding import b64url, encode_time
from ledger.errors import AuthenticationError, LimitError

TAG: Final = "alliance-ledger-v1"
WINDOW_S: Final = 300
KEY_NONCES: Final = 100_000
"""Requests of one key that are remembered at most: about 330 a second."""
ALL_NONCES: Final = 400_000
"""Requests of all keys that are remembered at most, in about 50 MB; beyond that each key has
`SPARE_NONCES`, so that no key uses up the room of another one.
"""
SPARE_NONCES: Final = 2_000
BUCKET_S: Final = 60
NO_BODY: Final = "application/octet-stream"
"""The content type of a request that has no body: the profile covers one always."""
_COVERED: Final = '("@method" "@authority" "@path" "@query" "content-type" "content-digest")'
_INPUT = re.compile(
    r"\Asig1="
    + re.escape(_COVERED)
    + r';created=([0-9]{1,12});keyid="([A-Za-z0-9_-]{22})";nonce="([A-Za-z0-9_-]{22})"'
    + f';tag="{TAG}"\\Z',
    re.ASCII,
)
_SIGNATURE = re.compile(r"\Asig1=:([A-Za-z0-9+/]{86}==):\Z", re.ASCII)


class Key(NamedTuple):
    """A public key as the chain names it."""

    alg: int
    public_key: bytes


FindKey = Callable[[str], Key | None]
"""The key of a key id (base64url), or None."""


class Request(NamedTuple):
    """The parts of a request that a signature covers."""

    method: str
    authority: str
    path: str
    """As it is sent, percent-encoding included."""
    query: str
    """With its question mark; `?` alone when there is none (RFC 9421 2.2.7)."""
    content_type: str
    body: bytes


class Head(NamedTuple):
    """The parts of a request that are there before its body: the signature covers them, and the
    digest that the body must have.
    """

    method: str
    authority: str
    path: str
    query: str
    content_type: str


def content_digest(body: bytes) -> str:
    """The Content-Digest field (RFC 9530)."""
    return digest_field(sha256(body).digest())


def digest_field(digest: bytes) -> str:
    """The Content-Digest field of a SHA-256 value."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


EMPTY_DIGEST: Final = content_digest(b"")


def signature_base(request: "Request | Head", digest: str, parameters: str) -> bytes:
    """The bytes that are signed (RFC 9421 2.5)."""
    lines = (
        f'"@method": {request.method}',
        f'"@authority": {request.authority.lower()}',
        f'"@path": {request.path}',
        f'"@query": {request.query}',
        f'"content-type": {request.content_type}',
        f'"content-digest": {digest}',
        f'"@signature-params": {parameters}',
    )
    return "\n".join(lines).encode()


def sign_request(request: Request, signer: Signer, created_s: int, nonce: bytes) -> dict[str, str]:
    """The header fields that sign a request; `nonce` is 16 bytes that were never used before."""
    return sign_head(Head(*request[:5]), content_digest(request.body), signer, created_s, nonce)


def sign_head(
    head: Head, digest: str, signer: Signer, created_s: int, nonce: bytes
) -> dict[str, str]:
    """The header fields that sign a request whose body has this Content-Digest."""
    parameters = (
        f'{_COVERED};created={created_s};keyid="{b64url(signer.kid)}"'
        f';nonce="{b64url(nonce)}";tag="{TAG}"'
    )
    signature = signer.sign(signature_base(head, digest, parameters))
    return {
        "content-digest": digest,
        "content-type": head.content_type,
        "signature": f"sig1=:{base64.b64encode(signature).decode()}:",
        "signature-input": f"sig1={parameters}",
    }


class Verifier:
    """Checks requests, each of them once: nonces are remembered for as long as they are fresh.

    What was signed before this verifier began is refused: it cannot know whether it was taken.
    """

    def __init__(self, started_s: int = 0) -> None:
        self._started_s = started_s
        self._nonces: dict[int, dict[str, set[str]]] = {}
        """By the minute of `created` and by key: a request that comes again has the same two."""
        self._held: Counter[str] = Counter()
        self.held = 0
        """How many requests are remembered."""
        self._lock = Lock()

    def check(self, head: Head, headers: Mapping[str, str], find_key: FindKey, now_s: int) -> str:
        """The key id of who signed; before a byte of the body is read, so that only who is known
        makes this node hold one. Then `check_body`.

        Raises `AuthenticationError` (H1 to H3, H5, H6) or `LimitError` (H10).
        """
        found = _INPUT.match(headers.get("signature-input", ""))
        signed = _SIGNATURE.match(headers.get("signature", ""))
        if found is None or signed is None:
            raise AuthenticationError("H1")
        created, kid, nonce = int(found[1]), found[2], found[3]
        if abs(now_s - created) > WINDOW_S or created < self._started_s:
            raise AuthenticationError("H2", window=WINDOW_S, now=encode_time(now_s * 1000))
        key = find_key(kid)
        if key is None:
            raise AuthenticationError("H5", kid=kid)
        parameters = headers["signature-input"].removeprefix("sig1=")
        message = signature_base(head, headers.get("content-digest", ""), parameters)
        if not verify(key.alg, key.public_key, base64.b64decode(signed[1]), message):
            raise AuthenticationError("H6", kid=kid)
        self._remember(kid, nonce, created, now_s)
        return kid

    def _remember(self, kid: str, nonce: str, created_s: int, now_s: int) -> None:
        """After everything else holds, so that strangers cannot fill the memory."""
        with self._lock:
            self._forget(now_s)
            nonces = self._nonces.setdefault(created_s // BUCKET_S, {}).setdefault(kid, set())
            if nonce in nonces:
                raise AuthenticationError("H3")
            if self._held[kid] >= (KEY_NONCES if self.held < ALL_NONCES else SPARE_NONCES):
                raise LimitError("H10", seconds=BUCKET_S)
            nonces.add(nonce)
            self._held[kid] += 1
            self.held += 1

    def _forget(self, now_s: int) -> None:
        """What is too old to be taken again."""
        for minute in [at for at in self._nonces if (at + 1) * BUCKET_S < now_s - WINDOW_S]:
            for kid, nonces in self._nonces.pop(minute).items():
                self._held[kid] -= len(nonces)
                self.held -= len(nonces)
                if not self._held[kid]:
                    del self._held[kid]


def check_body(body: bytes, headers: Mapping[str, str]) -> None:
    """The body is the one that was signed. Raises `AuthenticationError` (H4)."""
    check_digest(sha256(body).digest(), headers)


def check_digest(digest: bytes, headers: Mapping[str, str]) -> None:
    """The SHA-256 value of the body is the one that was signed. Raises `AuthenticationError`
    (H4).
    """
    if headers.get("content-digest", "") != digest_field(digest):
        raise AuthenticationError("H4")
