"""The writer: one loop that takes inputs, steps the consensus machine and carries out its effects,
in the order of consensus.md 2.11 (`_batch`, `_step`).
"""

import gc
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from logging import CRITICAL, ERROR, INFO, WARNING
from typing import Final

from ledger import consensus as agree
from ledger.chain import Applied
from ledger.consensus import BlockInfo, Consensus
from ledger.crypto import verify as verify_signature
from ledger.errors import (
    AllianceError,
    BusyError,
    MalformedError,
    StorageError,
    unreachable,
)
from ledger.notes import encode_note
from ledger.records.envelope import Entry
from ledger.records.seal import decode_seal
from ledger.rules import RULES_VERSION
from node import VERSION
from node.accusations import Accusation
from node.admission import info_of
from node.clock import Clock, wall_ms
from node.config import Config
from node.cosigning import View
from node.driver.blocks import Blocks
from node.driver.carrier import Carrier
from node.driver.durable import Durable
from node.driver.gossip import Gossip
from node.driver.heads import Heads
from node.driver.intake import Intake
from node.driver.mempool import Mempool
from node.driver.state import State
from node.keyring import Keyring
from node.logs import log_event
from node.membership import Membership
from node.recording import Recorder
from node.roster import Peer
from node.store import Store
from node.submissions import Outcome, Submission
from node.wire import Exchange

IDLE_MS: Final = 1_000
TURN_MS: Final = 400
"""So long a turn takes in what others say, however much there is: it has something to say, too."""
HAND_OVER_MS: Final = 2_000
"""For so long a node that is told to stop waits for the others to make final what it took in."""


