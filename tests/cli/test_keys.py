"""Key files: made, listed, shown, imported; safe on disk; never without a passphrase."""

import errno
import os
import stat
import subprocess
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from cli.home import MAX_FILE, load_signer, read_file, save_signer, write_new, write_over
from ledger.crypto import load_private_key, signer_from_p256_scalar, signer_from_seed, verify
from ledger.encoding import b64url
from ledger.errors import (
    AllianceError,
    ConfigError,
    ConflictError,
    SignatureError,
    TooLargeError,
)
from ledger.records.governance import KeyDescription
from ledger.rules.governance import check_possession
from tests.cli.conftest import call


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", "correct horse")
    return tmp_path / "home"


def test_a_new_key_is_encrypted_and_private(home: Path) -> None:
    made = call("keys", "new", "officer-2", "--home", home, "--json").json
    path = home / "keys" / "officer-2.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    signer = load_private_key(path.read_bytes(), b"correct horse")
    assert (made["kid"], made["alg"]) == (b64url(signer.kid), "EdDSA")
    assert made["openssh"].startswith("ssh-ed25519 AAAA")


def test_a_key_is_never_overwritten(home: Path) -> None:
    assert call("keys", "new", "a", "--home", home).code == 0
    before = (home / "keys" / "a.pem").read_bytes()
    again = call("keys", "new", "a", "--home", home)
    assert again.code == 13
    assert "X1.exists" in again.err
    assert (home / "keys" / "a.pem").read_bytes() == before


def test_a_file_without_end_is_not_read_whole(tmp_path: Path) -> None:
    """And a small one takes the room that it needs."""
    (tmp_path / "small").write_bytes(b"small")
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "small") == b"small"
        assert tracemalloc.get_traced_memory()[1] < MAX_FILE // 64
    finally:
        tracemalloc.stop()
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(TooLargeError) as error:
        read_file(tmp_path / "endless")
    facts = {"file": str(tmp_path / "endless"), "limit": MAX_FILE >> 20}
    assert (error.value.rule, error.value.facts) == ("X1.large", facts)


