"""The evidence dossier (证据卷宗): all that was recorded about one subject, for somebody who has
this file, the pin or the genesis of the chain, and nothing else (SPEC 9.7).

Its substance are the genesis, the list of a subject that is proven complete, receipts and proofs of
state, all under one published head, and certificate files. All other files in it follow from these,
byte for byte: the verifier makes them again and compares.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from ledger.archive import MAX_FILES, pack, unpack
from ledger.certificates import (
    CertificateFile,
    VerifiedCertificate,
    decode_certificate,
    encode_certificate,
    verify_certificate,
)
from ledger.chain import Applied, check_genesis
from ledger.encoding import b64url, encode_time, unb64url
from ledger.errors import ProofError, TooLargeError
from ledger.members import EpochConfig, Verify
from ledger.notes import decode_note, decode_proof, encode_policy
from ledger.records.catalogue import DatasetVersionBody
from ledger.records.envelope import ENCODE, Entry, Shape, decode_shape
from ledger.records.outputs import EgressRequestBody
from ledger.records.rights import CertificateBody
from ledger.records.schemas import schema_of
from ledger.records.use import AccessBatchBody, AccessBody, ComputeRunBody
from ledger.rules import RIGHTS
from ledger.rules.draft import Located
from ledger.rules.standing import IndicatorVersionState, PermitState
from ledger.rules.subjects import subjects_of
from ledger.rules.values import DatasetState, DecisionState, VersionState
from ledger.verify import (
    BoundaryProof,
    Head,
    Receipt,
    SealProof,
    StateAnswer,
    SubjectAnswer,
    VerifiedReceipt,
    cosigner_keys,
    decode_receipt,
    encode_receipt,
    log_keys,
    policy_of,
    verify_head,
    verify_receipt,
    verify_state_proof,
    verify_subject_log,
)

FORMAT: Final = "alliance-dossier/1"
STEPS: Final = ("form", "trust", "proofs", "complete", "files")
"""What is checked, in this order."""
MAX_RECORDS: Final = 2_000
"""Records of one dossier: of a subject with more of them, the chain itself is the evidence."""
MAX_BYTES: Final = 1 << 28
FRAME_BYTES: Final = 256
"""More than what the archive adds to a file."""
END_OF_CALENDAR_MS: Final = 253_402_300_800_000

GENESIS, SUBJECT, MANIFEST = "genesis", "subject.json", "MANIFEST"

VERSIONS: Final = {"dataset": "version", "indicator": "indicator-version"}
"""Where the state keeps what a run says it used."""

_SUBJECT = msgspec.json.Decoder(SubjectAnswer)
_STATE = msgspec.json.Decoder(StateAnswer)

Values = Mapping[str, Shape | None]
"""Proven values of the state, by key; None for what is proven absent."""
HeadProof = tuple[str, SealProof, tuple[BoundaryProof, ...]]
"""The signed note of a head, the seal that ends its tree, and the ends of the epochs before."""
Explain = Callable[[Mapping[str, str | int]], Mapping[str, bytes]]
"""The explanations for readers, from the facts of a dossier: file name and text."""


class Evidence(NamedTuple):
    """What a dossier is made of. Receipts by index, states by key, certificates by number."""

    genesis: bytes
    subject: SubjectAnswer
    receipts: tuple[Receipt, ...]
    states: tuple[StateAnswer, ...]
    certificates: tuple[CertificateFile, ...] = ()


class VerifiedDossier(NamedTuple):
    """What a verified dossier says."""

    subject: str
    pin: str
    head: Head
    about: frozenset[str]
    """The leaf hashes of the records about the subject, or about such a record; the others are
    what these rest on.
    """
    logs: Mapping[str, list[str]]
    """Which records stand in the log of a record, by leaf hash, in order."""
    records: Mapping[str, VerifiedReceipt]
    """By leaf hash, in the order of the chain."""
    signers: Values
    """The keys that signed records, as the state at the head has them."""
    values: Values
    certificates: tuple[VerifiedCertificate, ...]

    def standing(self, leaf: str) -> str | None:
        """How the decision on a rights-conferring record stands at the head; None for evidence."""
        decision = self.values.get(f"decision/{leaf}")
        return decision.status if isinstance(decision, DecisionState) else None

    @property
    def bare(self) -> list[str]:
        """The numbers of certificates about the subject of which only the record is there: a node
        cannot always work out an old calculation again (W66), so this is no fault, but told.
        """
        bodies = [self.records[leaf].entry.record.body for leaf in self.about]
        numbers = {body.cert_no for body in bodies if isinstance(body, CertificateBody)}
        return sorted(numbers - {one.body.cert_no for one in self.certificates})


# --- what belongs to a record ---


def keys_of(entry: Entry) -> tuple[str, ...]:
    """The keys of the state that belong to a record: how the decision on it stands, and what it
    calls by name and not by leaf hash (permits, series, versions, indicators).
    """
    body: Any = entry.record.body
    kind = type(body)
    keys: list[str] = []
    if entry.record.type in RIGHTS:
        keys.append(f"decision/{b64url(entry.leaf)}")
    if kind is AccessBatchBody:
        keys += [f"permit/{permit}" for permit in body.columns.permits.words if permit]
    elif kind in (AccessBody, ComputeRunBody, EgressRequestBody) and body.permit:
        keys.append(f"permit/{body.permit}")
    if kind is DatasetVersionBody:
        keys.append(f"dataset/{body.series_id}")
    if kind is ComputeRunBody:
        named = [(VERSIONS.get(one.kind), one.name) for one in body.used if one.name]
        keys += [f"{space}/{name}" for space, name in named if space and "@" in name]
    return tuple(dict.fromkeys(keys))


def log_of(leaf: str) -> str:
    """The key of the log of all that was recorded on one record: reviews, decisions, rulings,
    corrections, confirmations.
    """
    return f"subject/record:{leaf}"


def earlier_of(entry: Entry, values: Values) -> Iterator[str]:
    """The leaf hashes of the records that a record rests on, by leaf hash or through a name."""
    yield from map(b64url, entry.named)
    for key in keys_of(entry):
        value = values.get(key)
        if isinstance(value, PermitState):
            yield value.terms.decision
        elif isinstance(value, DatasetState | VersionState | IndicatorVersionState):
            yield value.leaf


# --- verification ---


def verify_evidence(evidence: Evidence, genesis: Applied, verify: Verify) -> VerifiedDossier:
    """What this evidence proves by itself; whether it is complete is for `check_complete` to say.

    Raises `ProofError` (V*, M*, N*, A*, W*) or `MalformedError`.
    """
    subject = evidence.subject
    _check_head(evidence)
    note = decode_note(subject.checkpoint.encode())
    head = verify_head(note, subject.head, genesis.tip, subject.boundaries)
    records: dict[str, VerifiedReceipt] = {}
    signers: dict[str, Shape | None] = {}
    for receipt in evidence.receipts:
        found = verify_receipt(receipt, genesis.tip, verify)
        records[b64url(found.entry.leaf)] = found
        if receipt.key is not None:
            # Where a node's key signed, nobody has looked at it yet.
            signers[receipt.key.key] = verify_state_proof(receipt.key, head)
    values = {one.state.key: verify_state_proof(one.state, head) for one in evidence.states}
    certificates = tuple(verify_certificate(one, genesis, verify) for one in evidence.certificates)
    _check_ascending("records", [record.index for record in records.values()], evidence.receipts)
    _check_ascending("states", list(values), evidence.states)
    logs = _logs(records, genesis)
    numbers = [one.body.cert_no for one in certificates]
    _check_ascending("certificates", numbers, evidence.certificates)
    return VerifiedDossier(
        subject=subject.state.key.removeprefix("subject/"),
        pin=b64url(genesis.seal.leaf),
        head=head,
        about=frozenset(_reached(subject.leaves, logs)),
        logs=logs,
        records=records,
        signers=signers,
        values=values,
        certificates=certificates,
    )


def _logs(records: Mapping[str, VerifiedReceipt], genesis: Applied) -> dict[str, list[str]]:
    """Which of these records stand in the log of a record. What they name is looked for among
    themselves, where it belongs (V40), and in block 0.
    """
    known = {entry.leaf: _located(0, entry) for entry in genesis.entries}
    logs: dict[str, list[str]] = {}
    for leaf, found in records.items():
        entry = found.entry
        known[entry.leaf] = _located(found.index, entry)
        for subject in dict.fromkeys(subjects_of(entry.statement.iss, entry.record, known)):
            kind, _, target = subject.partition(":")
            if kind == "record":
                logs.setdefault(target, []).append(leaf)
    return logs


def _located(index: int, entry: Entry) -> Located:
    return Located(index, entry.record.type, entry.statement.iss, entry.statement.sub)


def _reached(leaves: Iterable[str], logs: Mapping[str, list[str]]) -> set[str]:
    """These records, those in their logs, those in the logs of these, and so on."""
    reached = set(leaves)
    waiting = list(reached)
    while waiting:
        later = set(logs.get(waiting.pop(), ())) - reached
        reached |= later
        waiting += later
    return reached


def head_of(proof: Receipt | StateAnswer | SubjectAnswer) -> HeadProof:
    """Under which head a proof stands, as its maker has written it."""
    text = proof.checkpoint if not isinstance(proof, Receipt) else proof.proof.partition("\n\n")[2]
    return text, proof.head, proof.boundaries


def _check_head(evidence: Evidence) -> None:
    """V39: all proofs stand under one head, signed by the same lines: a line of an unknown key
    would be passed over, whatever it says. V37: a proof carries nothing besides (N8).
    """
    one = head_of(evidence.subject)
    files = evidence.certificates
    receipts = [*evidence.receipts, *(found for file in files for found in file.receipts)]
    states = [*evidence.states, *(found for file in files for found in file.states)]
    proofs: list[Receipt | StateAnswer] = [*receipts, *states]
    if any(head_of(proof) != one for proof in proofs):
        raise ProofError("V39")
    if any(decode_proof(receipt.proof.encode()).extra is not None for receipt in receipts):
        raise ProofError("V37", file="extra")


def _check_ascending(folder: str, found: list[Any], given: Sequence[object]) -> None:
    """V37: nothing stands there twice, or in another order than the one that there is."""
    if len(found) != len(given) or found != sorted(set(found)):
        raise ProofError("V37", file=folder)


def check_complete(evidence: Evidence, found: VerifiedDossier, genesis: Applied) -> None:
    """All records about the subject are there, and all that these rest on, and nothing else.

    Raises `ProofError` (V8, V37, V40).
    """
    subject = evidence.subject
    if not subject.leaves:
        raise ProofError("V40", what=found.subject)
    verify_subject_log(_raw(subject.leaves), subject.state, found.head)
    keys = {log_of(leaf) for leaf in found.about}
    needed = set(found.about)
    waiting = list(found.about)
    founded = {b64url(entry.leaf) for entry in genesis.entries}
    while waiting:
        record = found.records.get(leaf := waiting.pop())
        if record is None:
            raise ProofError("V40", what=leaf)
        keys.update(keys_of(record.entry))
        for earlier in earlier_of(record.entry, found.values):
            if earlier not in needed and earlier not in founded:
                needed.add(earlier)
                waiting.append(earlier)
    _check_same_names(keys, found.values)
    _check_same_names(needed, found.records)
    proofs = {answer.state.key: answer.state for answer in evidence.states}
    for leaf in found.about:
        verify_subject_log(_raw(found.logs.get(leaf, ())), proofs[log_of(leaf)], found.head)
    if tuple(found.records[leaf].index for leaf in subject.leaves) != subject.indexes:
        raise ProofError("V38", file=SUBJECT)
    _check_known((b64url(one.own.entry.leaf) for one in found.certificates), found.about)
    for number, one in enumerate(evidence.certificates, 1):
        if one.openings:
            raise ProofError("V37", file=_certificate_name(number))


def _raw(leaves: Iterable[str]) -> list[bytes]:
    return [unb64url(leaf, 32) for leaf in leaves]


def _check_same_names(needed: set[str], given: Iterable[str]) -> None:
    """V37, V40: what is needed is given, and nothing else."""
    _check_known(given, needed)
    for name in sorted(needed.difference(given)):
        raise ProofError("V40", what=name)


def _check_known(given: Iterable[str], needed: Iterable[str]) -> None:
    for name in sorted(set(given).difference(needed)):
        raise ProofError("V37", file=name)


def verify_dossier(
    data: bytes,
    pin: str,
    explain: Explain,
    verify: Verify,
    passed: Callable[[str], None] = lambda _step: None,
) -> VerifiedDossier:
    """Everything that a dossier claims, of the chain with the pin that its reader trusts; `passed`
    is told each step of `STEPS` as it passes.

    Raises `ProofError` (V*, M*, N*, A*, W*) or `MalformedError` (V35, S*).
    """
    files = unpack(data)
    evidence = _evidence_of(files)
    passed("form")
    genesis = check_genesis(evidence.genesis, verify)
    if b64url(genesis.seal.leaf) != pin:
        raise ProofError("V12")
    passed("trust")
    found = verify_evidence(evidence, genesis, verify)
    passed("proofs")
    check_complete(evidence, found, genesis)
    passed("complete")
    _check_files(files, files_of(evidence, found, genesis, explain))
    passed("files")
    return found


def _evidence_of(files: Mapping[str, bytes]) -> Evidence:
    """The substance of a dossier. Raises `ProofError` (V36) or `MalformedError` (S1, S2)."""
    for name in (GENESIS, SUBJECT):
        if name not in files:
            raise ProofError("V36", file=name)

    def under(folder: str, end: str) -> Iterator[bytes]:
        for name in sorted(files):
            if name.startswith(folder) and name.endswith(end):
                yield files[name]

    return Evidence(
        genesis=files[GENESIS],
        subject=decode_shape(files[SUBJECT], _SUBJECT),
        receipts=tuple(map(decode_receipt, under("records/", ".receipt.json"))),
        states=tuple(decode_shape(data, _STATE) for data in under("states/", ".json")),
        certificates=tuple(map(decode_certificate, under("certificates/", ".json"))),
    )


def _check_files(given: Mapping[str, bytes], made: Mapping[str, bytes]) -> None:
    """V36 to V38: the files are those that follow from the evidence."""
    for name in sorted(made):
        if name not in given:
            raise ProofError("V36", file=name)
    _check_known(given, made)
    for name in sorted(made):
        if given[name] != made[name]:
            raise ProofError("V38", file=name)


# --- the files ---


def make_dossier(
    evidence: Evidence, found: VerifiedDossier, genesis: Applied, explain: Explain
) -> bytes:
    """The zip file of a dossier. Raises `TooLargeError` (V41)."""
    files = files_of(evidence, found, genesis, explain)
    size = sum(len(data) + FRAME_BYTES for data in files.values())
    if size > MAX_BYTES or len(files) > MAX_FILES:
        raise TooLargeError("V41", subject=found.subject, count=len(found.records))
    return pack(files)


def files_of(
    evidence: Evidence, found: VerifiedDossier, genesis: Applied, explain: Explain
) -> dict[str, bytes]:
    """Every file of a dossier, by name; the manifest is the last that is made."""
    policy = policy_of(found.head.configs[-1], genesis.tip.origin)
    files = {
        GENESIS: evidence.genesis,
        SUBJECT: ENCODE(evidence.subject),
        "checkpoint": evidence.subject.checkpoint.encode(),
        "policy": encode_policy(policy),
        "keys.json": _readable(_keys(found, genesis.tip.origin)),
        "dossier.json": _readable(_contents(found)),
        **explain(_facts(found)),
    }
    for receipt, record in zip(evidence.receipts, found.records.values(), strict=True):
        files |= _files_of_record(receipt, record)
    for number, answer in enumerate(evidence.states, 1):
        files[f"states/{number:05}.json"] = ENCODE(answer)
    for number, one in enumerate(evidence.certificates, 1):
        files[_certificate_name(number)] = encode_certificate(one)
    for kind in {record.entry.record.type for record in found.records.values()}:
        files[f"schemas/{kind}.json"] = _readable(msgspec.json.decode(schema_of(kind)))
    listed = (f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items()))
    return {**files, MANIFEST: "".join(listed).encode()}


def _certificate_name(number: int) -> str:
    return f"certificates/{number:05}.json"


def _files_of_record(receipt: Receipt, record: VerifiedReceipt) -> dict[str, bytes]:
    name = f"records/{record.index:012}"
    entry = record.entry
    said = {
        "findings": list(record.findings),
        "height": record.height,
        "index": record.index,
        "key_id": b64url(entry.statement.kid),
        "leaf": b64url(entry.leaf),
        "leaf_hex": entry.leaf.hex(),
        "organisation": entry.statement.iss,
        "record": msgspec.json.decode(entry.statement.payload),
        "recorded_at": _time(record.time_ms),
        "subject": entry.statement.sub,
    }
    return {
        f"{name}.cose": entry.raw,
        f"{name}.json": _readable(said),
        f"{name}.receipt.json": encode_receipt(receipt),
        f"{name}.tlog-proof": receipt.proof.encode(),
    }


def _readable(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    return f"{text}\n".encode()


def _time(ms: int) -> str:
    """An instant; beyond the calendar the plain number (a seal may claim any time)."""
    return encode_time(ms) if ms < END_OF_CALENDAR_MS else f"{ms} ms"


def _facts(found: VerifiedDossier) -> dict[str, str | int]:
    checkpoint, seal = found.head.checkpoint, found.head.seal.seal
    return {
        "about": len(found.about),
        "count": len(found.records),
        "height": seal.height,
        "origin": checkpoint.origin,
        "pin": found.pin,
        "root": checkpoint.root.hex(),
        "size": checkpoint.size,
        "subject": found.subject,
        "time": _time(seal.time_ms),
    }


def _contents(found: VerifiedDossier) -> dict[str, object]:
    """The table of contents, for people and programs."""
    return {
        "certificates": [one.body.cert_no for one in found.certificates],
        "certificates_as_records_only": found.bare,
        "format": FORMAT,
        "head": {name: fact for name, fact in _facts(found).items() if name in HEAD},
        "payloads": "none",
        "pin": found.pin,
        "records": [
            {
                "about": leaf in found.about,
                "decision": found.standing(leaf),
                "file": f"records/{record.index:012}",
                "findings": list(record.findings),
                "leaf": leaf,
                "organisation": record.entry.statement.iss,
                "recorded_at": _time(record.time_ms),
                "type": record.entry.record.type,
            }
            for leaf, record in found.records.items()
        ],
        "states": list(found.values),
        "subject": found.subject,
    }


HEAD: Final = frozenset({"height", "origin", "root", "size", "time"})


def _keys(found: VerifiedDossier, origin: str) -> dict[str, object]:
    """The keys that signed: those of records with their time of validity, those of the members'
    nodes by epoch.
    """
    return {
        "epochs": [_epoch(config, origin) for config in found.head.configs],
        "records": {name: msgspec.to_builtins(value) for name, value in found.signers.items()},
    }


def _epoch(config: EpochConfig, origin: str) -> dict[str, object]:
    cosigners = cosigner_keys(config, origin)
    logs = log_keys(config, origin)
    kids = {member.org: kid for kid, member in config.node_kids.items()}
    return {
        "epoch": config.epoch,
        "members": [
            {
                "cosigner": cosigners[member.org].vkey,
                "log": log.vkey,
                "node_key": member.node_pk,
                "node_key_id": kids[member.org],
                "organisation": member.org,
            }
            for member, log in zip(config.members, logs, strict=True)
        ],
        "quorum": config.q,
    }
