"""The node's own commands, and the copy of a chain."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cli.copies import FIXED, JUSTIFICATIONS
from ledger.encoding import decode_bundle
from ledger.merkle import tiles_of
from ledger.notes import decode_checkpoint, decode_note
from node.config import load_config
from tests.cli.conftest import Chain, call, log_file, make_chain
from tests.support.process import free_port


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
        fixed = FIXED | {JUSTIFICATIONS}
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
    [
        ('host = "0.0.0.0"', "O1.names"),
        ('host = "h1"', "O1.host"),
        ("nonsense = 1", "O1.field"),
        ("port = ", "O1.toml"),
    ],
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


@pytest.mark.parametrize("setting", ["port", "peer_port"])
def test_a_node_whose_port_is_in_use_says_so_and_nothing_else(tmp_path: Path, setting: str) -> None:
    call("init", "--org", "h1", "--home", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = {"port": free_port(), "peer_port": free_port(), setting: port}
        lines = ['peer_host = "127.0.0.1"', *(f"{name} = {ports[name]}" for name in ports)]
        (tmp_path / "node.toml").write_text("\n".join(lines))
        result = call("node", "run", "--home", tmp_path)
    assert (result.code, "O1.port" in result.err, str(port) in result.err) == (18, True, True)
    assert result.out == ""
    # Nothing holds the database any more.
    assert call("node", "rebuild", "--home", tmp_path).code == 0


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
    for lang, words in (("en", "did not make"), ("zh", "并非由")):
        result = call("demo", "--out", tmp_path, "--lang", lang)
        assert result.code == 18
        assert words in result.err
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_where_other_members_are(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert call("init", "--org", "h1", "--home", home, "--port", "9001").code == 0
    words = ("node", "peers", "h2=http://127.0.0.1:9002/", "--listen", "127.0.0.1:9003")
    shown = call(*words, "--dial-out", "--home", home, "--json").json
    assert shown == {
        "dial_out": True,
        "listen": "127.0.0.1:9003",
        "peers": {"h2": "http://127.0.0.1:9002"},
    }
    more = call("node", "peers", "h3=https://h3.example.org", "--no-dial-out", "--home", home)
    assert (more.code, "h3  https://h3.example.org" in more.out) == (0, True)
    config = load_config(home, b"-")
    assert (config.port, config.peer_host, config.peer_port) == (9001, "127.0.0.1", 9003)
    assert set(config.peers) == {"h2", "h3"}
    before = (home / "node.toml").read_bytes()
    for wrong in ("h2", "h2=ftp://x", "=http://x"):
        result = call("node", "peers", wrong, "--home", home)
        assert (result.code, "X2" in result.err) == (10, True)
    for wrong in ("9003", ":9003", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x"):
        assert call("node", "peers", "--listen", wrong, "--home", home).code == 10
    assert (home / "node.toml").read_bytes() == before
