"""What an owner has spent this month: from the Hub's billing if the token may read it, otherwise an estimate.

The last known amount of each owner is in an Airflow Variable, ``hf_spaces_budget-`` and the owner, which
EnforceBudgetOperator writes. An estimate grows there with each run of the operator. Upgrades and the page in
Airflow's UI read the Variable if their token may not read the billing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import get_variable, set_variable
from airflow_provider_hfspaces.hub.cost.budget import MonthSpend, month_of, read_billing
from airflow_provider_hfspaces.hub.errors import HubError
from airflow_provider_hfspaces.state.run_costs import run_costs
from airflow_provider_hfspaces.state.variables import variable_name

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.http.sequence import Steps

__all__ = ["KnownSpend", "known_spend", "measure_spend", "recorded_spend", "spend_variable"]

log = logging.getLogger(__name__)

_DESCRIPTION = "What an owner has spent on Spaces this month, kept by airflow-provider-hfspaces."


@dataclass(frozen=True)
class KnownSpend:
    """What is known about the spend of an owner.

    :ivar spend: the amount; ``None`` if nothing is known.
    :ivar problem: why the billing could not be read, as a sentence; ``None`` if it was.
    :ivar budget: USD a month, as EnforceBudgetOperator has recorded it last; ``None`` if it has not.
    :ivar is_user: whether the owner is a user, and not an organization; ``None`` if that is not known.
    """

    spend: MonthSpend | None
    problem: str | None = None
    budget: float | None = None
    is_user: bool | None = None

    @classmethod
    def from_dict(cls, payload: Any, now: datetime) -> KnownSpend:
        """Read the value of the Variable; an amount of an earlier period does not count.

        :param payload: the value of the Variable. Any other value means that nothing is known.
        :param now: the present moment, in UTC.
        """

        if not isinstance(payload, dict):
            return cls(None)
        spend = MonthSpend.from_dict(payload.get("spend"))
        budget, is_user, problem = (payload.get(name) for name in ("budget", "is_user", "problem"))
        return cls(
            spend=None if spend is None or spend.until <= now else spend,
            problem=problem if isinstance(problem, str) else None,
            budget=float(budget) if isinstance(budget, (int, float)) and budget > 0 else None,
            is_user=is_user if isinstance(is_user, bool) else None,
        )


def spend_variable(owner: str) -> str:
    """Return the name of the Airflow Variable with the last known amount of an owner."""
    return variable_name("hf_spaces_budget", owner.casefold())


def recorded_spend(owner: str, now: datetime | None = None) -> KnownSpend:
    """Return what EnforceBudgetOperator recorded about an owner this month, without a request to the Hub.

    :param now: the present moment, in UTC. Default: the clock.
    """
    return KnownSpend.from_dict(_recorded(owner), now or datetime.now(timezone.utc))


def known_spend(hook: HfSpacesHook, owner: str) -> KnownSpend:
    """Return the billed amount, or the recorded one if the billing cannot be read.

    Endpoints: see :func:`~airflow_provider_hfspaces.hub.cost.budget.read_billing`: one request for an
    organization and for an owner that is recorded; two for a user that is not.
    """

    now = datetime.now(timezone.utc)
    recorded = recorded_spend(owner, now)
    hourly = recorded.spend.hourly if recorded.spend else None
    try:
        payload = hook.execute(_billing(owner, recorded.is_user))
        spend = MonthSpend.from_billing(owner, payload, hourly, now)
    except HubError as error:
        problem = f"The token may not read the billing of {owner}, or the Hub does not answer: {error}"
        return KnownSpend(recorded.spend, problem, recorded.budget, recorded.is_user)
    return KnownSpend(spend, None, recorded.budget, _is_user(payload))


def measure_spend(hook: HfSpacesHook, owner: str, hourly: float | None, budget: float) -> KnownSpend:
    """Return the amount as of now, and record it for tokens that may not read the billing.

    :param hourly: USD per hour that the owner's Spaces cost now; ``None`` if the Hub's prices are not known.
        Without prices, an estimate stays at the last recorded amount.
    :param budget: USD a month, to record with the amount.
    :raises NotAnswered: if the amount is an estimate, and Airflow does not report the last amount.
    """

    known = known_spend(hook, owner)
    spend = known.spend
    if known.problem is None and spend is not None:
        spend = replace(spend, hourly=hourly)
    elif hourly is not None:
        estimate = MonthSpend.estimated(owner, _last_spend(owner), hourly, datetime.now(timezone.utc))
        spend = _at_least_runs(estimate)
    if spend is not None:
        value = {"spend": spend.to_dict(), "budget": budget, "is_user": known.is_user}
        set_variable(spend_variable(owner), {**value, "problem": known.problem}, _DESCRIPTION)
    return KnownSpend(spend, known.problem, budget, known.is_user)


def _at_least_runs(estimate: MonthSpend) -> MonthSpend:
    """Return the estimate, or what the recorded runs of this Airflow have cost this month if that is more.

    The estimate misses what ran only between two looks, and all runs before the first look of the month.
    """

    start, _ = month_of(estimate.as_of)
    try:
        cost = sum(each.usd for each in run_costs(estimate.owner, since=start.date()))
    except Exception as error:
        log.warning("What the runs of this Airflow cost could not be read: %s", error)
        return estimate
    return estimate if cost <= estimate.usd else replace(estimate, usd=round(cost, 6), since=start)


def _billing(owner: str, is_user: bool | None) -> Steps[dict[str, Any]]:
    return read_billing(owner, is_user=is_user)


def _is_user(payload: Any) -> bool | None:
    kind = str((payload.get("period") or {}).get("entityType"))
    return {"user": True, "org": False}.get(kind)


def _recorded(owner: str) -> Any:
    try:
        return get_variable(spend_variable(owner))
    except Exception as error:
        log.warning("The recorded spend of %s could not be read: %s", owner, error)
        return None


def _last_spend(owner: str) -> MonthSpend | None:
    """Return the last recorded amount, even of an earlier month.

    :raises NotAnswered: if Airflow does not answer. A new estimate from 0 would overwrite the amount.
    """

    value = get_variable(spend_variable(owner))
    return MonthSpend.from_dict(value.get("spend")) if isinstance(value, dict) else None
