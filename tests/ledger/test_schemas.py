"""The published schemas say what the decoders take (SPEC 4.3)."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from ledger.errors import NotFoundError
from ledger.records import BODIES
from ledger.records.envelope import ENCODE, Record
from ledger.records.schemas import DIALECT, schema_of


def schema(kind: str) -> dict[str, Any]:
    return msgspec.json.decode(schema_of(kind), type=dict[str, Any])


def objects(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """Every part of a schema that describes an object with fields."""
    if isinstance(value, dict):
        if "properties" in value:
            yield value
        for item in value.values():
            yield from objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item)


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_every_type_has_a_closed_schema(kind: str) -> None:
    found = schema(kind)
    assert (found["$schema"], found["title"]) == (DIALECT, kind)
    assert found["properties"]["type"] == {"const": kind}
    fields = {field.encode_name for field in msgspec.structs.fields(Record)}
    assert set(found["properties"]) == fields
    name = found["properties"]["body"]["$ref"].removeprefix("#/$defs/")
    body = found["$defs"][name]
    own = {field.encode_name for field in msgspec.structs.fields(BODIES[kind])}
    assert set(body["properties"]) == own
    assert all(part["additionalProperties"] is False for part in objects(found))


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_every_reference_arrives(kind: str) -> None:
    text = schema_of(kind).decode()
    named = set(re.findall(r'"#/\$defs/([^"]+)"', text))
    assert named <= set(schema(kind)["$defs"])


@pytest.mark.parametrize("kind", sorted(BODIES))
def test_patterns_are_those_of_json_schema(kind: str) -> None:
    text = schema_of(kind).decode()
    assert r"\\A" not in text
    assert r"\\Z" not in text


def test_a_schema_has_one_form() -> None:
    found = schema("review")
    assert ENCODE(found) == schema_of("review")


def test_what_is_no_type_has_no_schema() -> None:
    with pytest.raises(NotFoundError) as caught:
        schema_of("unheard")
    assert caught.value.rule == "O6"
