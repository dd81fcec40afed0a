"""Sends every metric of the package, from a process that Airflow has configured to send metrics."""

from __future__ import annotations

from contextlib import suppress

from opentelemetry import metrics

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.cost.runs import BilledTime, RunCost
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.metrics import lease_wait_ended, run_ended


def main() -> None:
    hook = HfSpacesHook()
    hook.request_hardware("acme/whisper", "t4-small")
    hook.wait_for("acme/whisper", Goal(hardware="t4-small"), timeout=600, poll_interval=0.01)
    with suppress(SpaceWaitError):
        hook.wait_for("acme/broken", Goal(), timeout=600, poll_interval=0.01)
    for repo_id in ("acme/missing", "acme/forbidden", "acme/once-unavailable"):
        with suppress(HubError):
            hook.get_runtime(repo_id)
    times = [BilledTime("t4-small", 1, 61.0), BilledTime("unheard-of", 1, 60.0)]
    run_ended(RunCost.from_times(times, hook.price_list()))
    lease_wait_ended("taken", 12.0)
    # Before Airflow 3.2, OpenTelemetry loses the metrics that it has not sent when the process ends.
    flush = getattr(metrics.get_meter_provider(), "force_flush", None)
    if flush is not None:
        flush()


if __name__ == "__main__":
    main()
