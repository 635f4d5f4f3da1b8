"""Sabotages of the machine, each of a rule. The world must catch every one, or the world is too
kind.
"""

from collections.abc import Callable, Iterator

from ledger.consensus import Consensus, Effect, Persist
from ledger.consensus.events import Started
from ledger.consensus.journal import Row
from ledger.consensus.messages import NO_BLOCK, BlockInfo, Certificate, Kind, Vote
from ledger.consensus.views import View
from tests.sim.world import Node


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
    ForgetsVotes,
    BuildsOnBoundary,
    NoQuarantine,
    NoContiguity,
    SharesSignatures,
)
