"""The backward graph of an object as RO-Crate 1.1 metadata (SPEC 12.11): `ro-crate-metadata.json`.

The crate holds nothing but this file: data do not leave their custodian. Everything in it has the
name that it has on the chain, and `alliance:leaf` and `alliance:entry`, which its receipt proves.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ledger.encoding import encode_time
from ledger.provenance import Relation, Role
from node.reports.lineage import (
    ACTS,
    NAMES,
    VOCABULARY,
    Element,
    Lineage,
    facts_of,
    local_name,
)

CONTEXT: Final = "https://w3id.org/ro/crate/1.1/context"
PROFILE: Final = "https://w3id.org/ro/crate/1.1"
DESCRIPTOR: Final = "ro-crate-metadata.json"
ROOT: Final = "./"
LICENCE: Final[Mapping[str, str]] = {
    "@id": "#licence",
    "@type": "CreativeWork",
    "description": "What data may be used for stands in the terms of each version on the chain; ask"
    " their custodians. 数据可用于何处，见链上各版本的使用条款；请咨询其保管方。",
    "name": "No licence is stated in any record. 任何记录均未声明许可证。",
}
"""A crate must have a licence (RO-Crate 1.1), and nothing on the chain states one."""

DATA: Final = frozenset({
    "data-product", "data-resource", "standard-dataset", "training-dataset",
})  # fmt: skip
"""Kinds of results that are data."""
STATUS: Final[Mapping[str, str]] = {
    "aborted": "FailedActionStatus",
    "completed": "CompletedActionStatus",
    "failed": "FailedActionStatus",
    "requested": "PotentialActionStatus",
    "signed-off": "PotentialActionStatus",
    "started": "ActiveActionStatus",
}
"""Schema.org's word for each state of a run."""
LINKS: Final[Mapping[Relation, str]] = {
    "derived_from": "isBasedOn",
    "supersedes": "isBasedOn",
    "uses_indicator": "isBasedOn",
}
"""Schema.org's word for a relation between two things; all others are `mentions`."""
PARTS: Final[Mapping[Role, str]] = {
    "analyst": "author",
    "author": "author",
    "contributor": "contributor",
    "curator": "contributor",
    "custodian": "maintainer",
    "funder": "funder",
    "steward": "maintainer",
    "team_member": "contributor",
}
"""Schema.org's word for each role in a thing; in what was done everybody is a `participant`."""

Json = dict[str, Any]


def crate_of(lineage: Lineage) -> Json:
    """The metadata of a crate: the same bytes wherever they are made at one head."""
    crate = _Crate(lineage)
    for leaf in lineage.missing:
        crate.missing(leaf)
    for element in lineage.elements:
        crate.element(element)
    for element in lineage.elements:
        crate.edges(element)
        crate.parts(element)
    found = [_sorted(crate.found[name]) for name in sorted(crate.found)]
    return {
        "@context": [CONTEXT, {"alliance": VOCABULARY}],
        "@graph": [_descriptor(), _sorted(crate.root()), _sorted(LICENCE), *found],
    }


def _descriptor() -> Json:
    return {
        "@id": DESCRIPTOR,
        "@type": "CreativeWork",
        "about": _ref(ROOT),
        "conformsTo": _ref(PROFILE),
    }


