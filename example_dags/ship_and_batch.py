"""Ship an app to a Space, and run tonight's batch on a GPU with exactly that version.

``deploy`` commits the folder ``whisper_app``, if it differs from the Space, and waits until this commit runs.
A version that does not build, start or answer is rolled back, and the batch does not begin. The batch runs
while this run has leased the Space, on a GPU, and only at the commit that ``deploy`` returned.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space, and on the workers
``pip install 'airflow-provider-hfspaces[deploy]'``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_hfspaces.operators.deploy import DeploySpaceOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/whisper"


@task
def batch() -> int:
    """Work through the items of the night."""
    return 5000


@task
def report(deployment: dict[str, Any], items: int) -> str:
    """Say what ran on which version."""
    return f"{items} items at commit {deployment['sha'][:7]}, {deployment['changed_count']} files changed"


with DAG(
    dag_id="ship_and_batch",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_deploy_space]
    deploy = DeploySpaceOperator(
        task_id="deploy",
        repo_id=SPACE,
        source="whisper_app",
        delete=True,
        health=True,
        on_failure="rollback",
    )
    # [END howto_operator_deploy_space]

    # [START ship_and_batch]
    with SpaceHardwareTaskGroup(
        "gpu", repo_id=SPACE, hardware="t4-small", sleep_time=1800, sha=deploy.output["sha"]
    ) as gpu:
        items = batch()
    # [END ship_and_batch]

    report(deploy.output, items)


if __name__ == "__main__":
    dag.test()
