"""Restart a Space whenever its app fails, without asking on a schedule (Airflow 3).

A trigger watches the Space from the triggerer. When it enters RUNTIME_ERROR, Airflow starts this DAG,
which builds the Space anew and waits until it runs.

Needs a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator

try:
    from airflow.sdk import DAG, AssetWatcher, task
except ImportError:
    pass  # Airflow 2.11 has no asset watchers: there is no DAG then
else:
    from airflow_provider_hfspaces.assets import space_asset
    from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger

    # [START howto_trigger_space_event]
    SPACE = "acme/whisper"
    broken = AssetWatcher(
        name="whisper_broken",
        trigger=SpaceEventTrigger(repo_id=SPACE, stages=["RUNTIME_ERROR"]),
    )
    whisper = space_asset(SPACE, watchers=[broken])
    # [END howto_trigger_space_event]

    with DAG(
        dag_id="restart_on_error",
        # [START howto_schedule_on_space]
        schedule=[whisper],
        # [END howto_schedule_on_space]
        start_date=datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=1,
        tags=["hugging face", "spaces"],
        doc_md=__doc__,
    ) as dag:

        @task
        def tell(triggering_asset_events: dict | None = None) -> list[str]:
            """What has happened, in the Hub's words."""
            events = [event for each in (triggering_asset_events or {}).values() for event in each]
            return [str(event.extra) for event in events]

        # [START howto_operator_restart_space]
        restart = RestartSpaceOperator(
            task_id="restart", repo_id=SPACE, factory_reboot=True, timeout=1800, deferrable=True
        )
        # [END howto_operator_restart_space]

        tell() >> restart
