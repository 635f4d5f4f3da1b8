"""From a result to a certificate by the commands of every role; the certificate is then checked and
printed by somebody who has two files and no node.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import zxingcpp
from PIL import Image

from cli.certificate_page import page_of, qr_png
from cli.certificate_pdf import as_pdf
from cli.documents import LEAF, fetch_document
from cli.home import load_genesis
from cli.interface import Alliance
from cli.outputs import object_leaf
from cli.statements import clock_ms
from ledger.certificates import decode_certificate, verify_certificate
from ledger.crypto import verify
from ledger.encoding import b64url, encode_time
from ledger.errors import AllianceError, ErasedError, ForbiddenError, NotFoundError
from ledger.records.governance import DEFAULT_ATTRIBUTION
from tests.cli.conftest import Chain, call, make_chain
from tests.cli.test_lives import ANALYST, LEADER, register, request, review, study

ACRO = {
    "version": "1.0.2",
    "results": {
        "output_0": {
            "uid": "output_0",
            "status": "pass",
            "command": "acro.crosstab(patients.zip_code)",
            "fair": {"statbarn": "frequencies", "check_status": {"threshold": "pass"}},
        }
    },
}
"""What the tool writes; its command stays at home."""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A chain with a permit in force, a run under it, and a policy without time for objections."""
    with make_chain(tmp_path_factory.mktemp("rights")) as chain:
        register(chain, "ethics", "ethics", "irb")
        register(chain, "lead", "self", LEADER)
        register(chain, "person", "self", ANALYST)
        register(chain, "checker", "checker", "c1")
        chain.json("dataset", "register", "SEPSIS", "--openness", "conditional")
        data = chain.home / "sepsis.csv"
        data.write_text("id,sofa\n1,7\n")
        chain.json("version", "register", "SEPSIS", "1", data, "--term", "DUO:0000042")
        words = ("--kind", "decide", "--date", "2026-01-05", "--present", "5", "--for", "5")
        chain.json("resolution", "R-1", *words)
        parameters = msgspec.structs.replace(DEFAULT_ATTRIBUTION, objection_days=0)
        file = chain.home / "attribution.json"
        file.write_bytes(msgspec.json.encode(parameters))
        soon = encode_time(clock_ms() + 2_000)
        given = ("--attribution", file, "--resolution", "R-1", "--effective-from", soon)
        assert chain.json("policy", "second", *given)["decision"] == "EFFECTIVE"
        study(chain, "S-1")
        request(chain, "Q-1", "S-1")
        review(chain, "Q-1")
        words = ("--resolution", "R-1", "--permit", "P-1", "--from", "2026-01-01")
        decided = chain.json("decide", "approve", "Q-1", *words, "--until", "2026-12-31")
        chain.json("endorse", decided["leaf"], "--key", "officer")
        chain.json("permit", "activate", "P-1")
        used = ("access", "record", "--dataset", "SEPSIS@1", "--activity", "READ")
        chain.json(*used, "--permit", "P-1", "--person", ANALYST)
        yield chain


def make_result(chain: Chain, name: str, *more: str) -> dict[str, Any]:
    """A run and its result."""
    table = chain.home / f"{name}.csv"
    table.write_text(f"{name},auc\n1,0.81\n")
    digest = chain_digest(table)
    ran = ("run", "record", f"RUN-{name}", "--on", "h1", "--permit", "P-1", "--person", ANALYST)
    out = ("--generated", digest, "--ended", encode_time(clock_ms()))
    done = chain.json(*ran, "--state", "completed", "--dataset", "SEPSIS@1", *out)
    words = ("--study", "S-1", "--kind", "paper", "--run", done["leaf"])
    return dict(chain.json("result", "register", name, table, *words, *more))


def chain_digest(path: Path) -> str:
    """The digest of a file as records hold it."""
    return str(call("dataset", "fingerprint", path, "--json").json["content_digest"])


def test_what_leaves_takes_two_reviewers_of_two_houses(life: Chain) -> None:
    """This alliance has one member: nothing can leave it."""
    made = make_result(life, "RES-1")
    assert made["findings"] == []
    sdc, profile = life.home / "results.json", life.home / "profile.yaml"
    sdc.write_bytes(msgspec.json.encode(ACRO))
    profile.write_text("safe_threshold: 10\n")
    words = ("--result", "RES-1", "--permit", "P-1", "--sdc", sdc, "--profile", profile)
    asked = life.json("egress", "submit", "E-1", *words, "--destination", "publication")
    assert asked["decision"] == "EFFECTIVE"
    record = life("proof", asked["leaf"]).code
    assert record == 0
    receipt = Path(asked["receipt"]).read_text()
    assert "zip_code" not in receipt
    assert life.json("egress", "review", "E-1", "--checklist", profile)["findings"] == []
    refused = life("egress", "decide", "E-1", "release")
    assert (refused.code, "W18" in refused.err) == (12, True)
    life.json("egress", "decide", "E-1", "return", "--reason", "cells")
    life.json("egress", "decide", "E-1", "withdraw", "--key", "person")
    assert life.json("state", "egress", "E-1")["value"]["status"] == "WITHDRAWN"
    appeared = life.json("publication", "record", "RES-1", "doi", "10.1234/x", "--credit-missing")
    assert appeared["findings"] == ["CREDIT_MISSING", "NOT_RELEASED"]


