"""A home directory made by `alliance init`, a node serving it in this process, and the command as
people call it.
"""

import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import uvicorn
from fastapi import FastAPI

from cli.main import main
from cli.screen import set_explain, set_json, set_language
from node.config import load_config
from node.main import create_app
from node.tls import tls_of
from tests.support.process import free_port

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "idash2018"


class Result(NamedTuple):
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str
    data: bytes = b""

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The result of a command that was asked for JSON."""
        assert self.code == 0, self.err
        return msgspec.json.decode(self.out)


Alliance = Callable[..., Result]


def call(*words: str | Path) -> Result:
    """Run `alliance` with these words in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main([str(word) for word in words])
        out.flush()
    data = out.buffer.getvalue()  # type: ignore[attr-defined]
    return Result(code, data.decode(errors="replace"), err.getvalue(), data)


class Chain(NamedTuple):
    """A home directory and its node."""

    home: Path
    url: str

    def __call__(self, *words: str | Path) -> Result:
        """Run a command against this home."""
        return call(*words, "--home", self.home)

    def json(self, *words: str | Path) -> Any:  # noqa: ANN401
        """The JSON result of a command, which must succeed."""
        return self(*words, "--json").json


@contextmanager
def serving(home: Path) -> Iterator[FastAPI]:
    """The node of a home directory, in a thread."""
    config = load_config(home)
    app = create_app(config)
    settings = uvicorn.Config(
        app,
        host=config.host,
        port=config.port,
        log_level="error",
        ws="none",
        **tls_of(config, config.host),
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the node did not start"
            assert time.monotonic() < deadline, "the node did not start"
            time.sleep(0.02)
        yield app
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def make_chain(home: Path) -> Iterator[Chain]:
    """A new chain of one member, `h1`, with its node at work."""
    port = free_port()
    made = call("init", "--org", "h1", "--port", str(port), "--home", home)
    assert made.code == 0, made.err
    with serving(home):
        yield Chain(home, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """One chain for all tests of a module: they must not mind each other's records."""
    with make_chain(tmp_path_factory.mktemp("chain") / "home") as made:
        yield made


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """English, no passphrase, no home of somebody else's, nobody at the terminal."""
    for name in list(os.environ):
        if name.startswith("ALLIANCE_") or name in ("LC_ALL", "LC_MESSAGES", "LANG"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    # What a command was told stays in this thread, and is not for the next test.
    set_language(None)
    set_json(False)
    set_explain(False)


def log_file(path: Path, count: int, node: int = 1) -> Path:
    """A log in the form of the competition's, of `count` lines; the same arguments give the same
    bytes.
    """
    names = ("REQ_RESOURCE", "VIEW_RESOURCE", "FILE_ACCESS", "SHARE")
    lines = (
        f"{1_522_000_000_000 + 7 * seq}\t{node}\t{seq}\t{seq - seq % 3 or 1}\t{seq % 5 + 1}"
        f"\t{names[seq % 4]}\tRES_{seq % 3}\r\n"
        for seq in range(1, count + 1)
    )
    path.write_bytes("".join(lines).encode())
    return path


@pytest.fixture(scope="session")
def idash() -> Path:
    """The folder of the real log; tests that need it are skipped without."""
    if not DATA.is_dir():
        pytest.skip("../shared/data/idash2018 is not on this machine")
    return DATA
