"""`alliance audit compare`: two copies of one chain, and who lied where they are two histories
(consensus.md 2.19; 3.6, row 23).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cli.copies import JUSTIFICATIONS
from ledger.chain import Applied, Tip, build_block, finish_block
from ledger.consensus import Certificate, Vote, contradicting, encode_certificate, signed_bytes
from ledger.consensus.messages import NO_BLOCK, CertificateKind, make_certificate
from ledger.crypto import verify
from ledger.encoding import decode_bundle
from ledger.records import decode_entry
from tests.cli.conftest import call, log_file, make_chain
from tests.support.copies import Chain, write_copy
from tests.support.world import GENESIS_MS, Blocks, World, make_world, sign_seal

Words = list[bytes]


class Side:
    """One history of a fork: its blocks, its certificates, and who signs here."""

    def __init__(self, world: World, signers: Sequence[str]) -> None:
        self.world = world
        self.signers = signers
        self.tip: Tip = world.genesis.tip
        self.history = Blocks(world.genesis)
        self.entries = decode_bundle(world.bundle)
        self.certificates: Words = []
        self.justifications: Words = []

    def certificate(
        self, kind: CertificateKind, view: int, block: Applied | None = None
    ) -> Certificate:
        height, name = (block.tip.height, block.tip.seal_leaf) if block else (0, NO_BLOCK)
        config = self.world.config
        message = signed_bytes(config, kind, view, height, name)
        votes = [
            Vote(kind, 0, view, height, name, index, self.world.keys[m.org].node.sign(message))
            for index, m in enumerate(config.members)
            if m.org in self.signers
        ]
        return make_certificate(config, votes)

    def led_by(self, kind: CertificateKind, view: int, block: Applied | None = None) -> None:
        self.justifications.append(encode_certificate(self.certificate(kind, view, block)))

    def final(self, view: int, block: Applied | None) -> None:
        """F of the block at the next height; a later one covers it where there is none."""
        found = (
            b"" if block is None else encode_certificate(self.certificate("finalize", view, block))
        )
        self.certificates.append(found)

    def block(self, view: int, parent_view: int, seq: int) -> Applied:
        config = self.world.config
        member = config.members[config.leader(view)]
        raw = self.world.access(seq=seq)
        built = build_block(
            self.tip,
            [decode_entry(raw)],
            view=view,
            proposer=member.org,
            time_ms=GENESIS_MS + 60_000,
            history=self.history,
            verify=verify,
            parent_view=parent_view,
        )
        done = finish_block(
            self.tip, built, sign_seal(self.world.keys[member.org].node, built.seal)
        )
        self.history.add(done)
        self.tip = done.tip
        self.entries += [raw, done.seal.raw]
        return done

    def write(self, folder: Path) -> Path:
        return write_copy(
            folder, self.world, self.entries, self.certificates, self.justifications, self.signers
        )


def same_view(one: Side, other: Side) -> None:
    """The leader proposed two blocks; both became final in its view."""
    for seq, side in enumerate((one, other), 1):
        block = side.block(1, 0, seq)
        side.led_by("notarize", 1, block)
        side.final(1, block)


def skipped(one: Side, other: Side) -> None:
    """The other history passed over the view in which the first block became final."""
    block = one.block(1, 0, 1)
    one.final(1, block)
    other.led_by("nullify", 1)
    second = other.block(2, 0, 2)
    other.led_by("notarize", 2, second)
    other.final(2, second)


def built_on(one: Side, other: Side) -> None:
    """The other history stands on another block of that view, which was notarized there."""
    block = one.block(1, 0, 1)
    one.final(1, block)
    first = other.block(1, 0, 2)
    other.led_by("notarize", 1, first)
    other.final(0, None)
    second = other.block(2, 1, 3)
    other.led_by("notarize", 2, second)
    other.final(2, second)


def proposed_again(one: Side, other: Side) -> None:
    """The first block became final only when it was proposed again, above the other one."""
    block = one.block(1, 0, 1)
    one.led_by("notarize", 1, block)
    one.led_by("nullify", 2)
    one.led_by("notarize", 3, block)
    one.final(3, block)
    other.led_by("nullify", 1)
    second = other.block(2, 0, 2)
    other.led_by("notarize", 2, second)
    other.final(2, second)


CASES = (same_view, skipped, built_on, proposed_again)


def sides(n: int) -> tuple[Side, Side, set[str]]:
    """Two histories, each signed by its own honest members and by 2q - n liars: more than b."""
    orgs = tuple(f"h{number}" for number in range(1, n + 1))
    world = make_world(orgs)
    config = world.config
    assert 2 * config.q - n > config.lying
    first, second = (config.members[config.leader(view)].org for view in (1, 2))
    rest = [org for org in orgs if org not in (first, second)]
    # Whoever leads lies; so do as many others as are needed.
    liars = {first, second, *rest[: max(0, 2 * config.q - n - len({first, second}))]}
    honest = [org for org in orgs if org not in liars]
    half = (n - len(liars)) // 2
    one = Side(world, (*liars, *honest[:half]))
    other = Side(world, (*liars, *honest[half:]))
    assert len(one.signers) >= config.q
    assert len(other.signers) >= config.q
    return one, other, liars


@pytest.mark.parametrize("n", [4, 7])
@pytest.mark.parametrize("case", CASES)
def test_a_fork_names_2q_minus_n_liars_and_nobody_else(
    tmp_path: Path, case: Callable[[Side, Side], None], n: int
) -> None:
    one, other, liars = sides(n)
    case(one, other)
    folders = one.write(tmp_path / "one"), other.write(tmp_path / "other")
    (tmp_path / "genesis").write_bytes(one.world.bundle)
    for pair in (folders, folders[::-1]):
        done = call("audit", "compare", *pair, "--genesis", tmp_path / "genesis", "--json")
        assert (done.code, "V31" in done.err) == (15, True)
        fork = json.loads(done.out)["fork"]
        assert set(fork["culprits"]) == liars
        assert fork["at_least"] == 2 * one.world.config.q - n <= len(liars)
        assert (fork["height"], fork["epoch"]) == (1, 0)
        assert set(fork["cosigned_both"]) == liars
    shown = call("audit", "compare", *folders).out
    assert f"{len(liars)} members are named; a fork needs at least {fork['at_least']}" in shown
    assert "两份历史" in call("audit", "compare", *folders, "--lang", "zh").out


@pytest.mark.parametrize("case", [skipped, built_on])
def test_without_justifications_it_says_that_they_are_missing(
    tmp_path: Path, case: Callable[[Side, Side], None]
) -> None:
    one, other, _liars = sides(4)
    case(one, other)
    other.justifications.clear()
    folders = one.write(tmp_path / "one"), other.write(tmp_path / "other")
    done = call("audit", "compare", *folders)
    assert done.code == 15
    assert "0 members are named of at least 2" in done.out


def test_what_is_legal_names_nobody() -> None:
    """notarize and nullify in one view; the same block final in two views."""
    one, _other, _liars = sides(4)
    block = one.block(1, 0, 1)
    notarized, skip = one.certificate("notarize", 1, block), one.certificate("nullify", 1)
    again = [one.certificate("finalize", view, block) for view in (1, 3)]
    assert list(contradicting([notarized], [skip])) == []
    assert list(contradicting(again, again)) == []
    assert list(contradicting([notarized], again)) == []
    assert len(list(contradicting([skip], again))) == len(one.signers)


def test_one_history(tmp_path: Path) -> None:
    world = make_world()
    chain = Chain(world)
    chain.add([world.access(seq=1)])
    short = write_copy(tmp_path / "short", world, chain.entries(), chain.certificates())
    chain.add([world.access(seq=2)])
    long = write_copy(tmp_path / "long", world, chain.entries(), chain.certificates())
    for pair, relation in (
        ((short, short), "equal"),
        ((long, short), "first-continues"),
        ((short, long), "second-continues"),
    ):
        done = call("audit", "compare", *pair, "--json")
        assert (done.code, done.json["relation"]) == (0, relation)
    assert "continues the second" in call("audit", "compare", long, short).out


def test_copies_of_two_chains_are_no_fork(tmp_path: Path) -> None:
    """Nobody lied: and without a pin each of them passes its own audit."""
    folders = []
    for name in ("h1", "h2"):
        world = make_world((name,))
        chain = Chain(world)
        chain.add([world.access(seq=1, org=name)])
        folder = tmp_path / name
        folders.append(write_copy(folder, world, chain.entries(), chain.certificates()))
    done = call("audit", "compare", *folders)
    assert (done.code, "V34" in done.err) == (15, True)
    alone = call("audit", "compare", folders[0], folders[0])
    assert "give --pin" in alone.out
    pin = call("audit", folders[0], "--json").json["pin"]
    assert "give --pin" not in call("audit", "compare", *folders[:1] * 2, "--pin", pin).out


def test_of_a_forged_copy_nothing_follows(tmp_path: Path) -> None:
    world = make_world()
    chain = Chain(world)
    chain.add([world.access(seq=1)])
    good = write_copy(tmp_path / "good", world, chain.entries(), chain.certificates())
    bad = write_copy(tmp_path / "bad", world, chain.entries(), [bytes(200)])
    done = call("audit", "compare", good, bad)
    assert (done.code, "does not pass its own audit" in done.out) == (25, True)
    assert call("audit", "compare", good, tmp_path / "none").code == 14


@pytest.mark.parametrize("n", [4])
def test_justifications_are_audited(tmp_path: Path, n: int) -> None:
    one, other, _liars = sides(n)
    skipped(one, other)
    folder = other.write(tmp_path / "copy")
    assert call("audit", folder).code == 0
    path = folder / JUSTIFICATIONS
    data = path.read_bytes()
    for spoilt in (data[:-1] + bytes([data[-1] ^ 1]), data[:-1], data + b"\0\0\0\1x"):
        path.write_bytes(spoilt)
        assert call("audit", folder).code == 25
    final = other.certificates[-1]
    path.write_bytes(len(final).to_bytes(4, "big") + final)
    assert call("audit", folder).code == 25


def test_an_export_holds_what_led_to_its_blocks(tmp_path: Path) -> None:
    with make_chain(tmp_path / "home") as chain:
        chain.json("import", "idash", log_file(tmp_path / "node1.tsv", 300))
        folder = tmp_path / "copy"
        chain.json("export", folder)
        height = chain.json("node", "status")["height"]
        found = (folder / JUSTIFICATIONS).read_bytes()
    count = at = 0
    while at < len(found):
        at += 4 + int.from_bytes(found[at : at + 4], "big")
        count += 1
    assert count == height > 0
    assert call("audit", folder, "--genesis", chain.home / "genesis").code == 0
    assert call("audit", "compare", folder, folder).code == 0
