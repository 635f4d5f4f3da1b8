"""Somebody at the terminal: passphrases are asked for; and places where nothing can be written."""

import io
import sys
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import Chain, call

ANSWER = "correct horse"


class Terminal(io.StringIO):
    """A standard input with a person behind it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the person is asked; she always gives the same passphrase."""
    questions: list[str] = []

    def prompt(text: str, **_options: object) -> str:
        questions.append(text)
        return ANSWER

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(typer, "prompt", prompt)
    return questions


def test_a_new_key_asks_for_its_passphrase(tmp_path: Path, asked: list[str]) -> None:
    assert call("keys", "new", "mine", "--home", tmp_path, "--lang", "en").code == 0
    assert [words.lower() for words in asked] == ["new passphrase", "the same again"]
    assert ANSWER.encode() not in (tmp_path / "keys" / "mine.pem").read_bytes()


def test_a_key_that_signs_asks_for_its_passphrase(
    chain: Chain, asked: list[str], tmp_path: Path
) -> None:
    """A home with the genesis and a key, and no passphrase in a file."""
    for name in ("genesis", "node.toml"):
        (tmp_path / name).write_bytes((chain.home / name).read_bytes())
    assert call("keys", "new", "mine", "--home", tmp_path).code == 0
    words = ("access", "record", "--dataset", "D", "--activity", "LOOK", "--key", "mine")
    result = call(*words, "--home", tmp_path, "--lang", "zh")
    assert (result.code, "H5" in result.err) == (20, True)
    assert len(asked) == 3
    assert "mine" in asked[2]


def test_the_public_part_comes_from_the_private_file_when_it_is_gone(
    tmp_path: Path, asked: list[str]
) -> None:
    call("keys", "new", "mine", "--home", tmp_path)
    shown = call("keys", "show", "mine", "--home", tmp_path, "--json").json
    (tmp_path / "keys" / "mine.json").unlink()
    assert call("keys", "show", "mine", "--home", tmp_path, "--json").json == shown
    assert len(asked) == 3
    (tmp_path / "keys" / "mine.json").write_text("{")
    result = call("keys", "show", "mine", "--home", tmp_path)
    assert (result.code, "X1.file" in result.err) == (18, True)


def test_a_foreign_key_asks_for_its_own_passphrase(tmp_path: Path, asked: list[str]) -> None:
    call("keys", "new", "mine", "--home", tmp_path / "a")
    file = tmp_path / "a" / "keys" / "mine.pem"
    done = call("keys", "import", "taken", file, "--home", tmp_path / "b")
    assert done.code == 0, done.err
    # For the new one twice, for the foreign one, and for the copy of it twice.
    assert len(asked) == 5


def test_a_passphrase_that_is_typed_otherwise_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter((ANSWER, "correct hoarse", ANSWER, ANSWER))
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(typer, "prompt", lambda *_words, **_options: next(answers))
    done = call("keys", "new", "mine", "--home", tmp_path, "--lang", "zh")
    assert (done.code, done.err) == (0, "两次输入不一致，均未保存。请重新输入。\n")
    assert list(answers) == []


def test_who_leaves_at_a_prompt_has_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*_words: object, **_options: object) -> str:
        raise typer.Abort

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(typer, "prompt", leave)
    done = call("--lang", "zh", "keys", "new", "mine", "--home", tmp_path)
    assert (done.code, done.out) == (130, "")
    assert done.err.startswith("已中断。")


@pytest.mark.parametrize("place", ["file", "file/home"])
def test_a_home_that_cannot_be_made_is_said(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    secret = tmp_path / "secret"
    secret.write_text(ANSWER)
    secret.chmod(0o600)
    for words in (("keys", "new", "mine"), ("init", "--org", "h1")):
        result = call(*words, "--home", tmp_path / place, "--passphrase-file", secret)
        assert result.code == 18
        assert "X1.file" in result.err
    assert (tmp_path / "file").read_bytes() == b""


def test_a_receipt_that_cannot_be_kept_is_said(chain: Chain, tmp_path: Path) -> None:
    """The record is on the chain; asking for its proof again is harmless."""
    (tmp_path / "proof").touch()
    result = chain("proof", "1", "--out", tmp_path / "proof")
    assert (result.code, "X1.file" in result.err) == (18, True)
    assert chain("proof", "1", "--out", tmp_path / "other").code == 0


@pytest.mark.parametrize(("language", "word"), [("en", "Interrupted"), ("zh", "中断")])
def test_an_interrupted_command_says_so(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, language: str, word: str
) -> None:
    def interrupt(*_words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.home.write_new", interrupt)
    result = call("keys", "new", "mine", "--home", tmp_path, "--lang", language)
    assert result.code == 130
    assert word in result.err
    assert len(asked) == 2
