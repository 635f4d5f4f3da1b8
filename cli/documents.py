"""Where something came from in a standard form: as the node gives it, with what the vault tells
whoever asks, and the records that prove it.
"""

from collections.abc import Mapping
from typing import Any, Final

from cli.session import Session
from ledger.errors import ErasedError, ForbiddenError, NotFoundError

ENTRY: Final = "alliance:entry"
"""Where a record stands, in PROV-JSON and RO-Crate."""
LEAF: Final = "Alliance leaf hash"
"""What a result is known by, in DataCite."""


def fetch_document(session: Session, form: str, name: str) -> dict[str, Any]:
    """The document of an object in one of the node's `EXPORTS`; a title stands in it where the
    vault gives it to whoever asks. Raises what `NodeClient.export` raises.
    """
    document = session.client.export(form, name)
    if form == "datacite":
        title = _title_of(session, leaves_in(form, document)[0])
        if title is not None:
            document["titles"] = [{"title": title}]
    return document


def leaves_in(form: str, document: Mapping[str, Any]) -> list[str]:
    """The records that a document names, in the order of the chain."""
    if form == "datacite":
        known = document["alternateIdentifiers"]
        return [
            one["alternateIdentifier"] for one in known if one["alternateIdentifierType"] == LEAF
        ]
    kinds = ("activity", "entity")
    found = document.get("@graph") or [
        one for kind in kinds for one in document.get(kind, {}).values()
    ]
    named = {one[ENTRY]: one["alliance:leaf"] for one in found if ENTRY in one}
    return [named[index] for index in sorted(named)]


def _title_of(session: Session, leaf: str) -> str | None:
    """The title that a result was registered with: the chain has a commitment to it."""
    for payload in session.entry(leaf).entry.record.payloads:
        if payload.schema == "result/title":
            try:
                return str(session.payload(payload.commit).get("text", "")) or None
            except (ErasedError, ForbiddenError, NotFoundError):
                return None
    return None
