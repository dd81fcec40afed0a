"""The DAG in a whole run: a batch on a copy that nobody else sees, and nothing remains."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator, SpaceHandle
from tests.airflow_tools import dag_file, run
from tests.copy_tools import add_marked_copy, copies

pytestmark = pytest.mark.usefixtures("airflow_db")

SPACE = "acme/caption"


def predict(text: str) -> str:
    """The text in capital letters."""
    return text.upper()


@pytest.fixture
def space(hub: HubEmulator, monkeypatch: pytest.MonkeyPatch) -> SpaceHandle:
    monkeypatch.setenv("AIRFLOW_VAR_CAPTION_TOKEN", "hf_of_the_app")
    return hub.add_space(SPACE, app=GradioApp(endpoints={"predict": predict}))


@pytest.fixture
def conf(tmp_path: Path) -> dict[str, Any]:
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"text": f"item {number}"}) + "\n" for number in range(5)))
    return {"input": str(items), "output": str(tmp_path / "out")}


def test_a_file_goes_through_a_copy_and_the_space_is_not_disturbed(
    hub: HubEmulator, space: SpaceHandle, conf: dict[str, Any]
) -> None:
    another = add_marked_copy(hub, hours_left=-1)
    states = run(dag_file("batch_on_a_copy").dag, conf)
    assert set(states.values()) == {"success"}
    results = (Path(conf["output"]) / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["output"] for line in results] == [f"ITEM {number}" for number in range(5)]
    (request,) = [each for each in hub.requests if each.path.endswith("/duplicate")]
    assert request.json["repository"].startswith("acme/caption-batch-copy-")
    assert [each["value"] for each in request.json["secrets"]] == ["hf_of_the_app"]
    assert space.app_requests == []
    assert len(space.history) == 1
    assert copies(hub) == [another.copy_id], "only copies with the name of this DAG's are deleted"
    assert not hub.bill(request.json["repository"]).running
