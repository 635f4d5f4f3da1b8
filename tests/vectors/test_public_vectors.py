"""The published vectors of others: RFC 6962 proofs of transparency-dev/merkle, JCS documents.

They stand beside this repository, in `../shared/vectors`, with their licences.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from ledger.encoding import JsonValue, canonical_json, decode_json
from ledger.errors import MalformedError, ProofError
from ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash, verify_consistency, verify_inclusion

PUBLISHED = Path(__file__).parents[2].parent / "shared/vectors"
MERKLE, JCS = PUBLISHED / "merkle", PUBLISHED / "jcs"

pytestmark = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published vectors are not beside this repository"
)

Vector = dict[str, Any]


def vectors(kind: str) -> dict[str, Vector]:
    """The vectors of a kind by their path, without the ending."""
    folder = MERKLE / kind
    return {
        path.relative_to(folder).with_suffix("").as_posix(): json.loads(path.read_bytes())
        for path in sorted(folder.rglob("*.json"))
    }


def raw(text: str | None) -> bytes:
    """The bytes of a hash in a vector, where an empty one is null."""
    return b64decode(text or "", validate=True)


def path_of(vector: Vector) -> list[bytes]:
    """The proof of a vector, where an empty one may be null."""
    return [raw(node) for node in vector["proof"] or ()]


def inclusion(vector: Vector) -> None:
    """Our verifier on an inclusion vector."""
    leaf, root = raw(vector["leafHash"]), raw(vector["root"])
    verify_inclusion(vector["leafIdx"], vector["treeSize"], leaf, path_of(vector), root)


def consistency(vector: Vector) -> None:
    """Our verifier on a consistency vector."""
    roots = raw(vector["root1"]), raw(vector["root2"])
    verify_consistency(vector["size1"], vector["size2"], *roots, path_of(vector))


def is_refused(check: Callable[[Vector], None], vector: Vector) -> bool:
    """Whether our verifier refuses a vector."""
    try:
        check(vector)
    except ProofError:
        return True
    return False


# --- RFC 6962 ---


def test_all_inclusion_proofs_have_the_published_verdict() -> None:
    found = vectors("inclusion")
    assert len(found) == 98
    assert sum(not vector["wantErr"] for vector in found.values()) == 6
    for name, vector in found.items():
        assert is_refused(inclusion, vector) is vector["wantErr"], name


# Stand-ins for roots, of 12 bytes: formats.md F1 takes hashes of 32 bytes only (M1).
SHORT_ROOTS = {"additional/sizes-are-equal-one-and-proof-is-empty"}
# A verifier that has neither this check nor a place for size 0 takes these three, and the published
# one refuses them: nothing can be proven from the empty tree. It is a convention. Ours follows
# tlog-witness, where every tree has grown from size 0, by an empty path.
FROM_ZERO = {
    "additional/size1-is-zero-and-does-not-equal-size2",
    "additional/size1-is-zero-and-size2-is-not-zero",
    "additional/sizes-are-equal-zero-and-proof-is-empty",
}


def test_all_consistency_proofs_but_one_have_the_published_verdict() -> None:
    found = vectors("consistency")
    assert len(found) == 98
    assert sum(not vector["wantErr"] for vector in found.values()) == 6
    differing = {name for name, v in found.items() if is_refused(consistency, v) != v["wantErr"]}
    assert differing == SHORT_ROOTS
    for name in SHORT_ROOTS:
        assert {len(raw(found[name][root])) for root in ("root1", "root2")} == {12}
        assert not is_refused(consistency, {**found[name], **roots(EMPTY_ROOT, EMPTY_ROOT)})


def test_the_three_from_size_zero_are_a_convention() -> None:
    found = vectors("consistency")
    for name in FROM_ZERO:
        vector = found[name]
        assert (vector["size1"], path_of(vector), vector["wantErr"]) == (0, [], True)
        # As published they are refused here, too: some root in each is none of 32 bytes.
        assert is_refused(consistency, vector)
        assert 12 in {len(raw(vector[root])) for root in ("root1", "root2")}
        # With roots of real trees they are what a log's first growth looks like.
        new_root = leaf_hash(b"") if vector["size2"] else EMPTY_ROOT
        assert not is_refused(consistency, {**vector, **roots(EMPTY_ROOT, new_root)})
        assert is_refused(consistency, {**vector, **roots(leaf_hash(b"a"), new_root)})


def test_the_algorithm_of_the_rfc_alone_differs_in_exactly_these_three() -> None:
    found = vectors("consistency")
    assert {name for name, v in found.items() if by_the_rfc(v) is v["wantErr"]} == FROM_ZERO


def by_the_rfc(vector: Vector) -> bool:
    """RFC 9162 section 2.1.4.2 word for word, and an empty path where there is nothing to prove."""
    old, new, path = vector["size1"], vector["size2"], path_of(vector)
    if old in (0, new):
        return old <= new and not path and (old == 0 < new or vector["root1"] == vector["root2"])
    if not path or old > new:
        return False
    if old.bit_count() == 1:
        path.insert(0, raw(vector["root1"]))
    fn, sn = old - 1, new - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr, sn) == (raw(vector["root1"]), raw(vector["root2"]), 0)


def roots(old: bytes, new: bytes) -> Vector:
    """The fields of two roots."""
    return {"root1": b64encode(old).decode(), "root2": b64encode(new).decode()}


# --- RFC 8785 ---

JCS_NAMES = ("arrays", "french", "structures", "unicode", "values", "weird")


def has_float(value: JsonValue | float) -> bool:
    """Whether a float stands anywhere in a value."""
    match value:
        case float():
            return True
        case dict():
            return any(map(has_float, value.values()))
        case list():
            return any(map(has_float, value))
    return False


@pytest.mark.parametrize("name", JCS_NAMES)
def test_a_general_encoder_gives_the_published_bytes(name: str) -> None:
    value = json.loads((JCS / f"input/{name}.json").read_bytes())
    published = (JCS / f"output/{name}.json").read_bytes()
    assert published == bytes.fromhex((JCS / f"outhex/{name}.txt").read_text())
    assert rfc8785.dumps(value) == published


def test_these_are_all_published_documents() -> None:
    for folder in ("input", "output", "outhex"):
        assert {path.stem for path in (JCS / folder).iterdir()} == set(JCS_NAMES)


def test_the_one_document_of_our_restricted_form_is_encoded_byte_for_byte() -> None:
    value = json.loads((JCS / "input/arrays.json").read_bytes())
    published = (JCS / "output/arrays.json").read_bytes()
    assert canonical_json(value) == published
    assert decode_json(published) == value


@pytest.mark.parametrize("name", ["structures", "values"])
def test_floats_are_refused_in_both_directions(name: str) -> None:
    value = json.loads((JCS / f"input/{name}.json").read_bytes())
    assert has_float(value)
    floats = [number for number in numbers(value) if isinstance(number, float)]
    assert floats
    for number in floats:
        for call, given in (
            (canonical_json, number),
            (canonical_json, {"a": [number]}),
            # The text of a whole float is that of an integer: that one is taken, as an integer.
            *(((decode_json, text),) if b"." in (text := rfc8785.dumps(number)) else ()),
        ):
            with pytest.raises(MalformedError) as caught:
                call(given)  # type: ignore[operator]
            assert caught.value.rule == "B2.type"
            assert caught.value.facts == {"type": "float"}


def numbers(value: JsonValue | float) -> list[int | float]:
    """All numbers in a value."""
    match value:
        case dict():
            return [number for item in value.values() for number in numbers(item)]
        case list():
            return [number for item in value for number in numbers(item)]
        case bool() | None | str():
            return []
    return [value]


@pytest.mark.parametrize("name", ["french", "weird"])
def test_keys_outside_ascii_are_refused(name: str) -> None:
    """Their order is that of UTF-16, which encoders get wrong."""
    value = json.loads((JCS / f"input/{name}.json").read_bytes())
    assert not all(key.isascii() for key in value)
    with pytest.raises(MalformedError) as caught:
        canonical_json(value)
    assert caught.value.rule == "B2.key"


def test_text_that_is_not_composed_is_refused() -> None:
    """RFC 8785 keeps it; two readers would take it for one word, two machines for two."""
    value = json.loads((JCS / "input/unicode.json").read_bytes())
    with pytest.raises(MalformedError) as caught:
        canonical_json(value)
    assert caught.value.rule == "B3"
