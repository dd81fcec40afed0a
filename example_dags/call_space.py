"""Call the app inside a Space: wait until it answers, then send it one text in each mapped task.

The calls wait in the triggerer, so a hundred texts do not need a hundred workers. If an answer is lost
because the app or the triggerer restarts, the call is sent again: this app may be called twice without harm.
The last task calls an app that has a plain HTTP API instead of Gradio.

Requires a connection ``hf_spaces_default`` whose token may read the Spaces. Both may be private.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.operators.app import CallSpaceOperator
from airflow_provider_hfspaces.sensors.spaces import SpaceHealthySensor

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.11
    from airflow import DAG

TEXTS = ["a cat on a sofa", "a dog in the snow", "a bird over the sea"]

with DAG(
    dag_id="call_space",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START howto_sensor_space_healthy]
    ready = SpaceHealthySensor(
        task_id="ready", repo_id="acme/caption", path="/config", expect=200, poke_interval=15, timeout=900
    )
    # [END howto_sensor_space_healthy]

    # [START howto_operator_call_space]
    captions = CallSpaceOperator.partial(
        task_id="captions",
        repo_id="acme/caption",
        api="/predict",
        on_lost="again",
        timeout=600,
        deferrable=True,
    ).expand(inputs=[{"text": text} for text in TEXTS])
    # [END howto_operator_call_space]

    # [START howto_operator_call_space_http]
    index = CallSpaceOperator(
        task_id="index",
        repo_id="acme/search",
        path="/v1/jobs",
        json={"value": "{{ ti.xcom_pull(task_ids='captions') | list | length }}"},
        poll={"interval": 5},
        timeout=600,
        deferrable=True,
    )
    # [END howto_operator_call_space_http]

    ready >> captions >> index
