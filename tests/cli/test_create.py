"""`alliance create`: several founders, each with its own keys, make one chain; and every file that
one of them could get wrong.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from cli import create, founding
from cli.founding import (
    Part,
    dated,
    make_acceptance,
    make_draft,
    make_part,
    new_signers,
)
from cli.handover import read_draft, read_part
from cli.home import load_genesis, load_signer
from cli.statements import Author
from ledger.crypto import Signer, signer_from_seed
from ledger.encoding import b64url, decode_bundle, encode_bundle
from ledger.errors import AllianceError, StorageError
from ledger.records.envelope import ENCODE
from ledger.records.governance import DEFAULT_ATTRIBUTION, GenesisBody
from node.config import load_config
from node.keyring import load_keyring
from tests.cli.conftest import Result, call, free_port, serving
from tests.support.world import prove

ORGS = ("h1", "h2", "h3", "h4")
NAMES = ("--origin", "chain.example.org/icu", "--name-en", "ICU", "--name-zh", "重症联盟")


class Founders(NamedTuple):
    """Homes by organisation under one folder; `h1` convenes."""

    folder: Path
    orgs: tuple[str, ...]

    def home(self, org: str) -> Path:
        return self.folder / org

    def file(self, name: str) -> Path:
        return self.folder / name

    def files(self, end: str) -> list[Path]:
        return [self.folder / f"{org}.{end}" for org in self.orgs]

    def draft(self, name: str = "draft", *words: str | Path, by: str = "h1") -> Result:
        files = self.files("part")
        out = ("--home", self.home(by), "--out", self.file(name))
        return call("create", "draft", *files, *NAMES, *out, *words)

    def accept(self, org: str, out: str, *words: str | Path, draft: str = "draft") -> Result:
        place = ("--home", self.home(org), "--out", self.file(out))
        return call("create", "accept", self.file(draft), *place, *words)

    def finish(self, *files: Path, by: str = "h1", out: str = "genesis.new") -> Result:
        place = ("--home", self.home(by), "--out", self.file(out))
        return call("create", "finish", self.file("draft"), *files, *place)


def make_parts(folder: Path, orgs: tuple[str, ...]) -> Founders:
    for org in orgs:
        out = ("--home", folder / org, "--out", folder / f"{org}.part")
        made = call("create", "part", "--org", org, *out, "--port", str(free_port()))
        assert made.code == 0, made.err
    return Founders(folder, orgs)


def make_accepted(folder: Path, orgs: tuple[str, ...], *words: str) -> Founders:
    """Founders whose draft everybody has accepted; nothing is sealed."""
    founders = make_parts(folder, orgs)
    assert founders.draft("draft", *words).code == 0
    for org in orgs:
        done = founders.accept(org, f"{org}.acceptance")
        assert done.code == 0, done.err
    return founders


@pytest.fixture(scope="module")
def accepted(tmp_path_factory: pytest.TempPathFactory) -> Founders:
    """Four founders before the seal. Tests leave all that they find here as it is."""
    return make_accepted(tmp_path_factory.mktemp("accepted"), ORGS)


@pytest.fixture
def founders(accepted: Founders, tmp_path: Path) -> Founders:
    """The same four, to be changed."""
    shutil.copytree(accepted.folder, tmp_path, dirs_exist_ok=True)
    return Founders(tmp_path, ORGS)


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(result: Result, code: int, rule: str) -> None:
    """It ended with this exit code and this rule, and says so in one sentence."""
    assert (result.code, f"Error {rule}: " in result.err) == (code, True), result.err
    assert "What to do: " in result.err
    assert "Traceback" not in result.err


# --- the whole of it ---


def test_four_founders_make_one_chain(founders: Founders) -> None:
    done = founders.finish(*reversed(founders.files("acceptance")))
    assert done.code == 0, done.err
    said = {"h1": done.out}
    for org in ORGS[1:]:
        taken = call("create", "take", founders.file("genesis.new"), "--home", founders.home(org))
        assert taken.code == 0, taken.err
        said[org] = taken.out
    block = load_genesis(founders.home("h1"))
    body: GenesisBody = block.entries[0].record.body
    pin = b64url(block.tip.seal_leaf)
    assert (body.alliance.zh, block.tip.origin) == ("重症联盟", "chain.example.org/icu")
    assert [founder.org for founder in body.founders] == list(ORGS)
    assert (block.tip.config.n, block.tip.config.q) == (4, 3)
    assert {key.valid_from for key in body.keys} == {block.entries[0].record.at}
    for org in ORGS:
        assert f"Pin, for auditors to keep: {pin}" in said[org]
        assert "by telephone" in said[org]
        home = founders.home(org)
        assert (home / "genesis").read_bytes() == founders.file("genesis.new").read_bytes()
        assert load_keyring(load_config(home)).org(block.tip) == org


def test_a_draft_says_what_it_is(accepted: Founders, tmp_path: Path) -> None:
    said = accepted.accept("h2", "../x", "--out", tmp_path / "h2.acceptance")
    draft = read_draft(accepted.file("draft"))
    for words in (
        "ICU / 重症联盟",
        "chain.example.org/icu",
        "Drafted by h1",
        *ORGS,
        "n = 4, quorum q = 3: 1 may be absent, 1 may lie",
        "2/3 (default)",
        draft.config.chain_id,
        "send " + str(tmp_path / "h2.acceptance") + " to h1",
    ):
        assert words in said.out
    assert "lying member" not in said.out


def test_founders_set_the_parameters_of_credit(accepted: Founders, tmp_path: Path) -> None:
    file = tmp_path / "credit.json"
    chosen = msgspec.structs.replace(DEFAULT_ATTRIBUTION, objection_days=3)
    file.write_bytes(msgspec.json.encode(chosen))
    drafted = accepted.draft("with-credit", "--attribution", file, "--json").json
    assert msgspec.convert(drafted["attribution"], type(chosen)) == chosen
    shown = accepted.draft("again", "--attribution", file)
    assert "objection_days:3" in shown.out
    for spoilt, rule in (
        (b"{", "X2.json"),
        (b'{"kappa":[2,5]}', "X2"),
        (msgspec.json.encode(msgspec.structs.replace(chosen, kappa=(3, 2))), "W5"),
    ):
        file.write_bytes(spoilt)
        refused = accepted.draft("no", "--attribution", file)
        assert refused.code in (10, 12)
        assert rule in refused.err
        home = tmp_path / "alone"
        refused = call("init", "--org", "h1", "--home", home, "--attribution", file)
        assert (refused.code in (10, 12), home.exists()) == (True, False)


def test_every_command_answers_in_json_and_chinese(tmp_path: Path) -> None:
    founders = Founders(tmp_path, ("h1", "h2"))
    made = [
        call("create", "part", "--org", org, "--home", founders.home(org), "--out",
             founders.file(f"{org}.part"), "--json").json
        for org in founders.orgs
    ]  # fmt: skip
    assert [(part["org"], part["passphrase_made"]) for part in made] == [
        ("h1", True),
        ("h2", True),
    ]
    drafted = founders.draft("draft", "--json").json
    assert drafted["may_be_absent"] == 0
    assert drafted["members"] == [{"kind": "hospital", "org": org} for org in founders.orgs]
    answer = founders.accept("h1", "h1.acceptance", "--json").json
    assert (answer["org"], answer["chain_id"]) == ("h1", drafted["chain_id"])
    chinese = founders.accept("h2", "h2.acceptance", "--lang", "zh")
    assert "已代表 h2 签署" in chinese.out
    assert "不能缺席任何成员" in chinese.out
    out = ("--home", founders.home("h1"), "--out", founders.file("genesis"))
    sealed = call(
        "create", "finish", founders.file("draft"), *founders.files("acceptance"), *out, "--json"
    ).json
    take = ("create", "take", founders.file("genesis"), "--home", founders.home("h2"))
    taken = call(*take, "--json").json
    assert (taken["pin"], taken["chain_id"]) == (sealed["pin"], drafted["chain_id"])


@pytest.mark.parametrize(
    ("n", "words", "numbers", "said", "unsaid"),
    [
        (1, (), (1, 0, 0), ("No member may be absent", "One member alone"), ("lying member",)),
        (2, (), (2, 0, 1), ("No member may be absent",), ("lying member", "One member alone")),
        (3, (), (2, 1, 0), ("No lying member",), ("No member may be absent",)),
        (3, ("--quorum", "3"), (3, 0, 2), ("No member may be absent",), ("lying member",)),
    ],
)
def test_small_networks_say_what_they_do_not_bear(
    accepted: Founders,
    tmp_path: Path,
    n: int,
    words: tuple[str, ...],
    numbers: tuple[int, int, int],
    said: tuple[str, ...],
    unsaid: tuple[str, ...],
) -> None:
    few = accepted._replace(orgs=ORGS[:n])
    out = ("--out", tmp_path / "draft")
    done = few.draft("unused", *out, *words)
    q, offline, lying = numbers
    assert f"n = {n}, quorum q = {q}: {offline} may be absent, {lying} may lie" in done.out
    assert all(text in done.out for text in said)
    assert not any(text in done.out for text in unsaid)


def test_one_founder_alone_has_a_chain_that_works(tmp_path: Path) -> None:
    founders = make_accepted(tmp_path, ("h1",))
    assert founders.finish(*founders.files("acceptance")).code == 0
    home = founders.home("h1")
    with serving(home):
        done = call("dataset", "register", "GTEx", "--openness", "conditional", "--home", home)
        assert done.code == 0, done.err


def test_init_is_create_by_one_founder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same keys, time and ids both make the same bytes."""
    seeds = {name: bytes([number]) * 32 for number, name in enumerate(founding.KEY_NAMES)}
    for module in (founding, create):
        monkeypatch.setattr(
            module, "new_signers", lambda: {n: signer_from_seed(s) for n, s in seeds.items()}
        )
        monkeypatch.setattr(module, "clock_ms", lambda: 1_767_225_600_000)
    monkeypatch.setattr(founding, "new_id", lambda _at: "019b76da-a800-7000-8000-000000000000")
    founders = make_accepted(tmp_path, ("h1",))
    assert founders.finish(*founders.files("acceptance")).code == 0
    assert call("init", "--org", "h1", *NAMES, "--home", tmp_path / "init").code == 0
    alone = (tmp_path / "init" / "genesis").read_bytes()
    assert alone == founders.file("genesis.new").read_bytes()


