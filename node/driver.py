"""The only loop of a node: takes inputs, steps the consensus machine, carries out its effects,
answers.

    submit, deliver -> parse and check signatures (threads) -> inbox -> [ step, build or check,
    save, sign the head ] -> one transaction, one fsync for each block -> send -> answer

Everything in brackets runs in one thread, the writer. Whatever waits in the inbox goes into the
same block (group commit). Nothing is answered, signed away or sent before it is durable, and
nothing is answered before a quorum of members has cosigned it. When the disk fails, the waiting
callers are told, and the machine is started anew from what is durable.
"""

import gc
import secrets
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from logging import CRITICAL, ERROR, INFO, WARNING
from typing import Any, Final, Protocol

import msgspec

from ledger import consensus as agree
from ledger.chain import Applied, Tip, build_block, check_block, finish_block, try_entries
from ledger.consensus import BlockInfo, Consensus
from ledger.consensus.journal import LAST_VIEW
from ledger.crypto import Signer
from ledger.crypto import verify as verify_signature
from ledger.encoding import (
    b64url,
    decode_bundle,
    encode_bundle,
    encode_statement,
    signature_input,
    unb64url,
)
from ledger.errors import (
    AllianceError,
    BusyError,
    ConflictError,
    MalformedError,
    StorageError,
    unreachable,
)
from ledger.members import MAX_MEMBERS
from ledger.notes import (
    Checkpoint,
    Note,
    cosign,
    decode_note,
    encode_checkpoint,
    encode_note,
    sign_note,
)
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.seal import Seal, SealEntry, decode_seal, encode_seal
from ledger.rules import RULES_VERSION
from ledger.verify import cosigner_keys, cosigner_name
from node.accusations import Accusation, Accusations, from_rows, to_rows
from node.admission import Admission, Body, Delivery, Signatures, bound_body, info_of
from node.clock import Clock, wall_ms
from node.config import Config
from node.cosigning import Cosigning, View
from node.keyring import Keyring, KeySet
from node.links import size_of
from node.logs import log_event
from node.membership import Membership
from node.presence import WARN_MS, Presence
from node.recording import Recorder
from node.relay import Relay
from node.roster import Peer, Roster, may_change
from node.serving import final_blocks
from node.shares import Shares
from node.store import Store
from node.store.database import Overlay
from node.submissions import Outcome, Published, Submission, Waiting
from node.wire import Exchange, Want

IDLE_S: Final = 1.0
IDLE_MS: Final = 1_000
SYNC_MS: Final = 1_000
IDLE_SYNC_MS: Final = 15_000
BEAT_MS: Final = 5_000
IDLE_BEAT_MS: Final = 15_000
"""How often the others are told where this node stands (consensus.md 2.10)."""
LATE_MS: Final = 2_000
"""After so long an entry is offered to the others again, and kept on disk."""
MAX_OFFERED: Final = 500
MAX_DELIVERIES: Final = 64
MAX_DELIVERY_BYTES: Final = 64 << 20
"""Messages of one member that may wait here; more are dropped, and offered again by it."""
MAX_AHEAD: Final = 4_096
"""Heights above the final one of which blocks are kept."""
VERSION: Final = "alliance/1"


class Carrier(Protocol):
    """The way to the others. Calls never wait and never fail; what is lost is offered again."""

    def send(self, to: str | None, item: Exchange) -> None:
        """To one of them by name, or to all."""

    def heard(self) -> dict[str, int]:
        """When each other member was last heard, by organisation: POSIX ms, 0 for never."""

    def others(self) -> list[str]:
        """The names of those who are told what is new."""

    @property
    def relays(self) -> bool:
        """Whether a member hears others through this node only."""

    def relay(self, source: str, item: Exchange) -> None:
        """Hand on what somebody said to those whom it may not reach itself."""

    def update(self, roster: Roster, signer: Signer) -> None:
        """From now on these take part, and requests are signed by this key."""


class Nobody:
    """The way to nobody: a node that is not on a network yet."""

    def send(self, to: str | None, item: Exchange) -> None:
        """There is nobody to tell."""

    def heard(self) -> dict[str, int]:
        """There is nobody to hear."""
        return {}

    def others(self) -> list[str]:
        """There is nobody."""
        return []

    @property
    def relays(self) -> bool:
        """There is nobody to hand on to."""
        return False

    def relay(self, source: str, item: Exchange) -> None:
        """There is nobody to hand on to."""

    def update(self, roster: Roster, signer: Signer) -> None:
        """There is nobody to reach."""


