"""Every morning, restart the Spaces that have failed, in one mapped task for each Space.

A task lists the Spaces when the DAG runs, and another operator is mapped over the list. A Space that does
not reach RUNNING fails its own task and no other.

Requires a connection ``hf_spaces_default`` with a token that may write to the owner's Spaces.
"""

from __future__ import annotations

from datetime import datetime, timedelta

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
    max_active_runs=1,
    params={"owner": "acme"},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_list_spaces]
    broken = ListSpacesOperator(
        task_id="broken",
        author="{{ params.owner }}",
        stages=["RUNTIME_ERROR", "BUILD_ERROR"],
        # Unpausing the DAG runs its last interval at once: skip it if it is hours late.
        max_lateness=timedelta(hours=1),
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
