"""Run a nightly batch on the first GPU that is available, below a maximum price.

The Hub may have no L4 left tonight. ``hardware`` is therefore a list in order of preference:
``SpaceHardwareTaskGroup`` requests the next flavor when the Hub has no capacity for one, and never two
flavors at once. It requests no flavor above ``max_hourly_cost``. If no flavor is available, the Space is
restored, and the list starts again every 15 minutes until three in the morning, without a worker.

Requires a connection ``hf_spaces_default`` whose token has write access to the Space, and a triggerer.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.hardware import any_hardware
from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/caption"


@task
def report(runtime: dict, batch: dict) -> str:
    """Report which hardware ran the batch. Runs when the Space is back on its own hardware."""
    return f"{batch['done']} of {batch['items']} items on {runtime['hardware']}: {batch['results']}"


with DAG(
    dag_id="gpu_with_fallback",
    schedule="0 22 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"input": "/tmp/captions/items.jsonl", "output": "/tmp/captions"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_hardware_list]
    with SpaceHardwareTaskGroup(
        "gpu",
        SPACE,
        hardware=["l4x1", "a10g-small", any_hardware(vram_gb=16)],
        max_hourly_cost=1.50,
        retry_capacity_after=15 * 60,
        retry_capacity_until="03:00",
        sleep_time=1800,
        poll_interval=5,
        deferrable=True,
    ) as gpu:
        batch = SpaceBatchOperator(
            task_id="batch",
            repo_id=SPACE,
            api="/predict",
            items="{{ params.input }}",
            output="{{ params.output }}",
        )
    gpu >> report(gpu.upgrade.output, batch.output)
    # [END howto_hardware_list]


if __name__ == "__main__":
    dag.test()
