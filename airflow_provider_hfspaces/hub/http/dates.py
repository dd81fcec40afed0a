"""The time of the Hub's clock, from the ``Date`` header of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

__all__ = ["date_of"]


def date_of(headers: Mapping[str, str]) -> float | None:
    """Return when an answer was sent, in seconds since 1970; ``None`` without a valid ``Date``.

    :param headers: headers of the answer, with case-insensitive names.
    """
    try:
        sent = parsedate_to_datetime(headers.get("date") or "")
        if sent.tzinfo is None:
            sent = sent.replace(tzinfo=timezone.utc)
        return sent.timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
