"""`alliance doctor`: every kind of damage is named with what to do, in order things stay quiet, and
nothing is changed, whether the node runs or not.
"""

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli import doctor as doctoring
from cli.doctor import LAST_BACKUP
from ledger.consensus import encode_journal
from ledger.consensus.journal import LAST_VIEW, Row
from node.store.engine import Lock
from tests.cli.conftest import Chain, call, make_chain
from tests.cli.test_standing import health
from tests.net.conftest import Network
from tests.support.node import database_at, make_config, make_home, running
from tests.support.process import free_port
from tests.support.world import make_world

Found = dict[str, list[tuple[str, str | None]]]


def examine(home: Path, *words: str) -> tuple[int, Found]:
    """The exit code, and by check the levels and rules found."""
    result = call("doctor", "--home", home, "--json", *words)
    found: Found = defaultdict(list)
    for item in json.loads(result.out)["findings"]:
        found[item["check"]].append((item["level"], item.get("rule")))
    return result.code, dict(found)


def files_of(home: Path) -> dict[str, tuple[str, int]]:
    """Every file with the digest of its content, and its mode. The index of a write-ahead log is
    shared memory.
    """
    return {
        str(path.relative_to(home)): (
            sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mode,
        )
        for path in home.rglob("*")
        if not path.name.endswith("-shm")
    }


def unmoved(home: Path) -> dict[str, tuple[str, int]]:
    """The same while a node runs, which keeps an account of its own in the vault."""
    return {name: what for name, what in files_of(home).items() if "vault.db" not in name}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A member of four that has run and stands still; it has nobody's address."""
    world = make_world(("h1", "h2", "h3", "h4"))
    home = make_home(world, tmp_path / "home")
    (home / "node.toml").write_text(f"port = {free_port()}\n")
    with running(make_config(home)):
        pass
    return home


# --- in order ---


def test_a_sound_member_alone_running_and_stopped(tmp_path: Path) -> None:
    with make_chain(tmp_path / "home") as chain:
        assert call("backup", tmp_path / "copy", "--home", chain.home).code == 0
        before = files_of(chain.home)
        code, found = examine(chain.home)
        assert code == 0
        assert found["node"] == [("ok", None)]
        levels = {level for items in found.values() for level, _rule in items}
        assert levels <= {"ok", "unknown", "warning"}
        assert [name for name, items in found.items() if "warning" in dict(items)] == ["vault"]
        # From the first day there is a copy; on the same disk here.
        assert found["vault"] == [("warning", "O11.samedisk")]
        assert unmoved(chain.home) == {k: v for k, v in before.items() if "vault.db" not in k}
        text = call("doctor", "--home", chain.home, "--lang", "zh").out
        assert "0 个故障" in text
    before, listing = files_of(chain.home), sorted(chain.home.rglob("*"))
    code, found = examine(chain.home)
    assert (code, found["node"]) == (0, [("warning", "O11.down")])
    assert found["database"] == found["journal"] == found["alarms"] == [("ok", None)]
    assert (files_of(chain.home), sorted(chain.home.rglob("*"))) == (before, listing)
    out = call("doctor", "--home", chain.home).out
    assert "What to do: Start it with `alliance node run`" in out


def test_it_takes_no_lock(home: Path) -> None:
    """A node may start while it looks."""
    lock = Lock(home / "ledger.db")
    try:
        _code, found = examine(home)
        assert found["database"] == [("ok", None)]
    finally:
        lock.release()


# --- each kind of damage ---


def _database(change: str) -> Callable[[Path], None]:
    def damage(home: Path) -> None:
        with database_at(home / "ledger.db") as database:
            database.execute("PRAGMA journal_mode = DELETE")
            database.execute(change)

    return damage


