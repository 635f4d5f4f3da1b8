"""S1 to S13: one case for each rule, refused with its number (SPEC 4.2)."""

from typing import Any

import msgspec
import pytest

from ledger.crypto import EDDSA, signer_from_seed
from ledger.encoding import b64url, encode_time
from ledger.errors import AllianceError
from ledger.records import BODIES, decode_entry
from ledger.records.catalogue import DatasetBody
from ledger.records.envelope import ENCODE, Payload, Record, Ref, Shape
from ledger.records.governance import KeyBody
from ledger.records.use import AccessBody, CorrectionBody, Source
from ledger.rules import Draft, values
from ledger.rules.structure import RIGHTS, SIGNERS
from ledger.state import EMPTY_STATE
from tests.ledger.ledgers import LATER, Ledger, key_of
from tests.support.world import GENESIS_MS, make_world, seed, sign_payload, uuid7

MINUTE = 60_000


def access(**changes: Any) -> AccessBody:
    """An access, as plain as they come."""
    fields: dict[str, Any] = {
        "action": "read",
        "activity": "VIEW",
        "channel": "query",
        "dataset": "D1",
        "outcome": "ok",
        "source": Source(seq=1, system="gateway"),
    }
    return AccessBody(**{**fields, **changes})


def dataset(series: str = "D1", custodian: str = "h1") -> DatasetBody:
    """A data resource of h1."""
    return DatasetBody(custodian=custodian, openness="conditional", series_id=series)


def refused(ledger: Ledger, raw: bytes, time_ms: int = GENESIS_MS + MINUTE) -> str:
    """The number of the rule that refuses this entry; the chain stays as it was."""
    before = ledger.tip
    with pytest.raises(AllianceError) as caught:
        ledger.add(raw, time_ms)
    assert ledger.tip is before
    assert caught.value.sentence("en")
    assert caught.value.sentence("zh")
    return caught.value.rule


def payload_of(ledger: Ledger, **changes: Any) -> dict[str, Any]:
    """The payload of a good access, as a dict to be damaged."""
    raw = ledger.sign("access", access(), by="system")
    return {**msgspec.json.decode(decode_entry(raw).statement.payload), **changes}


def signed(ledger: Ledger, payload: bytes, sub: str = "dataset:D1") -> bytes:
    """Any payload, signed with the system's key."""
    return sign_payload(ledger.world.keys["h1"].system, "h1", sub, payload)


def dumps(value: object) -> bytes:
    """Canonical JSON of a damaged payload."""
    return msgspec.json.encode(value, order="sorted")


def test_good_access_is_admitted() -> None:
    ledger = Ledger()
    ledger.record("access", access(), by="system")
    assert ledger.findings == ("NO_PERMIT", "NO_PERSON", "UNREGISTERED")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"extra": 1}, "S1"),
        ({"body": {"action": "read"}}, "S1"),
        ({"v": 1, "type": "unheard"}, "S1.type"),
        ({"v": 2}, "S1.tail"),
        ({"at": "2026-01-01T00:00:01Z"}, "B5"),
        ({"id": "0190A0B0-1234-7ABC-8DEF-0123456789AB"}, "B6"),
        ({"refs": []}, "S2"),
        ({"not_after": LATER}, "S11.evidence"),
        ({"chain": b64url(bytes(16))}, "S12"),
    ],
)
def test_damaged_payloads_are_refused(change: dict[str, Any], rule: str) -> None:
    ledger = Ledger()
    assert refused(ledger, signed(ledger, dumps(payload_of(ledger, **change)))) == rule


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda p: b" " + p, "S2"),
        (lambda p: p.replace(b'"action":"read"', b'"action":"read","action":"read"'), "S2"),
        (lambda p: p.replace(b'"seq":1', b'"seq":1.0'), "S1"),
        (lambda p: p.replace(b'"VIEW"', b'"VI\\u0045W"'), "S2"),
        (lambda p: p.replace(b'"VIEW"', '"e\u0301"'.encode()), "B3"),
        (lambda p: p.replace(b'"VIEW"', b'"VI\\nEW"'), "B3"),
        (lambda p: p[:-1] + b',"w":1}', "S1.tail"),
        (lambda p: p.replace(b":", b";", 1), "S2.json"),
    ],
)
def test_non_canonical_bytes_are_refused(spoil: Any, rule: str) -> None:  # noqa: ANN401
    ledger = Ledger()
    assert refused(ledger, signed(ledger, spoil(dumps(payload_of(ledger))))) == rule


