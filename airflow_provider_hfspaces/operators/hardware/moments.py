"""Until when a search for hardware is repeated: a time of day, or a moment."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.rendered import is_runtime_value, is_template

__all__ = ["moment_after", "refuse_bad_moment"]

_TIME_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def refuse_bad_moment(value: Any, name: str) -> None:
    """Check, when the DAG is parsed, a moment that is not a template.

    :param name: the parameter, with which the error begins.
    :raises InvalidInput: for anything but a time of day, a moment in ISO format or a ``datetime``.
    """
    if value is not None and not is_runtime_value(value) and not is_template(value):
        _parsed(value, name)


def moment_after(value: Any, now: float, context: Context) -> float:
    """A moment in seconds since 1970. A time of day is the first one after the run began, in its time zone.

    A task that starts after that moment, because it waited for a lease or is retried, so does not search for
    another day.

    :param value: a time of day such as ``03:00``, a moment in ISO format, or a ``datetime``.
    :param now: in seconds since 1970, for a context without a run.
    :raises InvalidInput: for anything else.
    """
    parsed = _parsed(value, "retry_capacity_until")
    zone: tzinfo = getattr(context.get("dag"), "timezone", None) or timezone.utc
    if isinstance(parsed, datetime):
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=zone)).timestamp()
    hour, minute = parsed
    began = getattr(context.get("dag_run"), "start_date", None)
    start = datetime.fromtimestamp(now if began is None else began.timestamp(), zone)
    moment = start.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (moment if moment > start else moment + timedelta(days=1)).timestamp()


def _parsed(value: Any, name: str) -> datetime | tuple[int, int]:
    if isinstance(value, datetime):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if match := _TIME_OF_DAY.fullmatch(text):
        return int(match[1]), int(match[2])
    try:
        # Python before 3.11 does not read the Z of UTC.
        return datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text))
    except ValueError:
        raise InvalidInput(
            f"{name} must be a time of day such as '03:00', or a moment such as '2026-11-28T03:00+00:00'; "
            f"got {value!r:.100}."
        ) from None