def _overwrite(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda home: (home / name).write_bytes(data) and None


def _garble(home: Path) -> None:
    path = home / "ledger.db"
    data = bytearray(path.read_bytes())
    data[8192:12_000] = bytes(3_808)
    path.write_bytes(data)


def _other_chain(home: Path) -> None:
    other = make_world(("h1", "h2", "h3", "h4"), origin="other.example.org/chain")
    (home / "genesis").write_bytes(other.bundle)


def _quarantine(home: Path) -> None:
    row = encode_journal(Row(epoch=0, view=LAST_VIEW, floor=LAST_VIEW))
    with database_at(home / "ledger.db") as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.execute(
            "INSERT INTO journal (epoch, view, body) VALUES (0, ?, ?)", (LAST_VIEW, row)
        )


def _swap_keys(home: Path) -> None:
    data = (home / "keys" / "log.pem").read_bytes()
    (home / "keys" / "cosigner.pem").write_bytes(data)


ALARM = "INSERT INTO alarm VALUES (x'00', '{}', 1700000000000, x'5b5d')"
ACCUSED = "INSERT INTO accusation VALUES (0,1,2,x'',x'',x'')"


@pytest.mark.parametrize(
    ("damage", "check", "level", "rule", "code"),
    [
        (_overwrite("node.toml", b"port = "), "settings", "problem", "O1.toml", 18),
        (_overwrite("node.toml", b"nonsense = 1"), "settings", "problem", "O1.field", 18),
        (lambda h: (h / "keys").chmod(0o755), "permissions", "problem", "O1.mode", 18),
        (lambda h: (h / "keys/node.pem").chmod(0o644), "permissions", "problem", "O1.mode", 18),
        (lambda h: (h / "genesis").unlink(), "genesis", "problem", "O1.file", 18),
        (_overwrite("genesis", b"garbage"), "genesis", "problem", "B8", 10),
        (lambda h: (h / "keys/log.pem").unlink(), "keys", "problem", "X1.key", 14),
        (lambda h: (h / "keys/passphrase").unlink(), "keys", "warning", "O11.locked", 0),
        (_overwrite("keys/passphrase", b"wrong words"), "keys", "problem", "C3", 18),
        (_swap_keys, "keys", "problem", "O1.key", 18),
        (lambda h: (h / "ledger.db").unlink(), "database", "warning", "O1.database", 0),
        (_overwrite("ledger.db", b"no database" * 900), "database", "problem", "O2.corrupt", 17),
        (_garble, "database", "problem", "O2.corrupt", 17),
        (_other_chain, "database", "problem", "O2.genesis", 17),
        (_database("UPDATE tip SET layout = 99"), "database", "problem", "O2.schema", 17),
        (_database("UPDATE tip SET leaf = zeroblob(32)"), "database", "problem", "O2.corrupt", 17),
        (_database("DROP TABLE block"), "database", "problem", "O2.corrupt", 17),
        (_overwrite("ledger.db-wal", b"x"), "database", "warning", "O11.log", 0),
        (_database("INSERT INTO journal VALUES (0, 1, x'7b')"), "journal", "problem", "O11.journal", 17),  # noqa: E501
        (_database("INSERT INTO doubt VALUES (1)"), "journal", "warning", "O11.doubt", 0),
        (_quarantine, "journal", "warning", "O11.doubt", 0),
        (_database(ALARM.format("safety")), "alarms", "problem", "O11.alarm", 15),
        (_database(ALARM.format("invalid-final")), "alarms", "warning", "O11.alarm", 0),
        (_database(ACCUSED), "alarms", "warning", "O11.lies", 0),
        (_overwrite(LAST_BACKUP, b"{}"), "backup", "problem", "X1.file", 18),
    ],
)  # fmt: skip
def test_damage_is_named(
    home: Path,
    damage: Callable[[Path], Any],
    check: str,
    level: str,
    rule: str,
    code: int,
) -> None:
    (home / "node.toml").write_text('port = 1\npeer_host = "127.0.0.1"\n')
    damage(home)
    before = files_of(home)
    exit_code, found = examine(home)
    assert (level, rule) in found[check]
    assert exit_code == code
    assert files_of(home) == before
    # What rests on it is said to be unchecked, never fine.
    if check in ("settings", "genesis", "database") and level == "problem":
        assert ("ok", None) not in found["alarms"] or check == "genesis"


def test_a_public_part_that_is_half_written_is_no_secret(home: Path) -> None:
    (home / "keys/node.json.4711.part").write_bytes(b"{")
    (home / "keys/node.json.4711.part").chmod(0o644)
    assert examine(home)[1]["permissions"] == [("ok", None)]


def test_a_home_that_is_not_there(tmp_path: Path) -> None:
    code, found = examine(tmp_path / "none")
    assert code == 18
    assert found["disk"] == [("problem", "O1.file")]
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("free", "level"), [(50, "problem"), (500, "warning"), (5_000, "ok")])
def test_room_on_the_disk(
    home: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: str
) -> None:
    usage = SimpleNamespace(free=free << 20)
    monkeypatch.setattr(doctoring.shutil, "disk_usage", lambda _path: usage)
    _code, found = examine(home)
    assert found["disk"][0][0] == level


