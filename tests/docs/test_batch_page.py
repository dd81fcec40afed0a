"""The steps of the page "Run a batch on a Space", as a newcomer takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import connection, dag_file, run
from tests.docs.pages import DOCS, blocks

pytestmark = pytest.mark.usefixtures("airflow_db")

ITEMS = next(body for kind, body in blocks(DOCS / "batch.md") if kind == "python" and "json.dumps" in body)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubEmulator]:
    """The fleet that the emulator's command starts, in which only requests to the Hub take time."""
    with HubEmulator(fleet="demo", speed=0, seconds_per_request=1) as emulator:
        monkeypatch.setenv("AIRFLOW_CONN_HF_SPACES_DEFAULT", connection(emulator))
        yield emulator


@pytest.mark.parametrize(
    ("dag_id", "task_id", "hardware"),
    [
        ("first_batch", "batch", "cpu-basic"),
        pytest.param("first_batch_on_gpu", "gpu.batch", "t4-small", marks=pytest.mark.slow),
    ],
)
def test_a_newcomer_completes_the_page(
    hub: HubEmulator, tmp_path: Path, dag_id: str, task_id: str, hardware: str
) -> None:
    code = ITEMS.replace("/tmp/batch", str(tmp_path / "batch")).replace("range(200)", "range(20)")
    exec(compile(code, "docs/batch.md", "exec"), {})
    dag = dag_file(dag_id).dag
    batch = dag.get_task(task_id)
    batch.items = batch.items.replace("/tmp/batch", str(tmp_path / "batch"))
    batch.output_path = str(tmp_path / "out")
    assert set(run(dag).values()) == {"success"}
    lines = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["output"] for line in lines] == [f"line {number}!" for number in range(20)]
    space = hub.space("acme/whisper")
    assert hardware in {moment.hardware for moment in space.history}
    assert space.requested_hardware == "cpu-basic"
