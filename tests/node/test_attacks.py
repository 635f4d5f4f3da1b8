"""Attacks on a running node, by a member with valid keys or by anybody who reaches its port."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.encoding import b64url, encode_bundle
from ledger.records.envelope import Ref
from ledger.records.use import CorrectionBody, Source
from ledger.rulebook import RULES
from node import api
from node.driver import Driver, Published
from node.store import Queries
from tests.ledger.test_rules_structure import access
from tests.node.test_api import MANY, ONE, problem, run
from tests.support.node import make_config, make_home, running, signed_headers
from tests.support.world import World, make_world


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
def home(tmp_path: Path, world: World) -> Path:
    return make_home(world, tmp_path / "home")


def published(driver: Driver, *raws: bytes) -> list[Published]:
    """Record entries, all of which must be admitted."""
    outcomes = driver.submit(raws).result(30)
    for outcome in outcomes:
        assert isinstance(outcome, Published), outcome
    return outcomes  # type: ignore[return-value]


class Reads:
    """Counts the blocks that a driver decodes."""

    def __init__(self, driver: Driver) -> None:
        self.heights: list[int] = []
        self._block = driver.store.block
        driver.store.block = self._read  # type: ignore[method-assign]

    def _read(self, height: int) -> Any:  # noqa: ANN401
        self.heights.append(height)
        return self._block(height)


# --- work ---


def test_a_record_that_names_many_others_reads_no_old_block(home: Path, world: World) -> None:
    """Hundreds of references in one record would read hundreds of old blocks, on every node."""
    with running(make_config(home)) as driver:
        leaves: list[str] = []
        for number in range(30):
            raws = world.accesses(4, first_seq=1 + 4 * number)
            leaves += [b64url(item.entry.leaf) for item in published(driver, *raws)]
        refs = tuple(Ref(leaf=leaf, rel="basis") for leaf in leaves)
        raw = world.record(
            "access", access(source=Source(seq=1, system="x")), by="system", refs=refs
        )
        reads = Reads(driver)
        published(driver, raw)
        assert reads.heights == []


def test_corrections_of_one_old_block_read_it_once(home: Path, world: World) -> None:
    with running(make_config(home)) as driver:
        first = published(driver, *world.accesses(40))
        leaves = [item.entry.leaf for item in first]
        resolved = driver.store.history().find_leaves(leaves)
        assert list(resolved) == leaves
        raws = [
            world.record(
                "correction",
                CorrectionBody(field_path="x", new_value="y", reason_code="x", target=b64url(leaf)),
                resolved=resolved,
            )
            for leaf in leaves
        ]
        reads = Reads(driver)
        published(driver, *raws)
        # Once to check, once to index.
        assert reads.heights == [1, 1]


def test_nothing_refers_to_seals(home: Path, world: World) -> None:
    with running(make_config(home)) as driver:
        published(driver, *world.accesses(2))
        published(driver, *world.accesses(2, first_seq=9))
        store = driver.store
        seals = [store.tree.leaf(index) for index in (2, 5, 8)]
        records = [store.tree.leaf(index) for index in (0, 3, 7)]
        history = store.history()
        assert set(history.known_leaves(seals + records)) == set(records)
        assert set(history.find_leaves(seals + records)) == set(records)
        assert set(store.history(4).known_leaves(records)) == set(records[:2])


def test_entries_that_came_to_nothing_leave_nothing_in_memory(home: Path, world: World) -> None:
    """Repeated and conflicting entries were verified, too: what was remembered is forgotten."""
    with running(make_config(home)) as driver:
        raw = world.access(seq=1)
        published(driver, raw)
        published(driver, raw)
        entry = driver.store.entry(3)
        assert entry == raw
        own = published(driver, raw)[0].entry.record.id
        for number in range(5):
            outcome = driver.submit([world.access(seq=50 + number, id=own)]).result(30)[0]
            assert getattr(outcome, "rule", "") == "S6"
        pair = [
            world.access(seq=70, id=own[:-4] + "ffff"),
            world.access(seq=71, id=own[:-4] + "ffff"),
        ]
        kinds = [type(outcome).__name__ for outcome in driver.submit(pair).result(30)]
        assert kinds == ["Published", "ConflictError"]
        assert driver.admission.signatures._known == {}


# --- requests ---


async def ask(
    client: httpx.AsyncClient, home: Path, path: str, headers: Sequence[tuple[bytes, bytes]] = ()
) -> httpx.Response:
    """A request with these very headers, passed to the application as they are."""
    app = client._transport.app  # type: ignore[attr-defined]
    sent: list[dict[str, Any]] = []
    inbox = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return inbox.pop(0) if inbox else {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401
        sent.append(message)

    method = "POST" if b"content-type" in dict(headers) else "GET"
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": signed_headers(home, method, path, b"x" if method == "POST" else b"", headers),
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 9),
    }
    # Starlette sends the answer, and raises what it answered for.
    with suppress(Exception):
        await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=body)


def test_stated_lengths_that_are_no_numbers(home: Path) -> None:
    """Digits of other scripts, and more of them than Python reads."""

    async def test(client: httpx.AsyncClient) -> None:
        for stated in (b"\xb2", b"\xb9\xb2", b"9" * 5_000, b"-1", b"1e3", b"+1", b"\xbd", b""):
            headers = [(b"content-type", b"application/cose"), (b"content-length", stated)]
            response = await ask(client, home, "/api/v1/entries", headers)
            assert response.status_code in (400, 413), (stated, response.text)
            assert response.json()["rule"] in RULES

    run(home, test)


def test_hosts_that_are_not_this_machine(home: Path) -> None:
    async def test(client: httpx.AsyncClient) -> None:
        for host in (
            b"evil.example", b"evil.example:80", b"", b"localhost.evil.example", b"127.0.0.1.evil",
            b"evil.example@127.0.0.1", b"127.0.0.1@evil.example", b"[::1].evil", b"localhost:[",
            b"localhost:80/x", b"localhost:#", b"localhost:?", b"[::1", b"::1", b"127.0.0.1:\xb2",
            b"localhost:80:80", b" localhost", b"localhost ", b"127.1", b"0.0.0.0", b"localhost:",
            b"localhost:999999", b"localhost\n",
        ):  # fmt: skip
            response = await ask(client, home, "/tile/0/000", [(b"host", host)])
            assert response.status_code == 422, (host, response.text)
            assert response.json()["rule"] == "O5.host"
        for host in (b"localhost", b"LOCALHOST:8470", b"127.0.0.1:1", b"[::1]", b"[::1]:8470"):
            assert (await ask(client, home, "/checkpoint", [(b"host", host)])).status_code == 200
        twice = [(b"host", b"evil.example"), (b"host", b"localhost")]
        assert (await ask(client, home, "/checkpoint", twice)).status_code == 422

    run(home, test)


def test_paths_of_any_kind_are_answered(home: Path) -> None:
    paths = (
        "/api/v1/entries/%00", "/api/v1/entries/٣", "/api/v1/entries/²", "/api/v1/entries/-1",
        "/api/v1/entries/9999999999999999", "/api/v1/entries/" + "9" * 5_000,
        "/api/v1/entries/" + "a" * 43, "/api/v1/entries/" + " " * 64, "/api/v1/entries/" + "é" * 36,
        "/api/v1/state/member/h1%00", "/api/v1/state/%00/%00", "/api/v1/state/nothing/x",
        "/api/v1/state/member/h1%2Fx", "/api/v1/state/subject/%F0%9F%98%80",
        "/api/v1/state/member/" + "x" * 60_000, "/api/v1/subjects/%00", "/api/v1/subjects/:",
        "/api/v1/subjects/dataset:", "/api/v1/subjects/permit:x", "/api/v1/subjects/" + "x" * 9_000,
        "/tile/0/x001/000", "/tile/entries/000.p/٣", "/tile/99/000", "/tile/0/" + "x999/" * 900,
        "/tile/entries/../../genesis", "/tile/%2e%2e/%2e%2e/etc/passwd", "/tile/0/000%00",
        "/blocks?from=-1", "/blocks?from=٣", "/blocks?from=1e3", "/blocks?limit=0",
        "/blocks?from=99999999999999999999", "/blocks?limit=" + "9" * 5_000,
    )  # fmt: skip

    async def test(client: httpx.AsyncClient) -> None:
        for path in paths:
            response = await client.get(path)
            assert response.status_code in (200, 400, 404), (path[:60], response.text)
            if response.status_code != 200:
                assert response.json()["rule"] in RULES

    run(home, test)


def test_questions_of_any_kind_are_answered(home: Path, world: World) -> None:
    def cursor(text: bytes) -> str:
        return b64url(text)

    questions = [
        {"after": after}
        for after in (
            "", "=", "AA", "é", "A" * 9_000, cursor(b"[]"), cursor(b"[" * 5_000), cursor(b"{}"),
            cursor(b'["index",0,null,1]'), cursor(b'["index",0,1,"x"]'), cursor(b'["at",0,1,1]'),
            cursor(b'["index",0,9007199254740993,1]'), cursor(b'["index",0,1.5,1]'),
            cursor(b'["index",0,"x",1]'), cursor(b'["index",0,true,true]'),
            cursor(b'["index",0,-9007199254740991,-9007199254740991]'), cursor(b"\xff"),
            cursor(b'["index",1,1,1]'),
        )
    ]  # fmt: skip
    questions += [
        {"seq": "٣"}, {"seq": "-1"}, {"seq": "9" * 17}, {"seq": "9" * 5_000}, {"seq": ""},
        {"limit": "0"}, {"limit": "1001"}, {"limit": "٣"}, {"from": "2026-13-01"},
        {"from": "9" * 16, "to": "0"}, {"from": "9999-12-31T23:59:59.999Z"}, {"to": "x"},
        {"request": "٣"}, {"request": "²"}, {"request": "/"}, {"request": "a/²"},
        {"request": "gateway/" + "9" * 5_000}, {"request": "9" * 16}, {"sort": "--at"},
        {"sort": "a.id; DROP TABLE access"}, {"dataset": "'; DROP TABLE access; --"},
        {"dataset": "\x00"}, {"dataset": "x" * 50_000}, {"finding": "NO_PERMIT,UNREGISTERED"},
        {"finding": ""}, {"nothing": "1"}, {"count": "x"}, {"org": "h1", "sort": "finding"},
    ]  # fmt: skip

    async def test(client: httpx.AsyncClient) -> None:
        raws = encode_bundle(world.accesses(10))
        await client.post("/api/v1/entries", content=raws, headers=MANY)
        for question in questions:
            response = await client.get("/api/v1/accesses", params=question)
            assert response.status_code in (200, 400), (question, response.text)
            if response.status_code == 400:
                assert response.json()["rule"] in ("Q1", "Q2", "Q3", "Q4", "Q5")
        twice = await client.get("/api/v1/accesses?seq=1&seq=2")
        problem(twice, 400, "Q2")
        assert len((await client.get("/api/v1/accesses")).json()["rows"]) == 10

    run(home, test)


def test_one_id_with_two_contents_at_the_same_time(home: Path, world: World) -> None:
    """One of them is recorded, the other is a conflict; both again say the same."""
    raws = [world.access(seq=n, id="00000000-0000-7000-8000-00000000000a") for n in range(1, 9)]

    async def test(client: httpx.AsyncClient) -> None:
        async def post(raw: bytes) -> int:
            response = await client.post("/api/v1/entries", content=raw, headers=ONE)
            return response.status_code

        codes = await asyncio.gather(*map(post, raws))
        assert sorted(codes) == [201] + [409] * 7
        again = await asyncio.gather(*map(post, raws))
        assert [200 if code == 201 else code for code in codes] == again
        assert (await client.get("/api/v1/summary")).json()["types"]["access"] == 1

    run(home, test)


def test_subjects_of_odd_names_stay_complete(home: Path, world: World) -> None:
    """Whatever a source names, the index gives the list that the state proves."""
    names = ["a", "a@1", "a@1@2", "a@", "@", "@a", "a b", "数据", "a/b", "a:b", "dataset:a", "A"]
    raws = [
        world.access(seq=number, dataset=name, person=name, system=name.replace("@", "-") or "x")
        for number, name in enumerate(names, 1)
    ]

    async def test(client: httpx.AsyncClient) -> None:
        await client.post("/api/v1/entries", content=encode_bundle(raws), headers=MANY)
        for name in names:
            for kind in ("dataset", "person"):
                quoted = httpx.URL("http://x/").copy_with(path=f"/api/v1/subjects/{kind}:{name}")
                response = await client.get(quoted.raw_path.decode())
                assert response.status_code == 200, (kind, name, response.text)
        assert len((await client.get("/api/v1/subjects/dataset:a")).json()["leaves"]) == 4

    run(home, test)


def test_questions_while_words_are_added(home: Path, world: World) -> None:
    """The words of a column grow under the hands of whoever reads them."""
    with running(make_config(home)) as driver:
        published(driver, *world.accesses(5))
        words = driver.store.terms.kind("dataset")
        words.update({f"X{number}": 0 for number in range(1_000)})

        class Growing(str):
            """A name that adds a word whenever it is compared."""

            __slots__ = ()

            def startswith(self, *args: Any) -> bool:
                words[f"Y{len(words)}"] = 0
                return str.startswith(self, *args)

        words[Growing("D1@x")] = 0
        assert Queries(driver.store)._of_dataset("D1")


def test_a_page_of_large_blocks_is_short(
    home: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-four blocks of the largest size would be half a gigabyte for each who asks."""
    monkeypatch.setattr(api, "PAGE_BYTES", 2_000)

    async def test(client: httpx.AsyncClient) -> None:
        for number in range(5):
            await client.post("/api/v1/entries", content=world.access(seq=number + 1), headers=ONE)
        heights, first = [], 0
        while data := (await client.get(f"/blocks?from={first}")).content:
            count = at = 0
            while at < len(data):
                for _part in range(3):
                    at += 4 + int.from_bytes(data[at : at + 4], "big")
                count += 1
            heights.append(count)
            first += count
        assert first == 6
        assert len(heights) > 1

    run(home, test)
