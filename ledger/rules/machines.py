"""The state machines of a data use, as tables: what happens, from which status, to which (domain.md
D13). The diagrams of SPEC 5.11 are drawn from these tables (`draw`).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.rules.standing import Spans, status_at

Table = Mapping[tuple[str, str | None], str]
"""(event, status before or None for nothing yet) -> status after."""

DATASET: Final[Table] = {
    ("register", None): "ACTIVE",
    ("newer version", "ACTIVE"): "SUPERSEDED",
    ("withdraw", "ACTIVE"): "WITHDRAWN",
    ("withdraw", "SUPERSEDED"): "WITHDRAWN",
}
STUDY: Final[Table] = {
    ("register", None): "REGISTERED",
    ("amend", "REGISTERED"): "REGISTERED",
    ("annual-report", "REGISTERED"): "REGISTERED",
    ("completion", "REGISTERED"): "COMPLETED",
    ("termination", "REGISTERED"): "TERMINATED",
}
ETHICS: Final[Table] = {
    ("grant", None): "GRANTED",
    ("renew", "GRANTED"): "GRANTED",
    ("renew", "SUSPENDED"): "GRANTED",
    ("suspend", "GRANTED"): "SUSPENDED",
    ("withdraw", "GRANTED"): "WITHDRAWN",
    ("withdraw", "SUSPENDED"): "WITHDRAWN",
}
REQUEST: Final[Table] = {
    ("submit", None): "SUBMITTED",
    ("complete", "SUBMITTED"): "UNDER_REVIEW",
    ("return", "SUBMITTED"): "RETURNED",
    ("return", "UNDER_REVIEW"): "RETURNED",
    ("resubmit", "RETURNED"): "SUBMITTED",
    ("withdraw", "SUBMITTED"): "WITHDRAWN",
    ("withdraw", "UNDER_REVIEW"): "WITHDRAWN",
    ("withdraw", "RETURNED"): "WITHDRAWN",
    ("reject", "UNDER_REVIEW"): "REJECTED",
    ("approve", "UNDER_REVIEW"): "APPROVED",
    ("amend", "APPROVED"): "APPROVED",
}
PERMIT: Final[Table] = {
    ("approve", None): "APPROVED",
    ("activate", "APPROVED"): "ACTIVE",
    ("extend", "ACTIVE"): "ACTIVE",
    ("suspend", "ACTIVE"): "SUSPENDED",
    ("resume", "SUSPENDED"): "ACTIVE",
    ("time", "ACTIVE"): "EXPIRED",
    ("revoke", "APPROVED"): "REVOKED",
    ("revoke", "ACTIVE"): "REVOKED",
    ("revoke", "SUSPENDED"): "REVOKED",
    ("close", "ACTIVE"): "CLOSED",
    ("close", "EXPIRED"): "CLOSED",
    ("close", "REVOKED"): "CLOSED",
}
RUN: Final[Table] = {
    ("requested", None): "REQUESTED",
    ("signed-off", None): "SIGNED_OFF",
    ("signed-off", "REQUESTED"): "SIGNED_OFF",
    **{("started", before): "STARTED" for before in (None, "REQUESTED", "SIGNED_OFF")},
    **{
        (end, before): end.upper()
        for end in ("completed", "failed", "aborted")
        for before in (None, "REQUESTED", "SIGNED_OFF", "STARTED")
    },
}


EGRESS: Final[Table] = {
    ("submit", None): "REQUESTED",
    ("review", "REQUESTED"): "ONE_REVIEW",
    ("review", "ONE_REVIEW"): "TWO_REVIEWS",
    ("review", "TWO_REVIEWS"): "TWO_REVIEWS",
    ("return", "REQUESTED"): "RETURNED",
    ("return", "ONE_REVIEW"): "RETURNED",
    ("return", "TWO_REVIEWS"): "RETURNED",
    ("resubmit", "RETURNED"): "REQUESTED",
    ("withdraw", "RETURNED"): "WITHDRAWN",
    ("reject", "TWO_REVIEWS"): "REJECTED",
    ("release", "TWO_REVIEWS"): "RELEASED",
    ("recall", "RELEASED"): "RECALLED",
}
RESULT: Final[Table] = {
    ("register", None): "REGISTERED",
    ("release", "REGISTERED"): "CLEARED",
    ("release", "CLEARED"): "CLEARED",
    ("release", "PUBLISHED"): "PUBLISHED",
    ("publish", "CLEARED"): "PUBLISHED",
    ("publish", "PUBLISHED"): "PUBLISHED",
    ("recall", "CLEARED"): "REGISTERED",
    ("recall", "PUBLISHED"): "RETRACTED",
    ("correct", "REGISTERED"): "CORRECTED",
    ("correct", "CLEARED"): "CORRECTED",
    ("correct", "PUBLISHED"): "CORRECTED",
}
CONTRIBUTION: Final[Table] = {
    ("claim", None): "CLAIMED",
    ("confirm", "CLAIMED"): "CONFIRMED",
    ("amend", "CLAIMED"): "CONFIRMED",
    ("reject", "CLAIMED"): "REJECTED",
    ("withdraw", "CONFIRMED"): "WITHDRAWN",
}
CERTIFICATE: Final[Table] = {
    ("notice", None): "NOTICE",
    ("issue", "NOTICE"): "ISSUED",
    ("supersede", "ISSUED"): "SUPERSEDED",
    ("revoke", "ISSUED"): "REVOKED",
    ("time", "ISSUED"): "EXPIRED",
}
DISPUTE: Final[Table] = {
    ("open", None): "OPEN",
    ("upheld", "OPEN"): "UPHELD",
    ("partly", "OPEN"): "PARTLY",
    ("rejected", "OPEN"): "REJECTED",
}


class Machine(NamedTuple):
    """A table with its name, for documents."""

    name: str
    table: Table


MACHINES: Final = (
    Machine("Dataset version", DATASET),
    Machine("Study", STUDY),
    Machine("Ethics approval", ETHICS),
    Machine("Access request", REQUEST),
    Machine("Permit", PERMIT),
    Machine("Compute run", RUN),
    Machine("Result", RESULT),
    Machine("Request for egress", EGRESS),
    Machine("Contribution", CONTRIBUTION),
    Machine("Certificate", CERTIFICATE),
    Machine("Dispute", DISPUTE),
)


def permit_status(spans: Spans, until_ms: int, time_ms: int) -> str | None:
    """How a permit stands at a time: time itself ends what nobody ended."""
    status = status_at(spans, time_ms)
    if status == "ACTIVE" and time_ms > until_ms:
        return PERMIT["time", "ACTIVE"]
    return status


def draw(machine: Machine) -> str:
    """The Mermaid diagram of a table: one arrow for each two states, with all its events."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (event, before), after in machine.table.items():
        arrows.setdefault((before or "[*]", after), []).append(event)
    lines = [
        f"  {before} --> {after}: {', '.join(events)}" for (before, after), events in arrows.items()
    ]
    return "\n".join(["stateDiagram-v2", *lines])
