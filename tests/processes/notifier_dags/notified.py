"""DAGs that fail or miss a deadline, with notifiers in every place where Airflow runs them."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta

from airflow_provider_hfspaces.notifications.spaces import PauseSpaceNotifier, RestoreHardwareNotifier
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task
try:
    from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference
except ImportError:
    AsyncCallback = None
try:
    from airflow.sdk import SyncCallback
except ImportError:
    SyncCallback = None

COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "is_paused_upon_creation": False}
CONN = {"hf_spaces_conn_id": "in_the_database"}
LATE = timedelta(seconds=45)


@task
def fail() -> None:
    """Fail, so that Airflow calls the notifier."""
    raise RuntimeError("this is what went wrong")


@task
def work_past_the_deadline() -> None:
    """Run past the deadline, until the Airflow that runs this task ends."""
    runner = os.getppid()
    while os.getppid() == runner:
        time.sleep(1)


def upgrade(repo_id: str) -> RequestHardwareOperator:
    return RequestHardwareOperator(
        task_id="upgrade", repo_id=repo_id, hardware="t4-small", wait=False, **CONN
    )


with DAG(dag_id="task_pauses", params={"name": "task-pauses"}, **COMMON):
    fail.override(on_failure_callback=PauseSpaceNotifier("acme/{{ params.name }}", **CONN))()

with DAG(dag_id="task_restores", **COMMON):
    (
        upgrade("acme/task-restores")
        >> fail.override(on_failure_callback=[RestoreHardwareNotifier("acme/task-restores", **CONN)])()
    )

with DAG(
    dag_id="dag_restores",
    on_failure_callback=RestoreHardwareNotifier("acme/dag-restores", **CONN),
    **COMMON,
):
    upgrade("acme/dag-restores") >> fail()

with DAG(
    dag_id="dag_restores_leased",
    on_failure_callback=RestoreHardwareNotifier("acme/dag-restores-leased", **CONN),
    **COMMON,
):
    fail()

if AsyncCallback is not None:

    def late(callback: object) -> dict[str, object]:
        alert = DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, LATE, callback)
        return {"deadline": alert, **COMMON}

    with DAG(
        dag_id="late_restores",
        **late(
            AsyncCallback(
                RestoreHardwareNotifier,
                kwargs={"repo_id": "acme/{{ run_id }}-late-restores", "from_task": "upgrade", **CONN},
            )
        ),
    ):
        upgrade("acme/run-late-restores") >> work_past_the_deadline()

    with DAG(
        dag_id="late_pauses",
        **late(
            AsyncCallback(PauseSpaceNotifier, kwargs={"repo_id": "acme/{{ dag_run.conf['name'] }}", **CONN})
        ),
    ):
        work_past_the_deadline()

if SyncCallback is not None:
    # A synchronous callback can read only connections in the environment.
    ENVIRONMENT = {"hf_spaces_conn_id": "in_the_environment"}

    with DAG(
        dag_id="late_pauses_in_executor",
        **late(SyncCallback(PauseSpaceNotifier, kwargs={"repo_id": "acme/late-sync-pauses", **ENVIRONMENT})),
    ):
        work_past_the_deadline()

    with DAG(
        dag_id="late_restores_in_executor",
        **late(
            SyncCallback(
                RestoreHardwareNotifier,
                kwargs={"repo_id": "acme/late-sync-restores", "from_task": "upgrade", **ENVIRONMENT},
            )
        ),
    ):
        upgrade("acme/late-sync-restores") >> work_past_the_deadline()

    with DAG(
        dag_id="late_refused_in_executor",
        **late(SyncCallback(PauseSpaceNotifier, kwargs={"repo_id": "acme/late-sync-refused", **CONN})),
    ):
        work_past_the_deadline()
