"""Run every operator and sensor once, one after the other, on one Space."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from airflow_provider_hfspaces.assets import space_asset
from airflow_provider_hfspaces.operators.app import CallSpaceOperator, SpaceBatchOperator
from airflow_provider_hfspaces.operators.deploy import DeploySpaceOperator
from airflow_provider_hfspaces.operators.duplicate import DuplicateSpaceOperator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SetSleepTimeOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.lifecycle import (
    GetSpaceRuntimeOperator,
    PauseSpaceOperator,
    RestartSpaceOperator,
)
from airflow_provider_hfspaces.operators.repository import (
    CreateSpaceOperator,
    DeleteSpaceOperator,
    MoveSpaceOperator,
    SetDevModeOperator,
    SetReplicasOperator,
    SetVisibilityOperator,
)
from airflow_provider_hfspaces.operators.settings import (
    AddSecretOperator,
    AddVariableOperator,
    DeleteSecretOperator,
    DeleteVariableOperator,
)
from airflow_provider_hfspaces.operators.storage import (
    DeleteStorageOperator,
    DeleteVolumesOperator,
    RequestStorageOperator,
    SetVolumesOperator,
)
from airflow_provider_hfspaces.sensors.spaces import SpaceHealthySensor, SpaceRunningSensor, SpaceStageSensor

try:
    from airflow.sdk import DAG, chain
except ImportError:
    from airflow import DAG
    from airflow.models.baseoperator import chain

SPACE = "acme/all"
NEW, MOVED = "acme/all-new", "acme/all-moved"
HOME = Path(__file__).parents[1]

# An app to deploy; Airflow reads this file in several processes.
source = HOME / "shipped"
source.mkdir(exist_ok=True)
(source / "app.py").write_text("print('hello')\n")
(source / "README.md").write_text("---\nsdk: gradio\n---\n")

with DAG(
    dag_id="everything",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    is_paused_upon_creation=False,
    default_args={"execution_timeout": timedelta(minutes=5)},
):
    chain(
        GetSpaceRuntimeOperator(task_id="look", repo_id=SPACE),
        SnapshotSpaceOperator(task_id="snapshot", repo_id=SPACE),
        RequestHardwareOperator(
            task_id="request",
            repo_id=SPACE,
            hardware="t4-small",
            sleep_time=3600,
            deferrable=True,
            poll_interval=1,
            outlets=[space_asset(SPACE)],
        ),
        SpaceRunningSensor(task_id="runs", repo_id=SPACE, hardware="t4-small", poke_interval=1),
        SpaceHealthySensor(task_id="answers", repo_id=SPACE, poke_interval=1, deferrable=True),
        CallSpaceOperator(
            task_id="call", repo_id=SPACE, api="/predict", inputs={"text": "one"}, deferrable=True
        ),
        SpaceBatchOperator(
            task_id="batch",
            repo_id=SPACE,
            api="/predict",
            items=[{"text": "one"}, {"text": "two"}],
            output=str(HOME / "batch"),
        ),
        SetReplicasOperator(task_id="replicas", repo_id=SPACE, replicas=1),
        SetSleepTimeOperator(task_id="sleep_time", repo_id=SPACE, sleep_time=1800),
        AddSecretOperator(task_id="add_secret", repo_id=SPACE, key="KEY", value="sk-5f4dcc3b5aa765d6"),
        DeleteSecretOperator(task_id="delete_secret", repo_id=SPACE, key="KEY"),
        AddVariableOperator(task_id="add_variable", repo_id=SPACE, key="NAME", value="one"),
        DeleteVariableOperator(task_id="delete_variable", repo_id=SPACE, key="NAME"),
        SetVolumesOperator(
            task_id="set_volumes",
            repo_id=SPACE,
            volumes=[{"type": "bucket", "source": "acme/data", "mount_path": "/data"}],
        ),
        DeleteVolumesOperator(task_id="delete_volumes", repo_id=SPACE),
        RequestStorageOperator(task_id="request_storage", repo_id=SPACE, storage="small"),
        DeleteStorageOperator(task_id="delete_storage", repo_id=SPACE),
        # Airflow fails a task that runs again before the scheduler has noticed the end of its last look.
        SpaceRunningSensor(
            task_id="runs_again", repo_id=SPACE, mode="reschedule", poke_interval=15, timeout=240
        ),
        DuplicateSpaceOperator(
            task_id="duplicate",
            from_id=SPACE,
            to_id="acme/all-copy",
            wait=True,
            deferrable=True,
            poll_interval=1,
        ),
        CreateSpaceOperator(task_id="create", repo_id=NEW, sdk="gradio"),
        DeploySpaceOperator(
            task_id="deploy", repo_id=NEW, source=str(source), deferrable=True, poll_interval=1
        ),
        SetVisibilityOperator(task_id="publish", repo_id=NEW, visibility="public"),
        SetDevModeOperator(task_id="no_dev_mode", repo_id=NEW, enabled=False),
        MoveSpaceOperator(task_id="move", repo_id=NEW, to_id=MOVED),
        DeleteSpaceOperator(task_id="delete", repo_id=MOVED, confirm=MOVED),
        RestartSpaceOperator(task_id="restart", repo_id=SPACE, poll_interval=1),
        RestoreHardwareOperator(
            task_id="restore", repo_id=SPACE, from_task="snapshot", wait=True, poll_interval=1
        ),
        PauseSpaceOperator(task_id="pause", repo_id=SPACE),
        SpaceStageSensor(
            task_id="is_paused", repo_id=SPACE, stages=["PAUSED"], deferrable=True, poke_interval=1
        ),
    )
