"""Many tasks wait in triggerers that are restarted, killed and added: each wait ends correctly, once."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.processes.airflow_processes import AIRFLOW_3, AirflowProcesses

pytestmark = pytest.mark.processes

SPACES = [f"acme/s{number}" for number in range(50)]


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 1}


@pytest.fixture
def airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[AirflowProcesses]:
    hub.settings.change({"timings": {"build": 100_000}})
    for name in SPACES:
        hub.add_space(name, stage="PAUSED")
    processes = AirflowProcesses(tmp_path, hub)
    try:
        processes.start()
        yield processes
    finally:
        processes.stop()


def finish(hub: HubEmulator) -> None:
    """Advance the emulated time until every Space has reached its goal."""
    hub.advance(100_060)


def each_ended_once(hub: HubEmulator, airflow: AirflowProcesses) -> None:
    airflow.until(lambda: airflow.states("waiting") == {"success": 50}, 240)
    restarts = Counter(request.path for request in hub.requests if request.path.endswith("/restart"))
    assert restarts == {f"/api/spaces/{name}/restart": 1 for name in SPACES}
    assert {hub.space(name).stage for name in SPACES} == {"RUNNING"}
    assert {row[0] for row in airflow.query("SELECT try_number FROM task_instance")} == {1}
    assert hub.token not in airflow.log_of("waiting")


def test_waits_survive_triggerers_that_are_restarted_killed_and_added(
    hub: HubEmulator, airflow: AirflowProcesses
) -> None:
    airflow.run("waiting")
    airflow.until(lambda: airflow.states("waiting")["deferred"] == 50, 240)

    airflow.end("triggerer")
    airflow.spawn("second", "triggerer")
    looks = len(hub.requests)
    airflow.until(lambda: len(hub.requests) > looks, 240)
    assert airflow.states("waiting") == {"deferred": 50}

    airflow.end("second", signal.SIGKILL)
    airflow.spawn("third", "triggerer")
    airflow.spawn("fourth", "triggerer")
    looks = len(hub.requests)
    airflow.until(lambda: len(hub.requests) > looks, 240)
    assert airflow.states("waiting") == {"deferred": 50}

    airflow.end("third", signal.SIGKILL)
    finish(hub)
    each_ended_once(hub, airflow)
    waits = [request for request in hub.requests if request.path == "/api/spaces"]
    assert len(waits) < 300


def test_each_wait_logs_its_changes_once_in_the_log_of_its_task(
    hub: HubEmulator, airflow: AirflowProcesses
) -> None:
    runs = ("first", "second", "third")
    for run_id in runs:
        airflow.run("logging", run_id=run_id)
    airflow.until(lambda: airflow.states("logging")["deferred"] == 60, 400)

    def log(run_id: str, number: int) -> str:
        return airflow.log_of("logging", f"run_id={run_id}/task_id=sense/map_index={number}")

    def changes(run_id: str, number: int) -> list[str]:
        """The changes that a task instance has logged, in the form 'acme/s3 is RUNNING'."""
        return re.findall(r"\d s  (acme/s\d+ is [A-Z_]+)", log(run_id, number))

    instances = [(run_id, number) for run_id in runs for number in range(20)]
    airflow.until(lambda: all(changes(*instance) for instance in instances), 240)
    for number in range(20):
        hub.world.space(f"acme/s{number}").do("restart")
    airflow.until(lambda: all(len(changes(*instance)) >= 2 for instance in instances), 240)
    finish(hub)
    # A busy triggerer may close the log of a trigger before its last line; then the task logs it as well.
    airflow.until(
        lambda: all(f"acme/s{instance[1]} is RUNNING" in log(*instance) for instance in instances), 400
    )
    for run_id, number in instances:
        lines = changes(run_id, number)
        assert {line.split()[0] for line in lines} == {f"acme/s{number}"}, run_id
        assert len(lines) == len(set(lines))
        assert lines[0] == f"acme/s{number} is PAUSED"


@pytest.mark.skipif(not AIRFLOW_3, reason="the API call that marks a task needs Airflow 3")
def test_killing_a_deferred_upgrade_restores_the_space(hub: HubEmulator, airflow: AirflowProcesses) -> None:
    space = hub.add_space("acme/gpu", hardware="cpu-upgrade", sleep_time=600000)
    airflow.run("killed")
    airflow.until(lambda: airflow.states("killed")["deferred"] == 1, 240)
    airflow.until(lambda: "s  acme/gpu is" in airflow.log_of("killed"), 240)
    assert space.requested_hardware == "t4-small"
    airflow.mark("killed", "upgrade", "failed")
    airflow.until(lambda: space.requested_hardware == "cpu-upgrade", 240)
    assert space.sleep_time == 600000
    assert airflow.states("killed") == {"failed": 1}


@pytest.mark.skipif(not AIRFLOW_3, reason="asset watchers need Airflow 3")
def test_a_dag_runs_when_its_space_fails(hub: HubEmulator, airflow: AirflowProcesses) -> None:
    fragile, sturdy = hub.add_space("acme/fragile"), hub.add_space("acme/sturdy")
    # A trigger that fires at once would have done so before its third look.
    airflow.until(lambda: sum("fragile" in request.path for request in hub.requests) >= 3, 240)
    assert not airflow.states("on_error")
    fragile.crash("Exit code: 1")
    airflow.until(lambda: airflow.states("on_error") == {"success": 1}, 240)
    assert sturdy.stage == "RUNNING"
    assert not airflow.states("on_other_error")
    events = airflow.query("SELECT extra FROM asset_event")
    assert len(events) == 1
    assert "Exit code: 1" in str(events)
