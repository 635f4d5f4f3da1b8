"""The backward graph of an object as W3C PROV-JSON (SPEC 12.9).

One element for each record, named by its entry. What a record says is an attribute of the same name
as its field; `alliance:leaf` and `alliance:entry` are what its receipt proves.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from ledger.encoding import encode_time
from ledger.provenance import Edge
from node.reports.lineage import Element, Lineage

VOCABULARY: Final = "urn:alliance:term:"
"""The prefix `alliance`: types of records, fields, relations and roles."""
NAMES: Final = "urn:alliance:chain:{chain}:"
"""The prefix `chain`: what one chain holds."""

ACTS: Final = frozenset({
    "compute-run", "contribution-confirm", "dispute-ruling", "egress-decision", "permit-status",
    "study-event",
})  # fmt: skip
"""Types of records that say that something was done; all others say that something is there."""
MADE_FROM: Final = frozenset({"derived_from", "supersedes", "uses_indicator"})
"""Relations by which one thing was made from another one."""
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
PARTIES: Final[Mapping[str, str]] = {
    "dept": "prov:Organization",
    "funder": "prov:Organization",
    "org": "prov:Organization",
    "pid": "prov:Person",
}

Json = dict[str, Any]
Document = dict[str, dict[str, Json]]


class Tie(NamedTuple):
    """A relation of PROV, and what it calls its two ends."""

    name: str
    later: str
    earlier: str


USAGE: Final = Tie("used", "prov:activity", "prov:entity")
GENERATION: Final = Tie("wasGeneratedBy", "prov:entity", "prov:activity")
DERIVATION: Final = Tie("wasDerivedFrom", "prov:generatedEntity", "prov:usedEntity")
INFLUENCE: Final = Tie("wasInfluencedBy", "prov:influencee", "prov:influencer")
ASSOCIATION: Final = Tie("wasAssociatedWith", "prov:activity", "prov:agent")
ATTRIBUTION: Final = Tie("wasAttributedTo", "prov:entity", "prov:agent")


def prov_of(lineage: Lineage) -> Json:
    """The PROV-JSON document of a graph: the same bytes wherever it is made at one head."""
    drawing = _Drawing(lineage)
    drawing.head()
    for leaf in lineage.missing:
        drawing.missing(leaf)
    for element in lineage.elements:
        drawing.element(element)
        drawing.edges(element)
        drawing.agents(element)
    found = {kind: dict(sorted(drawing.found[kind].items())) for kind in sorted(drawing.found)}
    prefix = {"alliance": VOCABULARY, "chain": NAMES.format(chain=lineage.head.chain)}
    return {"prefix": prefix, **found}


class _Drawing:
    """The document while it is made."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._kinds = {one.node.leaf: one.node.kind for one in lineage.elements}
        self._names = {
            **{leaf: _name("missing", leaf) for leaf in lineage.missing},
            **{one.node.leaf: _name("entry", str(one.entry)) for one in lineage.elements},
        }
        self._made = {
            edge.leaf for one in lineage.elements for edge in one.node.edges
            if edge.rel == "generated_by"
        }  # fmt: skip
        self._ties = 0
        self.found: Document = {}

    def head(self) -> None:
        """Where it was worked out, from which record on, and what it cannot know."""
        head = self._lineage.head
        notes = self._lineage.notes
        self._put("entity", _name("head", str(head.size)), {
            "alliance:height": head.height,
            "alliance:missing": list(self._lineage.missing),
            "alliance:note": [
                {"$": text, "lang": language}
                for note in notes for language, text in note._asdict().items()
            ],
            "alliance:object": _qname(self._names[self._lineage.start]),
            "alliance:origin": head.origin,
            "alliance:root": head.root,
            "alliance:size": head.size,
            "alliance:time": _time(encode_time(head.time_ms)),
            "prov:type": _qname("alliance:head"),
        })  # fmt: skip

    def missing(self, leaf: str) -> None:
        """A link that leads nowhere: an activity where something was generated by it."""
        kind = "activity" if self._acts(leaf) else "entity"
        facts = {"alliance:leaf": leaf, "prov:type": _qname("alliance:missing")}
        self._put(kind, self._names[leaf], facts)

    def element(self, element: Element) -> None:
        """One record: an activity with its times, or an entity."""
        node, body = element.node, element.body
        facts: Json = {
            **_fields(element),
            "alliance:entry": element.entry,
            "alliance:leaf": node.leaf,
            "alliance:recorded_by": _qname(self._agent(f"org:{element.org}")),
            "alliance:signed_at": _time(element.at),
            "alliance:status": element.status,
            "prov:label": node.name,
            "prov:type": [_qname(f"alliance:{node.kind}")],
        }
        if node.kind == "access-decision" and body.decision == "approve":
            facts["prov:type"].append(_qname("prov:Plan"))
        if node.kind == "compute-run":
            facts["prov:startTime"], facts["prov:endTime"] = body.started, body.ended
        self._put("activity" if self._acts(node.leaf) else "entity", self._names[node.leaf], facts)

    def edges(self, element: Element) -> None:
        """What a record names; the permit of a run stands with its agents, as the plan."""
        node = element.node
        for edge in node.edges:
            if edge.rel == "under_permit":
                continue
            tie = self._tie(node.leaf, edge)
            facts: Json = {"alliance:relation": _qname(f"alliance:{edge.rel}")}
            if edge.rel == "supersedes" and tie is DERIVATION:
                facts["prov:type"] = _qname("prov:Revision")
            if not edge.counts:
                facts["alliance:evidence"] = "one-sided"
            self._relate(tie, self._names[node.leaf], self._names[edge.leaf], facts)

    def agents(self, element: Element) -> None:
        """Who had a part in it, and the record that shows it; whose work a run is; under which
        permit.
        """
        node = element.node
        plans = [self._names[edge.leaf] for edge in node.edges if edge.rel == "under_permit"]
        plan = {"prov:plan": plans[0]} if plans else {}
        for part in node.parts:
            facts: Json = {
                "alliance:credit_role": part.credit_role,
                "alliance:degree": part.degree,
                "alliance:local_role": part.local_role,
                "alliance:shown_by": part.leaf,
            }
            self._partake(node.leaf, part.party, part.role, {**facts, **plan})
        if node.kind == "compute-run" and element.body.person is not None:
            facts = {"alliance:shown_by": node.leaf}
            self._partake(node.leaf, f"pid:{element.body.person}", "person", {**facts, **plan})

    def _partake(self, leaf: str, party: str, role: str, facts: Json) -> None:
        """PROV knows roles in activities; what somebody is to a thing is a term of ours."""
        acts = self._acts(leaf)
        named = {"prov:role" if acts else "alliance:role": _qname(f"alliance:{role}")}
        tie = ASSOCIATION if acts else ATTRIBUTION
        self._relate(tie, self._names[leaf], self._agent(party), {**facts, **named})

    def _acts(self, leaf: str) -> bool:
        kind = self._kinds.get(leaf)
        return leaf in self._made if kind is None else kind in ACTS

    def _tie(self, later: str, edge: Edge) -> Tie:
        """What an edge is in PROV: by what its two ends are, and where that leaves a choice by its
        relation.
        """
        acts, on_act = self._acts(later), self._acts(edge.leaf)
        if acts:
            return INFLUENCE if on_act else USAGE
        if on_act:
            return GENERATION if edge.rel == "generated_by" else INFLUENCE
        printed = self._kinds[later] == "publication"
        return DERIVATION if edge.rel in MADE_FROM or printed else INFLUENCE

    def _agent(self, party: str) -> str:
        kind, _, code = party.partition(":")
        name = _name(kind, code)
        self._put("agent", name, {"prov:label": party, "prov:type": _qname(PARTIES[kind])})
        return name

    def _relate(self, tie: Tie, later: str, earlier: str, facts: Json) -> None:
        self._ties += 1
        self._put(tie.name, f"_:r{self._ties}", {tie.later: later, tie.earlier: earlier, **facts})

    def _put(self, kind: str, name: str, facts: Mapping[str, Any]) -> None:
        """What has no value is left out."""
        said = {key: facts[key] for key in sorted(facts) if facts[key] not in (None, [])}
        self.found.setdefault(kind, {})[name] = said


def _fields(element: Element) -> Json:
    """What is shown of a record, and the inputs that a run names, registered or not."""
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


def _name(kind: str, local: str) -> str:
    return f"chain:{kind}/{quote(local, safe='/')}"


def _qname(name: str) -> Json:
    return {"$": name, "type": "xsd:QName"}


def _time(text: str) -> Json:
    return {"$": text, "type": "xsd:dateTime"}
