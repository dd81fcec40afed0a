"""Amounts, times and moments in words."""

from __future__ import annotations

from datetime import datetime, timezone

__all__ = ["day", "duration", "moment", "parsed", "usd"]


def usd(amount: float | None) -> str:
    """An amount: ``$1,971.00``, ``$0.0067`` below a cent, ``$12,345`` above 10,000, ``?`` if not known."""
    if amount is None:
        return "?"
    sign, size = ("-" if amount < 0 else ""), abs(amount)
    if size < 0.00005:
        return "$0.00"
    decimals = 4 if size < 0.01 else 2 if size < 10_000 else 0
    return f"{sign}${size:,.{decimals}f}"


def duration(seconds: float) -> str:
    """A length of time by its two largest units: ``1 h 30 min``, ``2 days``."""
    left, said = round(seconds), []
    for size, one, many in ((86_400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s")):
        count, left = divmod(left, size)
        if count:
            said.append(f"{count:,} {one if count == 1 else many}")
    return " ".join(said[:2]) or "0 s"


def parsed(text: object) -> datetime | None:
    """A moment from ISO 8601, in UTC; ``None`` for anything else."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        if found.tzinfo is None:
            found = found.replace(tzinfo=timezone.utc)
        return found.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def moment(when: datetime) -> str:
    """To the minute: ``2026-11-23 20:00 UTC``."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def day(when: datetime) -> str:
    """``2026-11-23``, in UTC."""
    return when.astimezone(timezone.utc).strftime("%Y-%m-%d")
