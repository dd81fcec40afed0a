"""Pause what costs money at night, bring exactly that back in the morning, and say what it has saved.

At 20:00 all Spaces of an owner that run on paid hardware are paused, but for those that have to go on.
What was paused is kept under a name, across days and runs. At 7:00 exactly these come back: not those
that were paused before, and not those that somebody has started, deleted or changed meanwhile. Then a
page is written that shows what all Spaces cost and what the nights have saved.

Needs a connection ``hf_spaces_default`` with a token that may write to the owner's Spaces.
"""

from __future__ import annotations

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
        "page": "/opt/airflow/reports/spaces.html",
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
    )
# [END evening]

# [START morning]
with DAG(dag_id="morning_restart", schedule="0 7 * * *", **COMMON) as morning:
    restart = RestartSpacesOperator(task_id="restart", report_from="nightly")
    SpacesCostReportOperator(
        task_id="report",
        author="{{ params.owner }}",
        path="{{ params.page }}",
        savings=restart.output,
        # One Space that does not come back is no reason to have no page.
        trigger_rule="all_done",
    )
# [END morning]


if __name__ == "__main__":
    evening.test()
    morning.test()
