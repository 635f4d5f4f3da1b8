"""The ways to everybody who takes part: one queue, and at most two threads, for each (consensus.md
2.14).

What is to be said to a member waits in its queue. It leaves with the next request of a thread that
pushes, where the member's address is known; or with the answer to a request of its own. A node
that others cannot reach holds such a request open to each of them that it can; they are its hubs,
and hand on to it what it cannot hear otherwise. Whatever is lost on the way is offered again by
consensus: nothing here is tried twice.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from logging import INFO, WARNING
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ledger.crypto import EDDSA, Signer
from ledger.errors import AllianceError
from node.httpsig import Key
from node.logs import log_event
from node.peerclient import PeerClient
from node.roster import Peer, Roster
from node.tls import Trust
from node.wire import MAX_ITEMS, MAX_WAIT_MS, Exchange

MAX_QUEUED_BYTES: Final = 64 << 20
"""What waits for one member at most; beyond that the oldest is dropped. For all keys without a vote
of one organisation it is as much together; beyond that what comes is dropped.
"""
MESSAGE_BYTES: Final = 8 << 20
PUSH_S: Final = 1.0
RETRY_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FACT_BYTES: Final = 512

GONE_MS: Final = 60_000
"""Joiners, observers and members that cannot be called, which were not heard for so long, are told
nothing of this node's own accord."""

Take = Callable[[Peer, Exchange], None]
"""What to do with a message of somebody who takes part."""


class Queue:
    """What waits to be said to one member."""

    def __init__(self) -> None:
        self._parts: deque[tuple[Exchange, int, int]] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._callers: list[Callable[[], None]] = []
        self._closed = False
        self.dropped = 0

    def put(self, *parts: Exchange) -> None:
        """Never waits; the oldest makes room."""
        sized = [(part, size_of(part), items_of(part)) for part in parts]
        with self._wake:
            self._parts += sized
            self._bytes += sum(size for _part, size, _items in sized)
            while self._bytes > MAX_QUEUED_BYTES and len(self._parts) > 1:
                self._bytes -= self._parts.popleft()[1]
                self.dropped += 1
            self._wake.notify()
            callers, self._callers = self._callers, []
        for call in callers:
            call()

    def take(self, wait_s: float = 0.0) -> Exchange | None:
        """As much as one message carries; None when nothing comes in time."""
        with self._wake:
            if not self._parts and not self._closed and wait_s > 0:
                self._wake.wait(wait_s)
            parts: list[Exchange] = []
            total = count = 0
            while self._parts:
                part, size, items = self._parts[0]
                if parts and (total + size > MESSAGE_BYTES or count + items > MAX_ITEMS):
                    break
                self._parts.popleft()
                parts.append(part)
                total, count = total + size, count + items
            self._bytes -= total
        return merged(parts) if parts else None

    def call_when_filled(self, call: Callable[[], None]) -> None:
        """Once, from any thread, as soon as there is something to take; perhaps now."""
        with self._wake:
            if not self._parts and not self._closed:
                self._callers.append(call)
                return
        call()

    def call_no_more(self, call: Callable[[], None]) -> None:
        """Whoever waited has gone."""
        with self._wake:
            if call in self._callers:
                self._callers.remove(call)

    @property
    def size(self) -> int:
        """About how many bytes wait."""
        return self._bytes

    @property
    def is_drained(self) -> bool:
        """Whether nothing will come any more, and nothing is left."""
        return self._closed and not self._parts

    @property
    def is_closed(self) -> bool:
        """Whether nothing will come any more."""
        return self._closed

    def close(self) -> None:
        """Whoever waits goes home."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()
            callers, self._callers = self._callers, []
        for call in callers:
            call()


def size_of(part: Exchange) -> int:
    """About how many bytes a part takes on the way."""
    runs = [block for run in part.runs for block in run.blocks]
    leaves = [block.leaves for block in part.compact]
    items = (*part.blocks, *leaves, *part.entries, *part.cosignatures, *runs, part.epochs)
    return FACT_BYTES * (1 + len(part.facts)) + sum(map(len, items))


def items_of(part: Exchange) -> int:
    """How many things it says, as a message counts them at most."""
    runs = sum(1 + len(run.blocks) for run in part.runs)
    blocks = len(part.blocks) + len(part.compact)
    return len(part.facts) + blocks + len(part.entries) + len(part.cosignatures) + runs


def merged(parts: list[Exchange]) -> Exchange:
    """One message of several, in their order; of summaries the newest."""
    if len(parts) == 1:
        return parts[0]
    summaries = [part.summary for part in parts if part.summary is not None]
    return Exchange(
        v=1,
        pin=parts[0].pin,
        summary=summaries[-1] if summaries else None,
        facts=tuple(fact for part in parts for fact in part.facts),
        blocks=tuple(block for part in parts for block in part.blocks),
        compact=tuple(block for part in parts for block in part.compact)[-64:],
        entries=tuple(entry for part in parts for entry in part.entries),
        cosignatures=tuple(note for part in parts for note in part.cosignatures),
        runs=tuple(run for part in parts for run in part.runs)[-64:],
        epochs=max(part.epochs for part in parts),
        wants=tuple(want for part in parts for want in part.wants)[-64:],
    )


class Link:
    """Somebody who exchanges with this node."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.queue = Queue()
        self.seen_ms = 0
        """When a message of it was last taken in, POSIX ms; 0 is never."""
        self.way: Way | None = None

    @property
    def org(self) -> str:
        """Whose it is."""
        return self.peer.org

    @property
    def url(self) -> str:
        """Where it listens; empty where it cannot be reached."""
        return self.way.url if self.way is not None else ""


