"""A window on a leased GPU. The DAG's id is the name of the folder, which is the name of its team."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task
    from airflow.operators.python import get_current_context

SIGNALS = Path(os.environ["LEASE_SIGNALS"])


@task
def batch() -> None:
    context = get_current_context()
    name = f"{context['dag'].dag_id}.{context['run_id']}"
    (SIGNALS / f"{name}.works").write_text(f"{os.getpid()}")
    while not (SIGNALS / f"{name}.end").exists():
        time.sleep(0.2)


with (
    DAG(
        Path(__file__).parent.name,
        schedule=None,
        start_date=datetime(2026, 1, 1),
        is_paused_upon_creation=False,
    ),
    SpaceHardwareTaskGroup(
        "gpu",
        "acme/shared",
        "t4-small",
        sleep_time=360_000,
        poll_interval=1,
        lease_poll_interval=10,
        deferrable=False,
    ),
):
    batch()
