"""Sabotages of the machine, each of a rule. The world must catch every one, or the world is too
kind.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from ledger.consensus import (
    Alarm,
    BlockBuilt,
    BuildBlock,
    Committed,
    Consensus,
    Effect,
    Event,
    Fact,
    Persist,
    Status,
    Summary,
)
from ledger.consensus.events import Started, Verdict
from ledger.consensus.journal import LAST_VIEW, Row
from ledger.consensus.machine import Judgement
from ledger.consensus.messages import NO_BLOCK, BlockInfo, Certificate, Kind, Vote
from ledger.consensus.views import View
from tests.sim.world import Body, Node, make_body

change = msgspec.structs.replace


class SmallQuorum(Consensus):
    """2.1: one word fewer makes a certificate."""

    def _quorum(self) -> int:
        return self._config.q - 1


class FinalizesNullified(Consensus):
    """R7: finalize after nullify."""

    def _may_finalize(self, view: View, cert: Certificate) -> bool:
        nullified = view.own.pop("nullify", None)
        try:
            return super()._may_finalize(view, cert)
        finally:
            if nullified is not None:
                view.own["nullify"] = nullified

    def _ensure_may_finalize(self, view: View, block: bytes) -> None:
        pass


class NullifiesFinalized(Consensus):
    """R8: join in nullifying a view that was finalized and left."""

    def _vote_nullify(self) -> None:
        super()._vote_nullify()
        for view in self._views.values():
            joined = len(view.votes["nullify"]) >= self._config.joining
            if joined and view.said("finalize") and not view.said("nullify"):
                finalized = view.own.pop("finalize")
                self._sign("nullify", view, 0, NO_BLOCK)
                view.own["finalize"] = finalized


class IgnoresSkips(Consensus):
    """R6: a parent needs no certificates between its view and this one."""

    def _justified(self, info: BlockInfo, again: bool) -> bool:
        return again or self._blocks.is_valid(info.parent)


class NotarizesTwice(Consensus):
    """R6: notarize whatever the leader says, each time."""

    def _record(self, view: View, vote: Vote) -> bool:
        if vote.kind == "propose" and view.proposal is not None:
            other = view.proposal.block != vote.block
            view.votes["propose"].clear()
            if other:
                view.own.pop("notarize", None)
        return super()._record(view, vote)


class FinalizesAnother(Consensus):
    """R7: finalize a block other than the one notarized (for evidence, not for safety)."""

    def _may_finalize(self, view: View, cert: Certificate) -> bool:
        notarized = view.own.pop("notarize", None)
        try:
            return super()._may_finalize(view, cert)
        finally:
            if notarized is not None:
                view.own["notarize"] = notarized

    def _ensure_may_finalize(self, view: View, block: bytes) -> None:
        pass


class AlwaysBusy(Consensus):
    """2.9: timers run without work."""

    def _has_work(self) -> bool:
        return True


class NeverAgain(Consensus):
    """R5: a tip that is not final is never proposed again."""

    def _propose(self) -> None:
        if self._pending > 0:
            super()._propose()


class NeverJoins(Consensus):
    """R8e: a nullifies of others pull nobody in."""

    def _should_nullify(self, view: View) -> bool:
        if self._work_since is None:
            return False
        return super()._should_nullify(view)


class ForgetsCertificates(Consensus):
    """2.11: certificates are not made durable."""

    def _flush(self) -> list[Effect]:
        return [strip(effect, "notarization", "nullification") for effect in super()._flush()]


class ForgetsAncestors(Consensus):
    """2.11: only the body of the block itself is made durable."""

    def _flush(self) -> list[Effect]:
        self._bodies = self._bodies[-1:]
        return super()._flush()


class ForgetsNullify(Consensus):
    """2.11: the row of a nullify is not made durable."""

    def _flush(self) -> list[Effect]:
        return [strip(effect, "nullified") for effect in super()._flush()]


class ForgetsVotes(Consensus):
    """2.12: a restart remembers nothing that was said."""

    def _restore(self, row: Row) -> None:
        pass


class BuildsOnBoundary(Consensus):
    """2.17: the epoch goes on above its boundary block."""

    def _propose(self) -> None:
        anchor = self._anchor
        best = self._best_tip()
        if best is not None and best[1].boundary:
            self._anchor = best[1]
        super()._propose()
        self._anchor = anchor

    def _fits(self, info: BlockInfo, parent: BlockInfo) -> bool:
        anchor, self._anchor = self._anchor, parent
        try:
            return super()._fits(info, parent)
        finally:
            self._anchor = anchor


class NoQuarantine(Consensus):
    """2.12: a node that lost its disk votes at once."""

    def _on_started(self, event: Started) -> None:
        super()._on_started(event)
        self._quarantined = False


class DoubtsTheFirstEpochAlone(Consensus):
    """2.12: a node that is in no configuration at its start, or alone in it, has nothing to doubt
    later.
    """

    def _on_started(self, event: Started) -> None:
        config = event.durable.config
        listed = any(config.index_of(key) is not None for key in self._node_keys)
        sure = not listed or config.n == 1
        durable = change(event.durable, in_doubt=event.durable.in_doubt and not sure)
        super()._on_started(change(event, durable=durable))


class NoContiguity(Consensus):
    """2.7: a view is entered without anything to build on."""

    def _tips(self, upto: int) -> Iterator[tuple[int, bytes]]:
        yield from super()._tips(upto)
        yield self._final_view, self.final.id


class SharesSignatures(Consensus):
    """2.3: a notarize says nothing about its kind; it counts as a finalize."""

    def _count(self, view: View, vote: Vote) -> None:
        super()._count(view, vote)
        if vote.kind == "notarize":
            kind: Kind = "finalize"
            view.votes[kind].setdefault(
                vote.signer,
                Vote(
                    kind, vote.epoch, vote.view, vote.height, vote.block, vote.signer,
                    vote.signature,
                ),
            )  # fmt: skip


class VotesUnseen(Consensus):
    """R6: notarize a block that is not here."""

    def _judge(self) -> Judgement:
        judgement = super()._judge()
        return "good" if judgement in ("waiting", "withheld") else judgement


class WaitsForTheWithheld(Consensus):
    """R8a: a proposal without its block is waited for as long as a block that is looked at."""

    def _judge(self) -> Judgement:
        judgement = super()._judge()
        return "waiting" if judgement == "withheld" else judgement


class FinalizesUnseen(Consensus):
    """R7: finalize a block whose ancestors are not here and validated."""

    def _vote_finalize(self) -> None:
        valid = self._blocks.is_valid
        self._blocks.is_valid = lambda _block: True  # type: ignore[method-assign]
        super()._vote_finalize()
        self._blocks.is_valid = valid  # type: ignore[method-assign]


class KeepsTheSkipped(Consensus):
    """R8c: an invalid proposal is waited for, not nullified."""

    def _judge(self) -> Judgement:
        judgement = super()._judge()
        return "good" if judgement == "invalid" else judgement


class NoClock(Consensus):
    """2.18: any time will do."""

    def _judge_time(self, _info: BlockInfo) -> Judgement:
        return "good"


class BelievesForks(Consensus):
    """R10: a second final block at a height is nobody's business."""

    def _breaks_finality(self, _cert: Certificate) -> bool:
        return False


