"""The state of a block in the making: the parent's map under the changes of the records so far.

What every record changes (subject logs, source numbers) is kept in plain form and encoded once for
the block.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from ledger.encoding import b64url, unb64url
from ledger.errors import unreachable
from ledger.members import EpochConfig, Verify
from ledger.records.envelope import Shape
from ledger.rules.standing import UseDays
from ledger.rules.values import (
    ConfigState,
    Count,
    DecisionState,
    MemberState,
    PolicyState,
    SourceChunk,
    SourceState,
    SubjectLog,
)
from ledger.state import SUBJECT_START, State, state_key, subject_head

CHUNK = 1024
POLICY = state_key("policy", "current")
NEXT_POLICY = state_key("policy", "next")
NEXT_CONFIG = state_key("config", "next")
V = TypeVar("V", bound=Shape)


class At(NamedTuple):
    """Where a record stands: the height of its block and the time of its seal (POSIX ms)."""

    height: int
    time_ms: int


class Located(msgspec.Struct, frozen=True, gc=False):
    """An earlier entry that a record refers to."""

    at: int
    """Its index in the tree."""
    type: str
    org: str
    sub: str


Numbers = Mapping[tuple[str, int], int]
"""Numbers of sources, as a bitmap for each source and 1,024 consecutive numbers."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one record does: changes of the map, findings, subject logs joined, source numbers
    used.
    """

    changes: Mapping[bytes, Shape]
    findings: tuple[str, ...]
    subjects: tuple[str, ...]
    numbers: Numbers = MappingProxyType({})
    close: tuple[str, int, int] | None = None
    """A source that is closed: its name, its last number, and up to where it has no hole."""
    days: Numbers = MappingProxyType({})
    """Days (since 1970) on which custodians recorded the use of `dataset@permit`."""


class Tally:
    """A source in the making: `SourceState` in plain numbers."""

    __slots__ = ("closed", "complete", "count", "last")

    def __init__(self, state: SourceState | None) -> None:
        self.closed = state.closed if state else 0
        self.complete = state.complete if state else 0
        self.count = state.count if state else 0
        self.last = state.last if state else 0


def pending_config(newest: object, current: EpochConfig) -> ConfigState | None:
    """The newest configuration of a state, unless its epoch has begun: never two are pending."""
    if isinstance(newest, ConfigState) and newest.config.epoch == current.epoch + 1:
        return newest
    return None


def _no_signature(_alg: int, _key: bytes, _signature: bytes, _message: bytes) -> bool:
    """Block 0 holds no signatures inside records."""
    return False


class Draft:
    """Reads through to the parent state; takes the outcomes of records in order; flushes once."""

    def __init__(
        self,
        parent: State,
        resolved: Mapping[bytes, Located | None],
        configs: tuple[EpochConfig, ...] = (),
        verify: Verify = _no_signature,
    ) -> None:
        self.parent = parent
        self.resolved = resolved
        self.configs = configs
        """The configurations of all epochs so far, the one in force last; none in block 0."""
        self.verify = verify
        self._activated = state_key("config", str(len(configs)))
        self.changes: dict[bytes, Shape] = {}
        self._read: dict[bytes, object] = {}
        self._logs: defaultdict[str, list[bytes]] = defaultdict(list)
        self._sources: dict[str, Tally] = {}
        self._chunks: dict[tuple[str, int], int] = {}
        self._days: dict[tuple[str, int], int] = {}
        # Only what an accepted record changed is flushed: a refused one must leave no trace in the
        # state.
        self._used: set[tuple[str, int]] = set()
        self._touched: set[str] = set()

    def get(self, kind: type[V], namespace: str, name: str) -> V | None:
        """The value under this key now, or None."""
        return self._get(kind, state_key(namespace, name))

    def _get(self, kind: type[V], key: bytes) -> V | None:
        value: object = self.changes.get(key)
        if value is None:
            try:
                value = self._read[key]
            except KeyError:
                value = self._read[key] = self.parent.get(key)
        if value is None or isinstance(value, kind):
            return value
        unreachable("a namespace holds one kind of value")

    def accept(self, leaf: bytes, outcome: Outcome) -> None:
        """Take one record's outcome; nothing before this call changed anything."""
        if outcome.changes:
            self.changes.update(outcome.changes)
        logs = self._logs
        for subject in outcome.subjects:
            logs[subject].append(leaf)
        for place, bits in outcome.numbers.items():
            self._use(place, bits)
        for place, bits in outcome.days.items():
            self._days[place] = self.use_days(place) | bits
        if outcome.close:
            source, last, complete = outcome.close
            tally = self.tally(source)
            tally.closed, tally.complete = last, complete
            self._touched.add(source)

    def _log(self, subject: str, leaves: Sequence[bytes]) -> SubjectLog:
        stored = self.get(SubjectLog, "subject", subject)
        count, head = (stored.count, unb64url(stored.head, 32)) if stored else (0, SUBJECT_START)
        for leaf in leaves:
            head = subject_head(head, leaf)
        return SubjectLog(count=count + len(leaves), head=b64url(head))

    def tally(self, source: str) -> Tally:
        """The running numbers of a source."""
        tally = self._sources.get(source)
        if tally is None:
            tally = self._sources[source] = Tally(self.get(SourceState, "source", source))
        return tally

    def _chunk(self, place: tuple[str, int]) -> int:
        bits = self._chunks.get(place)
        if bits is None:
            stored = self.get(SourceChunk, "source-chunk", f"{place[0]}/{place[1]}")
            bits = int.from_bytes(unb64url(stored.bits, CHUNK // 8), "little") if stored else 0
            self._chunks[place] = bits
        return bits

    def use_days(self, place: tuple[str, int]) -> int:
        """The days of a chunk of 1,024 on which `dataset@permit` was used, as a bitmap."""
        bits = self._days.get(place)
        if bits is None:
            stored = self.get(UseDays, "use-days", f"{place[0]}/{place[1]}")
            bits = int.from_bytes(unb64url(stored.bits, CHUNK // 8), "little") if stored else 0
        return bits

    def is_used(self, numbers: Numbers) -> bool:
        """Whether any of these numbers was used before."""
        for place, bits in numbers.items():
            if self._chunk(place) & bits:
                return True
        return False

    def _use(self, place: tuple[str, int], bits: int) -> None:
        known = self._chunk(place)
        fresh = bits ^ (bits & known)
        if not fresh:
            return
        source, number = place
        self._chunks[place] = known | fresh
        self._used.add(place)
        self._touched.add(source)
        tally = self.tally(source)
        tally.count += fresh.bit_count()
        tally.last = max(tally.last, number * CHUNK + fresh.bit_length() - 1)

    def complete_to(self, source: str, limit: int) -> int:
        """The largest number, up to `limit`, to which this source has no hole; walks on from where
        its last close stood, and so over no chunk twice.
        """
        number = self.tally(source).complete + 1
        while number <= limit:
            # The ones from `number` to the end of its chunk; below it all are known to be used.
            rest = self._chunk((source, number // CHUNK)) >> (number % CHUNK)
            run = (~rest & (rest + 1)).bit_length() - 1
            number += run
            if run == 0 or number % CHUNK:
                break
        return min(number - 1, limit)

    def flush(self) -> dict[bytes, Shape]:
        """All changes of the block, ready for one update of the map."""
        changes = dict(self.changes)
        for subject, leaves in self._logs.items():
            changes[state_key("subject", subject)] = self._log(subject, leaves)
        for source in sorted(self._touched):
            tally = self._sources[source]
            changes[state_key("source", source)] = SourceState(
                closed=tally.closed, complete=tally.complete, count=tally.count, last=tally.last
            )
        for source, number in sorted(self._used):
            bits = self._chunks[source, number].to_bytes(CHUNK // 8, "little")
            changes[state_key("source-chunk", f"{source}/{number}")] = SourceChunk(
                bits=b64url(bits)
            )
        for (use, number), days in sorted(self._days.items()):
            changes[state_key("use-days", f"{use}/{number}")] = UseDays(
                bits=b64url(days.to_bytes(CHUNK // 8, "little"))
            )
        return changes

    def latest_policy(self) -> PolicyState:
        """The newest policy, whether or not its time has come."""
        newest = self._get(PolicyState, NEXT_POLICY) or self._get(PolicyState, POLICY)
        if newest is None:
            unreachable("block 0 sets the first policy")
        return newest

    def policy(self, at: At) -> PolicyState:
        """The policy in force at the seal's time."""
        newest = self.latest_policy()
        if newest.from_ms <= at.time_ms:
            return newest
        current = self._get(PolicyState, POLICY)
        return current or newest

    def pending(self) -> ConfigState | None:
        """The configuration that took effect and is not activated yet."""
        return pending_config(self._get(ConfigState, NEXT_CONFIG), self.configs[-1])

    @property
    def activated(self) -> EpochConfig | None:
        """The configuration that a record of this block activated: nothing may follow that
        record.
        """
        state = self.changes.get(self._activated)
        return state.config if isinstance(state, ConfigState) else None

    def member(self, org: str) -> MemberState | None:
        """An organisation's membership."""
        return self.get(MemberState, "member", org)

    def admitted(self) -> int:
        """How many organisations are ADMITTED."""
        count = self.get(Count, "members", "admitted")
        return count.n if count else 0

    def decision(self, leaf: str) -> DecisionState | None:
        """How the co-decision on a record stands."""
        return self.get(DecisionState, "decision", leaf)
