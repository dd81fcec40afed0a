"""Tables of text, plain enough for any log or terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["printable", "text_table"]


def printable(text: str) -> str:
    """Text from elsewhere without what moves the cursor, begins a line or turns the writing around."""
    return "".join(character if character.isprintable() else " " for character in text)


def text_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = (), indent: str = "  "
) -> str:
    """Columns as wide as their widest cell, under a header and a line.

    :param right: numbers of the columns, from 0, that are aligned to the right.
    :param indent: what each line begins with.
    """
    # A cell may come from the Hub: a line break in it would begin a line of the log that nobody wrote.
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
