"""HTML from nested calls, in which everything is escaped that is not markup already."""

from __future__ import annotations

import html
from collections.abc import Iterable

from airflow_provider_hfspaces.hub.text import printable

__all__ = ["Child", "Markup", "tag"]

_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already. Made by :func:`tag`, or of constants, never of what the Hub says."""

    __slots__ = ()


Child = str | Iterable["Child"]


def tag(name: str, /, *children: Child, **attributes: str | int | float | None) -> Markup:
    """An element.

    :param children: text, which is escaped, elements, or lists of both.
    :param attributes: ``class_`` stands for ``class``, ``data_label`` for ``data-label``; ``None``
        leaves one out.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(printable(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{''.join(map(_inner, children))}</{name}>")


def _inner(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return html.escape(printable(child))
    return "".join(map(_inner, child))
