"""LogEvent: one event in the log of a Space, with its time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from airflow_provider_hfspaces.hub.masking import mask_tokens

__all__ = ["KINDS", "LogEvent", "seconds_of"]

KINDS = ("build", "run")
"""The kinds of logs: the log of the last build, and the log of the running app."""

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event in the log of a Space, usually one line.

    :ivar text: the text with its line breaks. Tokens are masked.
    :ivar time: when the Space wrote the text, in seconds since 1970 by the Hub's clock; ``None`` without a
        valid timestamp.
    """

    text: str
    time: float | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> LogEvent:
        """Return the event that the Hub sent.

        :raises KeyError: without a text.
        """
        return cls(mask_tokens(str(payload["data"])), seconds_of(payload.get("timestamp")))


def seconds_of(timestamp: Any) -> float | None:
    """Return the seconds since 1970 for an ISO 8601 timestamp of any precision; ``None`` for anything else.

    A timestamp without a time zone counts as UTC. Digits beyond microseconds are ignored.

    >>> seconds_of("2026-06-20T01:09:43.123456789Z")
    1781917783.123456
    """
    match = _TIMESTAMP.fullmatch(timestamp.strip()) if isinstance(timestamp, str) else None
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    # datetime.fromisoformat() of Python 3.10 accepts neither "Z" nor more than six digits of a second.
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    zone = zone if ":" in zone else f"{zone[:3]}:{zone[3:]}"
    try:
        moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{zone}")
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).timestamp()
