"""How much one author gets: requests in a time, requests at a time, bytes on their way (SPEC 13.5).

Honest authors stay far below; who goes beyond is told when to come again, and the others do not
notice. Memory is bounded by the number of keys on the chain.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

from ledger.errors import BusyError, LimitError

RATE_PER_S: Final = 300
"""Requests a second of one author, in the long run."""
BURST: Final = 3_000
"""Requests of one author that may come at once."""
MAX_AT_A_TIME: Final = 64
"""Requests of one author that may be in work at a time."""
MAX_STRANGERS: Final = 128
"""Requests without an author that may be in work at a time: open routes."""
MAX_ARRIVING_BYTES: Final = 256 << 20
"""Bodies of all authors, and large answers to them, that may be on their way at a time."""
MAX_AUTHORS: Final = 65_536
STRANGERS: Final = ""


class Limits:
    """What each author has used. Names are those of `Identity.name`; empty for strangers."""

    def __init__(self, rate_per_s: int = RATE_PER_S, burst: int = BURST) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._left: dict[str, tuple[float, float]] = {}
        """Requests left, and when that was so."""
        self._working: Counter[str] = Counter()
        self._arriving: Counter[str] = Counter()
        self._bytes = 0
        self._lock = Lock()

    @contextmanager
    def request(self, name: str, now_s: float | None = None) -> Iterator[None]:
        """One request of this author, from its head to its answer. Raises `LimitError` (H11,
        H12).
        """
        most = MAX_AT_A_TIME if name else MAX_STRANGERS
        with self._lock:
            self._spend(name, time.monotonic() if now_s is None else now_s)
            if self._working[name] >= most:
                raise LimitError("H12", limit=most)
            self._working[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._working[name] -= 1
                if not self._working[name]:
                    del self._working[name]

    def _spend(self, name: str, now_s: float) -> None:
        left, since_s = self._left.get(name, (float(self._burst), now_s))
        left = min(float(self._burst), left + (now_s - since_s) * self._rate_per_s)
        if left < 1:
            raise LimitError("H11", rate=self._rate_per_s, seconds=1)
        if len(self._left) >= MAX_AUTHORS and name not in self._left:
            self._left.clear()
        self._left[name] = (left - 1, now_s)

    @contextmanager
    def body(self, name: str) -> Iterator["Arriving"]:
        """The body of a request on its way; its bytes are counted as they come."""
        arriving = Arriving(self, name)
        try:
            yield arriving
        finally:
            self.give_back(name, arriving.taken)

    def take(self, name: str, count: int) -> None:
        """So many bytes have come. Raises `LimitError` (H13) for an author with more than half of
        the room, `BusyError` (O4.bodies) when there is none left.
        """
        with self._lock:
            if self._arriving[name] + count > MAX_ARRIVING_BYTES // 2:
                raise LimitError("H13", limit=MAX_ARRIVING_BYTES // 2)
            if self._bytes + count > MAX_ARRIVING_BYTES:
                raise BusyError("O4.bodies", limit=MAX_ARRIVING_BYTES)
            self._arriving[name] += count
            self._bytes += count

    def give_back(self, name: str, count: int) -> None:
        """So many bytes are here no more."""
        with self._lock:
            self._arriving[name] -= count
            self._bytes -= count
            if not self._arriving[name]:
                del self._arriving[name]


class Arriving:
    """The bytes of one body."""

    def __init__(self, limits: Limits, name: str) -> None:
        self._limits = limits
        self._name = name
        self.taken = 0

    def add(self, count: int) -> None:
        """So many more have come. Raises as `Limits.take`."""
        self._limits.take(self._name, count)
        self.taken += count
