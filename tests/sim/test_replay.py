"""A record is believed only when the machine does the same again; a record that was cut is read as
far as it goes.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from ledger.consensus import (
    Consensus,
    Durable,
    Effect,
    Event,
    Persist,
    Row,
    Send,
    Started,
    Tick,
    Timing,
    Vote,
    Work,
    signed_bytes,
)
from node.recording import Recorder
from tests.ledger.test_consensus import FOUR, OneMemberDriver, genesis, make_vote
from tests.sim.replay import Difference, Order, Words, replay


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Two blocks of one member alone."""
    path = tmp_path / "record.jsonl"
    driver = OneMemberDriver()
    recorder = Recorder(path)
    recorder.begin([driver.signer.public_key], Timing())
    machine, first = Consensus(driver.signer.public_key, Timing()), genesis(driver.config)
    step = machine.step

    def recorded(event: Event) -> list[Effect]:
        recorder.take(event)
        effects = step(event)
        recorder.give(effects)
        return effects

    machine.step = recorded  # type: ignore[method-assign]
    driver.consensus = machine
    driver.run(Started(Durable(driver.config, first, first), 0, 1_000))
    driver.admit("a", 2_000)
    driver.admit("b", 3_000)
    return path


def test_a_record_replays(record: Path) -> None:
    found = replay(record)
    assert (found.lives, found.commits, found.said) == (1, 2, 6)
    run = subprocess.run(
        [sys.executable, "-m", "tests.sim.replay", record], capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (0, f"{found}\n")


def test_what_the_machine_would_not_do_is_found(record: Path) -> None:
    text = record.read_text()
    for old, new in (('"time_ms":2000', '"time_ms":2001'), ('"Commit"', '"Persist"')):
        assert old in text
        record.write_text(text.replace(old, new))
        with pytest.raises(Difference):
            replay(record)
    run = subprocess.run(
        [sys.executable, "-m", "tests.sim.replay", record], capture_output=True, text=True
    )
    assert run.returncode == 1
    assert "differ" in run.stderr


def test_a_record_that_a_crash_cut_short_is_read_as_far_as_it_goes(record: Path) -> None:
    data = record.read_bytes()
    whole = replay(record)
    for cut in (1, 2, 30, 300, 700):
        record.write_bytes(data[:-cut])
        recorder = Recorder(record)
        recorder.begin([bytes(32)], Timing())
        found = replay(record)
        assert found.lives == 2
        assert whole.steps - 4 < found.steps <= whole.steps


def test_a_full_disk_ends_the_record_and_not_the_node(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "nowhere" / "record")
    recorder.begin([bytes(32)], Timing())
    recorder.take(Tick(1))
    recorder.take(Work(1, 1))
    assert not (tmp_path / "nowhere").exists()


def test_words_that_contradict_each_other_are_found() -> None:
    for pair in (
        (make_vote(0), make_vote(0, block=bytes(32))),
        (make_vote(0, "nullify"), make_vote(0, "finalize")),
        (make_vote(0), make_vote(0, "finalize", block=bytes(32))),
    ):
        words = Words()
        words.hear(signed(pair[0]))
        with pytest.raises(Difference):
            words.hear(signed(pair[1]))
    words = Words()
    assert all(words.hear(signed(vote)) for vote in (make_vote(0), make_vote(0, "nullify")))


def signed(vote: Vote) -> bytes:
    return signed_bytes(FOUR, vote.kind, vote.view, vote.height, vote.block)


def test_a_word_that_leaves_before_its_row_is_found() -> None:
    vote = make_vote(1)
    with pytest.raises(Difference):
        Order(1).follow(Send(None, (vote,)))
    order = Order(1)
    order.follow(Persist((Row(epoch=0, view=5, notarized=vote),), ()))
    order.follow(Send(None, (vote,)))
