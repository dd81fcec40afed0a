"""AppsHook: the address of the app inside a Space, a client of the app, and its health.

Come here to change how the hook logs in to an app.
"""

from __future__ import annotations

import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException
from airflow_provider_hfspaces.compat.server import connection_of
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.connection import InvalidConnection
from airflow_provider_hfspaces.hooks.repositories import RepositoriesHook
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.space_app.address import app_address

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout
    from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
    from airflow_provider_hfspaces.hub.waiting.wait import Wait
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.health import AppHealth
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck

__all__ = ["AppProbe", "AppsHook"]


class AppsHook(RepositoriesHook):
    """The part of :class:`~airflow_provider_hfspaces.hooks.hfspaces.HfSpacesHook` that talks to apps."""

    def app_url(self, repo_id: str) -> str:
        """Return the address of a Space's app, such as ``https://acme-whisper.hf.space``.

        The Hub names the address. It cannot be derived from the name of the Space, and changes when the
        Space is renamed or moved.

        Endpoint: ``GET /api/spaces/{repo_id}``.

        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        :raises InvalidInput: for a static Space, which has no app.
        """
        return app_address(self._send(calls.get_space(self.repo_id(repo_id))))

    def app_health(self, repo_id: str, check: HealthCheck) -> AppHealth:
        """Return whether the app of a Space answers a request as expected.

        The request counts as a visit: it wakes a sleeping Space, and keeps it awake.

        Endpoint: ``GET /api/spaces/{repo_id}``, once for all checks of this hook.

        :param check: the request, and what the app has to answer.
        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        :raises InvalidInput: for a static Space, which has no app.
        """
        repo_id = self.repo_id(repo_id)
        if repo_id not in self._checked_apps:
            self._checked_apps[repo_id] = self.open_app(repo_id, connections=1)
        return self._checked_apps[repo_id].health(check)

    @cached_property
    def _checked_apps(self) -> dict[str, SpaceApp]:
        """The clients for health checks of this hook, which lives as long as one try of a task."""
        return {}

    def open_app(self, repo_id: str, *, app_conn_id: str | None = None, **options: Any) -> SpaceApp:
        """Return a client of the app inside a Space, for many calls. The caller has to close it.

        ::

            with hook.open_app("acme/whisper") as app:
                text = app.call("/transcribe", {"audio": path}).value

        Endpoint: ``GET /api/spaces/{repo_id}``, for the address of the app.

        :param app_conn_id: a connection of any type, for an app that has a login of its own. Its login and
            password are the user name and password for the app; a password without a login is a bearer token
            of the app.
        :param options: further arguments of :class:`~airflow_provider_hfspaces.space_app.app.SpaceApp`, such
            as ``connections``.
        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        :raises InvalidInput: for a static Space, which has no app.
        """
        from airflow_provider_hfspaces.space_app.app import SpaceApp

        repo_id = self.repo_id(repo_id)
        login = {} if app_conn_id is None else _login(_connection(self, app_conn_id), app_conn_id)
        return SpaceApp(repo_id, self.app_url(repo_id), **self._app_options(), **login, **options)

    async def async_app(
        self, repo_id: str, client: AsyncHubClient, *, app_conn_id: str | None = None, **options: Any
    ) -> SpaceApp:
        """Return a client of the app inside a Space, for an event loop. The caller has to close it.

        :param client: sends the request to the Hub for the address of the app.
        :param app_conn_id: the connection with the login of the app itself.
        :param options: further arguments of :class:`~airflow_provider_hfspaces.space_app.app.SpaceApp`.
        :raises SpaceNotFound: if the Space does not exist or the token cannot see it.
        :raises InvalidInput: for a static Space, which has no app.
        """
        from airflow_provider_hfspaces.space_app.app import SpaceApp

        repo_id = self.repo_id(repo_id)
        host = app_address(await client.send(calls.get_space(repo_id)))
        connection = None
        if app_conn_id is not None:
            try:
                connection = await connection_of(app_conn_id)
            except AirflowNotFoundException:
                raise _missing(app_conn_id) from None
        return SpaceApp(repo_id, host, **self._app_options(), **_login(connection, app_conn_id), **options)

    def _app_options(self) -> dict[str, Any]:
        token = self._own_token()
        if token:
            mask_written(token)
        return {"token": token, "user_agent": self.user_agent}


def _connection(hook: AppsHook, app_conn_id: str) -> Any:
    try:
        return hook.get_connection(app_conn_id)
    except AirflowNotFoundException:
        raise _missing(app_conn_id) from None


def _missing(app_conn_id: str) -> InvalidConnection:
    return InvalidConnection(
        f"Connection {app_conn_id!r} does not exist. Create one with the user name and password of the app, "
        f"or set app_conn_id to another connection."
    )


def _login(connection: Any, app_conn_id: str | None) -> dict[str, Any]:
    """Return the login of the app itself, as arguments of its client."""
    if connection is None:
        return {}
    password = connection.password
    if not password:
        raise InvalidConnection(
            f"Connection {app_conn_id!r} has no password. Set the password of the app's own login, or its "
            f"bearer token without a login."
        )
    mask_written(password)
    return {"auth": (connection.login, password)} if connection.login else {"bearer": password}


class AppProbe:
    """Checks the health of the app of one Space during a wait in a worker.

    :param check: what the app has to answer.
    """

    def __init__(self, hook: AppsHook, repo_id: str, check: HealthCheck) -> None:
        self._hook, self._repo_id, self._check = hook, repo_id, check
        self._reason: str | None = None

    def answers_within(self, seconds: float, stop: threading.Event) -> bool:
        """Return whether the app answers as expected, after at least one request.

        :param seconds: how long to send requests.
        :param stop: ends the requests.
        """
        from airflow_provider_hfspaces.space_app.health_check import PROBE_PAUSE_SECONDS

        ends = time.monotonic() + seconds
        while not stop.is_set():
            health = self._hook.app_health(self._repo_id, self._check)
            if health:
                return True
            reason = health.cause
            if reason != self._reason:
                self._hook.log.info("%s", self._check.describe(self._repo_id, reason))
            self._reason = reason
            remaining = ends - time.monotonic()
            if remaining <= 0:
                break
            stop.wait(min(remaining, PROBE_PAUSE_SECONDS))
        return False

    def timed_out(self, wait: Wait) -> SpaceWaitTimeout:
        """Return the error for an app that did not answer as expected in time."""
        from airflow_provider_hfspaces.space_app.health_check import not_healthy

        return not_healthy(
            self._repo_id,
            self._check,
            self._reason,
            timeout=wait.timeout,
            runtime=wait.runtime,
            endpoint=self._hook.settings.endpoint,
        )
