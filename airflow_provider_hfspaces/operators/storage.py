"""Operators on a Space's volumes, and on the storage tiers that the Hub is retiring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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


@contextmanager
def _naming_the_replacement() -> Iterator[None]:
    """Add to a rejection of a retired tier which operator replaces it."""
    from airflow_provider_hfspaces.hub.errors import HubError

    try:
        yield
    except HubError as error:
        if "set_volumes" in error.message:
            error.message = f"{error.message} In a DAG, use SetVolumesOperator."
            error.args = (error.message,)
        raise


class RequestStorageOperator(SpaceOperator):
    """Request a persistent disk for a Space.

    The Hub is retiring these disks. Use :class:`SetVolumesOperator` instead. Returns the runtime.
    ``POST /api/spaces/{repo_id}/storage``.

    :param storage: the tier: ``small``, ``medium`` or ``large``. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "storage")

    def __init__(self, *, storage: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.storage = storage

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        with _naming_the_replacement():
            return self.hook.request_storage(repo_id, self.storage).to_dict()


class DeleteStorageOperator(SpaceOperator):
    """Delete a Space's persistent disk and all data on it.

    Returns the runtime. ``DELETE /api/spaces/{repo_id}/storage``.
    """

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        with _naming_the_replacement():
            return self.hook.delete_storage(repo_id).to_dict()


class SetVolumesOperator(KeepsText, SpaceOperator):
    """Mount volumes into a Space. They replace the volumes that it has mounted so far.

    ::

        SetVolumesOperator(
            task_id="mount_data",
            repo_id="acme/whisper",
            volumes=[{"type": "bucket", "source": "acme/data", "mount_path": "/data"}],
        )

    ``PUT /api/spaces/{repo_id}/volumes``.

    :param volumes: buckets and repositories. Each is a mapping with ``type``, ``source`` and
        ``mount_path``, and optionally ``revision``, ``read_only`` and ``path``. Templated.
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
    """Unmount all volumes of a Space. Sends no request if the Space has no volumes.

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
        self.log.info("Space %s no longer has volumes.", repo_id)