def _untaken(links: list[Link], peer: Peer) -> int:
    """Bytes that wait for one node, or for all keys without a vote of an organisation."""
    return sum(link.queue.size for link in links if link.peer.share == peer.share)


def _belongs(link: Link, roster: Roster) -> bool:
    """Whether whom a link leads to still takes part: an observer's key may be revoked, too."""
    org, _slash, kid = link.peer.name.partition("/")
    return roster.peer_of(kid) is not None if kid else org in roster.nodes


class Way(NamedTuple):
    """How this node reaches another one: threads that end when they are told to."""

    url: str
    trust: Trust
    """By what the other node is known."""
    kid: bytes
    """The key that signs its requests."""
    stopping: threading.Event


class Links:
    """The ways to everybody who takes part; a `node.driver.Carrier`.

    `update` follows the chain: members come and go, move, and change their keys.
    """

    def __init__(self, *, dial_out: bool, trust: Path | None = None) -> None:
        self._dial_out = dial_out
        self._trust = trust
        self._take: Take | None = None
        self._pin = b""
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._roster: Roster | None = None
        self._signer: Signer | None = None
        self._links: dict[str, Link] = {}

    # --- who ---

    def update(self, roster: Roster, signer: Signer) -> None:
        """From now on these take part, and this node signs its requests with this key."""
        with self._lock:
            self._roster, self._signer = roster, signer
            for name, peer in roster.nodes.items():
                self._links.setdefault(name, Link(peer)).peer = peer
            for name, link in list(self._links.items()):
                if not _belongs(link, roster):
                    self._close(self._links.pop(name))
            self._connect()

    def client(self, link: Link, signer: Signer) -> PeerClient:
        """A connection to another node that can be reached, known by its pins."""
        return PeerClient(link.url, signer, trust=self._trust_in(link.peer.name))

    def _trust_in(self, name: str) -> Trust:
        pins = self._roster.pins.get(name, frozenset()) if self._roster else frozenset()
        return Trust(pins, self._trust)

    def find_key(self, kid: str) -> Key | None:
        """The key of somebody who may exchange with this node."""
        public_key = self._roster.find_key(kid) if self._roster else None
        return None if public_key is None else Key(EDDSA, public_key)

    def is_called(self, name: str) -> bool:
        """Whether the chain says that this node is reached by this name (with its port)."""
        return self._roster is not None and name.lower() in self._roster.names

    def link_of(self, kid: str) -> Link | None:
        """The link to whoever holds this key; None for this node itself."""
        peer = self._roster.peer_of(kid) if self._roster else None
        if peer is None:
            return None
        with self._lock:
            return self._links.setdefault(peer.name, Link(peer))

    def __iter__(self) -> Iterator[Link]:
        """The nodes of the other members."""
        with self._lock:
            links = list(self._links.values())
        return iter([link for link in links if link.peer.role in ("member", "joiner")])

    # --- the carrier ---

    def send(self, to: str | None, *items: Exchange) -> None:
        """To one of them, or to all: members, and whoever else has been heard lately."""
        with self._lock:
            links = list(self._links.values())
        for link in links:
            if to is None and link.peer.role == "former":
                continue
            if to == link.peer.name or (to is None and self._is_there(link)):
                parts = items
                if to is None and link.peer.role == "observer":
                    parts = tuple(msgspec.structs.replace(item, entries=()) for item in items)
                if link.peer.is_node or _untaken(links, link.peer) < MAX_QUEUED_BYTES:
                    link.queue.put(*parts)
                else:
                    link.queue.dropped += len(parts)

    def untaken(self, peer: Peer) -> int:
        """Bytes that wait for all of its share."""
        with self._lock:
            return _untaken(list(self._links.values()), peer)

    def _is_there(self, link: Link) -> bool:
        """Whether what is put into its queue leaves it: this node knows the way, or is asked."""
        called = link.peer.role == "member" and bool(self._url(link))
        return called or int(time.time() * 1000) - link.seen_ms < GONE_MS

    def _url(self, link: Link) -> str:
        return self._roster.urls.get(link.peer.name, "") if self._roster else ""

    @property
    def relays(self) -> bool:
        """Whether this node is a hub: a member that cannot be called hears others through it."""
        return any(not self._url(link) and self._is_there(link) for link in self)

    def relay(self, source: str, item: Exchange) -> None:
        """Hand on what `source` said, to those whom it may not reach itself: members that nobody
        can call, and all members when it cannot be called either (consensus.md 2.14).
        """
        links = list(self)
        called = any(link.peer.name == source and self._url(link) for link in links)
        for link in links:
            known = called and bool(self._url(link))
            if link.peer.name != source and not known and self._is_there(link):
                link.queue.put(item)

    def heard(self) -> dict[str, int]:
        """When each other member was last heard: POSIX ms, 0 for never."""
        with self._lock:
            return {
                link.peer.org: link.seen_ms
                for link in self._links.values()
                if link.peer.role == "member"
            }

    def others(self) -> list[str]:
        """The names of everybody who is told what is new: members, and whoever was heard lately."""
        with self._lock:
            links = list(self._links.values())
        return [link.peer.name for link in links if self._is_there(link)]

    # --- the ways ---

    def start(self, take: Take, pin: bytes) -> None:
        """Begin to push, and to hold requests open where this node cannot be reached."""
        with self._lock:
            self._take, self._pin = take, pin
            self._connect()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Say no more."""
        with self._lock:
            self._take = None
            for link in self._links.values():
                self._close(link)
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _close(self, link: Link) -> None:
        if link.way is not None:
            link.way.stopping.set()
        link.queue.close()

    def _connect(self) -> None:
        """Threads for every link whose way is new or another one."""
        if self._take is None or self._roster is None or self._signer is None:
            return
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for name, link in self._links.items():
            url = self._roster.urls.get(name, "")
            way, trust = link.way, self._trust_in(name)
            if way is not None and way[:3] == (url, trust, self._signer.kid):
                continue
            if way is not None:
                way.stopping.set()
            link.way = Way(url, trust, self._signer.kid, threading.Event()) if url else None
            if link.way is not None:
                self._run(link, link.way, self._signer, self._take)

    def _run(self, link: Link, way: Way, signer: Signer, take: Take) -> None:
        works = [self._push, self._hold] if self._dial_out else [self._push]
        for work in works:
            thread = threading.Thread(
                target=work,
                args=(link, way, signer, take),
                name=f"link-{link.peer.name}",
                daemon=True,
            )
            thread.start()
            self._threads.append(thread)

    def _push(self, link: Link, way: Way, signer: Signer, take: Take) -> None:
        """Carry what waits, as soon as there is something."""
        failures = 0
        with PeerClient(way.url, signer, trust=way.trust) as client:
            # To who takes part no more, and at the end, what was said still leaves.
            while not way.stopping.is_set() or (link.queue.is_closed and not link.queue.is_drained):
                message = link.queue.take(PUSH_S)
                if message is None:
                    continue
                failures = self._carry(client, link, way, take, message, failures)

    def _hold(self, link: Link, way: Way, signer: Signer, take: Take) -> None:
        """Keep one request open, for whatever the other has to say."""
        failures = 0
        message = Exchange(v=1, pin=self._pin, wait_ms=MAX_WAIT_MS)
        with PeerClient(way.url, signer, MAX_WAIT_MS / 1000 + 10, way.trust) as client:
            while not way.stopping.is_set():
                failures = self._carry(client, link, way, take, message, failures)

    def _carry(
        self,
        client: PeerClient,
        link: Link,
        way: Way,
        take: Take,
        message: Exchange,
        failures: int,
    ) -> int:
        """One request; gives how many in a row have failed."""
        try:
            answer = client.exchange(message, int(time.time()), secrets.token_bytes(16))
            if not answer.is_empty:
                take(link.peer, answer)
        except AllianceError as error:
            if failures == 0:
                log_event(WARNING, "member-unreachable", org=link.peer.org, rule=error.rule)
            way.stopping.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
            return failures + 1
        link.seen_ms = int(time.time() * 1000)
        if failures:
            log_event(INFO, "member-reachable", org=link.peer.org)
        return 0
