"""The HTML pages of the emulator: the start page and the page of a Space."""

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
    """The start page, which asks the control API for what it shows."""
    return _text("start.html")


def render(name: str, *, title: str, body: str) -> str:
    """A page from a template file.

    :param title: plain text.
    :param body: HTML.
    """
    return Template(_text(name)).substitute(title=escape(title), body=body)


def sleeps_after(seconds: float | None) -> str:
    """A sleep time for people.

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
