"""The procedures of OPERATING.md, carried out with the commands that it names, on real nodes
(consensus.md 2.12, 2.23; definitions.md 1).
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.home import load_signer, save_signer
from node.client import NodeClient
from node.config import load_config
from tests.cli.conftest import call
from tests.net.conftest import Load, Network
from tests.support.node import PASSPHRASE
from tests.support.process import free_port

Make = Callable[..., Network]
FOUR = ("h1", "h2", "h3", "h4")


def run(*words: str | Path, code: int = 0) -> Any:  # noqa: ANN401
    """A command that must end so; what it printed as JSON."""
    result = call(*words, "--json")
    assert result.code == code, (words, result.out, result.err)
    return json.loads(result.out) if result.out else json.loads(result.err)


def give_office_keys(net: Network) -> None:
    """What `alliance create part` leaves in each home beside the node's keys."""
    for org in net.world.keys:
        for name in ("officer", "committee", "system"):
            save_signer(net.homes[org], name, getattr(net.world.keys[org], name), PASSPHRASE)


def dataset(home: Path, name: str, key: str = "officer", code: int = 0) -> Any:  # noqa: ANN401
    words = ("dataset", "register", name, "--openness", "conditional", "--key", key)
    return run(*words, "--home", home, code=code)


def by_committee(net: Network, *words: str | Path) -> None:
    """One committee member records it, two more approve: two thirds of four."""
    made = run(*words, "--key", "committee", "--home", net.homes["h2"])
    for org, status in (("h3", "PENDING"), ("h4", "EFFECTIVE")):
        net.wait_settled()
        done = run("endorse", made["leaf"], "--home", net.homes[org])
        assert done["decision"] == status
    net.wait_settled()


@pytest.mark.night
def test_every_day_a_member_is_stopped_under_load_and_started_again(network: Make) -> None:
    """SIGTERM: what was taken in is finished, the others go on, no answered entry is lost."""
    net = network(*FOUR)
    net.start()
    with Load(net, *FOUR) as load:
        load.more()
        assert net.nodes.pop("h4").stop() == 0
        load.more()
        net.start("h4")
        load.more()
    net.check(load.published)


def test_procedure_1_a_lost_officer_key(network: Make, tmp_path: Path) -> None:
    """The only officer of h1 lost its key: the committee registers a new one and revokes it."""
    net = network(*FOUR)
    give_office_keys(net)
    net.start()
    home = net.homes["h1"]
    dataset(home, "Before")
    run("keys", "new", "officer-2", "--home", home)
    description = call(
        "keys", "public", "officer-2", "--org", "h1", "--capacity", "so",
        "--subject", "h1-officer-2", "--home", home,
    )  # fmt: skip
    assert description.code == 0, description.err
    file = tmp_path / "officer-2.json"
    file.write_bytes(description.data)
    assert dataset(home, "TooEarly", "officer-2", code=20)["rule"] == "H5"
    by_committee(net, "key", "register", file)
    (home / "keys" / "officer.pem").rename(tmp_path / "stolen.pem")
    lost = run("keys", "show", "officer", "--home", home)["kid"]
    acceptance = run("proof", "1", "--home", home)
    assert (acceptance["type"], acceptance["kid"]) == ("founder-acceptance", lost)
    by_committee(net, "key", "revoke", lost, "--reason", "lost")
    dataset(home, "After", "officer-2")
    (tmp_path / "stolen.pem").rename(home / "keys" / "officer.pem")
    assert dataset(home, "Forged", "officer", code=20)["rule"] == "H5"
    for end in (".pem", ".json"):
        (home / "keys" / f"officer{end}").unlink()
    net.check({})


def test_procedure_2_a_lost_disk(network: Make) -> None:
    """A copy made while the node ran comes back; the node is silent, says so, and goes on."""
    net = network(*FOUR)
    net.start()
    home = net.homes["h4"]
    with Load(net, "h1", "h2", "h3") as load:
        load.more()
        copy = net.folder / "copy"
        run("backup", copy, "--home", home)
        load.more()
        net.kill("h4")
        for path in home.glob("ledger.db*"):
            path.unlink()
        assert run("restore", copy, "--home", home)["in_doubt"] is True
        found = {f["check"]: f for f in run("doctor", "--home", home)["findings"]}
        assert found["journal"]["rule"] == "O11.doubt"
        net.start("h4")
        status = call("node", "status", "--home", home)
        assert "quarantine" in status.out or net.health("h4")["status"] == "ok"
        net.wait(lambda: net.health("h4")["status"] == "ok", "out of quarantine", 60)
        load.more()
    net.check(load.published)
    assert all(not net.health(org)["evidence"] for org in FOUR)


@pytest.mark.night
def test_two_members_of_which_one_lost_its_disk(network: Make) -> None:
    """c = 0: the other one is asked, 20 s later, and nothing that was answered is missing."""
    net = network("h1", "h2")
    net.start()
    home, copy = net.homes["h2"], net.folder / "copy"
    with Load(net, "h1", size=5) as load:
        load.more()
        run("backup", copy, "--home", home)
        load.more()
    net.kill("h2")
    for path in home.glob("ledger.db*"):
        path.unlink()
    run("restore", copy, "--home", home)
    net.start("h2")
    assert net.health("h2")["status"] == "silent"
    lines = call("node", "status", "--home", net.homes["h1"]).out
    assert "No member may be absent" in lines
    net.wait(lambda: net.health("h2")["status"] == "ok", "out of quarantine", 60)
    with Load(net, "h1", "h2", size=5) as more:
        more.more()
    net.check({**load.published, **more.published})
    assert all(not net.health(org)["evidence"] for org in ("h1", "h2"))


