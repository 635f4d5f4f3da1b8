"""The entries that wait for a block, and then for its cosignatures; who waits for each of them.

Used by the writer's thread alone.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Final

from ledger.chain import Applied, try_entries
from ledger.errors import AllianceError, ConflictError, unreachable
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from node.driver.state import State
from node.shares import Shares
from node.submissions import Outcome, Published, Submission, Waiting

TRIED: Final = 16
"""So many are tried at a time until one of them is work."""
LATE_MS: Final = 2_000
"""After so long an entry is offered to the others again, and kept on disk."""


class Mempool:
    """What waits, by `id_key`, the oldest first; what others took in is among it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._shares = Shares()
        self.waiting: dict[bytes, Waiting] = {}
        self.unpublished: deque[tuple[int, list[Waiting]]] = deque()
        """Final blocks, by the size of their heads, and who waits for their cosignatures."""
        self.late: list[Entry] = []
        """To be written with this turn."""
        self.kept: set[bytes] = set()
        """The leaf hashes of those that are on the disk."""

    def load(self) -> None:
        """The entries that were kept on disk, for they were promised to somebody."""
        state = self._state
        for entry in state.admission.entries(state.final.tip, state.store.waiting()):
            if isinstance(entry, Entry):
                self.kept.add(entry.leaf)
                self.waiting.setdefault(entry.id_key, Waiting(entry, [], 0))

    def drop_all(self) -> None:
        """After a failure of the disk: callers were told, and what was kept is loaded again."""
        self._state.admission.forget([waiting.entry for waiting in self.waiting.values()])
        self.waiting.clear()

    # --- in ---------------------------------------------------------------------------------------

    def take_in(self, taken: Sequence[Submission]) -> list[Entry]:
        """Entries of clients; the same one again joins the first. Gives those that are new."""
        if not taken:
            return []
        keys = [
            entry.id_key
            for submission in taken
            for entry in submission.entries
            if isinstance(entry, Entry)
        ]
        on_chain = self._state.store.history().find_ids(keys)
        fresh: list[Entry] = []
        for submission in taken:
            for position, entry in enumerate(submission.entries):
                if not isinstance(entry, Entry):
                    self._state.counters[f"refused/{entry.rule}"] += 1
                    submission.settle(position, entry)
                elif self._take_one(submission, position, entry, on_chain):
                    fresh.append(entry)
        return fresh

    def _take_one(
        self, submission: Submission, position: int, entry: Entry, on_chain: Mapping[bytes, bytes]
    ) -> bool:
        """Whether the entry is new here."""
        key = entry.id_key
        waiting = self.waiting.get(key)
        if waiting is None and key not in on_chain:
            now_ms = self._state.clock.now_ms()
            self.waiting[key] = Waiting(entry, [(submission, position)], now_ms)
            return True
        first = waiting.entry if waiting is not None else self._on_chain(on_chain[key])
        if waiting is None or first.statement.signature != entry.statement.signature:
            # It was verified, and goes no further.
            self._state.admission.forget([entry])
        if first.statement.payload != entry.statement.payload:
            self._state.counters["refused/S6"] += 1
            submission.settle(position, ConflictError("S6", id=entry.record.id))
        elif waiting is not None:
            waiting.callers.append((submission, position))
        else:
            self._state.counters["repeated"] += 1
            self._repeat(first, submission, position)
        return False

    def _repeat(self, entry: Entry, submission: Submission, position: int) -> None:
        """It is on the chain: answered now, or with the block that waits to be published."""
        index = self._place_of(entry.leaf)
        for size, unanswered in self.unpublished:
            if index < size:
                since = self._state.clock.now_ms()
                unanswered.append(Waiting(entry, [(submission, position)], since, index))
                return
        submission.settle(position, Published(entry, index, True))

    def _on_chain(self, leaf: bytes) -> Entry:
        return decode_entry(self._state.store.entry(self._place_of(leaf)))

    def _place_of(self, leaf: bytes) -> int:
        index = self._state.store.find_leaf(leaf)
        if index is None:
            unreachable("an id that is on the chain has an entry")
        return index

    def take_over(self, share: str, entries: Sequence[Entry]) -> list[Entry]:
        """Entries that other members took in wait here, too, each in the room of who brought it;
        nobody waits for them here. Gives those that are new.
        """
        fresh = [entry for entry in entries if entry.id_key not in self.waiting]
        if not fresh:
            return []
        state = self._state
        on_chain = state.store.history().find_ids([entry.id_key for entry in fresh])
        now_ms = state.clock.now_ms()
        room = max(0, state.config.max_pending_entries - len(self.waiting))
        unknown = [entry for entry in fresh if entry.id_key not in on_chain]
        admitted = self._shares.admit(share, unknown[:room], self.waiting)
        state.counters["dropped"] += len(unknown) - len(admitted)
        for entry in admitted:
            self.waiting[entry.id_key] = Waiting(entry, [], now_ms)
        # What waits nowhere is not remembered either.
        state.admission.forget([entry for entry in fresh if entry.id_key not in self.waiting])
        return admitted

    def add_own(self, raws: Sequence[bytes]) -> list[Entry]:
        """Records that this node itself hands in. Gives those that are new and pass the rules."""
        state = self._state
        admitted = state.admission.entries(state.final.tip, raws)
        entries = [entry for entry in admitted if isinstance(entry, Entry)]
        on_chain = state.store.history().find_ids([entry.id_key for entry in entries])
        fresh = [e for e in entries if e.id_key not in on_chain and e.id_key not in self.waiting]
        now_ms = state.clock.now_ms()
        self.waiting.update({e.id_key: Waiting(e, [], now_ms) for e in fresh})
        return self.admit(fresh)

    def admit(self, fresh: Sequence[Entry]) -> list[Entry]:
        """Try the rules at once: what they refuse now is answered now, not after consensus. With
        one member the block itself is the trial.
        """
        state = self._state
        refusals = try_entries(
            state.final.tip,
            fresh,
            state.clock.now_ms(),
            state.store.history(),
            state.admission.signatures.verify,
        )
        for refusal in refusals:
            self.refuse(refusal.entry, refusal.error)
        refused = {refusal.entry.leaf for refusal in refusals}
        return [entry for entry in fresh if entry.leaf not in refused]

    def weed(self) -> None:
        """What others took in and the rules refuse is no work: whoever leads is not late with it
        (consensus.md 2.9). From the front, until the rules allow one.
        """
        entries = [waiting.entry for waiting in self.waiting.values()]
        for start in range(0, len(entries), TRIED):
            if self.admit(entries[start : start + TRIED]):
                return

    def late_by(self, now_ms: int) -> list[Entry]:
        """What has waited long. It may have become impossible in the meantime; what has not is
        kept on disk from here on.
        """
        late = [w.entry for w in self.waiting.values() if now_ms - w.since_ms >= LATE_MS]
        if late:
            self.admit(late)
            late = [entry for entry in late if entry.id_key in self.waiting]
            self.late += [entry for entry in late if entry.leaf not in self.kept]
        return late

    def promise(self, submitted: "Future[list[Outcome]]") -> bool:
        """The caller of this request waits no longer: what waits of it is on the way to the disk
        with this turn. Gives whether it was taken in.
        """
        own = [w for w in self.waiting.values() if w.is_of(submitted)]
        closed = any(w.is_of(submitted) for _size, those in self.unpublished for w in those)
        late = {entry.leaf for entry in self.late} | self.kept
        self.late += [w.entry for w in own if w.entry.leaf not in late]
        return bool(own) or closed or submitted.done()

    def keep_all(self) -> None:
        """This node is about to stop: what somebody handed in here goes to the disk."""
        known = {entry.leaf for entry in self.late} | self.kept
        own = [waiting.entry for waiting in self.waiting.values() if waiting.callers]
        self.late += [entry for entry in own if entry.leaf not in known]

    # --- out --------------------------------------------------------------------------------------

    def refuse(self, entry: Entry, error: AllianceError) -> None:
        """The rules do not allow it: whoever waits is told."""
        self._state.counters[f"refused/{error.rule}"] += 1
        self._state.admission.forget([entry])
        for submission, position in self.waiting.pop(entry.id_key).callers:
            submission.settle(position, error)

    def close(self, block: Applied) -> None:
        """A block is final: its entries wait no more, their callers wait for the cosignatures."""
        index = block.tip.seal_index - len(block.entries)
        unanswered: list[Waiting] = []
        for entry in block.entries:
            waiting = self.waiting.pop(entry.id_key, None)
            if waiting is not None and waiting.callers:
                unanswered.append(waiting._replace(place=index))
            index += 1
        self.unpublished.append((block.tip.size, unanswered))
        self._state.admission.forget(block.entries)

    def answer(self, size: int) -> None:
        """A head of this size is published: the callers of all below it are told."""
        while self.unpublished and self.unpublished[0][0] <= size:
            _size, unanswered = self.unpublished.popleft()
            for waiting in unanswered:
                for number, (submission, position) in enumerate(waiting.callers):
                    outcome = Published(waiting.entry, waiting.place, number > 0)
                    submission.settle(position, outcome)

    def fail(self, error: AllianceError) -> None:
        """Tell everybody who still waits for an entry here."""
        unanswered = [waiting for _size, those in self.unpublished for waiting in those]
        for waiting in [*self.waiting.values(), *unanswered]:
            for submission, position in waiting.callers:
                if submission.outcomes[position] is None:
                    submission.settle(position, error)
