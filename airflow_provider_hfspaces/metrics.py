"""The metrics of this package, which Airflow sends with its own to StatsD, Datadog or OpenTelemetry.

Come here to add a metric: an entry in :data:`METRICS` and the line that sends it. ``docs/metrics.md`` lists
them. Names have no parts that grow with the number of Spaces, DAGs or runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.observing import OUTCOMES, WAIT_OUTCOMES, Observer, add_observer

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.cost.runs import RunCost

__all__ = ["LEASE_OUTCOMES", "METRICS", "Metric", "lease_wait_ended", "run_ended", "send_metrics"]

log = logging.getLogger(__name__)

LEASE_OUTCOMES = ("taken", "timeout")
"""How a wait for a lease may end."""


@dataclass(frozen=True)
class Metric:
    """A metric of this package.

    :ivar kind: ``counter``, ``gauge`` or ``timer``.
    :ivar variants: the last part of the name, one metric for each; empty for a single metric.
    :ivar tags: the names of its tags, which plain StatsD leaves out.
    """

    kind: str
    tags: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()


METRICS: Mapping[str, Metric] = {
    "hf_spaces.requests": Metric("counter", ("method",), OUTCOMES),
    "hf_spaces.request_duration": Metric("timer", ("method",), OUTCOMES),
    "hf_spaces.request_delays": Metric("counter", (), ("quota", "retry")),
    "hf_spaces.request_delay_duration": Metric("timer", (), ("quota", "retry")),
    "hf_spaces.quota_remaining": Metric("gauge"),
    "hf_spaces.quota_limit": Metric("gauge"),
    "hf_spaces.waits": Metric("counter", (), WAIT_OUTCOMES),
    "hf_spaces.wait_duration": Metric("timer", (), WAIT_OUTCOMES),
    "hf_spaces.lease_waits": Metric("counter", (), LEASE_OUTCOMES),
    "hf_spaces.lease_wait_duration": Metric("timer", (), LEASE_OUTCOMES),
    "hf_spaces.billed_seconds": Metric("counter", ("hardware",)),
    "hf_spaces.cost_usd": Metric("counter", ("hardware",)),
    "hf_spaces.runs_at_unknown_price": Metric("counter", ("hardware",)),
}
"""The metrics by name."""


@lru_cache(maxsize=1)
def send_metrics() -> None:
    """Send metrics for all requests and waits of this process from now on."""
    add_observer(_Sender())


def lease_wait_ended(outcome: str, seconds: float) -> None:
    """Send the metrics of a wait for a lease.

    :param outcome: one of :data:`LEASE_OUTCOMES`.
    :param seconds: from the beginning of the wait, over all deferrals of the task.
    """
    _count("hf_spaces.lease_waits", outcome)
    _time("hf_spaces.lease_wait_duration", outcome, seconds)


def run_ended(cost: RunCost) -> None:
    """Send the metrics of what a run was billed, for each flavor."""
    for hardware, (minutes, usd) in cost.by_hardware().items():
        tags = {"hardware": hardware}
        _send("incr", "hf_spaces.billed_seconds", 60 * minutes, tags)
        if usd is None:
            _send("incr", "hf_spaces.runs_at_unknown_price", 1, tags)
        elif usd:
            _send("incr", "hf_spaces.cost_usd", usd, tags)


class _Sender(Observer):
    """Sends the metrics of requests and waits."""

    def request_answered(self, method: str, outcome: str, seconds: float) -> None:
        _count("hf_spaces.requests", outcome, method=method)
        _time("hf_spaces.request_duration", outcome, seconds, method=method)

    def quota_reported(self, remaining: int, quota: int | None) -> None:
        _send("gauge", "hf_spaces.quota_remaining", remaining, {})
        if quota is not None:
            _send("gauge", "hf_spaces.quota_limit", quota, {})

    def request_delayed(self, reason: str, seconds: float) -> None:
        _count("hf_spaces.request_delays", reason)
        _time("hf_spaces.request_delay_duration", reason, seconds)

    def wait_ended(self, outcome: str, seconds: float) -> None:
        _count("hf_spaces.waits", outcome)
        _time("hf_spaces.wait_duration", outcome, seconds)


def _count(name: str, variant: str, **tags: str) -> None:
    _send("incr", f"{name}.{variant}", 1, tags)


def _time(name: str, variant: str, seconds: float, **tags: str) -> None:
    _send("timing", f"{name}.{variant}", timedelta(seconds=seconds), tags)


def _send(kind: str, name: str, value: float | timedelta, tags: Mapping[str, str]) -> None:
    from airflow_provider_hfspaces.compat.metrics import airflow_stats

    try:
        getattr(airflow_stats(), kind)(name, value, tags=dict(tags))
    except Exception as error:
        # A metric is never worth a failed task.
        log.debug("The metric %s could not be sent: %s: %s", name, type(error).__name__, error)
