"""Puts a node together: `create_app(config)` for any ASGI server, `serve(config)` for the usual
one.
"""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from ledger.chain import Applied, check_genesis
from ledger.crypto import verify
from ledger.errors import ConfigError, StorageError, ensure
from node.api import Api
from node.clock import Clock
from node.config import Config, check_listening, load_names, write_private
from node.connections import MAX_CONNECTIONS, bounded_protocol
from node.driver import Driver
from node.keyring import Keyring, load_keyring, settle_keys
from node.links import Links
from node.peers import create_peer_app
from node.replication import Replication
from node.store import Store
from node.tls import tls_of
from node.vault import Vault, open_vault
from node.web import Pages

YOUNG: Final = 10_000
"""New values between two looks of the garbage collector."""
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
NOT_STARTED: Final = 3
"""Exit code of a server that could not listen, as uvicorn has it."""
PEER_KEEP_S: Final = 60
"""Connections of other members stay open between their heartbeats."""


def read_genesis(config: Config) -> tuple[Applied, bytes]:
    """Block 0 of the home directory, checked. Raises `ConfigError` (O1.file), `ProofError` (L*)."""
    try:
        bundle = config.genesis_file.read_bytes()
    except OSError:
        raise ConfigError("O1.file", file="genesis") from None
    return check_genesis(bundle, verify), bundle


def _check_begins(keyring: Keyring, genesis: Applied) -> None:
    """Whether a node whose database is lost can begin with nothing: not where it decides by itself,
    and nobody tells what it has decided. Raises `StorageError` (O2.lost).
    """
    found = keyring.find(genesis.tip.config)
    if found is not None and genesis.tip.config.n == 1:
        raise StorageError("O2.lost", org=found[1].org)


def open_driver(config: Config, clock: Clock | None = None) -> Driver:
    """Open everything that a node needs; it takes entries after `start`.

    Raises `ConfigError` (O1, O2.locked, C*), `StorageError` (O2, O3) or what the genesis breaks.
    """
    genesis, bundle = read_genesis(config)
    keyring = load_keyring(config)
    keyring.check(genesis.tip.config)
    spoken = config.spoken_file.exists()
    if spoken and not config.database_file.exists():
        _check_begins(keyring, genesis)  # before there is one that stands in the way of a copy
    store = Store.open(config.database_file)
    try:
        if store.is_new() and spoken:
            # The keys have spoken, and what they said is lost (consensus.md 2.12).
            _check_begins(keyring, genesis)
            store.doubt()
        driver = Driver(config, keyring, genesis, bundle, store, clock)
        keyring.check(driver.final.tip.config)
        settle_keys(config, keyring, driver.final.tip.config)
        if not spoken:
            write_private(config.spoken_file, b"")
    except BaseException:
        store.close()
        raise
    return driver


def create_app(config: Config, clock: Clock | None = None) -> FastAPI:
    """One node as an application. It is open from now on, works while the application runs.

    With other members it also listens for them, on its own address, while the application runs.
    """
    check_listening(config, config.host)
    if config.peer_host:
        check_listening(config, config.peer_host)
    names = load_names(config)
    driver = open_driver(config, clock)
    vault = _open_vault(config, driver)
    trust = config.home / config.tls_trust if config.tls_trust else None
    links = Links(dial_out=config.dial_out, trust=trust)
    driver.connect(links)

    api = Api(driver, vault)
    replication = Replication(driver, links, api.payloads, api.forgetting, api.readings)
    api.wake = replication.wake
    api.payloads.fetch = replication.fetch
    api.payloads.names = names
    api.payloads.want = replication.want
    api.payloads.catch_up = api.forgetting.catch_up = replication.catch_up

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with _listening(config, create_peer_app(driver, links, api.payloads)):
            # What the chain says was erased is erased before anything is served.
            await run_in_threadpool(replication.catch_up)
            driver.start()
            replication.start()
            links.start(driver.deliver, driver.genesis.seal.leaf)
            try:
                yield
            finally:
                # The others are still heard and told: what was taken in can become final.
                await run_in_threadpool(replication.stop)
                await run_in_threadpool(driver.stop)
                await run_in_threadpool(links.stop)
                vault.close()

    app = FastAPI(
        title="alliance chain node", lifespan=lifespan, openapi_url=None, redirect_slashes=False
    )
    app.state.driver = driver
    app.state.links = links
    app.state.vault = vault
    app.state.forgetting = api.forgetting
    api.install(app)
    Pages(api).install(app)
    return app


