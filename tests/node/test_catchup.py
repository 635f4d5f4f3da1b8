"""A node that is behind: the ends of epochs first, runs of blocks from several members at once, and
others in the place of who lies or gives nothing (consensus.md 2.15, 3.6 row 21; SPEC 11.7). Real
nodes, stepped by hand on a clock of the test.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from ledger.encoding import decode_bundle, encode_bundle
from node.driver import catchup
from node.wire import Exchange, FinalBlocks
from tests.node.test_membership import Alliance
from tests.support.stepped import Allow

change = msgspec.structs.replace
ORGS = ("h1", "h2", "h3", "h4")
LATE = "h4"


class Late(Alliance):
    """Three of four go on without the fourth."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, *ORGS)
        self.net.cut(LATE)

    def more(self, count: int) -> None:
        """So many blocks."""
        for _ in range(count):
            self._seq += 1
            self.net.submit("h1", self.world.access(seq=self._seq))
            self.net.run(300)

    def epoch(self, number: int) -> None:
        """Another epoch of the same members."""
        limits = change(self.config.limits, block_records=100 + number)
        self.enter(self.propose(*ORGS, limits=limits), "h1", "h2", "h3")

    def come_back(self, for_ms: int, allow: Allow = lambda _from, _to, _item: True) -> None:
        """The fourth starts; what it is told goes through `allow`."""
        self.net.sent.clear()
        self.net.allow = allow
        self.net.start(LATE)
        self.net.run(for_ms)

    def asked(self) -> list[tuple[str, int, int]]:
        """Whom it asked for which heights, in order."""
        return [
            (to, want.first, want.last)
            for sender, to, item in self.net.sent
            for want in item.wants
            if sender == LATE and want.block is None and not want.epochs
        ]

    def given(self) -> Counter[str]:
        """How many runs each member gave it."""
        return Counter(sender for sender, to, item in self.net.sent if to == LATE and item.runs)


Made = Callable[[], Late]


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    # So short that a test needs no thousand blocks.
    monkeypatch.setattr(catchup, "MAX_RUN", 2)
    monkeypatch.setattr(catchup, "MIN_RUN", 1)
    monkeypatch.setattr(catchup, "FEW", 3)
    made = Late(tmp_path)
    yield made
    made.net.close()


def test_several_members_are_asked_at_once_each_for_something_else(
    late: Late, caplog: pytest.LogCaptureFixture
) -> None:
    late.more(14)
    with caplog.at_level(logging.INFO):
        late.come_back(6_000)
    assert late.net.check() > 10
    assert set(late.given()) == {"h1", "h2", "h3"}
    spans = [(first, last) for _to, first, last in late.asked()]
    assert len(spans) == len(set(spans))
    first_asked = spans[:3]
    assert first_asked == [(1, 2), (3, 4), (5, 6)]
    node = late.net.drivers[LATE]
    assert (node.behind, node.status, node.counters["catch_up_replaced"]) == (0, "ok", 0)
    said = [record.getMessage() for record in caplog.records]
    assert "catching-up" in said
    assert said[-1] == "caught-up" or "caught-up" in said


def test_the_ends_of_all_epochs_come_before_their_blocks(late: Late) -> None:
    for number in range(3):
        late.more(3)
        late.epoch(number)
    late.more(6)
    late.come_back(8_000)
    late.net.check()
    node = late.net.drivers[LATE]
    assert (node.final.tip.config.epoch, node.behind, node.status) == (3, 0, "ok")
    assert node.counters["catch_up_replaced"] == 0
    told = [item for _from, to, item in late.net.sent if to == LATE and (item.runs or item.epochs)]
    ends = next(place for place, item in enumerate(told) if item.epochs)
    assert all(run.certificate.epoch == 0 for item in told[:ends] for run in item.runs)
    # With the ends, blocks of several epochs are on the way at once.
    asked = [first for _to, first, _last in late.asked()]
    boundary = node.final.tip.boundaries[0].height
    before = asked[: asked.index(boundary + 1)]
    assert any(first <= boundary for first in before)
    # No run goes over the end of its epoch.
    for item in told:
        for run in item.runs:
            heights = range(run.certificate.height - len(run.blocks) + 1, run.certificate.height)
            assert not {b.height for b in node.final.tip.boundaries} & set(heights)


def other_entry(run: FinalBlocks) -> FinalBlocks:
    """A block with another entry beside its seal."""
    raws = decode_bundle(run.blocks[0])
    other = encode_bundle([raws[0][:-1] + bytes((raws[0][-1] ^ 1,)), *raws[1:]])
    return change(run, blocks=(other, *run.blocks[1:]))


