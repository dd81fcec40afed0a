"""Validate durations, which users write as a number, as numeric text or as a timedelta."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

__all__ = ["LONGEST_SECONDS", "checked_interval", "checked_seconds"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
LONGEST_SECONDS = 10 * 365 * 24 * 3600.0


def checked_seconds(value: Any, name: str, *, zero: bool = False) -> float:
    """Return a duration in seconds.

    >>> checked_seconds("1.5", "poll_interval")
    1.5

    :param value: a number of seconds, a number as text such as ``"10"``, or a ``timedelta``.
    :param name: name of the parameter, for the error.
    :param zero: whether 0 is valid; by default not.
    :raises InvalidNumber: for a value of another kind, a negative value, and more than ten years.
    """
    seconds = _seconds(value)
    if seconds is None or not (0 < seconds <= LONGEST_SECONDS or (zero and seconds == 0)):
        from airflow_provider_hfspaces.hub.checks import InvalidNumber

        least = "0 or more" if zero else "more than 0"
        raise InvalidNumber(
            f"{name} must be a number of seconds, {least} and at most ten years, as a number, as text such "
            f"as '10' or as a timedelta; got {value!r:.100}."
        )
    return seconds


def checked_interval(value: Any, name: str) -> float | None:
    """Return the seconds between two polls of a Space; ``None`` leaves the interval to the quota.

    :raises InvalidNumber: as :func:`checked_seconds`.
    """
    return None if value is None else checked_seconds(value, name)


def _seconds(value: Any) -> float | None:
    """Return a value in seconds; ``None`` if it is not a duration. NaN fails the caller's comparisons."""
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
