"""The state machine by itself: one member end to end, the rules one by one, the bytes."""

from collections.abc import Iterator
from hashlib import sha256

import msgspec
import pytest

from ledger.consensus import (
    Alarm,
    BlockBuilt,
    BlockChecked,
    BlockInfo,
    BlockReceived,
    BuildBlock,
    Certificate,
    CheckBlock,
    Commit,
    Committed,
    Consensus,
    Durable,
    Effect,
    Event,
    Fact,
    Fetch,
    Heartbeat,
    NothingToBuild,
    PeerSummary,
    Persist,
    Proposal,
    Received,
    Row,
    Send,
    SetTimer,
    Sign,
    Signed,
    Started,
    Status,
    Summary,
    Tick,
    Vote,
    Work,
    certificate_signers,
    contradict,
    decode_certificate,
    decode_fact,
    decode_journal,
    decode_summary,
    encode_certificate,
    encode_fact,
    encode_journal,
    encode_summary,
    fork_culprits,
    messages,
    signed_bytes,
    status_bytes,
    verify_certificate,
    verify_evidence,
    verify_fact,
)
from ledger.consensus.journal import LAST_VIEW, UNSIGNED
from ledger.consensus.messages import CertificateKind, Kind, make_certificate
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url, canonical_json, unb64url
from ledger.errors import InvariantError, MalformedError, ProofError, SignatureError
from ledger.members import EpochConfig, Limits, Member, default_quorum

CHAIN = sha256(b"chain").digest()


def seed(*parts: object) -> bytes:
    return sha256(repr(parts).encode()).digest()


def make_config(n: int, q: int | None = None, interval_ms: int = 0, epoch: int = 0) -> EpochConfig:
    members = []
    for i in range(n):
        node, log, cosigner = (
            b64url(signer_from_seed(seed(role, i)).public_key)
            for role in ("node", "log", "cosigner")
        )
        members.append(
            Member(
                cosigner_pk=cosigner, leader_eligible=True, log_pk=log, node_pk=node, org=f"h{i}"
            )
        )
    config = EpochConfig(
        epoch=epoch,
        limits=Limits(block_bytes=1 << 20, block_records=2_000, min_interval_ms=interval_ms),
        members=tuple(sorted(members, key=lambda member: unb64url(member.node_pk))),
        q=default_quorum(n) if q is None else q,
        rules_version=1,
        v=1,
    )
    return config.with_chain(CHAIN)


def genesis(config: EpochConfig) -> BlockInfo:
    zero = bytes(32)
    return BlockInfo(seed("genesis"), 0, 0, zero, 0, config.epoch, config.config_hash, 1_000)


class OneMemberDriver:
    """All that a driver does, for one member, with a list of transactions for a disk."""

    def __init__(self) -> None:
        self.signer = signer_from_seed(seed("node", 0))
        self.config = make_config(1)
        self.mempool: list[str] = []
        self.transactions: list[tuple[dict[tuple[int, int], Row], list[Commit]]] = []
        self.sent: list[Send] = []
        self.deadline: int | None = None
        self.consensus = Consensus(self.signer.public_key)
        first = genesis(self.config)
        self.run(Started(Durable(self.config, first, first), 0, 1_000))

    def run(self, *events: Event) -> None:
        """One batch: step, carry out, step the answers, commit once, then let messages out."""
        rows: dict[tuple[int, int], Row] = {}
        commits: list[Commit] = []
        later: list[Send] = []
        inbox = list(events)
        while inbox:
            event = inbox.pop(0)
            for effect in self.consensus.step(event):
                if isinstance(effect, Persist):
                    rows |= {(row.epoch, row.view): row for row in effect.rows}
                elif isinstance(effect, Commit):
                    commits.append(effect)
                    done = effect.certificate
                    rows = {k: r for k, r in rows.items() if k > (done.epoch, done.view)}
                elif isinstance(effect, Send):
                    later.append(effect)
                elif isinstance(effect, SetTimer):
                    self.deadline = effect.at_ms
                inbox.extend(self.answer(effect, event.now_ms))
        if rows or commits:
            self.transactions.append((rows, commits))  # one fsync
        self.sent += later

    def answer(self, effect: Effect, now_ms: int) -> Iterator[Event]:
        if isinstance(effect, Sign):
            yield Signed(effect.request, self.signer.sign(effect.message), now_ms)
        elif isinstance(effect, BuildBlock) and self.mempool:
            self.mempool.clear()
            yield BlockBuilt(seal(effect, self.config), now_ms)
        elif isinstance(effect, BuildBlock):
            yield NothingToBuild(effect.view, now_ms)
        elif isinstance(effect, Commit):
            yield Committed(effect.certificate.height, len(self.mempool), now_ms)

    def admit(self, record: str, now_ms: int) -> None:
        self.mempool.append(record)
        self.run(Work(len(self.mempool), now_ms))


