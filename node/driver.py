"""The only loop of a node: takes inputs, steps the consensus machine, carries out its effects,
answers.

    submit -> parse and check signatures (threads) -> inbox -> [ step, build or check, save, sign
    the head ] -> one transaction, one fsync for each block -> answer

Everything in brackets runs in one thread, the writer. Whatever waits in the inbox goes into the
same block (group commit). Nothing is answered, signed away or sent before it is durable. When the
disk fails, the waiting callers are told, and the machine is started anew from what is durable.
"""

import gc
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final, NamedTuple

import msgspec

from ledger import consensus as agree
from ledger.chain import Applied, Tip, build_block, check_block, finish_block
from ledger.consensus import BlockInfo, Consensus
from ledger.crypto import verify as verify_signature
from ledger.encoding import b64url, encode_bundle, encode_statement, signature_input, unb64url
from ledger.errors import (
    AllianceError,
    BusyError,
    ConflictError,
    SignatureError,
    StorageError,
    unreachable,
)
from ledger.notes import Checkpoint, Note, cosign, encode_checkpoint, encode_note, sign_note
from ledger.records import decode_entry
from ledger.records.envelope import Entry
from ledger.records.seal import Seal, SealEntry, decode_seal, encode_seal
from ledger.rules import find_signer, leaves_of
from node.clock import Clock
from node.config import Config, NodeKeys
from node.store import Store
from node.store.database import Overlay

LOG = logging.getLogger("alliance.node")
CHUNK: Final = 128
"""Entries that one thread parses and verifies at a time."""
IDLE_S: Final = 1.0


class Published(msgspec.Struct, frozen=True, gc=False):
    """Where an entry stands, for ever."""

    entry: Entry
    index: int
    known: bool
    """Whether it was on the chain before this request."""


Outcome = Published | AllianceError


class View(NamedTuple):
    """What readers see: the newest published block, all of one moment."""

    tip: Tip
    seal: SealEntry
    checkpoint: bytes
    """The signed note of the tip's size."""


class Submission:
    """The entries of one request on their way; `future` gives one outcome for each, in order."""

    def __init__(self, entries: Sequence[Entry | AllianceError]) -> None:
        self.entries = entries
        self.outcomes: list[Outcome | None] = [None] * len(entries)
        self.left = len(entries)
        self.size = sum(len(entry.raw) for entry in entries if isinstance(entry, Entry))
        self.future: Future[list[Outcome]] = Future()

    def settle(self, position: int, outcome: Outcome) -> None:
        """One entry has its outcome; the last one completes the future."""
        self.outcomes[position] = outcome
        self.left -= 1
        if not self.left:
            # A caller may have gone; its entries are on the chain all the same.
            self.future.set_running_or_notify_cancel()
            self.future.set_result([item for item in self.outcomes if item is not None])


class _Waiting(NamedTuple):
    """An admitted entry that is in no final block yet, and who waits for it."""

    entry: Entry
    callers: list[tuple[Submission, int]]


