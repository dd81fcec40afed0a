"""Text for logs and terminals: foreign text made safe for one line, and plain tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["printable", "text_table"]


def printable(text: str) -> str:
    """Return text from elsewhere without line breaks, escape sequences and changes of direction."""
    return "".join(character if character.isprintable() else " " for character in text)


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
