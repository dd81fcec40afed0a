"""Prepare a demo in private, launch it under its public name, and retire it.

``launch_demo`` creates the Space under a working name, with everything that the app needs, and launches it:
it turns dev mode off, runs two replicas, gives the Space its final name and makes it public. ``retire_demo``
deletes the Space.

Requires a connection ``hf_spaces_default`` with a token that may create Spaces in the organization, and a
connection ``openai_default`` with the key as its password.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.repository import (
    CreateSpaceOperator,
    DeleteSpaceOperator,
    MoveSpaceOperator,
    SetDevModeOperator,
    SetReplicasOperator,
    SetVisibilityOperator,
)

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

DRAFT = "{{ params.draft }}"
DEMO = "{{ params.demo }}"

COMMON = {
    "schedule": None,
    "start_date": datetime(2026, 1, 1),
    "catchup": False,
    "params": {"draft": "acme/demo-draft", "demo": "acme/demo"},
    "default_args": {"retries": 2},
    "tags": ["hugging face", "spaces"],
    "doc_md": __doc__,
}

with DAG(dag_id="launch_demo", **COMMON) as launch_demo:
    # [START howto_operator_create_space]
    create = CreateSpaceOperator(
        task_id="create",
        repo_id=DRAFT,
        sdk="gradio",
        hardware="cpu-upgrade",
        sleep_time=3600,
        secrets={"OPENAI_API_KEY": "{{ conn.openai_default.password }}"},
        variables={"LANGUAGE": "en"},
    )
    # [END howto_operator_create_space]

    # [START howto_operator_set_dev_mode]
    turn_off_dev_mode = SetDevModeOperator(task_id="turn_off_dev_mode", repo_id=DRAFT, enabled=False)
    # [END howto_operator_set_dev_mode]

    # [START howto_operator_set_replicas]
    two_replicas = SetReplicasOperator(task_id="two_replicas", repo_id=DRAFT, replicas=2)
    # [END howto_operator_set_replicas]

    # [START howto_operator_move_space]
    rename = MoveSpaceOperator(task_id="rename", repo_id=DRAFT, to_id=DEMO)
    # [END howto_operator_move_space]

    # [START howto_operator_set_visibility]
    publish = SetVisibilityOperator(task_id="publish", repo_id=DEMO, visibility="public")
    # [END howto_operator_set_visibility]

    create >> turn_off_dev_mode >> two_replicas >> rename >> publish

with DAG(dag_id="retire_demo", **COMMON) as retire_demo:
    # [START howto_operator_delete_space]
    delete = DeleteSpaceOperator(task_id="delete", repo_id=DEMO, confirm="{{ params.demo }}")
    # [END howto_operator_delete_space]


if __name__ == "__main__":
    launch_demo.test()