def seal(build: BuildBlock, config: EpochConfig, salt: str = "") -> BlockInfo:
    name = seed(build.parent.id, build.view, salt)
    parent = build.parent
    return BlockInfo(
        name,
        parent.height + 1,
        build.view,
        parent.id,
        build.parent_view,
        build.epoch,
        config.config_hash,
        build.time_ms,
    )


def test_one_member_commits() -> None:
    driver = OneMemberDriver()
    driver.admit("a", 2_000)
    driver.admit("b", 2_001)
    assert driver.consensus.final.height == 2
    # Each block in one transaction, without one journal row, and with nothing sent to anybody.
    assert [(rows, len(commits)) for rows, commits in driver.transactions] == [({}, 1), ({}, 1)]
    assert driver.sent == []
    commit = driver.transactions[1][1][0]
    assert [block.height for block in commit.blocks] == [2]
    assert commit.blocks[0].parent_view == 1
    verify_certificate(commit.certificate, driver.config, verify)
    assert commit.certificate.block == commit.blocks[0].id
    assert driver.deadline is None


def test_a_machine_that_has_not_begun_can_be_looked_at() -> None:
    """After a failure of storage a new one stands in a node while others ask for its state."""
    machine = Consensus(bytes(32))
    assert (machine.view, machine.index, machine.voting, machine.pending) == (0, None, False, 0)


def test_one_member_restarts_from_what_was_committed() -> None:
    driver = OneMemberDriver()
    driver.admit("a", 2_000)
    commit = driver.transactions[0][1][0]
    again = OneMemberDriver()
    again.consensus = Consensus(again.signer.public_key)
    durable = Durable(
        again.config, genesis(again.config), commit.blocks[-1], certificate=commit.certificate
    )
    again.run(Started(durable, 0, 3_000))
    again.admit("b", 3_001)
    assert again.consensus.final.height == 2
    assert again.consensus.view == 3


def test_idle_member_is_silent() -> None:
    driver = OneMemberDriver()
    for now_ms in range(1_000, 400_000, 1_000):
        driver.run(Tick(now_ms))
    assert driver.transactions == []
    assert (driver.consensus.view, driver.deadline) == (1, None)


def test_pacing_holds_the_next_block_back() -> None:
    driver = OneMemberDriver()
    driver.config = make_config(1, interval_ms=250)
    driver.consensus = Consensus(driver.signer.public_key)
    first = genesis(driver.config)
    driver.run(Started(Durable(driver.config, first, first), 0, 1_000))
    driver.admit("a", 5_000)
    driver.admit("b", 5_010)
    assert (driver.consensus.final.height, driver.deadline) == (1, 5_250)
    driver.run(Tick(5_250))
    assert driver.consensus.final.height == 2


# The bytes that members sign and exchange.

FOUR = make_config(4)
SIGNERS = {
    signer.public_key: signer for signer in (signer_from_seed(seed("node", i)) for i in range(4))
}
BLOCK = seed("block")


