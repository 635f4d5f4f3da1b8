"""The Python interface: real times and outcomes, also when the block raises, the node is down, or
the program dies in the middle.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.interface import Alliance, QueuedWarning
from cli.outbox import Outbox
from ledger.encoding import decode_time
from ledger.errors import (
    ConfigError,
    ConflictError,
    ForbiddenError,
    MalformedError,
    NotFoundError,
    RefusedError,
)
from node.client import UnreachableError
from tests.cli.conftest import Chain, call, serving
from tests.cli.test_lives import register
from tests.support.process import free_port


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory whose node is not running."""
    port, home = free_port(), tmp_path / "home"
    made = call("init", "--org", "h1", "--port", str(port), "--home", home)
    assert made.code == 0, made.err
    return home


def body_of(alliance: Alliance, use_id: str) -> tuple[int, Any]:
    """When a recorded use began, and its body, proven."""
    record = alliance._session.entry(use_id).entry.record
    return decode_time(record.at), record.body


@pytest.fixture
def alliance(chain: Chain) -> Iterator[Alliance]:
    with Alliance(chain.home, system=f"test-{time.monotonic_ns()}") as alliance:
        yield alliance


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_a_use_has_its_real_start_end_and_outcome(alliance: Alliance) -> None:
    before = now_ms()
    with alliance.use("GTEx", permit="P-1", person="ext:ward:17", purpose="DUO:0000042") as use:
        assert (use.status, use.number) == ("open", 1)
        time.sleep(0.05)
        use.count(1_234)
    assert use.recorded is not None
    began, body = body_of(alliance, use.recorded.id)
    ended = decode_time(body.ended)
    assert before <= began <= ended - 50 <= now_ms()
    assert (body.outcome, body.count_bucket, body.permit) == ("ok", "1000+", "P-1")
    assert (body.source.seq, body.dataset, body.channel) == (1, "GTEx", "api")
    assert use.status == "recorded"


@pytest.mark.parametrize(
    ("records", "bucket"),
    [
        (0, "0"),
        (1, "1-9"),
        (9, "1-9"),
        (10, "10-99"),
        (99, "10-99"),
        (100, "100-999"),
        (1_000, "1000+"),
    ],
)
def test_counts_are_kept_as_orders_of_magnitude(
    alliance: Alliance, records: int, bucket: str
) -> None:
    with alliance.use("GTEx") as use:
        use.count(records)
    assert use.recorded is not None
    assert body_of(alliance, use.recorded.id)[1].count_bucket == bucket


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError("bad"), "error"), (PermissionError("no"), "denied")]
)
def test_a_block_that_raises_is_recorded_too(
    alliance: Alliance, error: Exception, outcome: str
) -> None:
    with pytest.raises(type(error)) as raised, alliance.use("GTEx") as use:
        raise error
    assert raised.value is error
    assert use.recorded is not None
    assert body_of(alliance, use.recorded.id)[1].outcome == outcome


def test_the_block_may_know_better(alliance: Alliance) -> None:
    with alliance.use("GTEx") as use:
        use.outcome = "denied"
    assert use.recorded is not None
    assert body_of(alliance, use.recorded.id)[1].outcome == "denied"


def test_an_asynchronous_use(alliance: Alliance) -> None:
    async def work() -> str:
        async with alliance.use("GTEx") as use:
            await asyncio.sleep(0.01)
        assert use.recorded is not None
        return use.recorded.id

    assert body_of(alliance, asyncio.run(work()))[1].outcome == "ok"


