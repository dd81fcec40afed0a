"""The Hub rejects the hardware that a lease recorded: the next run still knows what to restore."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
from airflow_provider_hfspaces.hub.desired import RestoreRejected
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.notifications.spaces import RestoreHardwareNotifier
from airflow_provider_hfspaces.operators.hardware.leasing import lease_of_task, undo_request
from airflow_provider_hfspaces.state.records import LEASE
from airflow_provider_hfspaces.state.release import release_lease
from airflow_provider_hfspaces.triggers.undo import restore_after_kill
from tests.lease_tools import SPACE, AirflowWithoutServer, Window, holders

pytestmark = pytest.mark.usefixtures("airflow")

LOG = logging.getLogger("airflow.task")


def restore_by_its_task(window: Window) -> None:
    with pytest.raises(Exception, match="is on cpu-basic, because the Hub rejected cpu-upgrade"):
        window.run("restore")


def restore_by_the_janitor(window: Window) -> None:
    with pytest.raises(RestoreRejected):
        release_lease(HfSpacesHook(), SPACE, force=True)


def restore_after_a_kill_in_a_worker(window: Window) -> None:
    taken, snapshot = window.tasks.xcom("snapshot", LEASE), window.tasks.xcom("snapshot")
    lease = lease_of_task(HfSpacesHook(), SPACE, window.tasks.context(window.upgrade), "snapshot", taken)
    assert lease is not None
    state = SpaceSnapshot.from_dict(snapshot)
    assert not undo_request(HfSpacesHook(), lease[0], state, "t4-small", "the task was killed", LOG)


def restore_after_a_kill_in_the_triggerer(window: Window) -> None:
    (holder,) = holders()
    recorded = {**window.tasks.xcom("snapshot"), "lease_holder": holder.holder_id}
    asyncio.run(restore_after_kill("hf_spaces_default", recorded, LOG))


def restore_by_a_notifier(window: Window) -> None:
    RestoreHardwareNotifier(SPACE).notify({**window.tasks.context(window.upgrade), "run_id": "run"})


WAYS = [
    restore_by_its_task,
    restore_by_the_janitor,
    restore_after_a_kill_in_a_worker,
    restore_after_a_kill_in_the_triggerer,
    restore_by_a_notifier,
]


@pytest.mark.parametrize("restore", WAYS, ids=[way.__name__ for way in WAYS])
def test_the_next_run_restores_the_state_that_the_hub_rejected(
    hub: HubEmulator, airflow: AirflowWithoutServer, restore: Any
) -> None:
    space = hub.add_space(SPACE, hardware="cpu-upgrade", sleep_time=7200)
    window = Window()
    window.run("snapshot", "upgrade")
    hub.faults.add(kind="status", status=402, method="POST", path="/hardware", times=1)
    restore(window)
    assert space.requested_hardware == "cpu-basic"
    airflow.over.add("run")
    Window("next").run("snapshot", "upgrade", "restore")
    assert (space.requested_hardware, space.sleep_time) == ("cpu-upgrade", 7200)
    assert holders() == ()