def make_vote(
    signer: int, kind: Kind = "notarize", view: int = 5, height: int = 3, block: bytes = BLOCK
) -> Vote:
    if kind == "nullify":
        height, block = 0, bytes(32)
    message = signed_bytes(FOUR, kind, view, height, block)
    signature = SIGNERS[FOUR.node_keys[signer]].sign(message)
    return Vote(kind, FOUR.epoch, view, height, block, signer, signature)


def make_cert(*signers: int, kind: CertificateKind = "notarize", view: int = 5) -> Certificate:
    return make_certificate(FOUR, [make_vote(signer, kind, view) for signer in signers])


def test_the_signed_layout() -> None:
    expected = (
        b"\x0cpl1/notarize"
        + CHAIN
        + (0).to_bytes(8, "big")
        + FOUR.config_hash
        + (5).to_bytes(8, "big")
        + (3).to_bytes(8, "big")
        + BLOCK
    )
    assert signed_bytes(FOUR, "notarize", 5, 3, BLOCK) == expected
    kinds: tuple[Kind, ...] = ("propose", "notarize", "nullify", "finalize")
    assert len({signed_bytes(FOUR, kind, 5, 3, BLOCK) for kind in kinds}) == 4


def test_certificates_verify_and_come_back() -> None:
    for kind in ("notarize", "nullify", "finalize"):
        cert = make_cert(3, 0, 2, kind=kind)
        verify_certificate(cert, FOUR, verify)
        assert certificate_signers(cert) == (0, 2, 3)
        assert decode_certificate(encode_certificate(cert)) == cert
        assert decode_fact(encode_fact(cert)) == cert
    assert len(encode_certificate(make_cert(0, 1, 2))) == 90 + 1 + 3 * 64


GOOD = make_cert(0, 1, 2)
CHANGED = msgspec.structs.replace
FORGED = [
    ("R23", make_cert(0, 1)),
    ("R23", CHANGED(GOOD, signatures=GOOD.signatures[:2])),
    ("R23", CHANGED(GOOD, signers=0b0011)),
    ("R22", CHANGED(GOOD, signers=0b10011)),
    ("R24", CHANGED(GOOD, signers=0b1011)),
    ("R24", CHANGED(GOOD, signatures=(GOOD.signatures[0],) * 3)),
    ("R24", CHANGED(GOOD, block=seed("another"))),
    ("R24", CHANGED(GOOD, height=4)),
    ("R24", CHANGED(GOOD, view=6)),
    ("R24", CHANGED(GOOD, kind="finalize")),
    ("R20", CHANGED(GOOD, kind="nullify")),
    ("R21", CHANGED(GOOD, epoch=1)),
    ("R21", CHANGED(GOOD, config_hash=bytes(32))),
]


@pytest.mark.parametrize(("rule", "cert"), FORGED)
def test_forged_certificates_are_refused(rule: str, cert: Certificate) -> None:
    with pytest.raises((ProofError, SignatureError)) as caught:
        verify_certificate(cert, FOUR, verify)
    assert caught.value.rule == rule
    assert caught.value.sentence("en")
    assert caught.value.sentence("zh")


def test_a_certificate_of_another_chain_is_refused() -> None:
    other = FOUR.with_chain(seed("another chain"))
    with pytest.raises(ProofError):
        verify_certificate(GOOD, other, verify)
    with pytest.raises(SignatureError):
        verify_certificate(CHANGED(GOOD, config_hash=other.config_hash), other, verify)


@pytest.mark.parametrize("cut", [0, 1, 89, 90, 91, 154, -1])
def test_cut_certificates_are_refused(cut: int) -> None:
    with pytest.raises(MalformedError):
        decode_certificate(encode_certificate(GOOD)[:cut])


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" + encode_certificate(GOOD)[1:],
        b"\x04" + encode_certificate(GOOD)[1:],
        encode_certificate(GOOD) + b"\x00",
        encode_certificate(GOOD)[:89] + b"\x02\x00" + encode_certificate(GOOD)[90:],
    ],
)
def test_other_forms_of_a_certificate_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_certificate(data)