def test_threads_share_it_and_numbers_are_given_out_once(alliance: Alliance) -> None:
    numbers: list[int | None] = []

    def work() -> None:
        for _ in range(5):
            with alliance.use("GTEx") as use:
                numbers.append(use.number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(filter(None, numbers)) == list(range(1, 21))
    source = alliance._session.source(alliance.system)
    assert source is not None
    assert (source.count, source.last) == (20, 20)


@pytest.mark.parametrize(
    ("fields", "error", "rule"),
    [
        ({"action": "steal"}, MalformedError, "X2"),
        ({"person": "ext:ward:13812345678"}, RefusedError, "S8"),
    ],
)
def test_words_that_no_ledger_takes_stop_the_use_before_it_begins(
    alliance: Alliance, fields: dict[str, str], error: type[Exception], rule: str
) -> None:
    with pytest.raises(error) as raised, alliance.use("GTEx", **fields):
        pytest.fail("the block must not run")
    assert raised.value.rule == rule  # type: ignore[attr-defined]
    with alliance.use("GTEx") as use:
        assert use.number == 1


def test_home_and_key_are_looked_for_at_once(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ConfigError, match=r"O1\.file"):
        Alliance(tmp_path / "nowhere")
    with pytest.raises(NotFoundError, match=r"X1\.key"):
        Alliance(home, key="nobody")


def test_nothing_is_used_where_the_node_was_never_seen(home: Path) -> None:
    with Alliance(home) as alliance, pytest.raises(UnreachableError), alliance.use("GTEx"):
        pytest.fail("the block must not run")


def test_uses_go_on_while_the_node_is_down(home: Path) -> None:
    with serving(home), Alliance(home) as alliance, alliance.use("GTEx"):
        pass
    with Alliance(home) as alliance:
        began = now_ms()
        for number in (2, 3):
            with pytest.warns(QueuedWarning), alliance.use("GTEx") as use:
                assert use.number == number
            assert (use.status, use.recorded) == ("waiting", None)
        ended = now_ms()
        assert alliance.waiting == 2
        assert call("outbox", "show", "--home", home, "--json").json == {
            "open": 0, "entry": 2, "refused": 0,
        }  # fmt: skip
        # The command line waits its turn: it gives out none of these numbers.
        assert call("access", "record", "--dataset", "D", "--activity", "Q", "--system", "python",
                    "--home", home).code == 19  # fmt: skip
        with serving(home):
            chain = Chain(home, "")
            row = chain.json("access", "record", "--dataset", "D", "--activity", "Q", "--system",
                             "python")  # fmt: skip
            sent = alliance.send()
            assert alliance.waiting == 0
            assert [one.error for one in sent] == [None, None]
            for one in sent:
                at, body = body_of(alliance, one.id)
                assert began <= at <= decode_time(body.ended) <= ended
            source = chain.json("state", "source", "h1/python")["value"]
            assert (source["count"], source["last"]) == (4, 4)
            assert body_of(alliance, row["id"])[1].source.seq == 4


DIES = """
import os, sys
from cli.interface import Alliance
with Alliance(sys.argv[1]) as alliance, alliance.use("GTEx", person="ext:ward:7"):
    print("in use", flush=True)
    sys.stdin.readline()
"""


def test_who_dies_in_the_middle_leaves_a_record(home: Path) -> None:
    with serving(home):
        process = subprocess.Popen(
            [sys.executable, "-c", DIES, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"in use\n"
        chain = Chain(home, "")
        # It is at work: nobody ends its use for it.
        assert chain.json("outbox", "send") == []
        assert chain.json("outbox", "show")["open"] == 1
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (sent,) = chain.json("outbox", "send")
        with Alliance(home) as alliance:
            _at, body = body_of(alliance, sent["id"])
            assert (body.outcome, body.ended, body.person) == ("unknown", None, "ext:ward:7")
            assert body.source.seq == 1
        assert chain.json("outbox", "show") == {"open": 0, "entry": 0, "refused": 0}
        assert chain.json("outbox", "send") == []


def test_what_died_after_signing_is_not_signed_again(home: Path) -> None:
    with serving(home), Alliance(home) as alliance:
        fields = {"action": "read", "activity": "A", "channel": "api", "dataset": "D"}
        begun = alliance._outbox.begin(alliance._session, alliance.system, fields, now_ms())
        left = begun.place.read_bytes()
        begun.end({"outcome": "ok"})
        begun.place.write_bytes(left)  # As if it had died before it removed this.
        (sent,) = alliance.send()
        assert body_of(alliance, sent.id)[1].outcome == "ok"
        assert Outbox(home).counts() == {"open": 0, "entry": 0, "refused": 0}


def test_a_refused_record_is_kept_and_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(home), Alliance(home) as alliance:
        refusal = ConflictError("S6", id="x")

        def refuse(_signed: object) -> None:
            raise refusal

        monkeypatch.setattr(alliance._session, "post", refuse)
        with pytest.raises(ConflictError), alliance.use("GTEx") as use:
            pass
        assert use.status == "refused"
        with pytest.raises(ValueError, match="mine") as raised, alliance.use("GTEx"):
            raise ValueError("mine")
        assert any("refused" in note for note in raised.value.__notes__)
        assert Outbox(home).counts()["refused"] == 2
        monkeypatch.undo()
        # A refused number was never recorded: the next use takes it, and there is no gap.
        with alliance.use("GTEx") as use:
            assert use.number == 1


def test_a_damaged_outbox_is_named(home: Path) -> None:
    with serving(home):
        outbox = Outbox(home)
        with outbox.alone():
            (outbox.folder / "0-0000000000000001.open").write_bytes(b"{")
        for lang, words in (("en", "0000000000000001.open"), ("zh", "0000000000000001.open")):
            result = call("outbox", "send", "--home", home, "--lang", lang)
            assert result.code == 10
            assert words in result.err


# --- runs and results ---


@pytest.fixture
def study(chain: Chain) -> str:
    """The number of a study that takes effect; each test has its own."""
    number, person = f"S-{time.monotonic_ns()}", secrets.token_hex(16)
    register(chain, f"k{person[:8]}", "self", person)
    design = chain.home / "design.txt"
    design.write_text("a cohort")
    words = ("--pi", f"h1={person}", "--from", "2026-01-01", "--until", "2030-12-31")
    written = chain.json("study", "register", number, *words, "--purpose", "care", "--design",
                         design)  # fmt: skip
    chain.json("endorse", written["leaf"], "--key", f"k{person[:8]}")
    return number


def test_a_run_and_its_result(alliance: Alliance, study: str, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    before = now_ms()
    with alliance.run("survival", permit="P-1", purpose="DUO:0000042") as run:
        run.used("GTEx")
        run.used("GTEx")
        table.write_text("auc\n0.8\n")
        run.made(table)
    assert run.recorded is not None
    _at, body = body_of(alliance, run.recorded.id)
    assert before <= decode_time(body.started) <= decode_time(body.ended) <= now_ms()
    assert (body.state, body.compute_node, body.job.name) == ("completed", "h1", "survival")
    assert (len(body.used), len(body.generated), body.permit) == (1, 1, "P-1")
    with alliance.result(study, study=study, kind="report", runs=[run]) as result:
        result.file(table)
    assert result.recorded is not None
    _at, made = body_of(alliance, result.recorded.id)
    assert (made.generated_by, made.files[0].digest) == ((run.leaf,), body.generated[0])
    # Its files are among those of the run, so that no finding says otherwise.
    assert "OUTPUT_NOT_IN_RUN" not in result.recorded.findings


@pytest.mark.parametrize(
    ("error", "state"), [(ValueError("bad"), "failed"), (KeyboardInterrupt(), "aborted")]
)
def test_a_run_that_raises_is_recorded_and_its_result_is_not(
    alliance: Alliance, study: str, error: BaseException, state: str
) -> None:
    with pytest.raises(type(error)) as raised, alliance.run("work") as run:
        raise error
    assert raised.value is error
    assert run.recorded is not None
    assert body_of(alliance, run.recorded.id)[1].state == state
    with pytest.raises(type(error)), alliance.result("R-0", study=study, kind="report") as result:
        raise error
    assert (result.status, result.id, alliance.waiting) == ("open", None, 0)


def test_an_alliance_is_opened_asynchronously_too(alliance: Alliance, chain: Chain) -> None:
    async def work() -> str:
        async with Alliance(chain.home) as mine, mine.use("GTEx") as use:
            await asyncio.sleep(0)
        assert use.recorded is not None
        return use.recorded.id

    assert body_of(alliance, asyncio.run(work()))[1].outcome == "ok"


def test_runs_and_results_are_asynchronous_too(
    alliance: Alliance, study: str, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text("1")

    async def work() -> tuple[str, str]:
        async with alliance.run("work") as run:
            await asyncio.sleep(0.01)
            run.made(table)
        async with alliance.result(f"A-{study}", study=study, kind="report", runs=[run]) as result:
            result.file(table)
        return run.status, result.status

    assert asyncio.run(work()) == ("recorded", "recorded")

    async def cancelled() -> None:
        async with alliance.run("work", run_id=f"C-{study}"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    state = alliance._session.proven_state("run", f"h1/C-{study}")[0]
    assert state is not None
    assert state.status == "ABORTED"  # type: ignore[attr-defined]


def test_a_result_rests_on_runs_that_ended(alliance: Alliance, study: str) -> None:
    with alliance.run("work") as run, pytest.raises(MalformedError, match="X2"):
        with alliance.result("R-1", study=study, kind="report", runs=[run]):
            pytest.fail("the block must not run")
    with pytest.raises(RefusedError, match="S8"), alliance.run("call 13812345678"):
        pytest.fail("the block must not run")


def test_a_run_and_its_result_wait_together_for_the_node(home: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    with serving(home), Alliance(home) as alliance:
        chain = Chain(home, "")
        register(chain, "lead", "self", "1" * 32)
        words = ("--pi", f"h1={'1' * 32}", "--from", "2026-01-01", "--until", "2030-12-31")
        written = chain.json("study", "register", "S-1", *words, "--purpose", "care", "--design",
                             home / "genesis")  # fmt: skip
        chain.json("endorse", written["leaf"], "--key", "lead")
        table.write_text("0")
        with alliance.result("R-0", study="S-1", kind="report") as first:
            first.file(table)
        assert first.recorded is not None
        assert "NO_RUN" in first.recorded.findings
    with Alliance(home) as alliance:
        table.write_text("1")
        with pytest.warns(QueuedWarning), alliance.run("work") as run:
            run.made(table)
        words = {"study": "S-1", "kind": "report"}
        with pytest.warns(QueuedWarning), alliance.result("R-1", **words, runs=[run]) as result:
            result.file(table)
        assert (run.status, result.status, alliance.waiting) == ("waiting", "waiting", 2)
        # What this home never asked for is not guessed.
        with (
            pytest.raises(UnreachableError),
            alliance.result("R-2", study="S-2", kind="report"),
        ):
            pytest.fail("the block must not run")
        with serving(home):
            sent = {one.id: one.recorded for one in alliance.send()}
            assert alliance.waiting == 0
            recorded = sent[result.id or ""]
            assert recorded is not None
            assert recorded.findings == ("RUN_FLAGGED",)  # It named no permit.
            assert body_of(alliance, recorded.id)[1].generated_by == (run.leaf,)


def test_where_something_came_from_in_a_standard_form(chain: Chain, tmp_path: Path) -> None:
    data = tmp_path / "wards.csv"
    data.write_text("a\n1\n")
    chain.json("dataset", "register", "WARDS", "--openness", "conditional")
    leaf = chain.json("version", "register", "WARDS", "v1", data)["leaf"]
    with Alliance(chain.home) as alliance:
        found = alliance.export("prov", "WARDS@v1")
        assert leaf in {one.get("alliance:leaf") for one in found["entity"].values()}
        with pytest.raises(MalformedError, match="X2"):
            alliance.export("pdf", "WARDS@v1")
        with pytest.raises(NotFoundError, match="O6"):
            alliance.export("crate", "WARDS@v9")


def test_any_question_from_python(chain: Chain, tmp_path: Path) -> None:
    with Alliance(chain.home) as alliance:
        with alliance.use("GTEx", person="ext:ward:77"):
            pass
        with pytest.raises(ForbiddenError, match="P1"):
            alliance.report("permits")
    with Alliance(chain.home, key="officer") as alliance:
        report = alliance.report("uses", dataset="GTEx", from_="2020-01-01")
        (row,) = [one for one in report["rows"] if one.get("person") == "ext:ward:77"]
        assert (row["uses"], report["question"], report["next"]) == (1, "Q1", None)
        count = alliance.prove(report, tmp_path / "proofs")
        files = list((tmp_path / "proofs" / "receipts").glob("*.json"))
        assert count == len(files) > 0
    for file in files[:1]:
        assert call("audit", "receipt", file, "--genesis", chain.home / "genesis").code == 0
