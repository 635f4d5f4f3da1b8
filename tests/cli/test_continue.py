"""When more members than the chain bears are gone for good: a new chain that names the end of the
old one, founded by a majority with the officers' keys of the old; and an audit that checks the seam
(consensus.md 2.23; SPEC 9.6).
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli import home as homes
from cli.home import save_signer
from ledger.chain import check_genesis
from ledger.continuation import end_of, verify_seam
from ledger.crypto import verify
from ledger.errors import ProofError
from ledger.records.governance import Continues
from tests.cli.conftest import call
from tests.support.copies import Chain, write_copy
from tests.support.world import Keys, World, make_world

FOUR = ("h1", "h2", "h3", "h4")
PASSPHRASE = b"for tests only"


class Old:
    """A chain of four that can go on no more, and what is left of its members' homes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.world = make_world(FOUR)
        self.chain = Chain(self.world)
        self.chain.add([self.world.access(seq=1)])
        self.early = self.copy("early")
        self.chain.add([self.world.access(seq=2)])
        self.last = self.copy("last")
        for org in FOUR:
            for name in ("officer", "committee", "system"):
                save_signer(folder / org, name, getattr(self.world.keys[org], name), PASSPHRASE)

    def copy(self, name: str) -> Path:
        certificates = self.chain.certificates()
        return write_copy(self.folder / name, self.world, self.chain.entries(), certificates)


class New:
    """The chain that goes on from it."""

    def __init__(
        self, old: Old, orgs: tuple[str, ...], name: str, *, fresh: tuple[str, ...] = ()
    ) -> None:
        self.old, self.orgs, self.folder = old, orgs, old.folder / name
        self.folder.mkdir()
        self.secret = self.folder / "secret"
        self.secret.write_bytes(PASSPHRASE)
        self.secret.chmod(0o600)
        for org in orgs:
            keep = () if org in fresh else ("--keep-keys-of", old.folder / org)
            self("create", "part", "--org", org, "--out", self.part(org), *keep, home=org)

    def __call__(self, *words: Any, home: str) -> Any:  # noqa: ANN401
        result = call(*words, "--home", self.home(home), "--passphrase-file", self.secret)
        assert result.code == 0, result.err
        return result

    def home(self, org: str) -> Path:
        return self.folder / org

    def part(self, org: str) -> Path:
        return self.folder / f"{org}.part"

    def draft(self, copy: Path) -> Any:  # noqa: ANN401
        return self(
            "create", "draft", *map(self.part, self.orgs), "--origin", "chain.example.org/two",
            "--name-en", "Two", "--name-zh", "二", "--continues", copy,
            "--out", self.folder / "draft", home=self.orgs[0],
        )  # fmt: skip

    def found(self) -> Path:
        """Everybody accepts, the convener seals; a copy of the new chain with two blocks."""
        draft = self.folder / "draft"
        for org in self.orgs:
            out = self.folder / f"{org}.acceptance"
            self("create", "accept", draft, "--out", out, home=org)
        accepted = [self.folder / f"{org}.acceptance" for org in self.orgs]
        genesis = self.folder / "genesis"
        self("create", "finish", draft, *accepted, "--out", genesis, home=self.orgs[0])
        self.world = World(genesis.read_bytes(), {org: self.keys(org) for org in self.orgs})
        chain = Chain(self.world)
        chain.add([self.world.access(seq=1, org=self.orgs[0], at_ms=chain.applied[0].tip.time_ms)],
                  chain.applied[0].tip.time_ms + 1_000)  # fmt: skip
        return write_copy(self.folder / "copy", self.world, chain.entries(), chain.certificates())

    def keys(self, org: str) -> Keys:
        names = ("node", "log", "cosigner", "officer", "committee", "system")
        return Keys(*(homes.load_signer(self.home(org), name, self.secret) for name in names))


@pytest.fixture
def old(tmp_path: Path) -> Old:
    return Old(tmp_path)


