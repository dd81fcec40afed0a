"""HubEmulator: an emulated Hub that serves requests from a thread of its own."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
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
"""How often :meth:`HubEmulator.wait` checks whether the emulator still runs, in real seconds."""


class HubEmulator:
    """The Hub's Spaces API on this computer, for as long as the ``with`` block lasts.

        with HubEmulator(speed=600) as hub:
            space = hub.add_space("acme/whisper")
            ...  # connect to hub.url with hub.token
            assert not hub.bill().running

    :param speed: emulated seconds per real second. With 0, time moves only by :meth:`advance`.
    :param port: 0 for any free port.
    :param app_port: port of the first app; each further app gets the next free one. 0 for any free ports.
    :param host: the address to listen on. Programs that reach this address can read and change everything.
    :param user: owner of :attr:`token`, with a PRO account and a payment method.
    :param token: value of :attr:`token`, for a connection that outlives the emulator; random by default.
    :param allowed_hosts: host names, besides addresses and ``localhost``, under which clients may use the
        control API.
    :param fleet: the Spaces to start with: ``empty`` or ``demo``.
    :param seed: seed of the faults: with equal seeds, faults strike equal requests.
    :param faults: faults that apply from the start.
    :param timings: durations, such as that of a build.
    :param settings: the Hub's behaviour.
    :param choices: single settings by their names in :class:`Settings`, such as ``storage="gone"``. They
        override ``settings``.
    :raises ValueError: for an unknown fleet, an invalid token and invalid settings.
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
            raise ValueError(f"fleet must be one of {', '.join(FLEETS)}; got {fleet!r}.")
        behaviour = dataclasses.replace(settings or Settings())
        behaviour.change({**({"timings": timings} if timings else {}), **choices})
        self._first_settings = dataclasses.replace(behaviour)
        self._host, self._port, self._app_port, self._fleet = host, port, app_port, fleet
        self._listener: Listener | None = None
        self._apps: AppPorts | None = None
        self.world = World(clock=Clock(speed), settings=behaviour, user=user)
        self.world.on_reset = self._populate
        self.user = user
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise ValueError("token must be one or more printable ASCII characters, without spaces.")
        self._chosen_token, self.token = token, token or ""
        self.world.allowed_hosts = frozenset(name.lower() for name in (host, *allowed_hosts))
        self._first_faults = tuple(faults)
        self.world.faults.seed = seed
        self._populate()

    def __enter__(self) -> HubEmulator:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
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
        """Start the server. Returns when the emulator accepts requests.

        :raises OSError: if the address is in use.
        :raises RuntimeError: if the emulator is already running.
        """
        if self._listener is not None:
            raise RuntimeError(f"The emulator is already running at {self.url}. Call stop() first.")
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
        """Replace all faults: a tenth of all requests end in a 5xx, and 3 % of the answers are lost.

        :param seed: seed of the faults: with equal seeds, equal requests fail.
        :param quota: API requests per window and account; by default 100, a tenth of a free account's quota.
        :param window: real seconds; by default the current window, which is 300 on the Hub.
        """
        with self.world.lock:
            self.world.bad_day(seed, quota, window)

    def set_quota(self, quota: int, window: int = WINDOW_SECONDS) -> None:
        """Set the API requests, 1 or more, that each account may send within a window of real seconds."""
        with self.world.lock:
            self.world.limits.tighten(quota, window)

    # Saving and loading

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save accounts, repositories, settings and the time to a JSON file, with tokens and secrets.

        Large files go into a folder beside the file. Faults, quotas and recorded requests are not saved.
        """
        with self.world.lock:
            state_file.save(self.world, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace the whole state by a file of :meth:`save`. Removes faults, quotas and recorded requests.

        :raises ValueError: if the file is not valid. The emulator keeps its accounts and repositories then.
        """
        with self.world.lock:
            state_file.load(self.world, state_file.read(path))
            self.world.large_files.load(state_file.large_files_of(path))
            accounts = self.world.accounts
            if self._chosen_token is None:
                tokens = (each.value for each in accounts.tokens.values() if each.user == self.user)
                self.token = next(tokens, self.token)
            elif self._chosen_token not in accounts.tokens:
                accounts.add_token(self.user, name="emulator", value=self._chosen_token)

    def wait(self) -> None:
        """Wait until the emulator stops."""
        while self._listener is not None and self._listener.join(_POLL_SECONDS):
            pass

    # Accounts, Spaces and other repositories

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add a user, or replace the user of this name.

        :param can_pay: whether the user has a payment method. Without one, the Hub refuses paid hardware.
        :param plan: sets the request quota: ``free``, ``pro``, ``team``, ``enterprise``, ``plus`` or
            ``academia``. By default ``pro`` for a PRO user, else ``free``.
        :raises ValueError: for an unknown plan, and for the name of an organization.
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
        """Add an organization, or replace the organization of this name. Unknown members are added as users.

        :param plan: ``team``, ``enterprise``, ``plus`` or ``academia``; ``None`` for a free organization.
        :param members: role of each member by user name: ``admin``, ``write``, ``contributor``, ``read`` or
            ``no_access``.
        :param can_pay: whether the organization has a payment method.
        :raises ValueError: for an unknown plan or role, and for the name of a user.
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
        :param name: name of the token in :attr:`requests`; ``user-role`` by default.
        :raises ValueError: for an unknown role or kind.
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
        """Add a Space. A missing owner is added as an organization with :attr:`user` as its admin.

        :param hardware: the requested hardware. A serving Space runs on it from the start.
        :param sdk: ``gradio``, ``docker`` or ``static``.
        :param stage: the first stage. A static Space is always RUNNING.
        :param sleep_time: seconds without a visitor until the Space sleeps; ``None`` for never. On free
            hardware a Space always sleeps after 48 hours.
        :param secrets: values by key, or for each key ``{"value": …, "description": …}``.
        :param variables: values by key, or for each key ``{"value": …, "description": …}``.
        :param error_message: error message of the first stage; by default a usual one for error stages.
        :param creator: the user who created the Space. Contributors may change only their own Spaces.
        :param app: what the Space serves: the address of a real server, an ASGI application, a function
            without parameters that returns a new application at each start, a :class:`GradioApp` or
            :class:`DockerApp`, or ``{"kind": "gradio", "queue_size": 3}``. By default the sdk's built-in app.
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
        """Add a dataset or a model, which has files and no app.

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
            raise KeyError(f"{repo_id} has no branch, tag or commit {revision!r}.")
        return {path: self.world.large_files.content(content) for path, content in commit.files.items()}

    def _repository(self, repo_id: str, repo_type: str) -> Repository:
        self.world.catch_up()
        repository = self.world.find_repository(repo_type, repo_id)
        if repository is None:
            raise KeyError(f"The {repo_type} {repo_id!r} does not exist.")
        return repository

    def space(self, repo_id: str) -> SpaceHandle:
        """Return a Space by its current id or a former one.

        :raises KeyError: if the Space does not exist.
        """
        with self.world.lock:
            self.world.catch_up()
            return SpaceHandle(self.world, self.world.space(repo_id))

    def has_space(self, repo_id: str) -> bool:
        """Whether a Space has this id now. Former ids of renamed Spaces do not count."""
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
        """Move the emulated time forward by 0 or more emulated seconds, and return the new time."""
        with self.world.lock:
            self.world.clock.advance(seconds)
            self.world.catch_up()
            return self.world.clock.now()

    def reset(self) -> None:
        """Restore the initial accounts, Spaces, settings and faults. Keeps :attr:`token` and the time."""
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
