"""What the owners of a fleet have spent this month, against their budgets, for the fleet page.

Come here to change how often the page reads the Hub's billing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from airflow_provider_hfspaces.compat.config import monthly_budget
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.limits import budget_status
from airflow_provider_hfspaces.plugins.page_hook import PageHook
from airflow_provider_hfspaces.state.budgets import KnownSpend, known_spend

__all__ = ["SpendReader"]

_KEEP_SECONDS = 600.0
"""Time for which the page keeps the amount of an owner before it reads the amount again."""

_MAX_OWNERS = 20
_WARNING_SHARE = 0.8
"""Share of the budget from which the page shows a warning."""


class SpendReader:
    """Reads what owners have spent this month. Safe for threads; two threads may read an amount twice.

    The amount is the Hub's billing if the connection's token may read it, otherwise what
    EnforceBudgetOperator has recorded.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[float, KnownSpend]] = {}

    def read(self, connection: Any, owners: Iterable[str]) -> list[dict[str, Any]]:
        """Return the amounts that are known, or the budgets whose amount is not.

        Endpoints: the billing usage of each owner, once in ten minutes, for 20 owners at most.

        :param owners: the owners of the connection's fleet.
        :returns: ``{"owner", "usd", "budget", "status", "source", "in_words", "since", "until", "as_of",
            "problem"}`` for each owner, as plain JSON: USD, ``within``, ``warning`` or ``exceeded``, and
            times in ISO format. ``usd`` is ``None`` if it is not known, and ``budget`` without a budget.
        """
        hook = PageHook.from_connection(connection)
        rows = (self._row(hook, connection, owner) for owner in list(owners)[:_MAX_OWNERS])
        return [row for row in rows if row is not None]

    def _row(self, hook: PageHook, connection: Any, owner: str) -> dict[str, Any] | None:
        known = self._spend(hook, connection, owner)
        spend, problem = known.spend, known.problem
        try:
            budget = monthly_budget(owner) or known.budget
        except InvalidInput as error:
            budget, problem = known.budget, str(error)
        if spend is None and budget is None:
            return None
        return {
            "owner": owner,
            "usd": spend and spend.usd,
            "budget": budget,
            "status": budget_status(spend.usd, budget, _WARNING_SHARE) if spend and budget else None,
            "source": spend and spend.source,
            "in_words": spend and spend.in_words(),
            "since": spend and spend.since.isoformat(),
            "until": spend and spend.until.isoformat(),
            "as_of": spend and spend.as_of.isoformat(),
            "problem": problem,
        }

    def _spend(self, hook: PageHook, connection: Any, owner: str) -> KnownSpend:
        token = f"{hook.settings.endpoint}\n{connection.password}"
        key = (hashlib.sha256(token.encode()).hexdigest(), owner.casefold())
        read_at, known = self._known.get(key, (0.0, None))
        if known is None or self._clock() - read_at > _KEEP_SECONDS:
            known = known_spend(hook, owner)
            self._known[key] = (self._clock(), known)
        return known