def test_wrong_signature() -> None:
    ledger = Ledger()
    raw = ledger.sign("access", access(), by="system")
    assert refused(ledger, raw[:-1] + bytes([raw[-1] ^ 1])) == "S3.signature"


def test_unknown_key_and_foreign_org() -> None:
    ledger = Ledger()
    stranger = make_world(("x9",)).keys["x9"].system
    payload = decode_entry(ledger.sign("access", access(), by="system")).statement.payload
    assert refused(ledger, sign_payload(stranger, "h1", "dataset:D1", payload)) == "S3.unknown"
    mine = ledger.world.keys["h1"].system
    assert refused(ledger, sign_payload(mine, "x9", "dataset:D1", payload)) == "S3.other"


@pytest.mark.parametrize("kind", sorted(set(SIGNERS)))
def test_only_named_capacities_sign(kind: str) -> None:
    """Every type refuses the capacities that the table does not name."""
    ledger = Ledger()
    roles = {"officer": "so", "committee": "dac", "system": "system", "node": "node"}
    for role, capacity in roles.items():
        if capacity in SIGNERS[kind]:
            continue
        body = {"access": access(), "dataset": dataset()}.get(kind)
        if body is None:
            continue
        assert refused(ledger, ledger.sign(kind, body, by=role)) == "S3.capacity"


def test_node_key_signs_access_and_confers_no_right() -> None:
    ledger = Ledger()
    ledger.record("access", access(), by="node")
    assert refused(ledger, ledger.sign("dataset", dataset(), by="node")) == "S3.capacity"


def test_revoked_key_is_refused_from_the_next_height() -> None:
    ledger = Ledger()
    kid = b64url(ledger.world.keys["h1"].system.kid)
    ledger.record("key", KeyBody(action="revoke", kid=kid))
    assert refused(ledger, ledger.sign("access", access(), by="system")) == "S3.revoked"


def test_expired_key() -> None:
    """Evidence is kept with a finding; a right is refused."""
    ledger = Ledger()
    until = encode_time(GENESIS_MS + 2 * MINUTE)
    for role, capacity in (("cosigner", "so"), ("log", "system")):
        key = key_of(ledger.world, "h1", role, capacity, valid_until=until)
        kid = b64url(getattr(ledger.world.keys["h1"], role).kid)
        by = "committee" if capacity == "so" else "officer"
        ledger.record("key", KeyBody(action="register", key=key, kid=kid), by=by)
    late = GENESIS_MS + 3 * MINUTE
    assert refused(ledger, ledger.sign("dataset", dataset(), by="cosigner"), late) == "S3.expired"
    ledger.record("access", access(), by="log", time_ms=late)
    assert "KEY_EXPIRED" in ledger.findings


def test_key_before_its_window() -> None:
    ledger = Ledger()
    start = encode_time(GENESIS_MS + 60 * MINUTE)
    for role, capacity in (("cosigner", "so"), ("log", "system")):
        key = key_of(ledger.world, "h1", role, capacity, valid_from=start)
        kid = b64url(getattr(ledger.world.keys["h1"], role).kid)
        by = "committee" if capacity == "so" else "officer"
        ledger.record("key", KeyBody(action="register", key=key, kid=kid), by=by)
    assert refused(ledger, ledger.sign("dataset", dataset(), by="cosigner")) == "S3.early"
    ledger.record("access", access(), by="log")
    assert "KEY_EARLY" in ledger.findings


def test_references_resolve() -> None:
    ledger = Ledger()
    nowhere = b64url(bytes(32))
    body = CorrectionBody(
        field_path="body.dataset", new_value="D2", reason_code="typo", target=nowhere
    )
    assert refused(ledger, ledger.sign("correction", body)) == "S4"
    assert refused(ledger, ledger.sign("access", access(request=nowhere), by="system")) == "S4"
    refs = (Ref(leaf=nowhere, rel="basis"),)
    assert refused(ledger, ledger.sign("access", access(), by="system", refs=refs)) == "S4"
    first = ledger.record("access", access(), by="system")
    ledger.record(
        "access", access(request=first, source=Source(seq=2, system="gateway")), by="system"
    )


