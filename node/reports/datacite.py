"""What the chain knows of one output, a result and where it appeared, as DataCite JSON 4 (SPEC
12.10; domain.md D16).

Nothing is made up: what DataCite asks for and no record holds is `:unav`, DataCite's word for it.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ledger.attribution import Acknowledgement, acknowledge
from ledger.errors import NotFoundError
from ledger.records.catalogue import DatasetBody
from ledger.rules.graph import walk_from
from ledger.rules.values import DatasetState
from node.reports.ground import Ground
from node.reports.lineage import NAMES, Element, Head, element_of, head_of, local_name

SCHEMA: Final = "http://datacite.org/schema/kernel-4"
UNKNOWN: Final = ":unav"
GENERAL: Final[Mapping[str, str]] = {
    "algorithm-model": "Model",
    "data-product": "Dataset",
    "data-resource": "Dataset",
    "indicator": "Standard",
    "paper": "Text",
    "report": "Report",
    "software": "Software",
    "standard-dataset": "Dataset",
    "training-dataset": "Dataset",
}
"""DataCite's word for each kind of result."""
DEGREES: Final = ("lead", "equal", "supporting", None)

Json = dict[str, Any]


class Output(NamedTuple):
    """A result, where it appeared (the one that was asked for, or the earliest, first), who is to
    be acknowledged, the versions of data it rests on with the DOI of their series, what it
    supersedes, and what the organisations in it are registered as.
    """

    head: Head
    result: Element
    publications: tuple[Element, ...]
    acknowledgements: tuple[Acknowledgement, ...]
    sources: tuple[tuple[Element, str | None], ...]
    superseded: tuple[Element, ...]
    registered: Mapping[str, str]


def output_of(ground: Ground, name: str) -> Output:
    """What is known of a result, by its name or leaf hash, or by that of a publication of it.

    Raises `NotFoundError` (O6) also for anything else, or `TooLargeError` (W1).
    """
    asked = element_of(ground, ground.leaf_of(name))
    if asked.node.kind == "publication":
        result = element_of(ground, asked.body.result)
    elif asked.node.kind == "result":
        result = asked
    else:
        raise NotFoundError("O6", what="result", name=name[:80])
    printed = [
        element_of(ground, leaf)
        for leaf in ground.after([result.node.leaf], "about", "publication")
    ]
    printed.sort(key=lambda one: (one.entry != asked.entry, one.body.published_on, one.entry))
    walk = walk_from(ground.draft, result.node.leaf)
    rows = acknowledge(walk)
    data = (leaf for leaf, node in walk.nodes.items() if node.kind == "dataset-version")
    sources = sorted((element_of(ground, leaf) for leaf in data), key=lambda one: one.entry)
    replaced = [edge.leaf for edge in result.node.edges if edge.rel == "supersedes"]
    orgs = {row.party.removeprefix("org:") for row in rows if row.party.startswith("org:")}
    members = {org: ground.member(org) for org in sorted({*orgs, result.org})}
    return Output(
        head_of(ground),
        result,
        tuple(printed),
        rows,
        tuple((one, _doi_of(ground, one)) for one in sources),
        tuple(element_of(ground, leaf) for leaf in replaced),
        {org: state.uscc for org, state in members.items() if state and state.uscc},
    )


def _doi_of(ground: Ground, version: Element) -> str | None:
    """The DOI that the series of a version is also known by."""
    series = ground.get(DatasetState, "dataset", version.body.series_id)
    record = ground.record(series.leaf) if series else None
    if record is None or not isinstance(record.body, DatasetBody):
        return None
    return next((one.name for one in record.body.aliases if one.namespace == "doi"), None)


def datacite_of(output: Output) -> Json:
    """The record of an output, as whoever registers it has to complete it."""
    result, printed = output.result, output.publications
    doi = next((one.body.pid_value for one in printed if one.body.pid_type == "doi"), None)
    issued = printed[0].body.published_on if printed else None
    found: Json = {
        "alternateIdentifiers": _identifiers(output, doi),
        "contributors": _contributors(output),
        "creators": _creators(output),
        "dates": _dates(result.at[:10], issued),
        "descriptions": _descriptions(output),
        "doi": doi,
        "formats": sorted({one.media for one in result.body.files}),
        "fundingReferences": [
            {"funderName": code} for code in _codes(output.acknowledgements, "funder:")
        ],
        "publicationYear": (issued or result.at)[:4],
        "publisher": {"name": UNKNOWN} if printed else _publisher(output),
        "relatedIdentifiers": _related(output),
        "schemaVersion": SCHEMA,
        "titles": [{"title": UNKNOWN}],
        "types": {
            "resourceType": result.body.kind,
            "resourceTypeGeneral": GENERAL[result.body.kind],
        },
    }
    return {key: value for key, value in found.items() if value not in (None, [])}