def test_three_of_four_go_on_and_the_auditor_sees_the_seam(old: Old) -> None:
    new = New(old, ("h1", "h2", "h3"), "new")
    shown = new.draft(old.last).out
    assert "SEAM: continues chain" in shown
    copy = new.found()
    alone = call("audit", copy)
    assert alone.code == 0
    assert "whether the chain before this one ended there" in alone.out
    found = call("audit", copy, "--continues", old.last, "--json").json
    seam = found["seam"]
    assert (seam["checked"], seam["accepted"], seam["of"]) == (True, ["h1", "h2", "h3"], 4)
    assert seam["chain_id"] == old.world.config.chain_id
    assert new.world.config.chain_id != old.world.config.chain_id
    text = call("audit", copy, "--continues", old.last, "--lang", "zh").out
    assert "旧链 4 个机构中有 3 个接受" in text
    assert "前一条链是否止于该处" not in text


def test_each_founder_compares_with_its_own_copy(old: Old) -> None:
    new = New(old, ("h1", "h2", "h3"), "new")
    new.draft(old.early)
    words = ("--home", new.home("h2"), "--passphrase-file", new.secret, "--out", new.folder / "a")
    refused = call("create", "accept", new.folder / "draft", "--continues", old.last, *words)
    assert (refused.code, "V32" in refused.err) == (15, True)
    assert not (new.folder / "a").exists()
    taken = call("create", "accept", new.folder / "draft", "--continues", old.early, *words)
    assert taken.code == 0


def test_final_blocks_are_not_left_out(old: Old) -> None:
    """A copy that is longer than the genesis says shows what somebody wanted forgotten."""
    new = New(old, ("h1", "h2", "h3"), "new")
    new.draft(old.early)
    copy = new.found()
    assert call("audit", copy, "--continues", old.early).code == 0
    longer = call("audit", copy, "--continues", old.last, "--json")
    failed = json.loads(longer.out)["steps"][-1]
    assert (longer.code, failed["rule"]) == (26, "V32")


@pytest.mark.parametrize(
    ("orgs", "fresh"),
    [(("h1", "h2"), ()), (("h1", "h2", "h3"), ("h2", "h3")), (("h1", "x1", "x2"), ("x1", "x2"))],
)
def test_no_minority_goes_on_in_the_name_of_all(
    old: Old, orgs: tuple[str, ...], fresh: tuple[str, ...]
) -> None:
    """Half is no majority; new keys speak for nobody of the old chain, nor do strangers."""
    new = New(old, orgs, "new", fresh=fresh)
    new.draft(old.last)
    copy = new.found()
    done = call("audit", copy, "--continues", old.last, "--json")
    assert (done.code, json.loads(done.out)["steps"][-1]["rule"]) == (26, "V33")


def test_a_damaged_copy_is_the_end_of_nothing(old: Old) -> None:
    new = New(old, ("h1", "h2", "h3"), "new")
    (old.last / "finality" / "certificates").write_bytes(b"")
    result = call(
        "create", "draft", *map(new.part, new.orgs), "--origin", "chain.example.org/two",
        "--name-en", "Two", "--name-zh", "二", "--continues", old.last, "--home", new.home("h1"),
        "--passphrase-file", new.secret, "--out", new.folder / "draft",
    )  # fmt: skip
    assert (result.code, "V20" in result.err) == (15, True)


@pytest.mark.parametrize("field", ["block", "chain_id", "height", "pin", "root", "size"])
def test_every_word_of_the_seam_counts(old: Old, field: str) -> None:
    new = New(old, ("h1", "h2", "h3"), "new")
    new.draft(old.last)
    new.found()
    tip = old.chain.applied[-1].tip
    genesis = new.world.genesis
    assert verify_seam(genesis, old.world.genesis, tip).admitted == 4
    body = genesis.entries[0].record.body
    end: Continues = end_of(old.world.genesis, tip)
    assert body.continues == end
    value = getattr(end, field)
    other = value + 1 if isinstance(value, int) else "A" * 43
    forged = msgspec.structs.replace(body, continues=msgspec.structs.replace(end, **{field: other}))
    first = genesis.entries[0]
    record = msgspec.structs.replace(first.record, body=forged)
    entry = msgspec.structs.replace(first, record=record)
    with pytest.raises(ProofError, match="V32"):
        verify_seam(genesis._replace(entries=(entry, *genesis.entries[1:])), old.world.genesis, tip)


def test_a_chain_without_a_seam_continues_nothing(old: Old) -> None:
    other = make_world(("h1", "h2", "h3"))
    tip = old.chain.applied[-1].tip
    with pytest.raises(ProofError, match="V32"):
        verify_seam(check_genesis(other.bundle, verify), old.world.genesis, tip)
