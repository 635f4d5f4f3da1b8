"""Who may ask a node for what: every route and every role, and everything that is not an author."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

import httpx
import pytest

from ledger.crypto import Signer, signer_from_seed
from ledger.encoding import b64url, encode_time
from ledger.errors import AuthenticationError, ForbiddenError, LimitError
from ledger.records.governance import KeyBody
from node.apikeys import SCOPES, ApiKeys, new_api_key
from node.client import Signing
from node.door import Door
from node.identity import ROLES, Identity, Role
from node.limits import BURST, MAX_ARRIVING_BYTES, MAX_AT_A_TIME, RATE_PER_S, Limits
from node.main import create_app
from node.permission import ROUTES, can_use, check_permission
from node.policy import can_read_subject
from tests.support.node import make_config, make_home
from tests.support.world import GENESIS_MS, World, describe_key, make_world, seed

ROLES_OF_KEYS = get_args(Role)
NOT_AFTER = "2099-12-31T00:00:00.000Z"
ONE = {"content-type": "application/cose"}
PATHS = {
    "GET /api/v1/entries/{name}": "/api/v1/entries/0",
    "GET /api/v1/state/{namespace}/{name:path}": "/api/v1/state/member/h1",
    "GET /api/v1/subjects/{name:path}": "/api/v1/subjects/dataset:GTEx",
    "GET /tile/{path:path}": "/tile/0/000.p/3",
}


class Stage(NamedTuple):
    """A node, and a key of each role that the chain names."""

    app: Any
    world: World
    signers: dict[str, Signer]

    def client(self, who: str | Signer | None) -> httpx.AsyncClient:
        """Asks in somebody's name; None is nobody's."""
        signer = self.signers[who] if isinstance(who, str) else who
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            auth=Signing(signer) if signer else None,
        )

    async def ask(self, who: str | Signer | None, route: str, **options: Any) -> httpx.Response:
        """One request for a route."""
        method, path = route.split(" ")
        async with self.client(who) as client:
            return await client.request(method, PATHS.get(route, path), **options)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(("h1", "h2"))


def description(
    world: World, signer: Signer, capacity: str, org: str = "h1", **fields: Any
) -> KeyBody:
    """Registers a key."""
    key = describe_key(
        signer, capacity=capacity, chain=world.genesis.tip.chain, org=org,
        subject=f"{capacity}-1", valid_from=encode_time(GENESIS_MS), **fields,
    )  # fmt: skip
    return KeyBody(action="register", key=key, kid=b64url(signer.kid))


@asynccontextmanager
async def staged(home: Path) -> AsyncIterator[Stage]:
    """A node of one member with a key of every role."""
    world = make_world()
    make_home(world, home)
    app = create_app(make_config(home))
    keys = world.keys["h1"]
    signers: dict[str, Signer] = {
        "node": keys.node, "officer": keys.officer, "committee": keys.committee,
        "system": keys.system,
    }  # fmt: skip
    async with app.router.lifespan_context(app):
        stage = Stage(app, world, signers)
        for capacity, role in ROLES.items():
            if role in signers:
                continue
            signers[role] = signer_from_seed(seed("role", role))
            raw = world.record(
                "key", description(world, signers[role], capacity), not_after=NOT_AFTER
            )
            answer = await stage.ask("officer", "POST /api/v1/entries", content=raw, headers=ONE)
            assert answer.status_code == 201, answer.text
        yield stage


def run(home: Path, test: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with staged(home / "home") as stage:
            await test(stage)

    asyncio.run(main())


def rule(answer: httpx.Response) -> tuple[int, str]:
    found: str = answer.json()["rule"]
    return answer.status_code, found


# --- the table --------------------------------------------------------------------------------


def test_every_route_of_a_node_stands_in_the_table(tmp_path: Path) -> None:
    home = make_home(make_world(), tmp_path / "home")
    app = create_app(make_config(home))
    app.state.driver.store.close()
    app.state.vault.close()
    routes = {
        f"{method} {route.path}" for route in app.routes for method in route.methods - {"HEAD"}
    }
    assert routes == set(ROUTES)


def test_a_route_that_nobody_decided_on_is_not_put_up(tmp_path: Path) -> None:
    home = make_home(make_world(), tmp_path / "home")
    app = create_app(make_config(home))
    app.state.driver.store.close()
    app.state.vault.close()

    async def handler(_request: Any) -> Any:  # noqa: ANN401
        return None

    with pytest.raises(Exception, match="nobody decided who may use GET /secrets"):
        Door(app.state.driver).guard("GET /secrets", handler)


def test_every_role_gets_what_the_table_says_and_no_more(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        assert set(stage.signers) == set(ROLES_OF_KEYS)
        for route, access in ROUTES.items():
            for role in ROLES_OF_KEYS:
                body = {"content": b"x", "headers": ONE} if route.startswith("POST") else {}
                answer = await stage.ask(role, route, **body)
                if role in access.roles:
                    assert answer.status_code in (200, 201, 400, 404), (route, role, answer.text)
                else:
                    assert rule(answer) == (403, "P1"), (route, role)

    run(tmp_path, test)


def test_without_an_author_only_open_routes_answer_and_say_little(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        opened = set()
        for route, access in ROUTES.items():
            answer = await stage.ask(None, route)
            if answer.status_code == 200:
                opened.add(route)
            elif access.is_open:
                assert rule(answer) == (400, "O5.type"), route
            else:
                assert rule(answer) == (401, "P8" if access.page else "H1"), route
                assert "www-authenticate" in answer.headers
        assert opened == {"GET /health", "GET /genesis", "GET /login"}
        health = (await stage.ask(None, "GET /health")).json()
        assert set(health) == {"status", "time_ms"}
        assert "org" in (await stage.ask("auditor", "GET /health")).json()

    run(tmp_path, test)


def test_whoever_is_not_on_the_chain_is_nobody(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        keys = stage.world.keys["h1"]
        strangers = [signer_from_seed(seed("stranger")), keys.log, keys.cosigner]
        for stranger in strangers:
            for route in ROUTES:
                answer = await stage.ask(stranger, route)
                assert rule(answer) == (401, "H5"), route

    run(tmp_path, test)


def test_a_revoked_key_asks_nothing_and_an_expired_one_hands_in_only(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        brief = signer_from_seed(seed("brief"))
        until = encode_time(GENESIS_MS + 3_600_000)
        body = description(stage.world, brief, "system", valid_until=until)
        revoked = KeyBody(action="revoke", kid=b64url(stage.signers["checker"].kid))
        for change in (body, revoked):
            raw = stage.world.record("key", change, not_after=NOT_AFTER)
            assert (await stage.ask("officer", "POST /api/v1/entries", content=raw, headers=ONE)
                    ).status_code == 201  # fmt: skip
        assert rule(await stage.ask("checker", "GET /checkpoint")) == (401, "H5")
        assert rule(await stage.ask(brief, "GET /checkpoint")) == (403, "P2")
        handed = await stage.ask(brief, "POST /api/v1/entries", content=b"x", headers=ONE)
        assert handed.status_code == 400

    run(tmp_path, test)


def test_a_person_is_read_about_by_those_who_oversee_and_by_herself() -> None:
    def reader(role: Role, subject: str = "x") -> Identity:
        return Identity("k", "h1", subject, role)

    assert not can_read_subject(reader("researcher"), "person:p7")
    assert not can_read_subject(reader("system"), "person:p7")
    assert can_read_subject(reader("researcher", "p7"), "person:p7")
    assert can_read_subject(reader("researcher"), "dataset:D")
    assert can_read_subject(reader("auditor"), "person:p7")


def test_the_log_of_a_person_is_no_way_around(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        async with stage.client("researcher") as client:
            for path in ("/api/v1/subjects/person:p7", "/api/v1/state/subject/person:p7"):
                assert rule(await client.get(path)) == (403, "P6")
            assert (await client.get("/api/v1/subjects/person:self-1")).status_code == 404

    run(tmp_path, test)


def test_a_report_on_a_person_is_for_that_person_and_its_officers(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        path = "/api/v1/reports/person"
        async with stage.client("researcher") as client:
            assert rule(await client.get(path, params={"pid": "p7"})) == (403, "P6")
            assert (await client.get(path, params={"pid": "self-1"})).status_code == 404
        async with stage.client("officer") as client:
            assert (await client.get(path, params={"pid": "p7"})).status_code == 404
        async with stage.client("auditor") as client:
            assert rule(await client.get(path, params={"pid": "p7"})) == (403, "P1")

    run(tmp_path, test)


def test_what_the_vault_misses_is_for_whom_the_vault_is(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        for role, found in (("officer", 0), ("auditor", 0), ("committee", None)):
            async with stage.client(role) as client:
                answer = await client.get("/api/v1/reports/copies")
                assert answer.json()["facts"]["missing_payloads"] == found, role

    run(tmp_path, test)


def test_what_is_the_organisations_own_is_for_its_people() -> None:
    other = Identity("k", "h2", "x", "officer")
    with pytest.raises(ForbiddenError, match="P4"):
        check_permission(other, "GET /metrics", "h1")
    assert can_use(other, "GET /checkpoint", "h1")


# --- the way ----------------------------------------------------------------------------------


def test_a_body_that_was_not_signed_is_not_read_as_one(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        class Forger(Signing):
            def _sign(self, request: httpx.Request) -> None:
                super()._sign(request)
                request.stream = httpx.ByteStream(b"other body")
                request.headers["content-length"] = "10"

        raw = stage.world.access(seq=1)
        async with stage.client("system") as client:
            forged = await client.post(
                "/api/v1/entries", content=raw, headers=ONE, auth=Forger(stage.signers["system"])
            )
            assert rule(forged) == (401, "H4")

    run(tmp_path, test)


def test_a_request_is_for_one_node_and_one_time(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        async with stage.client(None) as client:
            request = client.build_request("GET", "/checkpoint")
            Signing(stage.signers["officer"])._sign(request)
            assert (await client.send(request)).status_code == 200
            assert rule(await client.send(request)) == (401, "H3")
            elsewhere = client.build_request("GET", "/checkpoint", headers={"host": "h2.example"})
            Signing(stage.signers["officer"])._sign(elsewhere)
            elsewhere.headers["host"] = "127.0.0.1"
            assert rule(await client.send(elsewhere)) == (401, "H6")
            twice = client.build_request("GET", "/checkpoint")
            Signing(stage.signers["officer"])._sign(twice)
            twice.headers = httpx.Headers([*twice.headers.raw, (b"content-type", b"x/y")])
            assert rule(await client.send(twice)) == (401, "H1")

    run(tmp_path, test)


def test_a_clock_that_is_wrong_is_told_and_set(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        auth = Signing(stage.signers["officer"])
        auth._ahead_s = -4_000
        async with stage.client(None) as client:
            answer = await client.get("/checkpoint", auth=auth)
            assert answer.status_code == 200
            assert abs(auth._ahead_s) <= 1
            again = await client.get("/checkpoint", auth=auth)
            assert again.status_code == 200

    run(tmp_path, test)


# --- API keys ---------------------------------------------------------------------------------


@pytest.fixture
def api_keys(tmp_path: Path) -> ApiKeys:
    (tmp_path / "keys").mkdir(mode=0o700)
    return ApiKeys(tmp_path / "keys" / "apikeys")


def test_an_api_key_is_known_by_its_hash_until_its_end(api_keys: ApiKeys) -> None:
    key, secret = new_api_key("k" * 22, ("read",), 1_000, 1, bytes(range(40)))
    api_keys.add(key)
    assert api_keys.path.stat().st_mode & 0o077 == 0
    assert secret.partition(".")[2].encode() not in api_keys.path.read_bytes()
    assert api_keys.find(secret, 1_000) == key
    wrong = secret[:-1] + ("A" if secret[-1] != "A" else "E")
    for given, now_s in ((wrong, 1_000), (secret, 1_000 + 86_400), ("", 1_000), ("alk_x.y", 1_000),
                         (secret + "A", 1_000), (secret[:-1] + "B", 1_000)):  # fmt: skip
        with pytest.raises(AuthenticationError, match="P5"):
            api_keys.find(given, now_s)
    assert api_keys.revoke(key.id, 2_000).revoked_s == 2_000
    with pytest.raises(AuthenticationError, match="P5"):
        api_keys.find(secret, 1_000)


def test_an_api_key_is_one_system_within_its_scopes(tmp_path: Path) -> None:
    async def test(stage: Stage) -> None:
        keys: ApiKeys = ApiKeys(tmp_path / "home" / "keys" / "apikeys")
        kid = b64url(stage.signers["system"].kid)
        for number, scope in enumerate(SCOPES):
            key, secret = new_api_key(kid, (scope,), 0, 36_500, bytes([number]) * 40)
            keys.add(key)
            async with stage.client(None) as client:
                for route, access in ROUTES.items():
                    method, path = route.split(" ")
                    bearer = {"authorization": f"Bearer {secret}", **ONE}
                    answer = await client.request(method, PATHS.get(route, path), headers=bearer)
                    if "system" not in access.roles:
                        assert rule(answer) == (403, "P1"), route
                    elif access.scope != scope:
                        assert rule(answer) == (403, "P3"), route
                    else:
                        assert answer.status_code in (200, 400, 404), (route, answer.text)

    run(tmp_path, test)


# --- limits -----------------------------------------------------------------------------------


def test_one_author_cannot_take_what_belongs_to_all() -> None:
    limits = Limits()
    for _ in range(BURST):
        with limits.request("hostile", 10.0):
            pass
    with pytest.raises(LimitError, match="H11"), limits.request("hostile", 10.0):
        pass
    with limits.request("honest", 10.0):
        pass
    for _ in range(RATE_PER_S):
        with limits.request("hostile", 11.0):
            pass
    with pytest.raises(LimitError, match="H11"), limits.request("hostile", 11.0):
        pass


def test_requests_at_a_time_and_bytes_on_their_way_are_bounded() -> None:
    limits = Limits()
    held = [limits.request("hostile", 0.0) for _ in range(MAX_AT_A_TIME)]
    for item in held:
        item.__enter__()
    with pytest.raises(LimitError, match="H12"), limits.request("hostile", 0.0):
        pass
    for item in held:
        item.__exit__(None, None, None)
    with limits.request("hostile", 0.0):
        pass
    half = MAX_ARRIVING_BYTES // 2
    with limits.body("hostile") as body, limits.body("honest") as other:
        body.add(half)
        with pytest.raises(LimitError, match="H13"):
            body.add(1)
        other.add(half - 1)
        with limits.body("third") as third, pytest.raises(Exception, match=r"O4\.bodies"):
            third.add(2)
    with limits.body("hostile") as body:
        body.add(half)
