"""`--help` in Chinese: typer's own frame, with the words of `cli.help_zh` in it.

That frame breaks lines at spaces, which Chinese has none of; `Sentence` breaks them anywhere but
before a comma.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.cells import cell_len, chop_cells
from rich.containers import Lines
from rich.measure import Measurement
from rich.text import Text
from typer import core, rich_utils

from cli.help_zh import FRAME_ZH, HELP_ZH, TYPES_ZH

PIECE: Final = re.compile(
    r"[（《“「]*(?:[\u2e80-\u2fff\u3040-\uffee]|[^\s\u2e80-\uffee]+)[，。；：、！？）》”」…]*\s*"
)
"""What stays on one line: a character, or a word of Latin letters, with its punctuation."""


class Sentence(Text):
    """A text in Chinese, with words of Latin letters in it."""

    def wrap(self, console: Any, width: int, **_how: Any) -> Lines:  # noqa: ANN401, ARG002
        """The lines of this text, none of which begins with a comma or a full stop."""
        lines = Lines()
        for line in self.split(allow_blank=True):
            parts = line.divide(list(_breaks(line.plain, width)))
            for part in parts:
                part.rstrip()
            lines.extend(parts)
        return lines

    def __rich_measure__(self, console: Any, options: Any) -> Measurement:  # noqa: ANN401
        """How narrow and how wide a column with this text may be."""
        pieces = PIECE.findall(self.plain)
        least = max((cell_len(piece.rstrip()) for piece in pieces), default=0)
        return Measurement(least, max(least, *map(cell_len, self.plain.split("\n"))))


def _breaks(text: str, width: int) -> Iterator[int]:
    used = 0
    for found in PIECE.finditer(text):
        piece = found[0]
        if used and used + cell_len(piece.rstrip()) > width:
            yield found.start()
            used = 0
        at = found.start()
        *full, piece = chop_cells(piece, width) if cell_len(piece.rstrip()) > width else [piece]
        for part in full:
            at += len(part)
            yield at
        used += cell_len(piece)


def in_chinese(text: str | None) -> str:
    """The Chinese for a help text; what has none stays as it is."""
    words = " ".join((text or "").split())
    return HELP_ZH.get(words, words)


@contextmanager
def speaking_chinese(command: Any, context: Any) -> Iterator[None]:  # noqa: ANN401
    """Have the help of this command printed in Chinese."""

    def sentence(*, text: str, style: str = "", markup_mode: str) -> Sentence:  # noqa: ARG001
        marked = rich_utils.highlighter(Text(text, style=style))
        return Sentence(marked.plain, style=marked.style, spans=marked.spans)

    def display_type(param: Any, ctx: Any) -> str:  # noqa: ANN401
        word: str = english(param, ctx)
        return TYPES_ZH.get(word, word)

    english = core._TyperParameter.display_type
    _translate(command, context)
    with (
        _instead(rich_utils, {**FRAME_ZH, "_make_rich_text": sentence}),
        _instead(core._TyperParameter, {"display_type": display_type}),
    ):
        yield


def _translate(command: Any, context: Any) -> None:  # noqa: ANN401
    command.options_metavar = "[选项]"
    below = list(getattr(command, "commands", {}).values())
    if below:
        command.subcommand_metavar = "命令 [参数]..."
    for one in (command, *below, *command.get_params(context)):
        one.help = in_chinese(one.help)


@contextmanager
def _instead(owner: Any, values: dict[str, Any]) -> Iterator[None]:  # noqa: ANN401
    """Other values in the place of these attributes, for a while."""
    before = {name: getattr(owner, name) for name in values}
    try:
        for name, value in values.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)
