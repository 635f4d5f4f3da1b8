"""What every command has in common with every other: it speaks both languages, in its help and of
words that it does not know, and `--lang` may stand before its name or after it.
"""

import re
from collections.abc import Iterable
from typing import Any, Final

import typer
from typer._click.exceptions import (
    BadOptionUsage,
    BadParameter,
    MissingParameter,
    NoArgsIsHelpError,
    NoSuchOption,
)
from typer._click.exceptions import UsageError as ClickError
from typer.core import TyperCommand, TyperGroup, TyperOption

from cli.options import Lang
from cli.screen import EXIT_INTERRUPTED, UsageError, language, say
from ledger.rulebook.near import listed, near

EXTRA: Final = re.compile(r"Got unexpected extra argument\(s\) \((.*)\)", re.S)
"""The one mistake for which click has neither a class nor a place to be asked."""


class Spoken:
    """What commands and groups have in common: their help is in the language of this run."""

    def format_usage(self: Any, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Write the line of how it is called."""
        words = " ".join(self.collect_usage_pieces(ctx))
        formatter.write_usage(ctx.command_path, words, prefix=say("usage"))

    def format_help(self: Any, ctx: Any, formatter: Any) -> None:  # noqa: ANN401
        """Print the help."""
        if language() != "zh":
            super().format_help(ctx, formatter)  # type: ignore[misc]
            return
        # Nothing else needs its texts: they are not loaded at every start.
        from cli.help import speaking_chinese

        with speaking_chinese(self, ctx):
            super().format_help(ctx, formatter)  # type: ignore[misc]

    def parse_args(self: Any, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """Read the words; what click finds wrong knows in which command."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except ClickError as error:
            error.ctx = error.ctx or ctx
            raise


class Command(Spoken, TyperCommand):
    """A command that does something."""


class Group(Spoken, TyperGroup):
    """A group of commands."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401
        """The command of this name. Raises `UsageError` (X10.unknown, X10.near)."""
        if args[0] not in self.commands:
            raise unknown(ctx.command_path, args[0], near(args[0], self.commands))
        return super().resolve_command(ctx, args)


class Root(Group):
    """`alliance` itself: what click finds wrong leaves as every other error does."""

    def make_context(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        """Read the words before the command. Raises `UsageError` (X10)."""
        try:
            return super().make_context(*args, **options)
        except ClickError as error:
            raise in_house_form(error) from None

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401
        """Read the rest and run the command. Raises `UsageError` (X10)."""
        try:
            return super().invoke(ctx)
        except ClickError as error:
            raise in_house_form(error) from None
        except (typer.Abort, EOFError, KeyboardInterrupt):
            typer.echo(say("interrupted"), err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None


def in_house_form(error: ClickError) -> Exception:
    """The rule of ours that stands for what click says; help stays what it is."""
    context: Any = error.ctx
    command = "alliance" if context is None else context.command_path
    if isinstance(error, NoArgsIsHelpError):
        return error
    if isinstance(error, NoSuchOption):
        return unknown(command, error.option_name, error.possibilities or ())
    if isinstance(error, BadParameter):
        return _bad_value(command, error)
    if isinstance(error, BadOptionUsage):
        flags = [
            p
            for p in context.command.params
            if error.option_name in p.opts and getattr(p, "is_flag", False)
        ]
        word = error.option_name
        return UsageError("X10.flag" if flags else "X10.alone", command=command, word=word)
    extra = EXTRA.match(error.message)
    if extra is not None:
        return UsageError("X10.extra", command=command, word=extra[1])
    if isinstance(context.command, TyperGroup):
        # Options alone, and no command after them.
        return NoArgsIsHelpError(context)
    return UsageError("X10.words", command=command)


def unknown(command: str, word: str, known: Iterable[str]) -> UsageError:
    """A command or an option that is not there; with those that are spelled nearly so."""
    found = listed(known)
    if not found:
        return UsageError("X10.unknown", command=command, word=word)
    return UsageError("X10.near", command=command, word=word, near=found)


def _bad_value(command: str, error: BadParameter) -> UsageError:
    param: Any = error.param
    word = param.opts[0] if isinstance(param, TyperOption) else param.display_name_raw
    if isinstance(error, MissingParameter):
        return UsageError("X10.missing", command=command, word=word)
    kind = param.type_descriptor
    if kind.is_choice:
        choices = ", ".join(str(choice) for choice in kind.choices)
        return UsageError("X10.choice", command=command, word=word, choices=choices)
    if kind.is_ranged:
        bounds = param._get_number_range_help_str()
        return UsageError("X10.range", command=command, word=word, range=bounds)
    is_number = kind.annotation is int
    return UsageError("X10.number" if is_number else "X10.value", command=command, word=word)


def _spoken(lang: Lang = None) -> None:
    """What stands before the name of a command."""


def in_both_languages(app: typer.Typer) -> None:
    """Give the commands below this one their help in both languages, and the groups `--lang`."""
    app.callback()(_spoken)
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        inner = group.typer_instance
        if inner is not None:
            if not isinstance(inner.info.cls, type):
                inner.info.cls = Group
            in_both_languages(inner)
