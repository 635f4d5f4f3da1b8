"""The routes over the ASGI transport: statuses, limits, and receipts that a stranger can verify."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ledger.crypto import verify
from ledger.encoding import b64url, decode_bundle, encode_bundle, unb64url
from ledger.errors import AllianceError
from ledger.merkle import tiles_of, tree_hash
from ledger.notes import decode_checkpoint, decode_note
from ledger.records import decode_entry
from ledger.records.schemas import schema_of
from ledger.verify import (
    BlockReceipt,
    Receipt,
    SealProof,
    StateProof,
    verify_block_receipt,
    verify_head,
    verify_receipt,
    verify_state_proof,
    verify_subject_log,
)
from node import api
from node.api import BUNDLE_TYPE
from node.driver import Driver
from node.main import create_app
from node.problems import STATUS
from tests.support.node import make_config, make_home, serving, signed_headers
from tests.support.world import World, make_world

ONE = {"content-type": "application/cose"}
MANY = {"content-type": BUNDLE_TYPE}
Test = Callable[[httpx.AsyncClient], Awaitable[None]]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world()


@pytest.fixture
def home(tmp_path: Path, world: World) -> Path:
    return make_home(world, tmp_path / "home")


def run(
    home: Path, test: Test, prepare: Callable[[Driver], None] | None = None, **settings: Any
) -> None:
    async def main() -> None:
        async with serving(make_config(home, **settings), prepare) as client:
            await test(client)

    asyncio.run(main())


async def post(client: httpx.AsyncClient, *raws: bytes) -> dict[str, Any]:
    response = await client.post("/api/v1/entries", content=encode_bundle(raws), headers=MANY)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def problem(response: httpx.Response, status: int, rule: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["rule"] == rule
    assert body["status"] == status == STATUS[body["code"]]
    error = AllianceError(rule, **body["facts"])
    assert body["detail"] == error.sentence("en")
    assert body["detail_zh"] == error.sentence("zh")
    assert body["next"]
    assert body["next_zh"]


def test_one_entry_is_answered_with_its_receipt(home: Path, world: World) -> None:
    raw = world.access(seq=1)

    async def test(client: httpx.AsyncClient) -> None:
        first = await client.post("/api/v1/entries", content=raw, headers=ONE)
        assert first.status_code == 201
        answer = first.json()
        assert answer["status"] == "published"
        receipt = msgspec.convert(answer["receipt"], Receipt)
        verified = verify_receipt(receipt, world.genesis.tip, verify)
        assert verified.entry.raw == raw
        assert (verified.index, verified.height) == (answer["index"], answer["height"]) == (3, 1)
        assert verified.findings == ("NO_PERMIT", "UNREGISTERED") == tuple(answer["findings"])
        again = await client.post("/api/v1/entries", content=raw, headers=ONE)
        assert again.status_code == 200
        assert again.json() == answer
        entry = decode_entry(raw)
        names = (entry.record.id, b64url(entry.leaf), entry.leaf.hex(), "3")
        for name in names:
            found = await client.get(f"/api/v1/entries/{name}")
            assert found.json() == answer
        assert msgspec.json.encode(answer["record"]) == entry.statement.payload

    run(home, test)


def test_a_bundle_is_answered_with_results_and_one_receipt_per_block(
    home: Path, world: World
) -> None:
    raws = world.accesses(40)
    bad = raws[5][:-1] + bytes([raws[5][-1] ^ 1])

    async def test(client: httpx.AsyncClient) -> None:
        await post(client, raws[39])
        answer = await post(client, *raws[:5], bad, *raws[6:], b"junk")
        results = answer["results"]
        status = [result["status"] for result in results]
        assert status == ["published"] * 5 + ["refused"] + ["published"] * 34 + ["refused"]
        assert results[5]["problem"]["rule"] == "S3.signature"
        assert results[5]["id"] == decode_entry(raws[5]).record.id
        assert results[40]["id"] is None
        receipts = [msgspec.convert(item, BlockReceipt) for item in answer["receipts"]]
        assert len(receipts) == 2
        proven: dict[str, int] = {}
        for receipt in receipts:
            seal, _ = verify_block_receipt(receipt, world.genesis.tip)
            start = seal.seal.start
            proven.update({leaf: start + at for at, leaf in enumerate(receipt.leaves)})
        for raw, result in zip([*raws[:5], bad, *raws[6:]], results[:40], strict=True):
            if result["status"] == "published":
                assert result["leaf"] == b64url(decode_entry(raw).leaf)
                assert proven[result["leaf"]] == result["index"]

    run(home, test)


def test_older_entries_keep_their_receipts(home: Path, world: World) -> None:
    raws = world.accesses(30)

    async def test(client: httpx.AsyncClient) -> None:
        for at in range(0, 30, 10):
            await post(client, *raws[at : at + 10])
        for index in (0, 1, 3, 12, 14, 23, 33):
            answer = (await client.get(f"/api/v1/entries/{index}")).json()
            receipt = msgspec.convert(answer["receipt"], Receipt)
            verified = verify_receipt(receipt, world.genesis.tip, verify)
            assert verified.index == index
            assert verified.head.checkpoint.size == 36
        seal = (await client.get("/api/v1/entries/13")).json()
        assert seal["type"] == "seal"

    run(home, test)


def test_statuses_of_refused_entries(home: Path, world: World) -> None:
    good = world.access(seq=9)
    same_id = world.access(seq=10, id=decode_entry(good).record.id)

    async def test(client: httpx.AsyncClient) -> None:
        async def one(raw: bytes) -> httpx.Response:
            return await client.post("/api/v1/entries", content=raw, headers=ONE)

        assert (await one(good)).status_code == 201
        problem(await one(same_id), 409, "S6")
        problem(await one(b"junk"), 400, "B1.tag")
        problem(await one(good[:-1]), 400, "B1.signature")
        problem(await one(good[:-1] + bytes([good[-1] ^ 1])), 403, "S3.signature")
        problem(await one(world.access(seq=11, chain=b64url(bytes(16)))), 422, "S12")
        problem(await one(bytes(65_536)), 413, "S10")
        assert (await one(world.access(seq=12))).status_code == 201

    run(home, test)


def test_requests_that_are_not_taken(home: Path, world: World) -> None:
    raws = world.accesses(1)

    async def cut() -> AsyncIterator[bytes]:
        yield raws[0][:100]

    async def test(client: httpx.AsyncClient) -> None:
        path = "/api/v1/entries"
        bundle = encode_bundle(raws)
        problem(await client.post(path, content=raws[0]), 400, "O5.type")
        problem(await client.post(path, content=b"", headers=MANY), 400, "O5.count")
        problem(await client.post(path, content=bundle[:-1], headers=MANY), 400, "B8")
        many = encode_bundle([b"x"] * 1001)
        problem(await client.post(path, content=many, headers=MANY), 400, "O5.count")
        problem(await client.post(path, content=bytes(70_000), headers=MANY), 413, "O5.large")
        stated = {**MANY, "content-length": str(len(bundle))}
        problem(await client.post(path, content=cut(), headers=stated), 400, "O5.truncated")
        too_much = {**ONE, "content-length": str(1 << 40)}
        problem(await client.post(path, content=cut(), headers=too_much), 413, "O5.large")
        problem(await client.get("/health", headers={"host": "evil.example"}), 422, "O5.host")
        problem(await client.get("/nowhere"), 404, "O6.route")
        assert (await client.get("/health")).json()["size"] == 3

    run(home, test, max_request_bytes=66_000)


def test_a_disconnected_request_records_nothing(home: Path, world: World) -> None:
    """The connection breaks in the middle of the body: what came of it is forgotten."""
    app = create_app(make_config(home))
    raw = world.access(seq=1)
    messages = [
        {"type": "http.request", "body": raw[:200], "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    async def main() -> None:
        async with app.router.lifespan_context(app):
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/api/v1/entries",
                "raw_path": b"/api/v1/entries",
                "query_string": b"",
                "headers": signed_headers(home, "POST", "/api/v1/entries", raw),
                "http_version": "1.1",
                "scheme": "http",
                "server": ("127.0.0.1", 80),
                "client": ("127.0.0.1", 9),
            }
            await app(scope, receive, send)
            assert app.state.driver.view.tip.size == 3

    asyncio.run(main())
    assert sent[0]["status"] == 400


def test_busy_slow_and_full(home: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "KEEP_S", 0.2)
    raws = world.accesses(6)

    async def test(client: httpx.AsyncClient) -> None:
        driver: Driver = client._transport.app.state.driver  # type: ignore[attr-defined]
        batch = driver._batch
        driver._batch = lambda _taken: None  # type: ignore[method-assign,assignment]  # never gets to it
        slow = await client.post("/api/v1/entries", content=raws[0], headers=ONE)
        # 202 is a promise, and nothing is on the disk.
        problem(slow, 503, "O4.late")
        late = await client.post("/api/v1/entries", content=encode_bundle(raws[1:3]), headers=MANY)
        problem(late, 503, "O4.late")
        busy = await client.post("/api/v1/entries", content=encode_bundle(raws[3:]), headers=MANY)
        problem(busy, 503, "O4.queue")
        assert busy.headers["retry-after"] == "1"
        driver._batch = batch  # type: ignore[method-assign]
        with driver._intake.wake:
            driver._intake.pending = 0

    run(home, test, wait_ms=200, max_pending_entries=4)


def test_a_full_disk_answers_507(home: Path, world: World) -> None:
    raws = world.accesses(300)

    async def test(client: httpx.AsyncClient) -> None:
        driver: Driver = client._transport.app.state.driver  # type: ignore[attr-defined]
        answer = await post(client, *raws)
        assert {result["problem"]["rule"] for result in answer["results"]} == {"O3.full"}
        one = await client.post("/api/v1/entries", content=raws[0], headers=ONE)
        if one.status_code != 201:
            problem(one, 507, "O3.full")
            assert (await client.get("/health")).json()["status"] == "storage-failing"
        with driver.store.transaction():
            driver.store._connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        answer = await post(client, *raws)
        assert {result["status"] for result in answer["results"]} == {"published"}

    def fill(driver: Driver) -> None:
        with driver.store.transaction():
            read = driver.store._connection.exec_driver_sql
            count = read("PRAGMA page_count").scalar() or 0
            read(f"PRAGMA max_page_count = {count}")

    run(home, test, fill)


def test_state_with_proof(home: Path, world: World) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        await post(client, *world.accesses(3))
        for key, present in (
            ("member/h1", True),
            ("member/h2", False),
            ("source/h1/gateway", True),
        ):
            answer = (await client.get(f"/api/v1/state/{key}")).json()
            note = decode_note(answer["checkpoint"].encode())
            head = verify_head(note, msgspec.convert(answer["head"], SealProof), world.genesis.tip)
            proof = msgspec.convert(answer["state"], StateProof)
            assert proof.key == key
            assert (verify_state_proof(proof, head) is not None) is present

    run(home, test)


def test_subject_logs_are_complete(home: Path, world: World) -> None:
    raws = [
        *world.accesses(20),
        world.batch(30, first_seq=500),
        world.batch(5, first_seq=900, system="b"),
    ]

    async def test(client: httpx.AsyncClient) -> None:
        await post(client, *raws[:11])
        await post(client, *raws[11:])
        counts = {
            "dataset:D3": 4, "person:ext:idash:7": 2, "source:gateway": 1, "source:b": 1,
            "org:h1": 24, "alliance": 2,
        }  # fmt: skip
        for subject, count in counts.items():
            response = await client.get(f"/api/v1/subjects/{subject}")
            assert response.status_code == 200, response.text
            answer = response.json()
            note = decode_note(answer["checkpoint"].encode())
            head = verify_head(note, msgspec.convert(answer["head"], SealProof), world.genesis.tip)
            leaves = [unb64url(leaf) for leaf in answer["leaves"]]
            verify_subject_log(leaves, msgspec.convert(answer["state"], StateProof), head)
            assert len(leaves) == len(answer["indexes"]) == count, subject
        problem(await client.get("/api/v1/subjects/dataset:none"), 404, "O6")

    run(home, test)


def test_tiles_give_the_tree(home: Path, world: World) -> None:
    raws = world.accesses(600)

    async def test(client: httpx.AsyncClient) -> None:
        await post(client, *raws[:300])
        await post(client, *raws[300:])
        note = decode_note((await client.get("/checkpoint")).content)
        head = decode_checkpoint(note.text)
        assert head.size == 605
        leaves, entries = [], []
        for tile in tiles_of(head.size):
            response = await client.get(f"/{tile.path}")
            assert response.status_code == 200, tile.path
            if tile.level == -1:
                entries += decode_bundle(response.content)
            elif tile.level == 0:
                data = response.content
                leaves += [data[at : at + 32] for at in range(0, len(data), 32)]
        assert tree_hash(leaves) == head.root
        assert raws[0] in entries
        assert len(entries) == 605
        for path in (
            "tile/0/002.p/94",
            "tile/0/003",
            "tile/1/000",
            "tile/0/2",
            "tile/9/000",
            "tile/64/000",
        ):
            problem(await client.get(f"/{path}"), 404, "O6")

    run(home, test)


def test_blocks_are_served_as_they_lie_on_disk(home: Path, world: World) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        await post(client, *world.accesses(3))
        data = (await client.get("/blocks?from=0&limit=2")).content
        first = int.from_bytes(data[:4], "big")
        assert data[4 : 4 + first] == world.bundle == (await client.get("/genesis")).content
        assert (await client.get("/blocks?from=2")).content == b""
        problem(await client.get("/blocks?limit=1000"), 400, "Q2")

    run(home, test)


def test_summary_health_and_metrics(home: Path, world: World) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        await post(client, *world.accesses(3), world.batch(10, first_seq=50))
        summary = (await client.get("/api/v1/summary")).json()
        assert summary["types"] == {
            "access": 3, "access-batch": 1, "founder-acceptance": 1, "genesis": 1, "seal": 2,
        }  # fmt: skip
        assert summary["findings"] == {"NO_PERMIT": 4, "UNREGISTERED": 4}
        health = (await client.get("/health")).json()
        assert (health["status"], health["size"], health["height"]) == ("ok", 8, 1)
        metrics = (await client.get("/metrics")).text
        assert "alliance_entries_total 4\n" in metrics
        assert "alliance_fsyncs_total 2\n" in metrics

    run(home, test)


def test_schemas_of_records(home: Path) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/v1/schemas/review")
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.content == schema_of("review")
        assert (await client.get("/api/v1/schemas/unheard")).status_code == 404

    run(home, test)


def test_a_mistake_of_ours_says_nothing_about_itself(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        driver: Driver = client._transport.app.state.driver  # type: ignore[attr-defined]
        view, driver._heads.published = driver.view, object()  # type: ignore[assignment]
        response = await client.get("/checkpoint")
        driver._heads.published = view
        assert response.status_code == 500
        assert response.json()["rule"] == "O9"
        assert "NoneType" not in response.text

    run(home, test)
    assert "mistake" in caplog.messages
