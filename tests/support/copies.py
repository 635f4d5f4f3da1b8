"""Offline copies of chains in memory, as `alliance export` writes them; what a hostile member with
all
its keys would write, too."""

from collections.abc import Sequence
from pathlib import Path

from ledger.chain import Applied
from ledger.consensus.messages import Vote, encode_certificate, make_certificate, signed_bytes
from ledger.encoding import decode_bundle, encode_bundle
from ledger.merkle import ENTRIES, Tree, leaf_hashes, tiles_of
from ledger.notes import (
    Checkpoint,
    Note,
    cosign,
    encode_checkpoint,
    encode_note,
    encode_policy,
    sign_note,
)
from ledger.verify import cosigner_name, policy_of
from tests.support.world import GENESIS_MS, Blocks, World


class Chain:
    """A chain of a world that grows block by block."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.blocks: list[list[bytes]] = [decode_bundle(world.bundle)]
        self.applied: list[Applied] = [world.genesis]
        self.history = Blocks(world.genesis)

    def add(self, raws: Sequence[bytes], time_ms: int = GENESIS_MS + 60_000) -> Applied:
        """One more block of these entries."""
        block = self.world.extend(self.applied[-1].tip, raws, self.history, time_ms)
        self.history.add(block)
        self.applied.append(block)
        self.blocks.append([*raws, block.seal.raw])
        return block

    def entries(self) -> list[bytes]:
        """All entries, seals among them."""
        return [raw for block in self.blocks for raw in block]

    def certificates(self) -> list[bytes]:
        """The finality certificate of every block from 1 on, signed by all members of its epoch."""
        found = []
        for block in self.applied[1:]:
            tip, view, config = block.tip, block.seal.seal.view, block.tip.own_config
            message = signed_bytes(config, "finalize", view, tip.height, tip.seal_leaf)
            votes = [
                Vote(
                    "finalize",
                    config.epoch,
                    view,
                    tip.height,
                    tip.seal_leaf,
                    index,
                    self.world.keys[member.org].node.sign(message),
                )
                for index, member in enumerate(config.members)
            ]
            found.append(encode_certificate(make_certificate(config, votes)))
        return found


def sign_head(
    world: World,
    tree: Tree,
    time_s: int = GENESIS_MS // 1000 + 60,
    orgs: Sequence[str] | None = None,
) -> Note:
    """The checkpoint of a tree, signed by the first member's log and cosigned by all."""
    origin = world.genesis.tip.origin
    text = encode_checkpoint(Checkpoint(origin, tree.size, tree.root()))
    lines = [sign_note(text, origin, world.keys[world.org].log)]
    for org in world.keys if orgs is None else orgs:
        keys = world.keys[org]
        lines.append(cosign(text, cosigner_name(org, origin), keys.cosigner, time_s))
    return Note(text, tuple(lines))


def write_copy(
    folder: Path,
    world: World,
    entries: Sequence[bytes],
    certificates: Sequence[bytes],
    justifications: Sequence[bytes] = (),
    orgs: Sequence[str] | None = None,
) -> Path:
    """A copy of these entries with honest tiles and an honestly signed head, whatever the entries
    say.
    """
    tree = Tree(leaf_hashes(entries))
    files = {
        "checkpoint": encode_note(sign_head(world, tree, orgs=orgs)),
        "finality/certificates": b"".join(
            len(item).to_bytes(4, "big") + item for item in certificates
        ),
        "genesis": world.bundle,
        "policy": encode_policy(policy_of(world.config, world.genesis.tip.origin)),
    }
    if justifications:
        framed = b"".join(len(item).to_bytes(4, "big") + item for item in justifications)
        files["finality/justifications"] = framed
    for tile in tiles_of(tree.size):
        start = tile.number * 256
        bundle = encode_bundle(entries[start : start + tile.width])
        files[tile.path] = bundle if tile.level == ENTRIES else tree.tile(*tile)
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder
