"""Every help text has its Chinese, and no Chinese stands there without its English."""

import re
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

import cli.main
from cli.code_texts import CODES_ZH
from cli.drill import DAMAGES
from cli.help_zh import HELP_ZH
from cli.screen import code_text, set_language
from cli.usage import Command, Group
from ledger.records.authorisation import ReviewBody
from ledger.records.governance import Kind
from ledger.rules import machines
from ledger.rules.values import DecisionState
from node.forms import NodeStatus

CHINESE = re.compile(r"[\u4e00-\u9fff]")
CODE = re.compile(r"`[^`]*`|(?<![\w-])--[a-z-]+|\b[A-Z][A-Z_@=/:.-]*[A-Z]\b")
"""What a reader types: code, options, and words in capitals for what to put in their place."""
ABBREVIATIONS = ("QR",)
"""Capitals that are a word in Chinese."""


def below(command: Any) -> Iterator[Any]:  # noqa: ANN401
    """This command and all that it holds."""
    yield command
    for one in getattr(command, "commands", {}).values():
        yield from below(one)


def every_command() -> list[Any]:
    return list(below(get_command(cli.main.app)))


def said() -> set[str]:
    """Every text of every `--help`, as one line."""
    texts = set()
    for command in every_command():
        context = typer.Context(command, info_name=command.name)
        for one in (command, *command.get_params(context)):
            # Texts that help would show and the table does not know of.
            assert not getattr(one, "rich_help_panel", None), one.name
            assert not getattr(one, "short_help", None), one.name
            assert not getattr(one, "epilog", None), one.name
            texts.add(" ".join((one.help or "").split()))
    return texts - {""}


def test_every_command_and_option_says_what_it_is() -> None:
    silent = [
        (command.name, one.name)
        for command in every_command()
        for one in (command, *command.get_params(typer.Context(command, info_name=command.name)))
        if not one.help
    ]
    assert silent == []


def test_every_help_text_has_its_chinese() -> None:
    assert sorted(said() - set(HELP_ZH)) == [], "add these to cli/help_zh.py"


def test_every_chinese_text_has_its_english() -> None:
    assert sorted(set(HELP_ZH) - said()) == [], "nobody says these any more: cli/help_zh.py"


def test_the_chinese_is_chinese() -> None:
    assert [text for text in HELP_ZH.values() if not CHINESE.search(text)] == []


@pytest.mark.parametrize("mark", [",", ";", ":", "("])
def test_the_chinese_is_punctuated_as_chinese(mark: str) -> None:
    """Between two characters stands a mark of theirs."""
    wrong = re.compile(f"[\u4e00-\u9fff]{re.escape(mark)}|{re.escape(mark)} ?[\u4e00-\u9fff]")
    assert [text for text in HELP_ZH.values() if wrong.search(CODE.sub("", text))] == []


def test_what_is_typed_is_the_same_in_both() -> None:
    lost = {
        (english, word)
        for english, chinese in HELP_ZH.items()
        for word in CODE.findall(english)
        if word not in chinese and word not in ABBREVIATIONS
    }
    assert lost == set()


def test_every_command_speaks_both_languages() -> None:
    """A group or a command of another class would show its help in English."""
    assert [c.name for c in every_command() if not isinstance(c, Command | Group)] == []


@pytest.mark.parametrize(
    "codes",
    [
        typing.get_args(Kind),
        DAMAGES,
        typing.get_args(NodeStatus),
        typing.get_args(typing.get_type_hints(DecisionState)["status"]),
        typing.get_args(typing.get_type_hints(ReviewBody)["stage"]),
        typing.get_args(typing.get_type_hints(ReviewBody)["opinion"]),
        *(table.values() for table in (machines.REQUEST, machines.PERMIT, machines.CERTIFICATE)),
    ],
)
def test_every_code_in_a_sentence_has_its_chinese(codes: typing.Iterable[str]) -> None:
    assert set(codes) - set(CODES_ZH) == set()
    assert codes


def test_a_code_is_told_with_what_it_means() -> None:
    set_language("zh")
    assert code_text("EFFECTIVE") == "已生效（EFFECTIVE）"
    assert code_text("LATER") == "LATER"
    set_language("en")
    assert code_text("EFFECTIVE") == "EFFECTIVE"
    set_language(None)
