"""Start a DAG whenever a Space fails; watch a second Space that never fails."""

from __future__ import annotations

from datetime import datetime

try:
    from airflow.sdk import DAG, AssetWatcher, task
except ImportError:
    pass  # Airflow 2.11 has no asset watchers
else:
    from airflow_provider_hfspaces.assets import space_asset
    from airflow_provider_hfspaces.triggers.events import SpaceEventTrigger

    failing = [
        space_asset(
            repo_id,
            watchers=[
                AssetWatcher(
                    name=repo_id,
                    trigger=SpaceEventTrigger(repo_id=repo_id, stages=["RUNTIME_ERROR"], poll_interval=1),
                )
            ],
        )
        for repo_id in ("acme/fragile", "acme/sturdy")
    ]

    with DAG(
        dag_id="on_error",
        schedule=failing[:1],
        start_date=datetime(2026, 1, 1),
        is_paused_upon_creation=False,
    ):

        @task
        def tell(triggering_asset_events: dict | None = None) -> str:
            assert triggering_asset_events
            (events,) = triggering_asset_events.values()
            return str(events[0].extra)

        tell()

    with DAG(
        dag_id="on_other_error",
        schedule=failing[1:],
        start_date=datetime(2026, 1, 1),
        is_paused_upon_creation=False,
    ):

        @task
        def stay_silent() -> None:
            """Never runs, since this Space does not fail."""

        stay_silent()
