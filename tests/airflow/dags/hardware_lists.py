"""Lists of hardware in task groups, in templates and in mapped tasks."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_hfspaces.hardware import any_hardware
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.operators.hardware import RequestHardwareOperator
from airflow_provider_hfspaces.state.leases import lease_store
from airflow_provider_hfspaces.task_groups.copies import SpaceCopyTaskGroup
from airflow_provider_hfspaces.task_groups.hardware import SpaceHardwareTaskGroup

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2.11
    from airflow import DAG
    from airflow.decorators import task

SPACE = "acme/whisper"
LIST = ["l4x1", "a10g-small", "t4-small"]
COMMON = {"schedule": None, "start_date": datetime(2026, 1, 1), "catchup": False}
QUICK = {"retry_delay": timedelta(0), "retries": 0, "sleep_time": 360_000}


@task
def requested_under_the_lease() -> list[str]:
    """The hardware in the record of the Space's lease."""
    hook = HfSpacesHook()
    record, _ = hook.execute(lease_store(hook, SPACE).read())
    return list(record.current.requested)


@task
def move_to(hardware: str) -> None:
    HfSpacesHook().request_hardware(SPACE, hardware)


with DAG("listed", **COMMON) as listed, SpaceHardwareTaskGroup("gpu", SPACE, LIST, **QUICK):
    requested_under_the_lease()


with (
    DAG("listed_by_param", params={"hardware": LIST}, **COMMON) as listed_by_param,
    SpaceHardwareTaskGroup("gpu", SPACE, "{{ params.hardware }}", lease=False, **QUICK),
):
    move_to("t4-small") >> requested_under_the_lease()


with DAG("listed_and_mapped", **COMMON) as listed_and_mapped:
    RequestHardwareOperator.partial(task_id="upgrade", repo_id=SPACE, poll_interval=1).expand(
        hardware=[["l4x1", "t4-small"], any_hardware(vram_gb=40)]
    )


with (
    DAG("listed_for_a_copy", **COMMON) as listed_for_a_copy,
    SpaceCopyTaskGroup("copy", SPACE, LIST, health=None, retries=0, deferrable=True) as copy,
):

    @task
    def on(space: str) -> str | None:
        return HfSpacesHook().get_runtime(space).hardware

    on(copy.repo_id)
