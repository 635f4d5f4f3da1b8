"""What commands that ask print: tables, CSV, JSON; proofs as files; and a terminal's progress."""

import csv
import io
import sys
import time
from pathlib import Path

import msgspec
import pytest

from cli.reports import COLUMNS
from cli.screen import progress
from ledger.encoding import unb64url
from ledger.notes import decode_proof
from tests.cli.conftest import Chain, call, log_file


@pytest.fixture(scope="module")
def filled(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain with 1,500 lines of a log."""
    path = log_file(tmp_path_factory.mktemp("log") / "node1.tsv", 1_500)
    chain.json("import", "idash", path)
    return chain


def test_a_table_shows_local_times_and_says_what_it_is(
    filled: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        words = ("accesses", "--system", "idash-1", "--seq", "7")
        shown = filled(*words, "--lang", "en").out
        chinese = filled(*words, "--lang", "zh").out
    finally:
        monkeypatch.undo()
        time.tzset()
    head, row = shown.splitlines()[:2]
    assert "2018-03-26 01:46:40.049 +0800" in row
    assert "idash-1/7" in row
    assert "RES_1" in row
    assert len(head.split()) == 8
    assert "index" in shown.splitlines()[-1]
    assert "索引" in chinese.splitlines()[-1]


def test_pages_say_how_to_go_on(filled: Chain) -> None:
    words = ("accesses", "--system", "idash-1", "--sort", "-seq", "--limit", "2")
    page = filled.json(*words)
    assert [row["seq"] for row in page["rows"]] == [1_500, 1_499]
    shown = filled(*words, "--count", "--lang", "en").out
    assert page["next"] in shown
    assert "1500" in shown.replace(",", "")
    following = filled.json(*words, "--after", page["next"])
    assert [row["seq"] for row in following["rows"]] == [1_498, 1_497]


def test_a_limit_above_a_request_takes_several(filled: Chain) -> None:
    page = filled.json("accesses", "--system", "idash-1", "--sort", "seq", "--limit", "1200")
    assert [row["seq"] for row in page["rows"]] == list(range(1, 1_201))
    assert page["next"]


def test_csv_has_a_head_line_and_utc(filled: Chain) -> None:
    words = ("accesses", "--system", "idash-1", "--seq", "7", "--format", "csv")
    plain, marked = filled(*words), filled(*words, "--bom")
    # A leaf hash that begins with a dash is no formula in a spreadsheet program.
    assert marked.data.replace(b",'-", b",-") == b"\xef\xbb\xbf" + plain.data
    assert plain.data.endswith(b"\r\n")
    head, row = csv.reader(io.StringIO(plain.data.decode(), newline=""))
    assert tuple(head) == COLUMNS
    named = dict(zip(head, row, strict=True))
    assert named["at"] == "2018-03-25T17:46:40.049Z"
    assert named["findings"] == "BACKFILLED NO_PERMIT UNREGISTERED"


def test_a_format_that_is_none(filled: Chain) -> None:
    result = filled("accesses", "--format", "xml")
    assert (result.code, "X2" in result.err) == (10, True)


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("--sort", "colour"), "Q3"),
        (("--from", "yesterday"), "Q2"),
        (("--after", "nonsense"), "Q5"),
        (("--request", "idash-1/x"), "Q2"),
    ],
)
def test_questions_that_are_none(filled: Chain, words: tuple[str, ...], rule: str) -> None:
    result = filled("accesses", *words)
    assert (result.code, rule in result.err) == (10, True)


def test_a_proof_is_two_files_that_hold_without_a_node(filled: Chain, tmp_path: Path) -> None:
    shown = filled("proof", "5", "--out", tmp_path / "proof", "--lang", "en")
    assert shown.code == 0
    found = filled.json("proof", "5", "--out", tmp_path / "proof")
    assert [Path(name).suffix for name in found["files"]] == [".tlog-proof", ".json"]
    for name in found["files"]:
        assert name in shown.out
    tlog, receipt = (Path(name).read_bytes() for name in found["files"])
    assert decode_proof(tlog).index == found["index"] == 5
    assert msgspec.json.decode(receipt)["proof"].encode() == tlog
    audit = call("audit", "receipt", found["files"][1], "--genesis", filled.home / "genesis")
    assert audit.code == 0
    assert filled("proof", "99999999").code == 14
    seal = str(filled.json("node", "status")["size"] - 1)
    assert filled("proof", seal).code == 14


def test_subjects_and_states_are_read_by_people(filled: Chain) -> None:
    shown = filled("subject", "source:idash-1", "--lang", "en")
    assert shown.code == 14
    log = filled.json("subject", "person:ext:idash:1")
    lines = filled("subject", "person:ext:idash:1", "--lang", "en").out.splitlines()
    assert len(lines) == 1 + log["count"] == 301
    assert all(unb64url(item["leaf"], 32) for item in log["records"])
    assert '"last": 1500' in filled("state", "source", "h1/idash-1").out
    absent = filled("state", "member", "h9", "--lang", "zh")
    assert (absent.code, "member/h9" in absent.out) == (0, True)
    assert filled.json("state", "member", "h9")["value"] is None


def test_findings_are_counted_and_explained(filled: Chain) -> None:
    counts = filled.json("findings")["findings"]
    assert counts["UNREGISTERED"] == 1_500
    assert "no permit was named" in filled("findings", "--lang", "en").out
    assert "未注明许可" in filled("findings", "--lang", "zh").out


def test_long_work_shows_a_bar_on_a_terminal_and_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    bar, lines = Terminal(), io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", bar)
    with progress("importing", 10) as advance:
        advance(4)
    assert "\x1b[" in bar.getvalue()
    monkeypatch.setattr(sys, "stderr", lines)
    monkeypatch.setattr("cli.screen._LOG_EVERY_S", 0.0)
    with progress("importing", 10) as advance:
        advance(4)
        advance(6)
    assert [line.split()[-1] for line in lines.getvalue().splitlines()] == ["4/10", "10/10"]