LEADER = FOUR.leader(5)
NOT_LEADER = (LEADER + 1) % 4
FACTS_REFUSED = [
    ("R24", CHANGED(make_vote(0), signature=bytes(64))),
    ("R24", CHANGED(make_vote(0), signer=1)),
    ("R22", CHANGED(make_vote(0), signer=4)),
    ("R21", CHANGED(make_vote(0), epoch=1)),
    ("R20", CHANGED(make_vote(0), view=0)),
    ("R20", CHANGED(make_vote(0, "nullify"), height=1)),
    ("R25", make_vote(NOT_LEADER, "propose")),
    ("R20", Proposal(make_vote(LEADER, "notarize"), None, ())),
    ("R25", Proposal(make_vote(NOT_LEADER, "propose"), None, ())),
    ("R23", Proposal(make_vote(LEADER, "propose"), make_cert(0), ())),
    ("R23", Proposal(make_vote(LEADER, "propose"), GOOD, (make_cert(0, 1, kind="nullify"),))),
]


@pytest.mark.parametrize(("rule", "fact"), FACTS_REFUSED)
def test_facts_that_are_refused(rule: str, fact: Fact) -> None:
    with pytest.raises((ProofError, SignatureError)) as caught:
        verify_fact(fact, FOUR, verify)
    assert caught.value.rule == rule


def test_facts_that_are_accepted_and_come_back() -> None:
    skip = make_cert(0, 1, 3, kind="nullify")
    proposal = Proposal(make_vote(LEADER, "propose"), GOOD, (skip,))
    for fact in (make_vote(1), make_vote(2, "nullify"), GOOD, proposal, make_status()):
        verify_fact(fact, FOUR, verify)
        assert decode_fact(encode_fact(fact)) == fact


def make_status(**fields: object) -> Status:
    status = Status(0, 7, 3, BLOCK, 6, 1_700_000_000_000, bytes(16), "1.0", 2, bytes(64))
    status = CHANGED(status, **fields)
    index = status.signer if status.signer < 4 else 0
    signature = SIGNERS[FOUR.node_keys[index]].sign(status_bytes(FOUR, status))
    return CHANGED(status, signature=signature)


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ("R21", make_status(epoch=1)),
        ("R22", make_status(signer=4)),
        ("R24", CHANGED(make_status(), view=8)),
        ("R24", CHANGED(make_status(), version="1.1")),
    ],
)
def test_statuses_that_are_refused(rule: str, status: Status) -> None:
    with pytest.raises((ProofError, SignatureError)) as caught:
        verify_fact(status, FOUR, verify)
    assert caught.value.rule == rule


def test_the_certificate_of_the_epoch_before_justifies_the_first_proposal() -> None:
    after = CHANGED(FOUR, epoch=1)
    leader = after.leader(1)
    message = signed_bytes(after, "propose", 1, 4, BLOCK)
    vote = Vote("propose", 1, 1, 4, BLOCK, leader, SIGNERS[after.node_keys[leader]].sign(message))
    proposal = Proposal(vote, make_cert(0, 1, 2, kind="finalize"), ())
    verify_fact(proposal, after, verify, FOUR)
    with pytest.raises(ProofError):
        verify_fact(proposal, after, verify)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"\xff",
        encode_fact(GOOD).replace(b'"cert"', b'"other"'),
        encode_fact(GOOD)[:-1] + b',"more":1}',
        encode_fact(make_vote(0)).replace(b'"view":5', b'"view":-5'),
        encode_fact(make_vote(0)).replace(b'"view":5', b'"view":"5"'),
        b" " * ((8 << 20) + 1),
    ],
)
def test_other_bytes_are_no_fact(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_fact(data)


def test_summaries_come_back() -> None:
    driver = OneMemberDriver()
    driver.admit("a", 2_000)
    summary = driver.consensus.summary()
    assert decode_summary(encode_summary(summary)) == summary
    assert (summary.view, summary.final_height, summary.final_view) == (2, 1, 1)
    for data in (b"{}", b"\xff"):
        with pytest.raises(MalformedError):
            decode_summary(data)


def test_journal_rows_come_back_or_are_refused() -> None:
    row = Row(epoch=0, view=5, notarized=make_vote(0), notarization=GOOD)
    data = encode_journal(row)
    assert decode_journal(data) == row
    body = data[32:]
    assert (data[:32], body) == (sha256(body).digest(), canonical_json(msgspec.json.decode(body)))
    more = body.replace(b'"view":5}', b'"view":5,"x":1}')
    for broken in (b"", data[:-1], data + b" ", sha256(more).digest() + more):
        with pytest.raises(MalformedError) as caught:
            decode_journal(broken)
        assert caught.value.rule == "R40"


def test_a_flipped_bit_of_the_journal_never_makes_another_word() -> None:
    data = encode_journal(Row(epoch=0, view=5, nullified=make_vote(0, "nullify"), floor=9))
    for at in range(len(data)):
        for bit in (1, 2, 64):
            with pytest.raises(MalformedError):
                decode_journal(data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :])


