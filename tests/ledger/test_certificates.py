"""The certificate file against the genesis alone (SPEC 12.6): what is true passes, every change is
refused by the rule that it breaks.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ledger.certificates import (
    STEPS,
    CertificateFile,
    Opening,
    VerifiedCertificate,
    _check_evidence,
    _status,
    decode_certificate,
    encode_certificate,
    state_keys,
    verify_certificate,
)
from ledger.crypto import verify
from ledger.encoding import b64url, encode_time, unb64url
from ledger.errors import AllianceError, MalformedError, ProofError
from ledger.records import decode_entry
from ledger.records.payloads import commitment, make_deposit, reference
from ledger.records.rights import Order
from ledger.verify import Receipt, verify_receipt
from tests.ledger.lives import DAY_MS
from tests.ledger.papers import Papers
from tests.ledger.yields import OUTPUT, Yield
from tests.support.world import make_world


@pytest.fixture(scope="module")
def issued() -> tuple[Yield, str]:
    """A life up to a certificate, and the certificate's leaf; nobody changes it."""
    life = Yield()
    return life, life.certified()


@pytest.fixture(scope="module")
def file(issued: tuple[Yield, str]) -> CertificateFile:
    """Its file."""
    life, leaf = issued
    return Papers(life).certificate(leaf)


def check(life: Yield, file: CertificateFile) -> VerifiedCertificate:
    """What somebody finds who holds the genesis file and the bytes of this file."""
    read = decode_certificate(encode_certificate(file))
    return verify_certificate(read, life.world.genesis, verify)


def test_a_file_verifies_step_by_step_with_the_genesis_alone(
    issued: tuple[Yield, str], file: CertificateFile
) -> None:
    passed: list[str] = []
    found = verify_certificate(file, issued[0].world.genesis, verify, passed.append)
    assert tuple(passed) == STEPS
    assert (found.status, found.disputed) == ("ISSUED", ())
    assert sum(row.basis_points for row in found.calculation.shares.rows) == 10_000
    assert {vote.org for vote in found.decision.votes} == {"h1", "h2"}


def test_a_file_of_another_chain_is_refused(file: CertificateFile) -> None:
    with pytest.raises(AllianceError):
        verify_certificate(file, make_world(("h1", "h2")).genesis, verify)


def test_a_file_has_one_form(file: CertificateFile) -> None:
    with pytest.raises(MalformedError):
        decode_certificate(encode_certificate(file) + b" ")


def without_first(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, receipts=file.receipts[1:])


def without_any(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, receipts=())


def without_last(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, receipts=file.receipts[:-1])


def without_notice(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, receipts=(file.receipts[0], *file.receipts[2:]))


def without_states(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, states=())


def without_decision(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, states=file.states[1:])


def without_dispute(file: CertificateFile) -> CertificateFile:
    return msgspec.structs.replace(file, states=file.states[:-1])


def with_other_parameters(file: CertificateFile) -> CertificateFile:
    parameters = msgspec.structs.replace(file.calculation.parameters, kappa=(1, 2))
    calculation = msgspec.structs.replace(file.calculation, parameters=parameters)
    return msgspec.structs.replace(file, calculation=calculation)


def with_other_policy(file: CertificateFile) -> CertificateFile:
    calculation = msgspec.structs.replace(file.calculation, policy=OUTPUT)
    return msgspec.structs.replace(file, calculation=calculation)


def with_other_shares(file: CertificateFile) -> CertificateFile:
    rows = file.calculation.shares.rows
    first = msgspec.structs.replace(rows[0], basis_points=rows[0].basis_points + 1)
    shares = msgspec.structs.replace(file.calculation.shares, rows=(first, *rows[1:]))
    calculation = msgspec.structs.replace(file.calculation, shares=shares)
    return msgspec.structs.replace(file, calculation=calculation)


def without_an_acknowledgement(file: CertificateFile) -> CertificateFile:
    rows = file.calculation.acknowledgements[1:]
    calculation = msgspec.structs.replace(file.calculation, acknowledgements=rows)
    return msgspec.structs.replace(file, calculation=calculation)


def with_another_degree(file: CertificateFile) -> CertificateFile:
    """A degree stands in the confirmation; the digest tells."""
    return _with_part(file, degree="supporting")


def with_another_person(file: CertificateFile) -> CertificateFile:
    return _with_part(file, party="pid:" + "f" * 32)


