"""Every ten minutes, compare what two owners' Spaces have cost this month with their budgets.

When a budget is spent, each billed Space of that owner gets a sleep time of five minutes, so that it costs
nothing soon after its last visitor. Spaces that a run has leased are left to that run, and Spaces whose names
are excluded keep running. Set ``action`` to ``pause`` to pause the Spaces instead, or to ``report`` to change
nothing.

The amount comes from the Hub's billing if the token may read it; for an organization, the token's owner must
be an admin. Otherwise the amount is an estimate, which is close because the DAG runs often.

Requires a connection ``hf_spaces_default`` with a token that may write to the owners' Spaces.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.budget import EnforceBudgetOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

# [START budget]
BUDGETS = [
    {"author": "acme", "monthly_usd": 500},
    {"author": "acme-research", "monthly_usd": 200},
]

with DAG(
    dag_id="budget",
    schedule="*/10 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"action": "sleep", "keep": ["*-production"]},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_operator_enforce_budget]
    EnforceBudgetOperator.partial(
        task_id="budget",
        action="{{ params.action }}",
        exclude="{{ params.keep }}",
    ).expand_kwargs(BUDGETS)
    # [END howto_operator_enforce_budget]
# [END budget]


if __name__ == "__main__":
    dag.test()
