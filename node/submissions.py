"""What callers hand in, on its way to its answer."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import msgspec

from ledger.errors import AllianceError
from ledger.records.envelope import Entry


class Published(msgspec.Struct, frozen=True, gc=False):
    """Where an entry stands, for ever."""

    entry: Entry
    index: int
    known: bool
    """Whether it was on the chain before this request."""


Outcome = Published | AllianceError


class Submission:
    """The entries of one request on their way; `future` gives one outcome for each, in order."""

    def __init__(self, entries: Sequence[Entry | AllianceError]) -> None:
        self.entries = entries
        self.outcomes: list[Outcome | None] = [None] * len(entries)
        self.left = len(entries)
        self.future: Future[list[Outcome]] = Future()

    def settle(self, position: int, outcome: Outcome) -> None:
        """One entry has its outcome; the last one completes the future."""
        self.outcomes[position] = outcome
        self.left -= 1
        if not self.left:
            # A caller may have gone; its entries are on the chain all the same.
            self.future.set_running_or_notify_cancel()
            self.future.set_result([item for item in self.outcomes if item is not None])


class Waiting(NamedTuple):
    """An admitted entry that is not published yet, and who waits for it."""

    entry: Entry
    callers: list[tuple[Submission, int]]
    since_ms: int
    place: int = -1
    """The index of its entry, once that is in a final block."""

    def is_of(self, submitted: "Future[list[Outcome]]") -> bool:
        """Whether it is part of this request."""
        return any(submission.future is submitted for submission, _position in self.callers)
