"""One DAG for each way in which the work on a copy of a Space can end."""

from __future__ import annotations

from datetime import timedelta

from copied_work import copied, sweeping

for dag_id in (
    *("all_ok", "work_raises", "work_killed", "work_marked_failed", "work_marked_success"),
    *("run_marked_failed", "run_marked_success", "create_marked_failed", "create_marked_success"),
    *("work_cleared", "only_failed_cleared", "dag_paused", "dag_deleted"),
    *("worker_dies", "create_dies_before", "create_dies_after", "delete_dies_before", "delete_dies_after"),
    *("scheduler_dies", "triggerer_dies", "create_freezes"),
):
    globals()[dag_id] = copied(dag_id)
run_times_out = copied("run_times_out", {"dagrun_timeout": timedelta(seconds=200)})
delete_finds_no_hub = copied("delete_finds_no_hub", delete_retries=0)
paused_and_expired = copied("paused_and_expired", copy_duration=60)
machine_stays_dead = copied("machine_stays_dead", sleep_time=36_000)

# Airflow reads only files in which its name and the word DAG occur.
sweeper = sweeping("sweeper")
sweeper_looks = sweeping("sweeper_looks", dry_run=True)
