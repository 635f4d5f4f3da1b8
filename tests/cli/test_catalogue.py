"""Fingerprints, versions, and reading a file on the record."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from cli import fingerprints
from cli.fingerprints import fingerprint, manifest_digest
from ledger.encoding import b64url
from tests.cli.conftest import Chain, call


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("b.csv", "a.csv", "empty")]
    for path, data in zip(paths, (b"bed,day\n1,2\n" * 999, b"\x00" * (3 << 20), b""), strict=True):
        path.write_bytes(data)
    return paths


def test_fingerprints_are_those_of_sha256sum(files: list[Path]) -> None:
    shown = call("dataset", "fingerprint", *files, "--json").json
    for item, path in zip(shown["files"], files, strict=True):
        assert item["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert item["size"] == path.stat().st_size
    names = sorted(path.name for path in files)
    done = subprocess.run(
        ["sha256sum", *names], cwd=files[0].parent, capture_output=True, check=True
    )
    assert shown["content_digest"] == b64url(hashlib.sha256(done.stdout).digest())
    assert shown["digest_scope"] == "manifest"
    assert "manifest" in call("dataset", "fingerprint", *files).out


def test_the_order_of_files_does_not_matter(files: list[Path]) -> None:
    prints = [fingerprint(path) for path in files]
    assert manifest_digest(prints) == manifest_digest(prints[::-1])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = call("dataset", "fingerprint", tmp_path / "absent", "--lang", "zh")
    assert result.code == 18
    assert "absent" in result.err


def test_a_version_is_bound_to_its_files_and_read(
    chain: Chain, files: list[Path], tmp_path: Path
) -> None:
    chain.json("dataset", "register", "BEDS", "--openness", "closed")
    words = ("--term", "DUO:0000042", "--term", "DUO:0000007=MONDO:1,MONDO:2", "--level", "2")
    made = chain.json("version", "register", "BEDS", "v1", files[0], *words,
                      "--coverage", "2025-01-01=2025-12-31")  # fmt: skip
    assert made["decision"] == "EFFECTIVE"
    out = tmp_path / "out"
    read = ("access", "read", "--dataset", "BEDS@v1", "--person", "ext:hr:1", "--system", "desk")
    done = chain.json(*read, files[0], "--out", out)
    assert out.read_bytes() == files[0].read_bytes()
    assert done["findings"] == ["NO_PERMIT"]
    plain = chain(*read, files[0])
    assert plain.data == files[0].read_bytes()
    rows = chain.json("accesses", "--dataset", "BEDS@v1")["rows"]
    assert [row["seq"] for row in rows] == [1, 2]
    assert {row["outcome"] for row in rows} == {"ok"}


def test_another_content_is_not_read_as_the_version(
    chain: Chain, files: list[Path], tmp_path: Path
) -> None:
    chain.json("dataset", "register", "LABS", "--openness", "closed")
    chain.json("version", "register", "LABS", "v1", files[0])
    out = tmp_path / "out"
    words = ("access", "read", files[1], "--dataset", "LABS@v1", "--out", out)
    refused = chain(*words)
    assert refused.code == 13
    assert "X5.content" in refused.err
    assert not out.exists()
    assert chain.json("accesses", "--dataset", "LABS@v1")["rows"] == []


def test_a_read_that_fails_is_recorded_too(chain: Chain, tmp_path: Path) -> None:
    words = ("access", "read", tmp_path / "absent", "--dataset", "GONE", "--out", tmp_path / "o")
    assert chain(*words).code == 18
    rows = chain.json("accesses", "--dataset", "GONE")["rows"]
    assert [row["outcome"] for row in rows] == ["error"]


def test_content_and_json_do_not_mix(chain: Chain, files: list[Path]) -> None:
    result = chain("access", "read", files[0], "--dataset", "X", "--json")
    assert result.code == 10
    assert chain.json("accesses", "--dataset", "X")["rows"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("--level", "4"),
        ("--identifiability", "identified"),
    ],
)
def test_sensitive_versions_need_a_resolution(
    chain: Chain, files: list[Path], words: tuple[str, ...]
) -> None:
    chain("dataset", "register", "ICU", "--openness", "closed")
    result = chain("version", "register", "ICU", "v1", files[0], *words)
    assert result.code == 12
    assert "G6" in result.err


def test_an_interrupted_fingerprint_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, notes = tmp_path / "data", tmp_path / "notes"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_text(name)
    whole = call("dataset", "fingerprint", folder, "--json").json["content_digest"]
    read: list[str] = []
    plain = fingerprints.fingerprint

    def counting(path: Path, name: str | None = None) -> fingerprints.Fingerprint:
        if path.name == "c" and not read.count("c"):
            read.append("c")
            raise KeyboardInterrupt
        read.append(path.name)
        return plain(path, name)

    monkeypatch.setattr(fingerprints, "fingerprint", counting)
    words = ("dataset", "fingerprint", folder, "--resume", notes, "--json")
    assert call(*words).code != 0
    with notes.open("ab") as file:
        file.write(b'["cut sho')  # As an interruption leaves it.
    assert call(*words).json["content_digest"] == whole
    assert read == ["a", "b", "c", "c"]
    # What was changed is read again.
    (folder / "a").write_text("another")
    assert call(*words).json["content_digest"] != whole
    assert read[4:] == ["a"]
