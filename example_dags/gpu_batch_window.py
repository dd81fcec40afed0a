"""Upgrade a Space to a GPU for one batch, and restore the Space even if a task fails.

The order matters. The setup only records the state of the Space. The upgrade is an ordinary task: if it
fails, the teardown still runs and restores the recorded state. ``sleep_time`` is the last line of defence:
if Airflow can run no task any more, the Hub puts the Space to sleep after an hour without a visitor, and
billing ends.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "{{ params.space }}"

with DAG(
    dag_id="gpu_batch_window",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # A second run would record the GPU of the first run as the hardware to restore.
    max_active_runs=1,
    params={
        "space": "acme/whisper",
        "hardware": "t4-small",
        "batch_size": 40,
        "output": "/tmp/gpu_batch_window",  # with workers on several hosts, use a storage
    },
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
    restore = RestoreHardwareOperator(
        task_id="restore",
        repo_id=SPACE,
        from_task="snapshot",
        retries=5,
        retry_delay=timedelta(seconds=30),
    )

    @task
    def items(params: dict | None = None) -> list[dict]:
        """List the work: here, one text for each item."""
        assert params is not None
        return [{"text": f"item {number}"} for number in range(params["batch_size"])]

    @task
    def report(params: dict | None = None) -> str:
        """Summarize the run. Airflow ignores a failed teardown, so this task also depends on the restore."""
        assert params is not None
        runtime = HfSpacesHook().get_runtime(params["space"])
        return f"{params['space']} is {runtime.stage}, set to {runtime.configured_hardware}"

    to_do = items()

    # Only tasks that are created inside this block belong to the window.
    with restore.as_teardown(setups=snapshot.as_setup()):
        # [START howto_operator_request_hardware]
        upgrade = RequestHardwareOperator(
            task_id="upgrade",
            repo_id=SPACE,
            hardware="{{ params.hardware }}",
            sleep_time=3600,
            max_hourly_cost=1.00,
            poll_interval=5,
        )
        # [END howto_operator_request_hardware]
        batch = SpaceBatchOperator(
            task_id="batch",
            repo_id=SPACE,
            api="/predict",
            items=to_do,
            output="{{ params.output }}/{{ run_id }}",
            hardware="{{ params.hardware }}",
        )
        to_do >> upgrade >> batch

    [batch, restore] >> report()


if __name__ == "__main__":
    dag.test()
