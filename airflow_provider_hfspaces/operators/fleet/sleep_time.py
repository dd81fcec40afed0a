"""Limit the sleep times of many Spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.base import FleetOperator
from airflow_provider_hfspaces.rendered import as_whole_number

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.target import Target

__all__ = ["EnforceSleepTimeOperator"]


class EnforceSleepTimeOperator(FleetOperator):
    """Give every Space on paid hardware a sleep time, so that none runs without visitors for ever.

    A Space on, or set to, paid hardware that sleeps later than ``max_sleep_time`` or never gets this sleep
    time, without a restart. Other Spaces are left alone.

    .. code-block:: python

        EnforceSleepTimeOperator(task_id="sleep_times", author="acme", max_sleep_time=3600)

    Returns the report, with costs in USD per hour: ``{"action": "sleep_time", "dry_run", "at", "owner",
    "spaces": [{"repo_id", "outcome", "reason", "stage", "hardware", "hourly_cost", "sleep_time", "at"}],
    "max_sleep_time", "hourly_cost_limited", "failed", "prices_as_of"}``. An outcome is ``set``, ``would be
    set``, ``left alone`` or ``failed``. ``sleep_time`` is the previous one in seconds, ``None`` for never,
    and ``hourly_cost`` is what the Space costs while it runs.

    Endpoint: ``POST /api/spaces/{repo_id}/sleeptime``, once for each Space.

    :param max_sleep_time: the longest sleep time that is allowed, in seconds, at least 1. Default: 3600.
        Templated.
    """

    template_fields: Sequence[str] = (*FleetOperator.template_fields, "max_sleep_time")

    action, verb, done, column = "sleep_time", "Set the sleep time of", "set", "USD/h when they run"

    def __init__(self, *, max_sleep_time: int | str = 3600, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_sleep_time = max_sleep_time
        self._seconds = 0

    def check(self) -> None:
        from airflow_provider_hfspaces.hub.checks import checked_number

        super().check()
        number = as_whole_number(self.max_sleep_time)
        self._seconds = checked_number(number or 0, "max_sleep_time, in seconds,", least=1)

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
        from airflow_provider_hfspaces.hub.stages import SpaceStage

        if runtime.is_static:
            return "static: only files, no app that could sleep"
        if runtime.stage == SpaceStage.DELETING:
            return f"{runtime.stage}: it is being deleted"
        if runtime.configured_hardware is None:
            return "the Hub does not say which hardware it is set to"
        if runtime.configured_hardware in FREE_HARDWARE:
            return "on free hardware"
        return "its sleep time is short enough" if self.is_done(target, runtime) else None

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        return runtime.sleep_time is not None and runtime.sleep_time <= self._seconds

    def call(self, target: Target) -> Call[SpaceRuntime]:
        from airflow_provider_hfspaces.hub import calls

        return calls.set_sleep_time(target.repo_id, self._seconds)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        runtime = target.runtime
        return {
            "stage": runtime.stage if runtime else None,
            "hardware": runtime.configured_hardware if runtime else None,
            "hourly_cost": prices.if_running(runtime) if runtime and prices else None,
            "sleep_time": runtime.sleep_time if runtime else None,
        }

    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.fleet.report import total

        limited = total(entries, [outcome], "hourly_cost")
        return {"max_sleep_time": self._seconds, "hourly_cost_limited": limited}

    def headline(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> str:
        count = sum(each["outcome"] == outcome for each in entries)
        verb = "would get" if self.changes_nothing else "got"
        return f"{count:,} of {len(entries):,} Spaces {verb} a sleep time of {self._seconds:,} seconds."
