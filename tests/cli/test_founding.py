"""`alliance init`: a complete home, never over another, and a genesis that everybody can check."""

import stat
from pathlib import Path

import pytest

from cli.founding import NODE_KEYS, OFFICE_KEYS
from cli.home import load_genesis, load_signer, node_url
from ledger.encoding import b64url
from ledger.records.governance import GenesisBody
from tests.cli.conftest import call

INIT = ("init", "--org", "h1")


def test_a_new_home_is_complete(tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = ("--name-zh", "重症联盟", "--origin", "chain.example.org/x", "--port", "9001")
    made = call(*INIT, *words, "--home", home, "--json").json
    block = load_genesis(home)
    body: GenesisBody = block.entries[0].record.body
    assert made["pin"] == b64url(block.tip.seal_leaf)
    assert made["chain_id"] == block.tip.config.chain_id
    assert (body.alliance.zh, body.origin) == ("重症联盟", "chain.example.org/x")
    assert node_url(home, None) == "http://127.0.0.1:9001"
    assert node_url(home, "http://localhost:1/") == "http://localhost:1"
    secret = home / "keys" / "passphrase"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    for name in (*NODE_KEYS, *OFFICE_KEYS):
        load_signer(home, name, None)
    shown = call("keys", "show", "officer", "--home", home)
    assert "h1, so" in shown.out


def test_init_never_overwrites(tmp_path: Path) -> None:
    assert call(*INIT, "--home", tmp_path).code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for language, words in (("en", "exists already"), ("zh", "已存在")):
        again = call(*INIT, "--home", tmp_path, "--lang", language)
        assert again.code == 13
        assert words in again.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["genesis", "node.toml", "ledger.db", "keys/log.pem"])
def test_any_file_of_a_home_stops_init(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert call(*INIT, "--home", tmp_path).code == 13
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [path]


def test_a_given_passphrase_is_not_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", "of my own")
    made = call(*INIT, "--home", tmp_path, "--json").json
    assert made["passphrase_made"] is False
    assert not (tmp_path / "keys" / "passphrase").exists()
    load_signer(tmp_path, "node", None)


@pytest.mark.parametrize(
    ("words", "code", "rule"),
    [
        (("--org", "no spaces please"), 10, "X2"),
        (("--org", "h1", "--kind", "bank"), 10, "X2"),
        (("--org", "h1", "--origin", "a b"), 10, "N2"),
        (("--org", "h1", "--origin", "a+b"), 10, "N2"),
        (("--org", "h1", "--host", "0.0.0.0"), 18, "O1.names"),  # noqa: S104
        (("--org", "h1", "--name-en", ""), 10, "X2"),
        (("--org", "h1", "--port", "0"), 2, ""),
        ((), 2, ""),
    ],
)
def test_bad_plans_leave_nothing_behind(
    tmp_path: Path, words: tuple[str, ...], code: int, rule: str
) -> None:
    home = tmp_path / "home"
    result = call("init", *words, "--home", home)
    assert result.code == code
    assert rule in result.err
    assert not home.exists()
