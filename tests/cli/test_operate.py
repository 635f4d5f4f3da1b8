"""The node's own commands, and the copy of a chain."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.encoding import decode_bundle
from ledger.merkle import tiles_of
from ledger.notes import decode_checkpoint, decode_note
from tests.cli.conftest import Chain, call, log_file, make_chain


def test_status(chain: Chain) -> None:
    status = chain.json("node", "status")
    assert (status["height"], status["size"], status["node"]["status"]) == (0, 3, "ok")
    assert "Height 0, 3 entries" in chain("node", "status").out
    assert "高度 0，条目 3" in chain("node", "status", "--lang", "zh").out


def test_a_copy_has_the_layout_of_tlog_tiles(tmp_path: Path) -> None:
    with make_chain(tmp_path / "home") as chain:
        chain.json("import", "idash", log_file(tmp_path / "node1.tsv", 700))
        folder = tmp_path / "copy"
        done = chain.json("export", folder)
        checkpoint = decode_checkpoint(decode_note((folder / "checkpoint").read_bytes()).text)
        assert checkpoint.size == done["size"]
        found = {
            path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
        }
        fixed = {"checkpoint", "genesis", "policy", "finality/certificates"}
        assert found == fixed | {tile.path for tile in tiles_of(checkpoint.size)}
        assert len(decode_bundle((folder / "tile/entries/000").read_bytes())) == 256
        again = chain("export", folder)
        assert (again.code, "X1.exists" in again.err) == (13, True)
        assert call("audit", folder, "--genesis", chain.home / "genesis").code == 0


def test_a_copy_that_cannot_be_written_leaves_nothing(chain: Chain, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    result = chain("export", place / "copy")
    assert result.code == 18
    assert list(tmp_path.iterdir()) == [place]


def test_rebuild_gives_the_same_answers(tmp_path: Path) -> None:
    from tests.cli.conftest import serving

    with make_chain(tmp_path / "home") as chain:
        chain.json("import", "idash", log_file(tmp_path / "node1.tsv", 40))
        before = chain.json("accesses", "--all")["rows"]
        locked = chain("node", "rebuild")
        assert locked.code == 18
        assert "O2.locked" in locked.err
    assert chain.json("node", "rebuild")["blocks"] >= 2
    with serving(chain.home):
        assert chain.json("accesses", "--all")["rows"] == before


@pytest.mark.parametrize(
    ("setting", "rule"),
    [('host = "0.0.0.0"', "O1.host"), ("nonsense = 1", "O1.field"), ("port = ", "O1.file")],
)
def test_a_node_that_is_set_up_wrongly_does_not_start(
    tmp_path: Path, setting: str, rule: str
) -> None:
    call("init", "--org", "h1", "--home", tmp_path)
    (tmp_path / "node.toml").write_text(setting)
    result = call("node", "run", "--home", tmp_path)
    assert result.code == 18
    assert rule in result.err


def test_a_node_without_its_keys_does_not_start(tmp_path: Path) -> None:
    call("init", "--org", "h1", "--home", tmp_path)
    shutil.move(tmp_path / "keys" / "log.pem", tmp_path / "keys" / "gone.pem")
    assert call("node", "run", "--home", tmp_path).code == 18
    assert call("node", "run", "--home", tmp_path / "none").code == 18


@pytest.mark.slow
def test_the_demo_works_without_the_log(tmp_path: Path) -> None:
    words = ["demo", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words, "--lang", "zh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "完成" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_demo_deletes_nothing_of_yours(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    for lang, words in (("en", "did not make"), ("zh", "并非由演示生成")):
        result = call("demo", "--out", tmp_path, "--lang", lang)
        assert result.code == 18
        assert words in result.err
    assert (tmp_path / "thesis.txt").read_text() == "mine"
