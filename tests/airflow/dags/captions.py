"""Let the app of a Space describe pictures, one call for each."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.space_app import SpaceApp

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/caption"
PICTURES = ["cat.png", "dog.png"]


@task
def describe() -> list[str]:
    hook = HfSpacesHook()
    token = hook.get_connection(hook.hf_spaces_conn_id).password
    with SpaceApp(SPACE, hook.app_url(SPACE), token) as app:
        return [app.call("/caption", {"picture": picture}).value for picture in PICTURES]


with DAG(dag_id="captions", schedule=None, start_date=datetime(2026, 1, 1), catchup=False) as dag:
    describe()
