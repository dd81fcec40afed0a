"""Ship an app to a Space, and run tonight's batch on a GPU with exactly that version.

``deploy`` commits the folder ``whisper_app``, if it differs from the Space, and waits until this commit runs
and the app answers. A version that does not build, start or answer is rolled back, and the batch does not
begin. The batch runs while this run has leased the Space, on a GPU, and only at the commit that ``deploy``
returned.

The parameters ``input`` and ``output`` may be local paths or URLs of a storage that Airflow reaches, such as
``s3://aws_default@acme-data/items.jsonl``. With workers on several hosts, use a storage.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space, and on the workers
``pip install 'airflow-provider-hfspaces[deploy]'``.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.operators.deploy import DeploySpaceOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/whisper"


@task
def report(deployment: dict[str, Any], batch: dict[str, Any]) -> str:
    """Summarize the run: what was shipped, what ran on it, and what it cost."""
    text = (
        f"commit {deployment['sha'][:7]}, {deployment['changed_count']} files changed: "
        f"{batch['done']} of {batch['items']} items on {batch['hardware']} in {batch['seconds']:.0f} s"
    )
    if batch["cost_per_thousand_items"] is not None:
        text += f", ${batch['cost_per_thousand_items']:.4f} per thousand items"
    return text


with DAG(
    dag_id="ship_and_batch",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"input": "/tmp/whisper/items.jsonl", "output": "/tmp/whisper"},
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
        stream_logs="both",
        on_failure="rollback",
        retries=2,
    )
    # [END howto_operator_deploy_space]

    # [START ship_and_batch]
    with SpaceHardwareTaskGroup(
        "gpu", repo_id=SPACE, hardware="t4-small", sleep_time=1800, sha=deploy.output["sha"], health=True
    ) as gpu:
        batch = SpaceBatchOperator(
            task_id="batch",
            repo_id=SPACE,
            api="/predict",
            items="{{ params.input }}",
            output="{{ params.output }}",
            max_in_flight=8,
            retries=3,
            retry_delay=timedelta(seconds=30),
        )
    # [END ship_and_batch]

    gpu >> report(deploy.output, batch.output)


if __name__ == "__main__":
    dag.test()
