"""A node in this process: a home directory made of a world, its driver, and an HTTP client to its
application.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx

from ledger.crypto import encrypt_private_key
from node.clock import Clock
from node.config import Config
from node.driver import Driver
from node.main import create_app, open_driver
from tests.support.world import World

PASSPHRASE = b"for tests only"


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
    config: Config, prepare: Callable[[Driver], None] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client to a node over the ASGI transport."""
    app = create_app(config)
    if prepare is not None:
        prepare(app.state.driver)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client