def certify(life: Chain, name: str, number: str) -> str:
    """Contributions, notice and certificate of a result; the certificate's leaf."""
    named = ("--name", "Li Xiaoyan 李晓燕")
    claimed = life.json("contribution", "claim", name, "--role", "formal-analysis", *named)
    life.json("contribution", "confirm", claimed["leaf"])
    closes = encode_time(clock_ms() + 2_500)
    shown = life.json("certificate", "notice", f"N-{number}", name, "--closes", closes)
    assert shown["decision"] == "EFFECTIVE"
    time.sleep(3)
    permit = life.json("permit", "show", "P-1")["terms"]["decision"]
    right = f"use=h1@{permit}"
    until = encode_time(clock_ms() + 300 * 86_400_000)[:10]
    words = ("--notice", f"N-{number}", "--kind", "paper", "--right", right, "--until", until,
             "--source", "两家医院的病历")  # fmt: skip
    issued = life.json("certificate", "issue", number, *words)
    assert issued["decision"] == "PENDING"
    assert life.json("endorse", issued["leaf"], "--key", "officer")["findings"] == []
    return str(issued["leaf"])


@pytest.fixture(scope="module")
def certified(life: Chain) -> Chain:
    """With a certificate, whose file is kept as it is before anybody objects."""
    make_result(life, "RES-2")
    before = life.json("credit", "RES-2")
    assert sum(row["basis_points"] for row in before["calculation"]["shares"]["rows"]) == 10_000
    certify(life, "RES-2", "CERT-2")
    life.json("certificate", "export", "CERT-2", "--out", life.home / "good.json")
    return life


def test_a_certificate_from_claim_to_page(certified: Chain, tmp_path: Path) -> None:
    life = certified
    shown = life("credit", "RES-2")
    assert f"pid:{ANALYST}" in shown.out
    assert "贡献核算" in life("credit", "RES-2", "--lang", "zh").out
    file, genesis = tmp_path / "c.json", tmp_path / "genesis"
    written = life.json("certificate", "export", "CERT-2", "--out", file)
    assert written["bytes"] == file.stat().st_size
    genesis.write_bytes((life.home / "genesis").read_bytes())
    checked = call("certificate", "verify", file, "--genesis", genesis, "--json").json
    assert (checked["verdict"], checked["status"], checked["number"]) == (
        "valid",
        "ISSUED",
        "CERT-2",
    )
    assert sum(checked["shares"].values()) == 10_000
    assert len(checked["not_proven"]) == 5
    spoken = call("certificate", "verify", file, "--genesis", genesis, "--lang", "zh")
    assert (spoken.code, "不证明" in spoken.out) == (0, True)
    page, sheet = tmp_path / "c.html", tmp_path / "c.pdf"
    for out in (page, sheet):
        made = call("certificate", "print", file, "--genesis", genesis, "--out", out)
        assert made.code == 0, made.err
    assert sheet.read_bytes().startswith(b"%PDF-")
    text = page.read_text("utf-8")
    for said in ("权益凭证", "CERT-2", checked["leaf"], "不证明", "<svg", f"pid:{ANALYST}"):
        assert said in text
    assert "src=" not in text


