"""The offline audit: finds every damage, a hostile member's with all its keys included, and says
where.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.audit import EXIT_STEP, MAX_GIVEN, as_lines, audit_app
from cli.copies import CERTIFICATES
from cli.drill import DAMAGES, run_drill
from cli.offline import Audit, Held, Report, Step
from cli.screen import set_language
from ledger.encoding import b64url
from ledger.errors import AllianceError, ProofError
from ledger.merkle import Tree, leaf_hashes
from ledger.notes import encode_note
from ledger.records.seal import decode_seal
from tests.cli.conftest import call
from tests.support.copies import Chain, sign_head, write_copy
from tests.support.world import GENESIS_MS, make_world, sign_seal

RUN = CliRunner()


def chain_of(*counts: int) -> Chain:
    """A chain with blocks of so many accesses."""
    chain = Chain(make_world())
    first = 1
    for number, count in enumerate(counts):
        raws = chain.world.accesses(count, first_seq=first)
        chain.add(raws, GENESIS_MS + 60_000 * (number + 1))
        first += count
    return chain


def copy_of(chain: Chain, folder: Path) -> Path:
    """Its honest copy."""
    return write_copy(folder, chain.world, chain.entries(), chain.certificates())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Chain, Path]:
    """A sound copy of 600 entries: two full bundles and a partial one."""
    chain = chain_of(300, 290, 4)
    return chain, copy_of(chain, tmp_path_factory.mktemp("copy"))


def failed(folder: Path, held: Held | None = None) -> tuple[int, str, str]:
    """Step, rule and place of the first failure; (0, "", "") when there is none."""
    step = Audit(folder, held or Held(), workers=0).run().failed
    if step is None or step.error is None:
        return 0, "", ""
    assert step.error.sentence("en")
    assert step.error.sentence("zh")
    return step.number, step.error.rule, step.where


def test_a_sound_copy(sound: tuple[Chain, Path]) -> None:
    chain, folder = sound
    report: Report = Audit(folder, Held(), workers=0).run()
    assert report.is_valid
    assert report.size == len(chain.entries())
    assert report.entries["access"] == 594
    assert report.findings["NO_PERMIT"] == 594
    assert report.height == report.final_height == 3
    assert report.members == (1, 1, 0, 0)
    assert [org for org, _time in report.cosigners] == ["h1"]


def test_workers_find_the_same(sound: tuple[Chain, Path], tmp_path: Path) -> None:
    """Signatures checked ahead by other processes change nothing, good or bad."""
    chain = chain_of(700, 500)
    folder = copy_of(chain, tmp_path / "good")
    alone, helped = (Audit(folder, Held(), workers=n).run() for n in (0, 2))
    assert alone == helped
    assert helped.is_valid
    _, other = sound
    assert Audit(other, Held(), workers=1).run().is_valid


def test_drill_finds_every_damage(sound: tuple[Chain, Path]) -> None:
    _, folder = sound
    results = run_drill(folder, lambda _done: None)
    assert len(results) == len(DAMAGES) >= 12
    assert [result.name for result in results if not result.found] == []
    assert all(result.where for result in results)


# --- a hostile member who holds all keys of its node ---


def forged(chain: Chain, folder: Path, entries: Sequence[bytes]) -> tuple[int, str, str]:
    """What the audit says of entries that the member signed heads and certificates for."""
    return failed(write_copy(folder, chain.world, entries, chain.certificates()))


def reseal(chain: Chain, block: list[bytes], **changes: object) -> bytes:
    """The block's seal with other fields, signed with the node's own key."""
    seal = msgspec.structs.replace(decode_seal(block[-1]).seal, **changes)
    return sign_seal(chain.world.keys["h1"].node, seal).raw


@pytest.mark.parametrize(
    ("field", "rule"),
    [("results_root", "L7"), ("state_root", "L8"), ("entries_root", "L6")],
)
def test_a_member_cannot_hide_findings_or_state(tmp_path: Path, field: str, rule: str) -> None:
    chain = chain_of(3, 3)
    last = chain.blocks[-1]
    last[-1] = reseal(chain, last, **{field: b64url(bytes(32))})
    assert forged(chain, tmp_path, chain.entries()) == (4, rule, "block 2")


def test_a_member_cannot_forge_somebodys_record(tmp_path: Path) -> None:
    chain = chain_of(3, 3)
    block = chain.blocks[2]
    block[1] = block[1][:-1] + bytes([block[1][-1] ^ 1])
    root = Tree(leaf_hashes(block[:-1])).root()
    block[-1] = reseal(chain, block, entries_root=b64url(root))
    step, rule, where = forged(chain, tmp_path, chain.entries())
    assert (step, rule, where) == (4, "L9", "block 2")


def test_a_member_cannot_leave_out_a_block(tmp_path: Path) -> None:
    chain = chain_of(3, 3, 3)
    del chain.blocks[2]
    assert forged(chain, tmp_path, chain.entries())[:2] == (4, "L2")


def test_entries_after_the_last_seal(tmp_path: Path) -> None:
    chain = chain_of(3)
    extra = [*chain.entries(), *chain.world.accesses(2, first_seq=9)]
    assert forged(chain, tmp_path, extra)[:2] == (4, "V18")


def test_block_0_is_the_pinned_one(tmp_path: Path) -> None:
    chain = chain_of(3)
    other = Chain(make_world(origin="other.example/chain"))
    other.add(other.world.accesses(3))
    folder = write_copy(tmp_path, chain.world, other.entries(), chain.certificates())
    assert failed(folder)[:2] == (4, "V12")


def test_certificates_are_of_these_blocks(tmp_path: Path) -> None:
    chain = chain_of(3, 3)
    good = chain.certificates()
    for certificates, rule in (
        ([good[1], good[0]], "V19"),
        (good[:1], "V20"),
        ([good[0], b""], "V20"),
        ([*good, good[1]], "V16"),
    ):
        folder = write_copy(tmp_path / rule, chain.world, chain.entries(), certificates)
        assert failed(folder)[:2] == (5, rule)
    assert failed(write_copy(tmp_path / "ok", chain.world, chain.entries(), [b"", good[1]]))[0] == 0
    path = tmp_path / "ok" / CERTIFICATES
    path.write_bytes(path.read_bytes()[:-1])
    assert failed(tmp_path / "ok")[:2] == (5, "V11")


# --- growth since what the auditor holds ---


def rewritten() -> tuple[Chain, Chain]:
    """One history, and another that the member signed in its place: same length, other content."""
    first, second = chain_of(3, 3), Chain(make_world())
    second.add(second.world.accesses(3), GENESIS_MS + 60_000)
    second.add(second.world.accesses(3, first_seq=100), GENESIS_MS + 120_000)
    second.add(second.world.accesses(3, first_seq=200), GENESIS_MS + 180_000)
    return first, second


def test_a_rewritten_history_is_found(tmp_path: Path) -> None:
    first, second = rewritten()
    old = copy_of(first, tmp_path / "old")
    new = copy_of(second, tmp_path / "new")
    assert failed(new)[0] == 0
    head = (old / "checkpoint").read_bytes()
    assert failed(new, Held(since=(("head", head),))) == (6, "M3", "head")
    step, rule, where = failed(new, Held(older=(old,)))
    assert (step, rule, where) == (6, "V23", "entry 7")


def test_honest_growth_passes(tmp_path: Path) -> None:
    chain = chain_of(3)
    old = copy_of(chain, tmp_path / "old")
    chain.add(chain.world.accesses(3, first_seq=50), GENESIS_MS + 120_000)
    new = copy_of(chain, tmp_path / "new")
    head = (old / "checkpoint").read_bytes()
    report = Audit(new, Held(since=(("head", head),), older=(old,)), workers=0).run()
    assert report.is_valid
    assert len(report.compared) == 2


def test_a_cut_history_is_found(tmp_path: Path) -> None:
    chain = chain_of(3)
    short = copy_of(chain, tmp_path / "short")
    chain.add(chain.world.accesses(3, first_seq=50), GENESIS_MS + 120_000)
    head = encode_note(sign_head(chain.world, Tree(leaf_hashes(chain.entries()))))
    assert failed(short, Held(since=(("head", head),)))[:2] == (6, "V22")


def test_heads_of_strangers_are_not_compared(tmp_path: Path) -> None:
    chain = chain_of(3)
    folder = copy_of(chain, tmp_path)
    stranger = make_world(("x1",))
    head = encode_note(sign_head(stranger, Tree(leaf_hashes(chain.entries()))))
    assert failed(folder, Held(since=(("head", head),)))[:2] == (6, "N5")


def test_a_head_beyond_the_copy_may_be_of_members_that_it_does_not_know(tmp_path: Path) -> None:
    """The copy is too old to judge it, and that is what is said: not that nobody signed it."""
    chain = chain_of(3)
    folder = copy_of(chain, tmp_path)
    chain.add(chain.world.accesses(3, first_seq=50), GENESIS_MS + 120_000)
    later = Tree(leaf_hashes(chain.entries()))
    head = encode_note(sign_head(make_world(("x1",)), later))
    assert failed(folder, Held(since=(("head", head),)))[:2] == (6, "V22")
    elsewhere = encode_note(sign_head(make_world(origin="other.example/chain"), later))
    assert failed(folder, Held(since=(("head", elsewhere),)))[:2] == (6, "N5")


# --- the trust root ---


def test_the_auditor_pins_the_genesis(sound: tuple[Chain, Path]) -> None:
    chain, folder = sound
    other = make_world(origin="other.example/chain")
    pin = b64url(chain.world.genesis.seal.leaf)
    assert failed(folder, Held(genesis=chain.world.bundle, pin=pin))[0] == 0
    assert failed(folder, Held(genesis=other.bundle)) == (1, "V12", "genesis")
    assert failed(folder, Held(pin=b64url(other.genesis.seal.leaf)))[:2] == (1, "V12")


# --- the command ---


def test_command_says_what_it_found(sound: tuple[Chain, Path]) -> None:
    _, folder = sound
    good = RUN.invoke(audit_app, [str(folder), "--workers", "0", "--lang", "en"])
    assert good.exit_code == 0, good.output
    assert "Verdict: VALID" in good.output
    assert "Not checked:" in good.output
    chinese = RUN.invoke(audit_app, [str(folder), "--workers", "0", "--lang", "zh"])
    assert "结论：有效" in chinese.output
    told = RUN.invoke(audit_app, [str(folder), "--workers", "0", "--json"])
    value = json.loads(told.stdout)
    assert value["verdict"] == "valid"
    assert value["members"] == {"n": 1, "q": 1, "may_be_absent": 0, "may_lie": 0}


def test_what_is_compared_with_nothing_has_not_passed(
    sound: tuple[Chain, Path], tmp_path: Path
) -> None:
    _, folder = sound
    head = tmp_path / "head"
    head.write_bytes((folder / "checkpoint").read_bytes())
    words = ("audit", folder, "--workers", "0", "--lang")
    assert "6  Growth since what you hold: nothing to compare with" in call(*words, "en").out
    assert "6  与您所持旧件的一致性: 没有可对照的旧件" in call(*words, "zh").out
    assert "6  Growth since what you hold: passed" in call(*words, "en", "--since", head).out


def test_what_is_wrong_with_an_older_copy_is_said_of_that(
    sound: tuple[Chain, Path], tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    held = Held(older=(tmp_path / "old",))
    assert failed(sound[1], held) == (6, "V10", "old/checkpoint")


def test_the_copys_own_genesis_pins_nothing(sound: tuple[Chain, Path], tmp_path: Path) -> None:
    """A careless auditor trusts the file that came with the copy; the verdict says so."""
    folder = sound[1]
    unpinned = "give --pin"
    assert unpinned in call("audit", folder, "--genesis", folder / "genesis", "--workers", "0").out
    (tmp_path / "link").symlink_to(folder / "genesis")
    assert unpinned in call("audit", folder, "--genesis", tmp_path / "link", "--workers", "0").out
    mine = tmp_path / "genesis"
    mine.write_bytes((folder / "genesis").read_bytes())
    assert unpinned not in call("audit", folder, "--genesis", mine, "--workers", "0").out


def test_names_that_no_file_can_have(sound: tuple[Chain, Path]) -> None:
    long = "a" * 5_000
    assert call("audit", long).code == 14
    assert call("audit", sound[1], "--since", long).code == 14
    assert call("audit", sound[1], "--receipt", long).code == 14
    assert call("audit", "compare", sound[1], long).code == 14


def test_what_the_auditor_names_is_not_read_without_end(
    sound: tuple[Chain, Path], tmp_path: Path
) -> None:
    with (tmp_path / "receipt").open("wb") as file:
        file.truncate(MAX_GIVEN + 1)
    assert call("audit", sound[1], "--receipt", tmp_path / "receipt").code == 10


def test_command_exits_with_the_step(tmp_path: Path) -> None:
    folder = copy_of(chain_of(3), tmp_path)
    (folder / "policy").write_bytes(b"quorum none\n")
    result = RUN.invoke(audit_app, [str(folder), "--workers", "0", "--lang", "en"])
    assert result.exit_code == EXIT_STEP + 1
    assert "Verdict: NOT VALID" in result.output
    assert "V13" in result.output


def test_command_refuses_what_is_no_copy(tmp_path: Path) -> None:
    result = RUN.invoke(audit_app, [str(tmp_path)])
    assert isinstance(result.exception, AllianceError)
    assert result.exception.rule == "V24"


@pytest.mark.parametrize(
    ("where", "english", "chinese"),
    [
        ("block 2", "block 2: ", "区块 2: "),
        ("entry 7", "entry 7: ", "条目 7: "),
        ("tile/entries/000", "tile/entries/000: ", "tile/entries/000: "),
    ],
)
def test_where_it_failed_is_said_in_both_languages(where: str, english: str, chinese: str) -> None:
    report = Report(steps=[Step(4, "blocks", ProofError("V26"), where)])
    for language, words in (("en", english), ("zh", chinese)):
        set_language(language)
        assert as_lines(report, Held())[1].strip().startswith(words)
    set_language(None)
