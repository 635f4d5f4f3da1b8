"""Who asks: the author of a request, from its signature or its API key (SPEC 13).

The chain names the keys; a role follows from a key's capacity there and from nothing else. What a
role may do is decided in `permission`, and when in `policy`.
"""

import time
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from starlette.requests import Request

from ledger.chain import Tip
from ledger.crypto import EDDSA
from ledger.encoding import unb64url
from ledger.errors import AuthenticationError
from ledger.rules.draft import NEXT_CONFIG, pending_config
from ledger.rules.values import KeyState, MemberState
from ledger.state import state_key
from node.apikeys import ApiKeys
from node.driver import Driver
from node.httpsig import Head, Key, Verifier

Role = Literal[
    "node", "officer", "committee", "ethics", "checker", "registrar", "researcher", "auditor",
    "system",
]  # fmt: skip
ROLES: Final[dict[str, Role]] = {
    "so": "officer",
    "dac": "committee",
    "ethics": "ethics",
    "checker": "checker",
    "registrar": "registrar",
    "self": "researcher",
    "auditor": "auditor",
    "system": "system",
}
"""The role of a key's capacity (definitions.md 1); node keys stand in the EpochConfig."""
BEARER: Final = "bearer "


class Identity(NamedTuple):
    """The author of a request."""

    key: str
    """The key id (base64url), or the id of the API key."""
    org: str
    subject: str
    """Whom the key stands for, as the chain says: an office, a pid, a system, a node."""
    role: Role
    is_expired: bool = False
    scopes: frozenset[str] | None = None
    """What an API key is good for; None for whoever signs: everything that the role may."""

    @property
    def name(self) -> str:
        """One name for limits and records of access."""
        return f"{self.org}/{self.role}/{self.subject}"


class Authors:
    """Finds out who sends a request."""

    def __init__(self, driver: Driver, api_keys: ApiKeys) -> None:
        self._driver = driver
        self._api_keys = api_keys
        # A request from before the start may have been taken then: its nonce is forgotten.
        self.verifier = Verifier(int(time.time()))

    def identify(self, request: Request) -> Identity:
        """The author. Raises `AuthenticationError` (H1 to H6, P5) or `LimitError` (H10)."""
        given = request.headers.get("authorization", "")
        if given[: len(BEARER)].lower() == BEARER:
            return self._of_api_key(given[len(BEARER) :].strip())
        now_s = int(time.time())
        tip = self._driver.final.tip
        own = self._driver.keyring.own_keys
        kid = self.verifier.check(
            head_of(request),
            single(request),
            lambda kid: own.get(kid) or find_key(tip, kid),
            now_s,
        )
        if kid in own:
            # Whoever holds the node's own keys runs it, before the chain knows them and after.
            return Identity(kid, self._driver.org, "node", "node")
        return identity_of(tip, kid, now_s * 1000)

    def of_key(self, kid: str, now_s: int) -> Identity:
        """Whom a key stands for now. Raises `AuthenticationError` (H5)."""
        return identity_of(self._driver.final.tip, kid, now_s * 1000)

    def _of_api_key(self, given: str) -> Identity:
        """The system that an API key is bound to; its key on the chain must be in force."""
        found = self._api_keys.find(given, int(time.time()))
        identity = identity_of(self._driver.final.tip, found.kid, int(time.time()) * 1000)
        return identity._replace(key=found.id, scopes=frozenset(found.scopes))


def head_of(request: Request) -> Head:
    """What the signature of a request covers, exactly as it came."""
    scope = request.scope
    return Head(
        request.method,
        request.headers.get("host", ""),
        scope.get("raw_path", b"").decode("latin-1") or scope["path"],
        f"?{scope['query_string'].decode('latin-1')}",
        request.headers.get("content-type", ""),
    )


def single(request: Request) -> Mapping[str, str]:
    """The header fields that matter, each of them given once. Raises `AuthenticationError` (H1)."""
    fields = {}
    for name in ("content-digest", "signature", "signature-input"):
        values = request.headers.getlist(name)
        if len(values) != 1:
            raise AuthenticationError("H1")
        fields[name] = values[0]
    for name in ("content-type", "host"):
        if len(request.headers.getlist(name)) > 1:
            raise AuthenticationError("H1")
    return fields


def find_key(tip: Tip, kid: str) -> Key | None:
    """A key that the chain names for requests: of a member's node, now or in the configuration
    that is to come (definitions.md 1), or of a person or system, unless it was revoked.
    """
    node = _node_key(tip, kid)
    if node is not None:
        return Key(EDDSA, unb64url(node[1], 32))
    state = tip.state.get(state_key("key", kid))
    if not isinstance(state, KeyState) or state.revoked is not None:
        return None
    return Key(state.alg, unb64url(state.public_key))


def _node_key(tip: Tip, kid: str) -> tuple[str, str] | None:
    """The organisation and the public key of a node."""
    member = tip.config.node_kids.get(kid)
    if member is None:
        pending = pending_config(tip.state.get(NEXT_CONFIG), tip.config)
        member = None if pending is None else pending.config.node_kids.get(kid)
    return None if member is None else (member.org, member.node_pk)


def identity_of(tip: Tip, kid: str, now_ms: int) -> Identity:
    """Whom a key stands for. Raises `AuthenticationError` (H5) for a key that is unknown, revoked,
    or of an organisation that has left.
    """
    node = _node_key(tip, kid)
    if node is not None:
        return Identity(kid, node[0], "node", "node")
    state = tip.state.get(state_key("key", kid))
    if not isinstance(state, KeyState) or state.revoked is not None:
        raise AuthenticationError("H5", kid=kid)
    member = tip.state.get(state_key("member", state.org))
    if isinstance(member, MemberState) and member.status == "EXITED":
        raise AuthenticationError("H5", kid=kid)
    is_expired = state.valid_until_ms is not None and state.valid_until_ms <= now_ms
    return Identity(kid, state.org, state.subject, ROLES[state.capacity], is_expired)