class AcceptsAnyway(Consensus):
    """R11: what is final is true, whatever this node found."""

    def _stop(self, kind: str, cert: Certificate) -> None:
        pass

    def _commit_to(self, cert: Certificate) -> bool:
        candidate = self._blocks.get(cert.block)
        if candidate is not None and candidate.state == "invalid":
            candidate.state = "valid"
        return super()._commit_to(cert)


class NeverReoffers(Consensus):
    """R12: what is lost on the way is lost."""

    def _missing_at(self, _theirs: Summary) -> list[Fact]:
        return []

    def _resend(self) -> None:
        pass


class LeavesByTimer(Consensus):
    """R2: a view is left when its time is up, without a certificate."""

    def _advance(self) -> bool:
        if self._expired(self._timing.view_ms):
            self._enter_view(self._view + 1)
        return super()._advance()


class HearsEverything(Consensus):
    """2.7: votes for views however far away are kept."""

    def _learn_vote(self, vote: Vote) -> None:
        view, self._view = self._view, max(self._view, vote.view)
        try:
            super()._learn_vote(vote)
        finally:
            self._view = view


class NeverPresumes(Consensus):
    """2.10: a leader that is known to be silent is waited for each time."""

    def _is_absent(self, _leader: int) -> bool:
        return False


class BelievesOldBeats(Consensus):
    """2.10: a heartbeat of long ago shows that a member lives."""

    def _learn_status(self, status: Status) -> None:
        self._presence(status.signer, status.epoch)
        super()._learn_status(status)


