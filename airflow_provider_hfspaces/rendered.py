"""Values that a template has made text of."""

from __future__ import annotations

import ast
import json
from typing import Any

__all__ = ["from_text"]


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
