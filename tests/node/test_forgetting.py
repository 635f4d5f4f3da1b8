"""Forgetting, from the order to the word on the chain: nothing is left of a person, and everything
else stays valid.
"""

import asyncio
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.records.catalogue import DatasetBody
from ledger.records.payloads import Deposit, encode_deposit, make_deposit, reference
from ledger.rules.standing import PermitState
from ledger.state import state_key
from ledger.verify import Receipt, verify_receipt
from node import replication
from node.client import DEPOSIT_TYPE
from node.config import Config
from node.forgetting import is_active
from node.main import create_app
from node.vault import VAULT_FILE, open_vault
from node.vaultcopies import restore_vault
from tests.ledger.lives import ANALYST, DAY_MS, LEADER, STRANGER, Life
from tests.node.test_access import NOT_AFTER, ONE, Stage, rule
from tests.support.node import make_config, make_home
from tests.support.world import World, make_world

PERSON = "Li Si, staff number 20481, 重症医学科"
WAIT_S = 20


def run(world: World, config: Config, test: Callable[[Stage], Awaitable[None]]) -> None:
    """A node of this home at work, and its member's keys."""

    async def main() -> None:
        app = create_app(config)
        keys = world.keys["h1"]
        signers = {"officer": keys.officer, "system": keys.system, "node": keys.node}
        async with app.router.lifespan_context(app):
            await test(Stage(app, world, signers))

    asyncio.run(main())


async def put(stage: Stage, text: str, group: str = "person:p1") -> Deposit:
    """Hand a payload in, and name it in a record."""
    deposit = make_deposit(
        {"text": text}, secrets.token_bytes(32), "T2", "person/1", ("h1",), group
    )
    body = encode_deposit(deposit)
    kind = {"content-type": DEPOSIT_TYPE}
    answer = await stage.ask("officer", "POST /api/v1/payloads", content=body, headers=kind)
    assert answer.status_code == 201, answer.text
    await record(stage, deposit)
    return deposit


async def record(stage: Stage, deposit: Deposit) -> None:
    """Name a payload on the chain."""
    dataset = DatasetBody(
        custodian="h1", openness="conditional", series_id=f"S{secrets.token_hex(4)}"
    )
    raw = stage.world.record(
        "dataset", dataset, not_after=NOT_AFTER, payloads=(reference(deposit),)
    )
    recorded = await stage.ask("officer", "POST /api/v1/entries", content=raw, headers=ONE)
    assert recorded.status_code == 201, recorded.text


async def order(stage: Stage, who: str = "officer", **fields: Any) -> Any:  # noqa: ANN401
    body = msgspec.json.encode({"ground": "REQUEST", **fields}, order="deterministic")
    return await stage.ask(who, "POST /api/v1/erasures", content=body)


