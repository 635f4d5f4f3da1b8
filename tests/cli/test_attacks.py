"""Attacks by whoever makes an offline copy, with all keys of the chain: the audit ends, says where
it failed, and never with an error that is not the house's.
"""

import json
import os
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from cli.audit import audit_app
from cli.copies import CERTIFICATES
from cli.offline import Audit, Held
from cli.screen import local_time
from ledger.encoding import b64url
from ledger.merkle import Tree, leaf_hashes
from ledger.notes import Checkpoint, Note, cosign, encode_checkpoint, encode_note, sign_note
from ledger.verify import cosigner_name
from tests.cli.conftest import call
from tests.cli.test_audit import chain_of, copy_of, failed
from tests.support.copies import Chain, write_copy
from tests.support.world import GENESIS_MS, make_world, sign_seal

RUN = CliRunner()


@pytest.fixture
def copy(tmp_path: Path) -> tuple[Chain, Path]:
    """A sound copy, to be tampered with."""
    chain = chain_of(300, 20)
    return chain, copy_of(chain, tmp_path / "copy")


def run(folder: Path, *words: str) -> str:
    """What the command prints; it ends with an exit code of its own and no other error."""
    result = RUN.invoke(audit_app, [str(folder), "--workers", "0", "--lang", "en", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.output


# --- what is no file ---


@pytest.mark.parametrize(
    "name", ["checkpoint", "genesis", "policy", CERTIFICATES, "tile/entries/000", "tile/0/000"]
)
def test_a_pipe_is_no_file(copy: tuple[Chain, Path], name: str) -> None:
    """Reading it would wait for ever for somebody to write."""
    _, folder = copy
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert failed(folder)[1] == "V27"


@pytest.mark.parametrize("name", ["checkpoint", CERTIFICATES, "tile/entries/000"])
def test_a_link_is_no_file(copy: tuple[Chain, Path], tmp_path: Path, name: str) -> None:
    """What it leads to is not in the copy: tomorrow it may be something else."""
    _, folder = copy
    (tmp_path / "elsewhere").write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    assert failed(folder)[1] == "V27"


@pytest.mark.parametrize("name", ["checkpoint", CERTIFICATES, "tile/entries/000"])
def test_a_folder_is_no_file(copy: tuple[Chain, Path], name: str) -> None:
    _, folder = copy
    (folder / name).unlink()
    (folder / name).mkdir()
    assert failed(folder)[1] in ("V10", "V27")


def test_a_linked_folder_is_extra(copy: tuple[Chain, Path], tmp_path: Path) -> None:
    _, folder = copy
    (folder / "tile/0").rename(tmp_path / "moved")
    (folder / "tile/0").symlink_to(tmp_path / "moved")
    assert failed(folder)[0] == 3


def test_extra_things_of_any_kind_are_named(copy: tuple[Chain, Path]) -> None:
    _, folder = copy
    os.mkfifo(folder / "pipe")
    assert failed(folder) == (3, "V16", "pipe")
    (folder / "pipe").unlink()
    (folder / "tile/0/000.p").mkdir()
    (folder / "tile/0/000.p/9").write_bytes(bytes(9 * 32))
    assert failed(folder) == (3, "V16", "tile/0/000.p/9")


def test_names_that_no_terminal_should_see(copy: tuple[Chain, Path]) -> None:
    """A file's name may hold escape sequences, and bytes that are no text."""
    _, folder = copy
    for name in (b"\x1b[2Jfine\x07", b"\xff\xfe", "\u202etxt".encode()):
        path = os.fsencode(folder) + b"/" + name
        with open(path, "wb") as file:
            file.write(b"x")
        for words in ((), ("--json",)):
            output = run(folder, *words)
            assert "V16" in output
            assert "\x1b" not in output
            assert "\x07" not in output
            output.encode()
        os.unlink(path)


def test_folders_within_folders_without_end(copy: tuple[Chain, Path]) -> None:
    """Deeper than any path may be long: what is in there, nobody can say."""
    _, folder = copy
    name = "d" * 200
    here = os.open(folder, os.O_RDONLY)
    for _ in range(30):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert failed(folder)[:2] == (3, "V27")


# --- numbers beyond measure ---


def signed(chain: Chain, size: int, time_s: int) -> bytes:
    """A head of any size and time, signed and cosigned by the chain's own keys."""
    world, origin = chain.world, chain.world.genesis.tip.origin
    root = Tree(leaf_hashes(chain.entries())).root()
    text = encode_checkpoint(Checkpoint(origin, size, root))
    keys = world.keys["h1"]
    lines = (
        sign_note(text, origin, keys.log),
        cosign(text, cosigner_name("h1", origin), keys.cosigner, time_s),
    )
    return encode_note(Note(text, lines))


def test_a_head_of_a_size_beyond_measure(copy: tuple[Chain, Path]) -> None:
    """The list of its tiles would fill all memory before the first is found missing."""
    chain, folder = copy
    for size in (10**18, 10**10):
        (folder / "checkpoint").write_bytes(signed(chain, size, 1))
        assert failed(folder)[0] == 3
        assert "NOT VALID" in run(folder)


def test_a_head_that_says_anything_of_its_size(copy: tuple[Chain, Path]) -> None:
    _, folder = copy
    lines = (folder / "checkpoint").read_bytes().split(b"\n")
    for size in (b"9" * 4_000, b"-5", b"1_0", "٣".encode(), b""):
        lines[1] = size
        (folder / "checkpoint").write_bytes(b"\n".join(lines))
        assert Audit(folder, Held(), workers=0).entries() == 0
        assert failed(folder)[0] == 2
        assert "NOT VALID" in run(folder)


def test_times_beyond_the_calendar(copy: tuple[Chain, Path]) -> None:
    """A cosigner's and a seal's time are what they say; a true copy is shown, whatever that is."""
    chain, folder = copy
    size = len(chain.entries())
    for time_s in (2**64 - 1, 2**53, 253_402_300_800):
        (folder / "checkpoint").write_bytes(signed(chain, size, time_s))
        assert "Verdict: VALID" in run(folder)
        assert json.loads(run(folder, "--json"))["cosigners"][0]["time_s"] == time_s
    late = Chain(make_world())
    late.add(late.world.accesses(2), 2**53 - 1)
    assert "Verdict: VALID" in run(copy_of(late, folder.parent / "late"))
    assert local_time(2**80)


# --- what the auditor holds ---


def test_every_older_copy_is_compared(tmp_path: Path) -> None:
    """The second one is not passed over in silence."""
    chain = chain_of(3, 3)
    good = copy_of(chain, tmp_path / "good")
    other = Chain(make_world())
    other.add(other.world.accesses(3, first_seq=500), GENESIS_MS + 60_000)
    bad = copy_of(other, tmp_path / "bad")
    assert "Verdict: VALID" in run(good, "--since", str(good))
    assert "NOT VALID" in run(good, "--since", str(bad))
    assert "NOT VALID" in run(good, "--since", str(good), "--since", str(bad))


def test_a_copy_that_changes_while_it_is_audited(copy: tuple[Chain, Path]) -> None:
    """Entries are read again in step 4: what they are then must be what was hashed in step 3."""
    _, folder = copy
    audit = Audit(folder, Held(), workers=0)
    other = chain_of(300, 20)
    del other.blocks[2]
    third = Chain(make_world())
    third.add(third.world.accesses(300, first_seq=7_000), GENESIS_MS + 60_000)
    third.add(third.world.accesses(20, first_seq=9_000), GENESIS_MS + 120_000)
    swapped = copy_of(third, folder.parent / "other")

    def swap() -> None:
        for path in swapped.rglob("*"):
            if path.is_file() and "entries" in path.parts:
                (folder / path.relative_to(swapped)).write_bytes(path.read_bytes())

    check = audit._check_blocks

    def late() -> None:
        swap()
        check()

    audit._check_blocks = late  # type: ignore[method-assign]
    step = audit.run().failed
    assert step is not None
    assert (step.number, step.error.rule if step.error else "") == (4, "V17")


def test_a_cut_copy_has_other_certificates_than_blocks(copy: tuple[Chain, Path]) -> None:
    _, folder = copy
    data = (folder / CERTIFICATES).read_bytes()
    for cut in (0, 1, 4, len(data) // 2, len(data) - 1):
        (folder / CERTIFICATES).write_bytes(data[:cut])
        assert failed(folder)[0] == 5
    (folder / CERTIFICATES).write_bytes(data + bytes(4))
    assert failed(folder) == (5, "V16", CERTIFICATES)
    (folder / CERTIFICATES).write_bytes(b"\xff" * 8)
    assert failed(folder) == (5, "V11", CERTIFICATES)


def test_huge_files_are_not_read_whole(copy: tuple[Chain, Path]) -> None:
    """A sparse file of a terabyte costs nothing to make."""
    _, folder = copy
    for name, step in (("checkpoint", 2), ("genesis", 1), ("policy", 1), ("tile/0/000", 3)):
        kept = (folder / name).read_bytes()
        with (folder / name).open("r+b") as file:
            file.truncate(1 << 40)
        assert failed(folder)[:2] == (step, "V11")
        (folder / name).write_bytes(kept)
    with (folder / CERTIFICATES).open("r+b") as file:
        file.truncate(1 << 40)
    assert failed(folder)[:2] == (5, "V16")


def test_workers_take_no_signature_for_another(tmp_path: Path) -> None:
    """A forged copy of a true signature beside the true one: who checks ahead changes nothing."""
    chain = chain_of(1_100)
    block = chain.blocks[1]
    forged = block[500][:-64] + block[499][-64:]
    block[500] = forged
    root = Tree(leaf_hashes(block[:-1])).root()
    seal = chain.applied[1].seal.seal
    changed = msgspec.structs.replace(seal, entries_root=b64url(root))
    block[-1] = sign_seal(chain.world.keys["h1"].node, changed).raw
    folder = write_copy(tmp_path, chain.world, chain.entries(), chain.certificates())
    for workers in (0, 2):
        step = Audit(folder, Held(), workers=workers).run().failed
        assert step is not None
        assert step.error is not None
        assert (step.number, step.error.rule) == (4, "L9")


def test_workers_that_meet_broken_files_stop_the_audit(tmp_path: Path) -> None:
    """An error in another process comes back as the same error."""
    chain = chain_of(1_100)
    folder = write_copy(tmp_path, chain.world, chain.entries(), chain.certificates())
    audit = Audit(folder, Held(), workers=1)
    check = audit._check_blocks

    def late() -> None:
        (folder / "tile/entries/002").unlink()
        check()

    audit._check_blocks = late  # type: ignore[method-assign]
    step = audit.run().failed
    assert step is not None
    assert (step.number, step.error.rule if step.error else "") == (4, "V10")


def test_a_receipt_gives_no_orders_to_a_terminal(tmp_path: Path) -> None:
    """The name of a field that no receipt has is shown as it is, or not at all."""
    chain = chain_of(3)
    (tmp_path / "genesis").write_bytes(chain.world.bundle)
    for field in (b"\\u001b[2Jfine", b"\x9b2J".decode("latin-1").encode(), b"x" * 100_000):
        (tmp_path / "receipt").write_bytes(b'{"' + field + b'":1}')
        words = ["receipt", str(tmp_path / "receipt"), "--genesis", str(tmp_path / "genesis")]
        for more in ([], ["--json"]):
            result = RUN.invoke(audit_app, [*words, "--lang", "en", *more])
            assert result.exit_code == 22
            assert "S1" in result.output
            assert "\x1b" not in result.output
            assert "\x9b" not in result.output


@pytest.mark.parametrize("dashes", ["-", "--"])
def test_an_id_that_begins_with_a_dash_is_no_option(tmp_path: Path, dashes: str) -> None:
    """One key id of 64 does: nobody could revoke such a key."""
    kid, leaf = dashes + "b" * (22 - len(dashes)), dashes + "b" * (43 - len(dashes))
    for words in (
        ["key", "revoke", kid],
        ["endorse", leaf],
        ["correction", leaf, "--field", "x", "--value", "y", "--reason", "z"],
        ["proof", leaf],
        ["state", "key", kid],
    ):
        result = call(*words, "--home", tmp_path / "none", "--lang", "en")
        assert result.code not in (0, 1, 2), (words, result.err)
    assert call("proof", "--nothing", "x", "--home", tmp_path / "none").code == 2
