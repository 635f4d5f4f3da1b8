"""The vault from the command line: what it shows, refuses, copies, brings back and forgets."""

import time
from pathlib import Path
from typing import Any

import pytest

from ledger.encoding import encode_time
from node import replication
from node.clock import wall_ms
from node.vault import COPY_FILE, KEYS_FILE, VAULT_FILE
from node.vaultkeys import VARIABLE
from tests.cli.conftest import Chain, call, make_chain, serving
from tests.cli.test_doctor import examine
from tests.support.process import free_port

WORDS = "Zhao Liu, 第三病区"


def put(chain: Chain, tmp_path: Path, name: str = "note", **options: str) -> str:
    """A restricted payload, and a record that names it; its commitment."""
    file = tmp_path / f"{name}.txt"
    file.write_text(f"{WORDS} {name}")
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    commit: str = chain.json("vault", "attach", file, *words)["payload"]["commit"]
    named = ("dataset", "register", f"S-{name}", "--openness", "closed", "--attachment", commit)
    assert chain(*named).code == 0
    return commit


def test_what_is_read_is_on_the_chain_before(chain: Chain, tmp_path: Path) -> None:
    commit = put(chain, tmp_path, "read")
    shown = chain("vault", "read", commit, "--purpose", "care", "--lang", "zh")
    assert (shown.code, '"sha256"' in shown.out) == (0, True)
    found = chain.json("subject", f"dataset:payload/{commit}")
    assert found["count"] == 1
    refused = chain("vault", "read", commit, "--purpose", "13812345678")
    assert (refused.code, "S8" in refused.err) == (12, True)
    assert chain("vault", "read", "x" * 43).code == 14


def test_what_the_committee_retains_is_not_erased_and_the_refusal_says_why(
    chain: Chain, tmp_path: Path
) -> None:
    commit = put(chain, tmp_path, "kept", schema="log/1")
    words = ("--kind", "decide", "--date", "2026-01-05", "--present", "5", "--for", "5")
    chain.json("resolution", "R-9", *words)

    def retain(months: str) -> None:
        """Set it, and wait until it is in force. A policy is made for later, or refused (G10)."""
        for ahead_ms in (1_000, 5_000, 30_000):
            since_ms = wall_ms() + ahead_ms
            words = ("--retain", f"log/1={months}", "--effective-from", encode_time(since_ms))
            made = chain("policy", f"P{months}", "--resolution", "R-9", *words)
            if made.code == 0:
                break
        assert made.code == 0, made.err
        until(lambda: str(wall_ms() >= since_ms), "True")

    assert chain("policy", "bad", "--retain", "log/1=x").code == 10
    retain("6")
    refused = chain("erase", commit, "--lang", "zh")
    assert (refused.code, "6 个月" in refused.err, "log/1" in refused.err) == (12, True, True)
    assert chain("vault", "read", commit).code == 0
    retain("0")
    assert chain.json("erase", commit)["erased"] == [commit]
    assert chain("vault", "read", commit).code == 14


def until(answer: Any, wanted: str) -> None:  # noqa: ANN401
    """Ask again until an answer holds this: a policy begins at a time of the chain."""
    deadline = time.monotonic() + 60
    while wanted not in answer():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# --- copies and keys --------------------------------------------------------------------------


def lose(home: Path) -> None:
    """The disk of the vault is gone."""
    for path in home.glob("vault*.db*"):
        path.unlink()


def test_a_lost_vault_comes_back_from_the_copy_that_init_began(tmp_path: Path) -> None:
    home, copy = tmp_path / "home", tmp_path / "elsewhere"
    made = call("init", "--org", "h1", "--port", str(free_port()), "--home", home,
                "--vault-backup", copy)  # fmt: skip
    assert (made.code, str(copy) in made.out) == (0, True)
    assert (copy / COPY_FILE).exists(), "a copy from the first day"
    with serving(home):
        chain = Chain(home, "")
        kept, gone = put(chain, tmp_path, "kept"), put(chain, tmp_path, "gone")
        old = tmp_path / "old"
        assert chain.json("vault", "backup", old)["counts"]["T2"] == 2
        chain.json("erase", gone)
        until(lambda: chain("vault", "status").out, "gone everywhere")
    assert call("vault", "restore", old, "--home", home).code == 13
    lose(home)
    assert examine(home)[1]["vault"] == [("warning", "O11.samedisk")]
    assert call("vault", "restore", old, "--home", home).code == 0
    with serving(home):
        assert chain("vault", "read", kept).code == 0
        assert chain("vault", "fetch", kept, tmp_path / "back").code == 0
        assert WORDS in (tmp_path / "back").read_text()
        erased = chain("vault", "read", gone)
        assert (erased.code, "T4" in erased.err) == (14, True)


