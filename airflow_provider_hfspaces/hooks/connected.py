"""ConnectedHook: the base of HfSpacesHook, which reads the Airflow connection and builds the clients.

Come here to change how the token and the endpoint reach the clients, the connection form of Airflow 2.11 to
3.1, or what the button "Test" says.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException, BaseHook, airflow_version
from airflow_provider_hfspaces.compat.server import connection_of, in_thread
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.connection import ConnectionSettings, InvalidConnection, token_of
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_repo_id, checked_token
from airflow_provider_hfspaces.hub.errors import HubAuthError, HubError
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from airflow_provider_hfspaces.hub.http.retry import RetryDeadline
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.metrics import send_metrics

if TYPE_CHECKING:
    from typing_extensions import Self

    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.models import WhoAmI

__all__ = ["ConnectedHook"]

T = TypeVar("T")

_CONNECT_TIMEOUT_SECONDS = 5
_HURRIED_TIMEOUT_SECONDS = 10.0
"""Seconds without a byte after which a client with a deadline stops waiting for an answer."""

_WRITING_ROLES = frozenset({"admin", "write", "contributor"})
_USER_AGENT = (
    f"airflow-provider-hfspaces/{__version__}; python/{platform.python_version()}; "
    f"airflow/{airflow_version()}"
)


class ConnectedHook(BaseHook):
    """An Airflow connection of type ``hf_spaces``, and the clients that use its token and endpoint.

    :param hf_spaces_conn_id: the connection. Its password is the token, its host the endpoint.
    :param token: use this token instead of the connection's.
    :param clock: the present moment, in UTC; by default the clock of this machine. For tests.
    """

    conn_name_attr = "hf_spaces_conn_id"
    default_conn_name = "hf_spaces_default"
    conn_type = "hf_spaces"
    hook_name = "Hugging Face Spaces"
    user_agent = _USER_AGENT

    def __init__(
        self,
        hf_spaces_conn_id: str = default_conn_name,
        *,
        token: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        super().__init__()
        self.hf_spaces_conn_id = hf_spaces_conn_id
        self.clock = clock
        self._token = token

    @classmethod
    def from_connection(cls, connection: Any) -> Self:
        """Return the hook of a connection that has been read already, as by the API server or a command."""
        hook = cls(connection.conn_id)
        hook.__dict__["_connection"] = connection
        return hook

    def get_conn(self) -> HubClient:
        """Return :attr:`client`, under the name that Airflow's hooks share."""
        return self.client

    @cached_property
    def _connection(self) -> Any:
        try:
            return self.get_connection(self.hf_spaces_conn_id)
        except AirflowNotFoundException:
            raise self._missing_connection() from None

    def _missing_connection(self) -> InvalidConnection:
        return InvalidConnection(
            f"Connection {self.hf_spaces_conn_id!r} does not exist. Create a connection of type 'Hugging "
            f"Face Spaces' with a token as its password, or set hf_spaces_conn_id to another connection."
        )

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The settings of the connection, without its token.

        :raises InvalidInput: if the connection does not exist or is not valid.
        """
        return ConnectionSettings.from_connection(self._connection)

    @cached_property
    def client(self) -> HubClient:
        """The client of this hook. It is built once: one pool of connections, one masked token.

        :raises InvalidInput: if the connection does not exist or is not valid.
        """
        from airflow_provider_hfspaces.hub.http.client import HubClient

        self._mask_token()
        return HubClient(**self._client_options())

    async def async_client(self, *, within: float | None = None) -> AsyncHubClient:
        """Return a new client for an event loop. The caller has to close it.

        Reads the connection and the certificates without blocking the loop.

        :param within: seconds from now to the last retry; by default the usual retry policy applies.
        :raises InvalidInput: if the connection does not exist or is not valid.
        """
        from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient, prepare

        await self.read_connection()
        # Airflow 3 tells the triggerer's supervisor what to mask, which the thread of the loop cannot do.
        await in_thread(self._mask_token)
        await prepare(self.settings.endpoint)
        return AsyncHubClient(**self._client_options(within))

    def client_within(self, seconds: float) -> HubClient:
        """Return a new client that stops retrying after some seconds. The caller has to close it.

        :param seconds: seconds from now to the last retry.
        :raises InvalidInput: if the connection does not exist or is not valid.
        """
        from airflow_provider_hfspaces.hub.http.client import HubClient

        self._mask_token()
        return HubClient(**self._client_options(seconds))

    def streaming_client(self, *, connections: int) -> AsyncHubClient:
        """Return a new client for streams that stay open in an event loop. The caller has to close it.

        The client has its own connections, so that streams do not use up those for requests. If this hook has
        built a client before, building this one does not block and needs no answer of Airflow.

        :param connections: number of streams at a time.
        :raises InvalidInput: if the connection does not exist or is not valid.
        """
        from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient

        return AsyncHubClient(**self._client_options(), connections=connections)

    async def read_connection(self) -> None:
        """Read the connection once, without blocking the event loop.

        :raises InvalidInput: if the connection does not exist.
        """
        if not self.has_read_connection:
            try:
                self.__dict__["_connection"] = await connection_of(self.hf_spaces_conn_id)
            except AirflowNotFoundException:
                raise self._missing_connection() from None

    @property
    def has_read_connection(self) -> bool:
        """Whether the connection has been read."""
        return "_connection" in self.__dict__

    @property
    def rate_budget(self) -> RateBudget:
        """How many requests the token may still send. All clients of one Hub and token share it."""
        return RateBudget.shared(self.settings.endpoint, self._own_token())

    def _own_token(self) -> str | None:
        return checked_token(self._token) or token_of(self._connection)

    def _mask_token(self) -> None:
        token = self._own_token()
        if token:
            mask_written(token)

    def _client_options(self, within: float | None = None) -> dict[str, Any]:
        """Return the arguments of either client."""
        send_metrics()
        token = self._own_token()
        timeout = self.settings.timeout
        if within is not None:
            timeout = min(timeout, _HURRIED_TIMEOUT_SECONDS)
        return {
            "token": token,
            "endpoint": self.settings.endpoint,
            "timeout": (_CONNECT_TIMEOUT_SECONDS, timeout),
            "retry": None if within is None else RetryDeadline.within(within),
            "user_agent": _USER_AGENT,
            "allow_http": self.settings.allow_http,
        }

    def repo_id(self, repo_id: str) -> str:
        """Return the id of a Space as ``owner/name``.

        :param repo_id: ``owner/name``, a name alone if the connection has a namespace, or the address of the
            Space's page.
        :raises InvalidRepoId: for any other text.
        """
        return checked_repo_id(repo_id, namespace=self.settings.namespace, endpoint=self.settings.endpoint)

    def require_token(self, repo_id: str) -> None:
        """Raise an error, before anything is sent, if the connection has no token.

        :raises HubAuthError: if the connection has no token.
        """
        if not self.client.has_token:
            raise HubAuthError(
                f"Space {repo_id} cannot be changed without a token, and connection "
                f"{self.hf_spaces_conn_id!r} has no token. Set its password to a Hugging Face token with "
                f"write access.",
                repo_id=repo_id,
            )

    def page_url(self, repo_id: str) -> str:
        """Return the address of a Space's page on the Hub."""
        return f"{self.settings.endpoint}/spaces/{self.repo_id(repo_id)}"

    def execute(self, steps: Steps[T], client: HubClient | None = None) -> T:
        """Execute a plan of :mod:`~airflow_provider_hfspaces.hub.desired`.

        :param client: send with this client instead of the hook's.
        """
        return execute(steps, (client or self.client).send)

    def test_connection(self) -> tuple[bool, str]:
        """Return whether the connection works, and a sentence about its token's owner and permissions.

        Airflow's button "Test" calls this. Endpoint: ``GET /api/whoami-v2``, or without a token
        ``GET /api/spaces/hardware``. Never raises.
        """
        try:
            if not self.client.has_token:
                self._send(calls.list_hardware())
                return True, (
                    f"{self.settings.endpoint} answers, but connection {self.hf_spaces_conn_id!r} has no "
                    f"token: only public Spaces can be read. Set its password to a Hugging Face token with "
                    f"write access."
                )
            user = self._send(calls.whoami())
        except (HubError, InvalidInput) as error:
            return False, str(error)
        except Exception as error:  # the form shows a sentence, whatever happens
            return False, f"The connection could not be tested: {type(error).__name__}."
        return True, _introduction(user, self.settings.namespace)

    def _send(self, call: Call[T]) -> T:
        return self.client.send(call)


def _introduction(user: WhoAmI, namespace: str | None) -> str:
    role = user.token_role or user.auth_type or "unknown"
    text = f"Authenticated as {user.name} with the token {user.token_name!r} (role: {role})."
    if role == "fineGrained":
        scopes = "; ".join(f"{scope.entity}: {', '.join(scope.permissions)}" for scope in user.scopes)
        text += f" It may: {scopes or 'nothing on its own'}."
    elif role == "read":
        text += " It may read Spaces but change none."
    else:
        writable = [each.name for each in user.organizations if each.role in _WRITING_ROLES]
        text += f" It may change the Spaces of {', '.join([user.name, *writable])}."
    if user.auth_type not in (None, "access_token"):
        text += " The Hub refuses hardware, sleep time and restart to tokens of an OAuth login."
    if namespace and namespace not in {user.name, *(each.name for each in user.organizations)}:
        text += f" The namespace {namespace!r} is neither this user nor one of its organizations."
    return text
