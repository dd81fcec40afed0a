"""Four DAGs that work on one Space, and one whose group is mapped over many Spaces."""

from __future__ import annotations

import json
import os
import time
from datetime import datetime, timedelta
from typing import Any

import requests

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, get_current_context, task, task_group
except ImportError:
    from airflow import DAG
    from airflow.decorators import task, task_group
    from airflow.operators.python import get_current_context

COMMON: dict[str, Any] = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "is_paused_upon_creation": False,
}
HUB = json.loads(os.environ["AIRFLOW_CONN_HF_SPACES_DEFAULT"])
SPACES = [f"acme/many-{number:02}" for number in range(27)]
SPACES += ["acme/many-deleted", "acme/many-paused", "acme/many-full"]


def tell_the_hub(run: str, moment: str) -> None:
    """Leave a line in the request log of the emulator, between the requests of all other processes."""
    requests.get(f"{HUB['host']}/api/whoami-v2", params={"run": run, "moment": moment}, timeout=60)


@task
def work() -> None:
    context = get_current_context()
    run = f"{context['dag'].dag_id}.{context['run_id']}"
    tell_the_hub(run, "begins")
    time.sleep(1)
    tell_the_hub(run, "ends")


for number in range(4):
    with (
        DAG(f"crowd_{number}", max_active_runs=5, **COMMON) as dag,
        SpaceHardwareTaskGroup(
            "gpu",
            "acme/crowded",
            "t4-small",
            sleep_time=360_000,
            deferrable=True,
            poll_interval=1,
            # Airflow may take a task that is resumed within seconds of being deferred for a failed one.
            lease_poll_interval=15,
            retries=5,
            retry_delay=timedelta(seconds=1),
        ),
    ):
        work()
    globals()[dag.dag_id] = dag

with DAG("many_spaces", **COMMON) as many_spaces:

    @task
    def use(repo_id: str) -> None:
        """Work on a Space, and delete one of them."""
        if repo_id.endswith("-deleted"):
            answer = requests.delete(
                f"{HUB['host']}/api/repos/delete",
                json={"type": "space", "organization": "acme", "name": "many-deleted"},
                headers={"Authorization": f"Bearer {HUB['password']}"},
                timeout=60,
            )
            answer.raise_for_status()

    @task_group
    def each(repo_id: str) -> None:
        """Work on one of the Spaces."""
        with SpaceHardwareTaskGroup(
            "gpu",
            repo_id,
            "t4-small",
            sleep_time=360_000,
            deferrable=False,
            poll_interval=1,
            retries=0,
            restore_retries=1,
            retry_delay=timedelta(seconds=1),
        ):
            use(repo_id)

    each.expand(repo_id=SPACES)
