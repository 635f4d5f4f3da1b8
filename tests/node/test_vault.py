"""The vault: what is in it, who gets it, and that nothing of it lies on the disk in clear."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.encoding import b64url
from ledger.errors import (
    BusyError,
    ConfigError,
    ConflictError,
    ErasedError,
    ForbiddenError,
    NotFoundError,
    ProofError,
)
from ledger.records.payloads import (
    Deposit,
    Tier,
    commit_of,
    encode_deposit,
    make_deposit,
    payload_of,
)
from node.client import DEPOSIT_TYPE
from node.config import Config
from node.identity import Identity, Role
from node.payloads import Payloads, deposit_of
from node.policy import check_release
from node.readings import Why
from node.vault import UNWRITTEN_BLOCKS, VAULT_FILE, Holding, Named, Vault, open_vault
from node.vaultcopies import restore_vault
from node.vaultkeys import VARIABLE, decode_keys, key_file, load_keys, make_keys, save_keys
from tests.node.test_access import Stage, rule, run

WORDS = "Zhang San, ward 7, 脓毒症"


def config(home: Path, **settings: Any) -> Config:
    (home / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    return Config(home=home, **settings)


def deposit(
    text: str = WORDS, tier: Tier = "T2", holders: tuple[str, ...] = ("h1",), group: str = ""
) -> Deposit:
    return make_deposit({"text": text}, secrets.token_bytes(32), tier, "text/1", holders, group)


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = open_vault(config(tmp_path))
    yield vault
    vault.close()


# --- at rest ----------------------------------------------------------------------------------


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_payload_comes_back_and_never_lies_in_clear(vault: Vault, tmp_path: Path) -> None:
    given = deposit(group="person:p1")
    commit = vault.put(given, "kid", 1)
    assert vault.put(given, "other", 2) == commit
    opened = vault.read(commit)
    assert deposit_of(opened) == given
    assert opened.holding.depositor == "kid"
    found = on_disk(tmp_path)
    assert WORDS.encode() not in found
    assert opened.salt not in found
    assert b64url(opened.salt).encode() not in found
    with pytest.raises(NotFoundError, match="T3"):
        vault.read("x")


def test_another_key_or_changed_bytes_open_nothing(vault: Vault, tmp_path: Path) -> None:
    commit = vault.put(deposit(), "kid", 1)
    vault._connection.execute("UPDATE payload SET body = CAST(body || x'00' AS BLOB)")
    with pytest.raises(ProofError, match=r"T6\.data"):
        vault.read(commit)
    vault.close()
    key_file(tmp_path).unlink()
    with pytest.raises(ConfigError, match="T6"):
        open_vault(config(tmp_path))
    save_keys(tmp_path, make_keys(tmp_path, bytes(32)))
    with pytest.raises(ConfigError, match="T6"):
        open_vault(config(tmp_path))


def test_a_payload_is_bound_to_its_commitment(vault: Vault) -> None:
    """Rows that somebody exchanged are not opened as one another."""
    first, second = vault.put(deposit(), "kid", 1), vault.put(deposit("other"), "kid", 1)
    run_sql = vault._connection.execute
    for statement in (
        "UPDATE payload SET body = (SELECT body FROM payload WHERE id = ?) WHERE id = ?",
        "UPDATE payload SET (wrapped, group_name) ="
        " (SELECT wrapped, group_name FROM payload WHERE id = ?) WHERE id = ?",
    ):
        run_sql("BEGIN")
        run_sql(statement, (second, first))
        with pytest.raises(ProofError, match=r"T6\.data"):
            vault.read(first)
        run_sql("ROLLBACK")


def test_the_key_comes_from_a_file_the_environment_or_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = make_keys(config(tmp_path).home, bytes(range(32)))
    path = key_file(tmp_path)
    assert path.stat().st_mode & 0o077 == 0
    for settings in ({}, {"vault_key_command": f"cat {path}"}):
        loaded = load_keys(config(tmp_path, **settings))
        assert loaded is not None
        assert loaded.newest == keys.newest
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"O1\.mode"):
        load_keys(config(tmp_path))
    monkeypatch.setenv(VARIABLE, keys.encode().decode())
    loaded = load_keys(config(tmp_path))
    assert loaded is not None
    assert loaded.newest == keys.newest
    monkeypatch.delenv(VARIABLE)
    for command in ("false", "no-such-program", "echo nothing", "'"):
        with pytest.raises(ConfigError, match="T6"):
            load_keys(config(tmp_path, vault_key_command=command))
    name, _key = keys.newest
    with pytest.raises(ConfigError, match="T6"):
        decode_keys(f"{name} {b64url(bytes(32))}".encode())


def test_a_rotation_wraps_the_keys_anew_and_leaves_the_payloads(
    vault: Vault, tmp_path: Path
) -> None:
    commits = [vault.put(deposit(group="study:s1"), "kid", 1) for _ in range(3)]
    bodies = vault._rows("SELECT body FROM payload")
    old = load_keys(config(tmp_path))
    assert old is not None
    both = old.with_newest(secrets.token_bytes(32))
    assert vault.rewrap(both) == 2
    assert vault._rows("SELECT body FROM payload") == bodies
    vault.close()
    name, key = both.newest
    save_keys(tmp_path, decode_keys(f"{name} {b64url(key)}".encode()))
    again = open_vault(config(tmp_path))
    assert [again.read(commit).holding.group for commit in commits] == ["study:s1"] * 3
    again.close()


# --- forgetting -------------------------------------------------------------------------------


def test_what_is_erased_is_gone_with_its_keys_and_does_not_come_back(
    vault: Vault, tmp_path: Path
) -> None:
    given = [deposit(group="person:p1"), deposit("second", group="person:p1"), deposit("third")]
    commits = [vault.put(item, "kid", 1) for item in given]
    rows = vault._rows("SELECT wrapped, body FROM payload WHERE id != ?", commits[2])
    keys = vault._rows("SELECT wrapped FROM group_key WHERE name = 'person:p1'")
    assert vault.group("person:p1") == commits[:2]
    assert vault.erase(commits[:1], "record-1", 5) == commits[:1]
    assert keys == vault._rows("SELECT wrapped FROM group_key WHERE name = 'person:p1'")
    assert vault.erase(commits[:2], "record-2", 6) == [commits[1]]
    assert vault._rows("SELECT 1 FROM group_key WHERE name = 'person:p1'") == []
    for commit, item in zip(commits[:2], given, strict=False):
        with pytest.raises(ErasedError, match="T4"):
            vault.read(commit)
        with pytest.raises(ErasedError, match="T4"):
            vault.put(item, "kid", 7)
    found = on_disk(tmp_path)
    assert [part for row in (*rows, *keys) for part in row if part in found] == []
    assert vault.read(commits[2]).payload == payload_of(given[2])
    assert vault.counts() == {"T1": 0, "T2": 1, "attachments": 0, "erased": 2, "groups": 1}


def test_where_the_chain_was_read_to_is_written_when_it_asked_for_something(tmp_path: Path) -> None:
    settings = config(tmp_path)
    vault = open_vault(settings)
    vault.advance(9, asked=True)
    vault.advance(9 + UNWRITTEN_BLOCKS - 1, asked=False)
    assert vault.height == 9 + UNWRITTEN_BLOCKS - 1
    vault.close()
    vault = open_vault(settings)
    assert vault.height == 9
    vault.advance(9 + UNWRITTEN_BLOCKS, asked=False)
    vault.close()
    vault = open_vault(settings)
    assert vault.height == 9 + UNWRITTEN_BLOCKS
    vault.close()


def test_what_the_chain_names_and_is_not_here_is_missing(vault: Vault) -> None:
    here, gone = deposit(tier="T1"), deposit("gone", tier="T1")
    vault.put(here, "kid", 1)
    vault.erase([commit_of(gone)], "record", 2)
    named = [
        Named(commit_of(here), "T1", ("h1",), "leaf", "h1"),
        Named(commit_of(gone), "T1", ("h1",), "leaf", "h1"),
        Named("absent", "T1", ("h1", "h2"), "leaf", "h1"),
        Named("restricted", "T2", ("h1",), "leaf", "h1"),
        Named("elsewhere", "T1", ("h2",), "leaf", "h2"),
    ]
    assert vault.height == -1
    vault.name(named)
    vault.name(named[:1])
    assert vault.height == -1
    vault.advance(9, asked=True)
    assert vault.height == 9
    assert vault.missing("h1") == [named[2]]
    assert vault.named("restricted") == [named[3]]


# --- who gets it ------------------------------------------------------------------------------


HOLDING = Holding("c", "T2", "text/1", "person:p1", ("h1", "h2"), "depositor")


def identity(role: Role, org: str = "h1", key: str = "k", subject: str = "x") -> Identity:
    return Identity(key, org, subject, role)


@pytest.mark.parametrize(
    ("author", "allowed"),
    [
        (identity("officer"), True),
        (identity("committee"), True),
        (identity("ethics"), True),
        (identity("checker"), True),
        (identity("node", "h2"), True),
        (identity("researcher", subject="p1"), True),
        (identity("system", key="depositor"), True),
        (identity("officer", "h2"), False),
        (identity("node", "h3"), False),
        (identity("researcher", subject="p2"), False),
        (identity("researcher", "h2", subject="p1"), False),
        (identity("auditor"), False),
        (identity("registrar"), False),
        (identity("system"), False),
    ],
)
def test_restricted_payloads_are_for_their_parties(author: Identity, allowed: bool) -> None:
    if allowed:
        check_release(author, HOLDING, "h1")
    else:
        with pytest.raises(ForbiddenError, match="T5"):
            check_release(author, HOLDING, "h1")
    check_release(author, HOLDING._replace(tier="T1"), "h1")
    with pytest.raises(ForbiddenError, match="T5"):
        check_release(author, HOLDING, "h9")


def test_every_reading_of_a_restricted_payload_is_on_record_before_it_leaves(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_chain: list[str] = []

    async def record(commit: str, author: Identity, why: Why) -> None:
        on_chain.append(f"{commit} {author.key} {why.purpose}")

    payloads = Payloads(vault, "h1", record)

    def get(commit: str, author: Identity) -> None:
        asyncio.run(payloads.get(commit, author, Why("care")))

    restricted = vault.put(deposit(), "kid", 1)
    common = vault.put(deposit(tier="T1"), "kid", 1)
    get(common, identity("auditor"))
    assert vault.readings() == []
    get(restricted, identity("officer", key="k1"))
    with pytest.raises(ForbiddenError, match="T5"):
        get(restricted, identity("auditor", key="k2"))
    assert on_chain == [f"{restricted} k1 care"]
    noted = [(item.key, item.outcome) for _number, item in vault.readings()]
    assert noted == [("k1", "ok"), ("k2", "denied")]

    async def fail(_commit: str, _author: Identity, _why: Why) -> None:
        raise BusyError("T11", commit="c")

    monkeypatch.setattr(vault, "read", lambda _commit: pytest.fail("read before it was noted"))
    payloads = Payloads(vault, "h1", fail)
    with pytest.raises(BusyError, match="T11"):
        get(restricted, identity("officer"))


def test_payloads_over_http(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        kind = {"content-type": DEPOSIT_TYPE}

        async def put(who: str, item: Deposit) -> Any:  # noqa: ANN401
            body = encode_deposit(item)
            return await stage.ask(who, "POST /api/v1/payloads", content=body, headers=kind)

        given = deposit()
        answer = await put("officer", given)
        assert answer.status_code == 201
        commit = answer.json()["commit"]
        async with stage.client("committee") as client:
            found = await client.get(f"/api/v1/payloads/{commit}")
            assert found.content == encode_deposit(given)
            assert found.headers["cache-control"] == "no-store"
        async with stage.client("auditor") as client:
            assert rule(await client.get(f"/api/v1/payloads/{commit}")) == (403, "T5")
            assert rule(await client.get("/api/v1/payloads/none")) == (404, "T3")
            seen = (await client.get("/api/v1/vault")).json()
        assert [item["outcome"] for item in seen["readings"]] == ["ok", "denied"]
        assert seen["counts"]["T2"] == 1
        assert rule(await put("officer", deposit(holders=("h2",)))) == (422, "T8")
        assert rule(await put("officer", deposit("call 13812345678", "T1"))) == (422, "T7")
        assert (await put("officer", deposit("call 13812345678"))).status_code == 201
        stage.app.state.vault.erase([commit], "record", 1)
        async with stage.client("officer") as client:
            assert rule(await client.get(f"/api/v1/payloads/{commit}")) == (410, "T4")

    run(tmp_path, test)


def test_the_vault_is_for_its_owner_alone(tmp_path: Path) -> None:
    open_vault(config(tmp_path)).close()
    assert (tmp_path / VAULT_FILE).stat().st_mode & 0o077 == 0


# --- copies -----------------------------------------------------------------------------------


def test_a_copy_opens_nothing_without_the_key_of_the_vault(vault: Vault, tmp_path: Path) -> None:
    commit = vault.put(deposit(), "kid", 1)
    copy = tmp_path / "copy"
    vault.back_up(copy)
    vault.close()
    key = key_file(tmp_path).read_bytes().split()[1]
    assert key not in on_disk(copy)
    assert WORDS.encode() not in on_disk(copy)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (copy, *copy.iterdir()))
    with pytest.raises(ConflictError, match=r"X1\.exists"):
        restore_vault(config(tmp_path), copy)
    (tmp_path / VAULT_FILE).unlink()
    restore_vault(config(tmp_path), copy)
    again = open_vault(config(tmp_path))
    assert again.read(commit).holding.commit == commit
    assert again.height == -1
    again.close()


def test_keys_die_first_in_the_copy(vault: Vault, tmp_path: Path) -> None:
    """The ciphertext of yesterday's copy and the keys of today give what is left, and no more."""
    gone, kept = vault.put(deposit(), "kid", 1), vault.put(deposit("kept"), "kid", 1)
    copy = tmp_path / "copy"
    vault.back_up(copy)
    vault.erase([gone], "REQUEST", 2)
    vault.back_up_keys(copy)
    vault.close()
    (tmp_path / VAULT_FILE).unlink()
    restore_vault(config(tmp_path), copy)
    again = open_vault(config(tmp_path))
    assert again.read(kept).holding.commit == kept
    with pytest.raises(NotFoundError, match="T3"):
        again.read(gone)
    again.close()


def test_a_copy_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    with pytest.raises(ConfigError, match=r"X1\.file"):
        restore_vault(config(tmp_path), folder)
    folder.mkdir()
    (folder / "vault-payloads.db").write_bytes(b"nothing")
    (folder / "vault-keys").write_text("a b\n")
    with pytest.raises(ConfigError, match=r"X1\.file"):
        restore_vault(config(tmp_path), folder)
    assert not (tmp_path / VAULT_FILE).exists()
