"""Values that a template has made text of."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

__all__ = ["as_list", "as_number", "from_text", "is_runtime_value"]


def from_text(text: str) -> Any:
    """What JSON says, or what Python prints, as a template without native rendering leaves it.

    :raises ValueError: for text that is neither.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"neither JSON nor Python: {text!r:.200}") from error


def as_list(given: Any) -> list[Any]:
    """A list, also where a template has made a text of it; one value is a list of one."""
    if given is None or given == "":
        return []
    if isinstance(given, str):
        value: Any = given
        if given.lstrip().startswith("["):
            # Text that is no list is a glob such as "[ab]*".
            with suppress(ValueError):
                value = from_text(given)
        return list(value) if isinstance(value, list) else [value]
    return list(given) if isinstance(given, Iterable) and not isinstance(given, Mapping) else [given]


def as_number(value: Any) -> Any:
    """A number that a template rendered as text; any other value unchanged, for the checks to refuse."""
    if not isinstance(value, str):
        return value
    if value.strip() in ("", "None"):
        return None
    try:
        return float(value)
    except ValueError:
        return value


def is_runtime_value(value: Any) -> bool:
    """Whether a value is known only when the task runs: an XCom, or an argument of a mapped task group."""
    return callable(getattr(value, "iter_references", None)) and callable(getattr(value, "resolve", None))
