"""The first DAG: a Space on a GPU for the length of one task.

Requires a connection ``hf_spaces_default`` with a token that may write to the Space.
"""

# [START first_space]
from __future__ import annotations

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

SPACE = "acme/whisper"


@task
def work() -> str:
    return f"{SPACE} is on a GPU now"


with DAG("first_space", schedule=None) as dag:
    with SpaceHardwareTaskGroup("gpu", repo_id=SPACE, hardware="t4-small", sleep_time=3600):
        work()
# [END first_space]
