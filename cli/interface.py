"""The Python interface for researchers and data platforms.

    from cli.interface import Alliance

    with Alliance("alliance-home") as alliance:
        with alliance.use("GTEx@8", permit="P-7", person="9f2c...") as use:
            frame = read_parquet(path)
            use.count(len(frame))

A use is written down before it begins and recorded when it ends, with its real start, end and
outcome: `ok`, `error` when the block raises, `denied` for a `PermissionError`, `unknown` when the
process dies in the middle. While the node is down it waits, signed, in the home directory, and is
sent with a later one, by `Alliance.send`, or by `alliance outbox send`. `async with` works as well.
"""

import asyncio
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from cli.options import DEFAULT_HOME, Place
from cli.outbox import TRY_LATER, Begun, Outbox, Sent, ending_of
from cli.session import Recorded, Session
from cli.statements import clock_ms
from ledger.errors import AllianceError

BUCKETS: Final = ((0, "0"), (9, "1-9"), (99, "10-99"), (999, "100-999"))
"""How many records a use gave: exact numbers stay outside the ledger (domain.md D12)."""

Status = Literal["open", "waiting", "recorded", "refused"]


class QueuedWarning(UserWarning):
    """A use is not recorded yet: the node cannot take it now. It waits in the outbox."""


class Alliance:
    """A home directory, its key and its node, for use from Python; threads may share it.

    `key` names the key that signs, `system` the source whose numbers the uses take: one for each
    platform. Raises `ConfigError` or `NotFoundError` at once where home or key are missing.
    """

    def __init__(
        self,
        home: str | Path = DEFAULT_HOME,
        *,
        node: str | None = None,
        key: str = "system",
        passphrase_file: Path | None = None,
        system: str = "python",
    ) -> None:
        self.system = system
        self._session = Session(Place(Path(home), node, passphrase_file, key))
        self._outbox = Outbox(Path(home))
        self._sending = threading.Lock()
        # Asked for here, while somebody looks: not at the end of a long computation.
        self._client = self._session.client

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; what waits stays in the outbox."""
        self._session.close()

    def use(
        self,
        dataset: str,
        *,
        permit: str | None = None,
        person: str | None = None,
        purpose: str | None = None,
        action: str = "read",
        activity: str = "USE",
        channel: str = "api",
    ) -> "Use":
        """A use of a dataset (`SERIES` or `SERIES@VERSION`), for `with` or `async with`.

        Entering raises `MalformedError` (X2) or `RefusedError` (S8) for words that no ledger takes,
        and `UnreachableError` (O7) where the node is down and this home has never seen it: nothing
        is used without a record.
        """
        fields = {
            "action": action,
            "activity": activity,
            "channel": channel,
            "dataset": dataset,
            "permit": permit,
            "person": person,
            "purpose": purpose,
        }
        return Use(self, fields)

    def send(self) -> list[Sent]:
        """Send what waits; gives what became of each. Raises what says "later", see `Outbox`."""
        with self._sending:
            return list(self._outbox.send(self._session))

    @property
    def waiting(self) -> int:
        """How many uses are signed and not recorded yet."""
        return len(self._outbox.waiting())

    def _begin(self, fields: dict[str, str | None]) -> Begun:
        with self._sending:
            return self._outbox.begin(self._session, self.system, fields, clock_ms())


class Use:
    """One use of a dataset. `status` says how far its record is, `recorded` where it stands."""

    def __init__(self, alliance: Alliance, fields: dict[str, str | None]) -> None:
        self._alliance = alliance
        self._fields = fields
        self._begun: Begun | None = None
        self._bucket: str | None = None
        self.outcome: str | None = None
        """Set it (`ok`, `denied`, `error`, `unknown`) where the block knows better."""
        self.status: Status = "open"
        self.recorded: Recorded | None = None
        self.error: AllianceError | None = None
        """Why the record was refused, or waits."""

    @property
    def number(self) -> int | None:
        """The number of this use in its source; None before it began."""
        return self._begun.number if self._begun else None

    def count(self, records: int) -> None:
        """Say how many records the use gave; the ledger keeps the order of magnitude."""
        self._bucket = next((name for limit, name in BUCKETS if records <= limit), "1000+")

    def __enter__(self) -> Self:
        self._begun = self._alliance._begin(self._fields)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._begun is None:
            return
        ending = ending_of(self.outcome or _outcome_of(kind), clock_ms())
        if self._bucket is not None:
            ending["count_bucket"] = self._bucket
        self._begun.end(ending)
        self.status = "waiting"
        self._send(error)

    def _send(self, error: BaseException | None) -> None:
        """Send it, and what waits before it. The block's own exception always goes first."""
        try:
            self._take(self._alliance.send())
        except TRY_LATER as later:
            self.error = later
            warnings.warn(QueuedWarning(later.sentence("en")), stacklevel=3)
        if self.status == "refused" and self.error is not None:
            if error is None:
                raise self.error
            error.add_note(f"The use was refused: {self.error.sentence('en')}")

    def _take(self, sent: Sequence[Sent]) -> None:
        """Find this use among those sent."""
        if self._begun is None:
            return
        for one in sent:
            if one.id == self._begun.draft.id:
                self.recorded, self.error = one.recorded, one.error
                self.status = "recorded" if one.recorded else "refused"

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)


def _outcome_of(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "ok"
    return "denied" if issubclass(kind, PermissionError) else "error"
