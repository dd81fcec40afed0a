"""Operators on what a Space keeps: volumes, and the storage tiers that the Hub is retiring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.operators.values import KeepsText

__all__ = [
    "DeleteStorageOperator",
    "DeleteVolumesOperator",
    "RequestStorageOperator",
    "SetVolumesOperator",
]


class RequestStorageOperator(SpaceOperator):
    """Ask for a persistent disk. The Hub is retiring them: prefer :class:`SetVolumesOperator`.

    Returns the runtime. ``POST /api/spaces/{repo_id}/storage``.

    :param storage: ``small``, ``medium`` or ``large``. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "storage")

    def __init__(self, *, storage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.storage = storage

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        return self.hook.request_storage(repo_id, self.storage).to_dict()


class DeleteStorageOperator(SpaceOperator):
    """Give a Space's persistent disk up, with all that is on it.

    Returns the runtime. ``DELETE /api/spaces/{repo_id}/storage``.
    """

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        return self.hook.delete_storage(repo_id).to_dict()


class SetVolumesOperator(KeepsText, SpaceOperator):
    """Mount these buckets and repositories into a Space, and no others.

    ``PUT /api/spaces/{repo_id}/volumes``.

    :param volumes: each a mapping such as ``{"type": "bucket", "source": "acme/data", "mount_path":
        "/data"}``, with ``revision``, ``read_only`` and ``path`` where needed. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "volumes")
    template_fields_renderers = {"volumes": "json"}
    text_fields = ("volumes",)

    def __init__(self, *, volumes: Sequence[Mapping[str, Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.volumes = volumes
        self.remember_text()

    def act(self, repo_id: str, context: Context) -> None:
        volumes = self.structure("volumes", context)
        self.hook.set_volumes(repo_id, volumes)
        self.log.info("Space %s now has %d volumes.", repo_id, len(volumes))


class DeleteVolumesOperator(SpaceOperator):
    """Unmount all volumes of a Space; one that has none is left alone.

    ``DELETE /api/spaces/{repo_id}/volumes``.
    """

    def act(self, repo_id: str, context: Context) -> None:
        from airflow_provider_hfspaces.hub.errors import HubError

        if not self.hook.get_runtime(repo_id).volumes:
            self.log.info("Space %s has no volumes.", repo_id)
            return
        try:
            self.hook.delete_volumes(repo_id)
        except HubError as error:
            if not error.outcome_unknown or self.hook.get_runtime(repo_id).volumes:
                raise
        self.log.info("Space %s has no volumes any more.", repo_id)