class Signatures:
    """Checked once: `verify` answers from here what a thread has already found to be right."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, bytes, bytes]] = {}

    def check(self, alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """Verify, and remember what is right."""
        right = verify_signature(alg, key, signature, message)
        if right:
            self._known[signature] = (alg, key, message)
        return right

    def verify(self, alg: int, key: bytes, signature: bytes, message: bytes) -> bool:
        """`ledger.crypto.verify`, answered from memory where the same was checked before."""
        if self._known.get(signature) == (alg, key, message):
            return True
        return verify_signature(alg, key, signature, message)

    def forget(self, entries: Sequence[Entry]) -> None:
        """These stand in a final block, or nowhere."""
        for entry in entries:
            self._known.pop(entry.statement.signature, None)


class Driver:
    """One node at work. `start` it, `submit` entries, read `view`, `stop` it."""

    def __init__(
        self,
        config: Config,
        keys: NodeKeys,
        genesis: Applied,
        bundle: bytes,
        store: Store,
        clock: Clock | None = None,
    ) -> None:
        self.config = config
        self.keys = keys
        self.genesis = genesis
        self.bundle = bundle
        self.store = store
        self.signatures = Signatures()
        self.counters: dict[str, int] = dict.fromkeys(
            ("entries", "blocks", "refused", "repeated", "busy", "storage_failures"), 0
        )
        self.outbox: list[agree.Send | agree.Fetch] = []
        """What consensus wants to say; with one member it says nothing."""
        host = genesis.tip.origin.partition("/")[0]
        self._cosigner_name = f"{keys.member.org}.cosigner.{host}"
        self._inbox: deque[Submission] = deque()
        self._wake = threading.Condition()
        self._pending = 0
        self._pending_bytes = 0
        self._stopping = False
        self._taken: list[Submission] = []
        self.broken = False
        """Whether a mistake of ours ended the writer; only a new start helps."""
        self.on_broken: Callable[[], None] = lambda: None
        """Called then, in the writer's thread."""
        self._failed: AllianceError | None = None
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="verify")
        self._thread = threading.Thread(target=self._run, name="driver", daemon=True)
        self._waiting: dict[bytes, _Waiting] = {}
        self._open()
        self.clock = clock or Clock(self.view.tip.time_ms + 1)
        self._begin()

    # --- from outside: any thread -----------------------------------------------------------------

    def start(self) -> None:
        """Begin to take entries."""
        self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """Take no more, finish what was taken, close the store."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.is_alive():
            self._thread.join(self.config.stop_ms / 1000 if timeout_s is None else timeout_s)
        self._pool.shutdown(wait=True)
        self.store.close()

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
        future = self._pool.submit(self._admit, raws)
        done: Future[list[Outcome]] = Future()
        future.add_done_callback(lambda admitted: self._enqueue(admitted, done, len(raws), size))
        return done

    def _check_room(self, count: int, size: int) -> None:
        limit = self.config.max_pending_entries
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

    def _leave(self, count: int, size: int) -> None:
        with self._wake:
            self._pending -= count
            self._pending_bytes -= size

    def _admit(self, raws: Sequence[bytes]) -> list[Entry | AllianceError]:
        """Parse and check signatures, off the writer's thread."""
        view = self.view
        signers: dict[bytes, tuple[int, bytes]] = {}
        admitted: list[Entry | AllianceError] = []
        for raw in raws:
            try:
                entry = decode_entry(raw)
                # What a block is looked up by must be readable before it may stand among
                # candidates.
                _ = entry.id_key, leaves_of(entry.record)
                self._check_signature(view.tip, entry, signers)
            except AllianceError as error:
                admitted.append(error)
            else:
                admitted.append(entry)
        return admitted

    def _check_signature(
        self, tip: Tip, entry: Entry, signers: dict[bytes, tuple[int, bytes]]
    ) -> None:
        statement = entry.statement
        known = signers.get(statement.kid)
        if known is None:
            signer = find_signer(tip.state, tip.config, b64url(statement.kid))
            known = signers[statement.kid] = (signer.alg, signer.public_key)
        message = statement.to_be_signed()
        if not self.signatures.check(*known, statement.signature, message):
            raise SignatureError("S3.signature", org=statement.iss)

    @property
    def pending(self) -> int:
        """How many entries were taken in and are not answered yet."""
        return self._pending

    @property
    def status(self) -> str:
        """`ok`, `storage-failing` (it goes on by itself) or `broken` (it must be started anew)."""
        if self.broken:
            return "broken"
        return "storage-failing" if self.failing else "ok"

    @property
    def failing(self) -> bool:
        """Whether the last write failed and none has passed since."""
        return self._failed is not None

    # --- starting, and starting anew --------------------------------------------------------------

    def _open(self) -> None:
        """Found or load the chain; the view is what is durable."""
        store, genesis = self.store, self.genesis
        if store.is_new():
            note = self._sign_head(genesis.tip, genesis.tip.time_ms)
            store.found(genesis, self.bundle, note)
            self.view = View(genesis.tip, genesis.seal, note)
            return
        tip = store.load(genesis, self.bundle, verify_signature)
        block = store.block(tip.height)
        self.view = View(tip, decode_seal(block.entries()[-1]), block.checkpoint)

    def _begin(self) -> None:
        """A consensus machine that continues from the view."""
        tip = self.view.tip
        first = info_of(self.genesis.seal)
        final = info_of(self.view.seal)
        certificate = self.store.block(tip.height).certificate
        self._tips: dict[bytes, Tip] = {final.id: tip}
        self._built: dict[bytes, Applied] = {}
        self._bodies: dict[bytes, list[bytes]] = {}
        self._rows: dict[tuple[int, int], agree.Row] = {}
        self._saved: dict[bytes, Applied] = {}
        self._deadline: int | None = None
        self._machine = Consensus(self.keys.node.public_key)
        durable = agree.Durable(
            config=tip.config,
            anchor=first,
            final=final,
            certificate=agree.decode_certificate(certificate) if certificate else None,
            rows=tuple(agree.decode_journal(row) for row in self.store.journal(tip.config.epoch)),
        )
        self._step(agree.Started(durable, len(self._waiting), self.clock.now_ms()))

    def _recover(self) -> None:
        """After a storage failure: back to what is durable. Raises `StorageError` while
        that fails.
        """
        if not self.store.recover():
            tip = self.store.load(self.genesis, self.bundle, verify_signature)
            block = self.store.block(tip.height)
            self.view = View(tip, decode_seal(block.entries()[-1]), block.checkpoint)
        self._begin()
        self._failed = None

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
            while not self._inbox:
                left = self._deadline_s()
                if left is not None and left <= 0:
                    break
                if self._stopping and not self._pending:
                    return None
                self._wake.wait(IDLE_S if left is None else min(left, IDLE_S))
            taken = self._taken = list(self._inbox)
            self._inbox.clear()
        return taken

    def _deadline_s(self) -> float | None:
        if self._deadline is None:
            return None
        return (self._deadline - self.clock.now_ms()) / 1000

    def _batch(self, taken: Sequence[Submission]) -> None:
        """One turn: new entries, time, and all that follows from them."""
        self._take_in(taken)
        now_ms = self.clock.now_ms()
        if self._deadline is not None and now_ms >= self._deadline:
            self._deadline = None
            self._step(agree.Tick(now_ms))
        self._step(agree.Work(len(self._waiting), now_ms))
        self._save_rows()

    def _give_up(self, error: StorageError, taken: Sequence[Submission]) -> None:
        """The disk failed: nothing of this turn is durable, and every caller is told so."""
        LOG.error("storage failed: %s", error)
        self.counters["storage_failures"] += 1
        self._failed = error
        self._settle_all(error, taken)
        self.signatures.forget([waiting.entry for waiting in self._waiting.values()])
        self._waiting.clear()
        self._deadline = None

    def _settle_all(self, error: AllianceError, taken: Sequence[Submission]) -> None:
        """Tell everybody who still waits."""
        for submission in taken:
            self.signatures.forget([e for e in submission.entries if isinstance(e, Entry)])
            for position, outcome in enumerate(submission.outcomes):
                if outcome is None:
                    submission.settle(position, error)
        for waiting in list(self._waiting.values()):
            for submission, position in waiting.callers:
                if submission.outcomes[position] is None:
                    submission.settle(position, error)

    def _break_down(self) -> None:
        """A mistake of ours ended this thread: nothing more is taken, nobody waits for ever, and
        what is durable stays as it is.
        """
        LOG.critical("the writer has stopped by a mistake; start the node again")
        self.broken = True
        with self._wake:
            self._stopping = True
            taken = [*self._taken, *self._inbox]
            self._inbox.clear()
        self._settle_all(AllianceError("O9"), taken)
        self.on_broken()

    def _take_in(self, taken: Sequence[Submission]) -> None:
        """Entries into the set of those that wait; the same one again joins the first."""
        keys = [
            entry.id_key
            for submission in taken
            for entry in submission.entries
            if isinstance(entry, Entry)
        ]
        on_chain = self.store.history().find_ids(keys)
        for submission in taken:
            for position, entry in enumerate(submission.entries):
                if isinstance(entry, Entry):
                    self._take_one(submission, position, entry, on_chain)
                else:
                    self.counters["refused"] += 1
                    submission.settle(position, entry)

    def _take_one(
        self, submission: Submission, position: int, entry: Entry, on_chain: Mapping[bytes, bytes]
    ) -> None:
        key = entry.id_key
        waiting = self._waiting.get(key)
        if waiting is None and key not in on_chain:
            self._waiting[key] = _Waiting(entry, [(submission, position)])
            return
        first = waiting.entry if waiting is not None else self._on_chain(on_chain[key])
        if waiting is None or first.statement.signature != entry.statement.signature:
            # It was verified, and goes no further.
            self.signatures.forget([entry])
        if first.statement.payload != entry.statement.payload:
            self.counters["refused"] += 1
            submission.settle(position, ConflictError("S6", id=entry.record.id))
        elif waiting is not None:
            waiting.callers.append((submission, position))
        else:
            self.counters["repeated"] += 1
            index = self.store.find_leaf(first.leaf)
            if index is None:
                unreachable("an id that is on the chain has an entry")
            submission.settle(position, Published(first, index, True))

    def _on_chain(self, leaf: bytes) -> Entry:
        index = self.store.find_leaf(leaf)
        if index is None:
            unreachable("an id that is on the chain has an entry")
        return decode_entry(self.store.entry(index))

    # --- effects ----------------------------------------------------------------------------------

    def _step(self, *events: agree.Event) -> None:
        """Step events, and the answers to their effects, until there is nothing left to do."""
        queue: deque[agree.Event] = deque(events)
        while queue:
            for effect in self._machine.step(queue.popleft()):
                answer = _EFFECTS[type(effect)](self, effect)
                if answer is not None:
                    queue.append(answer)

    def _on_build(self, effect: agree.BuildBlock) -> agree.Event:
        """Build, execute and seal a block of what waits."""
        parent = self._tips[effect.parent.id]
        built = build_block(
            parent,
            self._candidates(effect),
            view=effect.view,
            proposer=self.keys.member.org,
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
        node = self.keys.node
        protected, payload = encode_seal(seal, node.alg, node.kid)
        signature = node.sign(signature_input(protected, payload))
        return decode_seal(encode_statement(protected, payload, signature))

    def _refuse(self, entry: Entry, error: AllianceError) -> None:
        self.counters["refused"] += 1
        self.signatures.forget([entry])
        for submission, position in self._waiting.pop(entry.id_key).callers:
            submission.settle(position, error)

    def _on_sign(self, effect: agree.Sign) -> agree.Event:
        signature = self.keys.node.sign(effect.message)
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
            self._keep(check_block(parent, body, history, self.signatures.verify))
        except StorageError:
            raise
        except AllianceError as error:
            LOG.warning("block %s is not valid: %s", block.height, error)
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
        view, epoch = self.view, effect.certificate.epoch
        store = self.store
        with store.transaction():
            for number, block in enumerate(blocks, 1):
                last = number == len(blocks)
                note = self._append(view.tip, block, certificate if last else None)
                view = View(block.tip, block.seal, note)
            if not blocks:
                store.replace_certificate(view.tip.height, certificate)
            store.save_justification([
                (cert.epoch, cert.view, cert.kind, agree.encode_certificate(cert))
                for cert in effect.justification
            ])  # fmt: skip
            self._drop_void(epoch, effect.certificate.view, view.tip.height)
            self._write_rows()
            store.clear_journal(epoch, effect.certificate.view, view.tip.height)
        self.view = view
        for block in blocks:
            self._answer(block)
        self._forget_below(view.tip)
        return agree.Committed(view.tip.height, len(self._waiting), self.clock.now_ms())

    def _append(self, parent: Tip, block: Applied, certificate: bytes | None) -> bytes:
        """A block and its head into the open transaction; the head is signed under compare-and-
        swap.
        """
        tip = block.tip
        self.store.advance_cosigned((parent.size, parent.tree.root()), (tip.size, tip.tree.root()))
        note = self._sign_head(tip, self.clock.now_ms())
        self.store.append(block, certificate, note)
        return note

    def _sign_head(self, tip: Tip, now_ms: int) -> bytes:
        """The signed note of a tree head: the log's line, and this member's cosignature."""
        text = encode_checkpoint(Checkpoint(tip.origin, tip.size, tip.tree.root()))
        lines = (
            sign_note(text, tip.origin, self.keys.log),
            cosign(text, self._cosigner_name, self.keys.cosigner, max(1, now_ms // 1000)),
        )
        return encode_note(Note(text, lines))

    def _answer(self, block: Applied) -> None:
        """Tell everybody who waits for an entry of a block that is durable."""
        index = block.tip.seal_index - len(block.entries)
        for entry in block.entries:
            waiting = self._waiting.pop(entry.id_key, None)
            if waiting is not None:
                for number, (submission, position) in enumerate(waiting.callers):
                    submission.settle(position, Published(entry, index, number > 0))
            index += 1
        self.signatures.forget(block.entries)
        self.counters["blocks"] += 1
        self.counters["entries"] += len(block.entries)

    def _forget_below(self, tip: Tip) -> None:
        """What is final needs no copy in memory; candidates at its height are void."""
        self._built = {
            k: block for k, block in self._built.items() if block.tip.height > tip.height
        }
        self._tips = {k: other for k, other in self._tips.items() if other.height > tip.height}
        self._tips[tip.seal_leaf] = tip
        self._bodies = {k: body for k, body in self._bodies.items() if k in self._tips}

    def _on_timer(self, effect: agree.SetTimer) -> None:
        self._deadline = effect.at_ms

    def _on_send(self, effect: agree.Send | agree.Fetch) -> None:
        self.outbox.append(effect)

    def _on_alarm(self, effect: agree.Alarm | agree.Evidence) -> None:
        LOG.critical("consensus alarm: %s", type(effect).__name__)

    # --- rows that no block takes along -----------------------------------------------------------

    def _drop_void(self, epoch: int, view: int, height: int) -> None:
        """What a commit has made obsolete is not written at all."""
        self._rows = {at: row for at, row in self._rows.items() if at[0] != epoch or at[1] > view}
        self._saved = {k: block for k, block in self._saved.items() if block.tip.height > height}

    def _write_rows(self) -> None:
        rows = [(*at, agree.encode_journal(row)) for at, row in self._rows.items()]
        self.store.save_journal(rows)
        for block_id, block in self._saved.items():
            raws = [*(entry.raw for entry in block.entries), block.seal.raw]
            self.store.save_candidate(block_id, block.tip.height, encode_bundle(raws))
        self._rows.clear()
        self._saved.clear()

    def _save_rows(self) -> None:
        """Votes of a turn without a commit, durable before anything is sent."""
        if self._rows or self._saved:
            with self.store.transaction():
                self._write_rows()


_EFFECTS: Final[dict[type, Callable[..., agree.Event | None]]] = {
    agree.Alarm: Driver._on_alarm,
    agree.BuildBlock: Driver._on_build,
    agree.CheckBlock: Driver._on_check,
    agree.Commit: Driver._on_commit,
    agree.Evidence: Driver._on_alarm,
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


def info_of(entry: SealEntry, size: int = 0) -> BlockInfo:
    """What consensus knows of a block."""
    seal = entry.seal
    return BlockInfo(
        id=entry.leaf,
        height=seal.height,
        view=seal.view,
        parent=unb64url(seal.prev.leaf, 32) if seal.prev else bytes(32),
        parent_view=seal.parent_view,
        epoch=seal.epoch,
        config_hash=unb64url(seal.config_hash, 32),
        time_ms=seal.time_ms,
        next_config_hash=unb64url(seal.next_config_hash, 32) if seal.next_config_hash else None,
        size=size,
    )
