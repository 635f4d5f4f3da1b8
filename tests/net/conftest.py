"""Networks of real node processes; every one of them is ended by the test that started it."""

import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.exporting import copy_chain
from cli.offline import Audit, Held
from cli.options import Place
from cli.session import Session
from ledger.encoding import b64url
from ledger.errors import AllianceError
from ledger.merkle import leaf_hash
from node.client import NodeClient
from tests.net.proxy import Proxies
from tests.support.process import Node, free_port, make_network
from tests.support.world import World, make_world

WAIT_S = 90.0
SOUND_S = 60.0


class Network:
    """The nodes of a world, by organisation; `proxied` ones talk over links that can fail."""

    def __init__(self, folder: Path, orgs: tuple[str, ...], *, proxied: bool = False) -> None:
        self.folder = folder
        self.world: World = make_world(orgs)
        self.ports = {org: free_port() for org in orgs}
        self.proxies = Proxies(self.ports) if proxied else None
        ways = self.proxies.ports if self.proxies else None
        self.homes = make_network(self.world, folder, self.ports, ways)
        self.nodes: dict[str, Node] = {}
        self.signing = threading.Lock()
        self._exports = 0

    @property
    def links(self) -> Proxies:
        """The links between the nodes, to be broken and mended."""
        assert self.proxies is not None
        return self.proxies

    def start(self, *orgs: str, fault: Sequence[str] = ()) -> None:
        """Start these members' nodes; all when none is named."""
        for org in orgs or self.homes:
            self.nodes[org] = Node.start(self.homes[org], *fault)

    def kill(self, org: str) -> None:
        """As `kill -9` does."""
        self.nodes.pop(org).kill()

    def pause(self, org: str) -> None:
        """The process stands still, with all its connections open."""
        self.nodes[org].process.send_signal(signal.SIGSTOP)

    def resume(self, org: str) -> None:
        """It goes on as if nothing had been."""
        self.nodes[org].process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End all that still run."""
        for org in list(self.nodes):
            self.nodes.pop(org).kill()
        if self.proxies is not None:
            self.proxies.close()

    def health(self, org: str) -> dict[str, Any]:
        """What a node says of itself."""
        return self.nodes[org].client.health()

    def metric(self, org: str, name: str) -> int:
        """A counter of a node."""
        text = self.nodes[org].client.metrics()
        lines = [line for line in text.splitlines() if line.startswith(f"alliance_{name} ")]
        return int(lines[0].rpartition(" ")[2])

    def leader(self) -> str:
        """Who leads the view that the network is in, or was in a moment ago."""
        config = self.world.config
        view = max(self.metric(org, "view") for org in self.nodes)
        return config.members[config.leader(view)].org

    def wait(self, reached: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
        """Until something holds."""
        deadline = time.monotonic() + wait_s
        while not reached():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def wait_equal(self, size: int) -> None:
        """Until all running nodes have published this size, with one root."""
        for org in self.nodes:
            self.wait(lambda org=org: self.health(org)["published"] == size, f"{org} at {size}")  # type: ignore[misc]
        heads = {bytes(node.client.checkpoint().split(b"\n\n")[0]) for node in self.nodes.values()}
        assert len(heads) == 1

    def wait_settled(self) -> int:
        """Until nothing waits anywhere and all running nodes have published one size."""

        def settled() -> bool:
            found = [self.health(org) for org in self.nodes]
            heads = {item[name] for item in found for name in ("size", "published")}
            return len(heads) == 1 and not any(item["pending"] for item in found)

        self.wait(settled, "all at one size", SOUND_S)
        return int(self.health(next(iter(self.nodes)))["size"])

    def copy(self, org: str) -> list[list[bytes]]:
        """All blocks of a node."""
        blocks: list[list[bytes]] = []
        while page := self.nodes[org].client.blocks(len(blocks), 64):
            blocks += [entries for entries, _certificate, _note in page]
        return blocks

    def check(self, published: dict[str, bytes]) -> None:
        """All running nodes hold one chain, byte for byte; everything that was answered as
        published stands on it; and an export of it passes the audit.
        """
        self.wait_settled()
        first, *others = self.nodes
        blocks = self.copy(first)
        for org in others:
            assert self.copy(org) == blocks, f"{org} has another chain"
        held = {b64url(leaf_hash(raw)): raw for entries in blocks for raw in entries}
        assert {leaf: held.get(leaf) for leaf in published} == published
        self.audit(first)

    def audit(self, org: str) -> None:
        """An export of a node passes the audit."""
        self._exports += 1
        folder = self.folder / f"export-{self._exports}"
        place = Place(self.homes[org], self.nodes[org].client.url, None, "")
        with Session(place) as session:
            copy_chain(session, folder)
        report = Audit(folder, Held(genesis=self.world.bundle), workers=1).run()
        assert report.is_valid, report

    def clone(self, org: str, name: str) -> Path:
        """A second home with the same keys and a copy of everything else, on ports of its own."""
        home = self.folder / name
        shutil.copytree(self.homes[org], home)
        lines = (home / "node.toml").read_text().splitlines()
        changed = [f"port = {free_port()}" if x.startswith("port =") else x for x in lines]
        own = f"peer_port = {free_port()}"
        changed = [own if x.startswith("peer_port =") else x for x in changed]
        (home / "node.toml").write_text("\n".join(changed) + "\n")
        self.homes[name] = home
        return home


class Load:
    """Single entries and bundles for several members, one thread for each, until it is stopped.

    `published` holds what was answered as published: it may never be missing again.
    """

    def __init__(self, net: Network, *orgs: str, pause_s: float = 0.05, size: int = 13) -> None:
        self.net = net
        self.published: dict[str, bytes] = {}
        self.failures = 0
        self._pause_s, self._size = pause_s, size
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(org, number), daemon=True)
            for number, org in enumerate(orgs)
        ]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(WAIT_S)

    def more(self, count: int = 20, wait_s: float = WAIT_S) -> None:
        """Wait until so many more are published."""
        goal = len(self.published) + count
        self.net.wait(lambda: len(self.published) >= goal, f"{count} more published", wait_s)

    def _send(self, org: str, number: int) -> None:
        url = self.net.nodes[org].client.url
        seq = 1_000_000 * (1 + number)
        with NodeClient(url, self.net.world.keys[org].node, timeout_s=12) as client:
            while not self._stopping.is_set():
                raws = self._entries(seq)
                seq += len(raws)
                try:
                    answers = self._submit(client, raws)
                except AllianceError:
                    self.failures += 1
                    self._stopping.wait(0.3)
                    continue
                for raw, answer in zip(raws, answers, strict=True):
                    if answer["status"] == "published":
                        self.published[answer["leaf"]] = raw
                self._stopping.wait(self._pause_s)

    def _entries(self, seq: int) -> list[bytes]:
        # Odd and even take turns: a bundle has an odd number of entries. Ids come from a counter.
        count = 1 if seq % 2 == 0 else self._size
        with self.net.signing:
            return self.net.world.accesses(count, first_seq=seq)

    def _submit(self, client: NodeClient, raws: list[bytes]) -> list[dict[str, Any]]:
        if len(raws) == 1:
            return [client.submit(raws[0])]
        answer = client.submit_chunk(raws)
        return answer.get("results") or [{"status": answer["status"]}] * len(raws)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Callable[..., Network]]:
    """Makes networks; ends them with the test."""
    made: list[Network] = []

    def make(*orgs: str, proxied: bool = False) -> Network:
        made.append(Network(tmp_path / str(len(made)), orgs, proxied=proxied))
        return made[-1]

    yield make
    for item in made:
        item.stop()
