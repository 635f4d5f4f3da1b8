"""Where a result came from (Q2), who must be credited for it (Q5), and what is affected when
something that others rest on is gone (Q7).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ledger.errors import MalformedError, NotFoundError, TooLargeError
from ledger.provenance import ACTIONS_ON, MAX_NODES, Cause, Node, Walk, action_on, backward
from ledger.records.envelope import Shape
from ledger.rules import At
from ledger.rules.credit import credit_of, noticed_credit
from ledger.rules.entitlement import CertificateState, ResultState
from ledger.rules.graph import Graph
from ledger.rules.machines import permit_status
from ledger.rules.standing import (
    EthicsState,
    PermitState,
    PersonState,
    RequestState,
    RunState,
    StudyState,
    status_at,
)
from ledger.rules.values import KeyState, VersionState
from node.reports.answer import Answer, Asked, Row, unique
from node.reports.ground import Ground, day_of
from node.reports.known import check_dataset, unknown
from node.store import Group

STATES: Final[Mapping[str, tuple[str, type[Shape]]]] = {
    "access-request": ("request", RequestState),
    "certificate": ("certificate", CertificateState),
    "compute-run": ("run", RunState),
    "result": ("result", ResultState),
    "study": ("study", StudyState),
}
"""Where the state says how the object of a record stands, by the record's type."""


LINEAGE_NOTES: Final = ("recorded-only", "missing-links")
"""What no answer on where something comes from can know."""


class OriginRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """One record that a walk reached: how far, along which edge, and how its object stands."""

    depth: int
    kind: str
    name: str
    rel: str | None = None
    via: str | None = None
    status: str | None = None
    parties: tuple[str, ...] = ()
    evidence: str | None = None
    """`one-sided` for uses that no access of the custodian bears out."""


def status_of(ground: Ground, node: Node) -> str | None:
    """How the object of a record stands now; None where no machine says so."""
    if node.kind == "access-decision":
        permit = ground.get(PermitState, "permit", node.name)
        if permit is None:
            return None
        return permit_status(permit.spans, permit.terms.until_ms, ground.now_ms)
    if node.kind == "ethics":
        approval = ground.get(EthicsState, "ethics", node.name)
        return None if approval is None else _approval_status(approval, ground.now_ms)
    if node.kind == "dataset-version":
        version = ground.get(VersionState, "version", node.name)
        if version is not None:
            return "ACTIVE" if version.withdrawn is None else "WITHDRAWN"
    namespace, kind = STATES.get(node.kind, ("", Shape))
    state: Any = ground.get(kind, namespace, node.name) if namespace else None
    return None if state is None else state.status


def _approval_status(approval: EthicsState, now_ms: int) -> str | None:
    status = status_at(approval.spans, now_ms)
    return "EXPIRED" if status == "GRANTED" and now_ms > approval.until_ms else status


def provenance(ground: Ground, asked: Asked) -> Answer:
    """Q2: the full graph backwards from an object, and the links that lead nowhere. Raises
    `NotFoundError` (O6) or `TooLargeError` (W1).
    """
    start = ground.leaf_of(asked.need("object"))
    walk = backward(Graph(ground.draft).find, [start])
    weak = {
        (node.leaf, edge.leaf) for node in walk.nodes.values() for edge in node.edges
        if not edge.counts
    }  # fmt: skip
    rows = [
        OriginRow(
            depth=walk.steps[leaf].depth,
            kind=node.kind,
            name=node.name,
            rel=walk.steps[leaf].rel,
            via=walk.steps[leaf].via,
            status=status_of(ground, node),
            parties=tuple(sorted({f"{part.role}:{part.party}" for part in node.parts})),
            evidence="one-sided" if (walk.steps[leaf].via, leaf) in weak else None,
            records=(leaf,),
        )
        for leaf, node in walk.nodes.items()
    ]
    facts = {"missing": walk.missing, "object": start, "graph": _edges(walk)}
    return Answer(rows, LINEAGE_NOTES, facts)


def _edges(walk: Walk) -> list[dict[str, object]]:
    """Every edge of the graph: a table of rows shows one way to each record only."""
    return [
        {"counts": edge.counts, "from": node.leaf, "rel": edge.rel, "to": edge.leaf}
        for node in walk.nodes.values()
        for edge in node.edges
    ]


class CreditRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """One party to be credited: every role it is acknowledged for, and its share."""

    party: str
    basis_points: int
    held: bool = False
    pools: dict[str, int] = msgspec.field(default_factory=dict)
    """Thousandths of a basis point."""
    roles: tuple[str, ...] = ()


