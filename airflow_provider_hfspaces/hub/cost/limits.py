"""Validate budgets, and compare an amount with a budget."""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidNumber

__all__ = ["EXCEEDED", "WARNING", "WITHIN", "budget_status", "checked_budget"]

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
