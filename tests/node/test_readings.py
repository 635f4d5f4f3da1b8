"""Every reading of a restricted payload is a record on the chain before the payload leaves."""

import secrets
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.concurrency import run_in_threadpool

from ledger.crypto import verify
from ledger.encoding import b64url
from ledger.errors import BusyError
from ledger.records import decode_entry
from ledger.records.payloads import Deposit, encode_deposit, make_deposit, reference
from ledger.verify import Receipt, verify_receipt
from node.client import DEPOSIT_TYPE
from node.identity import Identity
from node.readings import Readings, Why
from node.submissions import Outcome
from tests.node.test_access import Stage, rule, run

TEXT = "Wang Wu, bed 12"


async def put(stage: Stage, tier: Any = "T2") -> str:  # noqa: ANN401
    """Hand a payload in; gives its commitment."""
    given: Deposit = make_deposit(
        {"text": TEXT}, secrets.token_bytes(32), tier, "text/1", ("h1",), "person:p1"
    )
    answer = await stage.ask(
        "officer", "POST /api/v1/payloads", content=encode_deposit(given),
        headers={"content-type": DEPOSIT_TYPE},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    return reference(given).commit


async def read(stage: Stage, who: str, commit: str, **params: str) -> Any:  # noqa: ANN401
    async with stage.client(who) as client:
        return await client.get(f"/api/v1/payloads/{commit}", params=params)


async def records(stage: Stage, commit: str) -> list[dict[str, Any]]:
    """What the chain says of readings of a payload: entries with their receipts."""
    async with stage.client("auditor") as client:
        log = await client.get(f"/api/v1/subjects/dataset:payload/{commit}")
        if log.status_code == 404:
            return []
        return [
            (await client.get(f"/api/v1/entries/{leaf}")).json() for leaf in log.json()["leaves"]
        ]


def test_a_reading_is_on_the_chain_with_who_what_and_what_for(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        commit, common = await put(stage), await put(stage, "T1")
        assert TEXT.encode() in (await read(stage, "officer", commit, purpose="audit-7")).content
        assert (await read(stage, "committee", commit)).status_code == 200
        assert rule(await read(stage, "system", commit)) == (403, "T5")
        assert (await read(stage, "auditor", common)).status_code == 200
        found = await records(stage, commit)
        assert await records(stage, common) == []
        bodies = []
        for item in found:
            receipt = verify_receipt(
                msgspec.convert(item["receipt"], Receipt), stage.world.genesis.tip, verify
            )
            assert receipt.findings == ()
            bodies.append(receipt.entry.record.body)
            assert receipt.entry.statement.kid == stage.world.keys["h1"].node.kid
        assert [(body.source.seq, body.purpose, body.outcome) for body in bodies] == [
            (1, "audit-7", "ok"), (2, None, "ok"),
        ]  # fmt: skip
        assert len({body.person for body in bodies}) == 2
        assert all(body.person.startswith("ext:key:") for body in bodies)

    run(tmp_path, test)


def test_nothing_leaves_without_its_record(tmp_path: Path, monkeypatch: Any) -> None:  # noqa: ANN401
    async def test(stage: Stage) -> None:
        commit, driver = await put(stage), stage.app.state.driver
        vault = stage.app.state.vault
        submit = driver.submit
        handed: list[bytes] = []

        def never(raws: list[bytes]) -> "Future[list[Outcome]]":
            handed.extend(raws)
            return Future()

        def full(_raws: list[bytes]) -> "Future[list[Outcome]]":
            raise BusyError("O4.queue", pending=1, limit=1)

        opened = vault.read
        monkeypatch.setattr(vault, "read", lambda _commit: pytest.fail("nothing may be opened"))
        monkeypatch.setattr(driver, "config", replace(driver.config, wait_ms=50))
        for way, said in ((never, "T11"), (full, "O4.queue")):
            monkeypatch.setattr(driver, "submit", way)
            answer = await read(stage, "officer", commit)
            assert rule(answer) == (503, said)
            assert answer.headers["retry-after"]
            assert TEXT.encode() not in answer.content
        # What the chain may not hold is no purpose, and takes no number.
        refused = await read(stage, "officer", commit, purpose="13812345678")
        assert rule(refused) == (422, "S8")
        assert rule(await read(stage, "officer", commit, purpose="a b")) == (400, "Q2")
        # The one who asks again is asked about once: the record that waits is his.
        monkeypatch.setattr(driver, "submit", submit)
        monkeypatch.setattr(driver, "config", replace(driver.config, wait_ms=20_000))
        monkeypatch.setattr(vault, "read", opened)
        assert (await read(stage, "officer", commit)).status_code == 200
        found = await records(stage, commit)
        assert [item["leaf"] for item in found] == [b64url(decode_entry(handed[0]).leaf)]
        assert vault.waiting_readings() == []
        assert (await read(stage, "officer", commit)).status_code == 200
        assert len(await records(stage, commit)) == 2

    run(tmp_path, test)


def test_a_record_that_was_left_behind_gets_on_the_chain(tmp_path: Path) -> None:
    """As after a crash between the vault and the chain."""

    async def test(stage: Stage) -> None:
        commit = await put(stage)
        readings = Readings(stage.app.state.driver, stage.app.state.vault)
        author = Identity("k", "h1", "officer-1", "officer")
        number, _raw = readings._note(commit, author, Why())
        assert number == 1
        readings._asked.clear()
        assert await run_in_threadpool(readings.send)
        assert len(await records(stage, commit)) == 1
        assert readings._vault.waiting_readings() == []
        # Of a vault that was lost, too, no number is given twice.
        readings._vault._connection.execute("DELETE FROM place WHERE name = 'reading'")
        assert readings._note(commit, author, Why())[0] == 2

    run(tmp_path, test)
