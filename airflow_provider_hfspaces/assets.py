"""Assets that stand for Spaces: ``hf-space://owner/name``."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from urllib.parse import SplitResult

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3
from airflow_provider_hfspaces.hub.checks import checked_repo_id

__all__ = ["create_asset", "describe_outlets", "repo_id_of", "sanitize_uri", "space_asset"]

SCHEME = "hf-space"


def space_asset(repo_id: str, **options: Any) -> Any:
    """The asset of a Space, for ``outlets``, ``schedule`` and ``AssetWatcher``; a Dataset on Airflow 2.11.

    :param repo_id: the Space, as ``owner/name`` or as the address of its page.
    :param options: what the asset takes besides, such as ``watchers``.
    :raises InvalidRepoId: saying what is wrong with it.
    """
    kind = import_module("airflow.sdk").Asset if AIRFLOW_3 else import_module("airflow.datasets").Dataset
    return kind(uri=f"{SCHEME}://{checked_repo_id(repo_id)}", **options)


def create_asset(*, owner: str, name: str, extra: dict[str, Any] | None = None) -> Any:
    """The asset of a Space, as hook-level lineage makes it.

    :raises InvalidRepoId: for what is no Space.
    """
    return space_asset(f"{owner}/{name}", extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """``hf-space://owner/name`` in the one form in which Airflow compares it.

    :raises ValueError: for what is no Space.
    """
    repo_id = checked_repo_id(f"{uri.netloc}{uri.path.rstrip('/')}")
    owner, _, name = repo_id.partition("/")
    return SplitResult(SCHEME, owner, f"/{name}", "", "")


def repo_id_of(asset: Any) -> str | None:
    """The Space that an asset stands for; ``None`` if it stands for something else."""
    uri = str(getattr(asset, "uri", ""))
    return uri.removeprefix(f"{SCHEME}://") if uri.startswith(f"{SCHEME}://") else None


def describe_outlets(task: Any, context: Any, repo_id: str, result: Any) -> None:
    """Add a Space's new state to the event of the task's outlet that stands for this Space."""
    if not isinstance(result, dict):
        return
    state = {name: result[name] for name in ("stage", "hardware", "requested_hardware") if name in result}
    for asset in getattr(task, "outlets", None) or ():
        if state and (repo_id_of(asset) or "").casefold() == repo_id.casefold():
            context["outlet_events"][asset].extra.update(state)
