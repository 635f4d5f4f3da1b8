"""The ways to the other members: one queue, and at most two threads, for each (consensus.md 2.14).

What is to be said to a member waits in its queue. It leaves with the next request of a thread that
pushes, where the member's address is known; or with the answer to a request of its own. A node
that others cannot reach holds such a request open to each of them. Whatever is lost on the way is
offered again by consensus: nothing here is tried twice.
"""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from logging import INFO, WARNING
from typing import Final, NamedTuple

from ledger.crypto import EDDSA, Signer
from ledger.errors import AllianceError
from ledger.members import EpochConfig
from node.client import PeerClient
from node.httpsig import Key
from node.logs import log_event
from node.wire import MAX_ITEMS, MAX_WAIT_MS, Exchange

MAX_QUEUED_BYTES: Final = 64 << 20
"""What waits for one member at most; beyond that the oldest is dropped."""
MESSAGE_BYTES: Final = 8 << 20
PUSH_S: Final = 1.0
RETRY_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FACT_BYTES: Final = 512

Take = Callable[[int, Exchange], None]
"""What to do with a message of a member."""


class Queue:
    """What waits to be said to one member."""

    def __init__(self) -> None:
        self._parts: deque[tuple[Exchange, int]] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._closed = False
        self.dropped = 0

    def put(self, part: Exchange) -> None:
        """Never waits; the oldest makes room."""
        size = size_of(part)
        with self._wake:
            self._parts.append((part, size))
            self._bytes += size
            while self._bytes > MAX_QUEUED_BYTES and len(self._parts) > 1:
                self._bytes -= self._parts.popleft()[1]
                self.dropped += 1
            self._wake.notify()

    def take(self, wait_s: float) -> Exchange | None:
        """As much as one message carries; None when nothing comes in time."""
        with self._wake:
            if not self._parts and not self._closed and wait_s > 0:
                self._wake.wait(wait_s)
            if not self._parts:
                return None
            part, total = self._parts.popleft()
            parts = [part]
            while self._parts and len(parts) < MAX_ITEMS:
                total += self._parts[0][1]
                if total > MESSAGE_BYTES:
                    break
                parts.append(self._parts.popleft()[0])
            self._bytes -= sum(map(size_of, parts))
        return merged(parts)

    def close(self) -> None:
        """Whoever waits goes home."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()


def size_of(part: Exchange) -> int:
    """About how many bytes a part takes on the way."""
    items = (*part.blocks, *part.entries, *part.cosignatures)
    return FACT_BYTES * (1 + len(part.facts)) + sum(map(len, items))


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
        entries=tuple(entry for part in parts for entry in part.entries),
        cosignatures=tuple(note for part in parts for note in part.cosignatures),
        wants=tuple(want for part in parts for want in part.wants)[-64:],
    )


class Link(NamedTuple):
    """One other member."""

    member: int
    """Its index in the configuration."""
    org: str
    url: str
    """Empty when it is not known where this member listens."""
    queue: Queue
    seen: list[int]
    """When a message of it was last taken in, POSIX ms; 0 is never."""


class Links:
    """The ways to all other members of a configuration; a `node.driver.Carrier`."""

    def __init__(
        self, config: EpochConfig, signer: Signer, urls: dict[str, str], *, dial_out: bool
    ) -> None:
        self._signer = signer
        self._dial_out = dial_out
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        own = config.index_of(signer.public_key)
        self.by_index = {
            index: Link(index, member.org, urls.get(member.org, ""), Queue(), [0])
            for index, member in enumerate(config.members)
            if index != own
        }
        self._indexes = {
            kid: config.members.index(member) for kid, member in config.node_kids.items()
        }
        self._keys = dict(zip(config.node_kids, config.node_keys, strict=True))

    def __iter__(self) -> Iterator[Link]:
        return iter(self.by_index.values())

    def find_key(self, kid: str) -> Key | None:
        """The node key of a member of this configuration."""
        public_key = self._keys.get(kid)
        return None if public_key is None else Key(EDDSA, public_key)

    def link_of(self, kid: str) -> Link | None:
        """The link to the member with this node key; None for this node itself."""
        return self.by_index.get(self._indexes[kid])

    def send(self, to: int | None, item: Exchange) -> None:
        """To one member, or to all others."""
        for link in self if to is None else [self.by_index[to]] if to in self.by_index else []:
            link.queue.put(item)

    def heard(self) -> dict[str, int]:
        """When each other member was last heard: POSIX ms, 0 for never."""
        return {link.org: link.seen[0] for link in self}

    def start(self, take: Take, pin: bytes) -> None:
        """Begin to push, and to hold requests open where this node cannot be reached."""
        for link in self:
            if not link.url:
                continue
            works = [self._push, self._hold] if self._dial_out else [self._push]
            for work in works:
                thread = threading.Thread(
                    target=work, args=(link, take, pin), name=f"link-{link.org}", daemon=True
                )
                thread.start()
                self._threads.append(thread)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Say no more."""
        self._stopping.set()
        for link in self:
            link.queue.close()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _push(self, link: Link, take: Take, _pin: bytes) -> None:
        """Carry what waits, as soon as there is something."""
        failures = 0
        with PeerClient(link.url, self._signer) as client:
            while not self._stopping.is_set():
                message = link.queue.take(PUSH_S)
                if message is None:
                    continue
                failures = self._carry(client, link, take, message, failures)

    def _hold(self, link: Link, take: Take, pin: bytes) -> None:
        """Keep one request open, for whatever the other has to say."""
        failures = 0
        message = Exchange(v=1, pin=pin, wait_ms=MAX_WAIT_MS)
        with PeerClient(link.url, self._signer, MAX_WAIT_MS / 1000 + 10) as client:
            while not self._stopping.is_set():
                failures = self._carry(client, link, take, message, failures)

    def _carry(
        self, client: PeerClient, link: Link, take: Take, message: Exchange, failures: int
    ) -> int:
        """One request; gives how many in a row have failed."""
        try:
            answer = client.exchange(message, int(time.time()), secrets.token_bytes(16))
            take(link.member, answer)
        except AllianceError as error:
            if failures == 0:
                log_event(WARNING, "member-unreachable", org=link.org, rule=error.rule)
            self._stopping.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])
            return failures + 1
        link.seen[0] = int(time.time() * 1000)
        if failures:
            log_event(INFO, "member-reachable", org=link.org)
        return 0
