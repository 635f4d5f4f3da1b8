"""The schemas of all record types as JSON Schema (2020-12), made from the structs that decode them:
what they say is what the ledger takes (SPEC 4.3).
"""

from functools import cache
from typing import Any

import msgspec

from ledger.errors import NotFoundError
from ledger.records import BODIES
from ledger.records.envelope import ENCODE, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def schema_of(kind: str) -> bytes:
    """The JSON Schema of a record of this type. Raises `NotFoundError` (O6)."""
    body = BODIES.get(kind)
    if body is None:
        raise NotFoundError("O6", what="record type", name=kind)
    _references, components = msgspec.json.schema_components(
        [Record[body]],  # type: ignore[valid-type]
        ref_template="#/$defs/{name}",
    )
    record = _record_of(components)
    record["properties"]["type"] = {"const": kind}
    schema = {**record, "$defs": components, "$schema": DIALECT, "title": kind}
    return ENCODE(_in_their_words(schema))


def _in_their_words(value: Any) -> Any:  # noqa: ANN401
    """Patterns as JSON Schema writes them: Python's ends of a text are no part of ECMA-262."""
    if isinstance(value, list):
        return [_in_their_words(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: item.replace(r"\A", "^").replace(r"\Z", "$")
        if name == "pattern" and isinstance(item, str)
        else _in_their_words(item)
        for name, item in value.items()
    }


def _record_of(components: dict[str, Any]) -> dict[str, Any]:
    """The record itself, taken out of the parts."""
    (name,) = [name for name in components if name.startswith("Record")]
    record: dict[str, Any] = components.pop(name)
    return record
