"""The log of a Space that failed is shown if it can be read, and never delays the error itself."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
from airflow_provider_hfspaces.operators.lifecycle import RestartSpaceOperator
from tests.airflow_tools import Try

SPACE = "acme/whisper"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_log_that_cannot_be_read_is_asked_for_once(hub: HubEmulator, status: int) -> None:
    hub.add_space(SPACE, hardware="t4-small").fail_next_build()
    hub.faults.add(kind="status", path="/logs/", status=status)
    with pytest.raises(SpaceWaitFailed):
        Try().run(RestartSpaceOperator(task_id="restart", repo_id=SPACE, poll_interval=0.02, timeout=600))
    assert sum("/logs/" in request.path for request in hub.requests) == 1
