"""What the operators report about the cost of a run: in the log, as XCom, and for the cost page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.state.records import COST

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost, Sighting

__all__ = ["app_started", "cost_of_sightings", "cost_of_times", "report_run_cost"]

_STARTUP = re.compile(r"Application Startup at (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")
_MOST_LINES_BEFORE_STARTUP = 5


def cost_of_sightings(
    hook: HfSpacesHook, sightings: Iterable[Sighting], requested: Iterable[str], log: Any
) -> RunCost:
    """The cost of a run by what was seen of its Space, at the Hub's present list prices.

    Endpoint: ``GET /api/spaces/hardware``, if something was billed.

    :param requested: the flavors that the run requested. Other hardware is not a cost of the run.
    """
    from airflow_provider_hfspaces.hub.cost.runs import RunCost

    seen, flavors = list(sightings), frozenset(requested)
    unpriced = RunCost.from_sightings(seen, flavors, _no_prices())
    return cost_of_times(hook, unpriced.times, log)


def cost_of_times(hook: HfSpacesHook, times: Iterable[BilledTime], log: Any) -> RunCost:
    """The cost of known times on a Space, at the Hub's present list prices.

    Endpoint: ``GET /api/spaces/hardware``, if something was billed. If the price list cannot be read, the
    cost is unknown and the reason is logged.
    """
    from airflow_provider_hfspaces.hub.cost.runs import RunCost
    from airflow_provider_hfspaces.hub.errors import HubError

    unpriced = RunCost.from_times(times, _no_prices())
    if not unpriced.times:
        return unpriced
    try:
        return RunCost.from_times(unpriced.times, hook.price_list())
    except HubError as error:
        log.warning("The cost is not known, because the price list cannot be read: %s", error)
        return unpriced


def report_run_cost(
    task: Any, context: Context, repo_id: str, cost: RunCost, *, began: datetime | None = None
) -> dict[str, Any]:
    """Log the cost of a run, push it as the XCom ``cost``, and record it for the cost page.

    :param task: the operator that reports.
    :param repo_id: the Space, as ``owner/name``.
    :param began: when the window of the run began; the task instance and this moment identify the window,
        which is recorded once.
    :returns: ``cost_usd``, ``billed_seconds`` and ``billed_hardware``, for the result of the task.
    """
    from airflow_provider_hfspaces.state.run_costs import record_run_cost

    ti = context["ti"]
    task.log.info("Space %s: %s.", repo_id, cost.in_words())
    payload = cost.to_dict()
    ti.xcom_push(key=COST, value=payload)
    map_index = getattr(ti, "map_index", None)
    map_index = -1 if map_index is None else map_index
    window = (began.isoformat() if began else "", ti.run_id, ti.task_id, str(map_index))
    record_run_cost(repo_id, cost, window, dag_id=ti.dag_id, in_crowd=map_index >= 0)
    return {
        "cost_usd": payload["cost_usd"],
        "billed_seconds": payload["billed_seconds"],
        "billed_hardware": payload["hardware"],
    }


def app_started(hook: HfSpacesHook, repo_id: str, log: Any) -> datetime | None:
    """When the app of a Space was started, by the first lines of its log; ``None`` if they do not say.

    Endpoint: ``GET /api/spaces/{repo_id}/logs/run``.
    """
    from contextlib import closing

    from airflow_provider_hfspaces.hub import calls
    from airflow_provider_hfspaces.hub.errors import HubError

    try:
        with closing(hook.client.lines(calls.get_logs(repo_id))) as lines:  # type: ignore[type-var]
            for _, line in zip(range(_MOST_LINES_BEFORE_STARTUP), lines, strict=False):
                if match := _STARTUP.search(line):
                    return datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc)
    except (HubError, ValueError) as error:
        log.info("Space %s: its log does not say when the app was started: %s", repo_id, error)
    return None


def sightings_of(payloads: Iterable[Any]) -> list[Sighting]:
    """The sightings that tasks pushed, in order."""
    from airflow_provider_hfspaces.hub.cost.runs import sightings_from

    return [each for payload in payloads for each in sightings_from(payload)]


def changes_of(event: Mapping[str, Any]) -> list[Sighting]:
    """The changes that a trigger saw while a task waited."""
    from airflow_provider_hfspaces.hub.cost.runs import sightings_from

    return sightings_from(event.get("changes"))


def _no_prices() -> Any:
    from airflow_provider_hfspaces.hub.cost.prices import PriceList

    return PriceList.from_flavors(())
