"""The way to the others, as the driver sees it."""

from typing import Protocol

from ledger.crypto import Signer
from node.roster import Peer, Roster
from node.wire import Exchange


class Carrier(Protocol):
    """The way to the others. Calls never wait and never fail; what is lost is offered again."""

    def send(self, to: str | None, *items: Exchange) -> None:
        """To one of them by name, or to all; what is given together travels together."""

    def heard(self) -> dict[str, int]:
        """When each other member was last heard, by organisation: POSIX ms, 0 for never."""

    def others(self) -> list[str]:
        """The names of those who are told what is new."""

    def untaken(self, peer: Peer) -> int:
        """Bytes that wait for one of them, or for all of its share, as near as is known."""

    @property
    def relays(self) -> bool:
        """Whether a member hears others through this node only."""

    def relay(self, source: str, item: Exchange) -> None:
        """Hand on what somebody said to those whom it may not reach itself."""

    def update(self, roster: Roster, signer: Signer) -> None:
        """From now on these take part, and requests are signed by this key."""


class Nobody:
    """The way to nobody: a node that is not on a network yet."""

    def send(self, to: str | None, *items: Exchange) -> None:
        """There is nobody to tell."""

    def heard(self) -> dict[str, int]:
        """There is nobody to hear."""
        return {}

    def others(self) -> list[str]:
        """There is nobody."""
        return []

    def untaken(self, _peer: Peer) -> int:
        """Nothing waits."""
        return 0

    @property
    def relays(self) -> bool:
        """There is nobody to hand on to."""
        return False

    def relay(self, source: str, item: Exchange) -> None:
        """There is nobody to hand on to."""

    def update(self, roster: Roster, signer: Signer) -> None:
        """There is nobody to reach."""
