"""Airflow's provider of OpenLineage finds the data that deployments and batches read and write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from airflow_provider_hfspaces.emulator import GradioApp, HubEmulator
from airflow_provider_hfspaces.operators.app import SpaceBatchOperator
from airflow_provider_hfspaces.operators.deploy import DeploySpaceOperator
from tests.airflow_tools import Try

pytest.importorskip("airflow.providers.openlineage", reason="apache-airflow-providers-openlineage")

SPACE = "acme/upper"


def upper(text: str) -> str:
    """The text in capital letters."""
    return text.upper()


def extract(operator: Any, ti: Any) -> Any:
    """Returns the lineage that the provider extracts from a task that has ended."""
    from airflow.providers.openlineage.extractors.base import DefaultExtractor

    lineage = DefaultExtractor(operator).extract_on_complete(ti)
    assert lineage is not None
    return lineage


def names(datasets: Any) -> list[tuple[str, str]]:
    return [(each.namespace, each.name) for each in datasets]


def tags(lineage: Any) -> dict[str, str]:
    return {each.key: each.value for each in lineage.run_facets["tags"].tags}


def test_a_deployment_leads_from_the_folder_to_the_commit_of_the_space(
    hub: HubEmulator, tmp_path: Path
) -> None:
    hub.add_space(SPACE)
    (tmp_path / "README.md").write_text("---\ntitle: Whisper\nsdk: gradio\n---\n")
    (tmp_path / "app.py").write_text("print(1)\n")
    operator = DeploySpaceOperator(task_id="deploy", repo_id=SPACE, source=tmp_path, poll_interval=0.02)
    task = Try(operator)
    result = task.run(operator)
    lineage = extract(operator, task.ti)
    assert names(lineage.inputs) == [("file", str(tmp_path))]
    assert names(lineage.outputs) == [(f"hf-space://{urlsplit(hub.url).netloc}", SPACE)]
    assert lineage.outputs[0].facets["version"].datasetVersion == result["sha"]
    assert tags(lineage)["hf_spaces.changed_count"] == "2"


def test_a_deployment_that_failed_names_its_data_without_a_version(hub: HubEmulator, tmp_path: Path) -> None:
    operator = DeploySpaceOperator(task_id="deploy", repo_id=SPACE, source=tmp_path / "missing")
    task = Try(operator)
    with pytest.raises(Exception, match="missing"):
        task.run(operator)
    lineage = extract(operator, task.ti)
    assert names(lineage.inputs) == [("file", str(tmp_path / "missing"))]
    assert lineage.outputs[0].facets == {}
    assert lineage.run_facets == {}


def test_a_batch_leads_from_items_and_space_to_results(hub: HubEmulator, tmp_path: Path) -> None:
    hub.add_space(SPACE, app=GradioApp(endpoints={"/upper": upper}))
    items = tmp_path / "items.jsonl"
    items.write_text("".join(json.dumps({"text": text}) + "\n" for text in ("a", "b")))
    operator = SpaceBatchOperator(
        task_id="batch", repo_id=SPACE, api="/upper", items=str(items), output=str(tmp_path / "out")
    )
    task = Try(operator)
    result = task.run(operator)
    lineage = extract(operator, task.ti)
    space = (f"hf-space://{urlsplit(hub.url).netloc}", SPACE)
    assert names(lineage.inputs) == [space, ("file", str(items))]
    assert names(lineage.outputs) == [("file", result["results"])]
    assert lineage.outputs[0].outputFacets["outputStatistics"].rowCount == 2
    assert tags(lineage)["hf_spaces.done"] == "2"


def test_a_connection_in_a_url_is_not_part_of_the_name() -> None:
    from airflow_provider_hfspaces.lineage import path_dataset

    assert path_dataset("s3://aws_default@bucket/a/b.jsonl") == ("s3://bucket", "a/b.jsonl")
    assert path_dataset("file:///data/items.jsonl") == ("file", "/data/items.jsonl")
    assert path_dataset("gs://bucket") == ("gs://bucket", "/")
