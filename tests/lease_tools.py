"""Helpers that read and write leases on the emulated Hub."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub import branches
from airflow_provider_hfspaces.hub.errors import HubConflict
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, LeaseRecord
from airflow_provider_hfspaces.hub.lease.store import lease_branch
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.state.leases import LeaseOwner, lease_store, variable_name
from tests.airflow_runs import AirflowRuns
from tests.airflow_tools import Try
from tests.airflow_variables import AirflowVariables

SPACE = "acme/whisper"


class AirflowWithoutServer(AirflowRuns):
    """Stands in for Airflow's server in tests without one: keeps Variables and knows which runs are over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self.variables = AirflowVariables(monkeypatch)

    def remember(self, holder: LeaseHolder, owner: LeaseOwner) -> None:
        """Save the Variable that names the task of a holder."""
        self.variables[variable_name(holder.holder_id)] = json.dumps(owner.to_dict())


class Window:
    """The three tasks of a run that leases the Space, executed directly instead of by Airflow."""

    def __init__(self, run_id: str = "run", **restore: Any) -> None:
        self.snapshot = SnapshotSpaceOperator(
            task_id="snapshot", repo_id=SPACE, lease=True, lease_timeout=0.2, lease_poll_interval=0.05
        )
        self.upgrade = RequestHardwareOperator(
            task_id="upgrade",
            repo_id=SPACE,
            hardware="t4-small",
            sleep_time=3600,
            lease_task="snapshot",
            poll_interval=0.05,
        )
        self.restore = RestoreHardwareOperator(
            task_id="restore", repo_id=SPACE, from_task="snapshot", **restore
        )
        self.tasks = Try(self.snapshot, self.upgrade, self.restore)
        self.tasks.ti.run_id = run_id

    def run(self, *names: str) -> None:
        for name in names:
            self.tasks.run(getattr(self, name))


def previous_state(repo_id: str = SPACE, hardware: str = "cpu-basic", **more: Any) -> dict[str, Any]:
    """A recorded state, as ``SpaceSnapshot.to_dict()`` describes it."""
    return {"repo_id": repo_id, "stage": "RUNNING", "hardware": hardware, "sleep_time": None, **more}


def hold(
    repo_id: str = SPACE,
    *,
    previous: dict[str, Any] | None = None,
    requested: tuple[str, ...] = ("t4-small",),
    sleep_time: int | None = None,
    hours_left: float = 24,
    abandoned: bool = False,
    holder_id: str = "ab" * 16,
    requested_at: datetime | None = None,
) -> LeaseHolder:
    """Add a holder to the lease of a Space; no Variable of Airflow names its task.

    :param hours_left: hours until the lease expires.
    :param requested_at: when it requested the hardware; by default not known, as in version 0.1.
    """
    now = datetime.now(timezone.utc)
    hook = HfSpacesHook()
    store = lease_store(hook, repo_id)
    record, version = hook.execute(store.read())
    holder = LeaseHolder(
        holder_id=holder_id,
        fence=record.fence + 1,
        since=now - timedelta(hours=1),
        until=now + timedelta(hours=hours_left),
        previous=previous or previous_state(repo_id),
        requested=requested,
        sleep_time=sleep_time,
        abandoned=abandoned,
        requested_at=requested_at,
    )
    new_record = LeaseRecord(repo_id, holder.fence, (*record.holders, holder))
    hook.execute(store.compare_and_set(new_record, version, "Hold the lease"))
    return holder


def write_lease(text: str, repo_id: str = SPACE) -> None:
    """Write a text, valid or not, to the file with the lease of a Space."""
    client = HfSpacesHook().client
    branch = lease_branch(repo_id)
    with suppress(HubConflict):  # the branch exists
        client.send(branches.create_branch(branch))
    head = client.send(branches.get_head(branch))
    client.send(branches.commit_file(branch, "lease.json", text, parent=head, summary="Write"))


def holders(repo_id: str = SPACE) -> tuple[LeaseHolder, ...]:
    """The holders of the lease of a Space."""
    hook = HfSpacesHook()
    record, _ = hook.execute(lease_store(hook, repo_id).read())
    return record.holders
