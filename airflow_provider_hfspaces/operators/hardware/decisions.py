"""Which hardware requests are refused, and which state a restore brings a Space to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.checks import InvalidNumber
from airflow_provider_hfspaces.hub.cost.limits import over_hourly_limit
from airflow_provider_hfspaces.hub.cost.prices import PriceList, replicas_of
from airflow_provider_hfspaces.hub.desired import DesiredState
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.stages import NEEDS_COMMIT_STAGES
from airflow_provider_hfspaces.operators.hardware.budgets import known_hourly_cost
from airflow_provider_hfspaces.state.pricing import no_prices, prices_or_none
from airflow_provider_hfspaces.state.records import is_last_try

__all__ = [
    "known_limit",
    "prices_for_restore",
    "refuse_hopeless",
    "refuse_too_expensive",
    "within_cost",
]


def refuse_hopeless(repo_id: str, runtime: SpaceRuntime, *, waits: bool) -> None:
    """Refuse hardware for a Space that would not run on it.

    :param waits: whether the task waits for the Space to run.
    :raises AirflowFailException: saying what to do instead.
    """
    if runtime.stage in NEEDS_COMMIT_STAGES and waits:
        raise AirflowFailException(
            f"Space {repo_id} is in stage {runtime.stage}, which other hardware does not repair. Nothing was "
            f"requested. Repair its repository first. {runtime.error_message or ''}".rstrip()
        )
    if runtime.is_static:
        raise AirflowFailException(
            f"Space {repo_id} is static: the Hub serves its files without hardware. Nothing was requested. "
            f"Remove the task, or choose a Space with an app."
        )


def refuse_too_expensive(
    desired: DesiredState,
    runtime: SpaceRuntime,
    flavors: Mapping[str, HardwareFlavor],
    max_hourly_cost: float,
) -> None:
    """Refuse hardware that costs more than the limit, for all replicas together.

    :raises AirflowFailException: naming the price.
    """
    repo_id, hardware, replicas = desired.repo_id, str(desired.hardware), replicas_of(runtime)
    cost = PriceList.from_flavors(flavors.values()).hourly(hardware, replicas)
    if reason := over_hourly_limit(cost, max_hourly_cost, replicas):
        raise AirflowFailException(f"Space {repo_id}: {hardware} {reason}. Nothing was requested.")


def known_limit(value: Any, repo_id: str, log: Any) -> float | None:
    """A rendered ``max_hourly_cost`` of a restore. One that is not valid must not keep the hardware on.

    :returns: USD per hour; ``None`` for no limit.
    """
    try:
        return known_hourly_cost(value)
    except InvalidNumber as error:
        log.error("Space %s: %s This restore has no limit.", repo_id, error)
        return None


def prices_for_restore(task: Any, context: Context) -> PriceList:
    """The Hub's price list, or an empty one if it cannot be read, which must not keep the hardware on.

    :raises HubError: if another try of the task may read it.
    """
    prices = prices_or_none(
        task.hook,
        "The Space is restored without knowing a price",
        task.log.error,
        is_raised=lambda error: not error.permanent and not is_last_try(task, context),
    )
    return prices or no_prices()


def within_cost(
    snapshot: SpaceSnapshot, prices: PriceList, max_hourly_cost: float, fallback: str, log: Any
) -> SpaceSnapshot:
    """The recorded state, or the fallback if the recorded state costs more than the limit."""
    replicas = snapshot.replicas if isinstance(snapshot.replicas, int) else 1
    cost = prices.hourly(str(snapshot.hardware), replicas)
    reason = over_hourly_limit(cost, max_hourly_cost, replicas)
    if reason is None:
        return snapshot
    log.error(
        "Space %s: the recorded hardware %s %s. Moving the Space to %s instead.",
        snapshot.repo_id,
        snapshot.hardware,
        reason,
        fallback,
    )
    return replace(snapshot, hardware=fallback)
