"""How a node that is behind gets the blocks that it lacks (consensus.md 2.15; SPEC 11.7): first the
ends of all epochs, a few kB each, then runs of blocks from several members at once, each verified
for itself when it arrives. They go into the machine in order, as blocks and a certificate like any
others: there is no second way for a block to become final.

Whoever gives nothing in time is asked for less after a while, and somebody else is asked instead;
whoever gives what does not verify is asked last of all.

Used by the writer's thread alone.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from logging import INFO, WARNING
from typing import Final, NamedTuple

from ledger import consensus as agree
from node.admission import Delivery, Epochs, Run
from node.driver.blocks import Blocks
from node.driver.state import State
from node.logs import log_event
from node.roster import Peer
from node.wire import Want

MAX_RUN: Final = 64
"""Blocks that a member is asked for at a time."""
MIN_RUN: Final = 4
MAX_RUNS: Final = 8
"""Runs that are asked for, or wait for those below them."""
STALL_MS: Final = 5_000
"""After so long without an answer somebody else is asked; twice as long each time."""
MAX_DOUBLINGS: Final = 4
SLOW_MS: Final = 30_000
LIAR_MS: Final = 3_600_000
"""For so long whoever gave nothing, or something wrong, is asked only where nobody else is left."""
FEW: Final = 8
"""Who lacks fewer blocks has them on their way: one member is asked, once for each time that
consensus wants them.
"""
REPORT_MS: Final = 5_000


class Ask(NamedTuple):
    """What a member was asked for."""

    first: int
    last: int
    until_ms: int


class Catchup:
    """Whom to ask for which blocks, and what of them is here."""

    def __init__(self, state: State, blocks: Blocks, step: Callable[..., None]) -> None:
        self._state = state
        self._blocks = blocks
        self._step = step
        self._feeding: set[bytes] = set()
        self._lacking = False
        self._asked: dict[str, Ask] = {}
        self._runs: dict[int, Run] = {}
        self._epochs = Epochs((), ())
        self._epochs_asked: dict[str, int] = {}
        self._shunned: dict[str, int] = {}
        self._told: set[str] = set()
        self._tries: Counter[int] = Counter()
        self._size = MAX_RUN
        self._reported_ms = 0

    def begin(self) -> None:
        """The machine is a new one: what was asked for it is forgotten."""
        self._asked.clear()
        self._runs.clear()
        self._lacking = False

    @property
    def due_ms(self) -> int | None:
        """When there is something to do without being asked: 0 is now."""
        if self._next_run() is not None:
            return 0
        times = [ask.until_ms for ask in self._asked.values()]
        return min([*times, *self._epochs_asked.values()], default=None)

    @property
    def _height(self) -> int:
        return self._state.final.tip.height

    def lack(self) -> None:
        """The machine has heard of final blocks that it does not have."""
        self._lacking = True

    def brings(self, block: bytes) -> bool:
        """Whether nobody need be asked for this block: it is on its way into the machine, or so
        many are lacking that they come in runs.
        """
        return block in self._feeding or (self._state.behind or 0) >= FEW

    def covers(self, height: int) -> bool:
        """Whether the final blocks up to this height are asked for, or are with this turn. Once
        others have spoken, what one member alone claims keeps nobody from asking for a block.
        """
        heights = [ask.last for ask in self._asked.values()]
        if self._lacking:
            heights += [claim.final_height for claim in self._state.membership.claims.values()]
        behind = self._state.behind
        there = height if behind is None else self._height + behind
        return height <= min(max(heights, default=0), there)

    # --- what comes -------------------------------------------------------------------------------

    def learn(self, peer: Peer, delivery: Delivery, now_ms: int) -> None:
        """Runs and ends of epochs that a member gave, or that it gave what does not verify."""
        if delivery.lied:
            if self._shun(peer.name, now_ms + LIAR_MS):
                log_event(WARNING, "catch-up-refused", org=peer.org, height=self._height)
        if delivery.epochs is not None:
            self._epochs_asked.pop(peer.name, None)
            if len(delivery.epochs.configs) > len(self._epochs.configs):
                self._epochs = delivery.epochs
                self._state.admission.epochs = delivery.epochs.configs
        if not delivery.runs:
            return
        ask = self._asked.pop(peer.name, None)
        if ask is not None:
            self._tries.pop(ask.first, None)
            self._told.discard(peer.name)
            self._size = min(MAX_RUN, 2 * self._size)
        for run in delivery.runs:
            # Nobody fills the memory with runs that were not asked for: the lowest are kept.
            self._runs.setdefault(run.first, run)
            while len(self._runs) > 2 * MAX_RUNS:
                del self._runs[max(self._runs)]

    def feed(self, now_ms: int) -> None:
        """The next run into the machine, if it is here: one in a turn, so that others are heard."""
        run = self._next_run()
        if run is None:
            return
        del self._runs[run.first]
        final = self._height
        bodies = [body for body in run.bodies if body.info.height > final]
        held = self._blocks.bodies
        for body in bodies:
            held.setdefault(body.info.id, body)
        self._feeding = {body.info.id for body in bodies}
        # Certified blocks always find room in the machine.
        self._step(agree.Received(run.certificate, now_ms))
        self._step(*(agree.BlockReceived(body.info, now_ms) for body in bodies))
        self._feeding = set()
        for body in bodies:
            if not self._state.machine.holds(body.info.id):
                held.pop(body.info.id, None)

    def _next_run(self) -> Run | None:
        """What continues the chain; what lies below its end is forgotten."""
        final, epoch = self._height, self._state.machine.config.epoch
        self._runs = {at: run for at, run in self._runs.items() if run.last > final}
        fits = [r for r in self._runs.values() if r.first <= final + 1 and r.epoch == epoch]
        return max(fits, key=lambda run: run.last, default=None)

    # --- what is asked for ------------------------------------------------------------------------

    def ask(self, now_ms: int) -> None:
        """Every member that has something and is not asked yet, for something else each."""
        self._expire(now_ms)
        if not self._lacking:
            return
        state, final = self._state, self._height
        claims = {
            name: claim
            for name, claim in state.membership.claims.items()
            if claim.final_height > final and name in state.membership.roster.nodes
        }
        lacks = max((claim.final_height for claim in claims.values()), default=final) - final
        self._lacking = lacks >= FEW
        for name in self._able(claims, now_ms)[: None if self._lacking else 1]:
            wants = [*self._want_epochs(name, claims, now_ms)]
            if name not in self._asked:
                wants += self._want_run(name, claims, now_ms)
            if wants:
                state.say(name, wants=tuple(wants))
        self._report(now_ms)

    def _able(self, claims: "dict[str, agree.Summary]", now_ms: int) -> list[str]:
        """Whom to ask, those first who gave what they were asked for; the others only where nobody
        else is left.
        """
        reached = set(self._state.carrier.others())
        names = sorted(claims, key=lambda name: (name not in reached, self._shunned.get(name, 0)))
        good = [name for name in names if self._shunned.get(name, 0) <= now_ms]
        return good or names[:1]

    def _want_epochs(
        self, name: str, claims: "dict[str, agree.Summary]", now_ms: int
    ) -> Iterator[Want]:
        """The ends of epochs, where a member has seen more of them than this node; of one at a
        time.
        """
        if claims[name].epoch > self._newest_epoch() and not self._epochs_asked:
            self._epochs_asked[name] = now_ms + STALL_MS
            yield Want(block=None, first=0, epochs=True)

    def _want_run(
        self, name: str, claims: "dict[str, agree.Summary]", now_ms: int
    ) -> Iterator[Want]:
        """The lowest blocks that nobody is asked for, of one epoch."""
        first = self._height + 1
        spans = [(run.first, run.last) for run in self._runs.values()]
        spans += [(ask.first, ask.last) for ask in self._asked.values()]
        for start, end in sorted(spans):
            if start > first:
                break
            first = max(first, end + 1)
        # What comes next is always asked for, whatever lies above it.
        if len(spans) >= MAX_RUNS and first > self._height + 1:
            return
        above = [start - 1 for start, _end in spans if start > first]
        limits = [first + self._size - 1, claims[name].final_height, *above]
        ends = [height for height in self._ends() if height >= first]
        last = min([*limits, *ends[:1]])
        # Where an epoch ends that is not known yet, one run has to show.
        blind = not ends and claims[name].epoch > self._newest_epoch()
        if first > last or (blind and spans):
            return
        doublings = min(self._tries[first], MAX_DOUBLINGS)
        self._asked[name] = Ask(first, last, now_ms + (STALL_MS << doublings))
        yield Want(block=None, first=first, last=last)

    def _newest_epoch(self) -> int:
        """The newest epoch whose members are known here."""
        return max(self._state.final.tip.config.epoch, len(self._epochs.configs) - 1)

    def _ends(self) -> tuple[int, ...]:
        """The heights at which the known epochs end that are not over here, lowest first."""
        return self._epochs.ends[self._state.final.tip.config.epoch :]

    def _expire(self, now_ms: int) -> None:
        """Who gave nothing in time is replaced."""
        late = [name for name, until_ms in self._epochs_asked.items() if until_ms <= now_ms]
        for name, ask in list(self._asked.items()):
            if ask.until_ms <= now_ms:
                self._tries[ask.first] += 1
                self._size = max(MIN_RUN, self._size // 2)
                late.append(name)
            elif ask.last <= self._height:
                del self._asked[name]
        for name in late:
            if self._shun(name, now_ms + SLOW_MS):
                log_event(WARNING, "catch-up-stalled", org=name, height=self._height)

    def _shun(self, name: str, until_ms: int) -> bool:
        """Somebody else is asked. Whether an operator is to be told: once, until it gives again."""
        self._asked.pop(name, None)
        self._epochs_asked.pop(name, None)
        self._shunned[name] = max(until_ms, self._shunned.get(name, 0))
        self._state.counters["catch_up_replaced"] += 1
        fresh = name not in self._told
        self._told.add(name)
        return fresh

    def _report(self, now_ms: int) -> None:
        """How far it is, every few seconds, and at the end where it was worth a word."""
        height = self._height
        if not self._lacking:
            if self._reported_ms:
                self._reported_ms = 0
                log_event(INFO, "caught-up", height=height)
        elif now_ms >= self._reported_ms + REPORT_MS:
            self._reported_ms = now_ms
            behind = self._state.behind
            members = ",".join(sorted(self._asked)) or "-"
            log_event(INFO, "catching-up", height=height, behind=behind or 0, members=members)