def credit(ground: Ground, asked: Asked) -> Answer:
    """Q5: who must be credited, with what share, and why. Raises `NotFoundError` (O6),
    `RefusedError` (W2, W30, W40) or `TooLargeError` (W1).
    """
    leaf, notice = ground.leaf_of(asked.need("object")), asked.take("notice")
    if notice is None:
        at = At(ground.tip.height + 1, ground.now_ms)
        found = credit_of(ground.draft, leaf, at)
    else:
        found = noticed_credit(ground.draft, leaf, notice)
    roles: dict[str, list[str]] = {}
    leaves: dict[str, list[str]] = {}
    for one in found.acknowledgements:
        roles.setdefault(one.party, []).append(one.local_role or one.credit_role or one.role)
        leaves.setdefault(one.party, []).append(one.object)
    shares = {row.party: row for row in found.shares.rows}
    rows = [
        CreditRow(
            party=party,
            basis_points=shares[party].basis_points if party in shares else 0,
            held=party in shares and shares[party].held,
            pools=shares[party].pools if party in shares else {},
            roles=tuple(dict.fromkeys(roles.get(party, ()))),
            records=unique(*leaves.get(party, ())),
        )
        for party in sorted({*roles, *shares})
    ]
    facts = {
        "ack_root": found.ack_root,
        "digest": found.digest,
        "object": leaf,
        "policy": found.policy,
        "pools": found.shares.pools,
        "share_root": found.share_root,
    }
    return Answer(rows, ("recorded-only", "credit-texts", "shares-by-agreement"), facts)


# --- Q7 ---

ENDINGS: Final = frozenset({
    "CLOSED", "DATASET_WITHDRAWN", "ETHICS_INVALID", "EXPIRED", "REVOKED", "SUSPENDED",
})  # fmt: skip
"""Findings of uses that went on although what they rested on was gone."""
MAX_LISTED: Final = 1_000
"""Entries of one key or person that are listed one by one."""


