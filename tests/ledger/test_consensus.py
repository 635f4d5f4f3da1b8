"""The state machine by itself: one member end to end, the rules one by one, the bytes."""

from collections.abc import Iterator
from hashlib import sha256

from ledger.consensus import (
    BlockBuilt,
    BlockInfo,
    BuildBlock,
    Commit,
    Committed,
    Consensus,
    Durable,
    Effect,
    Event,
    NothingToBuild,
    Persist,
    Row,
    Send,
    SetTimer,
    Sign,
    Signed,
    Started,
    Tick,
    Work,
    verify_certificate,
)
from ledger.crypto import signer_from_seed, verify
from ledger.encoding import b64url, unb64url
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
