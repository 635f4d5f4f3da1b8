"""Readings of restricted payloads go on the chain before the payload leaves (domain.md D12; SPEC
14.3).

The record is an `access` of `payload/<commit>`, signed by this node and numbered without holes. It
is in the vault, signed, before it is handed in; whatever happens then, it gets on the chain. So a
record may stand without its payload having left; never the other way round.
"""

import asyncio
import secrets
from threading import Lock
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool

from ledger.encoding import encode_time, encode_uuid7
from ledger.errors import AllianceError, BusyError, StorageError
from ledger.records.envelope import ENCODE, Record
from ledger.records.use import PAYLOAD, AccessBody, Source
from ledger.rules.guard import check_personal_data
from ledger.rules.values import SourceState
from ledger.state import state_key
from node.driver import Driver
from node.identity import Identity
from node.logs import LOG
from node.signing import sign_record
from node.submissions import Outcome, Published
from node.vault import Vault

SYSTEM: Final = "vault"
"""What numbers the readings: a source of the node's organisation (SPEC 5.6)."""
ANSWER_S: Final = 30


class Why(NamedTuple):
    """What a reader says that a reading is for."""

    purpose: str | None = None
    permit: str | None = None


class Readings:
    """Puts readings on the chain, for one node."""

    def __init__(self, driver: Driver, vault: Vault) -> None:
        self._driver = driver
        self._vault = vault
        self._lock = Lock()
        self._asked: set[int] = set()
        """Numbers whose readers wait for them now."""

    async def record(self, commit: str, author: Identity, why: Why) -> None:
        """Return when this reading is on the chain.

        Raises `BusyError` (T11, O4) while it is not, or what the rules refuse it with.
        """
        number, raw = await run_in_threadpool(self._note, commit, author, why)
        try:
            async with asyncio.timeout(self._driver.config.wait_ms / 1000):
                submitted = asyncio.wrap_future(self._driver.submit([raw]))
                outcome = (await asyncio.shield(submitted))[0]
            await run_in_threadpool(self._settle, number, outcome)
        except TimeoutError:
            raise BusyError("T11", commit=commit) from None
        finally:
            with self._lock:
                self._asked.discard(number)
        if not isinstance(outcome, Published):
            raise outcome

    def _note(self, commit: str, author: Identity, why: Why) -> tuple[int, bytes]:
        """The number and the entry of a reading, safe in the vault. Who asks again, because the
        chain took too long, finds the one that waits.
        """
        now_ms = self._driver.clock.now_ms()
        about = ENCODE([commit, author.key, *why]).decode()
        check_personal_data(self._record(1, now_ms, commit, author, why))
        with self._lock:
            for number, raw in self._vault.waiting_readings(about):
                if number not in self._asked:
                    self._asked.add(number)
                    return number, raw
            source = self._driver.final.tip.state.get(
                state_key("source", f"{self._driver.org}/{SYSTEM}")
            )
            used = source.last if isinstance(source, SourceState) else 0
            number = max(used, self._vault.last_reading()) + 1
            record = self._record(number, now_ms, commit, author, why)
            raw = sign_record(self._driver.membership.signer, self._driver.org, record, {})
            self._vault.note_reading(number, about, raw)
            self._asked.add(number)
        return number, raw

    def _record(
        self, number: int, now_ms: int, commit: str, author: Identity, why: Why
    ) -> Record[AccessBody]:
        body = AccessBody(
            action="read",
            activity="payload-release",
            channel="api",
            dataset=PAYLOAD + commit,
            outcome="ok",
            permit=why.permit,
            person=reader(author),
            purpose=why.purpose,
            source=Source(seq=number, system=SYSTEM),
        )
        return Record(
            at=encode_time(now_ms),
            body=body,
            chain=self._driver.final.tip.chain,
            id=encode_uuid7(now_ms, secrets.token_bytes(32)),
            type="access",
            v=1,
        )

    def _settle(self, number: int, outcome: Outcome) -> None:
        """It is on the chain, or nobody has to wait for it any more: the rules refuse it."""
        if isinstance(outcome, Published):
            self._vault.settle_reading(number)
        elif not isinstance(outcome, BusyError | StorageError):
            LOG.warning("reading refused: %s", outcome)
            self._vault.settle_reading(number, unused=True)

    def send(self) -> bool:
        """Hand in again what nobody waits for and is not known to be on the chain; says whether
        nothing is left.
        """
        with self._lock:
            left = [item for item in self._vault.waiting_readings() if item[0] not in self._asked]
        try:
            for number, raw in left:
                outcome = self._driver.submit([raw]).result(ANSWER_S)[0]
                self._settle(number, outcome)
        except (AllianceError, TimeoutError) as error:
            LOG.info("reading waits: %s", error)
            return False
        return True


def reader(author: Identity) -> str:
    """How the chain names a reader: the pid of a researcher, else whose key it is, never a name."""
    if author.role == "researcher":
        return author.subject
    return f"ext:{'node' if author.role == 'node' else 'key'}:{author.key}"
