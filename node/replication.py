"""Brings to this node's vault what the chain says that it should hold (domain.md D12; SPEC 14.4).

One thread reads the final blocks for payloads that records name, and fetches those of tier T1 that
are missing from any holder that answers. A node that others cannot reach gives its own to them. T2
payloads never move by themselves.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from ledger.encoding import b64url, decode_bundle
from ledger.errors import AllianceError, NotFoundError
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.payloads import check_deposited
from node.clock import wall_ms
from node.driver import Driver
from node.forgetting import Forgetting
from node.links import Link, Links
from node.payloads import Payloads, deposit_of
from node.peerclient import PeerClient
from node.readings import Readings
from node.vault import Named

LOG = logging.getLogger("alliance.node")
PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 30.0
BLOCKS_AT_ONCE: Final = 256
BACKUP_S: Final = 60.0
TURN_S: Final = 5.0
"""So long one attachment may keep the others, and erasures, waiting."""
MAX_TO_GIVE: Final = 10_000
MARKS: Final = (b'"payloads":[', b'"type":"erasure"')
"""One of them stands in every record that is of interest: other blocks are not parsed again."""


class Replication:
    """The thread. `start` it when the driver works, `stop` it before."""

    def __init__(
        self,
        driver: Driver,
        links: Links,
        payloads: Payloads,
        forgetting: Forgetting,
        readings: Readings,
    ) -> None:
        self._readings = readings
        self._driver = driver
        self._links = links
        self._vault = payloads.vault
        self._attachments = payloads.attachments
        self._wanted: set[str] = set()
        self._forgetting = forgetting
        self._org = driver.org
        self._to_give: deque[tuple[Link, str]] = deque(maxlen=MAX_TO_GIVE)
        self._copied: dict[str, int] | None = None
        self._copied_s = 0.0
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replication", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End; what is missing is fetched after the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def wake(self) -> None:
        """There is something to say: do not wait for the chain."""
        self._woken.set()

    def _run(self) -> None:
        failures = 0
        due_s = 0.0
        while not self._stopping.wait(PAUSE_S):
            try:
                if self.read_on() or self._woken.is_set() or time.monotonic() >= due_s:
                    self._woken.clear()
                    failures = 0 if self.move() else failures + 1
                    due_s = time.monotonic() + min(MAX_PAUSE_S, PAUSE_S * 2**failures)
            except AllianceError as error:
                LOG.warning("vault: %s", error)

    def move(self) -> bool:
        """Fetch what is missing, and give what others cannot fetch; says whether nothing is left.

        Raises `StorageError` (O2, O3).
        """
        missing = self._vault.missing(self._org)
        left = [item for item in missing if self._stopping.is_set() or not self._fetch(item)]
        left += [item for item in self._unfinished() if not self._fetch_attachment(item)]
        for _ in range(len(self._to_give)):
            link, commit = self._to_give.popleft()
            if not self._give(link, commit):
                self._to_give.append((link, commit))
        signed = [self._readings.send(), self._forgetting.sign()]
        self._back_up()
        return all(signed) and not left and not self._to_give

    def _back_up(self) -> None:
        """Copy the vault where that is wanted, when it changed, and not too often."""
        config, counts = self._driver.config, self._vault.counts()
        if not config.vault_backup or counts == self._copied:
            return
        if self._copied is not None and time.monotonic() < self._copied_s + BACKUP_S:
            return
        self._vault.back_up(config.home / config.vault_backup)
        self._copied, self._copied_s = counts, time.monotonic()

    def read_on(self) -> bool:
        """Take in what the newest final blocks name; says whether there were any. Raises
        `StorageError` (O2, O3). From any thread.
        """
        with self._reading:
            return self._read_on()

    def _read_on(self) -> bool:
        first = self._vault.height + 1
        last = self._driver.final.tip.height
        if first > last:
            return False
        last = min(last, first + BLOCKS_AT_ONCE - 1)
        blocks = self._driver.store.blocks(first, last - first + 1)
        bodies = (block.body for block in blocks)
        entries = [entry for body in bodies for entry in _concerning(body)]
        named = [item for entry in entries for item in _named(entry)]
        if entries:
            self._vault.name(named)
            self._forgetting.obey(entries)
        self._vault.advance(last, asked=bool(entries))
        if self._driver.config.dial_out:
            self._to_give.extend(
                (link, item.commit)
                for item in named
                for link in self._links
                if item.tier == "T1" and link.url and link.org in item.holders
            )
        return True

    def catch_up(self) -> None:
        """Take in everything up to the final head: what a node answers of payloads, and what it
        lets somebody erase, does not depend on how far its thread has come. Raises as `read_on`.
        """
        while self.read_on():
            pass

    def fetch(self, commit: str) -> bool:
        """Bring a restricted payload that this organisation is to hold, because somebody who may
        read it asks: it does not move by itself.
        """
        named = self._vault.named(commit)
        return any(self._fetch(item) for item in named if self._org in item.holders)

    def _fetch(self, item: Named) -> bool:
        for link in self._links:
            if link.org not in item.holders or not link.url:
                continue
            try:
                with self._links.client(link, self._driver.membership.signer) as client:
                    deposit = client.payload(item.commit)
                check_deposited(deposit, item.commit)
                self._vault.put(deposit, f"node:{link.org}", wall_ms())
            except AllianceError as error:
                LOG.debug("%s: payload %s: %s", link.org, item.commit, error)
            else:
                return True
        return False

    # --- attachments ---

    def want(self, commit: str) -> None:
        """Have the attachment of a restricted payload brought: somebody who may read it asks."""
        self._wanted.add(commit)
        self.wake()

    def _unfinished(self) -> list[Named]:
        """The attachments that this organisation should hold whole and does not."""
        unfinished = set(self._vault.unfinished())
        named = [item for commit in unfinished for item in self._vault.named(commit)]
        return [
            item
            for item in named
            if self._org in item.holders and (item.tier == "T1" or item.commit in self._wanted)
        ]

    def _fetch_attachment(self, item: Named) -> bool:
        """Bring what is missing of an attachment, as far as one turn goes; says whether all of it
        is here. It goes on where it was.
        """
        until_s = time.monotonic() + TURN_S
        for link in self._links:
            if link.org not in item.holders or not link.url:
                continue
            try:
                with self._links.client(link, self._driver.membership.signer) as client:
                    have, count = self._attachments.have(item.commit)
                    while have < count and time.monotonic() < until_s:
                        if self._stopping.is_set():
                            return False
                        data = client.chunk(item.commit, have)
                        have, count = self._attachments.take(item.commit, have, data)
            except AllianceError as error:
                LOG.debug("%s: attachment %s: %s", link.org, item.commit, error)
            else:
                if have < count:
                    self.wake()  # there is more of it: no need to wait long
                    return False
                self._wanted.discard(item.commit)
                return True
        return False

    def _give_attachment(self, client: PeerClient, commit: str) -> bool:
        """Hand on what the other holder lacks of an attachment, as far as one turn goes."""
        if commit in self._vault.unfinished():
            return False
        try:
            state = client.attachment(commit)
        except NotFoundError as error:
            if error.rule == "T15":
                return True
            raise
        until_s = time.monotonic() + TURN_S
        for number in range(state.have, state.count):
            if self._stopping.is_set() or time.monotonic() >= until_s:
                return False
            client.put_chunk(commit, number, self._attachments.give(commit, number))
        return True

    def _give(self, link: Link, commit: str) -> bool:
        """Hand a payload to a holder that cannot ask for it; says whether that is done with."""
        try:
            deposit = deposit_of(self._vault.read(commit))
            with self._links.client(link, self._driver.membership.signer) as client:
                client.give(deposit)
                return self._give_attachment(client, commit)
        except NotFoundError as error:
            # Not in this vault, or erased: nothing to give. T3 of the other one: it is behind.
            return error.rule != "T3" or self._is_absent(commit)
        except AllianceError as error:
            LOG.debug("%s: payload %s: %s", link.org, commit, error)
            return False

    def _is_absent(self, commit: str) -> bool:
        try:
            self._vault.holding(commit)
        except NotFoundError:
            return True
        return False


def _concerning(body: bytes) -> Iterator[Entry]:
    """The records of a block that name payloads, or say that some were erased."""
    if not any(mark in body for mark in MARKS):
        return
    for raw in decode_bundle(body)[:-1]:
        if any(mark in raw for mark in MARKS):
            yield decode_entry(raw)


def _named(entry: Entry) -> Iterator[Named]:
    for payload in entry.record.payloads:
        yield Named(
            payload.commit,
            payload.tier,
            payload.holders,
            b64url(entry.leaf),
            entry.statement.iss,
        )
