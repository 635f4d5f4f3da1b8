"""Membership changes on a chain in memory: who joins, what the committee decides, who is ready."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ledger.encoding import b64url
from ledger.members import EpochConfig, Member, default_quorum
from ledger.merkle import Tree, leaf_hashes
from ledger.notes import TlogProof, encode_note, encode_policy, encode_proof
from ledger.records.envelope import ENCODE, Ref
from ledger.records.epochs import ConfigBody, ReadyBody
from ledger.records.governance import EndorseBody, MemberBody
from ledger.records.seal import results_leaf
from ledger.state import state_key
from ledger.verify import (
    BlockReceipt,
    BoundaryProof,
    FindingsProof,
    Receipt,
    SealProof,
    StateProof,
    encode_epochs,
    policy_of,
)
from tests.ledger.ledgers import Ledger, key_of
from tests.support.copies import Chain, sign_head, write_copy
from tests.support.world import World, make_keys


def member_of(world: World, org: str) -> Member:
    """An organisation as a configuration lists it, with the keys that it has now."""
    keys = world.keys[org]
    return Member(
        cosigner_pk=b64url(keys.cosigner.public_key),
        leader_eligible=True,
        log_pk=b64url(keys.log.public_key),
        node_pk=b64url(keys.node.public_key),
        org=org,
    )


def config_of(world: World, orgs: Sequence[str], epoch: int = 1, **changes: Any) -> EpochConfig:
    """The configuration of an epoch in which these organisations vote."""
    members = sorted(
        (member_of(world, o) for o in orgs), key=lambda m: world.keys[m.org].node.public_key
    )
    return msgspec.structs.replace(
        world.config,
        **{"epoch": epoch, "members": tuple(members), "q": default_quorum(len(orgs)), **changes},
    )


def approve(ledger: Ledger, leaf: str) -> str:
    """The committee's organisations endorse, one after the other, until it is decided; how."""
    body = EndorseBody(capacity="dac", target=leaf, verdict="approve")
    for org in ledger.world.keys:
        if ledger.decision(leaf).status == "PENDING" and ledger.value("member", org) is not None:
            ledger.record("endorse", body, by="committee", org=org)
    return ledger.decision(leaf).status


def admit(ledger: Ledger, org: str) -> None:
    """A further organisation becomes a member, with officers and keys of its own."""
    world = ledger.world
    world.keys.setdefault(org, make_keys(org))  # type: ignore[attr-defined]
    leaf = ledger.resolution(f"R-{org}").leaf
    approve(ledger, leaf)
    body = MemberBody(
        action="admit",
        keys=(key_of(world, org, "officer", "so"), key_of(world, org, "committee", "dac")),
        kind="hospital",
        org=org,
    )
    refs = (Ref(leaf=leaf, rel="resolution"),)
    member = ledger.record("member", body, by="committee", refs=refs)
    approve(ledger, member)


def decide(ledger: Ledger, config: EpochConfig, **fields: Any) -> str:
    """A configuration that an officer signs and the committee makes effective; its leaf."""
    leaf = ledger.record("config", ConfigBody(config=config), **fields)
    approve(ledger, leaf)
    return leaf


def ready_body(config: EpochConfig, *versions: int) -> ReadyBody:
    """A word of readiness."""
    return ReadyBody(config_hash=b64url(config.config_hash), rules_versions=versions or (1,))


def declare(ledger: Ledger, config: EpochConfig, *orgs: str) -> None:
    """The nodes of these organisations say that they are ready."""
    for org in orgs:
        ledger.record("ready", ready_body(config), by="node", org=org)


def grown(ledger: Ledger, *joining: str, **changes: Any) -> EpochConfig:
    """The next epoch, with these organisations besides; the chain's tip is its boundary."""
    orgs = [member.org for member in ledger.tip.config.members]
    for org in joining:
        admit(ledger, org)
    config = config_of(ledger.world, [*orgs, *joining], ledger.tip.config.epoch + 1, **changes)
    decide(ledger, config)
    for org in [*joining, *orgs]:
        if not ledger.tip.is_boundary:
            declare(ledger, config, org)
    return config