def test_a_camera_reads_the_code_of_the_page(certified: Chain, tmp_path: Path) -> None:
    """The QR code, read by another program than the one that drew it, leads to the certificate."""
    genesis = load_genesis(certified.home)
    file = decode_certificate((certified.home / "good.json").read_bytes())
    found = verify_certificate(file, genesis, verify)
    page = page_of(found, genesis, "https://check.example.org/证书")
    (read,) = zxingcpp.read_barcodes(Image.open(qr_png(page.code)).convert("L"))
    leaf, pin = b64url(found.own.entry.leaf), b64url(genesis.seal.leaf)
    told = f"no=CERT-2 leaf={leaf} pin={pin} check=https://check.example.org/证书"
    assert read.text == f"alliance-certificate/1 {told}"
    # Paper gets dirty: a corner of the code is covered, and it reads the same.
    picture = Image.open(qr_png(page.code)).convert("L")
    width, height = picture.size
    picture.paste(255, (width * 3 // 4, height * 3 // 4, width * 7 // 8, height * 7 // 8))
    (dirty,) = zxingcpp.read_barcodes(picture)
    assert dirty.text == read.text
    # The page on paper carries this very picture.
    sheet = tmp_path / "page.pdf"
    sheet.write_bytes(as_pdf(page))
    assert sheet.read_bytes().count(b"/Subtype /Image") == 1


def test_a_dossier_holds_its_certificate_and_no_name(certified: Chain, tmp_path: Path) -> None:
    file = tmp_path / "d.zip"
    pin = certified.json("dossier", "export", "RES-2", "--out", file)["pin"]
    found = call("dossier", "verify", file, "--pin", pin, "--json").json
    assert list(found["certificates"]) == ["CERT-2"]
    assert {"result", "contribution-confirm"} <= {
        one["type"] for one in found["records"] if one["about"]
    }
    assert b'"openings"' not in file.read_bytes()
    permit = certified.json("dossier", "export", "P-1", "--out", tmp_path / "p.zip")
    assert permit["subject"] == "permit:P-1"
    assert "CERT-2" in call("dossier", "verify", file, "--pin", pin).out


def test_names_are_printed_by_consent(certified: Chain, tmp_path: Path) -> None:
    life = certified
    file, genesis, page = tmp_path / "c.json", life.home / "genesis", tmp_path / "c.html"

    def names(*more: str) -> tuple[dict[str, str], str]:
        life.json("certificate", "export", "CERT-2", "--out", file, *more)
        call("certificate", "print", file, "--genesis", genesis, "--out", page)
        checked = call("certificate", "verify", file, "--genesis", genesis, "--json").json
        return checked["names"], page.read_text("utf-8")

    found, text = names()
    assert found == {f"pid:{ANALYST}": "Li Xiaoyan 李晓燕"}
    for said in ("Li Xiaoyan 李晓燕", "两家医院的病历", "脓毒症队列", "EA-S-1"):
        assert said in text
    found, text = names("--without-names")
    assert (found, "李晓燕" in text, "脓毒症队列" in text) == ({}, False, True)
    # The consent is withdrawn, although the analyst is on a permit that is in force.
    with Alliance(life.home, key="officer") as alliance:
        session = alliance._session
        nodes = session.credit(object_leaf(session, "RES-2")).calculation.nodes
        claim = next(part.leaf for node in nodes for part in node.parts if node.leaf != part.leaf)
        (payload,) = session.entry(claim).entry.record.payloads
    assert life.json("erase", payload.commit)["erased"] == [payload.commit]
    found, text = names()
    assert (found, "李晓燕" in text) == ({}, False)


def test_a_unit_has_no_name_to_give(life: Chain) -> None:
    words = ("contribution", "claim", "SEPSIS@1", "--role", "data-curation", "--party", "h1/icu")
    assert life(*words, "--name", "Li").code == 10


def test_a_spoilt_file_is_refused_at_its_step(certified: Chain, tmp_path: Path) -> None:
    file, genesis = tmp_path / "c.json", certified.home / "genesis"
    good = (certified.home / "good.json").read_bytes()
    spoilt = (
        (22, good[:-1]),
        (22, b'{"a":1}'),
        (26, good.replace(b'"kappa":[2,5]', b'"kappa":[1,5]')),
    )
    for code, data in spoilt:
        file.write_bytes(data)
        checked = call("certificate", "verify", file, "--genesis", genesis)
        assert checked.code == code, checked.err
        assert call("certificate", "print", file, "--genesis", genesis, "--out", file).code != 0
    assert call("certificate", "verify", file, "--genesis", file).code == 21
    file.write_bytes(good)
    wrong = tmp_path / "page.doc"
    assert call("certificate", "print", file, "--genesis", genesis, "--out", wrong).code == 10
    away = tmp_path / "no" / "page.pdf"
    assert call("certificate", "print", file, "--genesis", genesis, "--out", away).code == 18


def test_a_dispute_shows_on_a_certificate_and_holds_shares(
    certified: Chain, tmp_path: Path
) -> None:
    life = certified
    life.json("dispute", "open", "DIS-4", "RES-2", "--code", "credit")
    held = life.json("credit", "RES-2")["calculation"]["shares"]["rows"]
    assert all(row["held"] for row in held if row["party"] == f"pid:{ANALYST}")
    assert "held" in life("credit", "RES-2").out
    file = tmp_path / "c.json"
    life.json("certificate", "export", "CERT-2", "--out", file)
    checked = call("certificate", "verify", file, "--genesis", life.home / "genesis", "--json").json
    assert checked["disputed"] == ["DIS-4"]
    ruled = life("dispute", "rule", "DIS-4", "rejected", "--resolution", "R-1")
    assert (ruled.code, "W54" in ruled.err) == (12, True)


def test_a_result_is_traced_and_obligations_are_listed(certified: Chain) -> None:
    found = certified.json("trace", "RES-2")
    kinds = {row["kind"] for row in found["rows"]}
    assert {"result", "compute-run", "access-decision", "dataset-version", "study"} <= kinds
    assert found["missing"] == []
    words = ("trace", "SEPSIS@1", "--cause", "dataset-withdrawn")
    onward = {row["kind"]: row.get("action") for row in certified.json(*words)["rows"]}
    assert onward["certificate"] == "review-certificate"
    assert "由委员会复核" in certified(*words, "--lang", "zh").out
    assert certified("trace", "RES-2", "--cause", "boredom").code == 10
    assert certified.json("obligations", "P-1")["obligations"] == []
    assert "owes nothing" in certified("obligations", "P-1").out
    assert certified("obligations", "P-9").code == 14


def test_what_datacite_asks_for_has_the_title_of_the_vault(life: Chain, tmp_path: Path) -> None:
    """The node's answer has none: the chain holds a commitment to it alone."""
    made = make_result(life, "RES-T", "--title", "脓毒症病死率表")
    words = ("report", "provenance", "RES-T", "--format", "datacite")
    document = json.loads(life(*words, "--proofs", tmp_path / "proofs").out)
    assert document["titles"] == [{"title": "脓毒症病死率表"}]
    (receipt,) = (tmp_path / "proofs" / "receipts").glob("*.json")
    audited = call("audit", "receipt", receipt, "--genesis", life.home / "genesis", "--json")
    assert (audited.code, made["leaf"] in audited.out) == (0, True)
    assert life("report", "provenance", "S-1", "--format", "datacite").code == 14


@pytest.mark.parametrize(
    "refusal",
    [
        ErasedError("T4", commit="c", record="r"),
        ForbiddenError("P1", role="system", route="GET"),
        NotFoundError("O6", what="entry", name="c"),
    ],
)
def test_a_title_that_the_vault_does_not_give_stays_unavailable(refusal: AllianceError) -> None:
    known = {"alternateIdentifier": "leaf", "alternateIdentifierType": LEAF}
    given = {"alternateIdentifiers": [known], "titles": [{"title": ":unav"}]}
    record = SimpleNamespace(payloads=(SimpleNamespace(schema="result/title", commit="c"),))

    class Shut:
        """A session whose node holds the record, and gives nothing of the vault."""

        client = SimpleNamespace(export=lambda _form, _name: given)

        def entry(self, _leaf: str) -> Any:  # noqa: ANN401
            return SimpleNamespace(entry=SimpleNamespace(record=record))

        def payload(self, _commit: str) -> Any:  # noqa: ANN401
            raise refusal

    shut: Any = Shut()
    assert fetch_document(shut, "datacite", "R")["titles"] == [{"title": ":unav"}]


def test_a_finding_is_resolved(life: Chain) -> None:
    used = life.json("access", "record", "--dataset", "SEPSIS@1", "--activity", "READ")
    refused = life("finding", "resolve", used["leaf"], "NO_PERMIT", "justified")
    assert (refused.code, "W57" in refused.err) == (12, True)


@pytest.mark.parametrize(
    "words",
    [
        ("credit", "NONE"),
        ("certificate", "export", "NONE"),
        ("contribution", "confirm", "NONE"),
        ("egress", "review", "NONE", "--checklist", "README.md"),
        ("dispute", "rule", "NONE", "upheld"),
    ],
)
def test_what_is_not_there_is_not_found(life: Chain, words: tuple[str, ...]) -> None:
    assert life(*words).code in (14, 18)


@pytest.mark.parametrize(
    "words",
    [
        ("contribution", "claim", "SEPSIS@1", "--role", "boss"),
        ("certificate", "issue", "X", "--notice", "N-CERT-2", "--kind", "paper", "--right", "use",
         "--until", "2030-01-01"),
        ("dispute", "rule", "DIS-4", "upheld", "--order", "revoke"),
        ("egress", "review", "E-1", "--checklist", "README.md", "--vote", "approve"),
    ],
)  # fmt: skip
def test_wrong_words_are_told(life: Chain, words: tuple[str, ...]) -> None:
    assert life(*words).code == 10
