"""The dossier against the pin alone (SPEC 9.7): what is true passes; whatever is changed, added or
left out is refused by the rule that it breaks.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256

import msgspec
import pytest
from msgspec.structs import replace

import ledger.dossier
from ledger.archive import pack, unpack
from ledger.certificates import Opening
from ledger.crypto import verify
from ledger.dossier import (
    MANIFEST,
    STEPS,
    Evidence,
    VerifiedDossier,
    check_complete,
    files_of,
    keys_of,
    log_of,
    make_dossier,
    verify_dossier,
    verify_evidence,
)
from ledger.encoding import b64url, encode_time, unb64url
from ledger.errors import AllianceError, TooLargeError
from ledger.merkle import leaf_hash, verify_inclusion
from ledger.notes import (
    Note,
    NoteSignature,
    TlogProof,
    decode_note,
    decode_proof,
    encode_note,
    encode_proof,
)
from ledger.records import decode_entry
from ledger.records.catalogue import DatasetBody
from ledger.records.rights import TimeAnchorBody
from ledger.records.use import AccessBatchBody, AccessEvent, Source
from ledger.verify import Receipt, StateAnswer
from tests.ledger.ledgers import Ledger
from tests.ledger.lives import NOW
from tests.ledger.papers import Papers
from tests.ledger.yields import Yield
from tests.support.epochs import Prover, grown
from tests.support.world import ORIGIN, make_world

SUBJECT = "result:RES-1"
README = "README.txt"
EVENT = AccessEvent(
    action="read",
    activity="VIEW",
    at=encode_time(NOW),
    channel="query",
    dataset="D1@1",
    outcome="ok",
    permit="P-1",
    source=Source(seq=900, system="gateway"),
)


def explained(facts: Mapping[str, str | int]) -> dict[str, bytes]:
    """As short as explanations can be."""
    return {README: f"{facts['subject']} {facts['count']} {facts['pin']}\n".encode()}


class Told:
    """A chain up to a certificate, and the dossier of the result that it is for."""

    def __init__(self) -> None:
        self.life = Yield()
        leaf = self.life.certified()
        self.life.object_to(leaf)
        self.life.access(permit="NONE")
        self.life.put("access-batch", AccessBatchBody(events=(EVENT,)), by="system")
        self.life.put("time-anchor", TimeAnchorBody(root="A" * 43, size=1), by="node")
        self.papers = Papers(self.life)
        self.genesis = self.life.world.genesis
        self.pin = b64url(self.genesis.seal.leaf)
        self.evidence = self.papers.evidence(SUBJECT, leaf)
        self.found = verify_evidence(self.evidence, self.genesis, verify)
        self.data = make_dossier(self.evidence, self.found, self.genesis, explained)
        self.files = unpack(self.data)

    def check(self, data: bytes) -> VerifiedDossier:
        """What somebody finds who has this file and the pin."""
        return verify_dossier(data, self.pin, explained, verify)

    def judge(self, evidence: Evidence) -> None:
        """The same, of evidence that its maker has put into files without a mistake."""
        found = verify_evidence(evidence, self.genesis, verify)
        check_complete(evidence, found, self.genesis)

    def leaf_of(self, kind: str) -> str:
        """The leaf hash of the last record of a type."""
        return [leaf for leaf, one in self.found.records.items() if one.entry.record.type == kind][
            -1
        ]

    def without(self, leaf: str) -> Evidence:
        """The evidence without one record."""
        kept = tuple(one for one in self.evidence.receipts if leaf_in(one) != leaf)
        return self.evidence._replace(receipts=kept)

    def stated(self, *, without: str) -> Evidence:
        """The evidence without one value of the state."""
        kept = tuple(one for one in self.evidence.states if one.state.key != without)
        return self.evidence._replace(states=kept)


def leaf_in(receipt: Receipt) -> str:
    return b64url(decode_entry(unb64url(receipt.entry)).leaf)


@pytest.fixture(scope="module")
def told() -> Told:
    """Nobody changes it."""
    return Told()


def refusal(check: Callable[[], object]) -> str:
    """The rule by which it is refused."""
    with pytest.raises(AllianceError) as found:
        check()
    return found.value.rule


def listed(files: Mapping[str, bytes]) -> bytes:
    """The archive of files with a manifest that is right, as a forger would make it."""
    rest = {name: data for name, data in files.items() if name != MANIFEST}
    lines = (f"{sha256(data).hexdigest()}  {name}\n" for name, data in sorted(rest.items()))
    return pack({**rest, MANIFEST: "".join(lines).encode()})


def test_a_dossier_verifies_step_by_step_with_the_pin_alone(told: Told) -> None:
    passed: list[str] = []
    found = verify_dossier(told.data, told.pin, explained, verify, passed.append)
    assert tuple(passed) == STEPS
    kinds = {found.records[leaf].entry.record.type for leaf in found.about}
    assert {"result", "contribution", "contribution-confirm", "certificate", "dispute"} <= kinds
    rest = {found.records[leaf].entry.record.type for leaf in set(found.records) - found.about}
    assert {"compute-run", "access-decision", "dataset", "dataset-version", "study"} <= rest
    assert [one.body.cert_no for one in found.certificates] == ["CERT-1"]
    assert found.bare == []
    assert found.standing(told.leaf_of("certificate")) == "EFFECTIVE"
    assert found.standing(told.leaf_of("result")) is None


def test_the_same_evidence_gives_the_same_bytes_that_any_tool_opens(told: Told) -> None:
    evidence = told.papers.evidence(SUBJECT, told.leaf_of("certificate"))
    assert make_dossier(evidence, told.found, told.genesis, explained) == told.data
    with zipfile.ZipFile(io.BytesIO(told.data)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == told.files
    for line in told.files[MANIFEST].decode().splitlines():
        digest, name = line.split("  ")
        assert sha256(told.files[name]).hexdigest() == digest


def test_one_record_is_proven_by_its_files_alone(told: Told) -> None:
    name = next(name for name in sorted(told.files) if name.endswith(".cose"))[:-5]
    proof = decode_proof(told.files[f"{name}.tlog-proof"])
    checkpoint, leaf = proof.checkpoint, leaf_hash(told.files[f"{name}.cose"])
    verify_inclusion(proof.index, checkpoint.size, leaf, proof.path, checkpoint.root)
    shown = msgspec.json.decode(told.files[f"{name}.json"])
    assert shown["leaf_hex"] == leaf.hex()


def test_a_dossier_of_another_chain_is_refused(told: Told) -> None:
    assert refusal(lambda: verify_dossier(told.data, "x" * 43, explained, verify)) == "V12"


def kinds_of_files(files: Mapping[str, bytes]) -> list[str]:
    """One file of each kind."""
    kinds = {name.partition("/")[0] + name[name.find(".") :]: name for name in sorted(files)}
    return sorted(kinds.values())


def test_a_changed_byte_is_refused_wherever_it_stands(told: Told) -> None:
    names = set(kinds_of_files(told.files)) - {MANIFEST}
    assert len(names) == 14, names
    for name in sorted(names):
        data = told.files[name]
        at = len(data) // 2
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        rule = refusal(lambda files={**told.files, name: changed}: told.check(listed(files)))
        by_itself = name.startswith(("genesis", "subject", "states", "certificates"))
        assert by_itself or ".receipt" in name or rule == "V38", (name, rule)


def test_a_manifest_that_says_something_else_is_refused(told: Told) -> None:
    files = {**told.files, MANIFEST: told.files[MANIFEST][1:]}
    assert refusal(lambda: told.check(pack(files))) == "V38"


def test_a_file_that_is_missing_or_added_is_refused(told: Told) -> None:
    for name in (README, "genesis", "subject.json", "checkpoint", MANIFEST, "schemas/result.json"):
        files = {one: data for one, data in told.files.items() if one != name}
        assert refusal(lambda files=files: told.check(pack(files))) == "V36", name
    for name in ("more.txt", "../README.txt", "/etc/passwd", "records/extra.cose"):
        files = {**told.files, name: b"extra"}
        assert refusal(lambda files=files: told.check(listed(files))) == "V37", name


# --- what was left out ---


def test_a_record_that_is_left_out_is_missed(told: Told) -> None:
    subject = told.evidence.subject
    gone = told.leaf_of("certificate")
    leaves = tuple(leaf for leaf in subject.leaves if leaf != gone)
    indexes = tuple(
        at for at, leaf in zip(subject.indexes, subject.leaves, strict=True) if leaf != gone
    )
    shorter = told.without(gone)._replace(
        subject=replace(subject, leaves=leaves, indexes=indexes), certificates=()
    )
    assert refusal(lambda: told.judge(shorter)) == "V8"
    assert refusal(lambda: told.judge(told.without(gone))) == "V40"


def test_a_dispute_or_a_ruling_on_a_record_is_missed(told: Told) -> None:
    gone = told.leaf_of("contribution-confirm")
    assert gone not in told.evidence.subject.leaves
    less = told.without(gone)
    of_it = {log_of(gone), f"decision/{gone}"}
    assert of_it <= {one.state.key for one in less.states}
    states = tuple(one for one in less.states if one.state.key not in of_it)
    assert refusal(lambda: told.judge(less._replace(states=states))) == "V8"


def test_a_dossier_of_nothing_is_none(told: Told) -> None:
    assert refusal(lambda: told.judge(told.papers.evidence("dataset:NONE"))) == "V40"


def test_a_key_that_signed_nothing_is_proven_as_well(told: Told) -> None:
    evidence = told.papers.evidence("time-anchor")
    (receipt,) = evidence.receipts
    assert receipt.key is None
    known = told.evidence.receipts[0].key
    assert known is not None
    assert known.value is not None
    true = evidence._replace(receipts=(replace(receipt, key=known),))
    told.judge(true)
    false = replace(known, value=known.value.replace("h1", "h2"))
    forged = evidence._replace(receipts=(replace(receipt, key=false),))
    assert refusal(lambda: told.judge(forged)) == "V7"


def test_a_record_that_others_rest_on_is_missed(told: Told) -> None:
    for kind in ("study", "access-decision", "compute-run"):
        assert refusal(lambda kind=kind: told.judge(told.without(told.leaf_of(kind)))) == "V40"


def test_a_value_of_the_state_that_belongs_to_a_record_is_missed(told: Told) -> None:
    result, decision = told.leaf_of("result"), told.leaf_of("access-decision")
    run = told.found.records[told.leaf_of("compute-run")].entry
    (permit, *_), named = keys_of(run), {one.state.key for one in told.evidence.states}
    for key in (log_of(result), f"decision/{decision}", permit):
        assert key in named
        assert refusal(lambda key=key: told.judge(told.stated(without=key))) == "V40", key


def test_what_is_called_by_a_name_is_followed(told: Told) -> None:
    evidence = told.papers.evidence("permit:P-1")
    found = verify_evidence(evidence, told.genesis, verify)
    check_complete(evidence, found, told.genesis)
    batch = next(
        leaf for leaf, one in found.records.items() if one.entry.record.type == "access-batch"
    )
    assert batch in found.about
    assert keys_of(found.records[batch].entry) == ("permit/P-1",)
    unknown = told.papers.evidence("permit:NONE")
    told.judge(unknown)
    states = {one.state.key: one.state.value for one in unknown.states}
    assert states["permit/NONE"] is None
    missing = tuple(one for one in unknown.states if one.state.key != "permit/NONE")
    assert refusal(lambda: told.judge(unknown._replace(states=missing))) == "V40"


def test_what_is_not_asked_for_is_refused(told: Told) -> None:
    key = told.leaf_of("study")
    more = (*told.evidence.receipts, told.papers.receipt(b64url(told.papers.entries[3].leaf)))
    ordered = tuple(sorted(more, key=lambda one: decode_proof(one.proof.encode()).index))
    assert refusal(lambda: told.judge(told.evidence._replace(receipts=ordered))) == "V37"
    states = (*told.evidence.states, told.papers.answer(f"subject/record:{key}"))
    states = tuple(sorted(states, key=lambda one: one.state.key))
    assert refusal(lambda: told.judge(told.evidence._replace(states=states))) == "V37"


def test_nothing_stands_there_twice_or_in_another_order(told: Told) -> None:
    evidence = told.evidence
    for changed in (
        evidence._replace(receipts=(*evidence.receipts, evidence.receipts[-1])),
        evidence._replace(receipts=evidence.receipts[::-1]),
        evidence._replace(states=(*evidence.states, evidence.states[-1])),
        evidence._replace(states=evidence.states[::-1]),
        evidence._replace(certificates=evidence.certificates * 2),
    ):
        assert refusal(lambda changed=changed: told.judge(changed)) == "V37"


def test_the_places_in_the_list_of_the_subject_are_those_of_the_records(told: Told) -> None:
    subject = told.evidence.subject
    shifted = replace(subject, indexes=tuple(at + 1 for at in subject.indexes))
    assert refusal(lambda: told.judge(told.evidence._replace(subject=shifted))) == "V38"


def test_all_proofs_stand_under_one_head(told: Told) -> None:
    older = Yield()
    older.certified()
    papers = Papers(older)
    other = papers.receipt(leaf_in(told.evidence.receipts[0]))
    receipts = (other, *told.evidence.receipts[1:])
    assert refusal(lambda: told.judge(told.evidence._replace(receipts=receipts))) == "V39"
    states = (papers.answer(told.evidence.states[0].state.key), *told.evidence.states[1:])
    assert refusal(lambda: told.judge(told.evidence._replace(states=states))) == "V39"


def with_another_line(text: str) -> str:
    """The note of a proof with a line that no verifier of notes looks at."""
    line = NoteSignature("somebody", b"1234", bytes(64))
    note = decode_note(text[text.rindex(ORIGIN + "\n") :].encode())
    return (
        text[: text.rindex(ORIGIN + "\n")]
        + encode_note(Note(note.text, (*note.signatures, line))).decode()
    )


def test_the_head_is_the_same_byte_for_byte(told: Told) -> None:
    evidence = told.evidence
    answer, receipt = evidence.states[0], evidence.receipts[0]
    certificate = evidence.certificates[0]
    stranger = replace(answer, checkpoint=with_another_line(answer.checkpoint))
    proof = with_another_line(receipt.proof)
    inner = replace(certificate.states[0], checkpoint=stranger.checkpoint)
    spoilt = replace(certificate, states=(inner, *certificate.states[1:]))
    for changed in (
        evidence._replace(states=(stranger, *evidence.states[1:])),
        evidence._replace(receipts=(replace(receipt, proof=proof), *evidence.receipts[1:])),
        evidence._replace(certificates=(spoilt,)),
    ):
        assert refusal(lambda changed=changed: told.judge(changed)) == "V39"


def test_a_proof_carries_nothing_besides(told: Told) -> None:
    receipt = told.evidence.receipts[0]
    known = decode_proof(receipt.proof.encode())
    more = encode_proof(TlogProof(known.index, known.path, known.note, b"more")).decode()
    receipts = (replace(receipt, proof=more), *told.evidence.receipts[1:])
    assert refusal(lambda: told.judge(told.evidence._replace(receipts=receipts))) == "V37"


def test_a_certificate_is_about_the_subject_and_discloses_nothing(told: Told) -> None:
    of_ethics = told.papers.evidence("ethics:EA-1")._replace(
        certificates=told.evidence.certificates
    )
    assert refusal(lambda: told.judge(of_ethics)) == "V37"
    opening = Opening(commit="x" * 43, payload={}, salt="x" * 43)
    certificate = replace(told.evidence.certificates[0], openings=(opening,))
    open_file = told.evidence._replace(certificates=(certificate,))
    assert refusal(lambda: told.judge(open_file)) == "W67"
    assert refusal(lambda: check_complete(open_file, told.found, told.genesis)) == "V37"


def test_a_certificate_without_its_calculation_is_told(told: Told) -> None:
    evidence = told.evidence._replace(certificates=())
    found = verify_evidence(evidence, told.genesis, verify)
    files = files_of(evidence, found, told.genesis, explained)
    assert told.check(pack(files)).bare == ["CERT-1"]


# --- several epochs ---


class AcrossEpochs(Papers):
    """What a node hands out whose head is not of the first epoch."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.prover = Prover(ledger)

    def receipt(self, leaf: str) -> Receipt:
        """With the ends of the epochs."""
        return self.prover.receipt(self.places[leaf][1])

    def answer(self, key: str) -> StateAnswer:
        """With the ends of the epochs."""
        return StateAnswer(
            boundaries=self.prover.boundaries,
            checkpoint=encode_note(self.prover.note).decode(),
            head=self.prover.seal(self.prover.tip.height),
            state=self.prover.state(*key.split("/", 1)),
        )


