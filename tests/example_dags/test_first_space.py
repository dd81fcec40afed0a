"""The DAG of the start page, which readers copy unchanged."""

from __future__ import annotations

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run
from tests.conftest import TaskLog
from tests.docs.pages import DOCS, missing_lines

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_the_space_moves_to_the_gpu_and_back(hub: HubEmulator, task_log: TaskLog) -> None:
    space = hub.add_space("acme/whisper")
    states = run(dag_file("first_space").dag)
    assert set(states.values()) == {"success"}
    assert hub.bill().by_hardware().keys() == {"t4-small"}
    hub.advance(600)
    assert (space.stage, space.hardware) == ("RUNNING", "cpu-basic")
    assert missing_lines(DOCS / "start.md", "Space acme/whisper is leased", task_log.text) == []