class EffectRow(Row, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is affected: how it stands, and what has to be done about it."""

    depth: int
    kind: str
    """A type of record; `use` for uses that went on afterwards."""
    name: str
    status: str | None = None
    action: str | None = None
    rel: str | None = None
    via: str | None = None
    uses: int | None = None
    findings: tuple[str, ...] = ()


class Origin(NamedTuple):
    """What is gone: the records to start from, how it stands, and the entries that name it."""

    cause: Cause
    leaves: Sequence[str]
    status: str
    entries: Sequence[int] = ()


def consequences(ground: Ground, asked: Asked) -> Answer:
    """Q7: what rests on an approval, permit, dataset, key or person, how that stands, and what has
    to be done if it is gone, or because it is. Nothing that was recorded changes.

    Raises `MalformedError` (Q2), `NotFoundError` (O6, O6.near) or `TooLargeError` (W1).
    """
    kind, _, name = asked.need("of").partition(":")
    origins = {
        "dataset": _of_dataset,
        "ethics": _of_ethics,
        "key": _of_key,
        "permit": _of_permit,
        "person": _of_person,
    }
    if kind not in origins:
        raise MalformedError("Q2", field="of")
    origin = origins[kind](ground, name)
    walk = ground.graph.walk(origin.leaves)
    rows = [*_own_rows(ground, origin), *_reached(ground, origin, walk)]
    rows += _still_used(ground, walk, name if kind == "dataset" else None)
    facts = {"cause": origin.cause, "of": f"{kind}:{name}", "status": origin.status}
    return Answer(rows, ("recorded-only", "nothing-changed"), facts)


def _of_dataset(ground: Ground, name: str) -> Origin:
    check_dataset(ground, name)
    versions = ground.versions(name)
    gone = [state for state in versions.values() if state.withdrawn is not None]
    status = "WITHDRAWN" if versions and len(gone) == len(versions) else "ACTIVE"
    return Origin("dataset-withdrawn", [state.leaf for state in versions.values()], status)


def _of_ethics(ground: Ground, name: str) -> Origin:
    approval = ground.get(EthicsState, "ethics", name)
    if approval is None:
        raise unknown("ethics approval", name, ground.all(EthicsState, "ethics"))
    leaves = [
        node.leaf for node in ground.graph.nodes.values()
        if node.kind == "ethics" and node.name == name
    ]  # fmt: skip
    return Origin("ethics-withdrawn", leaves, _approval_status(approval, ground.now_ms) or "")


def _of_permit(ground: Ground, name: str) -> Origin:
    permit = ground.get(PermitState, "permit", name)
    if permit is None:
        raise unknown("permit", name, ground.all(PermitState, "permit"))
    leaves = [
        node.leaf for node in ground.graph.nodes.values()
        if node.kind == "access-decision" and node.name == name
    ]  # fmt: skip
    status = permit_status(permit.spans, permit.terms.until_ms, ground.now_ms) or ""
    return Origin("permit-ended", leaves, status)


def _of_key(ground: Ground, name: str) -> Origin:
    """Entries signed with the key, from the time on that it is suspected for."""
    key = ground.get(KeyState, "key", name)
    if key is None:
        raise NotFoundError("O6", what="key", name=name)
    since_ms = key.suspect_from_ms or 0
    entries = [
        index for index in ground.uses.signed_by(name) if ground.recorded_ms(index) >= since_ms
    ]
    leaves = [leaf for leaf in map(ground.leaf_at, entries) if leaf in ground.graph.nodes]
    if len(leaves) > MAX_NODES:
        raise TooLargeError("W1", limit=MAX_NODES)
    suspected = "SUSPECTED" if key.suspect_from_ms is not None else "REVOKED"
    return Origin(
        "key-compromised", leaves, "ACTIVE" if key.revoked is None else suspected, entries
    )


def _of_person(ground: Ground, name: str) -> Origin:
    if ground.get(PersonState, "person", name) is None:
        raise NotFoundError("O6", what="person", name=name)
    entries = ground.on_subject(f"person:{name}")
    leaves = [leaf for leaf in map(ground.leaf_at, entries) if leaf in ground.graph.nodes]
    return Origin("person-erased", leaves, "", entries)


def _own_rows(ground: Ground, origin: Origin) -> Iterator[EffectRow]:
    """The entries of a key or person that are no nodes of the graph: accesses, reviews, votes."""
    rest = [index for index in origin.entries if ground.leaf_at(index) not in ground.graph.nodes]
    action = "check-record" if origin.cause == "key-compromised" else None
    for index in rest[:MAX_LISTED]:
        leaf = ground.leaf_at(index)
        record = ground.record(leaf)
        yield EffectRow(
            depth=0,
            kind=record.type if record else "",
            name=str(index),
            action=action,
            records=(leaf,),
        )
    if len(rest) > MAX_LISTED:
        yield EffectRow(
            depth=0,
            kind="more",
            name=str(len(rest) - MAX_LISTED),
            action=action,
            records=(ground.leaf_at(rest[MAX_LISTED]), ground.leaf_at(rest[-1])),
        )


def _reached(ground: Ground, origin: Origin, walk: Walk) -> Iterator[EffectRow]:
    """What the walk reached. For a person only what names it or has to be done: whatever the
    person's study made is not the person's.
    """
    starts = set(origin.leaves)
    for leaf, node in walk.nodes.items():
        step = walk.steps[leaf]
        starting = leaf in starts and origin.cause not in ACTIONS_ON
        action = None if starting else action_on(origin.cause, node)
        if origin.cause == "key-compromised" and leaf in starts:
            action = "check-record"
        if origin.cause == "person-erased" and leaf not in starts and action is None:
            continue
        yield EffectRow(
            depth=step.depth,
            kind=node.kind,
            name=node.name,
            status=status_of(ground, node),
            action=action,
            rel=step.rel,
            via=step.via,
            findings=ground.findings(leaf),
            records=(leaf,),
        )


def _still_used(ground: Ground, walk: Walk, dataset: str | None) -> Iterator[EffectRow]:
    """Uses that were recorded after what they rested on was gone: evidence, and to be looked at."""
    names = sorted({node.name for node in walk.nodes.values() if node.kind == "access-decision"})
    groups = list(ground.uses.groups("permit", names))
    if dataset is not None:
        groups = [one for one in groups if dataset in (one.dataset, one.dataset.partition("@")[0])]
    found: dict[str, list[Group]] = {}
    for group in groups:
        if ENDINGS.intersection(group.codes):
            found.setdefault(group.permit, []).append(group)
    for name, late in found.items():
        first = min(group.first for group in late)
        yield EffectRow(
            depth=1,
            kind="use",
            name=name,
            status=" ".join(
                (
                    day_of(min(one.first_ms for one in late)),
                    day_of(max(one.last_ms for one in late)),
                )
            ),
            action="resolve-findings",
            uses=sum(group.uses for group in late),
            findings=tuple(sorted({code for one in late for code in one.codes} & ENDINGS)),
            records=unique(
                ground.leaf_at(first), ground.leaf_at(max(group.last for group in late))
            ),
        )
