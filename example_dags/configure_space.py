"""Bring a Space's settings up to date: sleep time, variables, secrets, volumes.

Each change of a variable, a secret or a volume restarts the Space, so the last task waits until the Space
runs again. All tasks can be repeated safely.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space, and a connection
``openai_default`` with the key as its password.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.hardware import SetSleepTimeOperator
from airflow_provider_hfspaces.operators.lifecycle import GetSpaceRuntimeOperator
from airflow_provider_hfspaces.operators.settings import (
    AddSecretOperator,
    AddVariableOperator,
    DeleteSecretOperator,
    DeleteVariableOperator,
)
from airflow_provider_hfspaces.operators.storage import SetVolumesOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceStageSensor

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACE = "{{ params.space }}"

with DAG(
    dag_id="configure_space",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"space": "acme/whisper", "language": "de"},
    default_args={"retries": 2},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_get_space_runtime]
    read_runtime = GetSpaceRuntimeOperator(task_id="read_runtime", repo_id=SPACE)
    # [END howto_operator_get_space_runtime]

    # [START howto_operator_set_sleep_time]
    sleep_time = SetSleepTimeOperator(task_id="sleep_time", repo_id=SPACE, sleep_time=1800)
    # [END howto_operator_set_sleep_time]

    # [START howto_operator_add_variable]
    language = AddVariableOperator(
        task_id="language", repo_id=SPACE, key="LANGUAGE", value="{{ params.language }}"
    )
    # [END howto_operator_add_variable]

    # [START howto_operator_delete_variable]
    delete_debug = DeleteVariableOperator(task_id="delete_debug", repo_id=SPACE, key="DEBUG")
    # [END howto_operator_delete_variable]

    # [START howto_operator_add_secret]
    add_key = AddSecretOperator(
        task_id="add_key",
        repo_id=SPACE,
        key="OPENAI_API_KEY",
        value="{{ conn.openai_default.password }}",
        description="for the summaries",
    )
    # [END howto_operator_add_secret]

    # [START howto_operator_delete_secret]
    delete_old_key = DeleteSecretOperator(task_id="delete_old_key", repo_id=SPACE, key="OPENAI_KEY")
    # [END howto_operator_delete_secret]

    # [START howto_operator_set_volumes]
    volumes = SetVolumesOperator(
        task_id="volumes",
        repo_id=SPACE,
        volumes=[{"type": "bucket", "source": "acme/recordings", "mount_path": "/data", "read_only": True}],
    )
    # [END howto_operator_set_volumes]

    # [START howto_sensor_space_stage]
    wait = SpaceStageSensor(
        task_id="wait",
        repo_id=SPACE,
        stages=["RUNNING", "SLEEPING"],
        mode="reschedule",
        poke_interval=15,
        timeout=1800,
    )
    # [END howto_sensor_space_stage]

    read_runtime >> sleep_time >> language >> delete_debug >> add_key >> delete_old_key >> volumes >> wait


if __name__ == "__main__":
    dag.test()
