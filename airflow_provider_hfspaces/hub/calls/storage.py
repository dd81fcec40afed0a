"""Calls for the volumes of a Space, and for the storage tiers that the Hub is retiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, change_call, post_call, read_nothing
from airflow_provider_hfspaces.hub.checks import checked_storage, checked_volumes
from airflow_provider_hfspaces.hub.models import SpaceRuntime, Volume

__all__ = ["delete_storage", "delete_volumes", "request_storage", "set_volumes"]

_VOLUMES_INSTEAD = (
    "The Hub is retiring storage tiers in favour of volumes: mount a storage bucket with set_volumes instead."
)


def request_storage(repo_id: str, storage: str) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/storage``: request a persistent disk. The Hub is retiring this endpoint.
    :param storage: ``small``, ``medium`` or ``large``.
    """
    body = {"tier": checked_storage(storage)}
    return post_call(repo_id, "/storage", SpaceRuntime.from_payload, body, instead=_VOLUMES_INSTEAD)


def delete_storage(repo_id: str) -> Call[SpaceRuntime]:
    """``DELETE /api/spaces/{repo_id}/storage``: delete the disk and all data on it."""
    return change_call("DELETE", repo_id, "/storage", SpaceRuntime.from_payload, instead=_VOLUMES_INSTEAD)


def set_volumes(repo_id: str, volumes: Sequence[Volume | Mapping[str, Any]]) -> Call[None]:
    """``PUT /api/spaces/{repo_id}/volumes``: replace the mounted volumes."""
    body = {"volumes": [each.to_payload() for each in checked_volumes(volumes)]}
    return change_call("PUT", repo_id, "/volumes", read_nothing, body, repeatable=True, answer="any")


def delete_volumes(repo_id: str) -> Call[None]:
    """``DELETE /api/spaces/{repo_id}/volumes``: unmount all volumes.

    Not repeatable: the Hub rejects the request if the Space has no volumes.
    """
    return change_call("DELETE", repo_id, "/volumes", read_nothing, answer="any")
