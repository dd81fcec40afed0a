"""Run a batch of calls on a GPU: lease the Space, send it the items of a file, report what it cost.

``SpaceHardwareTaskGroup`` leases the Space to this run, puts it on a GPU for the batch, and restores it
afterwards, whatever happens to the batch. ``SpaceBatchOperator`` sends each line of a JSON Lines file to the
app and writes the answers to a folder. If a worker dies, a retry continues where the batch stopped, and so
does a new run with the same items and the same folder.

The parameters ``input`` and ``output`` may be local paths or URLs of a storage that Airflow reaches, such as
``s3://aws_default@acme-data/images.jsonl``. With workers on several hosts, use a storage.

Requires a connection ``hf_spaces_default`` whose token has write access to the Space, which may be private.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/caption"


@task
def report(batch: dict) -> str:
    """Summarize the run. Runs when the Space is back on its own hardware."""
    text = f"{batch['done']} of {batch['items']} items on {batch['hardware']} in {batch['seconds']:.0f} s"
    if batch["cost_per_thousand_items"] is not None:
        text += f", ${batch['cost_per_thousand_items']:.4f} per thousand items"
    return f"{text}: {batch['results']}"


with DAG(
    dag_id="batch_on_gpu",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"input": "/tmp/captions/items.jsonl", "output": "/tmp/captions"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_space_batch]
    with SpaceHardwareTaskGroup("gpu", SPACE, "t4-small", sleep_time=1800, poll_interval=5) as gpu:
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
    gpu >> report(batch.output)
    # [END howto_operator_space_batch]


if __name__ == "__main__":
    dag.test()
