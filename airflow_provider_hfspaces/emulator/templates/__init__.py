"""The HTML templates of the emulator's web pages: the start page, and the pages of Spaces and their files."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from string import Template

__all__ = ["render", "sleeps_after", "start_page"]

_FOLDER = Path(__file__).parent
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def start_page() -> str:
    """The start page, which reads its data from the control API's ``/_emulator/fleet``."""
    return _text("start.html")


def render(name: str, *, title: str, body: str) -> str:
    """Render a template file.

    :param name: file name, such as ``space.html``.
    :param title: plain text, which is escaped.
    :param body: HTML, which is inserted as it is.
    """
    return Template(_text(name)).substitute(title=escape(title), body=body)


def sleeps_after(seconds: float | None) -> str:
    """Format a sleep time.

    :param seconds: ``None`` for never.

    >>> sleeps_after(172800), sleeps_after(5400), sleeps_after(None)
    ('2 d', '1 h 30 min', 'never')
    """
    if seconds is None:
        return "never"
    parts, rest = [], int(seconds)
    for unit, length in _UNITS:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts) or "0 s"
