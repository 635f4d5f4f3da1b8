"""A node in this process: a home directory made of a world, its driver, and an HTTP client to its
application.
"""

import secrets
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from ledger.crypto import Signer, encrypt_private_key, load_private_key
from node.client import Signing
from node.clock import Clock
from node.config import Config
from node.driver import Driver
from node.httpsig import NO_BODY, Request, sign_request
from node.main import create_app, open_driver
from node.roster import Peer, Role
from tests.support.world import World

PASSPHRASE = b"for tests only"


@contextmanager
def database_at(path: Path) -> Iterator[sqlite3.Connection]:
    """The database of a node that does not run, to be looked at or damaged."""
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def make_home(world: World, home: Path, org: str | None = None) -> Path:
    """The files of a node's home directory."""
    keys = home / "keys"
    keys.mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    (home / "genesis").write_bytes(world.bundle)
    for role in ("node", "log", "cosigner"):
        path = keys / f"{role}.pem"
        signer = getattr(world.keys[org or world.org], role)
        path.write_bytes(encrypt_private_key(signer, PASSPHRASE))
        path.chmod(0o600)
    secret = keys / "passphrase"
    secret.write_bytes(PASSPHRASE)
    secret.chmod(0o600)
    return home


def node_signer(home: Path) -> Signer:
    """The node key of a home directory of `make_home`: whoever holds it may read everything."""
    return load_private_key((home / "keys" / "node.pem").read_bytes(), PASSPHRASE)


def signed_headers(
    home: Path,
    method: str,
    path: str,
    body: bytes = b"",
    given: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/cose"),),
) -> list[tuple[bytes, bytes]]:
    """The header fields of a signed request that a test passes to an application by itself."""
    fields = {name: value.decode("latin-1") for name, value in given}
    host = fields.get(b"host", "127.0.0.1")
    kind = fields.get(b"content-type", NO_BODY)
    request = Request(method, host, path, "?", kind, body)
    now_s = int(time.time())
    signature = sign_request(request, node_signer(home), now_s, secrets.token_bytes(16))
    signature.pop("content-type")
    return [
        *([] if b"host" in fields else [(b"host", host.encode("latin-1"))]),
        *([] if b"content-type" in fields else [(b"content-type", kind.encode())]),
        *given,
        *((name.encode(), value.encode()) for name, value in signature.items()),
    ]


def make_config(home: Path, **settings: Any) -> Config:
    """The configuration of a home directory of `make_home`."""
    return Config(home=home, passphrase=PASSPHRASE, **settings)


class FakeTime:
    """Wall and monotonic time that stand still until told otherwise."""

    def __init__(self, now_ms: int) -> None:
        self.wall_ms = now_ms
        self.monotonic_ms = 0

    def clock(self, floor_ms: int = 0) -> Clock:
        """A node's clock on this time; every reading takes a millisecond."""
        return Clock(floor_ms, lambda: self.wall_ms, self._tick)

    def _tick(self) -> int:
        self.monotonic_ms += 1
        return self.monotonic_ms


def peer_of(org: str, role: Role = "member") -> Peer:
    """Another node, as the one under test knows it."""
    return Peer(org, org, role)


@contextmanager
def running(config: Config, clock: Clock | None = None) -> Iterator[Driver]:
    """A driver at work, stopped at the end."""
    driver = open_driver(config, clock)
    driver.start()
    try:
        yield driver
    finally:
        driver.stop()


@asynccontextmanager
async def serving(
    config: Config,
    prepare: Callable[[Driver], None] | None = None,
    signer: Signer | None = None,
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client to a node over the ASGI transport, by default in the name of its member."""
    app = create_app(config)
    if prepare is not None:
        prepare(app.state.driver)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport,
            base_url="http://127.0.0.1",
            auth=Signing(signer or node_signer(config.home)),
        ) as client,
    ):
        yield client
