"""Reads rendered arguments: text that stands for a list, a number, a flag or a structure.

Come here for arguments that may be templates. Without native rendering, a template always renders to text.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

__all__ = [
    "as_flag",
    "as_list",
    "as_number",
    "as_whole_number",
    "from_text",
    "has_template",
    "is_runtime_value",
    "is_template",
]


def from_text(text: str) -> Any:
    """Return the value that text stands for: JSON, or a Python literal.

    A template without native rendering turns lists and mappings into such text.

    :raises ValueError: for text that is neither JSON nor a Python literal.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"neither JSON nor a Python literal: {text!r:.200}") from error


def as_list(value: Any) -> list[Any]:
    """Return a list, from a list, its text, or one value. ``None`` and "" become empty lists."""
    if value is None or value == "":
        return []
    if isinstance(value, str):
        parsed: Any = value
        if value.lstrip().startswith("["):
            # Text that is not a list is a glob such as "[ab]*".
            with suppress(ValueError):
                parsed = from_text(value)
        return list(parsed) if isinstance(parsed, list) else [parsed]
    return list(value) if isinstance(value, Iterable) and not isinstance(value, Mapping) else [value]


def as_number(value: Any) -> Any:
    """Return the number that a template rendered as text; ``None`` for empty text.

    Any other value is returned as it is, for the checks to refuse.
    """
    if not isinstance(value, str):
        return value
    if value.strip() in ("", "None"):
        return None
    try:
        return float(value)
    except ValueError:
        return value


def as_whole_number(value: Any) -> Any:
    """Return the whole number that a template rendered as text; other values unchanged, for the checks."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text in ("", "None"):
        return None
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else value


def as_flag(value: Any) -> Any:
    """Return the True or False that a template rendered as text; other values unchanged, for the checks."""
    flags = {"true": True, "false": False}
    return flags.get(value.strip().lower(), value) if isinstance(value, str) else value


def is_template(value: Any) -> bool:
    """Return whether a value is text that Airflow renders when the task runs."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def has_template(value: Any) -> bool:
    """Return whether a value, or a value in it, is known only when the task runs: a template or an XCom."""
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, Mapping):
        return any(has_template(each) for each in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_template(each) for each in value)
    return is_runtime_value(value)


def is_runtime_value(value: Any) -> bool:
    """Return whether only a running task knows a value: an XCom, or an argument of a mapped task group."""
    return callable(getattr(value, "iter_references", None)) and callable(getattr(value, "resolve", None))
