"""Wait until the app of a Space answers.

Requires a connection ``hf_spaces_default`` whose token may read the Space.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.sensors.spaces import SpaceHealthySensor

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

with DAG(
    dag_id="call_space",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["hugging face"],
    doc_md=__doc__,
) as dag:
    # [START howto_sensor_space_healthy]
    ready = SpaceHealthySensor(
        task_id="ready", repo_id="acme/caption", path="/", expect=200, poke_interval=15, timeout=900
    )
    # [END howto_sensor_space_healthy]
