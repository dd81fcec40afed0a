"""Text for logs and terminals: make text from outside safe for one line, and format plain tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["plain_lines", "printable", "text_table"]

_ESCAPE = re.compile(
    r"\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # title of a window, address of a link
    r"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # a command to a device
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # color, movement of the cursor
    r"|\x1b[ -/]*[0-~]?"
)
"""Escape sequences, which terminals interpret as commands."""


def printable(text: str) -> str:
    """Return text from outside with a space for each line break, escape and other unprintable character."""
    return "".join(character if character.isprintable() else " " for character in text)


def plain_lines(text: str) -> list[str]:
    """Return the output of a program as the lines that a terminal shows in the end.

    Colors and other escape sequences are removed. A progress bar, which overwrites its line, becomes its last
    state.

    >>> plain_lines("\\x1b[32mdone\\x1b[0m 10%\\rdone 100%\\n")
    ['done 100%']
    """
    lines = _ESCAPE.sub("", text).split("\n")
    if lines[-1] == "":
        del lines[-1]
    overwritten = (line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return [printable(line.expandtabs(4)).rstrip() for line in overwritten]


def text_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = (), indent: str = "  "
) -> str:
    """Return a table with a header, whose columns are as wide as their widest cell.

    :param right: indexes of the columns that are aligned to the right; by default none.
    :param indent: text at the beginning of each line; by default two spaces.
    """
    # A cell may come from the Hub, and a line break in a cell would forge a line of the log.
    printed = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [header, *printed]) for column in range(len(header))]
    to_the_right = frozenset(right)

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.rjust(width) if column in to_the_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return (indent + "  ".join(cells)).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, printed)])
