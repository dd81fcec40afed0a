"""Run a batch on a GPU, on several Spaces, and restore each Space whatever happens to its batch.

``SpaceHardwareTaskGroup`` leases each Space to this run, puts it on a GPU for the tasks inside, and
then restores its hardware, its sleep time and its pause. The tasks inside run only while the Space is
on the GPU. If Airflow itself can run no task any more, ``sleep_time`` ends the bill: the Hub puts
the Space to sleep after half an hour without a visitor.

When a run has cost $5 on a Space, the task ``limit`` restores the Space and fails the run.

Runs of this DAG may overlap: the second run waits for each Space until the first one ends its lease.

Requires a connection ``hf_spaces_default`` whose token has write access to the Spaces.
"""

from __future__ import annotations

from datetime import datetime

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task, task_group
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task, task_group

SPACES = ["acme/whisper", "acme/diffusion"]


@task
def batch(space: str) -> str:
    """Call the app: the work that needs the GPU. For many calls, see ``batch_on_gpu.py``."""
    with HfSpacesHook().open_app(space) as app:
        return app.call("/predict", {"text": "hello"}, timeout=600).value


@task
def report(answers: list[str]) -> str:
    """Summarize the run. Runs when all Spaces are restored, and not if a batch or a restore failed."""
    return f"{len(list(answers))} Spaces worked and are restored"


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
    def on_a_gpu(space: str) -> str:
        with SpaceHardwareTaskGroup(
            "gpu",
            repo_id=space,
            hardware="t4-small",
            sleep_time=1800,
            max_hourly_cost=1.00,
            max_run_cost=5.00,
            poll_interval=5,
        ):
            return batch(space)

    answers = on_a_gpu.expand(space=SPACES)
    # [END hardware_lease]
    answers >> report(answers)


if __name__ == "__main__":
    dag.test()