class ShowsNobody(Consensus):
    """2.19: of two proposals, each stays with those who got it."""

    def _compare(self, _view: View, _vote: Vote) -> None:
        pass


class ForgetsProposals(Consensus):
    """2.11: the row of a proposal is not made durable."""

    def _flush(self) -> list[Effect]:
        return [strip(effect, "proposed") for effect in super()._flush()]


class ForgetsNotarize(Consensus):
    """2.11: the row of a notarize is not made durable."""

    def _flush(self) -> list[Effect]:
        return [strip(effect, "notarized") for effect in super()._flush()]


class ForgetsFinalize(Consensus):
    """2.11: the row of a finalize is not made durable."""

    def _flush(self) -> list[Effect]:
        return [strip(effect, "finalized") for effect in super()._flush()]


class ForgetsBodies(Consensus):
    """2.11: no body is made durable before a word."""

    def _flush(self) -> list[Effect]:
        self._bodies = []
        return super()._flush()


class FewReports(Consensus):
    """2.12: one report is enough to leave a quarantine."""

    def _leave_quarantine(self) -> None:
        self._quarantined = False
        self._set_floor(max(*self._reports.values(), 0) + 2)


class NoFloor(Consensus):
    """2.12: after a quarantine a member speaks at once, in views that it may know nothing of."""

    def _set_floor(self, view: int) -> None:
        super()._set_floor(view if view == LAST_VIEW else 0)


class NoFloorInTheNextEpoch(Consensus):
    """2.12: the floor ends with the epoch."""

    def _on_committed(self, event: Committed) -> None:
        self._floor = 0
        super()._on_committed(event)


class FloorForEver(Consensus):
    """2.12: the floor is repeated in every epoch (as it was until 2026-11-27)."""

    def _on_committed(self, event: Committed) -> None:
        guarded = self._switching and self._floor > 0
        super()._on_committed(event)
        if guarded and self._floor == 0:
            self._set_floor(3)


class IgnoresItsOwnWords(Consensus):
    """2.12: a word of mine that my journal lacks is nobody's, and so is a second life of mine."""

    def _check_own(self, vote: Vote) -> None:
        pass

    def _doubt(self, alarm: Alarm) -> None:
        if alarm.kind == "quarantine":
            super()._doubt(alarm)


class ProposesAnother(Consensus):
    """R5: what is proposed again is another height."""

    def _sign(self, kind: Kind, view: View, height: int, block: bytes) -> None:
        info = self._blocks.info(block)
        again = kind == "propose" and info is not None and info.view != view.number
        super()._sign(kind, view, height + again, block)


class RestoresAnyRow(Consensus):
    """2.17: rows of the epoch before count in this one."""

    def _restore(self, row: Row) -> None:
        super()._restore(change(row, epoch=self._config.epoch))


