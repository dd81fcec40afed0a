"""Durations as users write them: a number, numeric text or a timedelta, read as seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

__all__ = ["checked_interval", "checked_seconds"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LONGEST_SECONDS = 10 * 365 * 24 * 3600.0


def checked_seconds(value: Any, name: str, *, zero: bool = False) -> float:
    """Returns a duration in seconds.

    >>> checked_seconds("1.5", "poll_interval")
    1.5

    :param value: a number of seconds, a number as text such as ``"10"``, or a ``timedelta``.
    :param name: the parameter, with which the error begins.
    :param zero: whether 0 is valid.
    :raises InvalidNumber: for any other value, for a negative one, and for more than ten years.
    """
    seconds = _seconds(value)
    if seconds is None or not (0 < seconds <= _LONGEST_SECONDS or (zero and seconds == 0)):
        from airflow_provider_hfspaces.hub.checks import InvalidNumber

        least = "0 or more" if zero else "more than 0"
        raise InvalidNumber(
            f"{name} must be a number of seconds, {least} and at most ten years, as a number, as text such "
            f"as '10' or as a timedelta; got {value!r:.100}."
        )
    return seconds


def checked_interval(value: Any, name: str) -> float | None:
    """Returns the seconds between two looks at a Space; ``None``, for as few as the quota allows, as it is.

    :raises InvalidNumber: as :func:`checked_seconds`.
    """
    return None if value is None else checked_seconds(value, name)


def _seconds(value: Any) -> float | None:
    """Returns seconds, or ``None`` for a value that is not a number; NaN fails every comparison."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return None