def test_keys_of_later_epochs_follow_from_the_genesis() -> None:
    ledger = Ledger(make_world(("h1", "h2", "h3")))
    grown(ledger, "h4")
    ledger.record("dataset", DatasetBody(custodian="h1", openness="conditional", series_id="D"))
    genesis = ledger.world.genesis
    evidence = AcrossEpochs(ledger).evidence("config")
    found = verify_evidence(evidence, genesis, verify)
    check_complete(evidence, found, genesis)
    data = make_dossier(evidence, found, genesis, explained)
    seen = verify_dossier(data, b64url(genesis.seal.leaf), explained, verify)
    assert {"config", "endorse"} <= {seen.records[leaf].entry.record.type for leaf in seen.about}
    keys = msgspec.json.decode(unpack(data)["keys.json"])
    assert [len(epoch["members"]) for epoch in keys["epochs"]] == [3, 4]
    cut = Evidence(
        evidence.genesis,
        replace(evidence.subject, boundaries=()),
        tuple(replace(one, boundaries=()) for one in evidence.receipts),
        tuple(replace(one, boundaries=()) for one in evidence.states),
    )
    assert refusal(lambda: verify_evidence(cut, genesis, verify)) == "V1"


# --- the zip ---


def zipped(told: Told, **options: int) -> bytes:
    """The same files as another tool would zip them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **options) as archive:
        for name, data in sorted(told.files.items()):
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def doubled(told: Told) -> bytes:
    """The first file twice, empty the first time."""
    return member(MANIFEST) + told.data


def member(name: str) -> bytes:
    """One empty file of an archive, without the rest of it."""
    alone = pack({name: b""})
    return alone[: alone.index(b"PK\x01\x02")]


def with_link(told: Told) -> bytes:
    """A file that is a symbolic link by its attributes."""
    plain, link = (0o100644 << 16).to_bytes(4, "little"), (0o120777 << 16).to_bytes(4, "little")
    at = told.data.rindex(plain)
    return told.data[:at] + link + told.data[at + 4 :]


def encrypted(told: Told) -> bytes:
    """A file that says that it is encrypted."""
    return told.data[:6] + b"\1" + told.data[7:]


def bomb(_told: Told) -> bytes:
    """A small file that grows to a large one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("genesis", bytes(1 << 22))
    return out.getvalue()


@pytest.mark.parametrize(
    "trick",
    [
        zipped,
        doubled,
        with_link,
        encrypted,
        bomb,
        lambda told: told.data + b"\0",
        lambda told: b"#!" + told.data,
        lambda told: told.data[:-1],
        lambda told: told.data[:-2] + b"\1\0#",
        lambda told: told.data[:40],
        lambda _told: b"PK\x03\x04",
        lambda _told: b"",
        lambda _told: b"".join(member(str(number)) for number in range(65_537)),
        lambda told: told.data.replace(b"MANIFEST", b"M\xc3\xa4NIFES"),
    ],
)
def test_a_zip_of_another_form_is_refused(told: Told, trick: Callable[[Told], bytes]) -> None:
    assert refusal(lambda: told.check(trick(told))) == "V35"


def test_a_dossier_has_a_largest_size(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.dossier, "MAX_BYTES", len(told.data) // 2)
    with pytest.raises(TooLargeError) as found:
        make_dossier(told.evidence, told.found, told.genesis, explained)
    assert found.value.rule == "V41"