# Evidence.

OTHER = seed("another block")


@pytest.mark.parametrize(
    ("first", "second", "guilty"),
    [
        (make_vote(0), make_vote(0, block=OTHER), True),
        (make_vote(0, "finalize"), make_vote(0, "finalize", block=OTHER), True),
        (make_vote(LEADER, "propose"), make_vote(LEADER, "propose", block=OTHER), True),
        (make_vote(0, "nullify"), make_vote(0, "finalize"), True),
        (make_vote(0), make_vote(0, "finalize", block=OTHER), True),
        (make_vote(0), make_vote(0, "finalize"), False),
        (make_vote(0), make_vote(0, "nullify"), False),
        (make_vote(0), make_vote(0), False),
        (make_vote(0), make_vote(1, block=OTHER), False),
        (make_vote(0), make_vote(0, view=6, block=OTHER), False),
    ],
)
def test_evidence(first: Vote, second: Vote, guilty: bool) -> None:
    assert contradict(first, second) == contradict(second, first) == guilty
    if guilty:
        assert verify_evidence(first, second, FOUR, verify) == first.signer
        with pytest.raises(SignatureError):
            verify_evidence(first, CHANGED(second, signature=bytes(64)), FOUR, verify)
    else:
        with pytest.raises(ProofError) as caught:
            verify_evidence(first, second, FOUR, verify)
        assert caught.value.rule == "R26"


def test_a_fork_names_its_culprits() -> None:
    final = make_cert(0, 1, 2, kind="finalize")
    skip = make_cert(1, 2, 3, kind="nullify")
    later = make_cert(1, 2, 3, kind="finalize", view=6)
    assert fork_culprits(final, [skip, later]) == {1, 2}
    sibling = make_certificate(FOUR, [make_vote(i, "notarize", block=OTHER) for i in (0, 2, 3)])
    assert fork_culprits(final, [sibling, later]) == {0, 2}
    assert fork_culprits(final, [GOOD, later]) == frozenset()


# Restart.


def restarted(row: Row, in_doubt: bool = False) -> list[Effect]:
    first = genesis(FOUR)
    machine = Consensus(FOUR.node_keys[1])
    durable = Durable(FOUR, first, first, rows=(row,), in_doubt=in_doubt)
    return machine.step(Started(durable, 0, 1_000))


def test_what_was_said_is_said_again_in_the_same_bytes() -> None:
    vote = make_vote(1)
    effects = restarted(Row(epoch=0, view=5, notarized=vote))
    assert Send(None, (vote,)) in effects
    assert not any(isinstance(effect, Sign) for effect in effects)


def test_what_was_decided_and_not_signed_is_signed_after_a_restart() -> None:
    vote = CHANGED(make_vote(1), signature=UNSIGNED)
    row = Row(epoch=0, view=5, notarized=vote)
    asked = [effect.message for effect in restarted(row) if isinstance(effect, Sign)]
    assert asked == [signed_bytes(FOUR, "notarize", 5, 3, BLOCK)]
    assert not any(isinstance(effect, Sign) for effect in restarted(row, in_doubt=True))


