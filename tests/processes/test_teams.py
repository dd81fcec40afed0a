"""Two teams of one Airflow, each with its own Variables, and one Space that both lease."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION
from airflow_provider_hfspaces.emulator import HubEmulator
from tests.processes.leased import SPEED, LeasedAirflow

pytestmark = [
    pytest.mark.processes,
    pytest.mark.thorough,
    pytest.mark.skipif(AIRFLOW_VERSION < (3, 2), reason="teams came with Airflow 3.2"),
]

TEAMS = ("audio", "video")
SPACE = "acme/shared"
WINDOW = Path(__file__).with_name("team_dags") / "window.py"


class TeamAirflow(LeasedAirflow):
    """An Airflow in which each team has one bundle, with one DAG that bears the team's name."""

    def __init__(self, home: Path, hub: HubEmulator) -> None:
        bundles = []
        for team in TEAMS:
            folder = home / "bundles" / team
            folder.mkdir(parents=True)
            shutil.copy(WINDOW, folder)
            bundles.append(
                {
                    "name": team,
                    "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                    "kwargs": {"path": str(folder)},
                    "team_name": team,
                }
            )
        super().__init__(
            home,
            hub,
            dag_ids=TEAMS,
            environment={
                "AIRFLOW__CORE__MULTI_TEAM": "True",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            },
        )

    def prepare(self) -> None:
        for team in TEAMS:
            self.airflow("teams", "create", team)

    def works(self, dag_id: str, run_id: str = "run") -> bool:
        return (self.signals / f"{dag_id}.{run_id}.works").exists()

    def trigger(self, dag_id: str) -> None:
        """Start a run."""
        self.call("POST", f"{dag_id}/dagRuns", {"dag_run_id": "run", "logical_date": None})


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TeamAirflow]:
    with HubEmulator(speed=SPEED) as hub:
        airflow = TeamAirflow(tmp_path_factory.mktemp("teams"), hub)
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()


def test_a_team_waits_for_the_lease_of_another_team_whose_variables_it_cannot_read(
    airflow: TeamAirflow,
) -> None:
    space = airflow.hub.add_space(SPACE)
    airflow.trigger("audio")
    airflow.until(lambda: airflow.works("audio"), 240)
    variables = airflow.query("SELECT team_name FROM variable WHERE key LIKE 'hf_spaces_lease%'")
    assert variables == [("audio",)], "Airflow keeps what a task writes for the team of the task"

    airflow.trigger("video")
    airflow.until(lambda: "leased by another Airflow or script" in airflow.log_of("video"), 240)
    assert not airflow.works("video")
    assert airflow.state_of("video", "gpu.upgrade") == "None"
    assert space.requested_hardware == "t4-small"

    airflow.tell_work("audio", "end")
    airflow.until(lambda: airflow.works("video"), 240)
    assert airflow.run_state("audio") == "success"
    assert space.hardware == "t4-small"
    airflow.tell_work("video", "end")
    airflow.until(lambda: airflow.has_ended("video"), 240)
    assert airflow.run_state("video") == "success"
    airflow.until(lambda: airflow.is_restored("shared"), 60)
    assert not airflow.holders("shared")
    assert {moment.hardware for moment in space.history} == {"cpu-basic", "t4-small"}