def test_the_passphrase_is_the_founders_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", "of my own")
    founders = make_parts(tmp_path, ("h1",))
    assert not (founders.home("h1") / "keys" / "passphrase").exists()
    assert founders.draft().code == 0
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", "of somebody else")
    refused(founders.draft("again"), 18, "C3")
    refused(founders.accept("h1", "h1.acceptance"), 18, "C3")
    assert not founders.file("h1.acceptance").exists()


# --- nothing is overwritten ---


def test_nothing_is_overwritten(founders: Founders) -> None:
    assert founders.finish(*founders.files("acceptance")).code == 0
    again = ("--home", founders.home("h2"), "--out", founders.file("other.part"))
    new = ("--home", founders.home("new"), "--out", founders.file("h2.part"))
    before = files_of(founders.folder)
    for result in (
        call("create", "part", "--org", "h2", *again),
        call("create", "part", "--org", "h2", *new),
        founders.draft("draft", by="h2"),
        founders.draft("other"),
        founders.accept("h2", "h2.acceptance"),
        founders.accept("h1", "other"),
        founders.finish(*founders.files("acceptance"), out="other"),
        call("create", "take", founders.file("genesis.new"), "--home", founders.home("h1")),
    ):
        refused(result, 13, "X1.exists")
    assert files_of(founders.folder) == before


