"""Every morning: start what has failed, one mapped task for each Space.

A list of Spaces is made when the DAG runs, and another operator is mapped over it. A Space that does not
come back fails its own task, and no other.

Needs a connection ``hf_spaces_default`` with a token that may write to the owner's Spaces.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.fleet import ListSpacesOperator
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

with DAG(
    dag_id="restart_broken",
    schedule="0 7 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    params={"owner": "acme"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_list_spaces]
    broken = ListSpacesOperator(
        task_id="broken", author="{{ params.owner }}", stages=["RUNTIME_ERROR", "BUILD_ERROR"]
    )
    # [START howto_operator_restart_space]
    RestartSpaceOperator.partial(
        task_id="restart",
        map_index_template="{{ task.repo_id }}",
        factory_reboot=True,
        deferrable=True,
    ).expand(repo_id=broken.output)
    # [END howto_operator_restart_space]
    # [END howto_operator_list_spaces]


if __name__ == "__main__":
    dag.test()
