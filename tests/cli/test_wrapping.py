"""`alliance run wrap`: what ran is on the record with its inputs, its outputs and its true end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.interface import Alliance
from ledger.encoding import decode_time
from tests.cli.conftest import Chain, Result, call, make_chain, serving
from tests.cli.test_rights import chain_digest

WORK = """
import sys
rows = open(sys.argv[1]).read().splitlines()
open(sys.argv[2], "w").write(f"{len(rows)}\\n")
print("rows counted")
print("a warning", file=sys.stderr)
sys.exit(int(sys.argv[3]))
"""
LIMIT_S = 60


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with make_chain(tmp_path_factory.mktemp("wrap") / "home") as chain:
        (chain.home.parent / "rows.csv").write_text("id,sofa\n1,7\n")
        (chain.home.parent / "work.py").write_text(WORK)
        chain.json("dataset", "register", "SEPSIS", "--openness", "conditional")
        chain.json("version", "register", "SEPSIS", "1", chain.home.parent / "rows.csv")
        yield chain


def wrap(chain: Chain, code: int, *options: str | Path) -> tuple[Result, Path]:
    """The small analysis under the wrapper, and the file that it makes."""
    folder = chain.home.parent
    out = folder / f"count-{code}.txt"
    words = ("--dataset", f"SEPSIS@1={folder / 'rows.csv'}", "--output", out, *options)
    ran = (sys.executable, folder / "work.py", folder / "rows.csv", out, str(code))
    return call("run", "wrap", *words, "--home", chain.home, "--", *ran), out


def recorded(chain: Chain, err: str) -> Any:  # noqa: ANN401
    """The body of the record that a wrapper told of."""
    (leaf,) = (line.split()[-1] for line in err.splitlines() if line.startswith("Leaf hash"))
    with Alliance(chain.home) as alliance:
        return alliance._session.entry(leaf).entry.record.body


@pytest.mark.parametrize(("code", "state"), [(0, "completed"), (3, "failed")])
def test_a_run_is_recorded_as_it_went(
    chain: Chain, capfd: pytest.CaptureFixture[str], code: int, state: str
) -> None:
    before = time.time_ns() // 1_000_000
    result, out = wrap(chain, code)
    assert result.code == code
    said = capfd.readouterr()
    # The command has both streams for itself; the wrapper speaks on the second.
    assert (said.out, said.err, result.out) == ("rows counted\n", "a warning\n", "")
    body = recorded(chain, result.err)
    assert (body.state, body.exit_code) == (state, code)
    assert before <= decode_time(body.started) <= decode_time(body.ended)
    (used,) = body.used
    rows = chain_digest(chain.home.parent / "rows.csv")
    assert (used.kind, used.name, used.digest) == ("dataset", "SEPSIS@1", rows)
    assert body.generated == (chain_digest(out),)
    assert body.code_digest == chain_digest(chain.home.parent / "work.py")
    assert (body.compute_node, body.job.namespace) == ("h1", "local")


def test_other_content_than_registered_is_not_run_on(chain: Chain, tmp_path: Path) -> None:
    other = tmp_path / "rows.csv"
    other.write_text("id,sofa\n1,8\n")
    ran = (sys.executable, "-c", "raise SystemExit('must not run')")
    result = call("run", "wrap", "--dataset", f"SEPSIS@1={other}", "--home", chain.home, "--", *ran)
    assert (result.code, "X5.content" in result.err) == (13, True)


def test_a_program_that_is_not_there_is_no_run(chain: Chain) -> None:
    result = call("run", "wrap", "--home", chain.home, "--", "no-such-program")
    assert (result.code, "X1.program" in result.err) == (14, True)


def test_directories_are_inputs_and_outputs(chain: Chain, tmp_path: Path) -> None:
    source, made = tmp_path / "in", tmp_path / "out"
    (source / "a").mkdir(parents=True)
    made.mkdir()
    (source / "a" / "1.txt").write_text("1")
    (source / "2.txt").write_text("2")
    (made / "x.txt").write_text("x")
    (made / "y.txt").write_text("y")
    words = ("--input", source, "--output", made, "--output", tmp_path / "absent", "--run", "R-9")
    result = call("run", "wrap", *words, "--home", chain.home, "--", "true")
    assert (result.code, "absent" in result.err) == (0, True)
    body = recorded(chain, result.err)
    assert (body.run_id, len(body.generated)) == ("R-9", 2)
    (used,) = body.used
    assert (used.kind, used.digest) == ("file", chain_digest(source))
    # A directory that was moved is still the same.
    source.rename(tmp_path / "elsewhere")
    assert chain_digest(tmp_path / "elsewhere") == used.digest


def test_a_run_goes_on_while_the_node_is_down(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with make_chain(home) as chain:
        assert call("run", "wrap", "--home", chain.home, "--", "true").code == 0
    result = call("run", "wrap", "--home", home, "--json", "--", "false")
    assert (result.code, '"status": "waiting"' in result.err) == (1, True)
    with serving(home):
        (sent,) = Chain(home, "").json("outbox", "send")
        with Alliance(home) as alliance:
            body = alliance._session.entry(sent["id"]).entry.record.body
    assert (body.state, body.exit_code) == ("failed", 1)


WAITS = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(600)"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_is_recorded(
    chain: Chain, tmp_path: Path, number: signal.Signals
) -> None:
    mark = tmp_path / "at-work"
    words = ("run", "wrap", "--home", chain.home, "--run", f"R-{number}", "--")
    wrapper = subprocess.Popen(
        [sys.executable, "-m", "cli", *words, sys.executable, "-c", WAITS, mark],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    end = time.monotonic() + LIMIT_S
    while not mark.exists():
        assert time.monotonic() < end
        assert wrapper.poll() is None
        time.sleep(0.02)
    try:
        wrapper.send_signal(number)
        if number is signal.SIGKILL:
            wrapper.wait(LIMIT_S)
            # Nobody saw how it ended: what is known is that it began.
            (sent,) = chain.json("outbox", "send")
            with Alliance(chain.home) as alliance:
                body = alliance._session.entry(sent["id"]).entry.record.body
            assert (body.state, body.ended, body.exit_code) == ("started", None, None)
        else:
            _out, err = wrapper.communicate(timeout=LIMIT_S)
            assert wrapper.returncode == 128 + number
            body = recorded(chain, err.decode())
            assert (body.state, body.exit_code) == ("aborted", 128 + number)
            assert decode_time(body.ended) >= decode_time(body.started)
    finally:
        try:
            os.killpg(wrapper.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        assert wrapper.stderr is not None
        wrapper.stderr.close()
