"""HubEmulator: an emulated Hub that serves requests from a thread of its own."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from airflow_provider_hfspaces.emulator import state_file
from airflow_provider_hfspaces.emulator.apps.ports import AppPorts
from airflow_provider_hfspaces.emulator.faults.rules import Fault, Faults
from airflow_provider_hfspaces.emulator.handle import SpaceHandle
from airflow_provider_hfspaces.emulator.http.asgi import HubApp
from airflow_provider_hfspaces.emulator.http.listener import Listener
from airflow_provider_hfspaces.emulator.model.accounts import Organization, User
from airflow_provider_hfspaces.emulator.model.bill import Bill
from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.creation import make_space
from airflow_provider_hfspaces.emulator.model.demo_fleet import FLEETS
from airflow_provider_hfspaces.emulator.model.limits import WINDOW_SECONDS
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.request_log import RecordedRequest
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.settings import Settings, Timings
from airflow_provider_hfspaces.hub.models import Volume
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["HubEmulator"]

_POLL_SECONDS = 0.2
"""Real seconds between two checks whether the emulator still runs."""


class HubEmulator:
    """The Hub's Spaces API on this computer, for as long as the ``with`` block lasts.

        with HubEmulator(speed=600) as hub:
            space = hub.add_space("acme/whisper")
            ...  # connect to hub.url with hub.token
            assert not hub.bill().running

    :param speed: emulated seconds per real second. With 0, time moves only by :meth:`advance`.
    :param port: 0 for any free port.
    :param app_port: port of the first app; each further app gets the next free one. 0 for any free ports.
    :param host: the address to listen on. Every program that reaches it can read and change everything.
    :param user: owner of :attr:`token`, with a PRO account and a payment method.
    :param token: value of :attr:`token`, for connections that outlive the emulator; by default a random
        one.
    :param allowed_hosts: host names, besides addresses and ``localhost``, under which clients may use the
        control API.
    :param fleet: the Spaces to start with: ``empty`` or ``demo``.
    :param seed: determines which requests are struck by faults.
    :param faults: faults from the start.
    :param timings: how long things take.
    :param settings: how the Hub behaves.
    :param choices: single settings, by the names in :class:`Settings`.
    :raises ValueError: for an unknown fleet and for invalid settings.
    """

    def __init__(
        self,
        *,
        speed: float = 600.0,
        port: int = 0,
        app_port: int = 0,
        host: str = "127.0.0.1",
        user: str = "alice",
        token: str | None = None,
        allowed_hosts: Iterable[str] = (),
        fleet: str = "empty",
        seed: int = 0,
        faults: Iterable[Fault] = (),
        timings: Timings | None = None,
        settings: Settings | None = None,
        **choices: Any,
    ) -> None:
        if fleet not in FLEETS:
            raise ValueError(f"The fleet must be one of {', '.join(FLEETS)}; got {fleet!r}.")
        behaviour = dataclasses.replace(settings or Settings())
        behaviour.change({**({"timings": timings} if timings else {}), **choices})
        self._first_settings = dataclasses.replace(behaviour)
        self._host, self._port, self._fleet = host, port, fleet
        self._app_port = app_port
        self._listener: Listener | None = None
        self._apps: AppPorts | None = None
        self.world = World(clock=Clock(speed), settings=behaviour, user=user)
        self.world.on_reset = self._populate
        self.user = user
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise ValueError("The token must be one or more printable ASCII characters, without spaces.")
        self._chosen_token = token
        self.token = token or ""
        self.world.allowed_hosts = frozenset(name.lower() for name in (host, *allowed_hosts))
        self._first_faults = tuple(faults)
        self.world.faults.seed = seed
        self._populate()

    def __enter__(self) -> HubEmulator:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address, such as ``http://127.0.0.1:43121``; empty before :meth:`start`."""
        return self.world.endpoint

    @property
    def settings(self) -> Settings:
        """The behaviour. ``settings.change({...})`` changes it while the emulator runs."""
        return self.world.settings

    # Starting and stopping

    def start(self) -> None:
        """Start to listen. Returns when the emulator answers.

        :raises OSError: if the address is in use.
        """
        if self._listener is not None:
            raise RuntimeError("The emulator is already running.")
        self._listener = Listener(HubApp(self.world), self._host, self._port)
        self.world.endpoint = self._listener.url
        self.world.closing = False
        self._apps = AppPorts(self.world, self._host, self._app_port)
        self._listener.start()

    def stop(self) -> None:
        """Stop listening. The recorded requests and the bill stay readable."""
        self.world.closing = True
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        if self._apps is not None:
            self._apps.stop()

    # Faults and quotas

    @property
    def faults(self) -> Faults:
        """The faults: ``hub.faults.add(kind="reset", path="/restart", times=1)`` adds one."""
        return self.world.faults

    def bad_day(self, seed: int = 0, *, quota: int | None = None, window: int | None = None) -> None:
        """Let a tenth of all requests end in a 5xx, lose 3 % of the answers, and set a low quota.

        :param seed: determines which requests fail.
        :param quota: API requests per window and account; a tenth of a free account's by default.
        :param window: real seconds; the Hub's 300 by default.
        """
        with self.world.lock:
            self.world.bad_day(seed, quota, window)

    def set_quota(self, quota: int, window: int = WINDOW_SECONDS) -> None:
        """Set the API requests that each account may send within a window of real seconds."""
        with self.world.lock:
            self.world.limits.tighten(quota, window)

    # Saving and loading

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save everything to a JSON file, tokens and secrets included."""
        with self.world.lock:
            state_file.save(self.world, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace everything, the emulated time included, by a file that :meth:`save` has written.

        :raises ValueError: if the file is not valid. Nothing is changed then.
        """
        with self.world.lock:
            state_file.load(self.world, state_file.read(path))
            self.world.large_files.load(state_file.large_files_of(path))
            if self._chosen_token is None:
                tokens = (
                    each.value for each in self.world.accounts.tokens.values() if each.user == self.user
                )
                self.token = next(tokens, self.token)
            elif self._chosen_token not in self.world.accounts.tokens:
                self.world.accounts.add_token(self.user, name="emulator", value=self._chosen_token)

    def wait(self) -> None:
        """Wait until the emulator stops."""
        while self._listener is not None and self._listener.join(_POLL_SECONDS):
            pass

    # Accounts, Spaces and other repositories

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add a user.

        :param can_pay: whether the user has a payment method. Without one, the Hub refuses paid hardware.
        :param plan: sets the request quota: ``free``, ``pro``, ``team``, ``enterprise``, ``plus`` or
            ``academia``.
        """
        with self.world.lock:
            return self.world.accounts.add_user(name, is_pro=is_pro, can_pay=can_pay, plan=plan)

    def add_organization(
        self,
        name: str,
        *,
        plan: str | None = "team",
        members: Mapping[str, str] | None = None,
        can_pay: bool = True,
    ) -> Organization:
        """Add an organization.

        :param plan: ``team``, ``enterprise``, ``plus``, ``academia`` or ``None``.
        :param members: users with their role: ``admin``, ``write``, ``contributor``, ``read``, ``no_access``.
        """
        with self.world.lock:
            return self.world.accounts.add_organization(name, plan=plan, members=members, can_pay=can_pay)

    def add_token(
        self,
        user: str,
        role: str = "write",
        *,
        scopes: Mapping[str, Iterable[str]] | None = None,
        kind: str = "access_token",
        name: str | None = None,
    ) -> str:
        """Add a token and return its value. An unknown user is added.

        :param role: ``read``, ``write``, ``god`` or ``fineGrained``.
        :param scopes: permissions of a fine-grained token, such as ``repo.write``, by the name of a user, an
            organization or a Space, or by ``datasets/owner/name``.
        :param kind: ``access_token`` or ``oauth``.
        :param name: the name with which its requests are recorded.
        """
        with self.world.lock:
            return self.world.accounts.add_token(user, role, scopes=scopes, kind=kind, name=name)

    def add_space(
        self,
        repo_id: str,
        *,
        hardware: str = "cpu-basic",
        sdk: str = "gradio",
        stage: str = SpaceStage.RUNNING.value,
        private: bool = False,
        sleep_time: int | None = None,
        replicas: int = 1,
        secrets: Mapping[str, str | Mapping[str, Any]] | None = None,
        variables: Mapping[str, str | Mapping[str, Any]] | None = None,
        volumes: Iterable[Volume | Mapping[str, Any]] = (),
        tags: Iterable[str] = (),
        likes: int = 0,
        error_message: str | None = None,
        creator: str | None = None,
        app: Any = None,
    ) -> SpaceHandle:
        """Add a Space. An unknown owner becomes an organization with :attr:`user` as its admin.

        :param hardware: the hardware that it runs on, or will run on.
        :param sdk: ``gradio``, ``docker`` or ``static``.
        :param stage: the first stage. A static Space is always RUNNING.
        :param sleep_time: seconds without a visitor until it sleeps; ``None`` for never. Free hardware
            ignores it and sleeps after 48 hours.
        :param secrets: values by key, or for each key ``{"value": …, "description": …}``.
        :param variables: values by key, or for each key ``{"value": …, "description": …}``.
        :param error_message: error message of the first stage.
        :param creator: the user who created it; contributors may change only their own Spaces.
        :param app: what it serves: the address of a real server, an ASGI application, a function without
            parameters that returns a new one at each start, or a :class:`GradioApp` or :class:`DockerApp`,
            by name or with options; by default the built-in app of the sdk.
        :raises ValueError: if the id is taken or not valid, and for unknown hardware, sdk, stage or app.
        """
        with self.world.lock:
            space = make_space(
                self.world,
                repo_id,
                hardware=hardware,
                sdk=sdk,
                stage=stage,
                private=private,
                sleep_time=sleep_time,
                replicas=replicas,
                secrets=secrets,
                variables=variables,
                volumes=volumes,
                tags=tags,
                likes=likes,
                error_message=error_message,
                creator=creator,
                app=app,
            )
        return SpaceHandle(self.world, space)

    def add_repository(self, repo_id: str, repo_type: str = "dataset", *, private: bool = False) -> None:
        """Add a dataset or a model, for files alone.

        :raises ValueError: if the id is already taken or is not ``owner/name``.
        """
        with self.world.lock:
            visibility = "private" if private else "public"
            self.world.add_repository(repo_id, repo_type, visibility=visibility, creator=self.user)

    def branches(self, repo_id: str, repo_type: str = "space") -> dict[str, str]:
        """The branches of a repository, each with the id of its last commit.

        :raises KeyError: if the repository does not exist.
        """
        with self.world.lock:
            branches = self._repository(repo_id, repo_type).git.branches()
        return {name: commit.oid for name, commit in branches.items()}

    def files(self, repo_id: str, revision: str = "main", *, repo_type: str = "space") -> dict[str, bytes]:
        """The files of a repository at a branch, a tag or a commit.

        :raises KeyError: if the repository or the revision does not exist.
        """
        with self.world.lock:
            commit = self._repository(repo_id, repo_type).git.find(revision)
        if commit is None:
            raise KeyError(revision)
        return {path: self.world.large_files.content(content) for path, content in commit.files.items()}

    def _repository(self, repo_id: str, repo_type: str) -> Repository:
        self.world.catch_up()
        repository = self.world.find_repository(repo_type, repo_id)
        if repository is None:
            raise KeyError(repo_id)
        return repository

    def space(self, repo_id: str) -> SpaceHandle:
        """A Space by its current id or a former one.

        :raises KeyError: if the Space does not exist.
        """
        with self.world.lock:
            self.world.catch_up()
            return SpaceHandle(self.world, self.world.space(repo_id))

    def has_space(self, repo_id: str) -> bool:
        """Whether there is a Space with this id now."""
        with self.world.lock:
            return repo_id.lower() in self.world.spaces

    def rename_space(self, old: str, new: str) -> SpaceHandle:
        """Rename a Space. Its old id redirects to the new one.

        :raises KeyError: if the Space does not exist.
        :raises ValueError: if the new id is already taken or not valid.
        """
        with self.world.lock:
            return SpaceHandle(self.world, self.world.rename_space(old, new))

    # Observations and time

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests to the Hub, oldest first. The last 100,000 are kept."""
        with self.world.lock:
            return list(self.world.requests)

    def bill(self, repo_id: str | None = None) -> Bill:
        """The bill of all Spaces, or of one Space, deleted ones included."""
        with self.world.lock:
            return self.world.bill(repo_id)

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return self.world.clock.now()

    def advance(self, seconds: float) -> float:
        """Move the emulated time forward, and return it."""
        with self.world.lock:
            self.world.clock.advance(seconds)
            self.world.catch_up()
            return self.world.clock.now()

    def reset(self) -> None:
        """Restore the initial accounts, Spaces and settings. :attr:`token` and the time stay."""
        with self.world.lock:
            self.world.reset()

    def _populate(self) -> None:
        for each in dataclasses.fields(Settings):
            setattr(self.world.settings, each.name, getattr(self._first_settings, each.name))
        self.world.accounts.add_user(self.user, is_pro=True)
        self.token = self.world.accounts.add_token(self.user, name="emulator", value=self.token or None)
        for fault in self._first_faults:
            self.world.faults.add(fault)
        FLEETS[self._fleet](self.world)
