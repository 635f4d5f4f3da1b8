"""What arrives, in any thread: entries of clients and messages of other nodes. Their form and their
signatures are checked in the pool, off the writer's thread; what was checked waits here for it.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from ledger.errors import AllianceError, BusyError
from ledger.records.envelope import Entry
from ledger.rules import RULES_VERSION
from node.admission import Delivery
from node.driver.state import State
from node.links import size_of
from node.roster import Peer
from node.submissions import Outcome, Submission
from node.wire import Exchange

IDLE_S: Final = 1.0
MAX_DELIVERIES: Final = 64
MAX_DELIVERY_BYTES: Final = 64 << 20
"""Messages of one member that may wait here; more are dropped, and offered again by it. So for all
keys without a vote of one organisation together.
"""


class Intake:
    """The inbox of the writer, and the room in it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.submissions: deque[Submission] = deque()
        self.deliveries: deque[tuple[Delivery, int]] = deque()
        self.promises: dict[Future[list[Outcome]], Future[bool]] = {}
        """Requests whose callers are about to go, and whether they were taken in by then."""
        self.pending = self._pending_bytes = 0
        self.stopping = self.closed = False
        """Whether no more entries are taken; whether no messages are heard either."""
        self.pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify")
        self.guests = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verify-guests")
        """What is said by who has no vote: a member and its observers do not fill the pool."""
        self.wake = threading.Condition()
        self._served: dict[str, int] = {}
        """Whose message was last given to the writer, and when, counted in messages."""
        self._unchecked: defaultdict[str, deque[tuple[Peer, Exchange, int]]] = defaultdict(deque)
        self._on_the_way: Counter[str] = Counter()
        self._bytes_on_the_way: Counter[str] = Counter()

    def stop(self) -> None:
        """Take no more; what was taken is still to be had."""
        with self.wake:
            self.stopping = True
            self.wake.notify()

    def close(self) -> None:
        """The writer has ended: nothing is heard any more."""
        with self.wake:
            self.closed = True

    def take(self, deadline_s: Callable[[], float]) -> list[Submission] | None:
        """Everything that waits, as soon as there is something or the deadline has come; None when
        the node has stopped and nothing is left.
        """
        with self.wake:
            while not (self.submissions or self.deliveries or self.promises):
                left = deadline_s()
                if left <= 0:
                    break
                if self.stopping and not self.pending:
                    return None
                self.wake.wait(min(left, IDLE_S))
            if self.stopping and not (self.pending or self.submissions or self.promises):
                return None  # others go on talking; this node has nothing to hear any more
            return self.take_rest()

    def take_rest(self) -> list[Submission]:
        """The entries that wait now."""
        with self.wake:
            taken = list(self.submissions)
            self.submissions.clear()
        return taken

    # --- entries of clients -----------------------------------------------------------------------

    def submit(self, raws: Sequence[bytes]) -> "Future[list[Outcome]]":
        """As `Driver.submit`."""
        size = sum(map(len, raws))
        with self.wake:
            self._check_room(len(raws), size)
            self.pending += len(raws)
            self._pending_bytes += size
        state = self._state
        future = self.pool.submit(state.admission.entries, state.final.tip, raws)
        done: Future[list[Outcome]] = Future()
        future.add_done_callback(lambda admitted: self._enqueue(admitted, done, len(raws), size))
        return done

    def _check_room(self, count: int, size: int) -> None:
        config = self._state.config
        limit = config.max_pending_entries
        version = self._state.final.tip.config.rules_version
        if version != RULES_VERSION:
            raise BusyError("O10", version=version, known=RULES_VERSION)
        if self.stopping:
            raise BusyError("O4.stopping")
        full = self.pending + count > limit
        if full or self._pending_bytes + size > config.max_pending_bytes:
            self._state.counters["busy"] += 1
            raise BusyError("O4.queue", pending=self.pending, limit=limit)

    def _enqueue(
        self,
        admitted: "Future[list[Entry | AllianceError]]",
        done: "Future[list[Outcome]]",
        count: int,
        size: int,
    ) -> None:
        error = admitted.exception()
        if error is not None:
            self._leave(count, size)
            done.set_exception(error)
            return
        submission = Submission(admitted.result())
        submission.future = done
        done.add_done_callback(lambda _done: self._leave(count, size))
        with self.wake:
            self.submissions.append(submission)
            self.wake.notify()

    def keep(self, submitted: "Future[list[Outcome]]") -> "Future[bool]":
        """As `Driver.keep`."""
        done: Future[bool] = Future()
        with self.wake:
            self.promises[submitted] = done
            self.wake.notify()
        return done

    def _leave(self, count: int, size: int) -> None:
        with self.wake:
            self.pending -= count
            self._pending_bytes -= size

    # --- messages of other nodes ------------------------------------------------------------------

    def deliver(self, peer: Peer, exchange: Exchange) -> None:
        """As `Driver.deliver`."""
        size, share = size_of(exchange), peer.share
        with self.wake:
            if self.closed:
                raise BusyError("O4.stopping")
            count, waiting = self._on_the_way[share], self._bytes_on_the_way[share]
            if count and (count >= MAX_DELIVERIES or waiting + size > MAX_DELIVERY_BYTES):
                self._state.counters["dropped"] += 1
                raise BusyError("H9", org=peer.org)
            self._on_the_way[share] += 1
            self._bytes_on_the_way[share] += size
            self._unchecked[share].append((peer, exchange, size))
            first = len(self._unchecked[share]) == 1
        if first:
            self._pool_of(peer).submit(self._check_next, share)

    def _pool_of(self, peer: Peer) -> ThreadPoolExecutor:
        return self.pool if peer.is_node else self.guests

    def _check_next(self, share: str) -> None:
        """The first message of a member that waits; before its next one, others have their turn."""
        peer, exchange, size = self._unchecked[share][0]
        state = self._state
        try:
            delivery = state.admission.delivery(state.final.tip, peer, exchange)
        except BaseException:
            self._forget(peer, size)
            raise
        else:
            with self.wake:
                self.deliveries.append((delivery, size))
                self.wake.notify()
        finally:
            with self.wake:
                self._unchecked[share].popleft()
                more = bool(self._unchecked[share]) and not self.closed
            if more:
                self._pool_of(peer).submit(self._check_next, share)

    def next_delivery(self) -> Delivery:
        """A message that was checked, which waits here no more: the oldest of whoever was not
        served for longest, so that nobody is late because another one says much.
        """
        waiting, served = self.deliveries, self._served
        shares = [waiting[at][0].peer.share for at in range(len(waiting))]
        at = min(range(len(shares)), key=lambda at: served.get(shares[at], 0))
        delivery, size = waiting[at]
        del waiting[at]
        served[shares[at]] = max(served.values(), default=0) + 1
        self._forget(delivery.peer, size)
        return delivery

    def _forget(self, peer: Peer, size: int) -> None:
        with self.wake:
            self._on_the_way[peer.share] -= 1
            self._bytes_on_the_way[peer.share] -= size
