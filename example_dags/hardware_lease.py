"""A GPU for the length of some tasks, and never longer: the same for several Spaces.

``SpaceHardwareTaskGroup`` leases a Space to this run, puts it on a GPU for the tasks inside, and puts
back hardware, sleep time and pause as they were, whatever happens to them. Where Airflow itself can
run nothing any more, ``sleep_time`` ends the bill: the Hub puts the Space to sleep after half an
hour without a visitor.

Two runs of this DAG may overlap: the second waits for each Space until the first has given it back.

Needs a connection ``hf_spaces_default`` with a token that may write to the Spaces.
"""

from __future__ import annotations

from datetime import datetime

import requests

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.require import require_hardware
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task, task_group

SPACES = ["acme/whisper", "acme/diffusion"]
HARDWARE = "t4-small"


@task
def batch(space: str) -> int:
    """The work: refuses to run alone, which a clear of failed tasks would have it do."""
    require_hardware(space, HARDWARE)
    host = HfSpacesHook().get_space(space).host
    answer = requests.get(f"{host}/", timeout=60)
    answer.raise_for_status()
    return answer.status_code


@task
def report(answers: list[int]) -> str:
    """Runs when all Spaces are back, and not if any work or way back has failed."""
    return f"{len(list(answers))} Spaces have worked and are back"


with DAG(
    dag_id="hardware_lease",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    catchup=False,
    tags=["hugging face", "spaces"],
    doc_md=__doc__,
) as dag:
    # [START hardware_lease]
    @task_group
    def on_a_gpu(space: str) -> int:
        with SpaceHardwareTaskGroup(
            "gpu",
            repo_id=space,
            hardware=HARDWARE,
            sleep_time=1800,
            max_hourly_cost=1.00,
            poll_interval=5,
        ):
            return batch(space)

    answers = on_a_gpu.expand(space=SPACES)
    # [END hardware_lease]
    answers >> report(answers)


if __name__ == "__main__":
    dag.test()
