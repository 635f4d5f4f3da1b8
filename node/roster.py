"""Who may speak with this node, by which key, and where each of them listens: read from the chain
alone, anew whenever a record changes it (definitions.md 1; SPEC 11.5).

Decides nothing about blocks: a stranger's word is worth as much as its signature says.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Literal, NamedTuple

from ledger.chain import Tip
from ledger.crypto import EDDSA, key_id
from ledger.encoding import b64url, unb64url
from ledger.members import EpochConfig
from ledger.records.envelope import Entry
from ledger.rules.draft import NEXT_CONFIG, pending_config
from ledger.rules.values import EndpointState, KeyState, MemberState
from ledger.state import state_key
from node.keyring import OBSERVER_CAPACITY
from node.peerclient import place_of
from node.tls import split_pin

CHANGING: Final = frozenset({"config", "endorse", "endpoint", "key", "member", "ready"})
"""Types of records after which the roster may be another one."""

UNKNOWN: Final = EndpointState(height=0, leaf="")
Role = Literal["member", "joiner", "observer", "former"]
"""In force; in the pending configuration; without a vote; in an earlier configuration only."""


class Peer(NamedTuple):
    """Somebody who may exchange with this node."""

    name: str
    """The organisation, for the node of a member or joiner; else organisation and key id."""
    org: str
    role: Role
    until: int | None = None
    """A former member is shown final blocks up to this height: the one that ended its time."""

    @property
    def share(self) -> str:
        """Whose room it takes here: a node its own; all other keys of an organisation together,
        as it may have any number of them.
        """
        return self.name if self.is_node else f"{self.org}/"

    @property
    def is_node(self) -> bool:
        """Whether it is a member's node, now or soon: an organisation has one."""
        return self.role in ("member", "joiner")


class Roster:
    """What one tip says about who takes part."""

    def __init__(self, tip: Tip, own: frozenset[str], urls: Mapping[str, str]) -> None:
        self._state = tip.state
        self._time_ms = tip.time_ms
        self._own = own
        self._keys: dict[str, tuple[bytes, Peer]] = {}
        self.urls: dict[str, str] = {}
        """Where members and joiners listen; without those that cannot be reached."""
        self.pins: dict[str, frozenset[str]] = {}
        """By what their certificates are known (SPEC 13.7); no pins: by authorities."""
        pending = pending_config(tip.state.get(NEXT_CONFIG), tip.config)
        self._list(tip.config, "member")
        if pending is not None:
            self._list(pending.config, "joiner")
        for boundary in reversed(tip.boundaries):
            self._list(boundary.config, "former", boundary.height)
        self.names = self._own_names()
        """What others call this node by its `endpoint` record: host names, with their ports."""
        self.nodes = self._others()
        """The other members and joiners, by organisation; a member whose key changes is one."""
        for name in self.nodes:
            # What the operator says about the way from here counts more than what others say.
            told = self._endpoint(name)
            url, pins = split_pin(urls.get(name) or (told.urls[0] if told.urls else ""))
            if url:
                self.urls[name] = url
                # A certificate is known by what its organisation says, once the chain holds that.
                self.pins[name] = frozenset(told.tls_pins) or pins

    def _list(self, config: EpochConfig, role: Role, until: int | None = None) -> None:
        """Those keys of a configuration that stand in none that counts more."""
        for member, key in zip(config.members, config.node_keys, strict=True):
            kid = b64url(key_id(EDDSA, key))
            name = f"{member.org}/{kid}" if role == "former" else member.org
            self._keys.setdefault(kid, (key, Peer(name, member.org, role, until)))

    def _endpoint(self, org: str) -> EndpointState:
        state = self._state.get(state_key("endpoint", org))
        return state if isinstance(state, EndpointState) else UNKNOWN

    def _own_orgs(self) -> set[str]:
        return {self._keys[kid][1].org for kid in self._own & self._keys.keys()}

    def _own_names(self) -> frozenset[str]:
        found = set()
        for url in (url for org in self._own_orgs() for url in self._endpoint(org).urls):
            with suppress(ValueError):
                found.add(place_of(split_pin(url)[0]).authority.lower())
        return frozenset(found)

    def _others(self) -> dict[str, Peer]:
        own = self._own_orgs()
        found: dict[str, Peer] = {}
        for _key, peer in self._keys.values():
            if peer.role != "former" and peer.org not in own:
                found.setdefault(peer.org, peer)
        return found

    def find_key(self, kid: str) -> bytes | None:
        """The Ed25519 key of somebody who may exchange with this node."""
        known = self._keys.get(kid)
        if known is not None:
            return known[0]
        observer = self._observer(kid)
        return unb64url(observer.public_key) if observer else None

    def peer_of(self, kid: str) -> Peer | None:
        """Who holds this key; None for this node itself and for strangers."""
        if kid in self._own:
            return None
        known = self._keys.get(kid)
        if known is not None:
            return known[1]
        observer = self._observer(kid)
        return Peer(f"{observer.org}/{kid}", observer.org, "observer") if observer else None

    def _observer(self, kid: str) -> KeyState | None:
        """An auditor's key that is registered, not revoked, in its time, and of a member."""
        state = self._state.get(state_key("key", kid))
        if not isinstance(state, KeyState) or state.capacity != OBSERVER_CAPACITY:
            return None
        until = state.valid_until_ms
        in_time = state.valid_from_ms <= self._time_ms and (until is None or self._time_ms < until)
        member = self._state.get(state_key("member", state.org))
        belongs = isinstance(member, MemberState) and member.status != "EXITED"
        fits = state.alg == EDDSA and state.revoked is None
        return state if fits and in_time and belongs else None


def may_change(entries: tuple[Entry, ...]) -> bool:
    """Whether these records may have changed who takes part."""
    return any(entry.record.type in CHANGING for entry in entries)