def chain_of(ledger: Ledger) -> Chain:
    """The blocks of a chain, as copies and certificates are made of them."""
    chain = Chain(ledger.world)
    chain.applied = list(ledger.applied)
    chain.blocks = [
        [*(entry.raw for entry in block.entries), block.seal.raw] for block in chain.applied
    ]
    return chain


def copy_of(folder: Path, ledger: Ledger, height: int | None = None) -> Path:
    """A copy of a chain up to a height, as `alliance export` writes it."""
    chain, prover = chain_of(ledger), Prover(ledger, height)
    count = len(prover.blocks)
    raws = [raw for block in chain.blocks[:count] for raw in block]
    write_copy(folder, ledger.world, raws, chain.certificates()[: count - 1])
    origin = prover.tip.origin
    (folder / "checkpoint").write_bytes(encode_note(prover.note))
    (folder / "policy").write_bytes(encode_policy(policy_of(prover.tip.own_config, origin)))
    if prover.boundaries:
        (folder / "epochs").write_bytes(encode_epochs(prover.boundaries))
    return folder


class Prover:
    """What a node gives to callers at a height: proofs of everything up to it."""

    def __init__(self, ledger: Ledger, height: int | None = None) -> None:
        chain = chain_of(ledger)
        certificates = [b"", *chain.certificates()]
        self.blocks = chain.applied[: None if height is None else height + 1]
        self.tip = self.blocks[-1].tip
        raws = [raw for block in chain.blocks[: len(self.blocks)] for raw in block]
        self.tree = Tree(leaf_hashes(raws))
        members = [member.org for member in self.tip.own_config.members]
        self.note = sign_head(ledger.world, self.tree, orgs=members)
        self.boundaries = tuple(
            BoundaryProof(
                certificate=b64url(certificates[boundary.height]),
                config=self.tip.configs[number],
                seal=self.seal(boundary.height),
            )
            for number, boundary in enumerate(self.tip.boundaries, 1)
            if boundary.height < self.tip.height
        )

    def seal(self, height: int) -> SealProof:
        """A seal with its inclusion."""
        block = self.blocks[height]
        path = self.tree.inclusion(block.tip.seal_index, self.tree.size)
        return SealProof(
            entry=b64url(block.seal.raw),
            index=block.tip.seal_index,
            path=tuple(map(b64url, path)),
        )

    def state(self, namespace: str, name: str) -> StateProof:
        """A value of the state with its proof."""
        key = state_key(namespace, name)
        value = self.tip.state.get(key)
        text = None if value is None else ENCODE(value).decode()
        proof = b64url(self.tip.state.prove(key))
        return StateProof(key=f"{namespace}/{name}", proof=proof, value=text)

    def receipt(self, height: int, place: int = 0) -> Receipt:
        """The receipt of one entry of a block."""
        block = self.blocks[height]
        entry = block.entries[place]
        index = block.tip.seal_index - len(block.entries) + place
        leaves = [
            results_leaf(e.leaf, codes)
            for e, codes in zip(block.entries, block.findings, strict=True)
        ]
        findings = Tree(leaves).inclusion(place, len(leaves))
        kid = b64url(entry.statement.kid)
        node = kid in block.tip.own_config.node_kids
        space = "ready" if entry.record.type == "ready" else "key"
        path = tuple(self.tree.inclusion(index, self.tree.size))
        return Receipt(
            boundaries=self.boundaries,
            entry=b64url(entry.raw),
            findings=FindingsProof(codes=block.findings[place], path=tuple(map(b64url, findings))),
            format="alliance-receipt/1",
            head=self.seal(self.tip.height),
            key=None if node else self.state(space, kid),
            proof=encode_proof(TlogProof(index, path, self.note)).decode(),
            seal=self.seal(height),
        )

    def block_receipt(self, height: int) -> BlockReceipt:
        """The receipt of all entries of a block."""
        block = self.blocks[height]
        return BlockReceipt(
            boundaries=self.boundaries,
            checkpoint=encode_note(self.note).decode(),
            findings=block.findings,
            format="alliance-block-receipt/1",
            head=self.seal(self.tip.height),
            leaves=tuple(b64url(entry.leaf) for entry in block.entries),
            seal=self.seal(height),
        )