def _open_vault(config: Config, driver: Driver) -> Vault:
    try:
        return open_vault(config)
    except BaseException:
        driver.store.close()
        raise


class _PeerServer(uvicorn.Server):
    """A second server beside the one that the process belongs to: it minds no signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for the first server."""
        yield


@asynccontextmanager
async def _listening(config: Config, app: ASGIApp) -> AsyncIterator[None]:
    """Be reachable for other members, where that is wanted."""
    if not config.peer_host:
        yield
        return
    server = _PeerServer(
        _bounded(
            config,
            app,
            config.peer_host,
            config.peer_port,
            lifespan="off",
            ws="none",
            timeout_keep_alive=PEER_KEEP_S,
            timeout_graceful_shutdown=1,
        )
    )
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _bounded(config: Config, app: ASGIApp, host: str, port: int, **settings: Any) -> uvicorn.Config:
    """What both servers of a node hold to: bounded connections, TLS where there is any, and no word
    of their own in logs and headers.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=bounded_protocol(),
        limit_concurrency=MAX_CONNECTIONS,
        **tls_of(config, host),
        proxy_headers=False,
        server_header=False,
        log_config=None,
        access_log=False,
        **settings,
    )


class _Server(uvicorn.Server):
    """The first server: when it is to end, the writer is told before anybody is waited for, so that
    callers in the middle of a request have their answer.
    """

    def __init__(self, config: uvicorn.Config, driver: Driver) -> None:
        super().__init__(config)
        self._driver = driver

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Connections end with their requests."""
        self._driver.begin_to_stop()
        await super().shutdown(sockets)


def _check_free(host: str, port: int) -> None:
    """Raises `ConfigError` (O1.port) where nobody could listen."""
    try:
        # Of the two addresses of `localhost`, the one of IPv6 is not on every machine.
        address = "127.0.0.1" if host == "localhost" else host
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as probe:
            # As the server itself does: connections that have ended hold no port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError:
        raise ConfigError("O1.port", host=host, port=port) from None


def _open_to_serve(config: Config) -> FastAPI:
    """The application, where it can be reached. Raises as `create_app`, or `ConfigError` (O1.port).

    The database comes first: of two nodes of one home, that is what the second one must hear.
    """
    app = create_app(config)
    try:
        _check_free(config.host, config.port)
        if config.peer_host:
            _check_free(config.peer_host, config.peer_port)
    except ConfigError:
        app.state.vault.close()
        app.state.links.stop()
        app.state.driver.stop()
        raise
    return app


def serve(config: Config, started: Callable[[], None] = lambda: None) -> None:
    """Run a node until it is told to stop (SIGINT, SIGTERM): then what was taken in is finished.
    `started` is told when nothing stands in its way any more.

    Raises `InvariantError` when a mistake of ours stopped it, so that whoever started it notices,
    and as `create_app`, or `ConfigError` (O1.port).
    """
    app = _open_to_serve(config)
    started()
    driver: Driver = app.state.driver
    driver.on_broken = lambda: os.kill(os.getpid(), signal.SIGTERM)
    # The chain so far stays in memory for good: the garbage collector need not look at it again.
    gc.collect()
    gc.freeze()
    # A block of entries is thousands of values without a cycle: a look every 700 finds nothing.
    gc.set_threshold(YOUNG)
    # uvicorn raises the signal once more when it has stopped: a graceful stop is no failure.
    previous = {number: signal.signal(number, _stopped) for number in STOP_SIGNALS}
    try:
        server = _Server(
            _bounded(
                config,
                app,
                config.host,
                config.port,
                timeout_graceful_shutdown=max(1, config.stop_ms // 1000),
            ),
            driver,
        )
        server.run()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    ensure(not driver.broken, "the writer ends when it is told to")
    if not server.started:
        sys.exit(NOT_STARTED)


def _stopped(_number: int, _frame: FrameType | None) -> None:
    """The node has stopped already."""


def rebuild(config: Config) -> Iterator[int]:
    """Make every derived row of the database again from its blocks; yields each height.

    Raises `ConfigError` (O2.locked), `StorageError` (O2, O3), or `ProofError` for a block that does
    not hold.
    """
    genesis, bundle = read_genesis(config)
    store = Store.open(config.database_file)
    try:
        yield from store.rebuild(genesis, bundle, verify)
    finally:
        store.close()
