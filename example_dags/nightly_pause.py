"""Pause Spaces in the evening and bring them back in the morning.

One mapped task per Space: a Space that fails does not keep the others from being paused, and is
tried again by itself. A Space that is paused already in the evening, or runs already in the
morning, is left alone.

Needs a connection ``hf_spaces_default`` with a token that may write to the Spaces.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.operators.lifecycle import PauseSpaceOperator, RestartSpaceOperator

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

SPACES = ["acme/whisper", "acme/diffusion", "acme/demo-api"]

COMMON = {
    "start_date": datetime(2026, 1, 1),
    "catchup": False,
    "default_args": {"retries": 3, "retry_delay": timedelta(minutes=1)},
    "tags": ["hugging face", "spaces"],
    "doc_md": __doc__,
}

with DAG(dag_id="nightly_pause", schedule="0 20 * * *", **COMMON) as evening:
    PauseSpaceOperator.partial(
        task_id="pause",
        map_index_template="{{ task.repo_id }}",
        max_active_tis_per_dagrun=8,
    ).expand(repo_id=SPACES)

with DAG(dag_id="morning_restart", schedule="0 7 * * *", **COMMON) as morning:
    RestartSpaceOperator.partial(
        task_id="restart",
        map_index_template="{{ task.repo_id }}",
        max_active_tis_per_dagrun=8,
        only_if_stopped=True,
        poll_interval=15,
    ).expand(repo_id=SPACES)


if __name__ == "__main__":
    evening.test()
    morning.test()