@pytest.mark.night
def test_procedure_3_other_node_keys(network: Make) -> None:
    """The keys of h1 may be known: new ones act from the next epoch on, and nothing stops."""
    net = network(*FOUR)
    give_office_keys(net)
    net.start()
    home = net.homes["h1"]
    old = run("keys", "show", "node", "--home", home)["kid"]
    made = run("node", "rotate", "--home", home)
    net.wait_settled()
    net.kill("h1")
    net.start("h1")
    for org in ("h2", "h3", "h4"):
        run("endorse", made["leaf"], "--home", net.homes[org])
        net.wait_settled()
    for org in FOUR[:3]:
        run("ready", "--home", net.homes[org])
        net.wait_settled()
    assert run("config", "show", "--home", net.homes["h2"])["current"]["epoch"] == 1
    net.kill("h1")
    net.start("h1")
    assert run("keys", "show", "node", "--home", home)["kid"] != old
    dataset(home, "After")
    net.wait_settled()
    assert net.health("h1")["status"] == "ok"
    assert run("doctor", "--home", home)["problems"] == 0


@pytest.mark.night
def test_procedure_3_a_node_whose_keys_are_lost_with_its_disk(
    network: Make, tmp_path: Path
) -> None:
    """Nothing is left of h4: the others take it out, it makes itself anew and comes back."""
    net = network(*FOUR)
    give_office_keys(net)
    net.start()
    dataset(net.homes["h1"], "Before")
    net.wait_settled()
    net.kill("h4")
    home, port = tmp_path / "h4", free_port()

    def decided(*words: str | Path, ready: tuple[str, ...] = ()) -> None:
        made = run(*words, "--home", net.homes["h1"])
        for org in FOUR[:3]:
            if (
                run("state", "decision", made["leaf"], "--home", net.homes[org])["value"]["status"]
                == "PENDING"
            ):
                run("endorse", made["leaf"], "--key", "committee", "--home", net.homes[org])
            net.wait_settled()
        for org in ready:
            run("ready", "--home", net.homes[org])
            net.wait_settled()

    decided("config", "remove", "h4", ready=FOUR[:2])
    file, part = tmp_path / "h4.invite", home / "h4.part"
    run("invite", "h4", "--home", net.homes["h1"], "--out", file)
    words = ("join", file, "--home", home, "--port", port)
    joiner = subprocess.Popen([sys.executable, "-m", "cli", *map(str, words)])
    try:
        net.wait(lambda: (home / "genesis").exists(), "h4 began")
        for name, capacity in (("officer", "so"), ("observer", "auditor"), ("committee", "dac")):
            key = tmp_path / f"{name}.json"
            described = call("keys", "public", name, "--org", "h4", "--capacity", capacity,
                             "--subject", f"h4-{name}-2", "--home", home)  # fmt: skip
            key.write_bytes(described.data)
            if name == "officer":
                decided("key", "register", key, "--key", "committee")
            else:
                run("key", "register", key, "--home", home,
                    "--node", net.nodes["h1"].client.url)  # fmt: skip
                net.wait_settled()
        decided("config", "add", part, ready=FOUR[:2])
        with NodeClient(f"http://127.0.0.1:{port}", load_signer(home, "node", None)) as client:
            net.wait(lambda: client.health()["status"] == "ok", "h4 takes part again", 60)
        dataset(home, "After")
        assert "h4" not in load_config(home, b"-").peers
        epoch = run("config", "show", "--home", net.homes["h2"])["current"]
        assert (epoch["epoch"], len(epoch["members"])) == (2, 4)
    finally:
        joiner.terminate()
        joiner.wait(60)
    net.check({})


@pytest.mark.slow
def test_the_drill_carries_out_procedures_1_2_3_5_and_6(tmp_path: Path) -> None:
    """Keys of officers and nodes, lost disks, more members gone than may be, and two histories, as
    operators type it.
    """
    folder = tmp_path / "drill"
    done = call("drill", "--keep", folder)
    assert done.code == 0, done.err
    assert "VALID" in done.out
    last, after = folder / "last-h1", folder / "anew" / "copy"
    genesis = folder / "anew" / "genesis"
    seam = run("audit", after, "--genesis", genesis, "--continues", last)["seam"]
    assert (seam["checked"], seam["accepted"], seam["of"]) == (True, ["h1", "h2", "h3"], 4)
    old = run("audit", last, "--genesis", folder / "genesis")
    assert (old["verdict"], old["height"]) == ("valid", seam["height"])
    # Other keys for a node; a member taken out; the same one, back.
    assert old["entries"]["config"] == 3
    # Two final histories, made without forging anything, and who signed both.
    found = run("audit", "compare", folder / "copy-h2", folder / "copy-h3", code=15)
    assert set(found["fork"]["culprits"]) == {"h1"}
    assert "procedure 6)" in done.out
