"""What runs cost, computed from what was seen of their Spaces, at the Hub's present list prices.

Come here to change how the log of a Space dates the start of its app.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.cost.runs import RunCost, Sighting
from airflow_provider_hfspaces.hub.errors import HubError

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.cost.runs import BilledTime
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = [
    "app_started",
    "cost_of_sightings",
    "cost_of_times",
    "no_prices",
    "prices_or_none",
    "running_since",
    "seen_at_end",
]

_STARTUP = re.compile(r"Application Startup at (\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)")
_MAX_LINES_BEFORE_STARTUP = 5

_WHOLE_SECOND = timedelta(seconds=1)
"""The log of an app has the time of its start in whole seconds."""


def cost_of_sightings(
    hook: HfSpacesHook,
    sightings: Iterable[Sighting],
    requested: Iterable[str],
    log: Any,
    *,
    needs_prices: bool = False,
) -> RunCost:
    """Return what a run cost, from what was seen of its Space, at the Hub's present list prices.

    Endpoint: ``GET /api/spaces/hardware``, if something was billed.

    :param requested: the flavors that the run requested. Other hardware is not a cost of the run.
    :param needs_prices: see :func:`cost_of_times`.
    """

    seen, flavors = list(sightings), frozenset(requested)
    unpriced = RunCost.from_sightings(seen, flavors, no_prices())
    if not unpriced.times:
        return unpriced
    prices = _prices(hook, log, needs_prices)
    return unpriced if prices is None else RunCost.from_sightings(seen, flavors, prices)


def cost_of_times(
    hook: HfSpacesHook, times: Iterable[BilledTime], log: Any, *, needs_prices: bool = False
) -> RunCost:
    """Return what known times on a Space cost, at the Hub's present list prices.

    Endpoint: ``GET /api/spaces/hardware``, if something was billed. If the price list cannot be read, the
    cost is unknown and the reason is logged.

    :param needs_prices: whether to raise an error of the price list instead; by default not.
    :raises HubError: with ``needs_prices``, if the price list cannot be read.
    """

    unpriced = RunCost.from_times(times, no_prices())
    if not unpriced.times:
        return unpriced
    prices = _prices(hook, log, needs_prices)
    return unpriced if prices is None else RunCost.from_times(unpriced.times, prices)


def app_started(hook: HfSpacesHook, repo_id: str, log: Any) -> datetime | None:
    """Return when the app of a Space was started, from the first lines of its log; ``None`` if not known.

    Endpoint: ``GET /api/spaces/{repo_id}/logs/run``.
    """
    from contextlib import closing

    try:
        with closing(hook.client.lines(calls.get_logs(repo_id))) as lines:  # type: ignore[type-var]
            for _, line in zip(range(_MAX_LINES_BEFORE_STARTUP), lines, strict=False):
                if match := _STARTUP.search(line):
                    return datetime.fromisoformat(match[1]).replace(tzinfo=timezone.utc)
    except (HubError, ValueError) as error:
        log.info("Space %s: its log does not say when the app was started: %s", repo_id, error)
    return None


def running_since(hook: HfSpacesHook, repo_id: str, runtime: SpaceRuntime, log: Any) -> Sighting:
    """Return a sighting of a Space that has just begun to run, since the time in its log or since now."""

    now = hook.clock()
    sighting = Sighting.from_runtime(runtime, now)
    if sighting.hardware is None:
        return sighting
    return replace(sighting, since=app_started(hook, repo_id, log) or now)


def seen_at_end(
    hook: HfSpacesHook,
    repo_id: str,
    runtime: SpaceRuntime,
    *,
    at: datetime,
    requested_at: datetime,
    hardware: str,
    log: Any,
    is_new: bool = False,
) -> list[Sighting]:
    """Return the only sighting of a Space since its hardware was requested, completed from its log.

    If the log does not say when the app was started, the sighting only bounds the time that the app ran.

    :param at: when the Hub reported the runtime, in UTC.
    :param requested_at: when the hardware was requested, in UTC.
    :param hardware: the flavor.
    :param is_new: whether the Space did not exist before, so that its log is of no app before the request.
    """

    began = app_started(hook, repo_id, log)
    if began is not None and (is_new or began > requested_at - _WHOLE_SECOND):
        began = min(max(began, requested_at), at)
    else:
        began = None
    last = Sighting.from_runtime(runtime, at, since=began)
    if last.hardware is not None or began is None:
        return [last]
    # The app ran, and has stopped since. When its billing ended is not known.
    return [Sighting(began, hardware, last.replicas), replace(last, since=None)]


def prices_or_none(
    hook: HfSpacesHook,
    problem: str,
    write: Callable[[str], object],
    *,
    is_raised: Callable[[HubError], bool] = lambda error: False,
) -> PriceList | None:
    """Return the Hub's prices; ``None``, after a line in a log, if they cannot be read.

    Endpoint: ``GET /api/spaces/hardware``, unless the hook has read the prices before.

    :param problem: what follows from that, as a sentence without its end: "The report has no amounts".
    :param write: writes the line, such as ``log.warning``.
    :param is_raised: whether an error is raised instead; by default none is.
    """

    try:
        return hook.price_list()
    except HubError as error:
        if is_raised(error):
            raise
        write(f"{problem}, because the price list cannot be read: {error}")
        return None


def no_prices() -> PriceList:
    """Return an empty price list."""

    return PriceList.from_flavors(())


def _prices(hook: HfSpacesHook, log: Any, needs_prices: bool) -> PriceList | None:
    return prices_or_none(hook, "The cost is not known", log.warning, is_raised=lambda error: needs_prices)
