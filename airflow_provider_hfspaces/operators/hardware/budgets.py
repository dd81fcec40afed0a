"""Bounds of what runs may cost: the month's budget of an owner, and the limit of one run.

Both are checked when the DAG file is parsed, unless they are templates. An upgrade whose owner has spent the
budget is refused here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.rendered import as_number, has_template

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = [
    "checked_hourly_cost",
    "checked_monthly_budget",
    "checked_run_cost",
    "known_hourly_cost",
    "known_run_cost",
    "refuse_bad_budget",
    "refuse_spent_budget",
]


def refuse_bad_budget(value: Any, what: str) -> None:
    """Refuse a budget that is not valid when the DAG file is parsed, unless it is a template.

    :param what: the parameter, for the error.
    :raises InvalidNumber: for anything but a number above 0.
    """
    if value is not None and not has_template(value):
        checked_monthly_budget(value, what)


def checked_monthly_budget(value: Any, what: str = "monthly_budget") -> float | None:
    """Return a budget in USD a month, infinite for no limit; ``None`` if no budget is set.

    :raises InvalidNumber: for anything but a number above 0.
    """
    from airflow_provider_hfspaces.hub.cost.limits import checked_budget

    number = as_number(value)
    return None if number is None else checked_budget(number, what, unlimited=True)


def checked_run_cost(value: Any, owner: str) -> Any:
    """A limit for the cost of a run as it is, checked unless it is known only when the task runs.

    :param owner: what has the limit, for the error.
    :returns: the limit; ``None`` for no limit.
    :raises ValueError: for anything but a positive number of USD.
    """
    return value if has_template(value) else known_run_cost(value, f"max_run_cost of {owner}")


def checked_hourly_cost(value: Any, owner: str) -> Any:
    """A limit for USD per hour as it is, checked unless it is known only when the task runs.

    :param owner: what has the limit, for the error.
    :raises InvalidNumber: for anything but a number of at least 0, also as text.
    """
    if not has_template(value):
        known_hourly_cost(value, f"max_hourly_cost of {owner}")
    return value


def known_hourly_cost(value: Any, what: str = "max_hourly_cost") -> float | None:
    """A limit for USD per hour, also as text; ``None`` for no limit.

    :param what: the parameter, for the error.
    :raises InvalidNumber: for anything but a number of at least 0.
    """
    number = as_number(value)
    if number is None:
        return None
    from airflow_provider_hfspaces.hub.checks import checked_amount

    return checked_amount(number, what)


def known_run_cost(value: Any, what: str = "max_run_cost") -> float | None:
    """A limit for the cost of a run, also as text; ``None`` for no limit.

    :param what: the parameter, for the error.
    :raises InvalidNumber: for anything but a positive number of USD.
    """
    number = as_number(value)
    if number is None:
        return None
    from airflow_provider_hfspaces.hub.checks import InvalidNumber

    is_number = isinstance(number, (int, float)) and not isinstance(number, bool)
    if not is_number or not 0 < number < float("inf"):
        raise InvalidNumber(f"{what} must be a positive number of USD; got {value!r:.100}.")
    return float(number)


def refuse_spent_budget(
    hook: HfSpacesHook,
    repo_id: str,
    hardware: str | None,
    before: SpaceRuntime | None,
    *,
    monthly_budget: Any,
    required: bool,
    log: Any,
) -> None:
    """Refuse to request hardware if the owner of a Space has spent the month's budget.

    Without a budget, for free hardware and for a Space that is on the hardware or on its way to it, nothing
    is asked and nothing is refused.

    Endpoints: see :func:`~airflow_provider_hfspaces.state.budgets.known_spend`.

    :param hardware: the flavor; ``None`` for a choice of several.
    :param before: the runtime of the Space; ``None`` for a Space that does not exist yet.
    :param monthly_budget: USD a month; ``None`` for ``[hf_spaces] monthly_budget``.
    :param required: refuse also if it is not known what the owner has spent.
    :raises AirflowFailException: with the amount, the budget, where the amount comes from and the remedy.
    :raises InvalidInput: for a budget that is not valid.
    """
    from airflow_provider_hfspaces.compat.config import monthly_budget as configured_budget
    from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
    from airflow_provider_hfspaces.hub.stages import ACTIVE_STAGES
    from airflow_provider_hfspaces.state.budgets import known_spend

    owner, requested = repo_id.partition("/")[0], hardware or "hardware"
    budget = checked_monthly_budget(monthly_budget)
    if budget is None:
        budget = configured_budget(owner)
    if budget is None or math.isinf(budget) or hardware in FREE_HARDWARE:
        return
    is_there = before is not None and hardware is not None and before.is_set_to(hardware)
    if is_there and before is not None and before.stage in ACTIVE_STAGES:
        return
    known = known_spend(hook, owner)
    spend = known.spend
    if spend is None:
        if required:
            raise AirflowFailException(
                f"Space {repo_id}: what {owner} has spent this month is not known, and require_budget is "
                f"set. {requested} was not requested. {known.problem} Use a token that may read the "
                f"billing, or run EnforceBudgetOperator."
            )
        log.warning(
            "Space %s: the monthly budget of $%s does not count, because what %s has spent is not known. %s",
            repo_id,
            f"{budget:,.2f}",
            owner,
            known.problem,
        )
        return
    if spend.usd >= budget:
        raise AirflowFailException(
            f"Space {repo_id}: {owner} has spent ${spend.usd:,.2f} of its monthly budget of ${budget:,.2f} "
            f"({spend.in_words()}). {requested} was not requested. Raise monthly_budget, or wait until "
            f"{spend.until:%Y-%m-%d}."
        )
    log.info(
        "%s has spent $%s of its monthly budget of $%s (%s).",
        owner,
        f"{spend.usd:,.2f}",
        f"{budget:,.2f}",
        spend.in_words(),
    )