async def until_answered(stage: Stage, count: int) -> list[dict[str, Any]]:
    """The erasures, when this node's word on so many is on the chain."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found: list[dict[str, Any]] = (await stage.ask("officer", "GET /api/v1/vault")).json()[
            "erasures"
        ]
        if len(found) == count and all(item["record"] for item in found):
            return found
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.1)


def bytes_below(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def payload(stage: Stage, deposit: Deposit) -> Any:  # noqa: ANN401
    async with stage.client("officer") as client:
        return await client.get(f"/api/v1/payloads/{reference(deposit).commit}")


def test_a_person_is_forgotten_everywhere_and_the_chain_stays_valid(tmp_path: Path) -> None:
    world = make_world()
    home = make_home(world, tmp_path / "home")
    config = make_config(home, vault_backup="../copy")
    deposits: list[Deposit] = []

    async def forget(stage: Stage) -> None:
        await until_read(stage)
        deposits.append(await put(stage, PERSON))
        deposits.append(await put(stage, "something else", group="study:s1"))
        await until_read(stage)
        stage.app.state.vault.back_up(tmp_path / "old")
        shutil.copytree(tmp_path / "old", tmp_path / "copy", dirs_exist_ok=True)
        assert (await payload(stage, deposits[0])).status_code == 200
        assert rule(await order(stage, "system", group="person:p1")) == (403, "P1")
        answer = await order(stage, group="person:p1")
        assert (answer.status_code, answer.json()["erased"]) == (
            202,
            [reference(deposits[0]).commit],
        )
        # Keys die first, in the copy as here: at once.
        assert b"person:p1" not in (tmp_path / "copy" / "vault-keys").read_bytes()
        found = await until_answered(stage, 1)
        assert found[0]["answered"] == ["h1"]
        assert found[0]["waiting"] == []
        gone = await payload(stage, deposits[0])
        assert rule(gone) == (410, "T4")
        assert found[0]["record"] in gone.text
        assert (await payload(stage, deposits[1])).status_code == 200
        async with stage.client("officer") as client:
            entry = (await client.get(f"/api/v1/entries/{found[0]['record']}")).json()
        assert entry["type"] == "erasure"
        receipt = msgspec.convert(entry["receipt"], Receipt)
        assert verify_receipt(receipt, world.genesis.tip, verify).findings == ()

    run(world, config, forget)
    salt = deposits[0].salt.encode()
    for folder in (home, tmp_path / "copy"):
        found = bytes_below(folder)
        assert PERSON.encode() not in found
        assert "重症医学科".encode() not in found
        assert salt not in found

    # An old copy, with the keys of its time, does not bring the person back.
    (home / VAULT_FILE).unlink()
    restore_vault(config, tmp_path / "old")

    async def remember(stage: Stage) -> None:
        assert rule(await payload(stage, deposits[0])) == (410, "T4")
        assert (await payload(stage, deposits[1])).status_code == 200

    run(world, config, remember)


async def until_read(stage: Stage) -> None:
    """Until the vault has read the chain as far as it goes."""
    deadline = time.monotonic() + WAIT_S
    while stage.app.state.vault.height < stage.app.state.driver.final.tip.height:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def test_answers_rest_on_the_chain_and_not_on_how_far_the_vault_has_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that reads the chain sleeps here: who asks hears the same as ever."""
    monkeypatch.setattr(replication, "PAUSE_S", 3_600.0)
    world = make_world()
    home = make_home(world, tmp_path / "home")

    async def test(stage: Stage) -> None:
        absent = make_deposit({"text": "x"}, secrets.token_bytes(32), "T2", "person/1", ("h1",), "")
        await record(stage, absent)
        commit = reference(absent).commit
        async with stage.client("system") as client:
            assert rule(await client.get(f"/api/v1/payloads/{commit}")) == (403, "T5")
        here = await put(stage, PERSON)
        behind = stage.app.state.vault.height
        monkeypatch.setattr(stage.app.state.forgetting, "_retention", lambda _schema: 1_200)
        assert rule(await order(stage, commits=[reference(here).commit])) == (422, "T10")
        assert stage.app.state.vault.height > behind

    run(world, make_config(home), test)


def test_an_order_for_nothing_is_refused(tmp_path: Path) -> None:
    world = make_world()
    home = make_home(world, tmp_path / "home")

    async def test(stage: Stage) -> None:
        assert rule(await order(stage, group="person:p9")) == (404, "T3")
        assert rule(await order(stage, commits=[b64url(bytes(32))])) == (404, "T3")
        assert rule(await order(stage, group="everybody")) == (400, "S1")
        assert (await order(stage, commits=["x"])).status_code == 400

    run(world, make_config(home), test)


def test_who_is_on_a_permit_that_lives_stays_known() -> None:
    life = Life()
    life.permit()
    name = state_key("permit", "P-1")

    def on_it(person: str, days: int = 0) -> bool:
        permit = life.tip.state.get(name)
        assert isinstance(permit, PermitState)
        return is_active(permit, person, life.now + 1 + days * DAY_MS)

    assert not on_it(ANALYST)
    life.step("activate")
    assert on_it(ANALYST)
    assert on_it(LEADER)
    assert not on_it(STRANGER)
    assert not on_it(ANALYST, days=500)
    life.step("suspend")
    assert on_it(ANALYST)
    life.step("revoke")
    assert not on_it(ANALYST)


def test_the_database_of_the_vault_overwrites_what_it_deletes(tmp_path: Path) -> None:
    home = make_home(make_world(), tmp_path / "home")
    vault = open_vault(make_config(home))
    pragma = vault._connection.execute
    assert pragma("PRAGMA secure_delete").fetchone() == (1,)
    assert pragma("PRAGMA journal_mode").fetchone() == ("delete",)
    vault.close()
