"""Real nodes without threads, sockets or waiting: drivers over SQLite, stepped by hand on a clock
that is an integer.

    net = Stepped(folder, world)
    net.submit("h1", raw)
    net.run(2_000)              # two seconds of their lives

What one says arrives `delay_ms` later at the others, as bytes; `allow` may drop it. A node is
`cut` as by a power failure: what it had committed is copied as it lies on the disk, and everything
else is gone.
"""

import heapq
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ledger.crypto import Signer
from ledger.encoding import b64url
from node.clock import Clock
from node.config import load_config
from node.driver import Driver, Outcome, Published
from node.main import open_driver
from node.roster import Peer, Roster
from node.wire import Exchange, decode_exchange, encode_exchange
from tests.support.node import PASSPHRASE, make_home
from tests.support.world import GENESIS_MS, World

Allow = Callable[[str, str, Exchange], bool]


class Inline(Executor):
    """Does at once what a pool would do later."""

    def submit(self, call: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ANN401
        """The result, or the error, is there already."""
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # as a pool does
            done.set_exception(error)
        return done


class Post:
    """A `node.driver.Carrier` that hands over to the network."""

    def __init__(self, net: "Stepped", org: str) -> None:
        self.net = net
        self.org = org

    def send(self, to: str | None, *items: Exchange) -> None:
        """To one of them by name, or to all."""
        for name in self.others() if to is None else [self._node(to)]:
            for item in items:
                self.net.post(self.org, name, item)

    def _node(self, name: str) -> str:
        """Which node a peer's name means: one without a vote goes by its key."""
        kid = name.partition("/")[2]
        return next((org for org, own in self.net.kids.items() if own == kid), name)

    def heard(self) -> dict[str, int]:
        """Nobody asks."""
        return {}

    def others(self) -> list[str]:
        """All other nodes that this one can talk to: one of the two can be called."""
        walled = self.net.walled
        homes = [org for org in self.net.homes if org != self.org and self._knows(org)]
        return [org for org in homes if not {org, self.org} <= walled]

    def untaken(self, _peer: Peer) -> int:
        """Whatever is posted is taken."""
        return 0

    def _knows(self, org: str) -> bool:
        """Nothing is sent to strangers, nor of its own accord to who is a member no more."""
        driver, kid = self.net.drivers.get(self.org), self.net.kids.get(org, "")
        peer = driver.membership.roster.peer_of(kid) if driver else None
        return peer is not None and peer.role != "former"

    @property
    def relays(self) -> bool:
        """Whether this node is a hub."""
        return self.org not in self.net.walled and bool(self.net.walled)

    def relay(self, source: str, item: Exchange) -> None:
        """As `node.links.Links` does."""
        for org in self.others():
            if org != source and {org, source} & self.net.walled:
                self.net.post(self.org, org, item)

    def update(self, _roster: Roster, signer: Signer) -> None:
        """Whom a node hears is for its own roster to say."""
        self.net.kids[self.org] = b64url(signer.kid)


class PowerCut(BaseException):
    """The lights go out at a transaction; nothing that a node might catch."""


class Stepped:
    """The nodes of a world, by organisation."""

    def __init__(self, folder: Path, world: World, *, delay_ms: int = 10) -> None:
        self.folder = folder
        self.world = world
        self.delay_ms = delay_ms
        self.delays: dict[frozenset[str], int] = {}
        """How long the way between two nodes is, where it is not as long as all others."""
        self.now_ms = GENESIS_MS + 10_000
        self.allow: Allow = lambda _from, _to, _item: True
        self.sent: list[tuple[str, str, Exchange]] = []
        """Everything that was said since the list was last cleared."""
        self.walled: set[str] = set()
        """Members that nobody can call: two of them hear each other through others only."""
        self.drivers: dict[str, Driver] = {}
        self.homes: dict[str, Path] = {}
        self.kids: dict[str, str] = {}
        """The key that each node signs its requests with."""
        self.refused: Counter[str] = Counter()
        """Requests of nodes that the other one did not know."""
        self.settings: dict[str, str] = {}
        """The text of each node's `node.toml`."""
        self.skew_ms: dict[str, int] = {}
        """How far each node's wall clock is ahead."""
        self.cut_at = 0
        """The moment before or after a transaction at which a `PowerCut` comes; 0 for never."""
        self.moments = 0
        self._mail: list[tuple[int, int, str, str, bytes]] = []
        self._count = 0
        for org in world.keys:
            self.homes[org] = make_home(world, folder / org, org)
            self.start(org)

    def start(self, org: str) -> None:
        """Open the node of a home directory."""
        (self.homes[org] / "node.toml").write_text(self.settings.get(org, ""))
        config = load_config(self.homes[org], PASSPHRASE)
        clock = Clock(0, lambda: self.now_ms + self.skew_ms.get(org, 0), lambda: self.now_ms)
        driver = open_driver(config, clock)
        intake = driver._intake
        for part, pool in ((intake, "pool"), (intake, "guests"), (driver._gossip, "archive")):
            getattr(part, pool).shutdown()
            setattr(part, pool, Inline())
        driver.connect(Post(self, org))
        driver.store.transaction = self._watched(driver.store.transaction)  # type: ignore[method-assign]
        self.drivers[org] = driver

    def _watched(
        self, transaction: Callable[[], AbstractContextManager[None]]
    ) -> Callable[[], AbstractContextManager[None]]:
        @contextmanager
        def watched() -> Iterator[None]:
            self._pass()
            with transaction():
                yield
            self._pass()

        return watched

    def _pass(self) -> None:
        self.moments += 1
        if self.moments == self.cut_at:
            raise PowerCut

    def black_out(self) -> None:
        """The power fails for all, at this moment; what was on the way is gone, too."""
        self._mail.clear()
        for org in list(self.drivers):
            self.cut(org)

    def cut(self, org: str) -> None:
        """The power fails: the node is gone, and its disk is as it was at that moment."""
        driver, home = self.drivers.pop(org), self.homes[org]
        copy = self.folder / f"{org}-{self._count}"
        self._count += 1
        shutil.copytree(home, copy)
        driver.store._unwritten = {}
        driver.store.close()
        self.homes[org] = copy

    def close(self) -> None:
        """End all."""
        for driver in self.drivers.values():
            driver.store.close()

    # --- what happens ---

    def post(self, sender: str, to: str, item: Exchange) -> None:
        """On its way, unless the link drops it."""
        if self.allow(sender, to, item):
            self.sent.append((sender, to, item))
            self._count += 1
            data = encode_exchange(item)
            at = self.now_ms + self.delays.get(frozenset({sender, to}), self.delay_ms)
            heapq.heappush(self._mail, (at, self._count, sender, to, data))

    def submit(self, org: str, *raws: bytes) -> "Future[list[Outcome]]":
        """A client's entries at a node."""
        future = self.drivers[org].submit(raws)
        self.turn(org)
        return future

    def turn(self, org: str) -> None:
        """One turn of a node's loop."""
        driver = self.drivers[org]
        taken = driver._taken = driver._intake.take_rest()
        driver._batch(taken)

    def run(self, for_ms: int) -> None:
        """Let time pass."""
        end = self.now_ms + for_ms
        while (moment := self._next()) <= end:
            self.now_ms = max(self.now_ms, moment)
            if self._mail and self._mail[0][0] <= self.now_ms:
                self._deliver()
                continue
            for org in [org for org in self.drivers if self._due(org) <= self.now_ms]:
                self.turn(org)
        self.now_ms = end

    def _next(self) -> int:
        moments = [self._due(org) for org in self.drivers]
        return min([self._mail[0][0], *moments] if self._mail else moments)

    def _due(self, org: str) -> int:
        return self.now_ms + max(0, round(self.drivers[org]._deadline_s() * 1000))

    def _deliver(self) -> None:
        _at, _count, sender, to, data = heapq.heappop(self._mail)
        if to in self.drivers:
            peer = self.drivers[to].membership.roster.peer_of(self.kids[sender])
            if peer is None:
                self.refused[sender] += 1
                return
            self.drivers[to].deliver(peer, decode_exchange(data))
            self.turn(to)

    # --- what is so ---

    def views(self) -> dict[str, int]:
        """The view of each node."""
        return {org: driver.consensus_view for org, driver in self.drivers.items()}

    def copies(self) -> Iterator[list[bytes]]:
        """The blocks of each node, as they lie on its disk."""
        for driver in self.drivers.values():
            yield [block.body for block in driver.store.blocks(0, 1_000)]

    def check(self) -> int:
        """All nodes hold one chain, byte for byte; gives its height."""
        first, *others = self.copies()
        assert all(other == first for other in others)
        return len(first) - 1


def published(future: "Future[list[Outcome]]") -> Sequence[Published]:
    """The outcomes of a submission that was answered."""
    outcomes = future.result(0)
    assert all(isinstance(outcome, Published) for outcome in outcomes), outcomes
    return outcomes  # type: ignore[return-value]