def _with_part(file: CertificateFile, **changes: str) -> CertificateFile:
    nodes = list(file.calculation.nodes)
    at = next(n for n, node in enumerate(nodes) if node.kind == "result")
    part = msgspec.structs.replace(nodes[at].parts[0], **changes)
    nodes[at] = msgspec.structs.replace(nodes[at], parts=(part, *nodes[at].parts[1:]))
    calculation = msgspec.structs.replace(file.calculation, nodes=tuple(nodes))
    return msgspec.structs.replace(file, calculation=calculation)


def with_a_use_that_did_not_count(file: CertificateFile) -> CertificateFile:
    nodes = list(file.calculation.nodes)
    at = next(n for n, node in enumerate(nodes) if node.kind == "compute-run")
    edges = tuple(msgspec.structs.replace(edge, counts=False) for edge in nodes[at].edges)
    nodes[at] = msgspec.structs.replace(nodes[at], edges=edges)
    calculation = msgspec.structs.replace(file.calculation, nodes=tuple(nodes))
    return msgspec.structs.replace(file, calculation=calculation)


def with_another_custodian(file: CertificateFile) -> CertificateFile:
    nodes = list(file.calculation.nodes)
    at = next(n for n, node in enumerate(nodes) if node.kind == "dataset-version")
    part = msgspec.structs.replace(nodes[at].parts[0], party="org:h3")
    nodes[at] = msgspec.structs.replace(nodes[at], parts=(part,))
    calculation = msgspec.structs.replace(file.calculation, nodes=tuple(nodes))
    return msgspec.structs.replace(file, calculation=calculation)


def without_a_node(file: CertificateFile) -> CertificateFile:
    """The record of some dataset is missing; everything else is as it was."""
    leaf = next(one.leaf for one in file.calculation.nodes if one.kind == "dataset-version")
    kept = tuple(one for one in file.receipts if leaf_of(one) != leaf)
    assert len(kept) == len(file.receipts) - 1
    return msgspec.structs.replace(file, receipts=kept)


def leaf_of(receipt: Receipt) -> str:
    return b64url(decode_entry(unb64url(receipt.entry)).leaf)


def with_what_nobody_committed_to(file: CertificateFile) -> CertificateFile:
    salt, payload = b"s" * 32, {"text": msgspec.Raw(b'"Anything"')}
    commit = commitment(salt, b'{"text":"Anything"}')
    opening = Opening(commit=commit, payload=payload, salt=b64url(salt))
    return msgspec.structs.replace(file, openings=(opening,))


Change = Callable[[CertificateFile], CertificateFile]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (without_first, "W60"),
        (without_any, "W60"),
        (without_decision, "W61"),
        (without_states, "W65"),
        (without_dispute, "W65"),
        (without_last, "W62"),
        (without_notice, "W62"),
        (without_a_node, "W62"),
        (with_what_nobody_committed_to, "W67"),
        (with_another_person, "W62"),
        (with_another_custodian, "W62"),
        (with_other_parameters, "W63"),
        (with_other_policy, "W63"),
        (with_other_shares, "W64"),
        (without_an_acknowledgement, "W64"),
        (with_another_degree, "W64"),
        (with_a_use_that_did_not_count, "W64"),
    ],
)
def test_a_changed_file_is_refused_by_its_rule(
    issued: tuple[Yield, str], file: CertificateFile, change: Change, rule: str
) -> None:
    with pytest.raises(AllianceError) as refused:
        check(issued[0], change(file))
    assert refused.value.rule == rule


def test_the_notice_showed_this_very_digest() -> None:
    """The committee may sign only what was shown: a file whose notice showed another one."""
    life = Yield()
    leaf = life.certified()
    file = Papers(life).certificate(leaf)
    body = check(life, file).body
    notice = verify_receipt(file.receipts[1], life.world.genesis.tip, verify)
    shown = notice.entry.record
    other = msgspec.structs.replace(shown.body, draft_hash=body.ack_root)
    spoilt = replace(
        notice, entry=replace(notice.entry, record=msgspec.structs.replace(shown, body=other))
    )
    records = {
        b64url(found.entry.leaf): found
        for found in (verify_receipt(one, life.world.genesis.tip, verify) for one in file.receipts)
    }
    assert _check_evidence(file.calculation, body, records) == notice
    with pytest.raises(ProofError, match="W62"):
        _check_evidence(file.calculation, body, {**records, body.notice: spoilt})


