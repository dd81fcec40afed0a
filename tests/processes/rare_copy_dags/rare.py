"""Airflow DAGs for what rarely happens to the copy of a Space, each with a name that says what happens."""

from __future__ import annotations

from copied_work import copy_dag, sweeper_dag

for dag_id in (
    *("create_cleared", "only_failed_cleared", "create_thaws", "answer_lost", "request_lost"),
    *("token_rejected_once", "copy_renamed", "copy_published"),
):
    globals()[dag_id] = copy_dag(dag_id)
token_rejected = copy_dag("token_rejected", delete_retries=1)
airflow_silent = copy_dag("airflow_silent", copy_duration=60)

# The second minute on a t4-small takes the cost of a run to $0.0133.
too_much = copy_dag("too_much", max_run_cost=0.008)
enough = copy_dag("enough", max_run_cost=5.0)

sweeper = sweeper_dag("sweeper")
