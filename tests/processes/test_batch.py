"""A batch of 5,000 items on a leased GPU of a private Space, whose worker is killed twice on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator
from tests.processes.airflow_processes import ON_AIRFLOW_3, kill_tree
from tests.processes.leased import SPEED, LeasedAirflow

pytestmark = ON_AIRFLOW_3

SPACE = "acme/batched"
DAGS = Path(__file__).with_name("batch_dags")
ITEMS = 5000


def predict(text: str) -> str:
    """The text in capital letters."""
    return text.upper()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the batch, with its items."""
    lines = (json.dumps({"text": f"item {number}"}) for number in range(ITEMS))
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def airflow(folder: Path) -> Iterator[LeasedAirflow]:
    """An Airflow of real processes, and the Space of the batch."""
    with HubEmulator(speed=SPEED) as hub:
        hub.add_space(SPACE, private=True, app=GradioApp(endpoints={"predict": predict}, concurrency=8))
        home = folder / "home"
        home.mkdir()
        airflow = LeasedAirflow(home, hub, dags=DAGS, environment={"BATCH_FOLDER": str(folder)})
        try:
            airflow.start()
            yield airflow
        finally:
            airflow.stop()


def test_a_batch_whose_worker_is_killed_twice_ends_complete_on_the_gpu_that_is_gone_afterwards(
    airflow: LeasedAirflow, folder: Path
) -> None:
    def claims() -> list[str]:
        """The workers that have journalled answers, as the numbers of their claims."""
        parts = (folder / "out" / "_journal").glob("part-*")
        return sorted({part.name.split("-")[1] for part in parts})

    def worker() -> psutil.Process:
        airflow.until(lambda: state() == "running", 240)
        ((pid,),) = airflow.query("SELECT pid FROM task_instance WHERE task_id = 'gpu.batch'")
        return psutil.Process(pid)

    def state() -> str | None:
        rows = airflow.query("SELECT state FROM task_instance WHERE task_id = 'gpu.batch'")
        return rows[0][0] if rows else None

    airflow.run("batched")
    for number in (1, 2):
        airflow.until(lambda number=number: len(claims()) == number, 300)
        kill_tree(worker().pid)
    airflow.until(lambda: state() == "success", 600)
    airflow.until(lambda: airflow.states("batched")["success"] == 6, 240)

    lines = (folder / "out" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["output"] for line in lines] == [f"ITEM {number}" for number in range(ITEMS)]
    assert len(claims()) == 3
    space = airflow.hub.space(SPACE)
    airflow.until(lambda: (space.stage, space.hardware) == ("RUNNING", "cpu-basic"), 60)
    assert not airflow.hub.bill().running
    log = airflow.log_of("batched")
    assert "5,000 of 5,000 items done" in log
    assert "per thousand items. Results: " in log
