"""A node as a process of its own, started by a test or a measurement and ended by it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cli.home import way_to_node
from node.client import NodeClient, UnreachableError
from tests.support.node import make_home, node_signer
from tests.support.world import World

PROGRAM = (
    "import sys; from pathlib import Path; from node.config import load_config;"
    " from node.main import serve; serve(load_config(Path(sys.argv[1])))"
)
FAULTY = "import sys; from tests.support.faulty import main; main(sys.argv[1:])"
"""A node with one fault from the start: see `tests.support.faulty`."""
START_S = 30
STOP_S = 60


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def make_served_home(world: World, home: Path) -> Path:
    """The home directory of a node that listens on a free port."""
    make_home(world, home)
    (home / "node.toml").write_text(f"port = {free_port()}\n")
    return home


def make_network(
    world: World,
    folder: Path,
    ports: Mapping[str, int],
    ways: Mapping[tuple[str, str], int] | None = None,
) -> dict[str, Path]:
    """A home directory for each member of a world, which listens for the others on its port.

    Each finds the others there; or where `ways` says for (its name, the other's name).
    """
    homes = {}
    for org in world.keys:
        homes[org] = make_home(world, folder / org, org)
        others = [
            f'{other} = "http://127.0.0.1:{ways[org, other] if ways else port}"'
            for other, port in ports.items()
            if other != org
        ]
        lines = [f"port = {free_port()}", 'peer_host = "127.0.0.1"', f"peer_port = {ports[org]}"]
        text = "\n".join([*lines, "[peers]", *others, ""])
        (homes[org] / "node.toml").write_text(text)
    return homes


class Node(NamedTuple):
    """A node process and a client to it."""

    process: "subprocess.Popen[bytes]"
    client: NodeClient

    @classmethod
    def start(cls, home: Path, *fault: str) -> "Node":
        """Start the node of a home directory of `make_served_home`, and wait until it answers."""
        url, trust = way_to_node(home, None)
        program = FAULTY if fault else PROGRAM
        process = subprocess.Popen([sys.executable, "-c", program, str(home), *fault])
        node = cls(process, NodeClient(url, node_signer(home), trust=trust))
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                node.client.health()
            except UnreachableError:
                time.sleep(0.05)
            else:
                return node
        node.kill()
        raise AssertionError("the node did not start")

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait(10)
        self.client.close()

    def stop(self) -> int:
        """As an operator does; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S)
        self.client.close()
        return code
