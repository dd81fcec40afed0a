"""The first DAG: a Space on a GPU for the length of one task.

Needs a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

# [START first_space]
from __future__ import annotations

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)

SPACE = "acme/whisper"

with DAG("first_space", schedule=None, max_active_runs=1) as dag:
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE).as_setup()
    restore = RestoreHardwareOperator(task_id="restore", repo_id=SPACE, from_task="snapshot", retries=5)

    @task
    def work() -> str:
        return f"{SPACE} is on a GPU now"

    with restore.as_teardown(setups=snapshot):
        # [START howto_operator_request_hardware]
        upgrade = RequestHardwareOperator(
            task_id="upgrade",
            repo_id=SPACE,
            hardware="t4-small",
            sleep_time=3600,
            max_hourly_cost=1.00,
            poll_interval=5,
        )
        # [END howto_operator_request_hardware]
        upgrade >> work()
# [END first_space]