class _Crate:
    """The things of a crate while it is made, by their names."""

    def __init__(self, lineage: Lineage) -> None:
        self._lineage = lineage
        self._base = NAMES.format(chain=lineage.head.chain)
        self._names = {
            **{leaf: self._name("missing", leaf) for leaf in lineage.missing},
            **{one.node.leaf: self._name("entry", str(one.entry)) for one in lineage.elements},
        }
        self._acts = {one.node.leaf for one in lineage.elements if one.node.kind in ACTS}
        self.found: dict[str, Json] = {}

    def root(self) -> Json:
        """The crate itself: what it is about, at which head, and what it cannot know."""
        head, lineage = self._lineage.head, self._lineage
        start = self._names[lineage.start]
        data = [name for name, one in self.found.items() if one["@type"] == "Dataset"]
        rest = [name for name in self.found if name not in data]
        notes = " ".join(note.en for note in lineage.notes)
        noted = " ".join(note.zh for note in lineage.notes)
        return {
            "@id": ROOT,
            "@type": "Dataset",
            "alliance:height": head.height,
            "alliance:missing": [_ref(self._names[leaf]) for leaf in lineage.missing],
            "alliance:origin": head.origin,
            "alliance:root": head.root,
            "alliance:size": head.size,
            "alliance:time": encode_time(head.time_ms),
            "datePublished": encode_time(head.time_ms)[:10],
            "description": f"{notes} {noted}",
            "hasPart": [_ref(name) for name in sorted(data)],
            "license": _ref(LICENCE["@id"]),
            "mainEntity": _ref(start),
            "mentions": [_ref(name) for name in sorted(rest)],
            "name": f"Provenance of {self.found[start]['name']} on {head.origin}",
        }

    def missing(self, leaf: str) -> None:
        """A link that leads nowhere."""
        self.found[self._names[leaf]] = {
            "@id": self._names[leaf],
            "@type": "CreativeWork",
            "additionalType": f"{VOCABULARY}missing",
            "alliance:leaf": leaf,
            "name": leaf,
        }

    def element(self, element: Element) -> None:
        """One record: something that was done, or something that is there."""
        node, body = element.node, element.body
        found: Json = {
            **facts_of(element),
            "@id": self._names[node.leaf],
            "@type": _type_of(element),
            "additionalType": f"{VOCABULARY}{node.kind}",
            "alliance:entry": element.entry,
            "alliance:leaf": node.leaf,
            "alliance:recorded_by": _ref(self._agent(f"org:{element.org}")),
            "alliance:signed_at": element.at,
            "alliance:status": element.status,
            "name": node.name,
        }
        if node.kind == "compute-run":
            found["startTime"], found["endTime"] = body.started, body.ended
            found["actionStatus"] = f"http://schema.org/{STATUS[body.state]}"
            if body.person is not None:
                found["agent"] = _ref(self._agent(f"pid:{body.person}"))
        elif node.leaf not in self._acts:
            found["dateCreated"] = element.at
        self.found[self._names[node.leaf]] = found

    def edges(self, element: Element) -> None:
        """What a record names: of a run its inputs, and, where a record names the run as what it
        came from, its result.
        """
        node = element.node
        own = self._names[node.leaf]
        for edge in node.edges:
            other = self._names[edge.leaf]
            if edge.rel == "under_permit":
                self._link(own, "alliance:under_permit", other)
            elif node.leaf in self._acts:
                self._link(own, "object", other)
                if not edge.counts:
                    self._link(own, "alliance:one_sided", other)
            elif edge.rel == "generated_by" and edge.leaf in self._acts:
                self._link(other, "result", own)
            else:
                based = "isBasedOn" if node.kind == "publication" else "mentions"
                self._link(own, LINKS.get(edge.rel, based), other)

    def parts(self, element: Element) -> None:
        """Who had a part in it."""
        node = element.node
        for part in node.parts:
            word = "participant" if node.leaf in self._acts else PARTS.get(part.role, "contributor")
            self._link(self._names[node.leaf], word, self._agent(part.party))

    def _link(self, own: str, word: str, other: str) -> None:
        links = self.found[own].setdefault(word, [])
        if _ref(other) not in links:
            links.append(_ref(other))

    def _agent(self, party: str) -> str:
        """An organisation, department or funder by its code, a person by the pid."""
        kind, _, code = party.partition(":")
        name = self._name(kind, code)
        self.found[name] = {
            "@id": name,
            "@type": "Person" if kind == "pid" else "Organization",
            "name": party if kind == "pid" else code,
        }
        return name

    def _name(self, kind: str, code: str) -> str:
        return self._base + local_name(kind, code)


def _type_of(element: Element) -> str:
    kind = element.node.kind
    if kind == "compute-run":
        return "CreateAction"
    if kind in ACTS:
        return "Action"
    data = kind == "dataset-version" or (kind == "result" and element.body.kind in DATA)
    return "Dataset" if data else "CreativeWork"


def _ref(name: str) -> Json:
    return {"@id": name}


def _sorted(thing: Mapping[str, Any]) -> Json:
    """A thing with its properties in order: what has no value is left out, and one value stands
    without a list (RO-Crate 1.1, appendix on JSON-LD).
    """
    return {key: _alone(thing[key]) for key in _order(thing) if thing[key] not in (None, [])}


def _alone(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (not name.startswith("@"), name))