def test_a_seal_is_not_written_over_a_file(founders: Founders) -> None:
    refused(founders.finish(*founders.files("acceptance"), out="draft"), 13, "X1.exists")
    assert not (founders.home("h1") / "genesis").exists()


@pytest.mark.parametrize(
    ("words", "code", "rule"),
    [
        (("--org", "no spaces please"), 10, "X2"),
        (("--org", "h1", "--kind", "bank"), 10, "X2"),
        (("--org", "h1", "--host", "0.0.0.0"), 18, "O1.names"),  # noqa: S104
    ],
)
def test_a_bad_part_leaves_nothing_behind(
    tmp_path: Path, words: tuple[str, ...], code: int, rule: str
) -> None:
    place = ("--home", tmp_path / "home", "--out", tmp_path / "part")
    refused(call("create", "part", *words, *place), code, rule)
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_cannot_be_written_leaves_no_keys(tmp_path: Path) -> None:
    place = ("--home", tmp_path / "home", "--out", tmp_path / "none" / "part")
    refused(call("create", "part", "--org", "h1", *place), 18, "X1.file")
    assert files_of(tmp_path) == {}


@pytest.mark.parametrize("words", [("create", "part"), ("init",)])
def test_half_a_home_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A disk is full at the last moment: there is room again, and the same command passes."""
    out = ("--out", tmp_path / "part") if "part" in words else ()
    command = (*words, "--org", "h1", "--home", tmp_path / "home", *out)
    (tmp_path / "home" / "keys").mkdir(parents=True, mode=0o700)
    (tmp_path / "home" / "keys" / "mine.pem").write_bytes(b"my own")
    before = files_of(tmp_path)

    def full(*_args: object) -> None:
        raise StorageError("O3.full")

    with monkeypatch.context() as patched:
        patched.setattr(founding, "start_copy", full)
        refused(call(*command), 17, "O3.full")
    assert files_of(tmp_path) == before
    assert call(*command).code == 0


# --- drafts that cannot be made ---


@pytest.mark.parametrize(
    ("words", "code", "rule"),
    [
        (("--quorum", "2"), 10, "R33"),
        (("--quorum", "5"), 10, "R33"),
        (("--origin", "a b"), 10, "N2"),
        (("--name-en", ""), 10, "X2"),
    ],
)
def test_a_plan_that_no_chain_takes(
    accepted: Founders, tmp_path: Path, words: tuple[str, ...], code: int, rule: str
) -> None:
    refused(accepted.draft("unused", "--out", tmp_path / "draft", *words), code, rule)
    assert list(tmp_path.iterdir()) == []


def other_part(org: str = "h9", **changes: Any) -> Part:
    return msgspec.structs.replace(make_part(org, "centre", new_signers(), 0), **changes)


def write_part(path: Path, part: Part) -> Path:
    path.write_bytes(ENCODE(part))
    return path


def test_as_many_founders_as_an_epoch_takes(accepted: Founders, tmp_path: Path) -> None:
    files = [
        write_part(tmp_path / f"{number}.part", other_part(f"m{number}")) for number in range(31)
    ]
    mine = accepted.file("h1.part")
    out = (*NAMES, "--home", accepted.home("h1"), "--out", tmp_path / "draft")
    done = call("create", "draft", mine, *files[:30], *out, "--json").json
    assert (done["n"], done["q"], done["may_be_absent"], done["may_lie"]) == (31, 21, 10, 10)
    (tmp_path / "draft").unlink()
    refused(call("create", "draft", mine, *files, *out), 10, "R30")


def keys_with(index: int, **changes: Any) -> Callable[[Part], Part]:
    """A part of which one key description is changed."""

    def change(part: Part) -> Part:
        keys = list(part.keys)
        keys[index] = msgspec.structs.replace(keys[index], **changes)
        return msgspec.structs.replace(part, keys=tuple(keys))

    return change


def member_with(**changes: Any) -> Callable[[Part], Part]:
    return lambda part: msgspec.structs.replace(
        part, member=msgspec.structs.replace(part.member, **changes)
    )


def proven(index: int, signer: Signer, **changes: Any) -> Callable[[Part], Part]:
    """A part of which one key is another, or says something else, with a proof by that key."""

    def change(part: Part) -> Part:
        changed = keys_with(index, public_key=b64url(signer.public_key), **changes)(part)
        key = prove(changed.keys[index], signer, None)
        return keys_with(index, proof=key.proof)(changed)

    return change


PARTS: Mapping[str, tuple[Callable[[Part], Part], str]] = {
    "key of another org": (keys_with(1, org="h8"), "X7.keys"),
    "node of another org": (member_with(org="h8"), "X7.keys"),
    "no officer": (keys_with(0, capacity="dac"), "X7.keys"),
    "key that ends": (keys_with(0, valid_until="2030-01-01T00:00:00.000Z"), "X7.keys"),
    "no keys": (lambda part: msgspec.structs.replace(part, keys=()), "X7.keys"),
    "one key twice": (
        lambda part: keys_with(1, public_key=part.keys[0].public_key)(part),
        "X7.keys",
    ),
    "node key in office": (
        lambda part: keys_with(0, public_key=part.member.node_pk)(part),
        "X7.keys",
    ),
    "key of small order": (keys_with(0, public_key=b64url(bytes(32))), "X7.part"),
    "node key of small order": (member_with(log_pk=b64url(bytes(32))), "X7.part"),
    "key that is none": (keys_with(0, public_key="!" * 43), "X7.part"),
    "key that somebody else holds": (keys_with(0, subject="h9-other"), "X7.part"),
    "kind that is none": (lambda part: msgspec.structs.replace(part, kind="bank"), "X7.part"),
    "org that is none": (lambda part: msgspec.structs.replace(part, org="a/b"), "X7.part"),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_that_no_founder_made(accepted: Founders, tmp_path: Path, name: str) -> None:
    change, rule = PARTS[name]
    bad = write_part(tmp_path / "bad.part", change(other_part()))
    out = (*NAMES, "--home", accepted.home("h1"), "--out", tmp_path / "draft")
    result = call("create", "draft", accepted.file("h1.part"), bad, *out)
    refused(result, 10, rule)
    assert "bad.part" in result.err
    assert not (tmp_path / "draft").exists()


def test_parts_that_do_not_go_together(accepted: Founders, tmp_path: Path) -> None:
    first, second = accepted.file("h1.part"), accepted.file("h2.part")
    held = read_part(second).member
    twin = write_part(tmp_path / "twin.part", member_with(node_pk=held.node_pk)(other_part()))
    place = (*NAMES, "--out", tmp_path / "draft")
    home = ("--home", accepted.home("h1"))
    refused(call("create", "draft", first, second, second, *place, *home), 13, "X7.twice")
    namesake = write_part(tmp_path / "namesake.part", other_part("h2"))
    refused(call("create", "draft", first, second, namesake, *place, *home), 13, "X7.twice")
    refused(call("create", "draft", first, second, twin, *place, *home), 10, "X7.keys")
    refused(call("create", "draft", second, *place, *home), 18, "X7.absent")
    missing = call("create", "draft", first, tmp_path / "none", *place, *home)
    refused(missing, 18, "X1.file")
    assert call("create", "draft", *place, *home).code == 2
    empty = ("--home", tmp_path / "empty")
    refused(call("create", "draft", first, *place, *empty), 14, "X1.key")


def test_the_conveners_own_part_is_as_its_home_holds_it(accepted: Founders, tmp_path: Path) -> None:
    mine = read_part(accepted.file("h1.part"))
    bad = write_part(tmp_path / "bad", proven(0, new_signers()["officer"])(mine))
    place = ("--home", accepted.home("h1"), "--out", tmp_path / "draft")
    refused(call("create", "draft", bad, *NAMES, *place), 18, "X7.own")


# --- drafts that a founder does not accept ---


def drafted(founders: Founders, change: Callable[[Part], Part]) -> None:
    """`draft` made anew by a convener who changed the part of `h2` after it came."""
    parts = [read_part(file) for file in founders.files("part")]
    parts[1] = change(parts[1])
    convener = Author(load_signer(founders.home("h1"), "officer", None), "h1", "")
    plan = founding.Plan("ICU", "重症联盟", "chain.example.org/icu", 30, 30)
    draft = make_draft(plan, parts, convener, 1_767_225_600_000)
    founders.file("draft").write_bytes(encode_bundle([draft.entries[0].raw]))


def more_keys(part: Part) -> Part:
    added = other_part(part.org).keys[0]
    return msgspec.structs.replace(part, keys=(*part.keys, added))


NEW = signer_from_seed(bytes(32))
NEW_KEY = b64url(NEW.public_key)
CHANGED: Mapping[str, tuple[Callable[[Part], Part], str]] = {
    "another officer": (proven(0, NEW), "X7.own"),
    "one officer more": (more_keys, "X7.own"),
    "another officer's name": (proven(0, NEW, subject="h2-other"), "X7.own"),
    "a key that ends": (keys_with(2, valid_until="2030-01-01T00:00:00.000Z"), "X7.own"),
    "another log key": (member_with(log_pk=NEW_KEY), "X7.own"),
    "never leads": (member_with(leader_eligible=False), "X7.own"),
    "another node": (member_with(node_pk=NEW_KEY), "X7.stranger"),
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_founder_accepts_its_own_keys_only(founders: Founders, name: str) -> None:
    change, rule = CHANGED[name]
    drafted(founders, change)
    refused(founders.accept("h2", "new"), 18, rule)
    assert not founders.file("new").exists()
    assert founders.accept("h3", "new").code == 0


def test_no_draft_says_of_a_key_what_it_did_not_sign(founders: Founders) -> None:
    """K8: not even one that reads no part as it stands."""
    with pytest.raises(AllianceError) as caught:
        drafted(founders, keys_with(0, subject="h2-other"))
    assert caught.value.rule == "K8"


def test_a_founder_says_of_its_key_what_its_home_says(founders: Founders) -> None:
    """Even a description that its own key signed."""
    own = load_signer(founders.home("h2"), "officer", None)
    drafted(founders, proven(0, own, subject="h2-other"))
    refused(founders.accept("h2", "new"), 18, "X7.own")


def test_keys_are_valid_from_the_genesis_on(
    founders: Founders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(founding, "dated", lambda part, _at: part)
    drafted(founders, keys_with(0, valid_from="2030-01-01T00:00:00.000Z"))
    refused(founders.accept("h2", "new"), 18, "X7.own")


def test_a_stranger_accepts_nothing(founders: Founders) -> None:
    make_parts(founders.folder, ("h9",))
    refused(founders.accept("h9", "new"), 18, "X7.stranger")
    refused(founders.finish(*founders.files("acceptance"), by="h9"), 18, "X7.stranger")


# --- what the convener does not seal ---


def test_all_founders_are_needed(founders: Founders) -> None:
    first, second, third, fourth = founders.files("acceptance")
    result = founders.finish(third, first)
    refused(result, 14, "X7.missing")
    assert "h2, h4" in result.err
    refused(founders.finish(first, second, third, fourth, second), 13, "X7.twice")
    refused(founders.finish(first, second, third, founders.file("none")), 18, "X1.file")
    assert not founders.file("genesis.new").exists()
    assert not (founders.home("h1") / "genesis").exists()


def test_only_the_convener_seals(founders: Founders) -> None:
    result = founders.finish(*founders.files("acceptance"), by="h2")
    refused(result, 18, "X7.convener")
    assert "h1" in result.err


def test_an_acceptance_is_of_one_draft(founders: Founders) -> None:
    """A convener who changes the draft afterwards has nobody's acceptance."""
    drafted(founders, lambda part: part)
    result = founders.finish(*founders.files("acceptance"))
    refused(result, 15, "X7.other")
    assert "h1.acceptance" in result.err


