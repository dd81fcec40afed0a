"""One DAG for each way in which a lease is left behind or waits for its turn to be given back."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from signalled_work import COMMON, SIGNALS, batch, gpu_group

from airflow_provider_hfspaces.operators.leases import RestoreAbandonedLeasesOperator

try:
    from airflow.sdk import DAG, get_current_context, task, task_group
except ImportError:
    from airflow import DAG
    from airflow.decorators import task, task_group
    from airflow.operators.python import get_current_context

FILLERS = 8


def lease_dag(dag_id: str, dag_arguments: dict[str, Any] | None = None, **arguments: Any) -> DAG:
    with (
        DAG(dag_id, **COMMON, **{"max_active_runs": 1, **(dag_arguments or {})}) as dag,
        gpu_group(f"acme/{dag_id}", **arguments),
    ):
        batch()
    return dag


user_pauses_at_work = lease_dag("user_pauses_at_work")
user_pauses_upgrade = lease_dag("user_pauses_upgrade")
deleted_during_upgrade = lease_dag("deleted_during_upgrade")
snapshot_fails = lease_dag("snapshot_fails")
restore_finds_no_hub = lease_dag("restore_finds_no_hub", restore_retries=0)
second_run_waits = lease_dag("second_run_waits", {"max_active_runs": 2}, restore_retries=0)
other_airflow_works = lease_dag("other_airflow_works")
times_out_at_work = lease_dag("times_out_at_work", {"dagrun_timeout": timedelta(seconds=90)})
waits_in_full_pool = lease_dag("waits_in_full_pool", restore_pool="crowded")
has_own_pool = lease_dag("has_own_pool", restore_pool="way_back")


@task
def check() -> None:
    """Fail a run before it leases anything."""
    if get_current_context()["run_id"] == "bad":
        raise RuntimeError("this run fails")


with DAG("failures_pause", max_active_runs=2, max_consecutive_failed_dag_runs=1, **COMMON) as failures_pause:
    gpu = gpu_group("acme/failures_pause")
    first = check()
    with gpu:
        first >> batch()

with DAG("group_marked_success", **COMMON) as group_marked_success:
    gpu = gpu_group("acme/group_marked_success")
    with gpu:
        batch()
    again = gpu_group("acme/group_marked_success", "again")
    with again:
        batch("again")
    gpu >> again

with DAG("restore_killed", **COMMON) as restore_killed:

    @task_group
    def each(repo_id: str) -> None:
        """Work on one of several Spaces."""
        with gpu_group(repo_id, restore_retries=1):
            batch(repo_id)

    each.expand(repo_id=["acme/restore_killed", "acme/works_on"])

with DAG("needs_the_space_next", **COMMON) as needs_the_space_next, gpu_group("acme/restore_killed"):
    batch()

with DAG("fills_the_pool", **COMMON) as fills_the_pool:

    @task(pool="crowded", priority_weight=1_000_000)
    def fill(number: int) -> None:
        """Hold the only slot of the pool until the test wants another task to have it."""
        (SIGNALS / f"filler.{number}.works").touch()
        while not (SIGNALS / "filler.next").exists():
            time.sleep(0.2)
        (SIGNALS / "filler.next").unlink()

    fill.expand(number=list(range(FILLERS)))

for dag_id, is_dry in (("janitor", False), ("janitor_looks", True)):
    with DAG(dag_id, **COMMON) as dag:
        RestoreAbandonedLeasesOperator(task_id="leases", author="acme", dry_run=is_dry, retries=0)
    globals()[dag_id] = dag