class ForgetsTheNextKey(Consensus):
    """2.17: of two keys only the one counts that it began with."""

    def __init__(self, *node_keys: bytes, **fields: Any) -> None:
        super().__init__(node_keys[0], **fields)


class Careless(Node):
    """R9, 2.18: a driver that checks nothing of a block."""

    def check(self, info: BlockInfo) -> Verdict:
        return "valid" if info.id in self.bodies else "missing"


class IncludesTwice(Careless):
    """8: a driver that forgets what is on the chain."""

    def waiting(self, _tip: BlockInfo) -> list[str]:
        return list(self.mem.records)


class Hasty(Careless):
    """10: a driver that goes over to the next epoch as soon as that is decided on."""

    def closes(self, records: Sequence[str], path: list[Body]) -> tuple[int, bytes | None]:
        self.world.waits, waits = set(), self.world.waits
        try:
            return super().closes(records, path)
        finally:
            self.world.waits = waits


class BuildsEmpty(Careless):
    """8: a driver that builds blocks of nothing."""

    def build(self, effect: BuildBlock) -> Event:
        body = make_body(
            effect.parent, effect.view, effect.parent_view, effect.time_ms, (), self.mem.config
        )
        self.bodies[body.info.id] = body
        return BlockBuilt(body.info, self.now)


class Rewinds(Node):
    """2: a driver that loses the end of its chain at a restart."""

    def start(self) -> None:
        if len(self.disk.commits) > 2:
            self.disk.commits.pop()
            self.disk.chain.pop()
            self.disk.cert = self.disk.commits[-1].certificate
        super().start()


class TrustsCertificates(Node):
    """12: a driver that does not count signatures."""

    def receive_fact(self, sender: Node, item: Body | Fact) -> None:
        if isinstance(item, Certificate):
            self.world.invariants.judge(self, item, True)
        super().receive_fact(sender, item)


class SpeaksFirst(Node):
    """2.11: a driver that lets messages out before they are written."""

    def sync(self, tx: list[object], out: list[Callable[[], None]]) -> None:
        for release in out:
            release()
        super().sync(tx, [])


def strip(effect: Effect, *names: str) -> Effect:
    """The effect without these parts of its rows."""
    if not isinstance(effect, Persist):
        return effect
    rows = []
    for row in effect.rows:
        kept = {f: getattr(row, f) for f in row.__struct_fields__ if f not in names}
        rows.append(Row(**kept))
    return Persist(tuple(rows), effect.blocks)


MUTANTS: tuple[type[Consensus], ...] = (
    SmallQuorum,
    FinalizesNullified,
    NullifiesFinalized,
    IgnoresSkips,
    NotarizesTwice,
    FinalizesAnother,
    AlwaysBusy,
    NeverAgain,
    NeverJoins,
    ForgetsCertificates,
    ForgetsAncestors,
    ForgetsNullify,
    DoubtsTheFirstEpochAlone,
    ForgetsVotes,
    BuildsOnBoundary,
    NoQuarantine,
    NoContiguity,
    SharesSignatures,
    VotesUnseen,
    WaitsForTheWithheld,
    FinalizesUnseen,
    KeepsTheSkipped,
    NoClock,
    BelievesForks,
    AcceptsAnyway,
    NeverReoffers,
    LeavesByTimer,
    HearsEverything,
    NeverPresumes,
    BelievesOldBeats,
    ShowsNobody,
    ForgetsProposals,
    ForgetsNotarize,
    ForgetsFinalize,
    ForgetsBodies,
    FewReports,
    NoFloor,
    NoFloorInTheNextEpoch,
    FloorForEver,
    IgnoresItsOwnWords,
    ProposesAnother,
    RestoresAnyRow,
    ForgetsTheNextKey,
)
DRIVERS: tuple[type[Node], ...] = (
    SpeaksFirst, Careless, IncludesTwice, Hasty, BuildsEmpty, Rewinds, TrustsCertificates,
)  # fmt: skip
