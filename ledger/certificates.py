"""The certificate file (权益凭证): everything that proves a certificate to somebody who holds this
file and the genesis file (domain.md D10; SPEC 12.6).

The file is canonical JSON. It carries the calculation in full, the receipt of every record that the
calculation names, the state of the certificate at a published head, and what else belongs on its
page: how the approvals and the egress of its object stand, and payloads that are disclosed, each
with the salt that opens a commitment. The verifier works the shares out again and takes every key,
policy and format from the genesis.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal, NamedTuple

import msgspec

from ledger.attribution import CREDITED, DATASET, INDICATOR, RESULT, RUN, Calculation, calculate
from ledger.chain import Applied
from ledger.encoding import b64url, decode_date, unb64url
from ledger.errors import ProofError
from ledger.members import Verify
from ledger.notes import decode_note
from ledger.provenance import Node, backward
from ledger.records.envelope import ENCODE, Digest, Shape, decode_shape
from ledger.records.governance import DEFAULT_ATTRIBUTION, GenesisBody, PolicyBody
from ledger.records.payloads import check_commitment, decode_payload
from ledger.records.rights import CertificateBody, ContributionBody, NoticeBody
from ledger.rules.entitlement import CertificateState, Disputed, EgressState
from ledger.rules.graph import party_name
from ledger.rules.standing import EthicsState
from ledger.rules.structure import DAY_MS
from ledger.rules.values import DecisionState
from ledger.verify import (
    Head,
    Receipt,
    StateAnswer,
    VerifiedReceipt,
    verify_head,
    verify_receipt,
    verify_state_proof,
)

STEPS: Final = ("certificate", "decision", "evidence", "calculation", "status")
"""What is checked, in this order, after the genesis and the form of the file."""

Status = Literal["ISSUED", "SUPERSEDED", "REVOKED", "EXPIRED"]


class Opening(Shape, frozen=True, kw_only=True):
    """A payload that a record of the file commits to, disclosed by whoever made the file."""

    commit: Digest
    payload: dict[str, msgspec.Raw]
    salt: Digest


class CertificateFile(Shape, frozen=True, kw_only=True):
    """What is handed out. `receipts` begin with the certificate's own, the notice's and the
    policy's (the last is absent where the genesis set the policy).
    """

    calculation: Calculation
    format: Literal["alliance-certificate/1"]
    openings: tuple[Opening, ...] = ()
    receipts: tuple[Receipt, ...]
    states: tuple[StateAnswer, ...]


class VerifiedCertificate(NamedTuple):
    """What a verified file says."""

    body: CertificateBody
    calculation: Calculation
    decision: DecisionState
    disclosed: dict[tuple[str, str], str]
    """Texts by the leaf hash of their record and their schema (`study/title`)."""
    disputed: tuple[str, ...]
    egress: dict[str, EgressState]
    """How requests to let the object out stand, by their ids."""
    ethics: dict[str, EthicsState]
    """How ethics approvals of its studies stand, by their ids."""
    head: Head
    notice: VerifiedReceipt
    own: VerifiedReceipt
    records: dict[str, VerifiedReceipt]
    status: Status


_FILE = msgspec.json.Decoder(CertificateFile)


def encode_certificate(file: CertificateFile) -> bytes:
    """The canonical JSON of a certificate file."""
    return ENCODE(file)


def decode_certificate(data: bytes) -> CertificateFile:
    """A certificate file from its bytes. Raises `MalformedError` (S1, S2)."""
    return decode_shape(data, _FILE)


def evidence_of(calculation: Calculation) -> tuple[str, ...]:
    """The leaf hashes of all records that a calculation rests on: its nodes, and the contributions
    in them.
    """
    leaves = {node.leaf for node in calculation.nodes}
    leaves.update(part.leaf for node in calculation.nodes for part in node.parts)
    return tuple(sorted(leaves))


def state_keys(body: CertificateBody, leaf: str) -> tuple[str, ...]:
    """The names of the values of the rule state that say how a certificate stands."""
    return (
        f"decision/{leaf}",
        f"certificate/{body.cert_no}",
        f"disputed/{leaf}",
        f"disputed/{body.object}",
    )


def verify_certificate(
    file: CertificateFile,
    genesis: Applied,
    verify: Verify,
    passed: Callable[[str], None] = lambda _step: None,
) -> VerifiedCertificate:
    """Everything that a certificate file claims, from the genesis alone; `passed` is told each step
    of `STEPS` as it passes.

    Raises `ProofError` (W60 to W68, V*, M*, N*, A*, T2) or `MalformedError`.
    """
    records = {}
    for receipt in file.receipts:
        found = verify_receipt(receipt, genesis.tip, verify)
        records[b64url(found.entry.leaf)] = found
    own, body = _own(records)
    passed("certificate")
    values, head = _states(file, genesis)
    leaf = b64url(own.entry.leaf)
    decision = values.get(f"decision/{leaf}")
    if not isinstance(decision, DecisionState) or decision.status != "EFFECTIVE":
        raise ProofError("W61", certificate=body.cert_no)
    passed("decision")
    notice = _check_evidence(file.calculation, body, records)
    disclosed = _disclosed(file.openings, records)
    egress, ethics = _further(values, file.calculation, body, leaf)
    passed("evidence")
    _check_calculation(file.calculation, body, records, genesis)
    passed("calculation")
    status, disputed = _status(values, body, leaf, head)
    passed("status")
    return VerifiedCertificate(
        body=body,
        calculation=file.calculation,
        decision=decision,
        disclosed=disclosed,
        disputed=disputed,
        egress=egress,
        ethics=ethics,
        head=head,
        notice=notice,
        own=own,
        records=records,
        status=status,
    )


def _own(records: dict[str, VerifiedReceipt]) -> tuple[VerifiedReceipt, CertificateBody]:
    """W60: the first receipt is that of a certificate."""
    own = next(iter(records.values()), None)
    if own is None or not isinstance(own.entry.record.body, CertificateBody):
        raise ProofError("W60")
    return own, own.entry.record.body


def _states(file: CertificateFile, genesis: Applied) -> tuple[dict[str, Shape | None], Head]:
    """The values that the file proves, and the newest head among theirs; all of one head."""
    values: dict[str, Shape | None] = {}
    heads: list[Head] = []
    for answer in file.states:
        note = decode_note(answer.checkpoint.encode())
        head = verify_head(note, answer.head, genesis.tip, answer.boundaries)
        values[answer.state.key] = verify_state_proof(answer.state, head)
        heads.append(head)
    if not heads:
        raise ProofError("W65", key="certificate")
    # What is said of the whole holds at the oldest of the heads.
    return values, min(heads, key=lambda head: head.checkpoint.size)


def _check_evidence(
    calculation: Calculation, body: CertificateBody, records: dict[str, VerifiedReceipt]
) -> VerifiedReceipt:
    """W62: the record of every node and contribution is there, and says what the node says; so is
    the notice.
    """
    for leaf in evidence_of(calculation):
        if leaf not in records:
            raise ProofError("W62", leaf=leaf)
    for node in calculation.nodes:
        if not _agrees(node, records):
            raise ProofError("W62", leaf=node.leaf)
    notice = records.get(body.notice)
    if notice is None or not isinstance(notice.entry.record.body, NoticeBody):
        raise ProofError("W62", leaf=body.notice)
    shown = notice.entry.record.body
    if (shown.object, shown.draft_hash) != (body.object, body.calc_digest):
        raise ProofError("W62", leaf=body.notice)
    return notice


def _disclosed(
    openings: tuple[Opening, ...], records: dict[str, VerifiedReceipt]
) -> dict[tuple[str, str], str]:
    """W67: each payload is one that a record of the file commits to."""
    named = {
        payload.commit: (leaf, payload.schema)
        for leaf, found in records.items()
        for payload in found.entry.record.payloads
    }
    texts: dict[tuple[str, str], str] = {}
    for opening in openings:
        place = named.get(opening.commit)
        if place is None:
            raise ProofError("W67", commit=opening.commit)
        data = ENCODE(opening.payload)
        check_commitment(opening.commit, unb64url(opening.salt), data)
        text = decode_payload(data).get("text")
        if isinstance(text, str):
            texts[place] = text
    return texts


def _further(
    values: dict[str, Shape | None], calculation: Calculation, body: CertificateBody, leaf: str
) -> tuple[dict[str, EgressState], dict[str, EthicsState]]:
    """W68: what else the file proves of the state is of its object and its studies."""
    names = {(node.kind, node.name) for node in calculation.nodes}
    targets = {(node.kind, node.name) for node in calculation.nodes if node.leaf == body.object}
    egress: dict[str, EgressState] = {}
    ethics: dict[str, EthicsState] = {}
    for key, value in values.items():
        name = key.partition("/")[2]
        if key in state_keys(body, leaf):
            continue
        if isinstance(value, EgressState) and (RESULT, value.result) in targets:
            egress[name] = value
        elif isinstance(value, EthicsState) and ("study", value.study) in names:
            ethics[name] = value
        else:
            raise ProofError("W68", key=key)
    return egress, ethics


def _agrees(node: Node, records: dict[str, VerifiedReceipt]) -> bool:
    """Whether a node says what its records say, as far as they say it themselves."""
    entry = records[node.leaf].entry
    if entry.record.type != node.kind:
        return False
    if not all(edge.leaf in records or edge.rel not in CREDITED for edge in node.edges):
        return False
    claims = [part for part in node.parts if part.leaf != node.leaf]
    for part in claims:
        claim = records[part.leaf].entry.record.body
        if not isinstance(claim, ContributionBody) or claim.object != node.leaf:
            return False
        if (party_name(claim.party), claim.credit_role) != (part.party, part.credit_role):
            return False
    stated = STATED.get(node.kind)
    return stated is None or stated(node, entry.statement.iss, entry.record.body)


def _leaves(node: Node, rel: str) -> set[str]:
    return {edge.leaf for edge in node.edges if edge.rel == rel}


def _parties(node: Node, role: str) -> set[str]:
    return {part.party for part in node.parts if part.role == role}


def _version_agrees(node: Node, org: str, body: object) -> bool:
    name = f"{body.series_id}@{body.version}"  # type: ignore[attr-defined]
    sources = set(body.sources)  # type: ignore[attr-defined]
    same = node.name == name and _leaves(node, "derived_from") == sources
    return same and _parties(node, "custodian") == {f"org:{org}"}


def _result_agrees(node: Node, _org: str, body: object) -> bool:
    return (
        node.name == body.result_id  # type: ignore[attr-defined]
        and _leaves(node, "generated_by") == set(body.generated_by)  # type: ignore[attr-defined]
        and _leaves(node, "uses_indicator") == set(body.indicators)  # type: ignore[attr-defined]
    )


def _run_agrees(node: Node, org: str, body: object) -> bool:
    provider = body.compute_node.partition("/")[0]  # type: ignore[attr-defined]
    name = f"{org}/{body.run_id}"  # type: ignore[attr-defined]
    return node.name == name and _parties(node, "compute_provider") == {f"org:{provider}"}


def _indicator_agrees(node: Node, _org: str, body: object) -> bool:
    return node.name == f"{body.code}@{body.version}"  # type: ignore[attr-defined]


STATED: Final[dict[str, Callable[[Node, str, object], bool]]] = {
    DATASET: _version_agrees,
    INDICATOR: _indicator_agrees,
    RESULT: _result_agrees,
    RUN: _run_agrees,
}


def _check_calculation(
    calculation: Calculation,
    body: CertificateBody,
    records: dict[str, VerifiedReceipt],
    genesis: Applied,
) -> None:
    """W63, W64: the parameters are those of the policy, the shares come out the same, and their
    digests are those that the committee signed.
    """
    policy = _policy(calculation.policy, records, genesis)
    if policy is None or calculation.parameters != (policy.attribution or DEFAULT_ATTRIBUTION):
        raise ProofError("W63")
    nodes = {node.leaf: node for node in calculation.nodes}
    walk = backward(nodes.get, [calculation.object], CREDITED)
    again = calculate(walk, body.object, calculation.parameters, calculation.policy)
    stated = (body.calc_digest, body.ack_root, body.share_root)
    if again != calculation or stated != (again.digest, again.ack_root, again.share_root):
        raise ProofError("W64", digest=again.digest)


def _policy(leaf: str, records: dict[str, VerifiedReceipt], genesis: Applied) -> PolicyBody | None:
    first = genesis.entries[0]
    if b64url(first.leaf) == leaf and isinstance(first.record.body, GenesisBody):
        return first.record.body.policy
    found = records.get(leaf)
    body = found.entry.record.body if found else None
    return body if isinstance(body, PolicyBody) else None


def _status(
    values: dict[str, Shape | None], body: CertificateBody, leaf: str, head: Head
) -> tuple[Status, tuple[str, ...]]:
    """W65: how the certificate stood at the head; time ends it, and disputes flag it."""
    for key in state_keys(body, leaf):
        if key not in values:
            raise ProofError("W65", key=key)
    state = values[f"certificate/{body.cert_no}"]
    if not isinstance(state, CertificateState) or state.leaf != leaf:
        raise ProofError("W65", key=f"certificate/{body.cert_no}")
    disputed = tuple(_open(values[f"disputed/{name}"] for name in (leaf, body.object)))
    over = head.seal.seal.time_ms >= decode_date(body.valid_until) + DAY_MS
    return ("EXPIRED" if state.status == "ISSUED" and over else state.status), disputed


def _open(found: Iterator[Shape | None]) -> Iterator[str]:
    for value in found:
        if isinstance(value, Disputed):
            yield from value.by
