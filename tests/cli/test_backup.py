"""`alliance backup` and `alliance restore`: a copy of the database, and the way back."""

from pathlib import Path

import pytest

from ledger.errors import StorageError
from node.main import open_driver
from tests.cli.conftest import call, log_file, make_chain, serving
from tests.support.node import database_at, make_config, make_home, running
from tests.support.world import make_world


def test_a_copy_of_a_running_node_is_complete_and_comes_back(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with make_chain(tmp_path / "home") as chain:
        chain.json("import", "idash", log_file(tmp_path / "node1.tsv", 60))
        size = chain.json("node", "status")["size"]
        rows = chain.json("accesses", "--all")["rows"]
        done = call("backup", copy, "--home", chain.home, "--json").json
        assert done["size"] == size
        assert copy.stat().st_mode & 0o077 == 0
        again = call("backup", copy, "--home", chain.home)
        assert (again.code, "X1.exists" in again.err) == (13, True)
        nowhere = call("backup", tmp_path / "none" / "copy", "--home", chain.home)
        assert (nowhere.code, "X1.file" in nowhere.err) == (18, True)
        held = call("restore", copy, "--home", chain.home)
        assert (held.code, "O2.locked" in held.err) == (18, True)
    there = call("restore", copy, "--home", chain.home)
    assert (there.code, "X1.exists" in there.err) == (13, True)
    for path in chain.home.glob("ledger.db*"):
        path.unlink()
    restored = call("restore", copy, "--home", chain.home)
    assert restored.code == 0
    # One member has nobody to ask: the operator is told what that means, in either language.
    assert "your decision" in restored.out
    with serving(chain.home):
        assert chain.json("accesses", "--all")["rows"] == rows
        assert chain.json("node", "status")["node"]["status"] == "ok"


def test_a_restored_member_of_several_is_in_doubt_until_its_journal_says_so(
    tmp_path: Path,
) -> None:
    world = make_world(("h1", "h2", "h3", "h4"))
    home = make_home(world, tmp_path / "home")
    with running(make_config(home)) as driver:
        assert driver.status == "ok"
    copy = tmp_path / "copy"
    assert call("backup", copy, "--home", home).code == 0
    (home / "ledger.db").unlink()
    out = call("restore", copy, "--home", home, "--lang", "zh").out
    assert "隔离" in out
    for _start in range(2):
        with running(make_config(home)) as driver:
            assert driver.status == "silent"
    with database_at(home / "ledger.db") as database:
        assert database.execute("SELECT count(*) FROM doubt").fetchone() == (0,)


def test_a_member_that_lost_its_database_without_a_copy_is_in_doubt(tmp_path: Path) -> None:
    """2.12: what these keys have said is nowhere; that they have spoken is told beside them, or by
    the operator.
    """
    world = make_world(("h1", "h2", "h3", "h4"))
    home = make_home(world, tmp_path / "home")
    with running(make_config(home)) as driver:
        assert driver.status == "ok"
    there = call("restore", "--no-copy", "--home", home)
    assert (there.code, "X1.exists" in there.err) == (13, True)
    for path in home.glob("ledger.db*"):
        path.unlink()
    with running(make_config(home)) as driver:
        assert driver.status == "silent"
    # Only the keys are left, in a copy that was made before the node first ran.
    old = make_home(world, tmp_path / "old")
    for words in ((), ("copy", "--no-copy")):
        unclear = call("restore", *words, "--home", old)
        assert (unclear.code, "X2" in unclear.err) == (10, True)
    assert call("restore", "--no-copy", "--home", old, "--json").json["in_doubt"] is True
    with running(make_config(old)) as driver:
        assert driver.status == "silent"


def test_who_decided_alone_never_begins_a_second_history(tmp_path: Path) -> None:
    """Nobody else can say what it had recorded: with an empty database it would contradict it."""
    home = make_home(make_world(), tmp_path / "home")
    with running(make_config(home)) as driver:
        assert driver.status == "ok"
    copy = tmp_path / "copy"
    assert call("backup", copy, "--home", home).code == 0
    assert "X1.exists" in call("restore", "--no-copy", "--home", home).err
    for path in home.glob("ledger.db*"):
        path.unlink()
    with pytest.raises(StorageError, match=r"O2\.lost"):
        open_driver(make_config(home))
    lost = call("restore", "--no-copy", "--home", home)
    assert (lost.code, "O2.lost" in lost.err, "h1" in lost.err) == (17, True, True)
    assert call("restore", copy, "--home", home).code == 0
    with running(make_config(home)) as driver:
        assert driver.status == "ok"


def test_a_damaged_journal_silences_the_node(tmp_path: Path) -> None:
    world = make_world(("h1", "h2", "h3", "h4"))
    home = make_home(world, tmp_path / "home")
    with running(make_config(home)):
        pass
    with database_at(home / "ledger.db") as database:
        database.execute("INSERT INTO journal (epoch, view, body) VALUES (0, 1, x'7b')")
    with running(make_config(home)) as driver:
        assert driver.status == "silent"
        assert driver.alarms == {"quarantine": 1}


@pytest.mark.parametrize(
    ("content", "code", "rule"),
    [(None, 18, "O1.file"), (b"no database" * 1_000, 17, "O2.corrupt"), (b"", 17, "O3.failed")],
)
def test_what_is_no_copy_is_not_restored(
    tmp_path: Path, content: bytes | None, code: int, rule: str
) -> None:
    home = make_home(make_world(), tmp_path / "home")
    copy = tmp_path / "copy"
    if content is not None:
        copy.write_bytes(content)
    result = call("restore", copy, "--home", home)
    assert (result.code, rule in result.err) == (code, True)
    assert not list(home.glob("ledger.db")) + list(home.glob("*.part"))


def test_a_copy_of_another_chain_or_beside_a_stray_log_is_not_restored(tmp_path: Path) -> None:
    homes = [
        make_home(make_world(origin=f"{name}.example.org/chain"), tmp_path / name)
        for name in ("one", "two")
    ]
    for home in homes:
        with running(make_config(home)):
            pass
    copy = tmp_path / "copy"
    assert call("backup", copy, "--home", homes[0]).code == 0
    (homes[1] / "ledger.db").unlink()
    other = call("restore", copy, "--home", homes[1])
    assert (other.code, "O2.genesis" in other.err) == (17, True)
    (homes[0] / "ledger.db").unlink()
    (homes[0] / "ledger.db-wal").write_bytes(b"left")
    stray = call("restore", copy, "--home", homes[0])
    assert (stray.code, "ledger.db-wal" in stray.err) == (13, True)