def test_an_acceptance_is_signed_by_its_founder(founders: Founders) -> None:
    draft = read_draft(founders.file("draft"))
    forged = founders.file("forged")
    for org, home in (("h2", "h3"), ("h9", "h3")):
        officer = load_signer(founders.home(home), "officer", None)
        forged.write_bytes(encode_bundle([make_acceptance(draft, org, officer, 0)]))
        refused(founders.finish(forged), 15, "L12")
    committee = load_signer(founders.home("h2"), "committee", None)
    forged.write_bytes(encode_bundle([make_acceptance(draft, "h2", committee, 0)]))
    refused(founders.finish(forged), 15, "L12")
    (raw,) = decode_bundle(founders.file("h2.acceptance").read_bytes())
    forged.write_bytes(encode_bundle([raw[:-1] + bytes([raw[-1] ^ 1])]))
    refused(founders.finish(forged), 15, "L12")


# --- what a founder does not take ---


def test_a_genesis_of_others_is_not_taken(founders: Founders, tmp_path: Path) -> None:
    assert founders.finish(*founders.files("acceptance")).code == 0
    make_parts(founders.folder, ("h9",))
    take = ("create", "take", founders.file("genesis.new"), "--home")
    refused(call(*take, founders.home("h9")), 18, "X7.stranger")
    assert not (founders.home("h9") / "genesis").exists()
    for name in ("log.pem", "log.json"):
        shutil.copy(founders.home("h9") / "keys" / name, founders.home("h3") / "keys" / name)
    refused(call(*take, founders.home("h3")), 18, "X7.own")
    refused(call("create", "take", tmp_path / "none", "--home", founders.home("h2")), 18, "X1.file")