def test_rows_of_another_epoch_or_below_the_final_view_are_left_alone() -> None:
    vote = make_vote(1)
    assert restarted(Row(epoch=7, view=5, notarized=CHANGED(vote, epoch=7))) == []


def test_a_floor_and_a_quarantine_are_remembered() -> None:
    vote = CHANGED(make_vote(1), signature=UNSIGNED)
    first = genesis(FOUR)
    for floor in (9, LAST_VIEW):
        rows = (
            Row(epoch=0, view=LAST_VIEW, floor=floor),
            Row(epoch=0, view=5, notarized=vote),
        )
        machine = Consensus(FOUR.node_keys[1])
        effects = machine.step(Started(Durable(FOUR, first, first, rows=rows), 0, 1_000))
        assert not any(isinstance(effect, Sign) for effect in effects)
        assert machine.voting == (floor != LAST_VIEW)


def test_a_driver_that_breaks_the_contract_is_stopped() -> None:
    first = genesis(FOUR)
    started = Started(Durable(FOUR, first, first), 0, 1_000)
    machine = Consensus(FOUR.node_keys[1])
    with pytest.raises(InvariantError):
        machine.step(Tick(1_000))
    machine.step(started)
    with pytest.raises(InvariantError):
        machine.step(started)
    with pytest.raises(InvariantError):
        machine.step(Committed(1, 0, 1_000))


def test_observers_say_nothing() -> None:
    first = genesis(FOUR)
    machine = Consensus(seed("nobody"))
    effects = machine.step(Started(Durable(FOUR, first, first), 5, 1_000))
    for now_ms in range(1_000, 60_000, 1_000):
        effects += machine.step(Tick(now_ms))
        effects += machine.step(Heartbeat(bytes(16), "1", now_ms))
    assert effects == []
    assert (machine.index, machine.voting, machine.config) == (None, False, FOUR)


# Four members with real signatures and real bytes between them (the simulator uses stand-ins).


class Network:
    """Four drivers; what one sends, the others get at once, as bytes."""

    def __init__(self) -> None:
        first = genesis(FOUR)
        self.wire: list[tuple[int, bytes]] = []
        self.commits: list[list[Commit]] = [[] for _ in range(4)]
        self.blocks: dict[bytes, BlockInfo] = {}
        self.records = 0
        self.machines = [Consensus(pk) for pk in FOUR.node_keys]
        for i in range(4):
            self.run(i, Started(Durable(FOUR, first, first), 0, 1_000))

    def run(self, member: int, event: Event) -> None:
        for effect in self.machines[member].step(event):
            if isinstance(effect, Send):
                self.wire += [(member, encode_fact(fact)) for fact in effect.facts]
            for answer in self.answer(member, effect):
                self.run(member, answer)

    def answer(self, member: int, effect: Effect) -> Iterator[Event]:
        if isinstance(effect, Sign):
            signer = SIGNERS[FOUR.node_keys[member]]
            yield Signed(effect.request, signer.sign(effect.message), 2_000)
        elif isinstance(effect, BuildBlock) and len(self.blocks) == self.records:
            yield NothingToBuild(effect.view, 2_000)
        elif isinstance(effect, BuildBlock):
            info = seal(effect, FOUR)
            self.blocks[info.id] = info
            yield BlockBuilt(info, 2_000)
        elif isinstance(effect, CheckBlock):
            yield BlockChecked(effect.block.id, "valid", 2_000)
        elif isinstance(effect, Commit):
            self.commits[member].append(effect)
            yield Committed(effect.certificate.height, 0, 2_000)

    def deliver(self) -> None:
        while self.wire:
            sender, data = self.wire.pop(0)
            fact = decode_fact(data)
            for member in (i for i in range(4) if i != sender):
                verify_fact(fact, FOUR, verify)
                if isinstance(fact, Proposal):
                    self.run(member, BlockReceived(self.blocks[fact.vote.block], 2_000))
                self.run(member, Received(fact, 2_000, sender))


