"""Text for logs and terminals: foreign text made safe for one line, and plain tables."""

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
"""What terminals take for commands."""


def printable(text: str) -> str:
    """Return text from elsewhere without line breaks, escape sequences and changes of direction."""
    return "".join(character if character.isprintable() else " " for character in text)


def plain_lines(text: str) -> list[str]:
    """Return the lines of what a program has written to a terminal, as the terminal shows them in the end.

    Without colors and other commands to the terminal. Of a progress bar, which overwrites its line again and
    again, the last state remains.

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
    """Return a table whose columns are as wide as their widest cell, under a header and a line.

    :param right: indexes of the columns that are aligned to the right.
    :param indent: the beginning of each line.
    """
    # A cell may come from the Hub: a line break in it would start a forged line of the log.
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
