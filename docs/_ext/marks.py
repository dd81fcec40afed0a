"""Finds the part of a file that is marked; needs nothing, so that a test can ask it too."""

from __future__ import annotations

import re
import textwrap

_MARK = re.compile(r"\s*# \[(START|END) (\w+)\]\s*")


def marked(text: str, mark: str) -> str | None:
    """The part of a file, or ``None`` if there is none of that name."""
    lines: list[str] = []
    inside = found = False
    for line in text.splitlines():
        match = _MARK.fullmatch(line)
        if match is None:
            if inside:
                lines.append(line)
        elif match[2] == mark:
            inside = match[1] == "START"
            found = not inside
    return textwrap.dedent("\n".join(lines)).strip("\n") if found else None
