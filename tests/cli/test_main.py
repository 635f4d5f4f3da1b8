"""How every command ends: an exit code, a sentence in the reader's language, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cli.screen import EXIT_CODES, exit_code, finding_text, language, local_time, set_language
from ledger import errors
from ledger.errors import AllianceError
from node.client import RemoteError, UnreachableError
from tests.cli.conftest import call


def kinds(kind: type[AllianceError]) -> list[type[AllianceError]]:
    return [kind, *(deeper for child in kind.__subclasses__() for deeper in kinds(child))]


def test_every_error_has_an_exit_code() -> None:
    own = [
        kind
        for kind in kinds(AllianceError)
        if kind.__module__ in ("ledger.errors", "node.client", "cli.screen")
    ]
    assert errors.BusyError in own
    for kind in own:
        if kind not in (AllianceError, RemoteError):
            assert kind.code in EXIT_CODES, kind
    assert exit_code(UnreachableError("O7", url="u")) == 19
    assert exit_code(RemoteError("O9")) == 1
    assert sorted(set(EXIT_CODES.values())) == [2, *range(10, 21)]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LC_ALL": "en_US", "LANG": "zh_CN"}, "en"),
        ({"ALLIANCE_LANG": "zh", "LC_ALL": "en_US"}, "zh"),
    ],
)
def test_the_environment_chooses_the_language(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    set_language(None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_unreachable_node(tmp_path: Path) -> None:
    call("init", "--org", "h1", "--port", "1", "--home", tmp_path)
    for lang, words in (("en", "cannot be reached"), ("zh", "无法连接")):
        result = call("findings", "--home", tmp_path, "--lang", lang)
        assert (result.code, result.out) == (19, "")
        assert words in result.err


def test_errors_as_json_are_in_both_languages(tmp_path: Path) -> None:
    result = call("keys", "show", "x", "--home", tmp_path, "--json")
    problem = msgspec.json.decode(result.err)
    assert (result.code, problem["rule"], problem["code"]) == (14, "X1.key", "not-found")
    assert problem["detail"]
    assert problem["detail_zh"]
    assert problem["next"]
    assert problem["next_zh"]


@pytest.mark.parametrize(
    "words", [("nonsense",), ("keys", "nonsense"), ("findings", "--nonsense"), ("--lang",)]
)
def test_wrong_usage_is_2(words: tuple[str, ...]) -> None:
    assert call(*words).code == 2


def test_other_languages_are_wrong_usage() -> None:
    result = call("keys", "list", "--lang", "fr")
    assert result.code == 2
    assert "X10.choice" in result.err


def test_no_home_is_said(tmp_path: Path) -> None:
    result = call("policy", "second", "--home", tmp_path / "none")
    assert (result.code, "O1.file" in result.err) == (18, True)
    result = call("findings", "--home", tmp_path)
    assert (result.code, "X1.key" in result.err) == (14, True)


def run_python(code: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


MISTAKE = """
import sys, cli.main
def broken(*_a, **_k): raise ZeroDivisionError
cli.main.main = broken
cli.main.run([])
"""


def test_a_mistake_of_ours_shows_no_traceback() -> None:
    quiet = run_python(MISTAKE, ALLIANCE_LANG="zh")
    assert quiet.returncode == 1
    assert "X9" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    assert "内部出错" in quiet.stderr
    loud = run_python(MISTAKE, ALLIANCE_DEBUG="1")
    assert "Traceback" in loud.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "cli", "--help"], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"alliance" in done.stdout


def test_times_on_screen_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert local_time(1_522_000_002_801) == "2018-03-26 01:46:42.801 +0800"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_findings_speak_both_languages() -> None:
    set_language("zh")
    assert finding_text("NO_PERMIT") == "未注明许可"
    set_language("en")
    assert finding_text("NO_PERMIT") == "no permit was named"
    assert finding_text("LATER_CODE") == "LATER_CODE"
    set_language(None)
