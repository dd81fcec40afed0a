"""A lease that changes hands between the look at it and the request that follows the look."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.calls import Call
from airflow_provider_hfspaces.hub.desired import plan_restore, restored_state
from airflow_provider_hfspaces.hub.http.client import HubClient
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import (
    LeaseLost,
    SpaceLease,
    Taken,
)
from airflow_provider_hfspaces.hub.lease.guard import LeaseGuard, repair
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, Standing
from airflow_provider_hfspaces.hub.lease.store import LeaseStore
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

SPACE = "acme/whisper"


def over(holder: LeaseHolder) -> Standing:
    return Standing.OVER


def window(client: HubClient, holder_id: str, hardware: str = "t4-small") -> SpaceLease:
    """Take the lease from any present holder, and request hardware under it."""
    lease = SpaceLease(LeaseStore(SPACE), holder_id)
    assert isinstance(execute(lease.take(over), client.send), Taken)
    execute(lease.announce(hardware, 3600), client.send)
    client.send(calls.request_hardware(SPACE, hardware, sleep_time=3600))
    return lease


@pytest.mark.parametrize("stage", ["RUNNING", "PAUSED"])
def test_a_frozen_restore_gives_back_what_it_took_from_the_next_holder(
    hub: HubEmulator, caplog: pytest.LogCaptureFixture, stage: str
) -> None:
    space = hub.add_space(SPACE)
    with HubClient(hub.token, hub.url) as client:
        frozen = window(client, "aa" * 16)

        def send(call: Call[Any]) -> Any:
            if call.path.endswith("/hardware") and space.sleep_time == 3600 and not caplog.records:
                logging.getLogger("test").warning("frozen")
                window(client, "bb" * 16)
            return client.send(call)

        plan = plan_restore(restored_state(SpaceSnapshot(SPACE, stage, "cpu-basic")))
        steps = LeaseGuard(frozen.store, frozen.confirm).run(plan, logging.getLogger("restore"))
        if stage == "PAUSED":
            with pytest.raises(LeaseLost):
                execute(steps, send)
        else:
            execute(steps, send)
    assert (space.requested_hardware, space.sleep_time) == ("t4-small", 3600)
    assert space.stage != "PAUSED"
    assert "the restore removed its hardware. t4-small is requested again" in caplog.text


def test_a_paused_space_of_the_next_holder_is_started_again(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    with HubClient(hub.token, hub.url) as client:
        lease = window(client, "bb" * 16)
        client.send(calls.pause(SPACE))
        (holder,) = execute(lease.record(), client.send).holders
        assert execute(repair(lease.store, holder), client.send)
    assert (space.requested_hardware, space.stage == "PAUSED") == ("t4-small", False)


def test_nothing_is_requested_for_a_holder_that_has_given_the_lease_back(hub: HubEmulator) -> None:
    space = hub.add_space(SPACE)
    with HubClient(hub.token, hub.url) as client:
        lease = window(client, "bb" * 16)
        (holder,) = execute(lease.record(), client.send).holders
        client.send(calls.request_hardware(SPACE, "cpu-basic"))
        execute(lease.give_back(), client.send)
        assert not execute(repair(lease.store, holder), client.send)
    assert space.requested_hardware == "cpu-basic"