def test_a_home_without_a_copy_of_its_vault_is_told_so(tmp_path: Path) -> None:
    inside = call("init", "--org", "h1", "--home", tmp_path / "a", "--vault-backup",
                  tmp_path / "a" / "copy")  # fmt: skip
    assert (inside.code, "O1.copy" in inside.err) == (18, True)
    blocked = tmp_path / "file"
    blocked.touch()
    refused = call("init", "--org", "h1", "--home", tmp_path / "b", "--vault-backup", blocked)
    assert refused.code == 18
    assert not list(tmp_path.glob("[ab]/**/*.pem")), "nothing was begun"


def test_doctor_opens_the_copy_and_says_what_is_wrong_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "BACKUP_S", 0.0)
    with make_chain(tmp_path / "home") as chain:
        put(chain, tmp_path)
        copy = tmp_path / "home-vault"
        until(lambda: str(examine(chain.home)[1]["vault"]), "samedisk")
    home, settings = chain.home, (chain.home / "node.toml").read_text()
    keys = (copy / KEYS_FILE).read_bytes()

    def found() -> tuple[str, str | None]:
        (item,) = examine(home)[1]["vault"]
        return item

    (home / "node.toml").write_text(settings.replace("vault_backup", "#"))
    assert found() == ("warning", "O11.vault")
    (home / "node.toml").write_text(settings.replace("-vault", "/copy"))
    assert examine(home)[1]["settings"] == [("problem", "O1.copy")]
    (home / "node.toml").write_text(settings)
    (copy / KEYS_FILE).write_bytes(keys.splitlines(keepends=True)[0])
    assert found() == ("warning", "O11.stale")
    (copy / KEYS_FILE).write_bytes(keys.replace(b"check", b"chuck"))
    assert found() == ("problem", "O11.copy")
    (copy / KEYS_FILE).unlink()
    assert found() == ("problem", "O11.copy")
    assert call("vault", "backup", copy, "--home", home).code == 0
    assert found() == ("warning", "O11.samedisk")
    (copy / COPY_FILE).write_bytes(b"x" * 9_000)
    assert found() == ("problem", "O11.copy")


def test_a_rotation_takes_the_copy_along_wherever_the_key_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make_chain(tmp_path / "home") as chain:
        commit = put(chain, tmp_path)
    home, file = chain.home, chain.home / "keys" / "vault"
    first = file.read_text()
    assert chain.json("vault", "rotate")["groups"] == 2
    second = file.read_text()
    assert second != first
    assert examine(home)[1]["vault"] == [("warning", "O11.samedisk")]
    # From a command: two keys are given, the new one first.
    keys = tmp_path / "keys.txt"
    keys.write_text(second)
    file.unlink()
    with (home / "node.toml").open("a") as settings:
        settings.write(f'vault_key_command = "cat {keys}"\n')
    assert chain("vault", "rotate", "--json").code == 18
    keys.write_text(first + second)
    assert chain.json("vault", "rotate")["groups"] == 2
    keys.write_text(first)
    assert examine(home)[1]["vault"] == [("warning", "O11.samedisk")]
    # From the environment.
    monkeypatch.setenv(VARIABLE, second + first)
    assert chain.json("vault", "rotate")["groups"] == 2
    monkeypatch.setenv(VARIABLE, second)
    lose(home)
    assert call("vault", "restore", tmp_path / "home-vault", "--home", home).code == 0
    with serving(home):
        assert chain("vault", "read", commit).code == 0
    monkeypatch.setenv(VARIABLE, first)
    lose(home)
    refused = call("vault", "restore", tmp_path / "home-vault", "--home", home)
    assert (refused.code, "T6" in refused.err, (home / VAULT_FILE).exists()) == (18, True, False)