# --- files that were damaged, or are something else ---


def flipped(at: float) -> Callable[[bytes], bytes]:
    """The bytes with one bit of the byte at this share of them turned."""

    def flip(data: bytes) -> bytes:
        where = int(at * (len(data) - 1))
        return data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :]

    return flip


DAMAGES: Mapping[str, Callable[[bytes], bytes]] = {
    "empty": lambda _data: b"",
    "zeros": lambda data: bytes(len(data)),
    "garbage": lambda data: bytes(range(256)) * (len(data) // 256 + 1),
    "text": lambda _data: "联盟\n".encode(),
    "json": lambda _data: b"{}",
    "deep json": lambda _data: b"[" * 60_000,
    "not utf-8": lambda data: data.replace(b"h", b"\xff"),
    "half": lambda data: data[: len(data) // 2],
    "last byte gone": lambda data: data[:-1],
    "first byte gone": lambda data: data[1:],
    "a byte more": lambda data: data + b"\n",
    "twice": lambda data: data + data,
    **{f"bit at {share}%": flipped(share / 100) for share in range(0, 101, 4)},
}
FORMS = {10, 11, 12, 15}
"""Malformed, a signature, refused, a proof: what somebody else's bytes may be guilty of."""


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files_end_in_a_sentence(accepted: Founders, tmp_path: Path, name: str) -> None:
    sealed = tmp_path / "sealed"
    shutil.copytree(accepted.folder, sealed)
    founders = Founders(sealed, ORGS)
    acceptances = founders.files("acceptance")
    assert founders.finish(*acceptances).code == 0
    (sealed / "h1" / "genesis").unlink()
    before = files_of(sealed)

    def damaged(file: Path) -> Path:
        bad = tmp_path / f"bad-{file.name}"
        bad.write_bytes(DAMAGES[name](file.read_bytes()))
        return bad

    home = ("--home", founders.home("h2"))
    out = ("--out", tmp_path / "out")
    draft = damaged(founders.file("draft"))
    results = [
        call("create", "accept", draft, *home, *out),
        call("create", "finish", draft, *acceptances, "--home", founders.home("h1"), *out),
        founders.finish(damaged(acceptances[1]), *acceptances[2:], out="out"),
        call("create", "take", damaged(founders.file("genesis.new")), *home),
    ]
    for result in results:
        assert result.code in FORMS, (result.code, result.err)
        assert "What to do: " in result.err
    assert files_of(sealed) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_part_makes_no_draft_or_one_that_its_founder_refuses(
    founders: Founders, name: str
) -> None:
    """Only the time from which a key is valid does not count: it is that of the genesis."""
    file = founders.file("h2.part")
    made = read_part(file)
    file.write_bytes(DAMAGES[name](file.read_bytes()))
    result = founders.draft("new")
    if result.code:
        assert result.code in {*FORMS, 13}, result.err
        assert not founders.file("new").exists()
        return
    same = dated(read_part(file), 0) == dated(made, 0)
    assert founders.accept("h2", "h2.new", draft="new").code == (0 if same else 18)
    assert founders.file("h2.new").exists() is same


@pytest.mark.parametrize("other", ["h2.part", "h2.acceptance", "draft", "genesis.new", "h2"])
def test_each_file_is_taken_for_what_it_is(founders: Founders, other: str) -> None:
    first, *rest = founders.files("acceptance")
    assert founders.finish(first, *rest).code == 0
    (founders.home("h1") / "genesis").unlink()
    file = founders.file(other)
    out = ("--out", founders.file("out"))
    h1, h2 = ("--home", founders.home("h1")), ("--home", founders.home("h2"))
    results = {
        "h2.part": call("create", "draft", founders.file("h1.part"), file, *NAMES, *h1, *out),
        "h2.acceptance": founders.finish(first, file, *rest[1:], out="out2"),
        "draft": call("create", "accept", file, *h2, *out, "--out", founders.file("out3")),
        "genesis.new": call("create", "take", file, *h2),
    }
    rules = {"h2.part": "X7.part", "h2.acceptance": "X7.acceptance", "draft": "X7.draft"}
    for kind, result in results.items():
        if kind == other:
            assert result.code == 0, result.err
        elif other == "h2":
            refused(result, 18, "X1.file")
        else:
            refused(result, 10, rules.get(kind, "X7.genesis"))
            assert file.name in result.err
