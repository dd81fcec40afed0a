"""What the hardware operators log about money: the price, the arrival, and what ends the bill."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import replicas_of
from airflow_provider_hfspaces.hub.desired import DesiredState, describe
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, SpaceRuntime
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.stages import ACTIVE_STAGES, STARTING_STAGES

__all__ = ["log_arrival", "log_end_of_bill", "log_request", "warn_without_sleep_time"]


def log_request(log: Any, desired: DesiredState, before: SpaceRuntime, price: str | None) -> None:
    """Log the request and its price, or that the Space is on its way to the hardware already.

    :param price: as text; ``None`` if it is not known.
    """
    costs = f" ({price})" if price else ""
    if before.requested_hardware == desired.hardware and before.stage in STARTING_STAGES:
        log.info(
            "Space %s is %s: already on its way to %s%s, nothing to request.",
            desired.repo_id,
            describe(before),
            desired.hardware,
            costs,
        )
        return
    log.info("Space %s is %s. Requesting %s%s.", desired.repo_id, describe(before), desired.hardware, costs)


def warn_without_sleep_time(
    log: Any, desired: DesiredState, before: SpaceRuntime, answer: SpaceRuntime
) -> None:
    """Warn if nothing ends the bill, by the requested hardware and by the Hub's answer."""
    if desired.sleep_time is not None or desired.hardware in FREE_HARDWARE:
        return
    # Free hardware reports a sleep time that does not carry over to hardware that costs.
    is_of_free = before.configured_hardware in FREE_HARDWARE and answer.sleep_time == before.sleep_time
    if answer.sleep_time is None or is_of_free:
        log.warning(
            "Space %s has no sleep time on %s: it is billed until somebody restores it. Set sleep_time.",
            desired.repo_id,
            desired.hardware,
        )


def log_arrival(log: Any, repo_id: str, runtime: SpaceRuntime, hourly: float | None) -> None:
    """Log what the Space costs from now on, and until when.

    :param hourly: USD per hour and replica; ``None`` if it is unknown.
    """
    replicas = replicas_of(runtime)
    if hourly is None:
        cost = "whose price the Hub does not list"
    elif not hourly:
        cost = "which is free"
    else:
        times = f" for {replicas} replicas" if replicas > 1 else ""
        cost = f"which costs about ${hourly * replicas:.2f} per hour{times}, by the Hub's list price"
    log.info("Space %s runs on %s, %s.", repo_id, runtime.hardware, cost)
    if hourly != 0 and runtime.sleep_time:
        log.info("Space %s sleeps after %s seconds without a visitor.", repo_id, runtime.sleep_time)
    elif hourly != 0:
        log.info("Space %s has no sleep time, and is billed until somebody restores it.", repo_id)


def log_end_of_bill(log: Any, repo_id: str, snapshot: SpaceSnapshot, runtime: SpaceRuntime) -> None:
    """Log what ends the bill of a Space that slept, and so cost nothing, before the run."""
    hardware = runtime.configured_hardware
    if not snapshot.was_asleep or hardware in FREE_HARDWARE or runtime.stage not in ACTIVE_STAGES:
        return
    if runtime.sleep_time is None:
        end = "it has no sleep time, so that nothing ends the bill: pause it, or set a sleep time"
    else:
        hours = runtime.sleep_time / 3600
        end = (
            f"it sleeps after {runtime.sleep_time} seconds ({hours:.1f} hours) without a visitor, which "
            f"ends the bill"
        )
    log.warning(
        "Space %s slept before this run and runs on %s now, which costs money: %s.", repo_id, hardware, end
    )
