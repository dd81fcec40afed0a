"""Run a batch on a private copy of a Space, so that the batch does not disturb the visitors of the Space.

``SpaceCopyTaskGroup`` makes the copy in one request, on a GPU, with a sleep time and a secret of its own,
waits until its app answers, and deletes it afterwards, whatever happens to the batch. Each run has its own
copy: concurrent runs do not wait for each other.

The last task deletes copies that an earlier run left behind, for example because its host died.
``cost_guard.py`` does this every ten minutes for all DAGs.

The Hub copies the files and the variables of a Space, but never its secrets. Store the
secrets that the app needs in Airflow: here in the Variable ``caption_token``, or in a connection or a secrets
backend.

Requires a connection ``hf_spaces_default`` whose token may create and delete Spaces of the owner that
``to_id`` names.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.operators.copies import DeleteCopiesOperator
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACE = "acme/caption"

with DAG(
    dag_id="batch_on_a_copy",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"input": "/tmp/captions/items.jsonl", "output": "/tmp/captions"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START copy_group]
    with SpaceCopyTaskGroup(
        "gpu",
        repo_id=SPACE,
        hardware="t4-small",
        sleep_time=1800,
        secrets={"HF_TOKEN": "{{ var.value.caption_token }}"},
        to_id="acme/caption-batch",
        poll_interval=5,
    ) as copy:
        SpaceBatchOperator(
            task_id="batch",
            repo_id=copy.repo_id,
            api="/predict",
            items="{{ params.input }}",
            output="{{ params.output }}",
            max_in_flight=8,
            retries=3,
            retry_delay=timedelta(seconds=30),
        )
    # [END copy_group]
    # [START howto_operator_delete_copies]
    left_behind = DeleteCopiesOperator(task_id="left_behind", author="acme", include="caption-batch-*")
    # [END howto_operator_delete_copies]
    copy >> left_behind


if __name__ == "__main__":
    dag.test()
