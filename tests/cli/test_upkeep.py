"""Assessments, time anchors, logs in batches; and that every type of record has a command."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.interface import Alliance
from ledger.records import BODIES
from tests.cli.conftest import Chain, make_chain
from tests.tidy.source import ROOT

BY_ITSELF = {"endorse", "evidence", "erasure", "seal"}
"""`erasure` and `evidence` are put on the chain by nodes."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with make_chain(tmp_path_factory.mktemp("upkeep") / "home") as chain:
        words = ("--kind", "assess", "--date", "2026-01-05", "--present", "5", "--for", "5")
        chain.json("resolution", "A-1", *words)
        yield chain


def test_a_period_is_assessed_with_what_can_be_counted_again(chain: Chain) -> None:
    words = ("--from", "2026-01-01", "--until", "2026-12-31", "--resolution", "A-1")
    done = chain.json("assessment", "record", *words, "--report", "一切正常")
    assert done["decision"] == "EFFECTIVE"
    with Alliance(chain.home, key="officer") as alliance:
        record = alliance._session.entry(done["leaf"]).entry.record
    assert record.body.metrics["committee.open_requests"] == 0
    assert any(name.startswith("member.h1.") for name in record.body.metrics)
    assert [payload.schema for payload in record.payloads] == ["assessment/report"]
    own = chain.json("assessment", "record", *words, "--metric", "uptime.days=364")
    assert own["decision"] == "EFFECTIVE"
    assert (
        "uptime.days: 1" in chain("assessment", "record", *words, "--metric", "uptime.days=1").out
    )
    assert chain("assessment", "record", *words, "--metric", "uptime=often").code == 10
    refused = chain("assessment", "record", "--from", "2026-02-01", "--until", "2026-01-01",
                    "--resolution", "A-1", "--metric", "a=1")  # fmt: skip
    assert (refused.code, "W58" in refused.err) == (12, True)


def test_a_checkpoint_is_anchored_in_the_time_of_others(chain: Chain, tmp_path: Path) -> None:
    taken = chain.json("anchor", "take", "--out", tmp_path / "checkpoint")
    token = tmp_path / "token.tsr"
    # Of a token only the imprint is looked at here; who signed it, `openssl ts -verify` says.
    token.write_bytes(b"0\x82" + bytes.fromhex(taken["sha256"]) + b"signed")
    done = chain.json("anchor", "record", tmp_path / "checkpoint", token)
    with Alliance(chain.home, key="officer") as alliance:
        record = alliance._session.entry(done["leaf"]).entry.record
        held = alliance._session.payload(record.payloads[0].commit)
    assert record.body.size == taken["size"]
    assert held["checkpoint"] == (tmp_path / "checkpoint").read_text()
    other = tmp_path / "other"
    chain.json("anchor", "take", "--out", other)
    refused = chain("anchor", "record", other, token)
    assert (refused.code, "X13.token" in refused.err) == (10, True)


def test_a_log_is_recorded_in_batches_once(chain: Chain, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    lines = [
        json.dumps({
            "at": "2026-11-26T10:00:00.000Z", "dataset": "ICU", "activity": "QUERY", "seq": seq,
            "person": f"ext:ward:{seq % 3}",
        })
        for seq in range(1, 161)
    ]  # fmt: skip
    file.write_text("\n".join(lines[:155]))
    done = chain.json("access", "batch", file, "--system", "platform")
    assert [done["events"], len(done["records"])] == [155, 2]
    assert {"NO_PERMIT", "UNREGISTERED"} <= set(done["findings"])
    file.write_text("\n".join(lines))
    again = chain.json("access", "batch", file, "--system", "platform")
    assert (len(again["records"]), "SEQ_REUSED" in again["findings"]) == (1, False)
    source = chain.json("state", "source", "h1/platform")["value"]
    assert (source["count"], source["last"]) == (160, 160)
    for spoilt in ("{", '{"seq": "1"}', '{"at": "x"}', "\n".join([lines[1], lines[0]])):
        file.write_text(spoilt)
        refused = chain("access", "batch", file, "--system", "platform")
        assert (refused.code, "X13.line" in refused.err) == (10, True)


def test_every_type_of_record_has_a_command() -> None:
    """Some module of the command line names it."""
    named = {
        node.value
        for path in (ROOT / "cli").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert set(BODIES) - named <= BY_ITSELF