class Driver:
    """One node at work. `start` it, `submit` entries, read `view`, `stop` it."""

    _clock_fit, _clock_off = True, False
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
        self.signatures = Signatures()
        self.admission = Admission(self.signatures)
        self.carrier: Carrier = Nobody()
        self.counters: Counter[str] = Counter()
        """What happened since the start; `refused/S6` and `votes/notarize` are of one kind each."""
        self.alarms: Counter[str] = Counter()
        """What an operator must see, by kind, since the start."""
        self._outbox: list[tuple[str | None, agree.Send | agree.Fetch]] = []
        self._deliveries: deque[tuple[Delivery, int]] = deque()
        self._unchecked: defaultdict[str, deque[tuple[Exchange, int]]] = defaultdict(deque)
        self._on_the_way: Counter[str] = Counter()
        self._bytes_on_the_way: Counter[str] = Counter()
        self._serving: set[str] = set()
        self._boot_id = secrets.token_bytes(16)
        self._gossip_ms = self._beat_ms = self._turn = 0
        self._guests: list[str] = []
        self._inbox: deque[Submission] = deque()
        self._wake = threading.Condition()
        self._pending = self._pending_bytes = 0
        self._taken: list[Submission] = []
        self._stopping = self.broken = False
        """Whether a mistake of ours ended the writer; only a new start helps."""
        self.on_broken: Callable[[], None] = lambda: None
        """Called then, in the writer's thread."""
        self._failed: AllianceError | None = None
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify")
        self._archive = ThreadPoolExecutor(max_workers=1, thread_name_prefix="serve")
        """Looks up what others lack; apart, so that nobody's questions delay what is new."""
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)
        self._recorder = Recorder(config.home / config.record) if config.record else None
        self._waiting: dict[bytes, Waiting] = {}
        self._presence = Presence()
        self._shares, self._relay = Shares(), Relay()
        self._unpublished: deque[tuple[int, list[Waiting]]] = deque()
        self._notes: list[tuple[int, bytes]] = []
        self._late: list[Entry] = []
        self._kept: set[bytes] = set()
        self._promises: dict[Future[list[Outcome]], Future[bool]] = {}
        self._tip = b""
        self._published: View | None = None
        self._open()
        self.membership = Membership(config, keyring, self.final.tip)
        self.clock = clock or Clock(self.final.tip.time_ms + 1)
        self._begin()

    # --- from outside: any thread -----------------------------------------------------------------

    def connect(self, carrier: Carrier) -> None:
        """The way to the others; before `start`."""
        self.carrier = carrier
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
            boot=self._boot_id.hex(),
            version=VERSION,
        )
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Take no more, finish what was taken, close the store."""
        log_event(INFO, "node-stopping", pending=self.pending)
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(self.config.stop_ms / 1000 if timeout_s is None else timeout_s)
        self._pool.shutdown(wait=True)
        self._archive.shutdown(wait=True)
        self.store.close()
        log_event(INFO, "node-stopped", pending=self.pending, height=self.final.tip.height)

    def submit(self, raws: Sequence[bytes]) -> "Future[list[Outcome]]":
        """Hand in the entries of one request; their outcomes come when they are durable and
        published.

        Raises `BusyError` (O4.queue, O4.stopping) before anything is taken.
        """
        size = sum(map(len, raws))
        with self._wake:
            self._check_room(len(raws), size)
            self._pending += len(raws)
            self._pending_bytes += size
        future = self._pool.submit(self.admission.entries, self.final.tip, raws)
        done: Future[list[Outcome]] = Future()
        future.add_done_callback(lambda admitted: self._enqueue(admitted, done, len(raws), size))
        return done

    def _check_room(self, count: int, size: int) -> None:
        limit = self.config.max_pending_entries
        version = self.final.tip.config.rules_version
        if version != RULES_VERSION:
            raise BusyError("O10", version=version, known=RULES_VERSION)
        if self._stopping:
            raise BusyError("O4.stopping")
        full = self._pending + count > limit
        if full or self._pending_bytes + size > self.config.max_pending_bytes:
            self.counters["busy"] += 1
            raise BusyError("O4.queue", pending=self._pending, limit=limit)

    def _enqueue(
        self,
        admitted: "Future[list[Entry | AllianceError]]",
        done: "Future[list[Outcome]]",
        count: int,
        size: int,
    ) -> None:
        error = admitted.exception()
        if error is not None:
            self._leave(count, size)
            done.set_exception(error)
            return
        submission = Submission(admitted.result())
        submission.future = done
        done.add_done_callback(lambda _done: self._leave(count, size))
        with self._wake:
            self._inbox.append(submission)
            self._wake.notify()

    def keep(self, submitted: "Future[list[Outcome]]") -> "Future[bool]":
        """Before the caller of `submit` is told to come back later: what still waits of it goes to
        the disk (consensus.md 2.11). Gives whether it was taken in at all by then.
        """
        done: Future[bool] = Future()
        with self._wake:
            self._promises[submitted] = done
            self._wake.notify()
        return done

    def _leave(self, count: int, size: int) -> None:
        with self._wake:
            self._pending -= count
            self._pending_bytes -= size

    def deliver(self, peer: Peer, exchange: Exchange) -> None:
        """Take in what somebody else sent. Raises `BusyError` (H9) when it sends too fast."""
        size = size_of(exchange)
        with self._wake:
            if self._stopping:
                raise BusyError("O4.stopping")
            count, waiting = self._on_the_way[peer.name], self._bytes_on_the_way[peer.name]
            if count and (count >= MAX_DELIVERIES or waiting + size > MAX_DELIVERY_BYTES):
                self.counters["dropped"] += 1
                raise BusyError("H9", org=peer.org)
            self._on_the_way[peer.name] += 1
            self._bytes_on_the_way[peer.name] += size
            self._unchecked[peer.name].append((exchange, size))
            first = len(self._unchecked[peer.name]) == 1
        if first:
            self._pool.submit(self._check_next, peer)

    def _check_next(self, peer: Peer) -> None:
        """The first message of a member that waits; before its next one, others have their turn."""
        exchange, size = self._unchecked[peer.name][0]
        try:
            delivery = self.admission.delivery(self.final.tip, peer, exchange)
        except BaseException:
            self._forget_delivery(peer, size)
            raise
        else:
            with self._wake:
                self._deliveries.append((delivery, size))
                self._wake.notify()
        finally:
            with self._wake:
                self._unchecked[peer.name].popleft()
                more = bool(self._unchecked[peer.name]) and not self._stopping
            if more:
                self._pool.submit(self._check_next, peer)

    def _forget_delivery(self, peer: Peer, size: int) -> None:
        """A message waits here no more."""
        with self._wake:
            self._on_the_way[peer.name] -= 1
            self._bytes_on_the_way[peer.name] -= size

    @property
    def consensus_view(self) -> int:
        """The view that consensus is in: it stands still while there is nothing to do."""
        return self._machine.view

    @property
    def published(self) -> View | None:
        """The newest published block; None while a node that just started knows of none."""
        return self._published

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
    def boot_id(self) -> bytes:
        """What tells this start from every other one."""
        return self._boot_id

    @property
    def waiting(self) -> int:
        """How many entries wait for a block, those that other members took in among them."""
        return len(self._waiting)

    @property
    def pending(self) -> int:
        """How many entries were taken in and are not answered yet."""
        return self._pending

    @property
    def status(self) -> str:
        """`ok`, `storage-failing` (it goes on by itself), `silent` (it does not vote: quarantine,
        or an alarm), `observing` (it has no vote) or `broken` (it must be started anew).
        """
        if self.broken:
            return "broken"
        if self.failing:
            return "storage-failing"
        if self._machine.voting:
            return "ok"
        return "observing" if self._machine.index is None and not self.alarms else "silent"

    @property
    def org(self) -> str:
        """The organisation whose node this is."""
        return self._org

    @property
    def accusations(self) -> tuple[Accusation, ...]:
        """The members' contradictions that are known here."""
        return self._accusations.listed

    @property
    def contradictions(self) -> tuple[str, ...]:
        """The members that cosigned another tree than this node's, this one perhaps among them."""
        return tuple(sorted(self._cosigning.contradictions))

    @property
    def failing(self) -> bool:
        """Whether the last write failed and none has passed since."""
        return self._failed is not None

    # --- starting, and starting anew --------------------------------------------------------------

    def _open(self) -> None:
        """Found or load the chain; what is durable is final."""
        if self.store.is_new():
            tip, seal = self.genesis.tip, self.genesis.seal
            self.keyring.org(tip)
            note = self._sign_head(tip, tip.time_ms)
            self.store.found(self.genesis, self.bundle, encode_note(note) if note else b"")
            self._continue(View(tip, seal, encode_note(note) if note else b""))
            return
        self._load()

    def _load(self) -> None:
        tip = self.store.load(self.genesis, self.bundle, verify_signature)
        block = self.store.block(tip.height)
        self._continue(View(tip, decode_seal(block.entries()[-1]), block.checkpoint))
        self._load_waiting()

    def _load_waiting(self) -> None:
        """The entries that were kept on disk, for they were promised to somebody."""
        for entry in self.admission.entries(self.final.tip, self.store.waiting()):
            if isinstance(entry, Entry):
                self._kept.add(entry.leaf)
                self._waiting.setdefault(entry.id_key, Waiting(entry, [], 0))

    def _continue(self, final: View) -> None:
        """From this head, which is durable; it is published as far as the cosignatures on disk
        say.
        """
        self.final = final
        self._org = self.keyring.org(final.tip)
        # Who cosigns nothing has no word to remember: its organisation's node is another one.
        self._cosigning = Cosigning(self._org if self.keyring.sets else "")
        note = decode_note(final.checkpoint) if final.checkpoint else None
        own = self._own_note(final.tip, note)
        self._uncosigned = own is None
        published = self._cosigning.advance(final, own)
        words = self.admission.cosigned(final.tip, note) if note else []
        published = self._cosigning.learn(words) or published
        if published is not None:
            self._published = published

    def _own_note(self, tip: Tip, note: Note | None) -> Note | None:
        """Of a note, what this node itself has signed; None where it did not cosign."""
        found = self.keyring.find(tip.own_config)
        if found is None or note is None:
            return None
        mine = cosigner_keys(tip.own_config, tip.origin)[found[1].org].key_id
        own = any(line.key_id == mine for line in note.signatures[:2])
        return Note(note.text, note.signatures[:2]) if own else None

    def _begin(self) -> None:
        """A consensus machine that continues from the view."""
        tip = self.final.tip
        anchor, anchor_certificate = self._anchor(tip)
        final = info_of(self.final.seal)
        certificate = None if final == anchor else self.store.block(tip.height).certificate
        self._tips: dict[bytes, Tip] = {final.id: tip}
        self._built: dict[bytes, Applied] = {}
        self._bodies: dict[bytes, Body] = {body.info.id: body for body in self._saved_bodies()}
        self._outbox.clear()
        self._rows: dict[tuple[int, int], agree.Row] = {}
        self._saved: dict[bytes, Applied] = {}
        self._deadline: int | None = None
        self._accusations = Accusations(from_rows(self.store.accusations()))
        self._proofs: list[tuple[bytes, str, int, bytes]] = []
        timing = agree.Timing()
        keys = self.keyring.node_keys
        self._machine = Consensus(*keys, timing=timing, rules=frozenset({RULES_VERSION}))
        if self._recorder is not None:
            self._recorder.begin(keys, timing)
        rows, damaged = _journal(self.store.journal(tip.config.epoch))
        durable = agree.Durable(
            config=tip.config,
            anchor=anchor,
            anchor_certificate=anchor_certificate,
            final=final,
            certificate=agree.decode_certificate(certificate) if certificate else None,
            rows=rows,
            blocks=tuple(body.info for body in self._bodies.values()),
            # One member alone has nobody to ask: its operator has decided (consensus.md 2.12).
            in_doubt=tip.config.n > 1 and (damaged or self.store.in_doubt()),
            halted=any(kind == "safety" for kind, _at_ms, _facts in self.store.alarms()),
        )
        now_ms = self.clock.now_ms()
        self._step(agree.Started(durable, len(self._waiting), now_ms))
        if not self._clock_fit:
            self._step(agree.Health(False, now_ms))

    def _anchor(self, tip: Tip) -> tuple[BlockInfo, agree.Certificate | None]:
        """The block that this epoch begins on, and what made it final in the epoch before."""
        if not tip.boundaries:
            return info_of(self.genesis.seal), None
        block = self.store.block(tip.boundaries[-1].height)
        if block.certificate is None:
            unreachable("the end of an epoch is committed by itself, with its certificate")
        return info_of(decode_seal(block.entries()[-1])), agree.decode_certificate(
            block.certificate
        )

    def _saved_bodies(self) -> list[Body]:
        """The blocks above the final one that this node had voted on."""
        bodies: list[Body] = []
        for bundle in self.store.candidates():
            try:
                bodies.append(bound_body(decode_bundle(bundle))[0])
            except AllianceError as error:
                log_event(CRITICAL, "saved-block-damaged", rule=error.rule)
        return bodies

    def _recover(self) -> None:
        """After a storage failure: back to what is durable. Raises `StorageError` while
        that fails.
        """
        if not self.store.recover():
            self._load()
        else:
            self._load_waiting()
        self._begin()
        self._failed = None
        log_event(INFO, "storage-recovered", height=self.final.tip.height)

    # --- the loop: the writer's thread alone ------------------------------------------------------

    def _run(self) -> None:
        try:
            self._work()
        finally:
            if not (self._stopping and not self._pending):
                self._break_down()

    def _work(self) -> None:
        while True:
            taken = self._take()
            if taken is None:
                return
            try:
                if self._failed is not None:
                    self._recover()
                with _uncollected():
                    self._batch(taken)
            except StorageError as error:
                self._give_up(error, taken)

    def _take(self) -> list[Submission] | None:
        """Everything that waits; None when the node has stopped and nothing is left."""
        with self._wake:
            while not (self._inbox or self._deliveries or self._promises):
                left = self._deadline_s()
                if left <= 0:
                    break
                if self._stopping and not self._pending:
                    return None
                self._wake.wait(min(left, IDLE_S))
            taken = self._taken = list(self._inbox)
            self._inbox.clear()
        return taken

    def _deadline_s(self) -> float:
        """Seconds until there is something to do without being asked."""
        now_ms = self.clock.now_ms()
        due = [IDLE_MS + now_ms] if self._deadline is None else [self._deadline]
        if self._in_touch:
            due += [self._gossip_ms, self._beat_ms]
        accuse_ms = self._accusations.next_ms()
        if accuse_ms is not None and self._machine.index is not None:
            due.append(accuse_ms)
        return (min(due) - now_ms) / 1000

    def _batch(self, taken: Sequence[Submission]) -> None:
        """One turn: new entries, time, and all that follows from them."""
        self._take_in(taken)
        while self._deliveries:
            delivery, size = self._deliveries.popleft()
            self._forget_delivery(delivery.peer, size)
            self._receive(delivery)
        now_ms = self.clock.now_ms()
        if self._deadline is not None and now_ms >= self._deadline:
            self._deadline = None
            self._step(agree.Tick(now_ms))
        self._step(agree.Work(self._work_left(), now_ms))
        if not self._alone:
            self._accuse(now_ms)
        if self._in_touch:
            self._keep_in_touch(now_ms)
        promised = self._write_promised()
        self._save_rows()
        self._keep_promises(promised)
        self._cosign_late()
        self._release()
        if self.status != self._said_status:
            self._said_status = self.status
            log_event(WARNING, "status-changed", status=self.status)

    def _give_up(self, error: StorageError, taken: Sequence[Submission]) -> None:
        """The disk failed: nothing of this turn is durable, and every caller is told so."""
        log_event(ERROR, "storage-failed", rule=error.rule, height=self.final.tip.height)
        self.counters["storage_failures"] += 1
        self._failed = error
        self._settle_all(error, taken)
        self.admission.forget([waiting.entry for waiting in self._waiting.values()])
        self._waiting.clear()
        self._outbox.clear()
        self._deadline = None

    def _write_promised(self) -> dict["Future[list[Outcome]]", bool]:
        """Entries of callers who wait no longer, on the way to the disk with this turn; which of
        these requests were taken in.
        """
        promised: dict[Future[list[Outcome]], bool] = {}
        for submitted in list(self._promises):
            own = [w for w in self._waiting.values() if w.is_of(submitted)]
            closed = any(w.is_of(submitted) for _size, those in self._unpublished for w in those)
            promised[submitted] = bool(own) or closed or submitted.done()
            late = {entry.leaf for entry in self._late} | self._kept
            self._late += [w.entry for w in own if w.entry.leaf not in late]
        return promised

    def _keep_promises(self, promised: Mapping["Future[list[Outcome]]", bool]) -> None:
        """The transaction has passed: now the callers may be told."""
        for submitted, taken_in in promised.items():
            done = self._promises.pop(submitted)
            if done.set_running_or_notify_cancel():
                done.set_result(taken_in)

    def _settle_all(self, error: AllianceError, taken: Sequence[Submission]) -> None:
        """Tell everybody who still waits."""
        for submission in taken:
            self.admission.forget([e for e in submission.entries if isinstance(e, Entry)])
            for position, outcome in enumerate(submission.outcomes):
                if outcome is None:
                    submission.settle(position, error)
        self._keep_promises(dict.fromkeys(list(self._promises), False))
        unanswered = [waiting for _size, those in self._unpublished for waiting in those]
        for waiting in [*self._waiting.values(), *unanswered]:
            for submission, position in waiting.callers:
                if submission.outcomes[position] is None:
                    submission.settle(position, error)

    def _break_down(self) -> None:
        """A mistake of ours ended this thread: nothing more is taken, nobody waits for ever, and
        what is durable stays as it is.
        """
        log_event(CRITICAL, "writer-broken", height=self.final.tip.height)
        self.broken = True
        with self._wake:
            self._stopping = True
            taken = [*self._taken, *self._inbox]
            self._inbox.clear()
        self._settle_all(AllianceError("O9"), taken)
        self.on_broken()

    def _take_in(self, taken: Sequence[Submission]) -> None:
        """Entries into the set of those that wait; the same one again joins the first."""
        if not taken:
            return
        keys = [
            entry.id_key
            for submission in taken
            for entry in submission.entries
            if isinstance(entry, Entry)
        ]
        on_chain = self.store.history().find_ids(keys)
        fresh: list[Entry] = []
        for submission in taken:
            for position, entry in enumerate(submission.entries):
                if not isinstance(entry, Entry):
                    self.counters[f"refused/{entry.rule}"] += 1
                    submission.settle(position, entry)
                elif self._take_one(submission, position, entry, on_chain):
                    fresh.append(entry)
        if not self._alone:
            self._share(self._admit(fresh))

    def _take_one(
        self, submission: Submission, position: int, entry: Entry, on_chain: Mapping[bytes, bytes]
    ) -> bool:
        """Whether the entry is new here."""
        key = entry.id_key
        waiting = self._waiting.get(key)
        if waiting is None and key not in on_chain:
            self._waiting[key] = Waiting(entry, [(submission, position)], self.clock.now_ms())
            return True
        first = waiting.entry if waiting is not None else self._on_chain(on_chain[key])
        if waiting is None or first.statement.signature != entry.statement.signature:
            # It was verified, and goes no further.
            self.admission.forget([entry])
        if first.statement.payload != entry.statement.payload:
            self.counters["refused/S6"] += 1
            submission.settle(position, ConflictError("S6", id=entry.record.id))
        elif waiting is not None:
            waiting.callers.append((submission, position))
        else:
            self.counters["repeated"] += 1
            self._repeat(first, submission, position)
        return False

    def _repeat(self, entry: Entry, submission: Submission, position: int) -> None:
        """It is on the chain: answered now, or with the block that waits to be published."""
        index = self._place_of(entry.leaf)
        for size, unanswered in self._unpublished:
            if index < size:
                since = self.clock.now_ms()
                unanswered.append(Waiting(entry, [(submission, position)], since, index))
                return
        submission.settle(position, Published(entry, index, True))

    def _admit(self, fresh: Sequence[Entry]) -> list[Entry]:
        """Try the rules at once: what they refuse now is answered now, not after consensus. With
        one member the block itself is the trial.
        """
        tip = self.final.tip
        refusals = try_entries(
            tip, fresh, self.clock.now_ms(), self.store.history(), self.signatures.verify
        )
        for refusal in refusals:
            self._refuse(refusal.entry, refusal.error)
        refused = {refusal.entry.leaf for refusal in refusals}
        return [entry for entry in fresh if entry.leaf not in refused]

    # --- other members ----------------------------------------------------------------------------

    @property
    def _alone(self) -> bool:
        """Whether this node decides by itself."""
        return self.final.tip.config.n == 1 and self._machine.index is not None

    @property
    def _in_touch(self) -> bool:
        """Whether there is anybody to talk to."""
        return not self._alone or bool(self.carrier.others())

    def _number(self, peer: Peer) -> int:
        """How the machine knows a peer: as a member of its epoch, or as one of the others."""
        members = self._machine.config.members
        for index, member in enumerate(members):
            if member.org == peer.name:
                return index
        if peer.name not in self._guests:
            self._guests.append(peer.name)
        return MAX_MEMBERS + self._guests.index(peer.name)

    def _name(self, number: int) -> str:
        """The other way round."""
        if number >= MAX_MEMBERS:
            return self._guests[number - MAX_MEMBERS]
        return self._machine.config.members[number].org

    def _share(self, entries: Sequence[Entry]) -> None:
        """Tell the others at once: whoever leads may put them into a block."""
        if entries:
            self.carrier.send(None, self._message(entries=tuple(entry.raw for entry in entries)))

    def _message(self, **parts: Any) -> Exchange:
        return Exchange(v=1, pin=self.genesis.seal.leaf, **parts)

    def _receive(self, delivery: Delivery) -> None:
        """What another member sent, into the machine."""
        self.counters["rejected"] += delivery.rejected
        peer, now_ms = delivery.peer, self.clock.now_ms()
        # First: what it is known to have cosigned limits what it may cosign now.
        self._publish(self._cosigning.learn(delivery.cosigned))
        entries = self._take_over(peer.name, delivery.entries)
        bodies = [body for body in delivery.bodies if self._take_body(body, now_ms)]
        if self.carrier.relays:
            self._hand_on(delivery, entries, bodies)
        for fact in delivery.facts:
            self.counters["proposals_received"] += isinstance(fact, agree.Proposal)
            # Asked for each: the one before may have ended the epoch, and its numbers with it.
            number = self._number(peer)
            self._step(agree.Received(fact, now_ms, number))
            if isinstance(fact, agree.Status) and fact.signer == number:
                self._learn_presence(peer, fact, now_ms)
        if delivery.summary is not None:
            self._learn_summary(peer, delivery.summary, now_ms)
        if delivery.wants and peer.name not in self._serving:
            # One answer to a member at a time: it asks again for what it still lacks.
            self._serving.add(peer.name)
            self._archive.submit(self._serve, peer, delivery.wants)

    def _take_body(self, body: Body, now_ms: int) -> bool:
        """Whether a block is new here and consensus has use and room for it."""
        final, block_id = self.final.tip.height, body.info.id
        wanted = final < body.info.height <= final + MAX_AHEAD
        if not wanted or block_id in self._bodies or block_id in self._built:
            return False
        self._bodies[block_id] = body
        self._step(agree.BlockReceived(body.info, now_ms))
        if self._machine.holds(block_id):
            return True
        self._bodies.pop(block_id, None)
        return False

    def _hand_on(
        self, delivery: Delivery, entries: Sequence[Entry], bodies: Sequence[Body]
    ) -> None:
        """As a hub: what others hear through this node only leaves at once."""
        reach = 4 * self.final.tip.config.n
        views = range(max(1, self._machine.view - reach), self._machine.view + reach + 1)
        parts = self._relay.fresh(delivery.facts, bodies, entries, delivery.cosigned, views)
        if parts:
            self.carrier.relay(delivery.peer.name, self._message(**parts))

    def _learn_summary(self, peer: Peer, summary: agree.Summary, now_ms: int) -> None:
        """Where another node stands; one that is behind is told at once how far this one is."""
        self.membership.learn_height(peer, summary.final_height)
        self._step(agree.PeerSummary(self._number(peer), summary, now_ms))
        if summary.final_height < self.final.tip.height:
            words = self._cosigning.newest if peer.role != "member" else ()
            self.carrier.send(
                peer.name, self._message(summary=self._machine.summary(), cosignatures=words)
            )

    def _learn_presence(self, peer: Peer, status: agree.Status, now_ms: int) -> None:
        """A member's heartbeat: is this node's clock fit to lead, is that member's key in use
        twice?
        """
        both = self._presence.learn(peer.name, status, now_ms)
        if both:
            # It cannot hear its other self, and must (consensus.md 2.12).
            self.carrier.send(peer.name, self._message(facts=both))
        fit, offset = self._presence.is_clock_fit(), self._presence.offset_ms()
        if fit != self._clock_fit:
            self._clock_fit = fit
            self._step(agree.Health(fit, now_ms))
        if (abs(offset) > WARN_MS) != self._clock_off:
            self._clock_off = not self._clock_off
            event = "clock-off" if self._clock_off else "clock-right"
            log_event(WARNING, event, offset_ms=offset, leads=int(fit))

    @property
    def clock_offset_ms(self) -> int:
        """How far the members' clocks are ahead of this node's."""
        return self._presence.offset_ms()

    def _take_over(self, peer: str, entries: Sequence[Entry]) -> list[Entry]:
        """Entries that other members took in wait here, too; nobody waits for them here. Gives
        those that are new.
        """
        fresh = [entry for entry in entries if entry.id_key not in self._waiting]
        if not fresh:
            return []
        on_chain = self.store.history().find_ids([entry.id_key for entry in fresh])
        now_ms = self.clock.now_ms()
        room = max(0, self.config.max_pending_entries - len(self._waiting))
        unknown = [entry for entry in fresh if entry.id_key not in on_chain]
        admitted = self._shares.admit(peer, unknown[:room], self._waiting)
        self.counters["dropped"] += len(unknown) - len(admitted)
        for entry in admitted:
            self._waiting[entry.id_key] = Waiting(entry, [], now_ms)
        # What waits nowhere is not remembered either.
        self.admission.forget([entry for entry in fresh if entry.id_key not in self._waiting])
        return admitted

    def _accuse(self, now_ms: int) -> None:
        """Hand in this node's records of contradictions whose turn has come."""
        index, members = self._machine.index, self.final.tip.config.n
        raws = [] if index is None else self._accusations.due(index, members, now_ms)
        if not raws:
            return
        entries = [e for e in self.admission.entries(self.final.tip, raws) if isinstance(e, Entry)]
        on_chain = self.store.history().find_ids([entry.id_key for entry in entries])
        fresh = [e for e in entries if e.id_key not in on_chain and e.id_key not in self._waiting]
        self._waiting.update({e.id_key: Waiting(e, [], now_ms) for e in fresh})
        self._share(self._admit(fresh))

    def _work_left(self) -> int:
        """How many entries wait that stand in no block up to the machine's tip."""
        if len(self._waiting) == 0 or self._machine.tip.id == self.final.tip.seal_leaf:
            return len(self._waiting)
        above = self._above_final(self._machine.tip)
        return len(self._waiting) - sum(
            entry.id_key in self._waiting for block in above for entry in block.entries
        )

    def _keep_in_touch(self, now_ms: int) -> None:
        """Heartbeats, and what this node holds, so that whatever was lost is offered again."""
        lost = self.behind is None and self._machine.index is None
        busy = bool(self._waiting or self._unpublished or self.behind or lost) or (
            self._machine.tip.id != self.final.tip.seal_leaf
        )
        if now_ms >= self._beat_ms:
            self._beat_ms = now_ms + (BEAT_MS if busy else IDLE_BEAT_MS)
            self._step(agree.Heartbeat(self._boot_id, VERSION, now_ms))
        if now_ms < self._gossip_ms:
            self._gossip_ms = min(self._gossip_ms, now_ms + SYNC_MS) if busy else self._gossip_ms
            return
        self._gossip_ms = now_ms + (SYNC_MS if busy else IDLE_SYNC_MS)
        late = [w for w in self._waiting.values() if now_ms - w.since_ms >= LATE_MS]
        self._try_again(late)
        offered = [w.entry.raw for w in late if w.entry.id_key in self._waiting][:MAX_OFFERED]
        self.carrier.send(
            None,
            self._message(
                summary=self._machine.summary(),
                entries=tuple(offered),
                cosignatures=(self._cosigning.own,) if self._cosigning.own else (),
            ),
        )

    @property
    def behind(self) -> int | None:
        """How many blocks this node lacks, as far as others say; None while nobody has said."""
        return self.membership.behind(self.final.tip)

    def _try_again(self, late: Sequence[Waiting]) -> None:
        """What has waited long may have become impossible in the meantime; what has not is kept
        on disk from here on.
        """
        if late:
            self._admit([waiting.entry for waiting in late])
            kept = [w.entry for w in late if w.entry.id_key in self._waiting]
            self._late += [entry for entry in kept if entry.leaf not in self._kept]

    def _serve(self, peer: Peer, wants: Sequence[Want]) -> None:
        """Answer what another member lacks, off the writer's thread."""
        try:
            for want in wants:
                self._serve_one(peer, want)
        finally:
            self._serving.discard(peer.name)

    def _serve_one(self, peer: Peer, want: Want) -> None:
        if want.block is not None:
            # Whoever is a member no more is shown final blocks of its own time alone.
            blocks = self._one_block(want.block) if peer.role != "former" else []
            if blocks:
                self.carrier.send(peer.name, self._message(blocks=tuple(blocks)))
            return
        closing = {boundary.height for boundary in self.final.tip.boundaries}
        blocks, facts = final_blocks(self.store, want.first, closing, peer.until)
        if blocks:
            # Whoever is behind may have been ahead: it is reminded of what it has cosigned.
            word = self._cosigning.word_of(peer.org)
            words: tuple[bytes, ...] = () if word is None else (word,)
            if peer.role != "member":
                words = self._cosigning.newest
            self.carrier.send(
                peer.name, self._message(blocks=tuple(blocks), facts=facts, cosignatures=words)
            )

    def _one_block(self, block_id: bytes) -> list[bytes]:
        body = self._bodies.get(block_id)
        if body is not None:
            return [encode_bundle(body.raws)]
        applied = self._built.get(block_id)
        if applied is not None:
            return [encode_bundle(_raws(applied))]
        index = self.store.find_leaf(block_id)
        return [] if index is None else [self.store.block(self.store.height_of(index)).body]

    def _release(self) -> None:
        """What consensus wants to say, after everything that it rests on is durable."""
        outbox, self._outbox = self._outbox, []
        for to, effect in outbox:
            if isinstance(effect, agree.Fetch):
                want = Want(block=effect.block, first=effect.first)
                for peer in [to] if to is not None else self._next_peer():
                    self.carrier.send(peer, self._message(wants=(want,)))
                continue
            blocks = [
                body
                for fact in effect.facts
                if isinstance(fact, agree.Proposal)
                for body in self._one_block(fact.vote.block)
            ]
            self.carrier.send(to, self._message(blocks=tuple(blocks), facts=tuple(effect.facts)))

    def _next_peer(self) -> list[str]:
        """Any other member, each in turn, of those that can be reached if any can."""
        names, reached = list(self.membership.roster.nodes), set(self.carrier.others())
        names = [name for name in names if name in reached] or names
        self._turn += 1
        return [names[self._turn % len(names)]] if names else []

    def _on_chain(self, leaf: bytes) -> Entry:
        return decode_entry(self.store.entry(self._place_of(leaf)))

    def _place_of(self, leaf: bytes) -> int:
        index = self.store.find_leaf(leaf)
        if index is None:
            unreachable("an id that is on the chain has an entry")
        return index

    # --- effects ----------------------------------------------------------------------------------

    def _step(self, *events: agree.Event) -> None:
        """Step events, and the answers to their effects, until there is nothing left to do."""
        queue: deque[agree.Event] = deque(events)
        while queue:
            for effect in self._step_once(queue.popleft()):
                answer = _EFFECTS[type(effect)](self, effect)
                if answer is not None:
                    queue.append(answer)
            if not queue and not self._alone and self._machine.tip.id != self._tip:
                self._tip = self._machine.tip.id
                queue.append(agree.Work(self._work_left(), self.clock.now_ms()))

    def _step_once(self, event: agree.Event) -> list[agree.Effect]:
        """One step; written down where that is wanted."""
        if self._recorder is None:
            return self._machine.step(event)
        self._recorder.take(event)
        effects = self._machine.step(event)
        self._recorder.give(effects)
        return effects

    def _on_build(self, effect: agree.BuildBlock) -> agree.Event:
        """Build, execute and seal a block of what waits."""
        parent = self._tips[effect.parent.id]
        built = build_block(
            parent,
            self._candidates(effect),
            view=effect.view,
            proposer=self._org,
            time_ms=effect.time_ms,
            history=self._history(effect.parent),
            verify=self.signatures.verify,
            parent_view=effect.parent_view,
        )
        for refusal in built.refusals:
            self._refuse(refusal.entry, refusal.error)
        if not built.done.entries:
            return agree.NothingToBuild(effect.view, self.clock.now_ms())
        applied = finish_block(parent, built, self._seal(built.seal))
        info = self._keep(applied)
        return agree.BlockBuilt(info, self.clock.now_ms())

    def _candidates(self, effect: agree.BuildBlock) -> list[Entry]:
        """What waits and stands in no block below, from the front, within the limits of
        this block.
        """
        below = {
            entry.leaf for block in self._above_final(effect.parent) for entry in block.entries
        }
        chosen: list[Entry] = []
        size = 0
        for waiting in self._waiting.values():
            entry = waiting.entry
            if entry.leaf in below:
                continue
            size += len(entry.raw)
            if size > effect.block_bytes or len(chosen) == effect.block_records:
                break
            chosen.append(entry)
        return chosen

    def _above_final(self, info: BlockInfo) -> list[Applied]:
        """The blocks that are not durable yet, from the final one up to this one."""
        chain: list[Applied] = []
        applied = self._built.get(info.id)
        while applied is not None:
            chain.append(applied)
            previous = applied.seal.seal.prev
            applied = self._built.get(unb64url(previous.leaf)) if previous else None
        return chain[::-1]

    def _history(self, parent: BlockInfo) -> Overlay:
        return Overlay(self.store.history(), self._above_final(parent))

    def _keep(self, applied: Applied) -> BlockInfo:
        info = info_of(applied.seal, sum(len(entry.raw) for entry in applied.entries))
        self._built[info.id] = applied
        self._tips[info.id] = applied.tip
        return info

    def _seal(self, seal: Seal) -> SealEntry:
        node = self._keys_in_force().node
        protected, payload = encode_seal(seal, node.alg, node.kid)
        signature = node.sign(signature_input(protected, payload))
        return decode_seal(encode_statement(protected, payload, signature))

    def _refuse(self, entry: Entry, error: AllianceError) -> None:
        self.counters[f"refused/{error.rule}"] += 1
        self.admission.forget([entry])
        for submission, position in self._waiting.pop(entry.id_key).callers:
            submission.settle(position, error)

    def _keys_in_force(self) -> KeySet:
        """The keys that consensus speaks with in its epoch."""
        found = self.keyring.find(self._machine.config)
        if found is None:
            unreachable("an observer is silent")
        return found[0]

    def _on_sign(self, effect: agree.Sign) -> agree.Event:
        signature = self._keys_in_force().node.sign(effect.message)
        tag = effect.message[1 : 1 + effect.message[0]].decode()
        self.counters["votes/" + tag.rpartition("/")[2]] += 1
        return agree.Signed(effect.request, signature, self.clock.now_ms())

    def _on_check(self, effect: agree.CheckBlock) -> agree.Event:
        """Execute another member's block, or a saved one."""
        block, now_ms = effect.block, self.clock.now_ms()
        if block.id in self._built:
            return agree.BlockChecked(block.id, "valid", now_ms)
        body, parent = self._bodies.get(block.id), self._tips.get(block.parent)
        if body is None or parent is None:
            return agree.BlockChecked(block.id, "missing", now_ms)
        previous = self._built.get(block.parent)
        below = self._above_final(info_of(previous.seal)) if previous else []
        history = Overlay(self.store.history(), below)
        try:
            applied = check_block(
                parent, body.raws, history, self.signatures.verify, self.admission.parsed.decode
            )
            self._keep(applied)
        except StorageError:
            raise
        except AllianceError as error:
            log_event(WARNING, "block-invalid", height=block.height, rule=error.rule)
            return agree.BlockChecked(block.id, "invalid", now_ms)
        return agree.BlockChecked(block.id, "valid", now_ms)

    def _on_persist(self, effect: agree.Persist) -> None:
        for row in effect.rows:
            self._rows[row.epoch, row.view] = row
        for block_id in effect.blocks:
            self._saved[block_id] = self._built[block_id]

    def _on_commit(self, effect: agree.Commit) -> agree.Event:
        """Make blocks durable with all that belongs to them, then let readers and callers
        see them.
        """
        blocks = [self._built[info.id] for info in effect.blocks]
        certificate = agree.encode_certificate(effect.certificate)
        final, epoch = self.final, effect.certificate.epoch
        signs = self._may_cosign()
        notes: list[tuple[View, Note | None]] = []
        store = self.store
        with store.transaction():
            for number, block in enumerate(blocks, 1):
                last = number == len(blocks)
                note = self._append(final.tip, block, certificate if last else None, signs)
                final = View(block.tip, block.seal, encode_note(note) if note else b"")
                if note is not None:
                    notes.append((final, note))
            if not blocks:
                store.replace_certificate(final.tip.height, certificate)
            store.save_justification([
                (cert.epoch, cert.view, cert.kind, agree.encode_certificate(cert))
                for cert in effect.justification
            ])  # fmt: skip
            for entry in (entry for block in blocks for entry in block.entries):
                if entry.record.type == "evidence":
                    self._accusations.recorded(entry)
                    log_event(INFO, "evidence-recorded", leaf=b64url(entry.leaf))
            self._drop_void(epoch, effect.certificate.view, final.tip.height)
            self._write_rows()
            store.clear_journal(epoch, effect.certificate.view, final.tip.height)
            included = [entry.leaf for block in blocks for entry in block.entries]
            gone = self._kept.intersection(included)
            store.clear_waiting(sorted(gone))
        self._kept -= gone
        self.counters["nullified_views"] += sum(c.kind == "nullify" for c in effect.justification)
        self.final = final
        self._uncosigned = not final.checkpoint
        for block in blocks:
            self._close(block)
        self._forget_below(final.tip)
        if any(may_change(block.entries) for block in blocks):
            self._follow()
        self._show(notes or ([(final, None)] if blocks else []))
        following = final.tip.config if blocks and final.tip.is_boundary else None
        if following is not None:
            log_event(INFO, "epoch-began", epoch=following.epoch, n=following.n, q=following.q)
            self._presence.keep({member.org for member in following.members})
        return agree.Committed(final.tip.height, len(self._waiting), self.clock.now_ms(), following)

    def _show(self, heads: Sequence[tuple[View, Note | None]]) -> None:
        """New heads, cosigned here or not: the others are told, and readers see what that
        publishes.
        """
        for view, note in heads:
            self._publish(self._cosigning.advance(view, note))
        if heads and heads[-1][1] is not None and self._in_touch:
            self.carrier.send(None, self._message(cosignatures=(self._cosigning.own,)))

    def _follow(self) -> None:
        """Members came or went, moved or changed keys: the ways to them follow at once."""
        self.membership.follow(self.final.tip)
        self.carrier.update(self.membership.roster, self.membership.signer)

    def _append(
        self, parent: Tip, block: Applied, certificate: bytes | None, signs: bool
    ) -> Note | None:
        """A block and its head into the open transaction; the head is signed under compare-and-
        swap, or not at all.
        """
        tip = block.tip
        if not signs:
            self.store.append(block, certificate, b"")
            return None
        self.store.advance_cosigned((parent.size, parent.tree.root()), (tip.size, tip.tree.root()))
        note = self._sign_head(tip, self.clock.now_ms())
        if note is None:
            unreachable("who votes has the keys of its member")
        self.store.append(block, certificate, encode_note(note))
        return note

    def _may_cosign(self) -> bool:
        """Whether the next head may be signed together with its block.

        Not while this node may have said more than it remembers: a database that is older than its
        word leads to a head that contradicts an earlier one as soon as somebody lies.
        """
        known = self._cosigning.settle_remembered(self.store.tree)
        whole = self.keyring.is_whole(self.final.tip.config)
        return known and whole and self._machine.voting and not self._uncosigned

    def _cosign_late(self) -> None:
        """The newest final head, where those below were left out."""
        known = self._cosigning.settle_remembered(self.store.tree)
        if not (self._uncosigned and known and self._machine.voting):
            return
        tip = self.final.tip
        note = self._sign_head(tip, self.clock.now_ms())
        if note is None:
            return  # the end of an epoch is for its own members to cosign
        with self.store.transaction():
            head = tip.size, tip.tree.root()
            self.store.advance_cosigned(self.store.cosigned(), head)
            self.store.replace_checkpoint(tip.height, encode_note(note))
        self._uncosigned = False
        self.final = self.final._replace(checkpoint=encode_note(note))
        self._publish(self._cosigning.advance(self.final, note))
        self.carrier.send(None, self._message(cosignatures=(self._cosigning.own,)))

    def _sign_head(self, tip: Tip, now_ms: int) -> Note | None:
        """The note of a tree head: the log's line, and this member's cosignature; None from who is
        no member of the head's epoch.
        """
        found = self.keyring.find(tip.own_config)
        if found is None or not self.keyring.is_whole(tip.own_config):
            return None
        keys, member = found
        text = encode_checkpoint(Checkpoint(tip.origin, tip.size, tip.tree.root()))
        name = cosigner_name(member.org, tip.origin)
        lines = (
            sign_note(text, tip.origin, keys.log),
            cosign(text, name, keys.cosigner, max(1, now_ms // 1000)),
        )
        return Note(text, lines)

    def _close(self, block: Applied) -> None:
        """A block is final: its entries wait no more, their callers wait for the cosignatures."""
        index = block.tip.seal_index - len(block.entries)
        unanswered: list[Waiting] = []
        for entry in block.entries:
            waiting = self._waiting.pop(entry.id_key, None)
            if waiting is not None and waiting.callers:
                unanswered.append(waiting._replace(place=index))
            index += 1
        self._unpublished.append((block.tip.size, unanswered))
        self.admission.forget(block.entries)
        self.counters["blocks"] += 1
        self.counters["entries"] += len(block.entries)

    def _publish(self, view: View | None) -> None:
        """A quorum has cosigned this head: readers see it, and callers are answered."""
        if view is None:
            return
        self._published = view
        if not self._alone:
            self._notes.append((view.tip.height, view.checkpoint))
        while self._unpublished and self._unpublished[0][0] <= view.tip.size:
            _size, unanswered = self._unpublished.popleft()
            for waiting in unanswered:
                for number, (submission, position) in enumerate(waiting.callers):
                    outcome = Published(waiting.entry, waiting.place, number > 0)
                    submission.settle(position, outcome)

    def _forget_below(self, tip: Tip) -> None:
        """What is final needs no copy in memory; candidates at its height are void."""
        self._built = {
            k: block for k, block in self._built.items() if block.tip.height > tip.height
        }
        self._tips = {k: other for k, other in self._tips.items() if other.height > tip.height}
        self._tips[tip.seal_leaf] = tip
        self._bodies = {
            k: body for k, body in self._bodies.items() if body.info.height > tip.height
        }

    def _on_timer(self, effect: agree.SetTimer) -> None:
        self._deadline = effect.at_ms

    def _on_send(self, effect: agree.Send | agree.Fetch) -> None:
        """Who is meant is settled now: the numbers of members change with the epoch."""
        to = effect.peer if isinstance(effect, agree.Fetch) else effect.to
        self._outbox.append((None if to is None or to < 0 else self._name(to), effect))

    def _on_alarm(self, effect: agree.Alarm) -> None:
        """For the operator: in the log, in the health and in the counters."""
        self.alarms[effect.kind] += 1
        log_event(CRITICAL, "alarm", kind=effect.kind, height=self.final.tip.height)
        if effect.proof:
            facts = msgspec.json.encode(effect.proof)
            digest = sha256(effect.kind.encode() + facts).digest()
            self._proofs.append((digest, effect.kind, self.clock.now_ms(), facts))

    def _on_evidence(self, effect: agree.Evidence) -> None:
        """A member lied: kept with this turn, then told to the others, then put on the chain."""
        self.alarms["evidence"] += 1
        org = self.final.tip.config.members[effect.first.signer].org
        kinds = f"{effect.first.kind} {effect.second.kind}"
        log_event(CRITICAL, "contradiction", org=org, view=effect.first.view, words=kinds)
        if self._accusations.learn(effect.first, effect.second):
            self._outbox.append((None, agree.Send(None, (effect.first, effect.second))))

    # --- rows that no block takes along -----------------------------------------------------------

    def _drop_void(self, epoch: int, view: int, height: int) -> None:
        """What a commit has made obsolete is not written at all."""
        self._rows = {at: row for at, row in self._rows.items() if at[0] != epoch or at[1] > view}
        self._saved = {k: block for k, block in self._saved.items() if block.tip.height > height}

    def _write_rows(self) -> None:
        rows = [(*at, agree.encode_journal(row)) for at, row in self._rows.items()]
        self.store.save_journal(rows)
        if any(row.view == LAST_VIEW for row in self._rows.values()):
            # From now on the journal itself says how long this node is silent.
            self.store.clear_doubt()
        for block_id, block in self._saved.items():
            self.store.save_candidate(block_id, block.tip.height, encode_bundle(_raws(block)))
        for height, note in self._notes:
            self.store.replace_checkpoint(height, note)
        if self._machine.index is not None:
            node = self._keys_in_force().node
            self._accusations.sign(node, self.org, self.final.tip, self.clock.now_ms())
        self.store.save_accusations(to_rows(self._accusations.fresh))
        self.store.save_alarms(self._proofs)
        self.store.save_waiting([(entry.leaf, entry.raw) for entry in self._late])
        self._kept.update(entry.leaf for entry in self._late)
        self._late.clear()
        self._accusations.fresh.clear()
        self._proofs.clear()
        self._notes.clear()
        self._rows.clear()
        self._saved.clear()

    def _save_rows(self) -> None:
        """Votes of a turn without a commit, durable before anything is sent."""
        if self._rows or self._saved or self._late or self._accusations.fresh or self._proofs:
            with self.store.transaction():
                self._write_rows()


_EFFECTS: Final[dict[type, Callable[..., agree.Event | None]]] = {
    agree.Alarm: Driver._on_alarm,
    agree.BuildBlock: Driver._on_build,
    agree.CheckBlock: Driver._on_check,
    agree.Commit: Driver._on_commit,
    agree.Evidence: Driver._on_evidence,
    agree.Fetch: Driver._on_send,
    agree.Persist: Driver._on_persist,
    agree.Send: Driver._on_send,
    agree.SetTimer: Driver._on_timer,
    agree.Sign: Driver._on_sign,
}


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


def _raws(block: Applied) -> list[bytes]:
    """The entries of a block, seal last."""
    return [*(entry.raw for entry in block.entries), block.seal.raw]
