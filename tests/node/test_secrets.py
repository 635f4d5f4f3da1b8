"""What nobody may find in a node's log, and that a hostile author harms no other one."""

import logging
import threading
import time
from pathlib import Path

import httpx
import pytest

from ledger.encoding import b64url
from ledger.errors import AllianceError
from node.apikeys import ApiKeys, new_api_key
from node.client import NodeClient, Signing
from node.vaultkeys import key_file
from tests.node.test_access import Stage, run
from tests.node.test_forgetting import PERSON, order, put
from tests.support.node import PASSPHRASE
from tests.support.process import Node, make_served_home
from tests.support.world import make_world

FLOOD_S = 4.0
GROWTH_KB = 200 << 10
"""So much may a flood of a few seconds add to a node's memory: its queues, caches and nonces."""


def test_no_secret_stands_in_a_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "home" / "keys"
    secrets = [PASSPHRASE.decode(), PERSON, "13812345678"]

    async def test(stage: Stage) -> None:
        keys = ApiKeys(folder / "apikeys")
        kid = b64url(stage.signers["system"].kid)
        key, secret = new_api_key(kid, ("read",), 0, 36_500, bytes(range(40)))
        keys.add(key)
        secrets.append(secret.partition(".")[2])
        deposit = await put(stage, f"{PERSON} 13812345678")
        secrets.append(deposit.salt)
        async with stage.client(None) as client:
            for given in (secret, secret[:-1], "x"):
                bearer = {"authorization": f"Bearer {given}"}
                for path in ("/api/v1/summary", "/metrics", f"/api/v1/entries/{PERSON}"):
                    await client.get(path, headers=bearer)
        await order(stage, group="person:p1")

    run(tmp_path, test)
    secrets.append(key_file(tmp_path / "home").read_text().split()[1])
    assert caplog.records
    found = [word for word in secrets if word in caplog.text]
    assert found == []


def memory_kb(node: Node) -> int:
    """Resident memory of a node process (Linux)."""
    lines = Path(f"/proc/{node.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def flood(url: str, signing: Signing | None, stopping: threading.Event) -> None:
    """Requests as fast as they go: real ones of a known author, or garbage of nobody's."""
    with httpx.Client(base_url=url, auth=signing) as client:
        number = 0
        while not stopping.is_set():
            number += 1
            path = f"/api/v1/entries/{number}" if number % 2 else "/api/v1/entries"
            try:
                if number % 2:
                    client.get(path, headers={"signature": "x" * 4_000})
                else:
                    client.post(path, content=bytes(60_000))
            except httpx.HTTPError:
                continue


@pytest.mark.slow
def test_honest_records_become_final_under_a_flood_and_memory_stays_bounded(tmp_path: Path) -> None:
    world = make_world()
    node = Node.start(make_served_home(world, tmp_path / "home"))
    stopping = threading.Event()
    hostile = [Signing(world.keys["h1"].system), None]
    url = node.client.url
    threads = [threading.Thread(target=flood, args=(url, who, stopping)) for who in hostile]
    try:
        before = memory_kb(node)
        for thread in threads:
            thread.start()
        end = time.monotonic() + FLOOD_S
        done = 0
        with NodeClient(url, world.keys["h1"].officer) as honest:
            while time.monotonic() < end or done < 3:
                try:
                    answer = honest.submit(world.access(seq=done + 1))
                except AllianceError as error:
                    pytest.fail(f"an honest record was refused: {error}")
                assert answer["status"] == "published"
                done += 1
        assert memory_kb(node) - before < GROWTH_KB
    finally:
        stopping.set()
        for thread in threads:
            thread.join(10)
        assert node.stop() == 0
