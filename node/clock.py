"""The only clock of a node: wall time that never goes back."""

import time
from collections.abc import Callable


def wall_ms() -> int:
    """POSIX milliseconds as this machine has them."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """Milliseconds since some moment; never set by anybody."""
    return time.monotonic_ns() // 1_000_000


class Clock:
    """Goes forward with the monotonic clock; jumps forward with the wall; a wall that jumps back
    does no harm.

    `floor_ms` is the time of the last block: after a restart under an earlier wall, time goes on
    from there.
    """

    def __init__(
        self,
        floor_ms: int,
        wall: Callable[[], int] = wall_ms,
        monotonic: Callable[[], int] = monotonic_ms,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._last = max(floor_ms, wall())
        self._seen = monotonic()

    def now_ms(self) -> int:
        """The time for the next event."""
        seen = self._monotonic()
        self._last = max(self._last + seen - self._seen, self._wall())
        self._seen = seen
        return self._last

    def ahead_ms(self) -> int:
        """How far this clock is ahead of the wall: more than a little means that the wall was set
        back.
        """
        return self.now_ms() - self._wall()
