"""All that an object comes from (Q2), with the records themselves and the head at which it was
worked out: what the standard forms of provenance are made from.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from ledger.encoding import b64url
from ledger.errors import NotFoundError
from ledger.provenance import Node, backward
from ledger.records import decode_entry
from ledger.rules.graph import Graph
from node.reports.ground import Ground
from node.reports.notes import NOTES, Note
from node.reports.origins import LINEAGE_NOTES, status_of

VOCABULARY: Final = "urn:alliance:term:"
"""Our own terms: types of records, fields, relations and roles."""
NAMES: Final = "urn:alliance:chain:{chain}:"
"""What one chain holds."""

ACTS: Final = frozenset({
    "compute-run", "contribution-confirm", "dispute-ruling", "egress-decision", "permit-status",
    "study-event",
})  # fmt: skip
"""Types of records that say that something was done; all others say that something is there."""
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "access-decision": (
        "compute_nodes", "decision", "frequency", "legal_basis_codes", "purposes", "valid_from",
        "valid_until",
    ),
    "access-request": ("duration_months", "scenario"),
    "certificate": ("as_of", "valid_until"),
    "compute-run": (
        "code_digest", "compute_node", "engine", "exit_code", "generated", "image_digest", "permit",
        "purpose", "state",
    ),
    "contribution": ("credit_role", "degree", "local_role"),
    "contribution-confirm": ("decision", "degree"),
    "dataset-version": (
        "content_digest", "digest_scope", "gbt39725_level", "identifiability", "standard",
    ),
    "egress-decision": ("decision", "exception_code", "reason_code", "released"),
    "egress-request": ("destination_class", "files", "permit"),
    "ethics": ("committee_org", "decision", "status", "valid_from", "valid_until"),
    "indicator-version": ("definition_digest", "org"),
    "publication": ("acknowledgement_ok", "pid_type", "published_on"),
    "result": ("content_digest", "kind"),
    "study": ("lead_org", "purpose_classes", "registry_no"),
}  # fmt: skip
"""What is shown of a record beside its name: codes, days and digests."""


class Element(NamedTuple):
    """One record of the graph: its node, where it stands, whose it is, when its signer says that it
    was signed, what it says, and how its object stands now.
    """

    node: Node
    entry: int
    org: str
    at: str
    body: Any
    status: str | None


class Head(NamedTuple):
    """The published head that an answer stands on."""

    chain: str
    origin: str
    height: int
    size: int
    root: str
    time_ms: int


class Lineage(NamedTuple):
    """The backward graph of the record `start`, in the order of the chain; `missing` are links that
    lead nowhere.
    """

    head: Head
    start: str
    elements: tuple[Element, ...]
    missing: tuple[str, ...]
    notes: tuple[Note, ...]


def lineage_of(ground: Ground, name: str) -> Lineage:
    """The backward graph of an object, by its name or leaf hash, with its records.

    Raises `NotFoundError` (O6) or `TooLargeError` (W1).
    """
    start = ground.leaf_of(name)
    walk = backward(Graph(ground.draft).find, [start])
    elements = [element_of(ground, leaf) for leaf in walk.nodes]
    return Lineage(
        head_of(ground),
        start,
        tuple(sorted(elements, key=lambda one: one.entry)),
        walk.missing,
        tuple(NOTES[code] for code in LINEAGE_NOTES),
    )


def element_of(ground: Ground, leaf: str) -> Element:
    """A record of the graph, by its leaf hash. Raises `NotFoundError` (O6)."""
    node, index = Graph(ground.draft).find(leaf), ground.index_of(leaf)
    if node is None or index is None:
        raise NotFoundError("O6", what="record", name=leaf)
    found = decode_entry(ground.store.entry(index))
    record, org = found.record, found.statement.iss
    return Element(node, index, org, record.at, record.body, status_of(ground, node))


def head_of(ground: Ground) -> Head:
    """The head that answers stand on."""
    tip = ground.tip
    return Head(tip.chain, tip.origin, tip.height, tip.size, b64url(tip.tree.root()), tip.time_ms)


def facts_of(element: Element) -> dict[str, Any]:
    """What is shown of a record in every form, and the inputs that a run names, registered or
    not.
    """
    node, body = element.node, element.body
    found = {f"alliance:{name}": _plain(getattr(body, name)) for name in FIELDS.get(node.kind, ())}
    if node.kind == "compute-run":
        found["alliance:input"] = _inputs(body.used)
    return found


def _inputs(used: Iterable[Any]) -> list[str]:
    named = (one.name or one.digest or one.alias for one in used)
    return sorted({name for name in named if name is not None})


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def local_name(kind: str, code: str) -> str:
    """What something of a chain is called below `NAMES`; what a name may not hold is escaped."""
    return f"{kind}/{quote(code, safe='/')}"