def other_signatures(run: FinalBlocks) -> FinalBlocks:
    """A certificate that nobody signed."""
    forged = tuple(bytes(64) for _ in run.certificate.signatures)
    return change(run, certificate=change(run.certificate, signatures=forged))


@pytest.mark.parametrize("lie", [other_entry, other_signatures])
def test_a_member_that_lies_is_replaced(
    late: Late, lie: Callable[[FinalBlocks], FinalBlocks], caplog: pytest.LogCaptureFixture
) -> None:
    late.more(14)
    told: list[str] = []

    def tell(sender: str, to: str, item: Exchange) -> bool:
        if (sender, to) != ("h1", LATE) or not item.runs:
            return True
        told.append(sender)
        late.net.drivers[LATE].deliver(
            late.net.drivers[LATE].membership.roster.nodes["h1"],
            change(item, runs=tuple(map(lie, item.runs))),
        )
        return False

    late.come_back(6_000, tell)
    node = late.net.drivers[LATE]
    assert late.net.check() > 10
    assert (node.status, dict(node.alarms), told) == ("ok", {}, ["h1"])
    assert node.counters["catch_up_replaced"] == 1
    assert "catch-up-refused" in [record.getMessage() for record in caplog.records]


def test_a_member_that_gives_nothing_is_replaced(
    late: Late, caplog: pytest.LogCaptureFixture
) -> None:
    late.more(14)
    late.come_back(
        15_000, lambda sender, to, item: not (sender == "h1" and to == LATE and item.runs)
    )
    node = late.net.drivers[LATE]
    assert late.net.check() > 10
    assert set(late.given()) == {"h2", "h3"}
    # It is asked once, and then no more while others give.
    assert sum(to == "h1" for to, _first, _last in late.asked()) == 1
    assert node.counters["catch_up_replaced"] == 1
    assert "catch-up-stalled" in [record.getMessage() for record in caplog.records]


def test_forged_ends_of_epochs_lead_nowhere(late: Late) -> None:
    late.more(3)
    late.epoch(0)
    late.more(6)

    def forge(sender: str, to: str, item: Exchange) -> bool:
        if to != LATE or not item.epochs or sender == "h3":
            return True
        peer = late.net.drivers[LATE].membership.roster.nodes[sender]
        text = item.epochs.replace(b'"block_records":100', b'"block_records":101')
        late.net.drivers[LATE].deliver(peer, change(item, epochs=text))
        return False

    late.come_back(20_000, forge)
    node = late.net.drivers[LATE]
    assert late.net.check() == node.final.tip.height
    assert (node.final.tip.config.epoch, node.status, dict(node.alarms)) == (1, "ok", {})
    assert node.counters["catch_up_replaced"] >= 1


def test_claims_of_heights_that_nobody_has_take_no_room(late: Late) -> None:
    """A liar says that it is far ahead, in an epoch to come: it is asked, gives nothing, and the
    others are asked for what they have.
    """
    late.more(14)

    def boast(sender: str, to: str, item: Exchange) -> bool:
        if (sender, to) == ("h1", LATE) and item.summary is not None:
            far = change(item.summary, final_height=10_000, epoch=9)
            peer = late.net.drivers[LATE].membership.roster.nodes["h1"]
            late.net.drivers[LATE].deliver(peer, change(item, summary=far))
            return False
        return not (sender == "h1" and to == LATE and item.runs)

    late.come_back(12_000, boast)
    node = late.net.drivers[LATE]
    assert late.net.check() > 10
    assert (node.status, dict(node.alarms)) == ("ok", {})
    asked = len(late.asked())
    late.net.run(60_000)
    # Not again and again, once it is known to give nothing.
    assert len(late.asked()) - asked <= 6


def test_runs_that_nobody_asked_for_keep_no_others_out(late: Late) -> None:
    """A member pushes what is right and far above: what comes next is asked for all the same."""
    late.more(14)
    late.come_back(20)
    node = late.net.drivers[LATE]
    held = node._gossip.catchup._runs
    for first in range(1_000, 1_000 + 2 * catchup.MAX_RUNS):
        held[first] = Above(first)  # type: ignore[assignment]
    late.net.run(6_000)
    assert late.net.check() > 10
    assert (node.behind, node.status) == (0, "ok")


class Above(NamedTuple):
    """A run that fits nowhere yet."""

    first: int
    epoch: int = 0

    @property
    def last(self) -> int:
        return self.first
