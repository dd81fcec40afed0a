"""RepositoriesHook: the calls that create, delete, move and publish Spaces, and list their commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.connection import InvalidConnection
from airflow_provider_hfspaces.hooks.settings import SettingsHook
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.errors import HubConflict
from airflow_provider_hfspaces.hub.repositories import CreatedSpace, SpaceCommit

if TYPE_CHECKING:
    from huggingface_hub import HfApi

    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.models import Volume

__all__ = ["RepositoriesHook"]

T = TypeVar("T")

Settings = Sequence[Mapping[str, str]] | Mapping[str, str]


class RepositoriesHook(SettingsHook):
    """The part of :class:`~airflow_provider_hfspaces.hooks.hfspaces.HfSpacesHook` for whole repositories."""

    def create_space(
        self,
        repo_id: str,
        *,
        sdk: str,
        visibility: str = "private",
        hardware: str | None = None,
        sleep_time: int | None = None,
        secrets: Settings | None = None,
        variables: Settings | None = None,
        volumes: Sequence[Volume | Mapping[str, Any]] | None = None,
        template: str | None = None,
        exist_ok: bool = False,
    ) -> CreatedSpace:
        """Create a Space, with all its settings in one request.

        Endpoint: ``POST /api/repos/create``.

        :param sdk: ``gradio``, ``docker`` or ``static``.
        :param visibility: ``private``, ``public`` or ``protected``; by default the Space is private, so that
            nothing is published by accident.
        :param hardware: a flavor; by default the free CPU.
        :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never.
        :param secrets: a mapping of keys to values, or a list of ``{"key", "value", "description"}``. Airflow
            masks the values in logs.
        :param variables: in the form of ``secrets``.
        :param volumes: volumes to mount, as for :meth:`set_volumes`.
        :param template: the ``repo_id`` of a template of :meth:`list_space_templates`.
        :param exist_ok: return a Space that already has this id, unchanged.
        :raises HubConflict: if a Space already has this id.
        """
        call = calls.create_space(
            self.repo_id(repo_id),
            sdk=sdk,
            visibility=visibility,
            hardware=hardware,
            sleep_time=sleep_time,
            secrets=secrets,
            variables=variables,
            volumes=volumes,
            template=template,
            offered=self.offered(hardware) if hardware else None,
        )
        return self._create(call, CreatedSpace, exist_ok)

    def _create(self, call: Call[T], existing: Callable[[str, str], T], exist_ok: bool) -> T:
        """Send a call that creates a Space, and mask its secrets in logs.

        :param existing: returns the result for the id and the page of a Space that exists already.
        :param exist_ok: whether a Space that exists already is a result.
        :raises HubConflict: if the Space exists already, or another operation on it is in progress.
        """
        for value in call.confidential:
            mask_written(value)
        try:
            return self._send(call)
        except HubConflict as error:
            if not exist_ok or not error.permanent:
                raise
            repo_id = str(call.creates)
            return existing(self.get_space(repo_id).id, self.page_url(repo_id))

    def list_commits(self, repo_id: str, *, limit: int | None = None) -> Iterator[SpaceCommit]:
        """Yield the commits of a Space's branch ``main``, newest first. Pages are read as they are needed.

        Endpoint: ``GET /api/spaces/{repo_id}/commits/main``.

        :param limit: yield at most this many commits; by default all.
        """
        pages = self.client.pages(calls.list_commits(self.repo_id(repo_id)))
        yield from islice((commit for page in pages for commit in page), limit)

    def hf_api(self) -> HfApi:
        """Return the Hub's official client with the token and the endpoint of the connection.

        Use it for what this package does not offer, such as files, commits and models. Needs the extra
        ``deploy``.

        :raises InvalidConnection: if the package ``huggingface_hub`` is not installed.
        """
        try:
            from huggingface_hub import HfApi
        except ImportError:
            raise InvalidConnection(
                "This task needs the package huggingface_hub, which this worker does not have. Install "
                "'airflow-provider-hfspaces[deploy]'."
            ) from None
        return HfApi(
            endpoint=self.settings.endpoint,
            token=self._own_token() or False,
            library_name="airflow-provider-hfspaces",
            library_version=__version__,
        )

    def delete_space(self, repo_id: str) -> None:
        """Delete a Space with its files, its settings and its history. This cannot be undone.

        Endpoint: ``DELETE /api/repos/delete``.

        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        """
        self._send(calls.delete_space(self.repo_id(repo_id)))

    def move_space(self, from_id: str, to_id: str) -> None:
        """Rename a Space, or give it to another owner. The Hub redirects from the old id to the new one.

        Endpoint: ``POST /api/repos/move``.

        :param to_id: the new id, as ``owner/name``.
        :raises HubConflict: if a repository already has the new id.
        """
        self._send(calls.move_space(self.repo_id(from_id), self.repo_id(to_id)))

    def set_visibility(self, repo_id: str, visibility: str) -> None:
        """Set who can see a Space.

        Endpoint: ``PUT /api/spaces/{repo_id}/settings``.

        :param visibility: ``private`` (only its owner), ``public`` (everybody), or ``protected`` (everybody
            can use the app, and only its owner sees the files).
        """
        self._send(calls.set_visibility(self.repo_id(repo_id), visibility))
