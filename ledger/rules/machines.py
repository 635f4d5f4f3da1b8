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
