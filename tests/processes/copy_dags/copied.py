"""One DAG for each way in which the work on a copy of a Space can end."""

from __future__ import annotations

from datetime import timedelta

from copied_work import copy_dag, sweeper_dag

for dag_id in (
    *("all_ok", "work_raises", "work_killed", "work_marked_failed", "work_marked_success"),
    *("run_marked_failed", "run_marked_success", "create_marked_failed", "create_marked_success"),
    *("work_cleared", "only_failed_cleared", "dag_paused", "dag_deleted"),
    *("worker_dies", "create_dies_before", "create_dies_after", "delete_dies_before", "delete_dies_after"),
    *("scheduler_dies", "triggerer_dies", "create_freezes"),
):
    globals()[dag_id] = copy_dag(dag_id)
run_times_out = copy_dag("run_times_out", {"dagrun_timeout": timedelta(seconds=200)})
delete_finds_no_hub = copy_dag("delete_finds_no_hub", delete_retries=0)
paused_and_expired = copy_dag("paused_and_expired", copy_duration=60)
machine_stays_dead = copy_dag("machine_stays_dead", sleep_time=36_000)

# Airflow reads only files in which its name and the word DAG occur.
sweeper = sweeper_dag("sweeper")
sweeper_looks = sweeper_dag("sweeper_looks", dry_run=True)
