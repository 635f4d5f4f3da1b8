"""The seam between two chains: when more members than the chain bears are gone for good, it ends,
and a new one begins whose genesis names the last final block of the old (consensus.md 2.23; SPEC
9.6). Nothing is carried over but that name: old records are proven by the old copy, for ever.
"""

from typing import NamedTuple

from ledger.chain import Applied, Tip
from ledger.encoding import Statement, b64url
from ledger.errors import ProofError
from ledger.records.governance import Continues, GenesisBody
from ledger.rules.decisions import committee_quorum
from ledger.rules.values import Count, KeyState, MemberState, PolicyState
from ledger.state import state_key


class Seam(NamedTuple):
    """What joins a chain to the one before it."""

    continues: Continues
    accepted: tuple[str, ...]
    """Organisations of the old chain whose officers, as that chain knows them, accepted the new."""
    admitted: int
    """How many organisations the old chain had."""
    share: int
    """How many of them its policy asks for in general."""


def end_of(genesis: Applied, tip: Tip) -> Continues:
    """What a new genesis says of a chain that ends with this block."""
    return Continues(
        block=b64url(tip.seal_leaf),
        chain_id=tip.config.chain_id,
        height=tip.height,
        pin=b64url(genesis.seal.leaf),
        root=b64url(tip.tree.root()),
        size=tip.size,
    )


def verify_seam(genesis: Applied, old_genesis: Applied, old: Tip) -> Seam:
    """That block 0 of a chain continues the chain which ends with the block `old`, all of it, and
    that a majority of that chain's organisations want it so.

    Raises `ProofError` (V32) for one that continues another chain, or none, or leaves final blocks
    out; (V33) where no majority accepted it with officers' keys that the old chain knows.
    """
    body: GenesisBody = genesis.entries[0].record.body
    continues = body.continues
    if continues is None or continues != end_of(old_genesis, old):
        raise ProofError("V32", height=old.height)
    accepted = tuple(
        entry.statement.iss for entry in genesis.entries[1:] if _is_officer(old, entry.statement)
    )
    admitted = old.state.get(state_key("members", "admitted"))
    members = admitted.n if isinstance(admitted, Count) else 0
    policy = old.state.get(state_key("policy", "current"))
    share = (
        committee_quorum(policy.body, "resolution", members)
        if isinstance(policy, PolicyState)
        else members
    )
    if 2 * len(accepted) <= members:
        raise ProofError("V33", accepted=len(accepted), members=members)
    return Seam(continues, accepted, members, share)


def _is_officer(old: Tip, statement: Statement) -> bool:
    """Whether the old chain knows this key as one of an officer of that organisation."""
    key = old.state.get(state_key("key", b64url(statement.kid)))
    member = old.state.get(state_key("member", statement.iss))
    return (
        isinstance(key, KeyState)
        and (key.capacity, key.org, key.revoked) == ("so", statement.iss, None)
        and isinstance(member, MemberState)
        and member.status == "ADMITTED"
    )
