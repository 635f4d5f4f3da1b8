"""What other nodes say, into the machine; and what they are told, once it may be said.

Used by the writer's thread, but for `_serve`, which looks up what others lack in one of its own.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from logging import WARNING
from typing import Final

from ledger import consensus as agree
from ledger.members import MAX_MEMBERS, EpochConfig
from ledger.records.envelope import Entry
from node import VERSION
from node.admission import Body, Delivery
from node.driver.blocks import Blocks
from node.driver.catchup import Catchup
from node.driver.heads import Heads
from node.driver.mempool import Mempool
from node.driver.state import State
from node.logs import log_event
from node.presence import WARN_MS, Presence
from node.relay import Relay
from node.roster import Peer
from node.serving import ends_of_epochs, final_blocks
from node.wire import Want

SYNC_MS: Final = 1_000
IDLE_SYNC_MS: Final = 15_000
BEAT_MS: Final = 5_000
IDLE_BEAT_MS: Final = 15_000
"""How often the others are told where this node stands (consensus.md 2.10)."""
MAX_OFFERED: Final = 500
MAX_ASKED: Final = 64
"""So many are remembered."""
MANY: Final = 64
"""So many new entries are not kept until the end of the turn."""
MAX_SERVED: Final = 4
"""Nodes without a vote of one organisation that are answered at a time what they lack."""
MAX_UNTAKEN_BYTES: Final = 16 << 20
"""So much may wait for whoever asks for final blocks."""
MAX_AHEAD: Final = 4_096
"""Heights above the final one of which blocks are kept."""

Step = Callable[..., None]
Saying = agree.Send | agree.Fetch


class Gossip:
    """One node among others."""

    def __init__(
        self,
        state: State,
        mempool: Mempool,
        blocks: Blocks,
        heads: Heads,
        step: Step,
        boot_id: bytes,
    ) -> None:
        self._state = state
        self._mempool = mempool
        self._blocks = blocks
        self._heads = heads
        self._step = step
        self._boot_id = boot_id
        self._presence = Presence()
        self._relay = Relay()
        self._guests: list[str] = []
        self._serving: dict[str, str] = {}
        """Who is being answered what it lacks, and in whose share."""
        self._asked: dict[bytes, bool] = {}
        """Blocks that others were asked for, and whether consensus wanted them since."""
        self._gossip_ms = self._beat_ms = self._turn = 0
        self._clock_off = False
        self.catchup = Catchup(state, blocks, step)
        self.clock_fit = True
        """Whether this node's clock is right enough to lead."""
        self.outbox: list[tuple[str | None, Saying]] = []
        """What consensus wants to say; it leaves when all it rests on is durable."""
        self.archive = ThreadPoolExecutor(max_workers=1, thread_name_prefix="serve")
        """Looks up what others lack; apart, so that nobody's questions delay what is new."""

    @property
    def due_ms(self) -> int:
        """When there is something to say without being asked."""
        return min(self._gossip_ms, self._beat_ms)

    @property
    def clock_offset_ms(self) -> int:
        """How far the members' clocks are ahead of this node's."""
        return self._presence.offset_ms()

    def begin_epoch(self, config: EpochConfig) -> None:
        """Members are numbered anew, and others may be gone."""
        self._presence.keep({member.org for member in config.members})

    def _number(self, peer: Peer) -> int:
        """How the machine knows a peer: as a member of its epoch, or as one of the others."""
        members = self._state.machine.config.members
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
        return self._state.machine.config.members[number].org

    # --- in ---------------------------------------------------------------------------------------

    def receive(self, delivery: Delivery) -> None:
        """What another member sent, into the machine."""
        state = self._state
        state.counters["rejected"] += delivery.rejected
        peer, now_ms = delivery.peer, state.clock.now_ms()
        # First: what it is known to have cosigned limits what it may cosign now.
        for org in self._heads.learn(delivery.cosigned):
            self._show_final(org)
        entries = self._mempool.take_over(peer.share, delivery.entries)
        bodies = [body for body in delivery.bodies if self._take_body(body, now_ms)]
        if state.carrier.relays:
            self._hand_on(delivery, entries, bodies)
        self._pull(peer, delivery.lacking)
        for fact in delivery.facts:
            state.counters["proposals_received"] += isinstance(fact, agree.Proposal)
            if isinstance(fact, agree.Certificate) and self._is_parted(fact):
                self._step(agree.Parted(fact, now_ms))
                continue
            # Asked for each: the one before may have ended the epoch, and its numbers with it.
            number = self._number(peer)
            self._step(agree.Received(fact, now_ms, number))
            if isinstance(fact, agree.Status) and fact.signer == number:
                self._learn_presence(peer, fact, now_ms)
        self.catchup.learn(peer, delivery, now_ms)
        if delivery.summary is not None:
            self._learn_summary(peer, delivery.summary, now_ms)
        if delivery.wants and self._may_ask(peer):
            self._serving[peer.name] = peer.share
            self.archive.submit(self._serve, peer, delivery.wants)

    def _is_parted(self, cert: agree.Certificate) -> bool:
        """Whether it makes another block final than the one that is final here at its height."""
        if cert.kind != "finalize" or cert.epoch != self._state.machine.config.epoch:
            return False
        return self._state.store.seal_leaf(cert.height) not in (None, cert.block)

    def _show_final(self, org: str) -> None:
        """To a member that cosigned another history: it may be idle, lack nothing, and never see
        what made this one final. Whoever sees both stops.
        """
        final = self._state.machine.final_certificate
        if final is not None and org in self._state.membership.roster.nodes:
            self._state.say(org, facts=(final,))

    def _may_ask(self, peer: Peer) -> bool:
        """One answer to a node at a time: it asks again for what it still lacks."""
        busy = list(self._serving.values()).count(peer.share)
        return peer.name not in self._serving and busy < MAX_SERVED

    def _pull(self, peer: Peer, blocks: Sequence[bytes]) -> None:
        """Whole blocks, from who proposed them by entries that are not here. Consensus asks again,
        and others, if that brings nothing.
        """
        for block in blocks:
            if block not in self._asked and not self._state.machine.holds(block):
                self._note_asked(block, wanted=False)
                self._state.say(peer.name, wants=(Want(block=block, first=0),))

    def _is_on_its_way(self, block: bytes, height: int) -> bool:
        """Whether a block that consensus wants for the first time was asked for already: of its
        proposer, or as one of those that became final meanwhile. It wants it again in a second.
        """
        wanted = self._asked.get(block, not self.catchup.covers(height))
        if not wanted:
            self._note_asked(block, wanted=True)
        return not wanted

    def _note_asked(self, block: bytes, *, wanted: bool) -> None:
        self._asked[block] = wanted
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def _take_body(self, body: Body, now_ms: int) -> bool:
        """Whether a block is new here and consensus has use and room for it."""
        blocks, final, block_id = self._blocks, self._state.final.tip.height, body.info.id
        wanted = final < body.info.height <= final + MAX_AHEAD
        if not wanted or block_id in blocks.bodies or block_id in blocks.built:
            return False
        blocks.bodies[block_id] = body
        self._step(agree.BlockReceived(body.info, now_ms))
        if self._state.machine.holds(block_id):
            return True
        blocks.bodies.pop(block_id, None)
        return False

    def _hand_on(
        self, delivery: Delivery, entries: Sequence[Entry], bodies: Sequence[Body]
    ) -> None:
        """As a hub: what others hear through this node only leaves at once."""
        state = self._state
        reach, view = 4 * state.final.tip.config.n, state.machine.view
        views = range(max(1, view - reach), view + reach + 1)
        parts = self._relay.fresh(delivery.facts, bodies, entries, delivery.cosigned, views)
        if parts:
            state.carrier.relay(delivery.peer.name, state.message(**parts))

    def _learn_summary(self, peer: Peer, summary: agree.Summary, now_ms: int) -> None:
        """Where another node stands; one that is behind is told at once how far this one is."""
        state = self._state
        state.membership.learn(peer, summary)
        self._step(agree.PeerSummary(self._number(peer), summary, now_ms))
        # Who left is not told anything unasked, and may lack the words on its last block.
        if summary.final_height < state.final.tip.height or peer.role == "former":
            words = self._heads.cosigning.newest if peer.role != "member" else ()
            state.say(peer.name, summary=state.machine.summary(), cosignatures=words)

    def _learn_presence(self, peer: Peer, status: agree.Status, now_ms: int) -> None:
        """A member's heartbeat: did it just start, is this node's clock fit to lead, is that
        member's key in use twice?
        """
        if not self._presence.knows(peer.name, status.boot_id):
            # It cannot know yet whether it is behind, and in an idle network would not hear for
            # a while.
            self._state.say(peer.name, summary=self._state.machine.summary())
        both = self._presence.learn(peer.name, status, now_ms)
        if both:
            # It cannot hear its other self, and must (consensus.md 2.12).
            self._state.say(peer.name, facts=both)
        fit, offset = self._presence.is_clock_fit(), self._presence.offset_ms()
        if fit != self.clock_fit:
            self.clock_fit = fit
            self._step(agree.Health(fit, now_ms))
        if (abs(offset) > WARN_MS) != self._clock_off:
            self._clock_off = not self._clock_off
            event = "clock-off" if self._clock_off else "clock-right"
            log_event(WARNING, event, offset_ms=offset, leads=int(fit))

    # --- out --------------------------------------------------------------------------------------

    def share(self, entries: Sequence[Entry]) -> None:
        """Tell the others at once: whoever leads may put them into a block."""
        if entries:
            self._state.say(None, entries=tuple(entry.raw for entry in entries))
            if len(entries) >= MANY:
                # The others check their signatures while this turn goes on.
                self._state.send()

    def say(self, effect: Saying) -> None:
        """Who is meant is settled now: the numbers of members change with the epoch."""
        if isinstance(effect, agree.Fetch):
            if effect.block is None:
                self.catchup.lack()
                return
            if self.catchup.brings(effect.block):
                return
            if self._is_on_its_way(effect.block, effect.first):
                return
        to = effect.peer if isinstance(effect, agree.Fetch) else effect.to
        self.outbox.append((None if to is None or to < 0 else self._name(to), effect))

    def release(self) -> None:
        """What consensus wants to say, after everything that it rests on is durable."""
        outbox, self.outbox = self.outbox, []
        state = self._state
        for to, effect in outbox:
            if isinstance(effect, agree.Fetch):
                want = Want(block=effect.block, first=0)
                for peer in [to] if to is not None else self._next_peer():
                    state.say(peer, wants=(want,))
                continue
            for fact in effect.facts:
                if isinstance(fact, agree.Proposal):
                    self._say_block(to, fact.vote.block)
            state.say(to, facts=tuple(effect.facts))
        self.catchup.ask(state.clock.now_ms())

    def _say_block(self, to: str | None, block_id: bytes) -> None:
        """A block that is proposed: a large one by its entries' hashes; they were sent before."""
        compact = self._blocks.compact_of(block_id)
        if compact is not None:
            self._state.say(to, compact=(compact,))
        elif blocks := self._blocks.bundle_of(block_id):
            self._state.say(to, blocks=tuple(blocks))

    def _next_peer(self) -> list[str]:
        """Any other member, each in turn, of those that can be reached if any can."""
        state = self._state
        names, reached = list(state.membership.roster.nodes), set(state.carrier.others())
        names = [name for name in names if name in reached] or names
        self._turn += 1
        return [names[self._turn % len(names)]] if names else []

    def keep_in_touch(self, now_ms: int) -> None:
        """Heartbeats, and what this node holds, so that whatever was lost is offered again."""
        busy = self._is_busy()
        if now_ms >= self._beat_ms:
            self._beat_ms = now_ms + (BEAT_MS if busy else IDLE_BEAT_MS)
            self._step(agree.Heartbeat(self._boot_id, VERSION, now_ms))
        if now_ms < self._gossip_ms:
            self._gossip_ms = min(self._gossip_ms, now_ms + SYNC_MS) if busy else self._gossip_ms
            return
        self._gossip_ms = now_ms + (SYNC_MS if busy else IDLE_SYNC_MS)
        state, own = self._state, self._heads.cosigning.own
        offered = [entry.raw for entry in self._mempool.late_by(now_ms)[:MAX_OFFERED]]
        state.say(
            None,
            summary=state.machine.summary(),
            entries=tuple(offered),
            cosignatures=(own,) if own else (),
        )

    def _is_busy(self) -> bool:
        state, mempool = self._state, self._mempool
        if mempool.waiting or mempool.unpublished:
            return True
        behind = state.behind
        lost = behind is None and state.machine.index is None
        return bool(behind or lost) or state.machine.tip.id != state.final.tip.seal_leaf

    # --- what others lack, off the writer's thread ------------------------------------------------

    def _serve(self, peer: Peer, wants: Sequence[Want]) -> None:
        try:
            for want in wants:
                # For who takes nothing of what it asked for, nothing more is read.
                if self._state.carrier.untaken(peer) >= MAX_UNTAKEN_BYTES:
                    break
                self._serve_one(peer, want)
        finally:
            self._serving.pop(peer.name, None)

    def _serve_one(self, peer: Peer, want: Want) -> None:
        state = self._state
        if want.block is not None:
            # Whoever is a member no more is shown final blocks of its own time alone.
            blocks = self._blocks.bundle_of(want.block) if peer.role != "former" else []
            if blocks:
                state.carrier.send(peer.name, state.message(blocks=tuple(blocks)))
            return
        tip = state.final.tip
        if want.epochs:
            ends = ends_of_epochs(state.store, tip, peer.until)
            state.carrier.send(peer.name, state.message(epochs=ends))
            return
        closing = {boundary.height for boundary in tip.boundaries}
        run = final_blocks(state.store, want, closing, peer.until)
        if run is not None:
            # Whoever is behind may have been ahead: it is reminded of what it has cosigned.
            word = self._heads.cosigning.word_of(peer.org)
            words: tuple[bytes, ...] = () if word is None else (word,)
            if peer.role != "member":
                words = self._heads.cosigning.newest
            state.carrier.send(peer.name, state.message(runs=(run,), cosignatures=words))
        elif peer.until is not None and want.first == peer.until + 1:
            # It has all that it is shown: what that was published with is shown, too.
            ended = state.store.block(peer.until).checkpoint
            state.carrier.send(peer.name, state.message(cosignatures=(ended,)))
