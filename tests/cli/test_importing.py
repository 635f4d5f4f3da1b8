"""Import: every line once, whatever happens; bad files leave nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI

from cli.idash import read_lines, sign_line
from cli.options import Place
from cli.session import Session
from ledger.encoding import b64url
from ledger.errors import BusyError
from node.driver import Outcome
from tests.cli.conftest import Chain, call, log_file, make_chain, serving
from tests.support.process import free_port


def test_lines_become_accesses_in_order(chain: Chain, tmp_path: Path) -> None:
    path = log_file(tmp_path / "node1.tsv", 1_203, node=1)
    done = chain.json("import", "idash", path, "--as", "plain")
    assert (done["lines"], done["new"], done["known"]) == (1_203, 1_203, 0)
    assert done["findings"] == {"BACKFILLED": 1203, "NO_PERMIT": 1203, "UNREGISTERED": 1203}
    rows = chain.json("accesses", "--system", "plain-1", "--sort", "index", "--all")["rows"]
    lines = list(read_lines(path))
    assert [row["seq"] for row in rows] == [line.seq for line in lines]
    assert [row["dataset"] for row in rows] == [line.resource for line in lines]
    with Session(Place(chain.home, None, None, "system")) as session:
        author = session.author
    leaves = [b64url(sign_line(author, line, "plain").leaf) for line in lines]
    assert [row["leaf"] for row in rows] == leaves


def test_again_makes_no_duplicates(chain: Chain, tmp_path: Path) -> None:
    path = log_file(tmp_path / "node2.tsv", 300, node=2)
    first = chain.json("import", "idash", path)
    again = chain.json("import", "idash", path)
    assert (again["new"], again["known"]) == (0, 300)
    assert (again["first"], again["last"]) == (first["first"], first["last"])
    longer = log_file(tmp_path / "node2.tsv", 350, node=2)
    more = chain.json("import", "idash", longer)
    assert (more["new"], more["known"]) == (50, 300)
    assert "350 lines: 0 newly recorded" in chain("import", "idash", longer).out
    assert "先前已记录 350 行" in chain("import", "idash", longer, "--lang", "zh").out


def test_a_bad_line_stops_before_anything_is_sent(chain: Chain, tmp_path: Path) -> None:
    good, bad = log_file(tmp_path / "a.tsv", 50, node=3), log_file(tmp_path / "b.tsv", 50, node=4)
    bad.write_bytes(bad.read_bytes().replace(b"\t49\t", b"\t49\t\t"))
    for lang, words in (("en", "b.tsv, line 49"), ("zh", "b.tsv 第 49 行")):
        result = chain("import", "idash", good, bad, "--lang", lang)
        assert result.code == 10
        assert words in result.err
    assert chain.json("accesses", "--system", "idash-3")["rows"] == []


def test_a_refused_line_is_named(chain: Chain, tmp_path: Path) -> None:
    path = log_file(tmp_path / "node5.tsv", 20, node=5)
    # Eleven digits that look like a mobile number: the guard of personal data refuses them.
    path.write_bytes(path.read_bytes().replace(b"\t17\t15\t3\t", b"\t17\t15\t13812345678\t"))
    result = chain("import", "idash", path)
    assert result.code == 12
    assert "line 17" in result.err
    assert "S8" in result.err


def test_a_changed_line_is_another_record_and_shows(chain: Chain, tmp_path: Path) -> None:
    path = log_file(tmp_path / "node6.tsv", 10, node=6)
    chain.json("import", "idash", path)
    path.write_bytes(path.read_bytes().replace(b"\t7\t6\t", b"\t7\t7\t"))
    result = chain("import", "idash", path)
    # Same source number and time, another content: nobody may claim both.
    assert result.code == 12
    assert "S6" in result.err


@pytest.mark.parametrize("name", ["--help", "absent.tsv"])
def test_files_must_be_there(chain: Chain, tmp_path: Path, name: str) -> None:
    if name == "--help":
        assert call("import", "idash", name).code == 0
        return
    assert chain("import", "idash", tmp_path / name).code == 18


@contextmanager
def taking(app: FastAPI, requests: int) -> Iterator[Callable[[], None]]:
    """A node that answers so many requests and lets the next ones wait until told to go on: what
    comes in between is in the middle of an import, however slow this machine is.
    """
    driver = app.state.driver
    submit, held = driver.submit, []
    left = iter(range(requests))

    def take(raws: Sequence[bytes]) -> "Future[list[Outcome]]":
        if next(left, None) is not None:
            return submit(raws)
        held.append(Future())
        return held[-1]

    def go_on() -> None:
        driver.submit = submit
        while held:
            future = held.pop()
            if future.set_running_or_notify_cancel():
                future.set_exception(BusyError("O4.stopping"))

    driver.submit = take
    try:
        yield go_on
    finally:
        go_on()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_import_goes_on_without_duplicates(
    tmp_path: Path, sent: signal.Signals
) -> None:
    path = log_file(tmp_path / "node1.tsv", 6_000)
    port = free_port()
    assert call("init", "--org", "h1", "--port", str(port), "--home", tmp_path / "home").code == 0
    with serving(tmp_path / "home") as app, taking(app, requests=2) as go_on:
        chain = Chain(tmp_path / "home", f"http://127.0.0.1:{port}")
        words = [sys.executable, "-m", "cli", "import", "idash", str(path)]
        process = subprocess.Popen(
            [*words, "--home", str(chain.home)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "ALLIANCE_LANG": "en"},
        )
        receipts = chain.home / "receipts"
        deadline = time.monotonic() + 300
        while not list(receipts.glob("block-*.json")):
            assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(sent)
        _out, err = process.communicate(timeout=300)
        if sent == signal.SIGINT:
            assert process.returncode == 130
            assert b"Interrupted" in err
            assert b"Traceback" not in err
        go_on()
        before = chain.json("node", "status")["types"].get("access", 0)
        assert 0 < before < 6_000
        done = chain.json("import", "idash", path)
        assert done["lines"] == done["new"] + done["known"] == 6_000
        assert done["known"] >= before
        assert chain.json("node", "status")["types"]["access"] == 6_000
        source = chain.json("state", "source", "h1/idash-1")["value"]
        assert (source["count"], source["last"]) == (6_000, 6_000)


def test_what_was_acknowledged_survives_a_restart(tmp_path: Path) -> None:
    path = log_file(tmp_path / "node1.tsv", 500)
    with make_chain(tmp_path / "home") as chain:
        first = chain.json("import", "idash", path)
    with serving(chain.home):
        again = chain.json("import", "idash", path)
    assert (again["known"], again["last"]) == (500, first["last"])
