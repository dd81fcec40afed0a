"""A mapped batch in a real Airflow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_hfspaces.emulator import HubEmulator
from tests.airflow_tools import dag_file, run

pytestmark = pytest.mark.usefixtures("airflow_db")


def test_a_batch_maps_over_spaces_and_sends_the_output_of_a_task_unchanged(
    hub: HubEmulator, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        hub.add_space(f"acme/{name}", private=True)
    assert set(run(dag_file("batches").dag, {"output": str(tmp_path)}).values()) == {"success"}
    for index in ("0", "1"):
        lines = (tmp_path / index / "results.jsonl").read_text().splitlines()
        assert [json.loads(line)["output"] for line in lines] == ["{{ one }}", "two"]
