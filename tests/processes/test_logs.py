"""Deferred tasks show the logs of their Spaces, each in its own log, while triggerers start again."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator, SpaceHandle
from tests.processes.airflow_processes import AirflowProcesses

pytestmark = pytest.mark.processes

SPACES = ["acme/red", "acme/blue", "acme/red", "acme/blue"]
"""The Space of each task instance."""


@pytest.fixture
def hub_time() -> dict[str, float]:
    return {"speed": 1}


class StreamingAirflow(AirflowProcesses):
    """An Airflow of real processes whose DAG shows the logs of two Spaces."""

    def __init__(self, home: Path, hub: HubEmulator) -> None:
        super().__init__(home, hub, dags=Path(__file__).with_name("log_dags"))

    def has_dags(self) -> bool:
        active_dag_ids = {row[0] for row in self.query("SELECT dag_id FROM dag WHERE NOT is_paused")}
        return active_dag_ids >= {"streaming", "in_a_worker"}

    def shown_lines(self, number: int) -> list[tuple[str, str]]:
        """The lines that the log of a task instance shows: the Space and what a test wrote, oldest first."""
        log = self.log_of("streaming", f"run_id=run/task_id=restart/map_index={number}")
        return re.findall(r"(acme/\w+) build \| (line \d+)", log)


@pytest.fixture
def airflow(hub: HubEmulator, tmp_path: Path) -> Iterator[StreamingAirflow]:
    hub.settings.change({"timings": {"build": 100_000}})
    for name in {*SPACES, "acme/green"}:
        hub.add_space(name, stage="PAUSED")
    processes = StreamingAirflow(tmp_path, hub)
    try:
        processes.start()
        yield processes
    finally:
        processes.stop()


def test_each_task_shows_its_own_space_once_while_triggerers_are_restarted_and_killed(
    hub: HubEmulator, airflow: StreamingAirflow
) -> None:
    handles: dict[str, SpaceHandle] = {name: hub.space(name) for name in set(SPACES)}
    line_count = 0

    def write(lines: int) -> None:
        nonlocal line_count
        for _ in range(lines):
            for handle in handles.values():
                handle.write_log(f"line {line_count}", build=True)
            line_count += 1

    def is_shown() -> bool:
        return all(len(airflow.shown_lines(number)) >= line_count for number in range(len(SPACES)))

    airflow.run("streaming")
    airflow.until(lambda: airflow.states("streaming")["deferred"] == len(SPACES), 240)
    write(5)
    airflow.until(is_shown, 120)

    write(5)
    airflow.end("triggerer")
    write(5)
    airflow.spawn("second", "triggerer")
    airflow.until(is_shown, 240)

    time.sleep(3)  # Lines that are shown are saved a moment later.
    airflow.end("second", signal.SIGKILL)
    write(5)
    airflow.spawn("third", "triggerer")
    airflow.until(is_shown, 240)

    airflow.run("in_a_worker")
    green = hub.space("acme/green")
    airflow.until(lambda: "acme/green build | ===== Build Queued" in airflow.log_of("in_a_worker"), 240)
    green.write_log("a line for the worker", build=True)
    airflow.until(lambda: "acme/green build | a line for the worker" in airflow.log_of("in_a_worker"), 60)

    write(5)
    hub.advance(100_060)
    airflow.until(lambda: airflow.states("streaming") == {"success": len(SPACES)}, 240)
    for number, name in enumerate(SPACES):
        assert sorted(airflow.shown_lines(number)) == sorted(
            (name, f"line {each}") for each in range(line_count)
        )
    airflow.until(lambda: airflow.states("in_a_worker") == {"success": 1}, 240)
    log = airflow.log_of("in_a_worker")
    assert log.count("acme/green build | a line for the worker") == 1
    assert log.count("acme/green run | Running on local URL") == 1
    assert "acme/red" not in log
    assert hub.token not in log + airflow.log_of("streaming")
    streams = [request for request in hub.requests if "/logs/" in request.path]
    assert len(streams) < 40
