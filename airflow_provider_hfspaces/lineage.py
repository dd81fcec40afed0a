"""What deployments and batches report to OpenLineage, where Airflow's provider of OpenLineage is installed.

Only that provider calls the operators' ``get_openlineage_facets_on_complete``, which imports this module.
Come here to change the datasets and tags of a run.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.openlineage.extractors import OperatorLineage
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    output_statistics_output_dataset,
    tags_run,
)

__all__ = ["batch_lineage", "deployment_lineage", "path_dataset", "space_dataset"]

_SOURCE = "airflow-provider-hfspaces"


def deployment_lineage(
    endpoint: str, repo_id: str, source: Any, result: Mapping[str, Any] | None
) -> OperatorLineage:
    """Return the lineage of a deployment: from a folder to a commit of a Space.

    :param endpoint: the address of the Hub.
    :param source: the folder.
    :param result: the result of the task; ``None`` if the task failed.
    """
    sha = result.get("sha") if result else None
    facets = {"version": dataset_version_dataset.DatasetVersionDatasetFacet(str(sha))} if sha else {}
    inputs = [InputDataset(*path_dataset(source))] if isinstance(source, str) and source else []
    return OperatorLineage(
        inputs=inputs,
        outputs=[OutputDataset(*space_dataset(endpoint, repo_id), facets=facets)],
        run_facets=_tags(result, "previous_sha", "created", "committed", "changed_count", "deleted_count"),
    )


def batch_lineage(
    endpoint: str, repo_id: str, items: Any, output: str, result: Mapping[str, Any] | None
) -> OperatorLineage:
    """Return the lineage of a batch: from its items, through the app of a Space, to a folder of results.

    :param endpoint: the address of the Hub.
    :param items: the path of the items; items that are no path have no dataset.
    :param output: the output folder.
    :param result: the report of the batch; ``None`` if the task failed.
    """
    inputs: list[Dataset] = [InputDataset(*space_dataset(endpoint, repo_id))]
    if isinstance(items, str) and items and not items.lstrip().startswith(("[", "{")):
        inputs.append(InputDataset(*path_dataset(items)))
    statistics = {}
    if result:
        rows = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=result["done"])
        statistics = {"outputStatistics": rows}
    results = str(result["results"]) if result else output
    return OperatorLineage(
        inputs=inputs,
        outputs=[OutputDataset(*path_dataset(results), outputFacets=statistics)],
        run_facets=_tags(result, "items", "done", "failed", "hardware", "cost_usd"),
    )


def space_dataset(endpoint: str, repo_id: str) -> tuple[str, str]:
    """Return a Space's namespace and name: ``hf-space://huggingface.co`` and ``acme/whisper``."""
    return f"hf-space://{urlsplit(endpoint).netloc}", repo_id


def path_dataset(path: str) -> tuple[str, str]:
    """Return the namespace and the name of a path, as OpenLineage names files and objects.

    An Airflow connection in the URL, as in ``s3://aws_default@bucket/folder``, is not part of the name.
    """
    parts = urlsplit(path)
    if parts.scheme in ("", "file"):
        return "file", posixpath.normpath(parts.path or path)
    bucket = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{bucket}", parts.path.strip("/") or "/"


def _tags(result: Mapping[str, Any] | None, *names: str) -> dict[str, Any]:
    values = {name: result[name] for name in names if result and result.get(name) is not None}
    if not values:
        return {}
    fields = [
        tags_run.TagsRunFacetFields(key=f"hf_spaces.{name}", value=str(value), source=_SOURCE)
        for name, value in values.items()
    ]
    return {"tags": tags_run.TagsRunFacet(tags=fields)}
