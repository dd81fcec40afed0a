"""HfSpacesHook: the Hub's Spaces API behind an Airflow connection, one method per call."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_hfspaces import __version__
from airflow_provider_hfspaces.compat.imports import AirflowNotFoundException, BaseHook, airflow_version
from airflow_provider_hfspaces.compat.server import connection_of
from airflow_provider_hfspaces.failures import mask_written
from airflow_provider_hfspaces.hooks.connection import ConnectionSettings, InvalidConnection, token_of
from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.checks import (
    InvalidInput,
    checked_hardware,
    checked_repo_id,
    checked_token,
    known_hardware,
)
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.desired import (
    HURRIED,
    Patience,
    describe,
    plan_change,
    plan_pause,
    plan_restore,
    restored_state,
)
from airflow_provider_hfspaces.hub.errors import (
    HubAuthError,
    HubError,
    SpaceNotFound,
)
from airflow_provider_hfspaces.hub.http.quota import RateBudget
from airflow_provider_hfspaces.hub.http.retry import RetryDeadline
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.models import (
    DuplicatedSpace,
    HardwareFlavor,
    SpaceInfo,
    SpaceRuntime,
    SpaceSecret,
    SpaceVariable,
    Volume,
    WhoAmI,
)
from airflow_provider_hfspaces.hub.seconds import checked_seconds
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.wait import GRACE_SECONDS, Wait

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.http.sequence import Steps
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = ["HfSpacesHook", "describe"]

T = TypeVar("T")
Settings = Sequence[Mapping[str, str]] | Mapping[str, str]


class HfSpacesHook(BaseHook):
    """The Hub's Spaces API behind an Airflow connection of type ``hf_spaces``.

    Every method takes a Space's id as ``owner/name``, as a name alone where the connection has a
    namespace, or as the address of its page. Every method raises
    :class:`~airflow_provider_hfspaces.hub.checks.InvalidInput` before anything is sent for input
    that cannot be right, and a :class:`~airflow_provider_hfspaces.hub.errors.HubError` for an
    answer that is none.

    :param hf_spaces_conn_id: the connection: the token is its password, the endpoint its host.
    :param token: use this token instead of the connection's.
    """

    conn_name_attr = "hf_spaces_conn_id"
    default_conn_name = "hf_spaces_default"
    conn_type = "hf_spaces"
    hook_name = "Hugging Face Spaces"

    def __init__(self, hf_spaces_conn_id: str = default_conn_name, *, token: str | None = None) -> None:
        super().__init__()
        self.hf_spaces_conn_id = hf_spaces_conn_id
        self._token = token

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """The connection form of Airflow 2.11 to 3.1: which of the standard fields it shows."""
        behaviour = _connection_type()["ui-field-behaviour"]
        return {name.replace("-", "_"): value for name, value in behaviour.items()}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The connection form of Airflow 2.11 to 3.1: its own fields."""
        from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import BooleanField, IntegerField, StringField
        from wtforms.validators import NumberRange, Optional

        fields = _connection_type()["conn-fields"]

        def options(name: str) -> dict[str, Any]:
            return {
                "label": lazy_gettext(fields[name]["label"]),
                "description": fields[name]["description"],
            }

        return {
            "namespace": StringField(widget=BS3TextFieldWidget(), **options("namespace")),
            "timeout": IntegerField(
                widget=BS3TextFieldWidget(),
                validators=[Optional(), NumberRange(min=1)],
                **options("timeout"),
            ),
            "allow_http": BooleanField(default=False, **options("allow_http")),
        }

    def get_conn(self) -> HubClient:
        """The client, as every Airflow hook offers it; the same as :attr:`client`."""
        return self.client

    @cached_property
    def _connection(self) -> Any:
        try:
            return self.get_connection(self.hf_spaces_conn_id)
        except AirflowNotFoundException:
            raise self._no_connection() from None

    def _no_connection(self) -> InvalidConnection:
        return InvalidConnection(
            f"Connection {self.hf_spaces_conn_id!r} does not exist. Create a connection of type 'Hugging "
            f"Face Spaces' with a token as its password, or set hf_spaces_conn_id to another connection."
        )

    @cached_property
    def settings(self) -> ConnectionSettings:
        """What the connection says, but for the token."""
        return ConnectionSettings.from_connection(self._connection)

    @cached_property
    def client(self) -> HubClient:
        """The client behind this hook, built once: one pool of connections, one masked token."""
        from airflow_provider_hfspaces.hub.http.client import HubClient

        return HubClient(**self._options())

    async def async_client(self, *, within: float | None = None) -> AsyncHubClient:
        """A client for an event loop, whose caller closes it.

        Neither reading the connection nor the certificates holds the loop up.

        :param within: seconds after which the client tries nothing again.
        :raises InvalidInput: for a connection that does not exist or cannot be right.
        """
        from airflow_provider_hfspaces.hub.http.aio import AsyncHubClient, prepare

        await self.read_connection()
        await prepare(self.settings.endpoint)
        return AsyncHubClient(**self._options(within))

    def client_within(self, seconds: float) -> HubClient:
        """A client that tries nothing again after so many seconds, and whose caller closes it.

        :raises InvalidInput: for a connection that does not exist or cannot be right.
        """
        from airflow_provider_hfspaces.hub.http.client import HubClient

        return HubClient(**self._options(seconds))

    async def read_connection(self) -> None:
        """Read the connection in an event loop, once.

        :raises InvalidInput: if there is none.
        """
        if not self.has_read_connection:
            try:
                self.__dict__["_connection"] = await connection_of(self.hf_spaces_conn_id)
            except AirflowNotFoundException:
                raise self._no_connection() from None

    @property
    def has_read_connection(self) -> bool:
        """Whether Airflow has given the connection out."""
        return "_connection" in self.__dict__

    @property
    def rate_budget(self) -> RateBudget:
        """What the token may still send; the same for all clients of this Hub and token."""
        return RateBudget.of(self.settings.endpoint, self._own_token())

    def _own_token(self) -> str | None:
        return checked_token(self._token) or token_of(self._connection)

    def _options(self, within: float | None = None) -> dict[str, Any]:
        """What both clients are made with."""
        token = self._own_token()
        if token:
            mask_written(token)
        silence = self.settings.timeout
        if within is not None:
            silence = min(silence, _SILENCE_IN_A_HURRY)
        return {
            "token": token,
            "endpoint": self.settings.endpoint,
            "timeout": (5, silence),
            "retry": None if within is None else RetryDeadline.within(within),
            "user_agent": _USER_AGENT,
            "allow_http": self.settings.allow_http,
        }

    def repo_id(self, repo_id: str) -> str:
        """A Space's id as ``owner/name``, from whatever form it was given in.

        :raises InvalidRepoId: saying what is wrong with it.
        """
        return checked_repo_id(repo_id, namespace=self.settings.namespace, endpoint=self.settings.endpoint)

    def require_token(self, repo_id: str) -> None:
        """Refuse to go on without a token, before anything is sent.

        :raises HubAuthError: if the connection has none.
        """
        if not self.client.has_token:
            raise HubAuthError(
                f"Space {repo_id} cannot be changed without a token, and connection "
                f"{self.hf_spaces_conn_id!r} has no token. Set its password to a Hugging Face token with "
                f"write access.",
                repo_id=repo_id,
            )

    def page_url(self, repo_id: str) -> str:
        """The address of a Space's page on the Hub."""
        return f"{self.settings.endpoint}/spaces/{self.repo_id(repo_id)}"

    # What is there

    def get_space(self, repo_id: str, *, expand: str | Iterable[str] = ()) -> SpaceInfo:
        """A Space's description; ``expand`` names the properties to send, none is the Hub's choice."""
        return self._send(calls.get_space(self.repo_id(repo_id), expand=expand))

    def get_runtime(self, repo_id: str) -> SpaceRuntime:
        """The live state of a Space."""
        return self._send(calls.get_runtime(self.repo_id(repo_id)))

    def list_spaces(
        self,
        *,
        author: str | None = None,
        search: str | None = None,
        filter: str | Iterable[str] = (),
        sort: str | None = None,
        limit: int | None = None,
        expand: str | Iterable[str] = (),
        page_size: int | None = None,
    ) -> Iterator[SpaceInfo]:
        """Spaces that the token may see, page by page as they are needed.

        :param author: only this user's or organization's; the connection's namespace is no default.
        :param search: only those whose id contains this.
        :param filter: only those with these tags.
        :param sort: ``lastModified``, ``createdAt``, ``likes`` or ``trendingScore``.
        :param limit: at most so many Spaces.
        :param expand: names of the properties to send, such as ``runtime``.
        :param page_size: how many Spaces to ask for at once.
        """
        call = calls.list_spaces(
            author=author,
            search=search,
            filter=filter,
            sort=sort,
            limit=page_size or limit,
            expand=expand,
        )
        found = 0
        for page in self.client.pages(call):
            for space in page:
                if limit is not None and found >= limit:
                    return
                found += 1
                yield space
            if limit is not None and found >= limit:
                return

    def list_hardware(self) -> list[HardwareFlavor]:
        """Every flavor that the Hub offers today, with its price."""
        return self._send(calls.list_hardware())

    def price_list(self) -> PriceList:
        """The Hub's prices, as of now: ``GET /api/spaces/hardware``."""
        return PriceList.from_flavors(self.list_hardware())

    def get_logs(self, repo_id: str, *, build: bool = False, lines: int | None = None) -> list[str]:
        """A Space's log as it is now.

        :param build: the log of the build, not of the app.
        :param lines: only the last so many.
        """
        found = list(self.client.lines(calls.get_logs(self.repo_id(repo_id), build=build, lines=lines)))
        if lines is None:
            return found
        return found[-lines:] if lines else []

    def whoami(self) -> WhoAmI:
        """Who the token belongs to and what it may do."""
        return self._send(calls.whoami())

    def can_write(self, repo_id: str) -> bool:
        """Whether the token may change a Space. A missing Space or a refused token is an error."""
        from airflow_provider_hfspaces.hub.errors import HubPermissionError

        try:
            return self._send(calls.can_write(self.repo_id(repo_id)))
        except HubPermissionError:
            return False

    def get_billing_usage(self, organization: str | None = None) -> dict[str, Any]:
        """What the Hub billed in this period: the token owner's, or an organization's."""
        return self._send(calls.get_billing_usage(organization=organization))

    # Hardware, sleep time, life cycle

    def request_hardware(self, repo_id: str, hardware: str, *, sleep_time: int | None = None) -> SpaceRuntime:
        """Change a Space's hardware, which restarts it. The answer still shows the old hardware.

        Where the answer is lost, what the Hub shows afterwards decides whether to ask again.

        :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never.
        """
        call = calls.request_hardware(
            self.repo_id(repo_id), hardware, sleep_time=sleep_time, offered=self.offered(hardware)
        )
        return self.execute(
            plan_change(call, lambda runtime: runtime.requested_hardware == hardware, log=self.log)
        )

    def set_sleep_time(self, repo_id: str, seconds: int) -> SpaceRuntime:
        """Set after how many seconds without a visitor a Space sleeps; -1 is never."""
        return self._send(calls.set_sleep_time(self.repo_id(repo_id), seconds))

    def pause(self, repo_id: str) -> SpaceRuntime:
        """Stop a Space until its owner restarts it. A paused Space costs nothing.

        Sends nothing if the Space is paused already.
        """
        return self.execute(plan_pause(self.repo_id(repo_id)))

    def restart(self, repo_id: str, *, factory_reboot: bool = False) -> SpaceRuntime:
        """Restart a Space; billing begins when it starts.

        :param factory_reboot: build anew, without caches.
        """
        return self._send(calls.restart(self.repo_id(repo_id), factory_reboot=factory_reboot))

    def restore(
        self,
        snapshot: SpaceSnapshot,
        runtime: SpaceRuntime | None = None,
        *,
        fallback: str = "cpu-basic",
        client: HubClient | None = None,
    ) -> SpaceRuntime:
        """Restore hardware, sleep time, replicas and pause; no request for what has not changed.

        A Space that somebody has paused since the snapshot stays paused. If the Hub rejects the
        recorded hardware for good, the Space moves to ``fallback``; if the Hub rejects that too, the
        Space is paused, because a paused Space costs nothing.

        :param runtime: the current runtime, if it is known.
        :param fallback: a flavor.
        :param client: send with this client; for a signal handler, which has no time and no later try.
        :raises RestoreRejected: after the fallback or the pause.
        """
        steps = plan_restore(
            restored_state(snapshot),
            runtime,
            fallback=fallback,
            is_last_try=client is not None,
            patience=Patience() if client is None else HURRIED,
            log=self.log,
        )
        return self.execute(steps, client)

    def execute(self, steps: Steps[T], client: HubClient | None = None) -> T:
        """Execute a plan of :mod:`~airflow_provider_hfspaces.hub.desired`.

        :param client: send with this client instead of the hook's.
        """
        return execute(steps, (client or self.client).send)

    def duplicate(
        self,
        from_id: str,
        *,
        to_id: str | None = None,
        private: bool = True,
        hardware: str | None = None,
        storage: str | None = None,
        sleep_time: int | None = None,
        secrets: Settings | None = None,
        variables: Settings | None = None,
        volumes: Sequence[Volume | Mapping[str, Any]] | None = None,
        exist_ok: bool = False,
    ) -> DuplicatedSpace:
        """Copy a Space. Private unless asked otherwise, so that a copy publishes nothing by accident.

        The Hub copies variables, but never secrets.

        :param to_id: the new Space; by default the same name in the connection's namespace, or in
            that of the token's owner.
        :param hardware: a flavor; ``None`` for free CPU.
        :param storage: a retired storage tier; volumes are what the Hub offers now.
        :param sleep_time: seconds, or -1 for never.
        :param secrets: as a mapping of keys to values, or a list of ``{"key", "value", "description"}``.
        :param variables: the same.
        :param exist_ok: take a Space that is there already for the copy, unchanged.
        :raises HubConflict: if there is one already.
        """
        from airflow_provider_hfspaces.hub.errors import HubConflict

        from_id, to_id = self.repo_id(from_id), self.duplicate_target(from_id, to_id)
        call = calls.duplicate(
            from_id,
            to_id,
            private=private,
            hardware=hardware,
            storage=storage,
            sleep_time=sleep_time,
            secrets=secrets,
            variables=variables,
            volumes=volumes,
            offered=self.offered(hardware) if hardware else None,
        )
        for value in call.confidential:
            mask_written(value)
        try:
            return self._send(call)
        except HubConflict:
            if not exist_ok:
                raise
            return DuplicatedSpace(self.get_space(to_id).id, self.page_url(to_id))

    def duplicate_target(self, from_id: str, to_id: str | None) -> str:
        """The id that a copy gets: ``to_id``, or the same name with the default owner."""
        if to_id:
            if "/" not in to_id and not self.settings.namespace:
                to_id = f"{self.whoami().name}/{to_id}"
            return self.repo_id(to_id)
        name = self.repo_id(from_id).partition("/")[2]
        return self.repo_id(f"{self.settings.namespace or self.whoami().name}/{name}")

    # Storage, volumes, variables, secrets, the rest

    def request_storage(self, repo_id: str, storage: str) -> SpaceRuntime:
        """Ask for a persistent disk: ``small``, ``medium`` or ``large``. The Hub is retiring them."""
        return self._send(calls.request_storage(self.repo_id(repo_id), storage))

    def delete_storage(self, repo_id: str) -> SpaceRuntime:
        """Give the persistent disk up, with all that is on it."""
        return self._send(calls.delete_storage(self.repo_id(repo_id)))

    def set_volumes(self, repo_id: str, volumes: Sequence[Volume | Mapping[str, Any]]) -> None:
        """Mount these volumes and no others."""
        self._send(calls.set_volumes(self.repo_id(repo_id), volumes))

    def delete_volumes(self, repo_id: str) -> None:
        """Unmount all volumes. The Hub refuses it where there are none."""
        self._send(calls.delete_volumes(self.repo_id(repo_id)))

    def get_variables(self, repo_id: str) -> dict[str, SpaceVariable]:
        """All variables of a Space, by key."""
        return self._send(calls.get_variables(self.repo_id(repo_id)))

    def add_variable(
        self, repo_id: str, key: str, value: str, *, description: str | None = None
    ) -> dict[str, SpaceVariable]:
        """Add or change a variable, which restarts the Space. Returns all of them."""
        return self._send(calls.add_variable(self.repo_id(repo_id), key, value, description=description))

    def delete_variable(self, repo_id: str, key: str) -> dict[str, SpaceVariable]:
        """Delete a variable. Returns those that are left."""
        return self._send(calls.delete_variable(self.repo_id(repo_id), key))

    def get_secrets(self, repo_id: str) -> dict[str, SpaceSecret]:
        """The names of a Space's secrets; nobody gets their values back."""
        return self._send(calls.get_secrets(self.repo_id(repo_id)))

    def add_secret(self, repo_id: str, key: str, value: str, *, description: str | None = None) -> None:
        """Add or change a secret, which restarts the Space. Its value is masked from here on."""
        call = calls.add_secret(self.repo_id(repo_id), key, value, description=description)
        for each in call.confidential:
            mask_written(each)
        self._send(call)

    def delete_secret(self, repo_id: str, key: str) -> None:
        """Delete a secret; no error if there is none of that name."""
        self._send(calls.delete_secret(self.repo_id(repo_id), key))

    def set_dev_mode(self, repo_id: str, enabled: bool) -> SpaceRuntime:
        """Turn dev mode on or off."""
        return self._send(calls.set_dev_mode(self.repo_id(repo_id), enabled))

    def set_replicas(self, repo_id: str, replicas: int) -> None:
        """Run so many copies of a Space, each one billed; on paid hardware only."""
        self._send(calls.set_replicas(self.repo_id(repo_id), replicas))

    # Waiting and testing

    def wait_for(
        self,
        repo_id: str,
        goal: Goal,
        *,
        timeout: float,
        poll_interval: float,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = GRACE_SECONDS,
        stop: threading.Event | None = None,
        on_change: Callable[[SpaceRuntime, float], None] | None = None,
    ) -> SpaceRuntime:
        """Wait until a Space reaches a goal, and return its runtime. The first look is at once.

        :param goal: what the Space has to reach.
        :param timeout: seconds from the beginning of the wait to its end.
        :param poll_interval: seconds between two looks.
        :param before: the runtime when a request was sent to the Space. A Space that still looks like
            this is only late for ``grace`` seconds, at most half of ``timeout``.
        :param answer: the runtime with which the Hub answered that request.
        :param stop: ends the wait from another thread or a signal handler.
        :param on_change: called with each new state and the seconds since the wait began; by default
            each new state is logged.
        :raises InvalidInput: for a duration that is not valid; nothing is sent then.
        :raises SpaceWaitFailed: if the Space does not reach the goal by itself any more, or ``stop`` is set.
        :raises SpaceWaitTimeout: if the Space has not reached the goal in time.
        """
        repo_id = self.repo_id(repo_id)
        wait = Wait(
            repo_id,
            goal,
            timeout=timeout,
            before=before,
            answer=answer,
            grace=grace,
            on_change=on_change or self._tell_change(repo_id),
        )
        interval = checked_seconds(poll_interval, "poll_interval")
        stop = stop or threading.Event()
        started = time.monotonic()
        while True:
            runtime = self.get_runtime(repo_id)
            elapsed = time.monotonic() - started
            if wait.observe(runtime, elapsed) is not None:
                return runtime
            if elapsed >= wait.timeout:
                raise wait.timed_out(self.settings.endpoint)
            if stop.wait(min(interval, wait.timeout - elapsed)):
                raise wait.stopped()

    def test_connection(self) -> tuple[bool, str]:
        """Say who the token is and what it may do, for the button in the connection form."""
        try:
            if not self.client.has_token:
                self._send(calls.list_hardware())
                return True, (
                    f"{self.settings.endpoint} answers, but there is no token: only public Spaces can be "
                    f"read. Put a token with write access into the password."
                )
            me = self.whoami()
        except (HubError, InvalidInput) as error:
            return False, str(error)
        except Exception as error:  # the form shows a sentence, whatever happens
            return False, f"The connection could not be tested: {type(error).__name__}."
        return True, _introduction(me, self.settings.namespace)

    def exists(self, repo_id: str) -> bool:
        """Whether there is a Space of this id that the token may see."""
        try:
            self.get_space(repo_id, expand=("createdAt",))
        except SpaceNotFound:
            return False
        return True

    def _send(self, call: Call[T]) -> T:
        return self.client.send(call)

    def offered(self, hardware: str) -> list[HardwareFlavor] | None:
        """The Hub's price list, asked for only where a flavor is not known without it."""
        if not isinstance(hardware, str) or known_hardware(hardware):
            return None
        try:
            return self._send(calls.list_hardware())
        except HubError:
            checked_hardware(hardware)
            raise

    def _tell_change(self, repo_id: str) -> Callable[[SpaceRuntime, float], None]:
        def tell(runtime: SpaceRuntime, elapsed: float) -> None:
            self.log.info("%4.0f s  %s is %s", elapsed, repo_id, describe(runtime))

        return tell


