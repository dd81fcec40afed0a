"""Every Monday, write a page that shows what an owner's Spaces cost, and which Spaces look forgotten.

The amounts are estimates from the Hub's list prices. The page is one file and loads nothing from elsewhere.
Its path may be local, or a URL of a storage that Airflow reaches.

Requires a connection ``hf_spaces_default`` with a token that can read the owner's Spaces.
"""

from __future__ import annotations

import os
from datetime import datetime

from airflow_provider_hfspaces.operators.cost import SpacesCostReportOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

with DAG(
    dag_id="cost_report",
    schedule="0 8 * * MON",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # Each report reads the history from the one before.
    max_active_runs=1,
    params={
        "owner": "acme",
        "page": f"{os.environ.get('AIRFLOW_HOME', '~/airflow')}/reports/spaces.html",
    },
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_spaces_cost_report]
    report = SpacesCostReportOperator(
        task_id="report",
        author="{{ params.owner }}",
        path="{{ params.page }}",
        exclude=["*-production"],
    )
    # [END howto_operator_spaces_cost_report]


if __name__ == "__main__":
    dag.test()