class Driver:
    """One node at work. `start` it, `submit` entries, read `view`, `stop` it."""

    _said_status = ""
    started_ms = 0
    """When it was started: POSIX ms."""

    def __init__(
        self,
        config: Config,
        keyring: Keyring,
        genesis: Applied,
        bundle: bytes,
        store: Store,
        clock: Clock | None = None,
    ) -> None:
        self.config = config
        self.keyring = keyring
        self.genesis = genesis
        self.bundle = bundle
        self.store = store
        self._state = state = State(config, keyring, genesis, store)
        self.admission = state.admission
        self.counters = state.counters
        """What happened since the start; `refused/S6` and `votes/notarize` are of one kind each."""
        self.alarms = state.alarms
        """What an operator must see, by kind, since the start; and what silenced it before."""
        self.boot_id = secrets.token_bytes(16)
        """What tells this start from every other one."""
        self.broken = False
        """Whether a mistake of ours ended the writer; only a new start helps."""
        self.on_broken: Callable[[], None] = lambda: None
        """Called then, in the writer's thread."""
        self._mempool = Mempool(state)
        self._blocks = Blocks(state, self._mempool)
        self._heads = Heads(state, self._mempool)
        self._durable = Durable(state, self._mempool, self._blocks, self._heads)
        self._gossip = Gossip(
            state, self._mempool, self._blocks, self._heads, self._step, self.boot_id
        )
        self._intake = Intake(state)
        self._effects = self._carry_out()
        self._taken: list[Submission] = []
        self._failed: AllianceError | None = None
        self._deadline: int | None = None
        self._stop_by_ms = 0
        self._tip = b""
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)
        self._recorder = Recorder(config.home / config.record) if config.record else None
        self._open()
        state.membership = Membership(config, keyring, self.final.tip)
        state.clock = clock or Clock(self.final.tip.time_ms + 1)
        self._begin()

    # --- from outside: any thread -----------------------------------------------------------------

    def connect(self, carrier: Carrier) -> None:
        """The way to the others; before `start`."""
        self._state.carrier = carrier
        carrier.update(self.membership.roster, self.membership.signer)

    def start(self) -> None:
        """Begin to take entries."""
        self.started_ms, self._said_status = wall_ms(), self.status
        tip = self.final.tip
        log_event(
            INFO,
            "node-started",
            org=self.org,
            height=tip.height,
            size=tip.size,
            epoch=tip.config.epoch,
            members=tip.config.n,
            status=self.status,
            boot=self.boot_id.hex(),
            version=VERSION,
        )
        self._thread.start()

    def begin_to_stop(self) -> None:
        """Take no more; what was taken is finished, or handed over within two seconds."""
        if not self._intake.stopping:
            log_event(INFO, "node-stopping", pending=self.pending)
            self._intake.stop()

    def stop(self, timeout_s: float | None = None) -> None:
        """Take no more, finish what was taken, close the store."""
        self.begin_to_stop()
        if self._thread.is_alive():
            self._thread.join(self.config.stop_ms / 1000 if timeout_s is None else timeout_s)
        self._intake.close()
        self._intake.pool.shutdown(wait=True)
        self._intake.guests.shutdown(wait=True)
        self._gossip.archive.shutdown(wait=True)
        self.store.close()
        log_event(INFO, "node-stopped", pending=self.pending, height=self.final.tip.height)

    def submit(self, raws: Sequence[bytes]) -> "Future[list[Outcome]]":
        """Hand in the entries of one request; their outcomes come when they are durable and
        published.

        Raises `BusyError` (O4.queue, O4.stopping, O10) before anything is taken.
        """
        return self._intake.submit(raws)

    def keep(self, submitted: "Future[list[Outcome]]") -> "Future[bool]":
        """Before the caller of `submit` is told to come back later: what still waits of it goes to
        the disk (consensus.md 2.11). Gives whether it was taken in at all by then.
        """
        return self._intake.keep(submitted)

    def deliver(self, peer: Peer, exchange: Exchange) -> None:
        """Take in what somebody else sent. Raises `BusyError` (H9) when it sends too fast."""
        self._intake.deliver(peer, exchange)

    @property
    def final(self) -> View:
        """The newest block that is final here."""
        return self._state.final

    @property
    def published(self) -> View | None:
        """The newest published block; None while a node that just started knows of none."""
        return self._heads.published

    @property
    def view(self) -> View:
        """The newest published block. Raises `BusyError` (O4.quorum) when this node, just started,
        does not know of any yet.
        """
        published = self.published
        if published is None:
            raise BusyError("O4.quorum", quorum=self.final.tip.config.q)
        return published

    @property
    def consensus_view(self) -> int:
        """The view that consensus is in: it stands still while there is nothing to do."""
        return self._state.machine.view

    @property
    def waiting(self) -> int:
        """How many entries wait for a block, those that other members took in among them."""
        return len(self._mempool.waiting)

    @property
    def pending(self) -> int:
        """How many entries were taken in and are not answered yet."""
        return self._intake.pending

    @property
    def status(self) -> str:
        """`ok`, `storage-failing` (it goes on by itself), `silent` (it does not vote: quarantine,
        or an alarm), `observing` (it has no vote) or `broken` (it must be started anew).
        """
        if self.broken:
            return "broken"
        if self.failing:
            return "storage-failing"
        machine = self._state.machine
        if machine.voting:
            return "ok"
        return "observing" if machine.index is None and not self.alarms else "silent"

    @property
    def failing(self) -> bool:
        """Whether the last write failed and none has passed since."""
        return self._failed is not None

    @property
    def org(self) -> str:
        """The organisation whose node this is."""
        return self._state.org

    @property
    def clock(self) -> Clock:
        """The time that this node goes by."""
        return self._state.clock

    @property
    def membership(self) -> Membership:
        """Who takes part, as of the newest final block."""
        return self._state.membership

    @property
    def carrier(self) -> Carrier:
        """The way to the others."""
        return self._state.carrier

    @property
    def behind(self) -> int | None:
        """How many blocks this node lacks, as far as others say; None while nobody has said."""
        return self._state.behind

    @property
    def clock_offset_ms(self) -> int:
        """How far the members' clocks are ahead of this node's."""
        return self._gossip.clock_offset_ms

    @property
    def accusations(self) -> tuple[Accusation, ...]:
        """The members' contradictions that are known here."""
        return self._durable.accusations.listed

    @property
    def contradictions(self) -> tuple[str, ...]:
        """The members that cosigned another tree than this node's, this one perhaps among them."""
        return tuple(sorted(self._heads.cosigning.contradictions))

    # --- starting, and starting anew --------------------------------------------------------------

    def _open(self) -> None:
        """Found or load the chain; what is durable is final."""
        if not self.store.is_new():
            self._load()
            return
        tip, seal = self.genesis.tip, self.genesis.seal
        self.keyring.org(tip)
        note = self._heads.sign(tip, tip.time_ms)
        checkpoint = encode_note(note) if note else b""
        self.store.found(self.genesis, self.bundle, checkpoint)
        self._continue(View(tip, seal, checkpoint))

    def _load(self) -> None:
        tip = self.store.load(self.genesis, self.bundle, verify_signature)
        block = self.store.block(tip.height)
        self._continue(View(tip, decode_seal(block.entries()[-1]), block.checkpoint))
        self._mempool.load()

    def _continue(self, final: View) -> None:
        self._state.final = final
        self._state.org = self.keyring.org(final.tip)
        self._heads.begin(final)

    def _begin(self) -> None:
        """A consensus machine that continues from what is durable."""
        state = self._state
        self._blocks.begin()
        self._durable.begin()
        self._gossip.outbox.clear()
        self._gossip.catchup.begin()
        self._deadline = None
        keys, timing = self.keyring.node_keys, agree.Timing()
        state.machine = Consensus(*keys, timing=timing, rules=frozenset({RULES_VERSION}))
        if self._recorder is not None:
            self._recorder.begin(keys, timing)
        now_ms, durable = self.clock.now_ms(), self._what_is_durable()
        if durable.halted:
            # Whoever asks why this node is silent is told after every start.
            self.alarms["safety"] = max(1, self.alarms["safety"])
        self._step(agree.Started(durable, len(self._mempool.waiting), now_ms))
        if not self._gossip.clock_fit:
            self._step(agree.Health(False, now_ms))

    def _what_is_durable(self) -> agree.Durable:
        tip, store = self.final.tip, self.store
        anchor, anchor_certificate = self._anchor()
        final = info_of(self.final.seal)
        certificate = None if final == anchor else store.block(tip.height).certificate
        rows, damaged = _journal(store.journal(tip.config.epoch))
        return agree.Durable(
            config=tip.config,
            anchor=anchor,
            anchor_certificate=anchor_certificate,
            final=final,
            certificate=agree.decode_certificate(certificate) if certificate else None,
            rows=rows,
            blocks=tuple(body.info for body in self._blocks.bodies.values()),
            in_doubt=damaged or store.in_doubt(),
            halted=any(kind == "safety" for kind, _at_ms, _facts in store.alarms()),
        )

    def _anchor(self) -> tuple[BlockInfo, agree.Certificate | None]:
        """The block that this epoch begins on, and what made it final in the epoch before."""
        boundaries = self.final.tip.boundaries
        if not boundaries:
            return info_of(self.genesis.seal), None
        block = self.store.block(boundaries[-1].height)
        if block.certificate is None:
            unreachable("the end of an epoch is committed by itself, with its certificate")
        seal = decode_seal(block.entries()[-1])
        return info_of(seal), agree.decode_certificate(block.certificate)

    def _recover(self) -> None:
        """After a storage failure: back to what is durable. Raises `StorageError` while
        that fails.
        """
        if not self.store.recover():
            self._load()
        else:
            self._mempool.load()
        self._begin()
        self._failed = None
        log_event(INFO, "storage-recovered", height=self.final.tip.height)

    # --- the loop: the writer's thread alone ------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        finally:
            if not (self._intake.stopping and not self.pending):
                self._break_down()

    def _work(self) -> None:
        while True:
            taken = self._intake.take(self._deadline_s)
            if taken is None:
                return
            self._taken = taken
            try:
                if self._failed is not None:
                    self._recover()
                with _uncollected():
                    self._batch(taken)
                if self._intake.stopping and self.clock.now_ms() >= self._stop_by():
                    self._hand_over()
            except StorageError as error:
                self._give_up(error, taken)

    def _stop_by(self) -> int:
        """When a node that is told to stop waits no longer: POSIX ms."""
        self._stop_by_ms = self._stop_by_ms or self.clock.now_ms() + HAND_OVER_MS
        return self._stop_by_ms

    def _hand_over(self) -> None:
        """What was taken in is on the disk and with the others; whoever waits is told to come back,
        as nobody knows how long they take.
        """
        self._settle_all(BusyError("O4.stopping"), self._intake.take_rest())

    def _deadline_s(self) -> float:
        """Seconds until there is something to do without being asked."""
        now_ms = self.clock.now_ms()
        due = [IDLE_MS + now_ms] if self._deadline is None else [self._deadline]
        due += [self._stop_by()] if self._intake.stopping else []
        if self._state.in_touch:
            due.append(self._gossip.due_ms)
            lacks_ms = self._gossip.catchup.due_ms
            due += [] if lacks_ms is None else [lacks_ms]
        accuse_ms = self._durable.accusations.next_ms()
        if accuse_ms is not None and self._state.machine.index is not None:
            due.append(accuse_ms)
        return (min(due) - now_ms) / 1000

    def _batch(self, taken: Sequence[Submission]) -> None:
        """One turn: what arrived, time, and all that follows from them; commits on the way. Then
        what is left becomes durable, and only then promises are kept and words leave.
        """
        state, gossip = self._state, self._gossip
        self._look_for_work()
        fresh = self._mempool.take_in(taken)
        if fresh and not state.alone:
            gossip.share(self._mempool.admit(fresh))
        turn_ends_ms = self.clock.now_ms() + TURN_MS
        while self._intake.deliveries:
            gossip.receive(self._intake.next_delivery())
            if self.clock.now_ms() >= turn_ends_ms:
                break
        now_ms = self.clock.now_ms()
        gossip.catchup.feed(now_ms)
        if self._deadline is not None and now_ms >= self._deadline:
            self._deadline = None
            self._step(agree.Tick(now_ms))
        left = self._blocks.work_left()
        if left != state.machine.pending:
            # Most turns bring words, not records; what time brings about has its timer.
            self._step(agree.Work(left, now_ms))
        if not state.alone:
            self._accuse(now_ms)
        if state.in_touch:
            gossip.keep_in_touch(now_ms)
        promised = {call: self._mempool.promise(call) for call in list(self._intake.promises)}
        if self._intake.stopping:
            self._mempool.keep_all()
        self._durable.save()
        self._keep_promises(promised)
        self._heads.cosign_late()
        gossip.release()
        state.send()
        if self.status != self._said_status:
            self._said_status = self.status
            log_event(WARNING, "status-changed", status=self.status)

    def _look_for_work(self) -> None:
        """Before a deadline has its effect: whether what waits is work that somebody is late with.
        Where the tip is not final, that is.
        """
        state, now_ms = self._state, self.clock.now_ms()
        past = self._deadline is not None and now_ms >= self._deadline
        if past and not state.alone and state.machine.tip.id == state.final.tip.seal_leaf:
            self._mempool.weed()
            left = self._blocks.work_left()
            if left != state.machine.pending:
                self._step(agree.Work(left, now_ms))

    def _accuse(self, now_ms: int) -> None:
        """Hand in this node's records of contradictions whose turn has come."""
        index, members = self._state.machine.index, self.final.tip.config.n
        if index is not None:
            raws = self._durable.accusations.due(index, members, now_ms)
            self._gossip.share(self._mempool.add_own(raws) if raws else [])

    def _keep_promises(self, promised: dict["Future[list[Outcome]]", bool]) -> None:
        """The transaction has passed: now the callers may be told."""
        for submitted, taken_in in promised.items():
            done = self._intake.promises.pop(submitted)
            if done.set_running_or_notify_cancel():
                done.set_result(taken_in)

    # --- effects ----------------------------------------------------------------------------------

    def _step(self, *events: agree.Event) -> None:
        """Step events, and the answers to their effects, until there is nothing left to do."""
        queue: deque[agree.Event] = deque(events)
        state = self._state
        while queue:
            for effect in self._step_once(queue.popleft()):
                answer = self._effects[type(effect)](effect)
                if answer is not None:
                    queue.append(answer)
            if not queue and not state.alone and state.machine.tip.id != self._tip:
                self._tip = state.machine.tip.id
                queue.append(agree.Work(self._blocks.work_left(), self.clock.now_ms()))

    def _step_once(self, event: agree.Event) -> list[agree.Effect]:
        """One step; written down where that is wanted."""
        machine = self._state.machine
        if self._recorder is None:
            return machine.step(event)
        self._recorder.take(event)
        effects = machine.step(event)
        self._recorder.give(effects)
        return effects

    def _carry_out(self) -> dict[type, Callable[..., agree.Event | None]]:
        """What each effect means here. Nothing is sent before the turn's end: `say` only notes."""
        return {
            agree.Alarm: self._on_alarm,
            agree.BuildBlock: self._blocks.build,
            agree.CheckBlock: self._blocks.check,
            agree.Commit: self._on_commit,
            agree.Evidence: self._on_evidence,
            agree.Fetch: self._gossip.say,
            agree.Persist: self._durable.persist,
            agree.Send: self._gossip.say,
            agree.SetTimer: self._on_timer,
            agree.Sign: self._on_sign,
        }

    def _on_commit(self, effect: agree.Commit) -> agree.Event:
        done = self._durable.commit(effect)
        if done.config is not None:
            self._gossip.begin_epoch(done.config)
            epoch, n, q = done.config.epoch, done.config.n, done.config.q
            log_event(INFO, "epoch-began", epoch=epoch, n=n, q=q)
        return done

    def _on_timer(self, effect: agree.SetTimer) -> None:
        self._deadline = effect.at_ms

    def _on_sign(self, effect: agree.Sign) -> agree.Event:
        signature = self._state.keys_in_force().node.sign(effect.message)
        tag = effect.message[1 : 1 + effect.message[0]].decode()
        self.counters["votes/" + tag.rpartition("/")[2]] += 1
        return agree.Signed(effect.request, signature, self.clock.now_ms())

    def _on_alarm(self, effect: agree.Alarm) -> None:
        self._durable.alarm(effect)
        if effect.kind == "safety":
            # Who holds one of the two histories cannot know of the other one, and goes on.
            self._gossip.say(agree.Send(None, effect.proof))

    def _on_evidence(self, effect: agree.Evidence) -> None:
        if self._durable.accuse(effect):
            self._gossip.say(agree.Send(None, (effect.first, effect.second)))

    # --- when something fails ---------------------------------------------------------------------

    def _give_up(self, error: StorageError, taken: Sequence[Submission]) -> None:
        """The disk failed: nothing of this turn is durable, and every caller is told so."""
        log_event(ERROR, "storage-failed", rule=error.rule, height=self.final.tip.height)
        self.counters["storage_failures"] += 1
        self._failed = error
        self._settle_all(error, taken)
        self._mempool.drop_all()
        self._gossip.outbox.clear()
        self._state.unsay()
        self._deadline = None

    def _settle_all(self, error: AllianceError, taken: Sequence[Submission]) -> None:
        """Tell everybody who still waits."""
        for submission in taken:
            self.admission.forget([e for e in submission.entries if isinstance(e, Entry)])
            for position, outcome in enumerate(submission.outcomes):
                if outcome is None:
                    submission.settle(position, error)
        self._keep_promises(dict.fromkeys(list(self._intake.promises), False))
        self._mempool.fail(error)

    def _break_down(self) -> None:
        """A mistake of ours ended this thread: nothing more is taken, nobody waits for ever, and
        what is durable stays as it is.
        """
        log_event(CRITICAL, "writer-broken", height=self.final.tip.height)
        self.broken = True
        self._intake.stop()
        self._settle_all(AllianceError("O9"), [*self._taken, *self._intake.take_rest()])
        self.on_broken()


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection inside a block: it makes many values and no cycles, and looking for
    some would cost more than the rules.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _journal(saved: Sequence[bytes]) -> tuple[tuple[agree.Row, ...], bool]:
    """The rows of a vote journal, and whether one of them is damaged."""
    rows: list[agree.Row] = []
    for data in saved:
        try:
            rows.append(agree.decode_journal(data))
        except MalformedError as error:
            log_event(CRITICAL, "journal-damaged", rule=error.rule)
    return tuple(rows), len(rows) != len(saved)
