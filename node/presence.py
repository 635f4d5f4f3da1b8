"""What the heartbeats of other members say about this node and about themselves: whether this
node's clock is right (consensus.md 2.18), and whether two processes speak with one key (2.12).

Used by the writer's thread alone. Only what a member sends itself counts: whoever relays a
heartbeat may send an old one.
"""

from collections.abc import Collection
from typing import Final

from ledger.consensus import Status

WARN_MS: Final = 2_000
"""So far from the others a clock is worth a warning."""
UNFIT_MS: Final = 5_000
"""So far from the others a node declines to lead."""


class Presence:
    """The newest heartbeats of the other members."""

    def __init__(self) -> None:
        # By name: the numbers of members change with the epoch.
        self._offsets: dict[str, tuple[int, ...]] = {}
        self._lives: dict[str, tuple[Status, ...]] = {}

    def keep(self, members: Collection[str]) -> None:
        """The members of a new epoch: what was heard of others counts no more."""
        self._offsets = {name: pair for name, pair in self._offsets.items() if name in members}
        self._lives = {name: pair for name, pair in self._lives.items() if name in members}

    def knows(self, member: str, boot_id: bytes) -> bool:
        """Whether this life of a member has spoken before; of the last two."""
        return any(life.boot_id == boot_id for life in self._lives.get(member, ()))

    def learn(self, member: str, status: Status, now_ms: int) -> tuple[Status, ...]:
        """Take in a heartbeat that this member sent itself.

        Gives the newest ones of both lives of that member when an earlier life of it speaks
        again: then its key is in use twice, and it is to be told.
        """
        # Of the last two: whatever comes late makes a clock look slow, never fast.
        offset = status.clock_ms - now_ms
        self._offsets[member] = (*self._offsets.get(member, ())[-1:], offset)
        newest, *earlier = self._lives.get(member, (status,))
        if newest.boot_id == status.boot_id:
            self._lives[member] = (status, *earlier)
            return ()
        self._lives[member] = (status, newest)
        again = bool(earlier) and earlier[0].boot_id == status.boot_id
        return (status, newest) if again else ()

    def offset_ms(self) -> int:
        """How far the clocks of the members are ahead of this node's: the median, this node's own
        among them; of the two in the middle the smaller one.
        """
        found = sorted([0, *(max(pair) for pair in self._offsets.values())])
        middle = found[(len(found) - 1) // 2 : len(found) // 2 + 1]
        return min(middle, key=abs)

    def is_clock_fit(self) -> bool:
        """Whether this node may lead."""
        return abs(self.offset_ms()) <= UNFIT_MS