_SILENCE_IN_A_HURRY = 10.0
"""Seconds of silence after which an answer counts as lost where all has to be done in half a minute."""

_USER_AGENT = (
    f"airflow-provider-hfspaces/{__version__}; python/{platform.python_version()}; "
    f"airflow/{airflow_version()}"
)


def _connection_type() -> dict[str, Any]:
    from airflow_provider_hfspaces import get_provider_info

    connection_type: dict[str, Any] = get_provider_info()["connection-types"][0]
    return connection_type


def _introduction(me: WhoAmI, namespace: str | None) -> str:
    role = me.token_role or me.auth_type or "unknown"
    text = f"Authenticated as {me.name} with the token {me.token_name!r} (role: {role})."
    if role == "fineGrained":
        scopes = "; ".join(f"{scope.entity}: {', '.join(scope.permissions)}" for scope in me.scopes)
        text += f" It may: {scopes or 'nothing on its own'}."
    elif role == "read":
        text += " It may read Spaces but change none."
    else:
        writable = [each.name for each in me.organizations if each.role in ("admin", "write", "contributor")]
        text += f" It may change the Spaces of {', '.join([me.name, *writable])}."
    if me.auth_type not in (None, "access_token"):
        text += " The Hub refuses hardware, sleep time and restart to tokens of an OAuth login."
    if namespace and namespace not in {me.name, *(each.name for each in me.organizations)}:
        text += f" The namespace {namespace!r} is neither this user nor one of its organizations."
    return text
