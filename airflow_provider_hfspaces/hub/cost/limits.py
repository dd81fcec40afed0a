"""Validate budgets, and compare an amount with a budget or an hourly price with its limit."""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidNumber

__all__ = ["EXCEEDED", "WARNING", "WITHIN", "budget_status", "checked_budget", "over_hourly_limit"]

WITHIN, WARNING, EXCEEDED = "within", "warning", "exceeded"
"""The values of :func:`budget_status`."""


def checked_budget(value: Any, what: str, *, unlimited: bool = False) -> float:
    """Return a valid budget in USD a month.

    :param what: name of the parameter, for the error.
    :param unlimited: whether infinity is valid, which stands for no limit; by default not.
    :raises InvalidNumber: for anything but a number above 0.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not value > 0 or (math.isinf(value) and not unlimited):
        raise InvalidNumber(f"{what} must be a number of USD a month above 0; got {value!r}.")
    return float(value)


def budget_status(usd: float, budget: float, warn_at: float | None = None) -> str:
    """Return how an amount compares with a budget: ``within``, ``warning`` or ``exceeded``.

    :param usd: USD spent.
    :param budget: USD that may be spent. The budget counts as exceeded when all of it is spent.
    :param warn_at: the part of the budget, such as 0.8, at which the status becomes ``warning``; ``None`` for
        no warning.
    """
    if usd >= budget:
        return EXCEEDED
    return WARNING if warn_at is not None and usd >= warn_at * budget else WITHIN


def over_hourly_limit(cost: float | None, limit: float, replicas: int = 1) -> str | None:
    """Return why hardware is above ``max_hourly_cost``, to follow its name; ``None`` if it is not above.

    >>> over_hourly_limit(1.8, 1.5)
    'costs $1.80 an hour, which is above max_hourly_cost=1.5'

    :param cost: USD per hour for all replicas together; ``None`` if the Hub lists no price, which counts as
        above.
    :param limit: USD per hour.
    :param replicas: number of replicas, for the text; by default 1.
    """
    if cost is None:
        return f"has no price in the Hub's list to compare with max_hourly_cost={limit:g}"
    if round(cost, 3) <= limit:
        return None
    times = f" with {replicas} replicas" if replicas > 1 else ""
    return f"costs ${cost:.2f} an hour{times}, which is above max_hourly_cost={limit:g}"