def _urn(head: Head, element: Element) -> str:
    return NAMES.format(chain=head.chain) + local_name("entry", str(element.entry))


def _identifiers(output: Output, doi: str | None) -> list[Json]:
    """What else the output is known by: here, by its content, and where it appeared."""
    result = output.result
    pairs = [
        (result.node.name, "Alliance result"),
        (_urn(output.head, result), "Alliance entry"),
        (result.node.leaf, "Alliance leaf hash"),
        (f"ni:///sha-256;{result.body.content_digest}", "RFC 6920 digest of the content"),
        *(
            (one.body.pid_value, one.body.pid_type.upper())
            for one in output.publications
            if one.body.pid_value != doi
        ),
    ]
    return [
        {"alternateIdentifier": name, "alternateIdentifierType": kind}
        for name, kind in dict.fromkeys(pairs)
    ]


def _creators(output: Output) -> list[Json]:
    """The confirmed analysts of the result, the leading ones first."""
    rows = [row for row in output.acknowledgements if _creates(output, row)]
    rows.sort(key=lambda row: (DEGREES.index(row.degree), row.party))
    parties = dict.fromkeys(row.party for row in rows)
    return [_party(output, party) for party in parties] or [{"name": UNKNOWN}]


def _creates(output: Output, row: Acknowledgement) -> bool:
    return row.role == "analyst" and row.object == output.result.node.leaf


def _contributors(output: Output) -> list[Json]:
    """Everybody else who is to be acknowledged, once for each of DataCite's words; funders stand
    apart.
    """
    pairs = dict.fromkeys(
        (row.party, row.contributor_type)
        for row in output.acknowledgements
        if not _creates(output, row) and not row.party.startswith("funder:")
    )
    return [{"contributorType": kind, **_party(output, party)} for party, kind in pairs]


def _party(output: Output, party: str) -> Json:
    """An organisation or department by its code, a person by the pid."""
    kind, _, code = party.partition(":")
    if kind == "pid":
        known = {"nameIdentifier": code, "nameIdentifierScheme": "Alliance pid"}
        return {"name": party, "nameIdentifiers": [known], "nameType": "Personal"}
    named: Json = {"name": code, "nameType": "Organizational"}
    if code in output.registered:
        uscc = {"nameIdentifier": output.registered[code], "nameIdentifierScheme": "USCC"}
        named["nameIdentifiers"] = [uscc]
    return named


def _publisher(output: Output) -> Json:
    """While a result has not appeared anywhere, the organisation that registered it holds it."""
    org = output.result.org
    if org not in output.registered:
        return {"name": org}
    uscc = output.registered[org]
    return {"name": org, "publisherIdentifier": uscc, "publisherIdentifierScheme": "USCC"}


def _dates(registered: str, issued: str | None) -> list[Json]:
    dates = [{"date": registered, "dateInformation": "registered", "dateType": "Created"}]
    return dates if issued is None else [*dates, {"date": issued, "dateType": "Issued"}]


def _related(output: Output) -> list[Json]:
    """The data it rests on, by the DOI of the series or our own name; and what it replaces."""
    data = [
        {
            "relatedIdentifier": doi or _urn(output.head, one),
            "relatedIdentifierType": "DOI" if doi else "URN",
            "relationType": "IsDerivedFrom",
            "resourceTypeGeneral": "Dataset",
        }
        for one, doi in output.sources
    ]
    replaced = [
        {
            "relatedIdentifier": _urn(output.head, one),
            "relatedIdentifierType": "URN",
            "relationType": "IsNewVersionOf",
        }
        for one in output.superseded
    ]
    return [*data, *replaced]


def _descriptions(output: Output) -> list[Json]:
    """What DataCite has no property for: digests of the data, CRediT roles, the head."""
    head = output.head
    texts = [
        *(
            f"Rests on {one.node.name}, content ni:///sha-256;{one.body.content_digest}."
            for one, _doi in output.sources
        ),
        *dict.fromkeys(
            f"CRediT: {row.party}, {row.credit_role} ({row.degree})."
            for row in output.acknowledgements
            if row.credit_role is not None
        ),
        f"As of {head.origin}, size {head.size}, root {head.root}.",
    ]
    return [{"description": text, "descriptionType": "TechnicalInfo"} for text in texts]


def _codes(rows: Iterable[Acknowledgement], prefix: str) -> list[str]:
    return sorted({row.party.removeprefix(prefix) for row in rows if row.party.startswith(prefix)})