def test_four_members_agree_with_real_signatures() -> None:
    network = Network()
    for _ in range(3):
        network.records += 1
        for member in range(4):
            network.run(member, Work(1, 2_000))
        network.deliver()
    heights = [[commit.certificate.height for commit in commits] for commits in network.commits]
    assert heights == [[1, 2, 3]] * 4
    for commits in zip(*network.commits, strict=True):
        assert len({commit.certificate.block for commit in commits}) == 1
        for commit in commits:
            verify_certificate(commit.certificate, FOUR, verify)


def status(signer: int, clock_ms: int, boot: int) -> Status:
    return Status(
        epoch=0,
        view=1,
        final_height=0,
        final_block=genesis(FOUR).id,
        final_view=0,
        clock_ms=clock_ms,
        boot_id=bytes([boot]) * 16,
        version="test",
        signer=signer,
        signature=bytes(64),
    )


def test_a_key_that_is_in_use_elsewhere_stays_silent_until_a_new_start() -> None:
    """The reports that end a quarantine do not end this one: the other one still speaks."""
    for boot, silent in ((9, True), (1, False)):
        first = genesis(FOUR)
        machine = Consensus(FOUR.node_keys[1])
        machine.step(Started(Durable(FOUR, first, first, in_doubt=not silent), 0, 1_000))
        machine.step(Heartbeat(bytes([1]) * 16, "test", 2_000))
        effects = machine.step(Received(status(1, 5_000, boot), 5_000))
        assert any(isinstance(effect, Alarm) for effect in effects) == silent
        assert not machine.voting
        for signer in (0, 2, 3):
            machine.step(Received(status(signer, 9_000, 5), 9_000))
        assert machine.voting != silent


# What others send, and how long it may keep this node busy.


def summary_of(height: int) -> Summary:
    return Summary(epoch=0, view=1, final_height=height, final_view=0, views=())


def ranges(machine: Consensus, peer: int, now_ms: int) -> list[int]:
    """The peers that are asked for final blocks when this one says that it is ahead."""
    effects = machine.step(PeerSummary(peer, summary_of(9), now_ms))
    return [effect.peer for effect in effects if isinstance(effect, Fetch)]


def test_whoever_says_that_it_is_ahead_and_gives_nothing_keeps_nobody_else_out() -> None:
    first = genesis(FOUR)
    machine = Consensus(FOUR.node_keys[1])
    machine.step(Started(Durable(FOUR, first, first), 0, 10_000))
    asked = [peer for at in range(10_000, 13_900, 100) for peer in ranges(machine, 0, at)]
    assert asked == [0], "a liar who speaks all the time is asked all the time"
    # One that says so once a second gets its turn, whatever the other one does.
    assert ranges(machine, 2, 13_950) == [2]
    assert ranges(machine, 0, 15_000) == [0]


def test_a_proposal_after_ever_so_many_failed_views_can_still_be_sent() -> None:
    """R5, 2.6: what does not fit comes with the summaries; a message that none can read would stop
    the chain for ever.
    """
    first = genesis(FOUR)
    views = messages.MAX_SKIPS + 9
    leader = next(i for i in range(4) if FOUR.leader(views + 1) == i)
    machine = Consensus(FOUR.node_keys[leader])
    skip = make_cert(0, 1, 2, kind="nullify", view=1)
    rows = tuple(
        Row(epoch=0, view=view, nullification=CHANGED(skip, view=view))
        for view in range(1, views + 1)
    )
    effects = machine.step(Started(Durable(FOUR, first, first, rows=rows), 1, 10_000))
    effects += machine.step(Tick(11_000))
    build = next(effect for effect in effects if isinstance(effect, BuildBlock))
    effects = machine.step(BlockBuilt(seal(build, FOUR), 11_000))
    sign = next(effect for effect in effects if isinstance(effect, Sign))
    effects = machine.step(Signed(sign.request, bytes(64), 11_000))
    sent = [fact for e in effects if isinstance(e, Send) for fact in e.facts]
    proposal = next(fact for fact in sent if isinstance(fact, Proposal))
    assert len(proposal.skips) == messages.MAX_SKIPS
    assert proposal.skips[-1].view == views
    assert decode_fact(encode_fact(proposal)) == proposal


