"""Answers that a node works out from its newest published state; nothing here is evidence by
itself.
"""

from ledger.attribution import Calculation
from ledger.errors import NotFoundError
from ledger.records.envelope import Shape
from ledger.rules import At, Draft
from ledger.rules.credit import credit_of, noticed_credit
from ledger.rules.graph import node_at
from node.cosigning import View


class CreditAnswer(Shape, frozen=True, kw_only=True):
    """Who must be credited for an object, as of the head of this height."""

    calculation: Calculation
    checkpoint: str
    height: int


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