def test_a_number_stands_for_one_certificate() -> None:
    """The state of the number names another record: the file is of one that never had it."""
    life = Yield()
    leaf = life.certified()
    body = check(life, Papers(life).certificate(leaf)).body
    state = life.value("certificate", body.cert_no)
    head = check(life, Papers(life).certificate(leaf)).head
    keys = state_keys(body, leaf)
    values: dict[str, Any] = dict.fromkeys(keys)
    values[f"certificate/{body.cert_no}"] = state
    assert _status(values, body, leaf, head) == ("ISSUED", ())
    for other in (msgspec.structs.replace(state, leaf=body.notice), None):
        values[f"certificate/{body.cert_no}"] = other
        with pytest.raises(ProofError) as refused:
            _status(values, body, leaf, head)
        assert refused.value.rule == "W65"


def test_titles_and_names_are_what_records_committed_to() -> None:
    life = Yield()
    life.credited()
    said = make_deposit({"text": "Two houses 两家"}, b"t" * 32, "T1", "certificate/source", ("h1",))
    life.notice()
    later = encode_time(life.now + DAY_MS)
    fields: dict[str, Any] = {"not_after": later, "payloads": (reference(said),)}
    leaf = life.put("certificate", life.certificate_body(), by="committee", **fields)
    life.endorse(leaf, "h2", "committee")
    life.endorse(leaf, "h1", "officer")
    file = Papers(life).certificate(leaf)
    opening = Opening(commit=reference(said).commit, payload=said.payload, salt=said.salt)
    opened = msgspec.structs.replace(file, openings=(opening,))
    assert check(life, opened).disclosed == {(leaf, "certificate/source"): "Two houses 两家"}
    assert check(life, file).disclosed == {}
    lie = msgspec.structs.replace(opening, payload={"text": msgspec.Raw(b'"Another"')})
    with pytest.raises(ProofError, match="T2"):
        check(life, msgspec.structs.replace(file, openings=(lie,)))


def test_a_file_tells_how_ethics_and_egress_of_its_object_stand(
    issued: tuple[Yield, str], file: CertificateFile
) -> None:
    life, _leaf = issued
    papers = Papers(life)
    approval = life.ethics_body().approval_id
    told = msgspec.structs.replace(file, states=(*file.states, papers.answer(f"ethics/{approval}")))
    found = check(life, told)
    assert (list(found.ethics), found.egress) == ([approval], {})
    for key in ("member/h1", "egress/NONE", "ethics/NONE"):
        strange = msgspec.structs.replace(file, states=(*file.states, papers.answer(key)))
        with pytest.raises(ProofError, match="W68"):
            check(life, strange)


def test_a_file_shows_how_the_certificate_stood() -> None:
    life = Yield()
    leaf = life.certified()
    life.object_to(life.result_leaf)
    disputed = check(life, Papers(life).certificate(leaf))
    assert (disputed.status, disputed.disputed) == ("ISSUED", ("DIS-1",))
    dispute = life.object_to(leaf, dispute_id="DIS-2")
    ruling = life.rule(dispute, "upheld", orders=(Order(action="revoke", ref=leaf),))
    assert life.decision(ruling).status == "EFFECTIVE"
    assert check(life, Papers(life).certificate(leaf)).status == "REVOKED"


def test_a_pending_certificate_is_no_certificate() -> None:
    life = Yield()
    life.credited()
    life.notice()
    later = encode_time(life.now + DAY_MS)
    leaf = life.put("certificate", life.certificate_body(), by="committee", not_after=later)
    assert life.decision(leaf).status == "PENDING"
    with pytest.raises(AllianceError) as refused:
        check(life, Papers(life).certificate(leaf))
    assert refused.value.rule == "W61"


def test_time_ends_a_certificate() -> None:
    life = Yield()
    life.credited()
    life.notice()
    leaf = life.certify(valid_until=encode_time(life.now + DAY_MS)[:10])
    assert check(life, Papers(life).certificate(leaf)).status == "ISSUED"
    life.now += 3 * DAY_MS
    life.access()
    assert check(life, Papers(life).certificate(leaf)).status == "EXPIRED"


def test_the_certificate_of_a_number_is_the_one_in_the_state(
    issued: tuple[Yield, str], file: CertificateFile
) -> None:
    """A file whose certificate is another than the number's."""
    life, _leaf = issued
    swapped = msgspec.structs.replace(
        file.states[1].state, value=file.states[0].state.value, key=file.states[1].state.key
    )
    states = (file.states[0], msgspec.structs.replace(file.states[1], state=swapped))
    with pytest.raises(AllianceError) as refused:
        check(life, msgspec.structs.replace(file, states=(*states, *file.states[2:])))
    assert refused.value.rule == "V7"
