"""Work on a leased Space that begins and ends as the test wants it; no DAG is in this file."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import get_current_context, task
except ImportError:
    from airflow.decorators import task
    from airflow.operators.python import get_current_context

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "is_paused_upon_creation": False,
}
SIGNALS = Path(os.environ["LEASE_SIGNALS"])
"""The work writes here that it has begun, and the test that it may end."""


@task
def batch(name: str = "") -> None:
    """Work until the test lets it end or fail."""
    context = get_current_context()
    name = f"{name.removeprefix('acme/') or context['dag'].dag_id}.{context['run_id']}"
    (SIGNALS / f"{name}.works").write_text(f"{os.getpid()}")
    while not (SIGNALS / f"{name}.end").exists():
        if (SIGNALS / f"{name}.fail").exists():
            raise RuntimeError("the work failed")
        time.sleep(0.2)


def gpu_group(repo_id: Any, group_id: str = "gpu", **arguments: Any) -> SpaceHardwareTaskGroup:
    """A group that waits without workers, and whose sleep time ends no bill during a test."""
    return SpaceHardwareTaskGroup(
        group_id,
        repo_id,
        "t4-small",
        **{
            "sleep_time": 360_000,
            "deferrable": True,
            "poll_interval": 1,
            # Airflow may take a task that is resumed within seconds of being deferred for a failed one.
            "lease_poll_interval": 10,
            "retry_delay": timedelta(seconds=1),
            **arguments,
        },
    )
