"""A chain in memory that takes one record after another: the way to see what a rule does."""

from typing import Any

from ledger.chain import Applied, Tip
from ledger.encoding import b64url
from ledger.records import decode_entry
from ledger.records.envelope import Ref, Shape
from ledger.records.governance import KeyDescription, ResolutionBody, Votes
from ledger.rules import RIGHTS, Located
from ledger.rules.values import DecisionState
from ledger.state import state_key
from tests.support.world import GENESIS_MS, Blocks, World, describe_key, encode_time, make_world

LATER = encode_time(GENESIS_MS + 86_400_000)


class Ledger:
    """A world, its blocks and its tip; every record gets a block of its own."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or make_world()
        self.blocks = Blocks(self.world.genesis)
        self.tip: Tip = self.world.genesis.tip
        self.last: Applied = self.world.genesis
        self.applied: list[Applied] = [self.world.genesis]

    def add(self, raw: bytes, time_ms: int = GENESIS_MS + 60_000) -> str:
        """Put one entry on the chain; its leaf hash. Raises what the rules raise."""
        self.last = self.world.extend(self.tip, [raw], self.blocks, time_ms)
        self.blocks.add(self.last)
        self.applied.append(self.last)
        self.tip = self.last.tip
        return b64url(decode_entry(raw).leaf)

    def record(self, kind: str, body: Shape, **fields: Any) -> str:
        """Sign a record and put it on the chain. Rights carry a `not_after` unless one is given."""
        time_ms = fields.pop("time_ms", GENESIS_MS + 60_000)
        return self.add(self.sign(kind, body, **fields), time_ms)

    def sign(self, kind: str, body: Shape, **fields: Any) -> bytes:
        """A signed record of this chain."""
        if kind in RIGHTS:
            fields.setdefault("not_after", LATER)
        return self.world.record(kind, body, resolved=self.blocks.leaves, **fields)

    def resolution(self, no: str = "R-1", **fields: Any) -> Ref:
        """An effective resolution of the committee, ready to be referred to."""
        body = ResolutionBody(
            kind="decide",
            meeting_date="2026-01-01",
            no=no,
            present=3,
            votes=Votes(abstain=0, against=0, in_favour=3),
        )
        return Ref(leaf=self.record("resolution", body, by="committee", **fields), rel="resolution")

    @property
    def findings(self) -> tuple[str, ...]:
        """What the last record showed."""
        return self.last.findings[0]

    def value(self, namespace: str, name: str) -> Any:  # noqa: ANN401
        """A value of the state."""
        return self.tip.state.get(state_key(namespace, name))

    def decision(self, leaf: str) -> DecisionState:
        """How the decision on a record stands."""
        return self.value("decision", leaf)  # type: ignore[no-any-return]


def key_of(world: World, org: str, role: str, capacity: str, **fields: Any) -> KeyDescription:
    """The description of a key that `make_keys(org)` has."""
    signer = getattr(world.keys[org], role)
    fields.setdefault("valid_from", encode_time(GENESIS_MS))
    return describe_key(
        signer,
        capacity=capacity,
        chain=world.genesis.tip.chain,
        org=org,
        subject=f"{org}-{role}",
        **fields,
    )


__all__ = ["LATER", "Ledger", "Located", "key_of"]