def test_future_records_are_refused() -> None:
    ledger = Ledger()
    edge = GENESIS_MS + MINUTE + 5 * MINUTE
    assert refused(ledger, ledger.sign("access", access(), by="system", at_ms=edge + 1)) == "S5"
    ledger.record("access", access(), by="system", at_ms=edge)


def test_id_is_used_once() -> None:
    ledger = Ledger()
    own = uuid7(GENESIS_MS, 77)
    ledger.record("access", access(), by="system", id=own)
    again = ledger.sign("access", access(dataset="D2"), by="system", id=own)
    assert refused(ledger, again) == "S6"
    # Another key may use the same id: nobody can burn another's.
    ledger.record("access", access(source=Source(seq=2, system="gateway")), by="node", id=own)


def test_id_is_used_once_within_a_block() -> None:
    ledger = Ledger()
    own = uuid7(GENESIS_MS, 77)
    raws = [ledger.sign("access", access(dataset=name), by="system", id=own) for name in ("A", "B")]
    with pytest.raises(AllianceError) as caught:
        ledger.world.extend(ledger.tip, raws, ledger.blocks)
    assert caught.value.rule == "S6"


def test_payload_holders_are_members() -> None:
    ledger = Ledger()
    payload = Payload(
        commit=b64url(bytes(32)), holders=("nobody",), schema="x/1", size_bucket=1, tier="T2"
    )
    assert (
        refused(ledger, ledger.sign("access", access(), by="system", payloads=(payload,))) == "S9"
    )


def test_rights_carry_not_after() -> None:
    ledger = Ledger()
    assert refused(ledger, ledger.sign("dataset", dataset(), not_after=None)) == "S11.missing"
    past = encode_time(GENESIS_MS + MINUTE - 1)
    assert refused(ledger, ledger.sign("dataset", dataset(), not_after=past)) == "S11.late"
    ledger.record("dataset", dataset(), not_after=encode_time(GENESIS_MS + MINUTE))


def test_header_names_the_derived_subject() -> None:
    ledger = Ledger()
    assert refused(ledger, signed(ledger, dumps(payload_of(ledger)), "dataset:D2")) == "S13"


def test_oversized_entry() -> None:
    ledger = Ledger()
    with pytest.raises(AllianceError) as caught:
        decode_entry(bytes(65_536))
    assert caught.value.rule == "S10"
    with pytest.raises(AllianceError) as caught:
        signed(ledger, b"x" * 65_500)
    assert caught.value.rule == "B7"


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("ext:his:11010519491231002X", "resident-id"),
        ("ward 13812345678", "mobile"),
        ("li.wei@example.org", "e-mail"),
        ("from 10.1.2.3", "ip"),
    ],
)
@pytest.mark.parametrize("field", ["activity", "dataset", "person", "purpose", "permit"])
def test_personal_data_are_refused(field: str, text: str, pattern: str) -> None:
    ledger = Ledger()
    raw = ledger.sign("access", access(**{field: text}), by="system")
    with pytest.raises(AllianceError) as caught:
        ledger.add(raw)
    assert (caught.value.rule, caught.value.facts) == ("S8", {"field": field, "pattern": pattern})
    assert text not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["ext:his:110105194912310021", "code 138123456789", "version 1.2.3", "a@b"]
)
def test_what_only_looks_like_personal_data_is_kept(text: str) -> None:
    ledger = Ledger()
    ledger.record("access", access(purpose=text), by="system")


def test_all_fields_stand_in_sorted_order() -> None:
    """Canonical encoding rests on it."""
    shapes = [Record, *BODIES.values(), *values.VALUES.values(), *Shape.__subclasses__()]
    for shape in shapes:
        names = [field.encode_name for field in msgspec.structs.fields(shape)]
        assert names == sorted(names), shape


def test_rights_are_those_with_checks() -> None:
    assert set(SIGNERS) | {"genesis", "founder-acceptance"} == set(BODIES)
    assert set(SIGNERS) >= RIGHTS
    assert ENCODE({"b": 1, "a": 2}) == b'{"a":2,"b":1}'


def test_in_block_0_no_signature_inside_a_record_holds() -> None:
    signer = signer_from_seed(seed("any"))
    signature = signer.sign(b"word")
    assert not Draft(EMPTY_STATE, {}).verify(EDDSA, signer.public_key, signature, b"word")
