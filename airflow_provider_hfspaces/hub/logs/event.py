"""LogEvent: what a Space has written into its log in one go."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.hub.masking import mask_tokens

__all__ = ["KINDS", "LogEvent", "seconds_of"]

KINDS = ("build", "run")
"""The logs of a Space: that of its last build, and that of its app."""

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """What a Space has written in one go, usually one line.

    :ivar text: the text with its line breaks. Tokens are masked.
    :ivar time: seconds since 1970 by the Hub's clock; ``None`` if the Hub does not say.
    """

    text: str
    time: float | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> LogEvent:
        """Returns the event that the Hub has sent."""
        return cls(mask_tokens(str(payload["data"])), seconds_of(payload.get("timestamp")))


def seconds_of(timestamp: Any) -> float | None:
    """Returns seconds since 1970 for an ISO 8601 timestamp of any precision; ``None`` for anything else.

    >>> seconds_of("2026-06-20T01:09:43.123456789Z")
    1781917783.123456
    """
    match = _TIMESTAMP.fullmatch(timestamp.strip()) if isinstance(timestamp, str) else None
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    # Python 3.10 reads neither a Z nor more than six digits of a second.
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).timestamp()
