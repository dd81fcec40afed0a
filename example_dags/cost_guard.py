"""Every ten minutes, clean up after crashed runs, and limit the sleep time of all other Spaces.

The first task finds leases whose run is over, whose DAG is paused or gone, or which have expired, and
restores their Spaces. The second deletes the copies of runs that have ended without deleting them. The third
gives each Space on paid hardware a sleep time if the Space has none, or shortens one that is too long.

Nobody has to remember to turn off a GPU: an hour after the last visitor, the Hub puts the Space to sleep and
billing ends. Exclude Spaces that have to stay awake by their names.

The guard acts at every time of the day, so its first run after the DAG is unpaused acts at once. Set
``dry_run=True`` first to see what it would change.

Requires a connection ``hf_spaces_default`` with a token that may write to the owner's Spaces.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.copies import DeleteCopiesOperator
from airflow_provider_hfspaces.operators.fleet import EnforceSleepTimeOperator
from airflow_provider_hfspaces.operators.leases import RestoreAbandonedLeasesOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

# [START guard]
with DAG(
    dag_id="cost_guard",
    schedule="*/10 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"owner": "acme", "keep": ["*-production"], "max_sleep_time": 3600},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_restore_abandoned_leases]
    RestoreAbandonedLeasesOperator(task_id="leases", author="{{ params.owner }}")
    # [END howto_operator_restore_abandoned_leases]
    DeleteCopiesOperator(task_id="copies", author="{{ params.owner }}")
    EnforceSleepTimeOperator(
        task_id="sleep_times",
        author="{{ params.owner }}",
        exclude="{{ params.keep }}",
        max_sleep_time="{{ params.max_sleep_time }}",
    )
# [END guard]


if __name__ == "__main__":
    dag.test()
