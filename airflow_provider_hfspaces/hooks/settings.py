"""SettingsHook: the calls on a Space's storage, volumes, variables, secrets, dev mode and replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.reading import ReadingHook
from airflow_provider_hfspaces.hub import calls

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime, SpaceSecret, SpaceVariable, Volume

__all__ = ["SettingsHook"]


class SettingsHook(ReadingHook):
    """The part of :class:`~airflow_provider_hfspaces.hooks.hfspaces.HfSpacesHook` that changes settings."""

    def request_storage(self, repo_id: str, storage: str) -> SpaceRuntime:
        """Request a persistent disk, which the Hub is retiring in favour of volumes.

        Endpoint: ``POST /api/spaces/{repo_id}/storage``.

        :param storage: ``small``, ``medium`` or ``large``.
        :raises HubGone: if the Hub no longer offers this.
        """
        return self._send(calls.request_storage(self.repo_id(repo_id), storage))

    def delete_storage(self, repo_id: str) -> SpaceRuntime:
        """Delete the persistent disk of a Space, with everything on it.

        Endpoint: ``DELETE /api/spaces/{repo_id}/storage``.
        """
        return self._send(calls.delete_storage(self.repo_id(repo_id)))

    def set_volumes(self, repo_id: str, volumes: Sequence[Volume | Mapping[str, Any]]) -> None:
        """Mount volumes in a Space, in place of all others.

        Endpoint: ``PUT /api/spaces/{repo_id}/volumes``.

        :param volumes: at least one, as ``Volume`` or as a mapping such as
            ``{"type": "dataset", "source": "acme/data", "mount_path": "/data"}``.
        """
        self._send(calls.set_volumes(self.repo_id(repo_id), volumes))

    def delete_volumes(self, repo_id: str) -> None:
        """Unmount all volumes of a Space. The Hub refuses this if the Space has none.

        Endpoint: ``DELETE /api/spaces/{repo_id}/volumes``.
        """
        self._send(calls.delete_volumes(self.repo_id(repo_id)))

    def get_variables(self, repo_id: str) -> dict[str, SpaceVariable]:
        """Return the variables of a Space by their keys.

        Endpoint: ``GET /api/spaces/{repo_id}/variables``.
        """
        return self._send(calls.get_variables(self.repo_id(repo_id)))

    def add_variable(
        self, repo_id: str, key: str, value: str, *, description: str | None = None
    ) -> dict[str, SpaceVariable]:
        """Add or change a variable, which restarts the Space, and return all variables by their keys.

        Endpoint: ``POST /api/spaces/{repo_id}/variables``.

        :param key: the name of an environment variable.
        """
        return self._send(calls.add_variable(self.repo_id(repo_id), key, value, description=description))

    def delete_variable(self, repo_id: str, key: str) -> dict[str, SpaceVariable]:
        """Delete a variable, which restarts the Space, and return the remaining ones by their keys.

        Endpoint: ``DELETE /api/spaces/{repo_id}/variables``.
        """
        return self._send(calls.delete_variable(self.repo_id(repo_id), key))

    def get_secrets(self, repo_id: str) -> dict[str, SpaceSecret]:
        """Return the secrets of a Space by their keys. The Hub never returns their values.

        Endpoint: ``GET /api/spaces/{repo_id}/secrets``.
        """
        return self._send(calls.get_secrets(self.repo_id(repo_id)))

    def add_secret(self, repo_id: str, key: str, value: str, *, description: str | None = None) -> None:
        """Add or change a secret, which restarts the Space. Airflow masks the value in logs from now on.

        Endpoint: ``POST /api/spaces/{repo_id}/secrets``.

        :param key: the name of an environment variable.
        """
        call = calls.add_secret(self.repo_id(repo_id), key, value, description=description)
        for each in call.confidential:
            mask_written(each)
        self._send(call)

    def delete_secret(self, repo_id: str, key: str) -> None:
        """Delete a secret. A missing secret is not an error.

        Endpoint: ``DELETE /api/spaces/{repo_id}/secrets``.
        """
        self._send(calls.delete_secret(self.repo_id(repo_id), key))

    def set_dev_mode(self, repo_id: str, enabled: bool) -> SpaceRuntime:
        """Turn the dev mode of a Space on or off.

        Endpoint: ``POST /api/spaces/{repo_id}/dev-mode``.
        """
        return self._send(calls.set_dev_mode(self.repo_id(repo_id), enabled))

    def set_replicas(self, repo_id: str, replicas: int) -> None:
        """Run several copies of a Space, each of which is billed. The Hub allows this on paid hardware only.

        Endpoint: ``POST /api/spaces/{repo_id}/replicas``.

        :param replicas: at least 1.
        """
        self._send(calls.set_replicas(self.repo_id(repo_id), replicas))
