"""Copy a Space, configure the copy, scale it up, and pause it until it is needed.

The copy is private and starts on free CPU. The Hub copies variables but not secrets, so a task adds the
secret. Its value comes from an Airflow connection and appears in no log and on no page.

Requires a connection ``hf_spaces_default`` with a token that may create Spaces for the target's owner, and a
connection ``openai_default`` with the key as its password.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator
from airflow_provider_hfspaces.operators.settings import AddSecretOperator, AddVariableOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceRunningSensor

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

COPY = "{{ params.target }}"

with DAG(
    dag_id="clone_and_scale",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"original": "acme/whisper", "target": "acme/whisper-customer-a"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_duplicate_space]
    duplicate = DuplicateSpaceOperator(
        task_id="duplicate", from_id="{{ params.original }}", to_id=COPY, retries=2
    )
    # [END howto_operator_duplicate_space]
    add_secret = AddSecretOperator(
        task_id="add_secret",
        repo_id=COPY,
        key="OPENAI_API_KEY",
        value="{{ conn.openai_default.password }}",
        description="for the summaries",
    )
    add_variable = AddVariableOperator(
        task_id="add_variable", repo_id=COPY, key="CUSTOMER", value="customer-a"
    )
    scale = RequestHardwareOperator(
        task_id="scale", repo_id=COPY, hardware="cpu-upgrade", sleep_time=1800, wait=False
    )
    # [START howto_sensor_space_running]
    running = SpaceRunningSensor(
        task_id="running",
        repo_id=COPY,
        hardware="cpu-upgrade",
        mode="reschedule",
        poke_interval=15,
        timeout=1800,
    )
    # [END howto_sensor_space_running]
    # [START howto_operator_pause_space]
    pause = PauseSpaceOperator(task_id="pause", repo_id=COPY)
    # [END howto_operator_pause_space]

    duplicate >> add_secret >> add_variable >> scale >> running >> pause


if __name__ == "__main__":
    dag.test()
