"""Server-sent events: the form in which the Hub sends a Space's logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

__all__ = ["drained", "events"]


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON object of each event; comments, blank lines and other fields are passed over."""
    for line in lines:
        field, _, value = line.partition(":")
        if field != "data":
            continue
        try:
            payload = json.loads(value)
        except ValueError:
            continue
        if isinstance(payload, dict):
            yield payload


def drained(event: dict[str, Any], date: str | None) -> bool:
    """Whether an event is newer than the request, so that what there was has been read.

    :param date: the answer's ``Date`` header, by the Hub's own clock.
    """
    try:
        asked = parsedate_to_datetime(date or "")
        said = datetime.fromisoformat(str(event.get("timestamp")).replace("Z", "+00:00"))
    except (TypeError, ValueError):
        return False
    if said.tzinfo is None:
        said = said.replace(tzinfo=timezone.utc)
    return (said - asked).total_seconds() > 1
