"""Who sends a request: RFC 9421 message signatures in one exact profile (formats.md F11; SPEC 11).

The covered components, their order and the parameters are fixed, so that reading is comparing: a
header of any other form is refused. Signatures protect the way between nodes only; nothing on the
chain depends on them.
"""

import base64
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from hashlib import sha256
from threading import Lock
from typing import Final, NamedTuple

from ledger.crypto import EDDSA, Signer, verify
from ledger.encoding import b64url
from ledger.errors import SignatureError

TAG: Final = "alliance-ledger-v1"
WINDOW_S: Final = 300
MAX_NONCES: Final = 100_000
_COVERED: Final = '("@method" "@authority" "@path" "@query" "content-type" "content-digest")'
_INPUT = re.compile(
    r"\Asig1="
    + re.escape(_COVERED)
    + r';created=([0-9]{1,12});keyid="([A-Za-z0-9_-]{22})";nonce="([A-Za-z0-9_-]{22})"'
    + f';tag="{TAG}"\\Z',
    re.ASCII,
)
_SIGNATURE = re.compile(r"\Asig1=:([A-Za-z0-9+/]{86}==):\Z", re.ASCII)

FindKey = Callable[[str], bytes | None]
"""The Ed25519 public key of a key id (base64url), or None."""


class Request(NamedTuple):
    """The parts of a request that a signature covers."""

    method: str
    authority: str
    path: str
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
    return f"sha-256=:{base64.b64encode(sha256(body).digest()).decode()}:"


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
    parameters = (
        f'{_COVERED};created={created_s};keyid="{b64url(signer.kid)}"'
        f';nonce="{b64url(nonce)}";tag="{TAG}"'
    )
    digest = content_digest(request.body)
    signature = signer.sign(signature_base(request, digest, parameters))
    return {
        "content-digest": digest,
        "content-type": request.content_type,
        "signature": f"sig1=:{base64.b64encode(signature).decode()}:",
        "signature-input": f"sig1={parameters}",
    }


class Verifier:
    """Checks requests, each of them once: nonces are remembered for as long as they are fresh,
    for each key apart, so that no member uses up the room of another one.
    """

    def __init__(self) -> None:
        self._nonces: dict[str, OrderedDict[str, int]] = {}
        self._lock = Lock()

    def check(self, head: Head, headers: Mapping[str, str], find_key: FindKey, now_s: int) -> str:
        """The key id of who signed; before a byte of the body is read, so that only members make
        this node hold one. Then `check_body`. Raises `SignatureError` (H1 to H3, H5, H6).
        """
        found = _INPUT.match(headers.get("signature-input", ""))
        signed = _SIGNATURE.match(headers.get("signature", ""))
        if found is None or signed is None:
            raise SignatureError("H1")
        created, kid, nonce = int(found[1]), found[2], found[3]
        if abs(now_s - created) > WINDOW_S:
            raise SignatureError("H2", window=WINDOW_S)
        key = find_key(kid)
        if key is None:
            raise SignatureError("H5", kid=kid)
        parameters = headers["signature-input"].removeprefix("sig1=")
        message = signature_base(head, headers.get("content-digest", ""), parameters)
        if not verify(EDDSA, key, base64.b64decode(signed[1]), message):
            raise SignatureError("H6", kid=kid)
        self._remember(kid, nonce, now_s)
        return kid

    def _remember(self, kid: str, nonce: str, now_s: int) -> None:
        """After everything else holds, so that strangers cannot fill the memory. Raises H3."""
        with self._lock:
            nonces = self._nonces.setdefault(kid, OrderedDict())
            while nonces and next(iter(nonces.values())) < now_s - 2 * WINDOW_S:
                nonces.popitem(last=False)
            if nonce in nonces or len(nonces) >= MAX_NONCES:
                raise SignatureError("H3")
            nonces[nonce] = now_s


def check_body(body: bytes, headers: Mapping[str, str]) -> None:
    """The body is the one that was signed. Raises `SignatureError` (H4)."""
    if headers.get("content-digest") != content_digest(body):
        raise SignatureError("H4")
