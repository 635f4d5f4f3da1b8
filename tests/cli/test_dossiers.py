"""`alliance dossier`: from a node to somebody who has the file and the pin."""

import io
import re
import textwrap
import zipfile
from contextlib import chdir, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import cli.collecting
from cli.dossier_texts import explain
from cli.session import Session
from ledger.archive import pack, unpack
from ledger.dossier import MANIFEST
from tests.cli.conftest import Chain, call

EXPLAINED = "fb0e64fabd74151f46e6295e9d4423a474e3347af50ba7c5b24d961f1de3a22a"
"""SHA-256 of the explanations of `alliance-dossier/1`: other words are another format, which older
dossiers do not have.
"""


READING = ("access", "record", "--dataset", "GTEx", "--activity", "LOOK")


@pytest.fixture(scope="module")
def data(chain: Chain) -> Path:
    """A dossier of a series with an access, and its folder."""
    chain.json("dataset", "register", "GTEx", "--openness", "conditional")
    chain.json(*READING)
    return written(chain, "GTEx")


def written(chain: Chain, name: str) -> Path:
    out = chain.home.parent / f"{name.replace(':', '-')}.zip"
    result = chain.json("dossier", "export", name, "--out", out)
    assert result["bytes"] == out.stat().st_size
    return out


def pin_of(chain: Chain) -> str:
    return str(chain.json("dossier", "export", "GTEx", "--out", chain.home / "p.zip")["pin"])


def test_a_dossier_goes_from_a_node_to_whoever_has_the_pin(chain: Chain, data: Path) -> None:
    pin = pin_of(chain)
    said = call("dossier", "verify", data, "--pin", pin, "--json").json
    assert (said["verdict"], said["subject"], said["pin"]) == ("valid", "dataset:GTEx", pin)
    kinds = {one["type"] for one in said["records"] if one["about"]}
    assert {"dataset", "access"} <= kinds
    assert len(said["not_proven"]) == 7
    genesis = chain.home / "genesis"
    in_chinese = call("dossier", "verify", data, "--genesis", genesis, "--lang", "zh")
    assert in_chinese.code == 0
    assert "有效：内容未被更改" in in_chinese.out
    assert "VALID: nothing" in call("dossier", "verify", data, "--genesis", genesis).out
    by_subject = written(chain, "dataset:GTEx")
    assert by_subject.read_bytes() == data.read_bytes()


def test_the_chain_is_trusted_by_another_way(chain: Chain, data: Path) -> None:
    assert call("dossier", "verify", data).code == 2
    assert "V43" in call("dossier", "verify", data).err
    wrong = call("dossier", "verify", data, "--pin", "x" * 43)
    assert (wrong.code, "V12" in wrong.err, "INVALID" in wrong.err) == (22, True, True)
    both = call("dossier", "verify", data, "--genesis", chain.home / "genesis", "--pin", "x")
    assert (both.code, "V12" in both.err) == (15, True)


def test_what_was_changed_is_named_with_its_step(chain: Chain, data: Path, tmp_path: Path) -> None:
    files = unpack(data.read_bytes())
    forged = files["README.txt"].replace(b"What it does not prove", b"What it proves as well")
    assert forged != files["README.txt"]
    changed = {**files, "README.txt": forged}
    lines = (
        changed[MANIFEST]
        .decode()
        .replace(sha256(files["README.txt"]).hexdigest(), sha256(forged).hexdigest())
    )
    bad = tmp_path / "bad.zip"
    bad.write_bytes(pack({**changed, MANIFEST: lines.encode()}))
    genesis = chain.home / "genesis"
    found = call("dossier", "verify", bad, "--genesis", genesis, "--json")
    assert (found.code, "V38" in found.err, found.out) == (25, True, "")
    assert call("dossier", "verify", bad, "--genesis", genesis, "--lang", "zh").err.startswith(
        "无效"
    )
    bad.write_bytes(b"PK")
    assert call("dossier", "verify", bad, "--genesis", genesis).code == 21
    missing = call("dossier", "verify", tmp_path / "none.zip", "--genesis", genesis)
    assert (missing.code, "V10" in missing.err) == (14, True)


def test_what_is_not_there_leaves_no_file(chain: Chain, data: Path, tmp_path: Path) -> None:
    for name in ("NOPE", "dataset:NOPE"):
        out = tmp_path / "none.zip"
        assert chain("dossier", "export", name, "--out", out).code == 14
        assert list(tmp_path.iterdir()) == []
    assert chain("dossier", "export", "GTEx", "--out", data / "x" / "y.zip").code == 18


def test_a_chain_that_grows_meanwhile_is_asked_again(
    chain: Chain, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, receipt = [], Session.receipt

    def busy(session: Session, name: str) -> Any:  # noqa: ANN401
        """The node takes a record between two of the first three answers."""
        asked.append(name)
        if len(asked) <= 3:
            with monkeypatch.context() as calm:
                calm.setattr(Session, "receipt", receipt)
                chain.json(*READING)
        return receipt(session, name)

    monkeypatch.setattr(Session, "receipt", busy)
    before = len(unpack(data.read_bytes()))
    assert len(unpack(written(chain, "GTEx").read_bytes())) > before
    asked.clear()
    monkeypatch.setattr(cli.collecting, "ATTEMPTS", 2)
    gave_up = chain("dossier", "export", "GTEx", "--out", data.with_name("late.zip"))
    assert (gave_up.code, "V42" in gave_up.err) == (16, True)
    assert not data.with_name("late.zip").exists()


def test_a_subject_with_too_many_records_is_refused(
    chain: Chain, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = data.with_name("large.zip")
    version = chain.json("dossier", "export", "GTEx", "--out", out)
    out.unlink()
    for most in (1, version["records"] - 1):
        monkeypatch.setattr(cli.collecting, "MAX_RECORDS", most)
        refused = chain("dossier", "export", "GTEx", "--out", out)
        assert (refused.code, "V41" in refused.err, out.exists()) == (10, True, False)


def test_the_program_in_the_instructions_proves_every_record(data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(data) as archive:
        archive.extractall(tmp_path)
    text = (tmp_path / "README.txt").read_text()
    found = re.search(r"^ +import base64.*?^ +print\(.*?\n", text, re.S | re.M)
    assert found
    names = sorted(path.stem for path in tmp_path.glob("records/*.cose"))
    assert names
    for name in names:
        program = textwrap.dedent(found.group()).replace("records/N", f"records/{name}")
        out = io.StringIO()
        with chdir(tmp_path), redirect_stdout(out):
            exec(program, {})  # noqa: S102  # it is our own, and what a reader would run
        assert out.getvalue() == "True\n", name


def test_the_explanations_are_part_of_the_format() -> None:
    names = ("about", "count", "height", "origin", "pin", "root", "size", "subject", "time")
    files = explain({name: f"<{name}>" for name in names})
    assert sorted(files) == ["README.txt", "README.zh-CN.txt"]
    assert sha256(b"".join(files[name] for name in sorted(files))).hexdigest() == EXPLAINED
