"""Amounts, durations and times as text, and times from text, for reports."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["day", "duration", "is_plausible", "moment", "parse_time", "usd"]

_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_LARGEST_AMOUNT = 1e12


def usd(amount: float | None) -> str:
    """Return an amount: ``$1,971.00``, ``$0.0067`` below a cent, ``$12,345`` from 10,000, or ``?``."""
    if amount is None:
        return "?"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size < 0.00005:
        return "$0.00"
    decimals = 4 if size < 0.01 else 2 if size < 10_000 else 0
    return f"{sign}${size:,.{decimals}f}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``1 h 30 min``, ``2 days``."""
    remaining, parts = round(seconds), []
    for size, one, many in ((86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s")):
        count, remaining = divmod(remaining, size)
        if count:
            parts.append(f"{count:,} {one if count == 1 else many}")
    return " ".join(parts[:2]) or "0 s"


def parse_time(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC; ``None`` for anything else, and for years outside 1970 to 9000.

    Charts count days back from the times that this returns, which overflows near year 1.
    """
    if not isinstance(text, str):
        return None
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        when = when.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None
    return when if _FIRST_YEAR <= when.year <= _LAST_YEAR else None


def is_plausible(amount: object) -> bool:
    """Return whether a value from a file or a report is a number that a report can add up and show."""
    number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
    # Compared, not converted: 10**400 is a valid number in JSON, but not a valid float.
    return number and -_LARGEST_AMOUNT <= amount <= _LARGEST_AMOUNT  # type: ignore[operator]


def moment(when: datetime) -> str:
    """Return a time to the minute: ``2026-11-23 20:00 UTC``."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def day(when: datetime) -> str:
    """Return a date in UTC: ``2026-11-23``."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d")
