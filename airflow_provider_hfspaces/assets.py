"""Assets that represent Spaces, with URIs of the form ``hf-space://owner/name``.

Come here to change the URI of a Space, or what a task adds to the event of its outlet.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult

from airflow_provider_hfspaces.compat.imports import asset_class
from airflow_provider_hfspaces.hub.checks import checked_repo_id

__all__ = ["create_asset", "describe_outlets", "repo_id_of", "sanitize_uri", "space_asset"]

SCHEME = "hf-space"


def space_asset(repo_id: str, **options: Any) -> Any:
    """Return the asset of a Space, for ``outlets``, ``schedule`` and ``AssetWatcher``::

        PauseSpaceOperator(task_id="pause", repo_id="acme/whisper", outlets=[space_asset("acme/whisper")])

    On Airflow 2.11 it is a ``Dataset``.

    :param repo_id: the Space, as ``owner/name`` or as the address of its page.
    :param options: further arguments of the asset, such as ``watchers``.
    :raises InvalidRepoId: if the id is not valid.
    """
    return asset_class()(uri=f"{SCHEME}://{checked_repo_id(repo_id)}", **options)


def create_asset(*, owner: str, name: str, extra: dict[str, Any] | None = None) -> Any:
    """Return the asset of a Space, for Airflow's hook-level lineage.

    :param owner: the user or organization that owns the Space.
    :param name: the name of the Space without its owner.
    :param extra: the extra of the asset.
    :raises InvalidRepoId: if owner and name are not the id of a Space.
    """
    return space_asset(f"{owner}/{name}", extra=extra)


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Return a URI in the one form in which Airflow compares it: ``hf-space://owner/name``.

    :raises ValueError: if the URI does not name a Space.
    """
    repo_id = checked_repo_id(f"{uri.netloc}{uri.path.rstrip('/')}")
    owner, _, name = repo_id.partition("/")
    return SplitResult(SCHEME, owner, f"/{name}", "", "")


def repo_id_of(asset: Any) -> str | None:
    """Return the id of the Space that an asset represents; ``None`` for other assets."""
    uri = str(getattr(asset, "uri", ""))
    return uri.removeprefix(f"{SCHEME}://") if uri.startswith(f"{SCHEME}://") else None


_STATE = ("stage", "hardware", "requested_hardware")


def describe_outlets(task: Any, context: Any, repo_id: str, result: Any) -> None:
    """Add a Space's new state to the event of the task's outlet that stands for this Space.

    Other parts of the result are added if the operator names them in ``outlet_fields``. If the result has an
    ``output``, such as the folder of a batch, the outlet with that URI gets the same details.
    """
    if not isinstance(result, dict):
        return
    names = (*_STATE, *getattr(task, "outlet_fields", ()))
    state = {name: result[name] for name in names if name in result}
    written = result.get("output")
    for asset in getattr(task, "outlets", None) or ():
        is_space = (repo_id_of(asset) or "").casefold() == repo_id.casefold()
        is_output = bool(written) and getattr(asset, "uri", None) == written
        if state and (is_space or is_output):
            context["outlet_events"][asset].extra.update(state)
