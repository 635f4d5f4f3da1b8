"""Governance on a network of processes: what officers and committees do, and who joins."""

import json
import time
from typing import Any

from ledger.crypto import Signer, encrypt_private_key, signer_from_seed
from ledger.encoding import encode_time, unb64url
from ledger.errors import BusyError
from ledger.members import EpochConfig
from ledger.records.envelope import Ref, Shape
from ledger.records.epochs import ConfigBody, EndpointBody
from ledger.records.governance import (
    EndorseBody,
    KeyDescription,
    MemberBody,
    ResolutionBody,
    Votes,
)
from tests.ledger.ledgers import key_of
from tests.net.conftest import Network
from tests.support.epochs import config_of, ready_body
from tests.support.node import PASSPHRASE, make_home
from tests.support.process import free_port
from tests.support.world import GENESIS_MS, Located, World, describe_key, make_keys, seed

LATER = "2099-01-01T00:00:00.000Z"


def observer_signer(org: str) -> Signer:
    """The key with which a node reads before it is a member."""
    return signer_from_seed(seed("observer", org))


def observer_key(world: World, org: str, signer: Signer | None = None) -> KeyDescription:
    """The same, or another one, as an auditor's key of the organisation."""
    return describe_key(
        signer or observer_signer(org),
        capacity="auditor",
        chain=world.genesis.tip.chain,
        org=org,
        subject=f"{org}-observer",
        valid_from=encode_time(GENESIS_MS),
    )


class Alliance:
    """The members of a network of processes, and the configuration in force."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.orgs = list(net.homes)
        """Whose nodes vote."""
        self.admitted = list(net.homes)
        """Whose committees decide."""
        self.config: EpochConfig = net.world.config

    # --- records ---

    def put(self, kind: str, body: Shape, by: str, org: str, at: str = "", **fields: Any) -> str:
        """A record of an organisation, at its own node or at another one's; its leaf hash."""
        now_ms = int(time.time() * 1000)
        with self.net.signing:
            raw = self.net.world.record(kind, body, by=by, org=org, at_ms=now_ms, **fields)
        answer = self.net.nodes[at or org].client.submit(raw)
        assert answer["status"] == "published", answer
        return str(answer["leaf"])

    def decide(self, kind: str, body: Shape, by: str, sub: str, *refs: Ref) -> str:
        """A record that the committee makes effective; its leaf hash."""
        first = self._voting()
        leaf = self.put(kind, body, by, first, refs=refs, not_after=LATER)
        verdict = EndorseBody(capacity="dac", target=leaf, verdict="approve")
        resolved = {unb64url(leaf, 32): Located(0, kind, first, sub)}
        for org in self.admitted:
            if self.value("decision", leaf)["status"] == "PENDING":
                at = org if org in self.net.nodes else first
                self.net.wait(lambda at=at: self.known("decision", leaf, at), f"{at} knows")  # type: ignore[misc]
                self.put("endorse", verdict, "committee", org, at=at, resolved=resolved)
        self.net.wait(
            lambda: self.value("decision", leaf)["status"] == "EFFECTIVE", f"the {kind} decided"
        )
        return leaf

    def value(self, namespace: str, name: str, at: str = "") -> Any:  # noqa: ANN401
        """A value of the state, as a node proves it."""
        answer = self.net.nodes[at or self._voting()].client.state(namespace, name)
        text = answer["state"].get("value")
        return None if text is None else json.loads(text)

    def known(self, namespace: str, name: str, at: str) -> Any:  # noqa: ANN401
        """The same; None, too, where a node has just started and knows of no published head."""
        try:
            return self.value(namespace, name, at)
        except BusyError:
            return None

    def _voting(self) -> str:
        return next(org for org in self.orgs if org in self.net.nodes)

    # --- who takes part ---

    def admit(self, org: str) -> None:
        """A further organisation, with keys and a home of its own."""
        world = self.net.world
        world.keys[org] = make_keys(org)  # type: ignore[index]
        resolution = ResolutionBody(
            kind="admit",
            meeting_date="2026-01-01",
            no=f"R-{org}",
            present=3,
            votes=Votes(abstain=0, against=0, in_favour=3),
        )
        leaf = self.decide("resolution", resolution, "committee", f"resolution:R-{org}")
        body = MemberBody(
            action="admit",
            keys=(
                key_of(world, org, "officer", "so"),
                key_of(world, org, "committee", "dac"),
                observer_key(world, org),
            ),
            kind="hospital",
            org=org,
        )
        self.decide("member", body, "committee", f"org:{org}", Ref(leaf=leaf, rel="resolution"))
        self.admitted.append(org)

    def make_joiner(self, org: str, *, dial_out: bool = True) -> None:
        """The home directory of a node that is in no configuration yet."""
        net = self.net
        home = make_home(net.world, net.folder / org, org)
        (home / "keys" / "observer.pem").write_bytes(
            encrypt_private_key(observer_signer(org), PASSPHRASE)
        )
        (home / "keys" / "observer.pem").chmod(0o600)
        net.homes[org] = home
        net.ports[org] = free_port()
        others = [f'{o} = "http://127.0.0.1:{net.ports[o]}"' for o in self.orgs if o != org]
        lines = [f"port = {free_port()}", f'org = "{org}"', 'peer_host = "127.0.0.1"']
        lines += [f"peer_port = {net.ports[org]}", f"dial_out = {str(dial_out).lower()}"]
        (home / "node.toml").write_text("\n".join([*lines, "[peers]", *others, ""]))

    def announce(self, org: str, at: str) -> None:
        """Where the node of an organisation listens, as a record at somebody's node."""
        body = EndpointBody(org=org, urls=(f"http://127.0.0.1:{self.net.ports[org]}",))
        self.put("endpoint", body, "officer", org, at=at, not_after=LATER)

    def propose(self, *orgs: str, **changes: Any) -> EpochConfig:
        """The configuration of the next epoch, pending."""
        following = config_of(self.net.world, orgs, self.config.epoch + 1, **changes)
        self.decide("config", ConfigBody(config=following), "officer", "config")
        return following

    def declare(self, org: str, config: EpochConfig, at: str = "") -> None:
        """A node is ready, once it has heard for what."""
        place = at or org
        self.net.wait(
            lambda: (
                (self.known("config", "next", place) or {}).get("config", {}).get("epoch")
                == config.epoch
            ),
            f"{place} knows the next configuration",
        )
        self.put("ready", ready_body(config), "node", org, at=at, not_after=LATER)

    def wait_current(self, org: str) -> None:
        """Until a node lacks nothing that the others have."""
        self.net.wait(lambda: self.net.health(org)["behind"] == 0, f"{org} is current")

    def enter(self, config: EpochConfig, *ready: str) -> None:
        """These nodes are ready, and all running ones go over to the next epoch."""
        for org in ready:
            self.declare(org, config)
        self.config = config
        self.orgs = [member.org for member in config.members]
        for org in self.net.nodes:
            self.net.wait(
                lambda org=org: self.net.health(org)["epoch"] == config.epoch,  # type: ignore[misc]
                f"{org} in epoch {config.epoch}",
            )

    def join(self, org: str, *ready: str) -> None:
        """The whole way of a new member: admitted, pending, caught up, ready, taking part."""
        self.admit(org)
        self.make_joiner(org)
        self.net.start(org)
        self.wait_current(org)
        config = self.propose(*self.orgs, org)
        self.enter(config, *ready, org)
