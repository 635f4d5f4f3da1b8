"""Membership changes on a chain in memory: who joins, what the committee decides, who is ready."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.encoding import b64url
from ledger.members import EpochConfig, Member, default_quorum
from ledger.records.envelope import Ref
from ledger.records.epochs import ConfigBody, ReadyBody
from ledger.records.governance import EndorseBody, MemberBody
from tests.ledger.ledgers import Ledger, key_of
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
