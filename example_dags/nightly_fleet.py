"""Pause paid Spaces at night, restart exactly those in the morning, and report what the nights have saved.

At 20:00 every Space of an owner that runs on paid hardware is paused, except those whose names are excluded.
The paused Spaces are recorded under a name, across days and runs. At 7:00, these Spaces are restarted:
not Spaces that were paused before, and not Spaces that a user has restarted, deleted or changed since. Then
a page is written that shows what all Spaces cost and what the nights have saved.

Unpausing these DAGs is safe at any time of day: Airflow then runs their last interval at once, and
``max_lateness`` skips a run that is hours late.

Requires a connection ``hf_spaces_default`` with a token that may write to the owner's Spaces.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.cost import SpacesCostReportOperator
from airflow_provider_hfspaces.operators.fleet import PauseSpacesOperator, RestartSpacesOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

COMMON = {
    "start_date": datetime(2026, 1, 1),
    "catchup": False,
    "max_active_runs": 1,
    "params": {
        "owner": "acme",
        "keep": ["*-production"],
        "page": f"{os.environ.get('AIRFLOW_HOME', '~/airflow')}/reports/spaces.html",
    },
    "default_args": {"retries": 3, "retry_delay": timedelta(minutes=1)},
    "tags": ["hugging face", "spaces"],
    "doc_md": __doc__,
}

# [START evening]
with DAG(dag_id="nightly_pause", schedule="0 20 * * *", **COMMON) as evening:
    pause = PauseSpacesOperator(
        task_id="pause",
        author="{{ params.owner }}",
        billed_only=True,
        exclude="{{ params.keep }}",
        report_to="nightly",
        # At noon, the run of last night would pause Spaces that people work with.
        max_lateness=timedelta(hours=1),
    )
# [END evening]

# [START morning]
with DAG(dag_id="morning_restart", schedule="0 7 * * *", **COMMON) as morning:
    restart = RestartSpacesOperator(task_id="restart", report_from="nightly", max_lateness=timedelta(hours=3))
    SpacesCostReportOperator(
        task_id="report",
        author="{{ params.owner }}",
        path="{{ params.page }}",
        savings=restart.output,
        # Write the page although a Space failed to restart, or the run was late.
        trigger_rule="all_done",
    )
# [END morning]


if __name__ == "__main__":
    evening.test()
    morning.test()