def test_a_new_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, too: what is half there would be taken for what somebody made."""

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(ConfigError):
            write_new(tmp_path / "new", b"data")
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "new.part").write_bytes(b"what somebody else sent")
    (tmp_path / f"new.{os.getpid()}.part").write_bytes(b"of a run that was killed, and much longer")
    write_new(tmp_path / "new", b"data")
    with pytest.raises(ConflictError):
        write_new(tmp_path / "new", b"other")
    write_over(tmp_path / "old", b"data")
    held = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert held == {"new": b"data", "new.part": b"what somebody else sent", "old": b"data"}


def test_an_error_about_a_file_says_where_it_is(tmp_path: Path, home: Path) -> None:
    assert (
        str(tmp_path / "none") in call("keys", "import", "a", tmp_path / "none", "--home", home).err
    )
    (tmp_path / "home").write_text("no folder")
    assert f"{home}/keys" in call("keys", "new", "a", "--home", home).err


@pytest.mark.parametrize("name", ["", "A", "a/b", "../a", "a" * 33, "-a", "passphrase"])
def test_names_are_plain(home: Path, name: str) -> None:
    result = call("keys", "new", "--home", home, "--", name)
    assert result.code == 18
    assert "X1.name" in result.err


@pytest.mark.parametrize("passphrase", [None, "short"])
def test_there_is_no_key_without_a_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passphrase: str | None
) -> None:
    if passphrase:
        monkeypatch.setenv("ALLIANCE_PASSPHRASE", passphrase)
    result = call("keys", "new", "a", "--home", tmp_path, "--lang", "zh")
    assert result.code == 18
    assert "X1.passphrase" in result.err
    assert "口令" in result.err
    assert not (tmp_path / "keys" / "a.pem").exists()


def test_a_passphrase_file_must_be_private(home: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file, long\n")
    secret.chmod(0o644)
    words = ("keys", "new", "a", "--home", home, "--passphrase-file", secret)
    refused = call(*words)
    assert refused.code == 18
    assert "O1.mode" in refused.err
    secret.chmod(0o600)
    assert call(*words).code == 0
    load_private_key((home / "keys" / "a.pem").read_bytes(), b"from a file, long")


def test_a_key_that_others_may_read_is_not_used(home: Path) -> None:
    call("keys", "new", "a", "--home", home)
    path = home / "keys" / "a.pem"
    path.chmod(0o640)
    with pytest.raises(AllianceError) as caught:
        load_signer(home, "a", None)
    assert caught.value.rule == "O1.mode"
    listed = call("keys", "list", "--home", home)
    assert "Warning" in listed.out
    assert call("keys", "list", "--home", home, "--json").json[0]["unsafe"] is True


def test_a_wrong_passphrase_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("keys", "new", "a", "--home", home)
    monkeypatch.setenv("ALLIANCE_PASSPHRASE", "something else")
    with pytest.raises(AllianceError) as caught:
        load_signer(home, "a", None)
    assert caught.value.rule == "C3"


def test_listing_needs_no_passphrase(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b", "a"):
        call("keys", "new", name, "--home", home)
    monkeypatch.delenv("ALLIANCE_PASSPHRASE")
    rows = call("keys", "list", "--home", home, "--json").json
    assert [row["name"] for row in rows] == ["a", "b"]
    assert call("keys", "show", "a", "--home", home, "--json").json["kid"] == rows[0]["kid"]
    assert call("keys", "list", "--home", home / "none").out == "There are no keys here.\n"


def test_a_key_that_is_not_there_is_named(home: Path) -> None:
    for language, words in (("en", "no key called x"), ("zh", "没有名为 x 的密钥")):
        result = call("keys", "show", "x", "--home", home, "--lang", language)
        assert result.code == 14
        assert words in result.err


def test_an_openssh_key_is_taken_in(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "id_ed25519"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", str(source)]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not on this machine")
    made = call("keys", "import", "mine", source, "--home", home, "--json").json
    line = source.with_suffix(".pub").read_text().split()
    assert made["openssh"].split()[:2] == line[:2]
    assert b"ENCRYPTED" in (home / "keys" / "mine.pem").read_bytes()
    assert load_signer(home, "mine", None).sign(b"m") == load_private_key(
        source.read_bytes(), None
    ).sign(b"m")


def test_an_encrypted_key_needs_its_own_passphrase(home: Path, tmp_path: Path) -> None:
    save_signer(tmp_path, "p", signer_from_p256_scalar(5), b"of the source")
    source, secret = tmp_path / "keys" / "p.pem", tmp_path / "secret"
    assert call("keys", "import", "q", source, "--home", home).code == 18
    secret.write_text("of the source")
    secret.chmod(0o600)
    words = ("keys", "import", "q", source, "--source-passphrase-file", secret)
    made = call(*words, "--home", home, "--json").json
    assert (made["alg"], made["openssh"]) == ("ES256", None)


@pytest.mark.parametrize("data", [b"", b"not a key", b"-----BEGIN PRIVATE KEY-----\nAA==\n"])
def test_other_files_are_no_keys(home: Path, tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "file"
    source.write_bytes(data)
    result = call("keys", "import", "a", source, "--home", home)
    assert result.code == 18
    assert "C2" in result.err


def test_a_description_for_the_chain(home: Path) -> None:
    signer = signer_from_seed(b"k" * 32)
    save_signer(home, "a", signer, b"correct horse")
    words = ("keys", "public", "a", "--org", "h2", "--subject", "h2-officer", "--home", home)
    missing = call(*words, "--capacity", "so")
    assert (missing.code, "O1.file" in missing.err) == (18, True)
    chain_id = bytes(range(32))
    words = (*words, "--chain", b64url(chain_id))
    described = call(*words, "--capacity", "so").json
    key = msgspec.convert(described, KeyDescription)
    check_possession(key, b64url(chain_id[:16]), verify)
    for other in (b64url(chain_id[1:17]), None):
        with pytest.raises(SignatureError):
            check_possession(key, other, verify)
    assert described["public_key"] == b64url(signer.public_key)
    assert (described["capacity"], described["org"]) == ("so", "h2")
    wrong = call(*words[:-1], b64url(chain_id[:16]), "--capacity", "so")
    assert (wrong.code, "X2" in wrong.err) == (10, True)
    refused = call(*words, "--capacity", "king")
    assert refused.code == 10
    assert "X2" in refused.err
    assert call("keys", "public", "a", "--home", home, "--json").json["alg"] == "EdDSA"
