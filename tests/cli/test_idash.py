"""The log's parser, and the records that lines become."""

from pathlib import Path

import pytest

from cli.idash import body_of, parse_line, read_lines, record_id, sign_line
from cli.statements import Author
from ledger.crypto import signer_from_seed
from ledger.encoding import decode_time, decode_uuid
from ledger.errors import ConfigError, MalformedError
from ledger.records import decode_entry
from tests.cli.conftest import log_file

GOOD = b"1522000002801\t1\t4\t1\t6\tFILE_ACCESS\tMOD_UCSC_Genome_Bioinformatics\r\n"
AUTHOR = Author(signer_from_seed(b"s" * 32), "h1", "AAAAAAAAAAAAAAAAAAAAAA")


def test_a_line_is_read() -> None:
    line = parse_line(GOOD, "f", 1)
    assert line == (
        1522000002801,
        "1",
        4,
        1,
        "6",
        "FILE_ACCESS",
        "MOD_UCSC_Genome_Bioinformatics",
    )


@pytest.mark.parametrize(
    ("raw", "rule", "field"),
    [
        (GOOD[:-2] + b"\n", "X3.end", None),
        (GOOD[:-2], "X3.end", None),
        (GOOD[:-1], "X3.end", None),
        (GOOD.replace(b"\t1\t4", b"\t4"), "X3.count", None),
        (GOOD.replace(b"\r\n", b"\tmore\r\n"), "X3.count", None),
        (GOOD.replace(b"1522000002801", b"15220000028x1"), "X3.field", "timestamp"),
        (GOOD.replace(b"1522000002801", b"-1"), "X3.field", "timestamp"),
        (GOOD.replace(b"1522000002801", b"01522000002801"), "X3.field", "timestamp"),
        (GOOD.replace(b"1522000002801", b"253402300800000"), "X3.field", "timestamp"),
        (GOOD.replace(b"\t4\t", b"\t0\t"), "X3.field", "id"),
        (GOOD.replace(b"\t4\t", b"\t04\t"), "X3.field", "id"),
        (GOOD.replace(b"\t1\t6", b"\t\t6"), "X3.field", "ref-id"),
        (GOOD.replace(b"\t6\t", b"\tuser 6\t"), "X3.field", "user"),
        (GOOD.replace(b"FILE_ACCESS", b"FILE\xc3\xa9"), "X3.field", "activity"),
        (GOOD.replace(b"MOD_", b"MOD\x00"), "X3.field", "resource"),
        (GOOD.replace(b"MOD_UCSC_Genome_Bioinformatics", b"M" * 2000), "X3.long", None),
        (b"\r\n", "X3.count", None),
        (b"", "X3.end", None),
    ],
)
def test_other_lines_are_refused_with_place_and_field(
    raw: bytes, rule: str, field: str | None
) -> None:
    with pytest.raises(MalformedError) as caught:
        parse_line(raw, "node1.tsv", 17)
    assert caught.value.rule == rule
    assert caught.value.facts["line"] == 17
    assert caught.value.facts["file"] == "node1.tsv"
    assert caught.value.facts.get("field") == field


@pytest.mark.parametrize(
    ("activity", "action", "channel"),
    [
        ("REQ_RESOURCE", "request", "unknown"),
        ("VIEW_RESOURCE", "read", "unknown"),
        ("FILE_ACCESS", "read", "file"),
        ("SOMETHING_NEW", "unknown", "unknown"),
    ],
)
def test_activities_mean_actions(activity: str, action: str, channel: str) -> None:
    line = parse_line(GOOD.replace(b"FILE_ACCESS", activity.encode()), "f", 1)
    body = body_of(line, "idash")
    assert (body.activity, body.action, body.channel) == (activity, action, channel)
    assert (body.source.system, body.source.seq) == ("idash-1", 4)
    assert body.person == "ext:idash:6"
    assert body.dataset == "MOD_UCSC_Genome_Bioinformatics"
    assert not isinstance(body.request, str | None)
    assert (body.request.system, body.request.seq) == ("idash-1", 1)


def test_a_line_gives_the_same_entry_every_time() -> None:
    line = parse_line(GOOD, "f", 1)
    first, again = sign_line(AUTHOR, line, "idash"), sign_line(AUTHOR, line, "idash")
    assert first == again
    entry = decode_entry(first.raw)
    assert entry.leaf == first.leaf
    assert decode_time(entry.record.at) == line.at_ms
    assert entry.statement.sub == "dataset:MOD_UCSC_Genome_Bioinformatics"


def test_ids_are_uuids_of_their_time_and_differ_by_source() -> None:
    at_ms = 1522000002801
    ids = {
        record_id(org, system, seq, at_ms)
        for org in ("h1", "h2")
        for system in ("idash-1", "idash-2")
        for seq in range(1, 50)
    }
    assert len(ids) == 2 * 2 * 49
    for text in ids:
        raw = decode_uuid(text)
        assert int.from_bytes(raw[:6], "big") == at_ms
        assert raw[6] >> 4 == 7


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    path = log_file(tmp_path / "node1.tsv", 20)
    assert [line.seq for line in read_lines(path)] == list(range(1, 21))
    damaged = path.read_bytes().replace(b"\t13\t", b"\t-13\t")
    path.write_bytes(damaged)
    with pytest.raises(MalformedError) as caught:
        list(read_lines(path))
    assert (caught.value.rule, caught.value.facts["line"]) == ("X3.field", 13)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        list(read_lines(tmp_path / "absent.tsv"))
    assert (caught.value.rule, caught.value.facts["file"]) == ("X1.file", "absent.tsv")


def test_the_real_files_are_read(idash: Path) -> None:
    for node in range(1, 5):
        lines = list(read_lines(idash / f"node{node}.tsv"))
        assert [line.seq for line in lines] == list(range(1, 10_001))
        assert {line.node for line in lines} == {str(node)}
