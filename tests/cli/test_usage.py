"""Help in Chinese, `--lang` wherever it stands, and what is said of words that nobody knows."""

import re
from pathlib import Path

import msgspec
import pytest
import typer
from rich.cells import cell_len

from cli.help import Sentence
from cli.help_zh import HELP_ZH
from cli.screen import set_language
from tests.cli.conftest import call
from tests.tidy.test_chinese import CHINESE, every_command

# --- help ---


GLOSS = re.compile(r"\([\u4e00-\u9fff]+\)")
"""A term of the house, in Chinese beside its English."""


@pytest.fixture
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def help_of(command: object, capsys: pytest.CaptureFixture[str]) -> str:
    context = typer.Context(command, info_name=command.name)  # type: ignore[attr-defined,arg-type]
    context.get_help()
    return capsys.readouterr().out


@pytest.mark.usefixtures("_narrow")
def test_every_help_in_chinese_is_chinese_and_fits(capsys: pytest.CaptureFixture[str]) -> None:
    set_language("zh")
    english = re.compile(r"Usage:|Options|Arguments|Commands|OPTIONS|\[default|\[required|<str>")
    for command in every_command():
        shown = help_of(command, capsys)
        assert CHINESE.search(shown), command.name
        assert english.findall(shown) == [], shown
        assert max(map(cell_len, shown.splitlines())) <= 80, shown


@pytest.mark.usefixtures("_narrow")
def test_help_in_english_is_that_of_typer(capsys: pytest.CaptureFixture[str]) -> None:
    """Also after the frame was Chinese for a while."""
    set_language("zh")
    for command in every_command()[:3]:
        help_of(command, capsys)
    set_language("en")
    for command in every_command()[::8]:
        shown = help_of(command, capsys)
        assert shown.lstrip().startswith("Usage: ")
        assert not CHINESE.search(GLOSS.sub("", shown)), shown
        assert "─ Options ─" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--lang", "zh", "node", "--help"),
        ("--lang=zh", "node", "--help"),
        ("node", "--lang", "zh", "--help"),
        ("node", "--help", "--lang", "zh"),
        ("node", "status", "--help", "--lang", "zh"),
        ("--lang", "zh", "audit", "--help"),
        ("audit", "--lang", "zh", "receipt", "--help"),
        ("audit", "--lang=zh", "--help"),
    ],
)
def test_lang_may_stand_anywhere(words: tuple[str, ...]) -> None:
    shown = call(*words)
    assert shown.code == 0
    assert "用法：alliance" in shown.out
    assert "Usage" not in shown.out


@pytest.mark.parametrize("words", [(), ("keys",)])
def test_a_group_alone_shows_its_help(words: tuple[str, ...]) -> None:
    for options, usage in (((), "Usage: "), (("--lang", "zh"), "用法：")):
        shown = call(*words, *options)
        assert (shown.code, shown.err) == (2, "")
        assert usage in shown.out


def test_the_environment_chooses_the_language_of_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLIANCE_LANG", "zh")
    assert HELP_ZH["Key files on this machine."] in call("keys", "--help").out
    assert "Key files on this machine." in call("--lang", "en", "keys", "--help").out


def test_words_of_somebody_elses_command_choose_nothing() -> None:
    shown = call("run", "wrap", "--nonsense", "--", "tool", "--lang", "zh", "--json")
    assert shown.err.startswith("Error X10.")


def test_the_language_before_a_command_holds_in_it(tmp_path: Path) -> None:
    said = call("--lang", "zh", "audit", tmp_path / "none")
    assert (said.code, "错误 V24" in said.err) == (14, True)
    said = call("--lang", "zh", "keys", "list", "--home", tmp_path)
    assert said.out == "此处没有密钥。\n"
    said = call("--lang", "zh", "keys", "list", "--home", tmp_path, "--lang", "en")
    assert said.out == "There are no keys here.\n"
    assert call("keys", "list", "--home", tmp_path).out == "There are no keys here.\n"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("一二三四五六七八", ["一二三四五", "六七八"]),
        ("一二三四五，六七", ["一二三四", "五，六七"]),
        ("一二三（四五）六", ["一二三（四", "五）六"]),
        ("由 alliance 生成", ["由", "alliance", "生成"]),
        ("abcdefghijklmn", ["abcdefghij", "klmn"]),
        ("一\n二", ["一", "二"]),
    ],
)
def test_lines_break_where_a_printer_would(text: str, lines: list[str]) -> None:
    assert [line.plain for line in Sentence(text).wrap(None, 10)] == lines


# --- wrong words ---


WRONG = [
    (("findings", "--exlpain"), "X10.near", "--exlpain", "--explain"),
    (("findings", "--nonsense=3"), "X10.near", "--nonsense", "--"),
    (("fndings",), "X10.near", "fndings", "findings"),
    (("keys", "lst"), "X10.near", "lst", "list"),
    (("keys", "0000"), "X10.unknown", "0000", "alliance keys --help"),
    (("keys", "list", "-0"), "X10.unknown", "-0", "alliance keys list --help"),
    (("keys", "show"), "X10.missing", "name", "alliance keys show --help"),
    (("audit", "receipt", "x"), "X10.missing", "--genesis", "alliance audit receipt --help"),
    (("keys", "list", "a", "b"), "X10.extra", "a b", "alliance keys list --help"),
    (("keys", "list", "--home"), "X10.alone", "--home", "alliance keys list --help"),
    (("--lang",), "X10.alone", "--lang", "alliance --help"),
    (("keys", "list", "--json=3"), "X10.flag", "--json", "="),
    (("keys", "list", "--lang", "fr"), "X10.choice", "en, zh", "alliance keys list --help"),
    (("--lang", "fr", "keys"), "X10.choice", "en, zh", "alliance --help"),
    (("node", "run", "--log-format", "x"), "X10.choice", "text, json", "alliance node run"),
    (("policy", "p", "--min-reviewers", "two"), "X10.number", "--min-reviewers", "--help"),
    (("policy", "p", "--backfill-days", "-1"), "X10.range", "x>=0", "alliance policy --help"),
    (("init", "--org", "h1", "--port", "x"), "X10.range", "1<=x<=65535", "alliance init --help"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_wrong_words_are_said_in_the_language_of_the_run(case: int) -> None:
    words, rule, what, then = WRONG[case]
    lang, says, steps = (("en", "Error", "What to do: "), ("zh", "错误", "处理办法："))[case % 2]
    done = call("--lang", lang, *words)
    first, second = done.err.splitlines()
    assert (done.code, done.out) == (2, "")
    assert first.startswith(f"{says} {rule}")
    assert second.startswith(steps)
    assert what in first
    assert then in second


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (("findings", "--json", "--exlpain"), "X10.near"),
        (("keys", "lst", "--json"), "X10.near"),
        (("keys", "show", "--json", "--lang", "zh"), "X10.missing"),
        (("keys", "list", "--json", "--lang", "fr"), "X10.choice"),
    ],
)
def test_wrong_words_as_json_have_the_shape_of_every_error(
    words: tuple[str, ...], rule: str
) -> None:
    done = call(*words)
    problem = msgspec.json.decode(done.err)
    assert (done.code, done.out) == (2, "")
    assert set(problem) == {"code", "rule", "detail", "detail_zh", "next", "next_zh"}
    assert (problem["code"], problem["rule"]) == ("usage", rule)
    assert CHINESE.search(problem["detail_zh"] + problem["next_zh"])


def test_what_people_type_cannot_command_their_terminal() -> None:
    done = call("keys", "\x1b[2J")
    assert (done.code, "\x1b" in done.err) == (2, False)
