"""The certificate file against the genesis alone (SPEC 12.6): what is true passes, every change is
refused by the rule that it breaks.
"""

from collections.abc import Callable

import msgspec
import pytest

from ledger.certificates import (
    STEPS,
    CertificateFile,
    VerifiedCertificate,
    decode_certificate,
    encode_certificate,
    verify_certificate,
)
from ledger.crypto import verify
from ledger.encoding import encode_time
from ledger.errors import AllianceError, MalformedError
from ledger.records.rights import Order
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
