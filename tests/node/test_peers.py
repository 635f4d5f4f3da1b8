"""What a node's address for the others takes for its own (SPEC 11.1, 13.1)."""

import asyncio
import secrets
import time
from pathlib import Path

import httpx
import pytest

from node.config import Config
from node.httpsig import Request, sign_request
from node.links import Links
from node.main import open_driver
from node.peers import create_peer_app
from node.wire import EXCHANGE_PATH, EXCHANGE_TYPE, Exchange, encode_exchange
from tests.support.node import make_config, make_home
from tests.support.world import World, make_world

AUTHOR = "h2"


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(("h1", AUTHOR))


def answers(world: World, config: Config, *authorities: str) -> list[str]:
    """The rule by which a member's request is refused that it signed for each authority, and that
    somebody brings here; empty when it is answered.
    """
    driver = open_driver(config)
    links = Links(dial_out=False)
    driver.connect(links)
    app = create_peer_app(driver, links, None)  # type: ignore[arg-type]
    body = encode_exchange(Exchange(v=1, pin=world.genesis.seal.leaf))

    async def ask(authority: str) -> str:
        request = Request("POST", authority, EXCHANGE_PATH, "?", EXCHANGE_TYPE, body)
        signer = world.keys[AUTHOR].node
        headers = sign_request(request, signer, int(time.time()), secrets.token_bytes(16))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport) as client:
            url = f"http://{authority}{EXCHANGE_PATH}"
            answer = await client.post(url, content=body, headers=headers)
        return "" if answer.status_code == 200 else str(answer.json()["rule"])

    async def main() -> list[str]:
        return [await ask(authority) for authority in authorities]

    try:
        return asyncio.run(main())
    finally:
        driver.store.close()


def test_what_was_signed_for_another_node_is_none_for_this_one(
    world: World, tmp_path: Path
) -> None:
    """A hostile member brings here what another one signed for it, and wants the answer."""
    home = make_home(world, tmp_path / "h1", "h1")
    listening = {"peer_host": "10.0.0.1", "peer_port": 8471, "names": ("node.h1.example:8471",)}
    asked = ("10.0.0.1:8471", "Node.h1.example:8471", "10.0.0.4:8471", "127.0.0.1:8471")
    found = answers(world, make_config(home, **listening), *asked)
    assert found == ["", "", "O5.host", "O5.host"]
    near = make_config(home, peer_host="127.0.0.1", peer_port=8471)
    assert answers(world, near, "127.0.0.1:1", "10.0.0.4:8471") == ["", "O5.host"]
    behind = make_config(
        home, peer_host="127.0.0.1", peer_port=8471, proxies=("127.0.0.1",), names=("h1.example",)
    )
    assert answers(world, behind, "h1.example", "127.0.0.1:8471") == ["", "O5.host"]
