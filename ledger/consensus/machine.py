"""The state machine. The protocol in prose, and how to drive it: see the package,
`ledger.consensus`.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ledger.consensus.events import (
    Alarm,
    BlockBuilt,
    BlockChecked,
    BlockReceived,
    BuildBlock,
    CheckBlock,
    Commit,
    Committed,
    Effect,
    Event,
    Evidence,
    Fetch,
    Health,
    Heartbeat,
    NothingToBuild,
    Parted,
    PeerSummary,
    Persist,
    Received,
    Send,
    SetTimer,
    Sign,
    Signed,
    Started,
    Tick,
    Work,
)
from ledger.consensus.evidence import contradict
from ledger.consensus.journal import LAST_VIEW, UNSIGNED, Row
from ledger.consensus.messages import (
    MAX_SKIPS,
    NO_BLOCK,
    BlockInfo,
    Certificate,
    Fact,
    HeldVotes,
    Kind,
    Proposal,
    Status,
    Summary,
    ViewSummary,
    Vote,
    certificate_votes,
    make_certificate,
    signed_bytes,
    status_bytes,
)
from ledger.consensus.views import KINDS, Candidates, View
from ledger.errors import ensure, unreachable
from ledger.members import EpochConfig

LEAST_BLOCK_BYTES: Final = 64 << 10
CLOCK_AHEAD_MS: Final = 2_000
CLOCK_BEHIND_MS: Final = 10_000
BLOCK_KINDS: Final = ("propose", "notarize", "finalize")
"""The votes that name a block."""
MAX_HELD: Final = 64
"""Blocks of one view that a summary names: more than members, who vote once of a kind."""

Judgement: TypeAlias = Literal[
    "none", "unjustified", "final", "withheld", "waiting", "early", "invalid", "good"
]


class Timing(msgspec.Struct, frozen=True):
    """How long a node waits, in milliseconds (consensus.md 2.10). Local: members may differ."""

    proposal_ms: int = 800
    view_ms: int = 4_000
    repropose_ms: int = 500
    sync_ms: int = 1_000
    down_ms: int = 20_000
    cap_ms: int = 30_000


class Consensus:
    """One node's part in the agreement on the next block.

    `node_keys` are this node's raw public keys: one, or two while they change (2.17); an epoch
    lists one of them at most, and a node that it does not list observes. `rules` are the rules
    versions that this software knows. The first event is `Started`.
    """

    def __init__(
        self,
        *node_keys: bytes,
        timing: Timing | None = None,
        rules: frozenset[int] = frozenset({1}),
    ) -> None:
        self._node_keys = node_keys
        self._rules = rules
        self._timing = timing or Timing()
        self._final_cert: Certificate | None = None
        self._work_since: int | None = None
        self._now = 0
        self._started = False
        # Others may look at a machine that is about to begin.
        self._me: int | None = None
        self._view = 0
        self._halted = False
        self._quarantined = False
        self._doubted_ms = 0
        self._cloned = False
        self._reports: dict[int, int] = {}
        self._boot_id = b""
        self._beats: dict[int, Status] = {}
        self._floor = 0
        self._pending = 0
        self._healthy = True
        self._request = 0
        self._requests: dict[int, tuple[int, int, Kind]] = {}
        self._effects: list[Effect] = []
        self._dirty: set[int] = set()
        self._bodies: list[bytes] = []
        self._timer: int | None = None
        self._asked: dict[bytes, int] = {}
        self._range_asked = (0, -1, 0)
        self._ahead: tuple[int, int, int] | None = None
        self._reported: set[tuple[int, int, int]] = set()
        self._alarmed: set[bytes] = set()
        self._committing: int | None = None
        self._switching = False
        self._size_target = 0
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            Started: self._on_started,
            Tick: lambda _: None,
            Work: self._on_work,
            Health: self._on_health,
            Heartbeat: self._on_heartbeat,
            BlockBuilt: self._on_built,
            NothingToBuild: self._on_nothing,
            BlockReceived: self._on_block,
            BlockChecked: self._on_checked,
            Received: self._on_received,
            PeerSummary: self._on_summary,
            Parted: self._on_parted,
            Signed: self._on_signed,
            Committed: self._on_committed,
        }

    # What the driver may look at.

    @property
    def config(self) -> EpochConfig:
        """The configuration of the current epoch."""
        return self._config

    @property
    def index(self) -> int | None:
        """This node's member index in the current epoch; None while it observes."""
        return self._me

    @property
    def view(self) -> int:
        """The current view."""
        return self._view

    @property
    def final(self) -> BlockInfo:
        """The newest final block."""
        return self._blocks.final

    @property
    def final_certificate(self) -> Certificate | None:
        """The newest finalization of this epoch, or the one that finalized the epoch's anchor."""
        return self._final_cert or self._anchor_cert

    @property
    def tip(self) -> BlockInfo:
        """The best block to build on: `Work` counts the records that are not yet in it or below
        it.
        """
        best = self._best_tip()
        return self._blocks.final if best is None else best[1]

    @property
    def pending(self) -> int:
        """How many records it was last told to wait; another number is another `Work`."""
        return self._pending

    @property
    def voting(self) -> bool:
        """Whether this node may vote: a member, not stopped, not in quarantine."""
        return self._me is not None and not self._halted and not self._quarantined

    def holds(self, block: bytes) -> bool:
        """Whether a block is known here, final or above the final one."""
        return self._blocks.info(block) is not None

    def summary(self) -> Summary:
        """What this node holds above its final block, to be sent to peers every second or so
        (R12).
        """
        views = tuple(self._summary_of(self._views[number]) for number in sorted(self._views))
        return Summary(
            epoch=self._config.epoch,
            view=self._view,
            final_height=self.final.height,
            final_view=self._final_view,
            views=views,
        )

    # The one entrance.

    def step(self, event: Event) -> list[Effect]:
        """Take one event in; return what is to be done, in order. Raises `InvariantError` for a
        driver's mistake.
        """
        ensure(
            self._started != isinstance(event, Started), "the first event, and only it, is Started"
        )
        self._now = max(self._now, event.now_ms)
        self._handlers[type(event)](event)
        self._settle()
        return self._flush()

    def _settle(self) -> None:
        """Draw every consequence of what is known. Each rule is idempotent."""
        while not self._halted and (self._commit() or self._advance()):
            pass
        if not self._halted:
            self._check_blocks()
        self._watch_notarized()
        if self._started and self._may_act():
            self._track_work()
            self._vote_finalize()
            self._propose()
            self._vote_notarize()
            self._vote_nullify()
        self._fetch_missing()
        self._fetch_on()

    def _flush(self) -> list[Effect]:
        """The effects of this step: what must be durable first, the timer last."""
        effects, self._effects = self._effects, []
        rows = tuple(self._views[n].row() for n in sorted(self._dirty) if n in self._views)
        if rows or self._bodies:
            effects.insert(0, Persist(rows, tuple(self._bodies)))
        self._dirty.clear()
        self._bodies = []
        deadline = self._deadline()
        if deadline != self._timer:
            self._timer = deadline
            effects.append(SetTimer(deadline))
        return effects

    def _may_act(self) -> bool:
        return self.voting and not self._switching

    # Start, epochs.

    def _on_started(self, event: Started) -> None:
        durable = event.durable
        self._started = True
        self._halted = durable.halted
        self._doubted_ms = event.now_ms
        self._pending = event.pending
        self._enter_epoch(durable.config, durable.anchor, durable.anchor_certificate)
        self._final_cert = durable.certificate
        self._final_view = durable.certificate.view if durable.certificate else 0
        self._blocks = Candidates(durable.final)
        for info in durable.blocks:
            self._blocks.add(info, saved=True)
        for row in durable.rows:
            self._restore(row)
        self._enter_view(self._final_view + 1)
        # The only member has nobody to ask: its operator has decided (2.12). Should it have become
        # one of several since, what shows it that is a certificate with words of its own.
        alone = self._me is not None and self._config.n == 1
        if durable.in_doubt and self._node_keys and not alone:
            self._doubt(Alarm("quarantine", ()))
        else:
            self._resend()

    def _restore(self, row: Row) -> None:
        if row.epoch != self._config.epoch:
            return
        if row.view == LAST_VIEW:
            self._quarantined = row.floor == LAST_VIEW
            self._floor = 0 if self._quarantined else row.floor
        elif row.view > self._final_view:
            self._at(row.view).restore(row)

    def _resend(self) -> None:
        """R12 after a restart: the same words again. A word that was decided but not signed is
        signed now.
        """
        for number in sorted(self._views):
            for kind in KINDS:
                vote = self._views[number].said(kind)
                if vote is None:
                    continue
                if vote.signature == UNSIGNED:
                    if self.voting and number >= self._floor:
                        self._request_signature(vote)
                else:
                    self._send(None, self._outgoing(vote))

    def _enter_epoch(
        self, config: EpochConfig, anchor: BlockInfo, certificate: Certificate | None
    ) -> None:
        self._config = config
        listed = [config.index_of(key) for key in self._node_keys]
        self._me = next((index for index in listed if index is not None), None)
        if config.rules_version not in self._rules and not self._halted:
            # Nothing is judged by rules that this software does not know (2.17): it keeps serving.
            self._halted = True
            self._effects.append(Alarm("rules-version", ()))
        self._anchor = anchor
        self._anchor_cert = certificate
        self._final_cert = None
        self._final_view = 0
        self._views: dict[int, View] = {}
        self._blocks = Candidates(anchor)
        self._requests.clear()
        self._asked.clear()
        self._seen = [self._now] * config.n
        self._clocks = [0] * config.n
        self._silent: set[int] = set()
        self._size_target = config.limits.block_bytes
        self._view = 0
        self._enter_view(1)

    def _on_committed(self, event: Committed) -> None:
        ensure(event.height == self._committing, "Committed answers Commit")
        self._committing = None
        self._pending = event.pending
        if not self._switching:
            return
        config = event.config
        if config is None:
            unreachable("a boundary block is committed with the next configuration")
        ensure(config.config_hash == self.final.next_config_hash, "named by the boundary block")
        ensure(config.epoch == self._config.epoch + 1, "epochs have no gaps")
        self._switching = False
        # Whatever was said above this boundary block before the loss, the block is older than the
        # floor then: what was lost ends below it. One that was proposed later ends the guard.
        guarded, self._floor = self._floor > self.final.view, 0
        self._reports.clear()
        if self._ahead is not None:
            # Members are numbered anew: whoever has the next blocks is as good.
            self._ahead = -1, *self._ahead[1:]
        self._enter_epoch(config, self.final, self._final_cert)
        if self._quarantined:
            self._set_floor(LAST_VIEW)
        elif guarded and config.offline:
            # What was lost may reach into the first views of this epoch; c = 0: see below.
            self._set_floor(3)

    # Quarantine (2.12) and heartbeats.

    def _doubt(self, alarm: Alarm) -> None:
        """This node may have said more than it remembers: no word until others tell how far it
        went.
        """
        self._quarantined = True
        self._doubted_ms = self._now
        self._reports.clear()
        if self._me is not None:
            # Whoever has no vote yet, or knows only of epochs before its own, waits for it like
            # this, too; there is nothing to tell of it before.
            self._effects.append(alarm)
        self._set_floor(LAST_VIEW)

    def _learn_status(self, status: Status) -> None:
        if status.epoch != self._config.epoch:
            return
        oldest = max(self._clocks[status.signer], self._now - self._timing.down_ms)
        if status.clock_ms > oldest:
            # Anybody may send an old one again: only what is new shows that a member lives.
            self._clocks[status.signer] = status.clock_ms
            self._presence(status.signer, status.epoch)
        # Older ones may be replayed. Correct clocks are at most CLOCK_AHEAD_MS off: this is new.
        # Where there will be no floor (c = 0), what I said must have had the time to arrive.
        wait_ms = CLOCK_AHEAD_MS if self._config.offline else self._timing.down_ms
        fresh = status.clock_ms > self._doubted_ms + wait_ms
        if status.signer == self._me:
            if fresh and self._boot_id and status.boot_id != self._boot_id and not self._cloned:
                self._cloned = True
                self._doubt(Alarm("own-key", (status,)))
        elif self._me is None:
            # These are no words on what this node said: it has none to say in this epoch.
            return
        elif self._quarantined and fresh and status.view <= self._view:
            # Only a view that certificates here justify: a liar cannot raise the floor at will.
            self._reports[status.signer] = status.view
            self._leave_quarantine()

    def _leave_quarantine(self) -> None:
        """After r reports, some correct member has been in the last view but one that I spoke in.

        Where nobody may be missing (c = 0) no view ends without this node, so a floor would stop
        the chain: then all others must report, `down_ms` later, and the words of mine that they
        hold are all there is to go by. One that is still on its way then looks like a lie; as
        b >= 1, it makes no fork.

        A node whose key is in use elsewhere, now, stays silent until it is started anew.
        """
        config = self._config
        enough = config.offline + max(1, min(config.lying, config.offline))
        if self._cloned or len(self._reports) < (enough if config.offline else config.n - 1):
            return
        self._quarantined = False
        for view in self._views.values():
            for kind in KINDS:
                mine = view.votes[kind].get(self._me if self._me is not None else -1)
                if mine is not None:
                    view.own[kind] = mine
                    self._dirty.add(view.number)
        self._set_floor(max(*self._reports.values(), self._view) + 2 if config.offline else 0)

    def _set_floor(self, view: int) -> None:
        """No word below this view of this epoch, durably; `LAST_VIEW` is the quarantine itself."""
        self._floor = 0 if view == LAST_VIEW else view
        self._effects.append(
            Persist((Row(epoch=self._config.epoch, view=LAST_VIEW, floor=view),), ())
        )

    def _on_heartbeat(self, event: Heartbeat) -> None:
        self._boot_id = event.boot_id
        if self._me is None or not self._may_act():
            return
        status = Status(
            epoch=self._config.epoch,
            view=self._view,
            final_height=self.final.height,
            final_block=self.final.id,
            final_view=self._final_view,
            clock_ms=event.now_ms,
            boot_id=event.boot_id,
            version=event.version,
            signer=self._me,
            signature=UNSIGNED,
        )
        self._request += 1
        self._beats = {self._request: status}
        self._effects.append(Sign(self._request, status_bytes(self._config, status)))

    def _send_heartbeat(self, status: Status, signature: bytes) -> None:
        if status.epoch == self._config.epoch:
            self._send(None, msgspec.structs.replace(status, signature=signature))

    # R1: facts.

    def _at(self, number: int) -> View:
        view = self._views.get(number)
        if view is None:
            view = self._views[number] = View(self._config.epoch, number)
        return view

    def _on_work(self, event: Work) -> None:
        self._pending = event.pending

    def _on_health(self, event: Health) -> None:
        self._healthy = event.healthy

    def _on_received(self, event: Received) -> None:
        fact = event.fact
        if isinstance(fact, Certificate):
            self._learn_certificate(fact)
        elif isinstance(fact, Status):
            self._learn_status(fact)
        elif isinstance(fact, Vote):
            self._learn_old_epoch(fact.epoch, event.peer)
            self._learn_vote(fact)
        else:
            for cert in (fact.parent_cert, *fact.skips):
                if cert is not None:
                    self._learn_certificate(cert)
            self._learn_old_epoch(fact.vote.epoch, event.peer)
            self._learn_vote(fact.vote)

    def _learn_old_epoch(self, epoch: int, peer: int) -> None:
        """A word of the epoch before is answered with the certificate that ended it (2.17)."""
        if epoch == self._config.epoch - 1 and self._anchor_cert is not None and peer >= 0:
            self._send(peer, self._anchor_cert)

    def _presence(self, signer: int, epoch: int) -> None:
        if epoch == self._config.epoch and signer < len(self._seen):
            self._seen[signer] = self._now
            self._silent.discard(signer)

    def _learn_vote(self, vote: Vote) -> None:
        in_reach = self._final_view < vote.view <= self._view + 4 * self._config.n
        if vote.epoch != self._config.epoch or not in_reach:
            return
        self._check_own(vote)
        view = self._at(vote.view)
        first_proposal = vote.kind == "propose" and view.proposal is None
        if self._record(view, vote):
            self._presence(vote.signer, vote.epoch)
            if first_proposal:
                view.received_ms = self._now
            self._compare(view, vote)
            self._count(view, vote)

    def _compare(self, view: View, vote: Vote) -> None:
        """Whoever votes for another block than the leader showed here is shown that proposal: one
        of two that a leader signed reaches somebody who holds the other one (2.19).
        """
        offered = view.proposal
        if vote.kind == "notarize" and offered is not None and offered.block != vote.block:
            self._send(vote.signer, offered)

    def _check_own(self, vote: Vote) -> None:
        """A valid word of mine that my journal lacks: a lost journal, or my key elsewhere (2.12).

        Below the floor of a quarantine such words are expected, and harmless.
        """
        if vote.signer != self._me or vote.view < self._floor or self._quarantined:
            return
        view = self._views.get(vote.view)
        mine = view.said(vote.kind) if view else None
        if mine is None or (mine.height, mine.block) != (vote.height, vote.block):
            self._doubt(Alarm("own-key", (vote,)))

    def _record(self, view: View, vote: Vote) -> bool:
        """Keep the first word of each kind and member; report a contradiction once. True when it
        is new.
        """
        table = view.votes[vote.kind]
        known = table.get(vote.signer)
        if known is not None and (known.height, known.block) == (vote.height, vote.block):
            return False
        for kind in KINDS:
            other = view.votes[kind].get(vote.signer)
            if other is not None and contradict(other, vote):
                self._report(other, vote)
        if known is not None:
            view.equivocated |= vote.kind == "propose"
            return False
        table[vote.signer] = vote
        return True

    def _report(self, first: Vote, second: Vote) -> None:
        key = (first.epoch, first.view, first.signer)
        if key not in self._reported:
            self._reported.add(key)
            self._effects.append(Evidence(first, second))

    def _count(self, view: View, vote: Vote) -> None:
        """On a q-th equal word, make the certificate."""
        if vote.kind == "propose" or vote.kind in view.certs:
            return
        same = [
            other
            for other in view.votes[vote.kind].values()
            if (other.height, other.block) == (vote.height, vote.block)
        ]
        if len(same) >= self._quorum():
            cert = make_certificate(self._config, same)
            self._learn_certificate(cert)
            if self._me in (self._config.leader(view.number), self._config.leader(view.number + 1)):
                self._send(None, cert)

    def _quorum(self) -> int:
        return self._config.q

    def _learn_certificate(self, cert: Certificate) -> None:
        if cert.epoch != self._config.epoch or cert.config_hash != self._config.config_hash:
            return
        if self._breaks_finality(cert):
            self._stop("safety", cert)
            return
        if cert.view <= self._final_view:
            return
        view = self._at(cert.view)
        if cert.kind in view.certs:
            return
        view.certs[cert.kind] = cert
        self._dirty.add(cert.view)
        for vote in certificate_votes(cert):
            self._check_own(vote)
            self._record(view, vote)
        if cert.kind == "nullify":
            self._shrink_target(view)

    def _on_parted(self, event: Parted) -> None:
        self._stop("safety", event.certificate)

    def _breaks_finality(self, cert: Certificate) -> bool:
        """Two certificates that more than b liars are needed for."""
        final = self.final
        if cert.kind == "finalize":
            lower = cert.view > self._final_view and cert.height < final.height
            equal = cert.height == final.height and cert.block != final.id
            if lower or equal:
                return True
        view = self._views.get(cert.view)
        held = view.certs if view else {}
        if cert.kind == "nullify":
            return "finalize" in held
        positives = [held[kind] for kind in ("notarize", "finalize") if kind in held]
        differs = any(other.block != cert.block for other in positives)
        return differs or (cert.kind == "finalize" and "nullify" in held)

    def _stop(self, kind: Literal["safety", "invalid-final"], cert: Certificate) -> None:
        """Stop voting, keep serving, show the proof."""
        view = self._views.get(cert.view)
        others = tuple(view.certs.values()) if view else ()
        newest = (self._final_cert,) if self._final_cert else ()
        proof = {fact: None for fact in (cert, *others, *newest)}
        if not self._halted:
            self._halted = True
            self._effects.append(Alarm(kind, tuple(proof)))

    def _shrink_target(self, view: View) -> None:
        """A leader whose block was nullified makes smaller ones: a slow uplink adapts (2.13)."""
        if view.said("propose") is not None:
            least = min(LEAST_BLOCK_BYTES, self._config.limits.block_bytes)
            self._size_target = max(least, self._size_target // 2)

    # Blocks.

    def _on_block(self, event: BlockReceived) -> None:
        # Wanted blocks always enter; others while there is room, so that nobody fills the memory.
        block = event.block
        if block.epoch != self._config.epoch:
            return
        wanted = block.id in self._asked or block.height <= self._certified_height()
        # Who leads now must not wait because another one has filled the room.
        offered = block.view == self._view and self._blocks.count_of(block.view) < 2
        if wanted or offered or len(self._blocks) < 16 * self._config.n + 64:
            self._blocks.add(block)

    def _certified_height(self) -> int:
        """The height of the highest finalization that waits for its blocks."""
        finals = (view.certs.get("finalize") for view in self._views.values())
        return max((cert.height for cert in finals if cert is not None), default=0)

    def _on_checked(self, event: BlockChecked) -> None:
        candidate = self._blocks.get(event.block)
        if candidate is None or candidate.state != "checking":
            return
        if event.verdict == "missing":
            self._blocks.forget(event.block)
        else:
            candidate.state = event.verdict

    def _check_blocks(self) -> None:
        """R9, the part that needs no content; the driver executes the rest. Of the blocks that a
        certificate or the leader of this view names, and of those below them.
        """
        needed = [fact.block for fact in self._named()]
        todo = self._blocks.unchecked(needed)
        while todo:
            for candidate, parent, state in todo:
                if state == "invalid" or not self._fits(candidate.info, parent):
                    candidate.state = "invalid"
                else:
                    candidate.state = "checking"
                    self._effects.append(CheckBlock(candidate.info))
            todo = self._blocks.unchecked(needed)

    def _fits(self, info: BlockInfo, parent: BlockInfo) -> bool:
        closed = parent.boundary and parent.epoch == self._config.epoch and parent != self._anchor
        return (
            not closed
            and info.height == parent.height + 1
            and info.epoch == self._config.epoch
            and info.config_hash == self._config.config_hash
            and info.time_ms > parent.time_ms
            and info.view > info.parent_view
        )

    def _watch_notarized(self) -> None:
        """R11: others notarized what this node finds invalid. Never a vote on it; somebody must
        look.
        """
        for number in sorted(self._views):
            cert = self._views[number].certs.get("notarize")
            candidate = self._blocks.get(cert.block) if cert is not None else None
            if cert is None or candidate is None or candidate.state != "invalid":
                continue
            if cert.block not in self._alarmed:
                self._alarmed.add(cert.block)
                self._effects.append(Alarm("invalid-notarized", (cert,)))

    def _fetch_missing(self) -> None:
        """Ask for what a certificate or the current proposal needs; again every `sync_ms`."""
        missing: dict[bytes, int] = {}
        for fact in self._named():
            root = self._blocks.missing_root(fact.block)
            if root is not None and root not in missing and fact.height > self.final.height:
                missing[root] = fact.height
        self._asked = {block: at for block, at in self._asked.items() if block in missing}
        for block, height in missing.items():
            asked = self._asked.get(block)
            if asked is None or self._now >= asked + self._timing.sync_ms:
                self._asked[block] = self._now
                self._effects.append(Fetch(block, height, -1))

    def _named(self) -> Iterator[Vote | Certificate]:
        """The facts that name a block which this node needs."""
        for number in sorted(self._views):
            view = self._views[number]
            offered = view.said("propose") or view.proposal
            if number == self._view and offered is not None:
                yield offered
            for cert in view.certs.values():
                if cert.kind != "nullify":
                    yield cert

    # R2: advance. Tips.

    def _tips(self, upto: int) -> Iterator[tuple[int, bytes]]:
        """tips(upto), highest first: what may be built on in view upto + 1."""
        for number in range(upto, self._final_view, -1):
            view = self._views.get(number)
            if view is None:
                return
            if view.positive is not None:
                yield number, view.positive.block
            if view.nullification is None:
                return
        yield self._final_view, self.final.id

    def _best_tip(self) -> tuple[int, BlockInfo] | None:
        """The highest tip whose block and ancestors are here and validated."""
        for number, block in self._tips(self._view - 1):
            info = self._blocks.info(block)
            if info is not None and self._blocks.is_valid(block):
                return number, info
        return None

    def _advance(self) -> bool:
        for number in sorted(self._views, reverse=True):
            if number < self._view:
                return False
            view = self._views[number]
            left = view.positive is not None or view.nullification is not None
            if left and next(self._tips(number), None) is not None:
                self._enter_view(number + 1)
                return True
        return False

    def _enter_view(self, number: int) -> None:
        if number > self._view:
            self._view = number
            self._entered_ms = self._now
            self._work_since = None
            self._building = False

    # Work and timers.

    def _track_work(self) -> None:
        if not self._has_work():
            self._work_since = None
        elif self._work_since is None:
            self._work_since = self._now

    def _has_work(self) -> bool:
        """A record waits, or the best tip is not final (2.9)."""
        if self._pending > 0:
            return True
        best = next(self._tips(self._view - 1), None)
        return best is not None and best[1] != self.final.id

    def _backed_off(self, wait_ms: int) -> int:
        """The wait in this view: half as long again for each failed view beyond the first c
        (2.10).
        """
        failed = self._view - 1 - self._final_view - self._config.offline
        for _ in range(failed):
            wait_ms = wait_ms * 3 // 2
            if wait_ms >= self._timing.cap_ms:
                return self._timing.cap_ms
        return wait_ms

    def _expired(self, wait_ms: int) -> bool:
        return self._work_since is not None and self._now >= self._work_since + wait_ms

    def _deadline(self) -> int | None:
        """The next moment at which something would happen without any event."""
        times = [at + self._timing.sync_ms for at in self._asked.values()]
        if self._started and self._may_act() and self._work_since is not None:
            since = self._work_since
            times.append(since + self._backed_off(self._timing.proposal_ms))
            times.append(since + self._backed_off(self._timing.view_ms))
            if self._leads():
                times.append(since + self._timing.repropose_ms)
                times.append(self._pace_ms())
        proposal = self._views[self._view].proposal if self._view in self._views else None
        info = self._blocks.info(proposal.block) if proposal else None
        if info is not None and self._may_act():
            times.append(info.time_ms - CLOCK_AHEAD_MS)
        return min((at for at in times if at > self._now), default=None)

    def _pace_ms(self) -> int:
        """The earliest time of the next block: `min_interval_ms` after its parent's, or after this
        view began.
        """
        best = self._best_tip()
        since = self._entered_ms if best is None else min(best[1].time_ms, self._entered_ms)
        return since + self._config.limits.min_interval_ms

    def _leads(self) -> bool:
        return self._me is not None and self._config.leader(self._view) == self._me

    # R3 to R5: propose.

    def _propose(self) -> None:
        view = self._at(self._view)
        spoken = any(view.said(kind) for kind in ("propose", "nullify", "notarize"))
        idle = self._work_since is None or self._building or self._committing is not None
        if not self._leads() or spoken or idle or not self._healthy or self._view < self._floor:
            return
        best = self._best_tip()
        if best is None:
            return
        number, tip = best
        closed = tip.boundary and tip.id != self._anchor.id
        if not closed and self._pending > 0:
            if self._now >= self._pace_ms():
                self._build(number, tip)
        elif tip.id != self.final.id and self._expired(self._timing.repropose_ms):
            self._sign("propose", view, tip.height, tip.id)

    def _build(self, parent_view: int, parent: BlockInfo) -> None:
        self._building = True
        limits = self._config.limits
        self._effects.append(
            BuildBlock(
                parent=parent,
                parent_view=parent_view,
                epoch=self._config.epoch,
                view=self._view,
                time_ms=max(self._now, parent.time_ms + 1),
                block_bytes=min(self._size_target, limits.block_bytes),
                block_records=limits.block_records,
            )
        )

    def _on_nothing(self, event: NothingToBuild) -> None:
        if event.view == self._view:
            self._building = False
            self._pending = 0

    def _on_built(self, event: BlockBuilt) -> None:
        info = event.block
        if not self._building or (info.epoch, info.view) != (self._config.epoch, self._view):
            return
        self._building = False
        view = self._at(self._view)
        parent = self._blocks.info(info.parent)
        stale = parent is None or (info.parent_view, info.parent) not in self._tips(self._view - 1)
        if stale or parent is None or view.said("nullify") is not None or not self._may_act():
            return
        ensure(self._fits(info, parent), "the driver builds what it was asked for")
        self._blocks.add(info, "valid")
        self._sign("propose", view, info.height, info.id)

    # R6: notarize.

    def _judge(self) -> Judgement:
        """What the proposal of the current view is worth here and now."""
        proposal = self._offered()
        if proposal is None:
            return "none"
        if proposal.block == self.final.id:
            return "final"
        candidate = self._blocks.get(proposal.block)
        if candidate is None:
            return "withheld"
        info = candidate.info
        again = info.view != proposal.view
        if (
            candidate.state == "invalid"
            or info.height != proposal.height
            or info.view > proposal.view
        ):
            return "invalid"
        if not self._justified(info, again):
            return "unjustified"
        if candidate.state != "valid":
            return "waiting"
        return "good" if again else self._judge_time(info)

    def _offered(self) -> Vote | None:
        """The proposal to judge: this node's own, or the first that the leader sent."""
        view = self._at(self._view)
        return view.said("propose") or view.proposal

    def _justified(self, info: BlockInfo, again: bool) -> bool:
        """By certificates that this node holds: whoever relayed the proposal may have spoiled its
        own.
        """
        tips = self._tips(self._view - 1)
        if again:
            return any(block == info.id for _, block in tips)
        return (info.parent_view, info.parent) in tips

    def _judge_time(self, info: BlockInfo) -> Judgement:
        """The clock test, for new blocks only (2.18)."""
        if self._leads():
            return "good"
        received = self._at(self._view).received_ms
        if info.time_ms < received - self._backed_off(CLOCK_BEHIND_MS):
            return "invalid"
        return "early" if info.time_ms > self._now + CLOCK_AHEAD_MS else "good"

    def _vote_notarize(self) -> None:
        view = self._at(self._view)
        if view.said("notarize") or view.said("nullify") or self._view < self._floor:
            return
        proposal = self._offered()
        judgement = self._judge()
        if proposal is not None and judgement == "good":
            self._sign("notarize", view, proposal.height, proposal.block)
        elif judgement == "final" and self._final_cert is not None:
            self._offer_final(self._config.leader(self._view))

    def _offer_final(self, leader: int) -> None:
        """A leader proposes again what is final here: it lacks the certificate."""
        key = (self._config.epoch, self._view, -1)
        if key not in self._reported and self._final_cert is not None:
            self._reported.add(key)
            self._send(leader, self._final_cert)

    # R7: finalize.

    def _vote_finalize(self) -> None:
        for number in sorted(self._views):
            view = self._views[number]
            cert = view.certs.get("notarize")
            if cert is not None and self._may_finalize(view, cert):
                self._sign("finalize", view, cert.height, cert.block)

    def _may_finalize(self, view: View, cert: Certificate) -> bool:
        notarized = view.said("notarize")
        return (
            view.number >= self._floor
            and view.said("finalize") is None
            and view.said("nullify") is None
            and (notarized is None or notarized.block == cert.block)
            and not view.equivocated
            and view.nullification is None
            and "finalize" not in view.certs
            and self._blocks.is_valid(cert.block)
        )

    # R8: nullify.

    def _vote_nullify(self) -> None:
        view = self._at(self._view)
        if view.said("finalize") or view.said("nullify") or self._view < self._floor:
            return
        if self._should_nullify(view):
            self._sign("nullify", view, 0, NO_BLOCK)

    def _should_nullify(self, view: View) -> bool:
        leader = self._config.leader(self._view)
        nullified = view.votes["nullify"]
        if len(nullified) >= self._config.joining:
            return True
        judgement = self._judge()
        if self._work_since is None:
            return judgement == "invalid"
        late = self._expired(self._backed_off(self._timing.proposal_ms))
        # A proposal travels with its block: one without says no more than none.
        if late and judgement in ("none", "unjustified", "withheld"):
            self._silent.add(leader)
            return True
        return (
            self._expired(self._backed_off(self._timing.view_ms))
            or judgement == "invalid"
            or leader in nullified
            or (judgement == "none" and (self._is_absent(leader) or self._cannot_lead()))
        )

    def _cannot_lead(self) -> bool:
        return self._leads() and not self._healthy

    def _is_absent(self, leader: int) -> bool:
        """Presence skip (f): a quorum has been heard of lately, and the leader has not."""
        if leader == self._me:
            return False
        recent = self._now - self._timing.down_ms
        present = [
            index
            for index, seen in enumerate(self._seen)
            if index == self._me or (seen > recent and index not in self._silent)
        ]
        return leader not in present and len(present) >= self._config.q

    # Signing: the one place where words are decided.

    def _sign(self, kind: Kind, view: View, height: int, block: bytes) -> None:
        """Decide on a word: remember it durably, then have it signed. Holds R3 and R6 to R8 as
        invariants.
        """
        ensure(
            self._may_act() and view.number > self._final_view,
            "only a member in good standing speaks",
        )
        ensure(view.number >= self._floor, "R12: nothing below the floor of the quarantine")
        ensure(view.said(kind) is None, "one word of a kind in a view")
        if kind == "nullify":
            ensure(view.said("finalize") is None, "R8: never nullify what was finalized")
        elif kind == "finalize":
            self._ensure_may_finalize(view, block)
        else:
            ensure(view.said("nullify") is None, "R3, R6: never after nullify")
            ensure(view.number == self._view, "R3, R6: in the current view only")
        ensure(self._me is not None, "observers are silent")
        vote = Vote(kind, view.epoch, view.number, height, block, self._me or 0, UNSIGNED)
        view.own[kind] = vote
        self._dirty.add(view.number)
        if kind != "nullify":
            self._bodies += self._blocks.save(block)
        self._request_signature(vote)

    def _ensure_may_finalize(self, view: View, block: bytes) -> None:
        notarized = view.said("notarize")
        ensure(view.said("nullify") is None, "R7: never finalize what was nullified")
        ensure(notarized is None or notarized.block == block, "R7: only what was notarized")
        ensure("notarize" in view.certs, "R7: only with the notarization")

    def _request_signature(self, vote: Vote) -> None:
        self._request += 1
        self._requests[self._request] = (vote.epoch, vote.view, vote.kind)
        message = signed_bytes(self._config, vote.kind, vote.view, vote.height, vote.block)
        self._effects.append(Sign(self._request, message))

    def _on_signed(self, event: Signed) -> None:
        if event.request in self._beats:
            self._send_heartbeat(self._beats.pop(event.request), event.signature)
            return
        key = self._requests.pop(event.request, None)
        if not self.voting:
            return
        view = self._views.get(key[1]) if key is not None else None
        if key is None or view is None or key[0] != self._config.epoch:
            return
        unsigned = view.said(key[2])
        if unsigned is None:
            unreachable("only what was decided is signed")
        vote = msgspec.structs.replace(unsigned, signature=event.signature)
        view.own[vote.kind] = vote
        self._dirty.add(vote.view)
        self._record(view, vote)
        self._send(None, self._outgoing(vote))
        self._count(view, vote)

    def _outgoing(self, vote: Vote) -> Fact:
        return self._proposal(vote) if vote.kind == "propose" else vote

    def _proposal(self, vote: Vote) -> Proposal:
        """The proposal of `vote` with its justification, from the certificates held."""
        info = self._blocks.info(vote.block)
        again = info is not None and info.view != vote.view
        number = 0
        for number, block in self._tips(vote.view - 1):
            if info is not None and block == (info.id if again else info.parent):
                if again or number == info.parent_view:
                    break
        skips = []
        for skipped in range(number + 1, vote.view):
            view = self._views.get(skipped)
            if view is not None and view.nullification is not None:
                skips.append(view.nullification)
        # The rest, if ever so many views failed, comes with the summaries.
        return Proposal(vote, self._certificate_of(number), tuple(skips[-MAX_SKIPS:]))

    def _certificate_of(self, number: int) -> Certificate | None:
        view = self._views.get(number)
        return self.final_certificate if view is None else view.positive

    def _send(self, to: int | None, fact: Fact) -> None:
        if (self._config.n > 1 and to != self._me) or to is not None:
            self._effects.append(Send(to, (fact,)))

    # R10: commit.

    def _commit(self) -> bool:
        if self._committing is not None:
            return False
        for number in sorted(self._views, reverse=True):
            cert = self._views[number].certs.get("finalize")
            if cert is not None and self._commit_to(cert):
                return True
        return False

    def _commit_to(self, cert: Certificate) -> bool:
        if self._blocks.forks(cert.block):
            self._stop("safety", cert)
            return True
        candidate = self._blocks.get(cert.block)
        if candidate is not None and candidate.state == "invalid":
            self._stop("invalid-final", cert)
            return True
        if not self._blocks.is_valid(cert.block):
            return False
        path = self._blocks.path(cert.block)
        ensure(path is not None, "a valid block has its ancestors")
        blocks = tuple(path or ())
        self._effects.append(Commit(blocks, cert, self._justification(cert.view)))
        self._finalized(cert, blocks)
        return True

    def _justification(self, upto: int) -> tuple[Certificate, ...]:
        found: list[Certificate] = []
        for number in range(self._final_view + 1, upto + 1):
            view = self._views.get(number)
            if view is not None:
                held = (view.certs.get("notarize"), view.nullification)
                found.extend(cert for cert in held if cert is not None)
        return tuple(found)

    def _finalized(self, cert: Certificate, blocks: tuple[BlockInfo, ...]) -> None:
        self._committing = cert.height
        self._final_cert = cert
        self._final_view = cert.view
        if blocks:
            self._blocks.finalize(blocks[-1])
            self._switching = blocks[-1].boundary
            if any(self._config.leader(info.view) == self._me for info in blocks):
                self._size_target = min(2 * self._size_target, self._config.limits.block_bytes)
        self._views = {n: view for n, view in self._views.items() if n > cert.view}
        self._reported = {key for key in self._reported if key[:2] > (cert.epoch, cert.view)}
        self._enter_view(cert.view + 1)

    # R12: what a peer lacks.

    def _summary_of(self, view: View) -> ViewSummary:
        held: dict[bytes, dict[str, int]] = {}
        for kind in BLOCK_KINDS:
            for signer, vote in view.votes[kind].items():
                bits = held.setdefault(vote.block, dict.fromkeys(BLOCK_KINDS, 0))
                bits[kind] |= 1 << signer
        return ViewSummary(
            view=view.number,
            notarized=view.positive is not None,
            nullified=view.nullification is not None,
            nullify=sum(1 << signer for signer in view.votes["nullify"]),
            held=tuple(HeldVotes(block, **held[block]) for block in sorted(held))[:MAX_HELD],
        )

    def _on_summary(self, event: PeerSummary) -> None:
        theirs = event.summary
        if theirs.final_height > self.final.height and self._may_ask(event.peer):
            self._fetch_range(event.peer, theirs.final_height)
        if theirs.epoch == self._config.epoch:
            facts = self._missing_at(theirs)
            if facts:
                self._effects.append(Send(event.peer, tuple(facts)))

    def _may_ask(self, peer: int) -> bool:
        """One range in `sync_ms`; whoever was asked and gave nothing lets the others come first."""
        asked_ms, asked, height = self._range_asked
        in_vain = (asked, height) == (peer, self.final.height)
        wait_ms = self._timing.sync_ms * (self._config.n if in_vain else 1)
        return self._now >= asked_ms + wait_ms

    def _fetch_range(self, peer: int, height: int) -> None:
        """Ask for final blocks from a peer that says it has them up to a height."""
        self._range_asked = (self._now, peer, self.final.height)
        self._ahead = (peer, height, self.final.height)
        self._effects.append(Fetch(None, self.final.height + 1, peer))

    def _fetch_on(self) -> None:
        """What was asked for came, and it was not all: ask on at once (2.15)."""
        if self._ahead is not None and self._committing is None:
            peer, height, asked_at = self._ahead
            if self.final.height >= height:
                self._ahead = None
            elif self.final.height > asked_at:
                self._fetch_range(peer, height)

    def _missing_at(self, theirs: Summary) -> list[Fact]:
        facts: list[Fact] = []
        if self._final_cert is not None and theirs.final_view < self._final_view:
            facts.append(self._final_cert)
        held = {view.view: view for view in theirs.views}
        nothing = ViewSummary(0, False, False, 0, ())
        for number in sorted(self._views):
            if number > theirs.final_view:
                facts.extend(self._missing_in(self._views[number], held.get(number, nothing)))
        return facts

    def _missing_in(self, view: View, theirs: ViewSummary) -> Iterator[Fact]:
        if view.positive is not None and not theirs.notarized:
            yield view.positive
        if view.nullification is not None and not theirs.nullified:
            yield view.nullification
        if view.proposal is not None and not any(held.propose for held in theirs.held):
            yield self._proposal(view.proposal)
        done = {"notarize": theirs.notarized, "nullify": theirs.nullified}
        for kind in KINDS:
            for signer, vote in sorted(view.votes[kind].items()):
                same, other = self._has(theirs, vote)
                # Whoever holds another word of that member, and this one, holds the evidence.
                known = other and (vote.epoch, vote.view, signer) in self._reported
                fresh = other if kind == "propose" else not same
                if fresh and not known and (other or not done.get(kind, False)):
                    yield vote

    def _has(self, theirs: ViewSummary, vote: Vote) -> tuple[bool, bool]:
        """Whether a peer holds this vote, and whether it holds another one of the kind instead."""
        bit = 1 << vote.signer
        if vote.kind == "nullify":
            return bool(theirs.nullify & bit), False
        blocks = [held.block for held in theirs.held if getattr(held, vote.kind) & bit]
        return vote.block in blocks, bool(blocks) and vote.block not in blocks