def test_the_age_of_the_backup(chain: Chain, tmp_path: Path) -> None:
    path = chain.home / LAST_BACKUP
    path.unlink(missing_ok=True)
    assert examine(chain.home)[1]["backup"] == [("warning", "O11.backup")]
    assert call("backup", tmp_path / "copy", "--home", chain.home).code == 0
    assert examine(chain.home)[1]["backup"] == [("ok", None)]
    made = json.loads(path.read_text())
    path.write_text(json.dumps({**made, "time_ms": made["time_ms"] - 8 * 86_400_000}))
    assert examine(chain.home)[1]["backup"] == [("warning", "O11.backup")]


# --- the node and the others ---


def test_something_else_on_the_port(home: Path) -> None:
    """What answers is no node; or it is one that is not well."""
    answers: dict[str, Any] = {"status": "silent", "time_ms": 0}
    with Pretending(home, answers):
        code, found = examine(home)
        assert ("problem", "O11.status") in found["node"]
        assert code == 16
    with Pretending(home, {**answers, "status": "unheard of"}):
        assert examine(home)[1]["node"] == [("problem", "O7.answer")]
    with Pretending(home, {**answers, "status": "ok", "version": "alliance/9"}):
        assert ("warning", "O11.version") in examine(home)[1]["node"]
    with Pretending(home, None):
        assert examine(home)[1]["node"] == [("problem", "O7.answer")]


def test_a_member_that_cosigned_another_tree_is_an_alarm(home: Path) -> None:
    """The database holds no alarm yet: the node knows it from a head that it was shown."""
    more = {"epoch": 0, "height": 1, "node_keys": [], "pending": 0, "size": 7, "time_ms": 0}
    with Pretending(home, health(4, cosigned_otherwise=["h3"], **more)):
        code, found = examine(home)
        assert found["alarms"] == [("problem", "O11.apart")]
        assert code == 15
    with Pretending(home, health(4, **more)):
        assert examine(home)[1]["alarms"] == [("ok", None)]


class Pretending:
    """An HTTP server in the node's place."""

    def __init__(self, home: Path, answer: dict[str, Any] | None) -> None:
        body = b"<html>" if answer is None else json.dumps(answer).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        (home / "node.toml").write_text(f"port = {self.server.server_port}\n")

    def __enter__(self) -> None:
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_four_members_as_one_of_them_sees_them(tmp_path: Path) -> None:
    net = Network(tmp_path / "net", ("h1", "h2", "h3", "h4"))
    try:
        net.start("h1", "h2", "h3")
        home = net.homes["h1"]
        net.wait(lambda: sum(at > 0 for at in net.health("h1")["heard_ms"].values()) == 2, "heard")
        code, found = examine(home)
        assert code == 0
        assert sorted(found["peers"], key=str) == [
            ("ok", None), ("ok", None), ("warning", "O11.peer"),
        ]  # fmt: skip
        assert found["quorum"] == [("warning", "O11.few")]
        assert found["clock"] == [("ok", None)]
        # The same with the node stopped: the others do not take the question for a sign of life.
        net.kill("h1")
        heard = net.health("h2")["heard_ms"]["h1"]
        code, found = examine(home)
        assert found["peers"].count(("ok", None)) == 2
        assert found["clock"] == [("ok", None)]
        assert found["quorum"] == [("unknown", None)]
        assert net.health("h2")["heard_ms"]["h1"] == heard
        # A node of another chain in the place of h2.
        net.kill("h2")
        other = Network(tmp_path / "other", ("x1", "x2"))
        other.ports["x1"] = net.ports["h2"]
        lines = (other.homes["x1"] / "node.toml").read_text().splitlines()
        own = f"peer_port = {net.ports['h2']}"
        changed = [own if x.startswith("peer_port") else x for x in lines]
        (other.homes["x1"] / "node.toml").write_text("\n".join(changed) + "\n")
        try:
            other.start("x1")
            code, found = examine(home)
            assert ("problem", "O11.stranger") in found["peers"]
            assert code == 15
        finally:
            other.stop()
    finally:
        net.stop()


def test_addresses_that_are_missing(home: Path) -> None:
    _code, found = examine(home)
    assert ("problem", "O11.address") in found["peers"]


def test_a_clock_that_is_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "node.toml").write_text('port = 1\n[peers]\nh2 = "http://127.0.0.1:9"\n')
    late = int(time.time()) + 60
    monkeypatch.setattr(doctoring.PeerClient, "probe", lambda *_: ("H8", late))
    _code, found = examine(home)
    assert found["clock"] == [("ok", None)], "one of two clocks: nobody knows whose is wrong"
    (home / "node.toml").write_text(
        'port = 1\n[peers]\nh2 = "http://127.0.0.1:9"\nh3 = "http://127.0.0.1:9"\n'
    )
    _code, found = examine(home)
    assert found["clock"] == [("problem", "O11.clock")]
