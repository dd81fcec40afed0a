"""Every hour: what is set to paid hardware without a sleep time, or with too long a one, gets one.

Then nobody has to remember to turn a GPU off: an hour after its last visitor the Hub puts the Space to
sleep, and billing ends. A Space that has to stay awake is excluded by its name.

Needs a connection ``hf_spaces_default`` with a token that may write to the owner's Spaces.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.fleet import EnforceSleepTimeOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

# [START guard]
with DAG(
    dag_id="cost_guard",
    schedule="@hourly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"owner": "acme", "keep": ["*-production"], "max_sleep_time": 3600},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    EnforceSleepTimeOperator(
        task_id="sleep_times",
        author="{{ params.owner }}",
        exclude="{{ params.keep }}",
        max_sleep_time="{{ params.max_sleep_time }}",
    )
# [END guard]


if __name__ == "__main__":
    dag.test()