def test_a_block_from_the_future_is_judged_when_its_time_has_come() -> None:
    """2.18: held while it is more than 2 s ahead, by a member that has no work of its own, too."""
    first = genesis(FOUR)
    leader = FOUR.leader(1)
    machine = Consensus(FOUR.node_keys[(leader + 1) % 4])
    machine.step(Started(Durable(FOUR, first, first), 0, 10_000))
    build = BuildBlock(first, 0, 0, 1, 15_000, 1 << 20, 10)
    info = seal(build, FOUR)
    vote = CHANGED(make_vote(leader, "propose"), view=1, height=1, block=info.id)
    effects = machine.step(BlockReceived(info, 10_000))
    effects += machine.step(Received(Proposal(vote, None, ()), 10_000))
    effects += machine.step(BlockChecked(info.id, "valid", 10_000))
    assert not any(isinstance(effect, Sign) for effect in effects)
    assert effects[-1] == SetTimer(13_000)
    assert [type(e) for e in machine.step(Tick(13_000))][:2] == [Persist, Sign]


def test_blocks_that_nobody_needs_are_not_executed() -> None:
    """A member may sign as many as it likes for turns of its own that never come, each of which
    takes a block's time: only what the leader proposes now, or a quorum notarized, is looked at.
    """
    first = genesis(FOUR)
    liar = FOUR.leader(2)
    machine = Consensus(FOUR.node_keys[(liar + 1) % 4])
    machine.step(Started(Durable(FOUR, first, first), 0, 10_000))
    infos = [
        seal(BuildBlock(first, 0, 0, 2 + 4 * turn, 9_000 + turn, 1 << 20, 10), FOUR)
        for turn in range(40)
    ]
    child = seal(BuildBlock(infos[0], 2, 0, 6, 9_999, 1 << 20, 10), FOUR)
    effects = [e for info in (*infos, child) for e in machine.step(BlockReceived(info, 10_000))]
    assert not [effect for effect in effects if isinstance(effect, CheckBlock)]
    # One of them is notarized: it is, and what it stands on, lowest first.
    cert = CHANGED(make_cert(0, 1, 2), view=6, height=2, block=child.id)
    effects = machine.step(Received(cert, 10_000))
    assert [e.block for e in effects if isinstance(e, CheckBlock)] == [infos[0]]
    effects = machine.step(BlockChecked(infos[0].id, "valid", 10_000))
    assert [e.block for e in effects if isinstance(e, CheckBlock)] == [child]


def test_answers_that_come_too_late_change_nothing() -> None:
    """A signature that was asked for before the node fell silent; the check of a block that is
    gone.
    """
    first, leader = genesis(FOUR), FOUR.leader(1)
    machine = Consensus(FOUR.node_keys[leader])
    effects = machine.step(Started(Durable(FOUR, first, first), 1, 10_000))
    effects += machine.step(Heartbeat(bytes([1]) * 16, "test", 10_000))
    build = next(effect for effect in effects if isinstance(effect, BuildBlock))
    effects = machine.step(BlockBuilt(seal(build, FOUR), 10_000))
    asked = next(effect for effect in effects if isinstance(effect, Sign))
    machine.step(Received(status(leader, 15_000, boot=9), 15_000))
    assert not machine.voting
    late = machine.step(Signed(asked.request, bytes(64), 15_000))
    assert not any(isinstance(effect, Send | Persist) for effect in late)
    assert not machine.step(BlockChecked(bytes(32), "valid", 15_000))
