"""Members come, go and change their keys: real nodes, stepped by hand on a clock of the test
(consensus.md 2.16, 2.17, 3.6 rows 12 and 13; SPEC 1.6, 5.7, 7.3, 11.5).
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.consensus import Certificate, Vote, signed_bytes
from ledger.crypto import encrypt_private_key, signer_from_seed
from ledger.encoding import b64url, encode_time, unb64url
from ledger.errors import AllianceError
from ledger.members import EpochConfig
from ledger.records import decode_entry
from ledger.records.envelope import Ref, Shape
from ledger.records.epochs import ConfigBody, EndpointBody
from ledger.records.governance import EndorseBody, KeyBody, MemberBody, ResolutionBody, Votes
from ledger.rules.governance import kid_of
from ledger.rules.values import DecisionState
from ledger.state import state_key
from node.driver import Published
from node.roster import Roster
from node.wire import Exchange
from tests.ledger.ledgers import key_of
from tests.support.epochs import config_of, ready_body
from tests.support.node import PASSPHRASE, make_home
from tests.support.stepped import Stepped
from tests.support.world import (
    GENESIS_MS,
    Located,
    World,
    describe_key,
    make_keys,
    make_world,
    seed,
)

LATER = "2099-01-01T00:00:00.000Z"


class Alliance:
    """What officers and committees do on a stepped network."""

    def __init__(self, folder: Path, *orgs: str) -> None:
        self.world: World = make_world(orgs)
        self.net = Stepped(folder, self.world)
        self.folder = folder
        self.voting = list(orgs)
        self.admitted = list(orgs)
        self.config: EpochConfig = self.world.config
        self._seq = 0

    # --- records ---

    def submit(self, org: str, raw: bytes, for_ms: int = 4_000) -> Any:  # noqa: ANN401
        """One entry at a node, after enough time: its outcome, or None while it waits."""
        future = self.net.submit(org, raw)
        self.net.run(for_ms)
        return future.result(0)[0] if future.done() else None

    def put(self, kind: str, body: Shape, by: Any, org: str, at: str = "", **fields: Any) -> str:  # noqa: ANN401
        raw = self.world.record(kind, body, by=by, org=org, at_ms=self.net.now_ms, **fields)
        outcome = self.submit(at or org, raw)
        assert isinstance(outcome, Published), outcome
        self.net.run(2_000)
        return b64url(outcome.entry.leaf)

    def access(self, org: str) -> None:
        """Something that is recorded, and so final."""
        self._seq += 1
        raw = self.world.access(seq=self._seq)
        assert isinstance(self.submit(org, raw), Published)

    def decide(self, kind: str, body: Shape, by: str, sub: str, *refs: Ref) -> None:
        first = self.first()
        leaf = self.put(kind, body, by, first, refs=refs, not_after=LATER)
        verdict = EndorseBody(capacity="dac", target=leaf, verdict="approve")
        resolved = {unb64url(leaf, 32): Located(0, kind, first, sub)}
        for org in self.admitted:
            if self.status(leaf) == "PENDING":
                self.put("endorse", verdict, "committee", org, at=first, resolved=resolved)
        assert self.status(leaf) == "EFFECTIVE"

    def first(self) -> str:
        """A member whose node runs."""
        return next(org for org in sorted(self.voting) if org in self.net.drivers)

    def status(self, leaf: str) -> str:
        tip = self.net.drivers[self.first()].final.tip
        decision = tip.state.get(state_key("decision", leaf))
        assert isinstance(decision, DecisionState)
        return decision.status

    # --- who takes part ---

    def admit(self, org: str) -> None:
        self.world.keys[org] = make_keys(org)  # type: ignore[index]
        votes = Votes(abstain=0, against=0, in_favour=3)
        body = ResolutionBody(
            kind="admit", meeting_date="2026-01-01", no=f"R-{org}", present=3, votes=votes
        )
        self.decide("resolution", body, "committee", f"resolution:R-{org}")
        first = self.net.drivers[self.first()].final.tip
        holder = first.state.get(state_key("number", f"resolution/R-{org}"))
        keys = (
            key_of(self.world, org, "officer", "so"),
            key_of(self.world, org, "committee", "dac"),
        )
        member = MemberBody(
            action="admit", keys=(*keys, self.observer(org)), kind="hospital", org=org
        )
        ref = Ref(leaf=holder.by, rel="resolution")  # type: ignore[union-attr]
        self.decide("member", member, "committee", f"org:{org}", ref)
        self.admitted.append(org)

    def observer(self, org: str) -> Any:  # noqa: ANN401
        return describe_key(
            signer_from_seed(seed("observer", org)),
            capacity="auditor",
            chain=self.world.genesis.tip.chain,
            org=org,
            subject=f"{org}-observer",
            valid_from=encode_time(GENESIS_MS),
        )

    def make_node(self, org: str) -> None:
        """The home of a node that is in no configuration yet, and the node."""
        home = make_home(self.world, self.folder / org, org)
        signer = signer_from_seed(seed("observer", org))
        save_key(home, "observer", signer)
        self.net.homes[org] = home
        self.net.settings[org] = f'org = "{org}"\n'
        self.net.start(org)

    def propose(self, *orgs: str, **changes: Any) -> EpochConfig:
        config = config_of(self.world, orgs, self.config.epoch + 1, **changes)
        self.decide("config", ConfigBody(config=config), "officer", "config")
        return config

    def declare(self, org: str, config: EpochConfig, by: Any = "node") -> None:  # noqa: ANN401
        self.put("ready", ready_body(config), by, org, not_after=LATER)

    def enter(self, config: EpochConfig, *ready: str) -> None:
        for org in ready:
            self.declare(org, config)
        self.config = config
        self.voting = [member.org for member in config.members]
        self.net.run(20_000)

    def epochs(self) -> dict[str, int]:
        return {org: d.final.tip.config.epoch for org, d in self.net.drivers.items()}

    def join(self, org: str, *ready: str) -> None:
        self.admit(org)
        self.make_node(org)
        self.net.run(20_000)
        config = self.propose(*self.voting, org)
        self.enter(config, *ready, org)


def save_key(home: Path, name: str, signer: Any) -> None:  # noqa: ANN401
    path = home / "keys" / f"{name}.pem"
    path.write_bytes(encrypt_private_key(signer, PASSPHRASE))
    path.chmod(0o600)


Make = Callable[..., Alliance]


@pytest.fixture
def alliance(tmp_path: Path) -> Iterator[Make]:
    made: list[Alliance] = []

    def make(*orgs: str) -> Alliance:
        made.append(Alliance(tmp_path / str(len(made)), *orgs))
        return made[-1]

    yield make
    for item in made:
        item.net.close()


# --- who comes ---


def test_a_joiner_follows_without_a_vote_and_votes_from_its_epoch_on(alliance: Make) -> None:
    a = alliance("h1", "h2")
    a.access("h1")
    a.admit("h3")
    a.make_node("h3")
    a.net.run(20_000)
    joiner = a.net.drivers["h3"]
    assert (joiner.status, joiner.behind, joiner.published is not None) == ("observing", 0, True)
    config = a.propose("h1", "h2", "h3")
    a.declare("h1", config)
    a.declare("h2", config)
    a.net.run(20_000)
    # The quorum of the old members alone (2 of 3) is not enough: the new key must have spoken.
    assert set(a.epochs().values()) == {0}
    a.enter(config, "h3")
    assert set(a.epochs().values()) == {1}
    assert joiner.status == "ok"
    # It votes: with another one away, nothing is final without it.
    a.net.cut("h2")
    a.access("h3")
    assert a.net.check() == joiner.final.tip.height
    note = joiner.view.checkpoint
    assert b"h3.cosigner" in note


def test_a_stranger_is_answered_by_nobody(alliance: Make) -> None:
    a = alliance("h1", "h2")
    a.world.keys["h9"] = make_keys("h9")  # type: ignore[index]
    a.make_node("h9")
    a.access("h1")
    a.net.run(30_000)
    stranger = a.net.drivers["h9"]
    assert (stranger.final.tip.height, stranger.behind) == (0, None)
    assert a.net.refused["h9"] > 0


def test_a_joiner_that_is_cut_off_at_every_step_takes_part_all_the_same(alliance: Make) -> None:
    a = alliance("h1", "h2")
    a.admit("h3")
    a.make_node("h3")

    def cut() -> None:
        a.net.cut("h3")
        a.net.start("h3")
        a.net.run(20_000)

    cut()
    config = a.propose("h1", "h2", "h3")
    cut()
    a.declare("h3", config)
    cut()
    a.enter(config, "h1")
    cut()
    assert set(a.epochs().values()) == {1}
    assert a.net.drivers["h3"].status == "ok"
    a.access("h3")
    a.net.check()


# --- who goes ---


def test_a_removed_member_learns_of_its_end_and_of_nothing_later(alliance: Make) -> None:
    """Also when it was away at that moment: it is shown the block that ended its time."""
    a = alliance("h1", "h2", "h3", "h4")
    config = a.propose("h1", "h2", "h3")
    a.net.cut("h4")
    a.enter(config, "h1", "h2")
    for _ in range(3):
        a.access("h1")
    boundary = a.net.drivers["h1"].final.tip.boundaries[-1].height
    a.net.start("h4")
    a.net.run(60_000)
    gone = a.net.drivers["h4"]
    assert gone.final.tip.height == boundary < a.net.drivers["h1"].final.tip.height
    assert gone.status == "observing"
    mine = list(gone.store.blocks(0, 1_000))
    others = list(a.net.drivers["h1"].store.blocks(0, boundary + 1))
    assert [block.body for block in mine] == [block.body for block in others]


def test_the_current_leader_is_removed_and_the_others_go_on(alliance: Make) -> None:
    a = alliance("h1", "h2", "h3", "h4", "h5")
    for _ in range(2):
        driver = a.net.drivers[a.voting[0]]
        members = driver.final.tip.config
        leader = members.members[members.leader(driver.consensus_view)].org
        left = [org for org in a.voting if org != leader]
        config = a.propose(*left)
        a.enter(config, *left[: config.q])
        assert all(a.net.drivers[org].status == "ok" for org in left)
        assert a.net.drivers[leader].status == "observing"
        a.access(left[0])


# --- who was away ---


def test_a_member_that_was_away_for_several_epochs_catches_up(alliance: Make) -> None:
    a = alliance("h1", "h2", "h3", "h4")
    a.net.cut("h4")
    for number in range(3):
        limits = {"block_bytes": 8 << 20, "block_records": 100 + number, "min_interval_ms": 0}
        config = a.propose("h1", "h2", "h3", "h4", limits=type(a.config.limits)(**limits))
        a.enter(config, "h1", "h2", "h3")
        a.access("h1")
    a.net.start("h4")
    a.net.run(30_000)
    assert set(a.epochs().values()) == {3}
    late = a.net.drivers["h4"]
    assert (late.status, late.behind) == ("ok", 0)
    a.access("h4")
    a.net.check()


# --- who changes keys ---


def test_a_node_changes_all_its_keys_while_the_others_work(alliance: Make) -> None:
    a = alliance("h1", "h2", "h3", "h4")
    old = a.world.keys["h2"]
    fresh = {r: signer_from_seed(seed("next", r)) for r in ("node", "log", "cosigner")}
    for role, signer in fresh.items():
        save_key(a.net.homes["h2"], f"next-{role}", signer)
    a.net.cut("h2")
    a.net.start("h2")
    a.world.keys["h2"] = old._replace(**fresh)  # type: ignore[index]
    config = a.propose("h1", "h2", "h3", "h4")
    a.declare("h1", config)
    a.declare("h3", config)
    a.declare("h4", config)
    assert set(a.epochs().values()) == {0}
    # The old keys work until the very last word.
    assert a.net.drivers["h2"].status == "ok"
    a.access("h2")
    a.enter(config, "h2")
    assert set(a.epochs().values()) == {1}
    assert a.net.drivers["h2"].status == "ok"
    a.net.cut("h3")
    a.access("h2")
    note = a.net.drivers["h2"].view.checkpoint
    assert b"h2.cosigner" in note
    # After the next start the old keys are gone, and the node is the same member.
    a.net.cut("h2")
    a.net.start("h2")
    kept = sorted(path.name for path in (a.net.homes["h2"] / "keys").glob("*node*"))
    assert kept == ["node.pem"]
    a.net.run(5_000)
    a.access("h2")


def test_a_key_that_was_replaced_reads_nothing_new(alliance: Make) -> None:
    a = alliance("h1", "h2")
    old = b64url(a.world.keys["h2"].node.kid)
    fresh = {r: signer_from_seed(seed("next", r)) for r in ("node", "log", "cosigner")}
    for role, signer in fresh.items():
        save_key(a.net.homes["h2"], f"next-{role}", signer)
    a.net.cut("h2")
    a.net.start("h2")
    a.world.keys["h2"] = a.world.keys["h2"]._replace(**fresh)  # type: ignore[index]
    a.enter(a.propose("h1", "h2"), "h1", "h2")
    a.access("h1")
    driver = a.net.drivers["h1"]
    thief = driver.membership.roster.peer_of(old)
    assert thief is not None
    assert (thief.role, thief.until) == ("former", driver.final.tip.boundaries[-1].height)
    a.net.sent.clear()
    a.net.kids["h2"], before = old, a.net.kids["h2"]
    from node.wire import Want

    driver.deliver(thief, Exchange(v=1, pin=a.world.genesis.seal.leaf, wants=(Want(None, 1),)))
    a.net.turn("h1")
    shown = [run for sender, _to, item in a.net.sent if sender == "h1" for run in item.runs]
    assert shown
    assert all(len(run.blocks) <= thief.until for run in shown)  # type: ignore[operator]
    a.net.kids["h2"] = before


# --- words and addresses ---


def test_an_address_acts_at_once_and_the_operator_has_the_last_word(alliance: Make) -> None:
    a = alliance("h1", "h2")
    url = "https://node.h2.example:8471"
    a.put("endpoint", EndpointBody(org="h2", urls=(url,)), "officer", "h2", not_after=LATER)
    driver = a.net.drivers["h1"]
    assert driver.membership.roster.urls == {"h2": url}
    # And there it is called so, whatever its own settings say.
    a.net.run(1_000)
    assert a.net.drivers["h2"].membership.roster.names == {"node.h2.example:8471"}
    assert driver.membership.roster.names == frozenset()
    tip, own = driver.final.tip, driver.keyring.kids
    assert Roster(tip, own, {"h2": "http://10.0.0.2"}).urls == {"h2": "http://10.0.0.2"}


def test_what_a_member_accepted_becomes_final_after_it_has_left(alliance: Make) -> None:
    """Nobody else has heard of the record when the epoch ends in which its node had a vote."""
    a = alliance("h1", "h2", "h3", "h4")
    config = a.propose("h1", "h2", "h3")
    a.net.allow = lambda sender, _to, item: not (sender == "h4" and item.entries)
    a.declare("h1", config)
    raw = a.world.access(seq=900)
    a.net.submit("h4", raw)
    a.enter(config, "h2")
    assert a.net.drivers["h4"].status == "observing"
    assert a.net.drivers["h1"].store.find_leaf(decode_entry(raw).leaf) is None
    a.net.allow = lambda *_: True
    a.net.run(20_000)
    for org in ("h1", "h2", "h3"):
        assert a.net.drivers[org].store.find_leaf(decode_entry(raw).leaf) is not None


def test_an_auditor_reads_everything_and_counts_in_nothing(alliance: Make) -> None:
    a = alliance("h1", "h2")
    description = a.observer("h1")
    body = KeyBody(action="register", key=description, kid=kid_of(description))
    a.put("key", body, "officer", "h1", not_after=LATER)
    home = a.folder / "auditor"
    make_home(a.world, home, "h1")
    for role in ("node", "log", "cosigner"):
        (home / "keys" / f"{role}.pem").unlink()
    save_key(home, "observer", signer_from_seed(seed("observer", "h1")))
    a.net.homes["auditor"] = home
    a.net.settings["auditor"] = 'org = "h1"\n'
    a.net.start("auditor")
    a.access("h1")
    a.net.run(20_000)
    auditor = a.net.drivers["auditor"]
    assert (auditor.status, auditor.behind) == ("observing", 0)
    assert auditor.view.tip.height == a.net.drivers["h1"].final.tip.height
    a.net.check()
    # One of two members is gone: with the auditor there is still no quorum.
    a.net.cut("h2")
    assert a.submit("h1", a.world.access(seq=900)) is None
    assert auditor.final.tip.height == a.net.drivers["h1"].final.tip.height
    # A revoked key is a stranger's.
    a.net.start("h2")
    a.net.run(20_000)
    revoke = KeyBody(action="revoke", kid=kid_of(description))
    a.put("key", revoke, "officer", "h1", not_after=LATER)
    refused = a.net.refused["auditor"]
    a.net.run(20_000)
    assert a.net.refused["auditor"] > refused


# --- wrong words ---


def test_wrong_words_of_readiness_are_refused(alliance: Make) -> None:
    a = alliance("h1", "h2")

    def refused(config: EpochConfig, by: str, org: str) -> str:
        raw = a.world.record(
            "ready", ready_body(config), by=by, org=org, at_ms=a.net.now_ms, not_after=LATER
        )
        outcome = a.submit("h1", raw)
        assert isinstance(outcome, AllianceError), outcome
        return outcome.rule

    first = config_of(a.world, ["h1", "h2"], 1, q=2)
    assert refused(first, "node", "h1") == "G16"
    pending = a.propose("h1")
    assert refused(first, "node", "h1") == "G16"
    assert refused(pending, "node", "h2") == "G17"
    assert refused(pending, "officer", "h1") == "S3.capacity"
    # A second decision takes the place of the first one, and words given before count no more.
    again = a.propose("h1", "h2", leader_eligible_note=None) if False else a.propose("h1", "h2")
    assert refused(pending, "node", "h1") == "G16"
    a.enter(again, "h1", "h2")
    assert set(a.epochs().values()) == {1}


def test_a_configuration_without_a_quorum_is_refused(alliance: Make) -> None:
    a = alliance("h1", "h2")
    for q in (0, 1, 3):
        config = config_of(a.world, ["h1", "h2"], 1, q=q)
        raw = a.world.record(
            "config", ConfigBody(config=config), at_ms=a.net.now_ms, not_after=LATER
        )
        outcome = a.submit("h1", raw)
        assert isinstance(outcome, AllianceError)
        assert outcome.rule == "R33"


def test_a_copied_home_is_silent_in_the_next_epoch_too(alliance: Make) -> None:
    """The key of a node that runs twice: the copy never speaks against the original."""
    a = alliance("h1", "h2", "h3")
    shutil.copytree(a.net.homes["h3"], a.folder / "copy")
    a.enter(a.propose("h1", "h2", "h3", q=3), "h1", "h2", "h3")
    a.access("h3")
    assert a.net.drivers["h3"].status == "ok"
    assert "evidence" not in a.net.drivers["h1"].alarms


# --- the boundary itself ---


def is_final_word(item: Exchange) -> bool:
    """Whether a message could make a block final."""
    kinds = [fact.kind for fact in item.facts if isinstance(fact, Vote | Certificate)]
    return "finalize" in kinds


def test_a_boundary_that_is_not_final_stays_the_only_block_of_its_height(alliance: Make) -> None:
    """Notarized, and then leaders change and every node loses its power in turn: nothing is built
    on it in its epoch, and the same block ends the epoch (ava #545, #551, #556).
    """
    a = alliance("h1", "h2", "h3", "h4")
    limits = msgspec.structs.replace(a.config.limits, block_records=77)
    config = a.propose("h1", "h2", "h3", "h4", limits=limits)
    a.declare("h1", config)
    a.declare("h2", config)
    a.net.allow = lambda _from, _to, item: not is_final_word(item)
    height = a.net.drivers["h1"].final.tip.height
    last = a.world.record(
        "ready", ready_body(config), by="node", org="h3", at_ms=a.net.now_ms, not_after=LATER
    )
    a.net.submit("h3", last)
    a.net.submit("h4", a.world.access(seq=500))
    a.net.run(8_000)
    tips = {driver._state.machine.tip for driver in a.net.drivers.values()}
    assert len(tips) == 1
    (boundary,) = tips
    assert boundary.boundary
    views = a.net.views()
    for org in ("h1", "h2", "h3", "h4"):
        a.net.cut(org)
        a.net.start(org)
        a.net.run(3_000)
    a.net.run(30_000)
    assert max(a.net.views().values()) > max(views.values())
    assert set(a.epochs().values()) == {0}
    assert {driver.final.tip.height for driver in a.net.drivers.values()} <= {height, height + 1}
    a.net.allow = lambda _from, _to, _item: True
    a.net.run(60_000)
    assert set(a.epochs().values()) == {1}
    for driver in a.net.drivers.values():
        (ended,) = driver.final.tip.boundaries
        assert ended.seal_leaf == boundary.id
    a.access("h1")
    a.net.check()
    assert "evidence" not in a.net.drivers["h1"].alarms


def test_a_word_of_the_old_epoch_is_answered_with_what_ended_it(alliance: Make) -> None:
    a = alliance("h1", "h2", "h3")
    a.enter(a.propose("h1", "h2", "h3", q=3), "h1", "h2", "h3")
    driver, signer = a.net.drivers["h1"], a.world.keys["h2"].node
    index = a.world.config.index_of(signer.public_key)
    message = signed_bytes(a.world.config, "nullify", 900, 0, bytes(32))
    old = Vote("nullify", 0, 900, 0, bytes(32), index or 0, signer.sign(message))
    a.net.sent.clear()
    peer = driver.membership.roster.peer_of(a.net.kids["h2"])
    assert peer is not None
    driver.deliver(peer, Exchange(v=1, pin=a.world.genesis.seal.leaf, facts=(old,)))
    a.net.turn("h1")
    answers = [
        f for sender, to, item in a.net.sent if (sender, to) == ("h1", "h2") for f in item.facts
    ]
    ended = driver.final.tip.boundaries[-1]
    assert [(f.kind, f.epoch, f.height) for f in answers if isinstance(f, Certificate)] == [
        ("finalize", 0, ended.height)
    ]


def test_one_message_ends_an_epoch_and_goes_on_in_the_old_one(alliance: Make) -> None:
    """Members are numbered anew with an epoch: who sent it is still who is answered."""
    a = alliance("h1", "h2", "h3", "h4")
    driver, signer = a.net.drivers["h1"], a.world.keys["h4"].node
    index = a.world.config.index_of(signer.public_key)
    message = signed_bytes(a.world.config, "nullify", 900, 0, bytes(32))
    old = Vote("nullify", 0, 900, 0, bytes(32), index or 0, signer.sign(message))
    config = a.propose("h1", "h2", "h4")
    a.net.allow = lambda _from, to, item: to != "h1" or not is_final_word(item)
    ready, at_ms = ready_body(config), a.net.now_ms
    for org in ("h2", "h4"):
        by = {"by": "node", "org": org, "not_after": LATER}
        a.net.submit(org, a.world.record("ready", ready, at_ms=at_ms, **by))
    a.net.run(600)
    assert (a.epochs()["h1"], a.epochs()["h2"]) == (0, 1)
    ended = a.net.drivers["h2"].final.tip.boundaries[-1]
    facts = [fact for _from, _to, item in a.net.sent for fact in item.facts]
    words = [fact for fact in facts if isinstance(fact, Certificate)]
    last = next(word for word in words if (word.kind, word.block) == ("finalize", ended.seal_leaf))
    peer = driver.membership.roster.peer_of(a.net.kids["h4"])
    assert peer is not None
    a.net.sent.clear()
    driver.deliver(peer, Exchange(v=1, pin=a.world.genesis.seal.leaf, facts=(last, old)))
    a.net.turn("h1")
    assert a.epochs()["h1"] == 1
    answered = [to for _from, to, item in a.net.sent for fact in item.facts if fact == last]
    assert answered == ["h4"]


def test_the_end_of_an_epoch_is_published_with_the_word_of_who_leaves(alliance: Make) -> None:
    """Two become one: the last block of both takes both cosignatures, and both have them."""
    a = alliance("h1", "h2")
    config = a.propose("h1")
    a.enter(config, "h1")
    stayed, gone = a.net.drivers["h1"], a.net.drivers["h2"]
    boundary = stayed.final.tip.boundaries[-1].height
    assert (stayed.view.tip.height, gone.view.tip.height) == (boundary, boundary)
    # Both know it in their next life, who stayed without asking anybody.
    for org in ("h2", "h1"):
        a.net.cut(org)
    a.net.start("h1")
    assert a.net.drivers["h1"].view.tip.height == boundary
    a.access("h1")
    a.net.start("h2")
    a.net.run(20_000)
    assert a.net.drivers["h2"].view.tip.height == boundary
