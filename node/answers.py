"""Answers that a node works out from its newest published state; nothing here is evidence by
itself.
"""

from typing import get_args

from ledger.attribution import Calculation
from ledger.errors import NotFoundError
from ledger.provenance import Cause, Onward, action_on, backward, forward
from ledger.records.envelope import Shape
from ledger.rules import At, Draft
from ledger.rules.credit import credit_of, noticed_credit
from ledger.rules.graph import Graph, node_at, nodes_of
from ledger.rules.obligations import Owed, obligations_of
from node.cosigning import View

CAUSES: tuple[Cause, ...] = get_args(Cause)


class CreditAnswer(Shape, frozen=True, kw_only=True):
    """Who must be credited for an object, as of the head of this height."""

    calculation: Calculation
    checkpoint: str
    height: int


class TraceRow(Shape, frozen=True, kw_only=True):
    """One record that a walk reached: how far, along which edge, from where; and, forwards, what
    has to be done about it.
    """

    action: str | None = None
    depth: int
    kind: str
    leaf: str
    name: str
    rel: str | None = None
    via: str | None = None


class TraceAnswer(Shape, frozen=True, kw_only=True):
    """What an object comes from, or what rests on it, as of the head of this height."""

    checkpoint: str
    height: int
    missing: tuple[str, ...]
    rows: tuple[TraceRow, ...]


class ObligationsAnswer(Shape, frozen=True, kw_only=True):
    """What a permit owes, as of the head of this height."""

    checkpoint: str
    height: int
    obligations: tuple[Owed, ...]


def trace_answer(view: View, leaf: str, cause: Cause | None = None) -> TraceAnswer:
    """Backwards all that a record comes from (domain.md Q2); with a cause, forwards all that rests
    on it, and what has to be done (Q7).

    Raises `NotFoundError` (O6) or `TooLargeError` (W1).
    """
    draft = Draft(view.tip.state, {}, view.tip.configs)
    if node_at(draft, leaf) is None:
        raise NotFoundError("O6", what="object", name=leaf)
    if cause is None:
        walk = backward(Graph(draft).find, [leaf])
    else:
        walk = forward(nodes_of(view.tip.state), [leaf])
    rows = tuple(
        TraceRow(
            action=action_on(cause, node) if cause and found != leaf else None,
            depth=walk.steps[found].depth,
            kind=node.kind,
            leaf=found,
            name=node.name,
            rel=walk.steps[found].rel,
            via=walk.steps[found].via,
        )
        for found, node in walk.nodes.items()
    )
    checkpoint, height = view.checkpoint.decode(), view.tip.height
    return TraceAnswer(checkpoint=checkpoint, height=height, missing=walk.missing, rows=rows)


def obligations_answer(view: View, permit: str) -> ObligationsAnswer:
    """The obligations of a permit. Raises `NotFoundError` (O6)."""
    draft = Draft(view.tip.state, {}, view.tip.configs)
    now = view.seal.seal.time_ms
    owed = obligations_of(draft, Onward(nodes_of(view.tip.state)), permit, now)
    checkpoint, height = view.checkpoint.decode(), view.tip.height
    return ObligationsAnswer(checkpoint=checkpoint, height=height, obligations=owed)


def credit_answer(view: View, leaf: str, notice: str | None = None) -> CreditAnswer:
    """The attribution of an object: under the policy in force, or as a notice shows it.

    Raises `NotFoundError` (O6), `RefusedError` (W2, W30, W40) or `TooLargeError` (W1).
    """
    tip = view.tip
    draft = Draft(tip.state, {}, tip.configs)
    if node_at(draft, leaf) is None:
        raise NotFoundError("O6", what="object", name=leaf)
    at = At(tip.height + 1, view.seal.seal.time_ms)
    found = credit_of(draft, leaf, at) if notice is None else noticed_credit(draft, leaf, notice)
    return CreditAnswer(calculation=found, checkpoint=view.checkpoint.decode(), height=tip.height)
