"""Measure how long a Space takes to respond on each of two GPUs, and then restore the Space.

``SpaceHardwareTaskGroup`` requests one flavor of hardware, so this DAG has its own setup and teardown. The
setup only records the state of the Space. The upgrades are ordinary tasks: if one fails, the teardown still
runs and restores the recorded state.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
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
GPUS = ("t4-small", "t4-medium")


@task
def measure(params: dict | None = None) -> dict:
    """Call the app once. Returns the hardware and the seconds."""
    assert params is not None
    hook = HfSpacesHook()
    with hook.open_app(params["space"]) as app:
        app.describe()
        began = time.monotonic()
        app.call("/predict", {"text": "hello"}, timeout=600)
        seconds = round(time.monotonic() - began, 3)
    return {"hardware": hook.get_runtime(params["space"]).hardware, "seconds": seconds}


with DAG(
    dag_id="compare_hardware",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"space": "acme/whisper"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_snapshot_space]
    snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE)
    # [END howto_operator_snapshot_space]

    # [START howto_operator_restore_hardware]
    restore = RestoreHardwareOperator(
        task_id="restore",
        repo_id=SPACE,
        from_task="snapshot",
        fallback="cpu-basic",
        retries=5,
        retry_delay=timedelta(seconds=30),
    )
    # [END howto_operator_restore_hardware]

    # [START howto_window_by_hand]
    # Only tasks that are created inside this block belong to the window.
    with restore.as_teardown(setups=snapshot.as_setup()):
        before = None
        for gpu in GPUS:
            upgrade = RequestHardwareOperator(
                task_id=f"to_{gpu}",
                repo_id=SPACE,
                hardware=gpu,
                sleep_time=3600,
                max_hourly_cost=1.00,
                timeout=1800,
            )
            measured = measure.override(task_id=f"measure_{gpu}")()
            if before is not None:
                before >> upgrade
            upgrade >> measured
            before = measured
    # [END howto_window_by_hand]


if __name__ == "__main__":
    dag.test()
