"""Large files from the command line: handed in and fetched piece by piece, going on where it
stopped, in bounded memory.
"""

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.encoding import unb64url
from ledger.records import decode_entry
from ledger.records.payloads import CHUNK_BYTES
from ledger.verify import decode_receipt
from node.client import NodeClient
from tests.cli.conftest import Chain

MIB = 1 << 20
BOUND = 40 * MIB


def make_file(path: Path, pieces: int) -> Path:
    """A file whose pieces are all different."""
    with path.open("wb") as file:
        for number in range(pieces):
            file.write(b"%08d, a scan\n..." % number * (CHUNK_BYTES // 16))
        file.write(b"end")
    return path


def failing(after: int, real: Callable[..., Any], asked: list[int]) -> Callable[..., Any]:
    """As when somebody pulls the plug after so many pieces."""

    def call(client: NodeClient, commit: str, number: int, *rest: Any) -> Any:  # noqa: ANN401
        asked.append(number)
        if len(asked) > after:
            raise KeyboardInterrupt
        return real(client, commit, number, *rest)

    return call


def test_what_was_interrupted_goes_on_and_a_record_names_it(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = make_file(tmp_path / "scan.dcm", 5), list[int]()
    put, chunk = NodeClient.put_chunk, NodeClient.chunk
    words = ("vault", "attach", file, "--person", "p1", "--media", "application/dicom")
    monkeypatch.setattr(NodeClient, "put_chunk", failing(2, put, asked))
    assert chain(*words).code != 0
    monkeypatch.setattr(NodeClient, "put_chunk", failing(99, put, asked := []))
    done = chain.json(*words)
    pieces = -(-file.stat().st_size // CHUNK_BYTES)
    assert asked == list(range(2, pieces))
    assert list((chain.home / "uploads").iterdir()) == []
    commit = done["payload"]["commit"]
    # Unfinished or not, a record names what is there.
    told = chain.json(
        "dataset", "register", "S-scan", "--openness", "closed", "--attachment", commit
    )
    receipt = decode_receipt(Path(told["receipt"]).read_bytes())
    named = decode_entry(unb64url(receipt.entry)).record.payloads
    assert [(one.commit, one.tier) for one in named] == [(commit, "T2")]

    copy = tmp_path / "copy.dcm"
    fetch = ("vault", "fetch", commit, copy, "--purpose", "care")
    monkeypatch.setattr(NodeClient, "chunk", failing(3, chunk, []))
    assert chain(*fetch).code != 0
    assert not copy.exists()
    monkeypatch.setattr(NodeClient, "chunk", failing(99, chunk, asked := []))
    assert chain.json(*fetch)["bytes"] == file.stat().st_size
    assert asked == list(range(3, pieces))
    assert copy.read_bytes() == file.read_bytes()
    assert copy.stat().st_mode & 0o077 == 0
    assert chain(*fetch).code == 18


def test_a_changed_byte_is_found_and_nothing_is_left_of_the_file(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_file(tmp_path / "raw", 2)
    commit = chain.json("vault", "attach", file)["payload"]["commit"]
    chunk = NodeClient.chunk

    def changed(client: NodeClient, commit: str, number: int, *rest: str) -> bytes:
        return chunk(client, commit, number, *rest).replace(b"0", b"1", 1)

    monkeypatch.setattr(NodeClient, "chunk", changed)
    answer = chain("vault", "fetch", commit, tmp_path / "out", "--json")
    assert (answer.code, '"T12"' in answer.err) == (15, True)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert chain("vault", "fetch", commit, tmp_path / "out", "--lang", "zh").code == 15


def test_what_is_no_attachment_is_said_to_be_none(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert chain("vault", "attach", tmp_path / "empty").code == 10
    assert chain("vault", "attach", tmp_path / "absent").code == 18
    assert chain("vault", "attach", tmp_path / "empty", "--tier", "T3").code == 10
    assert chain("vault", "fetch", "x" * 43, tmp_path / "out").code == 14


def test_sixty_four_mebibytes_go_in_and_out_in_bounded_memory(chain: Chain, tmp_path: Path) -> None:
    """Of the command and of the node, which run in this one process, and without the collector."""
    file = make_file(tmp_path / "large", 64)
    assert file.stat().st_size > 64 * MIB
    chain("vault", "status")  # whatever is loaded once
    gc.disable()
    tracemalloc.start()
    try:
        commit = chain.json("vault", "attach", file)["payload"]["commit"]
        chain.json("vault", "fetch", commit, tmp_path / "copy")
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert peak < BOUND, f"{peak / MIB:.1f} MiB"
    assert (tmp_path / "copy").stat().st_size == file.stat().st_size
