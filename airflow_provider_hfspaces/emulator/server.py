"""HubEmulator: an emulated Hub that listens in a thread of its own."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import uvicorn

from airflow_provider_hfspaces.emulator import state_file
from airflow_provider_hfspaces.emulator.faults.rules import Fault, Faults
from airflow_provider_hfspaces.emulator.handle import SpaceHandle
from airflow_provider_hfspaces.emulator.http.asgi import HubApp
from airflow_provider_hfspaces.emulator.model.accounts import Organization, User
from airflow_provider_hfspaces.emulator.model.bill import Bill
from airflow_provider_hfspaces.emulator.model.clock import Clock
from airflow_provider_hfspaces.emulator.model.creation import make_space
from airflow_provider_hfspaces.emulator.model.demo_fleet import FLEETS
from airflow_provider_hfspaces.emulator.model.limits import WINDOW
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.request_log import RecordedRequest
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.settings import Settings, Timings
from airflow_provider_hfspaces.hub.models import Volume
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["HubEmulator"]

_PATIENCE = 10.0
"""Real seconds for starting and for stopping."""


class HubEmulator:
    """The Hub's Spaces API on this host, for as long as the ``with`` block lasts.

    :param speed: emulated seconds per real second. With 0, time moves by :meth:`advance` alone.
    :param port: 0 for any that is free.
    :param host: the address to listen on. Whoever reaches it can do anything here.
    :param user: the account that :attr:`token` belongs to; it is PRO and can pay.
    :param token: value of :attr:`token`, for connections that outlive the emulator; by default a random
        one.
    :param allowed_hosts: host names, besides addresses and ``localhost``, under which clients may use the
        control API.
    :param fleet: the Spaces to begin with: ``empty`` or ``demo``.
    :param seed: of the faults.
    :param faults: what goes wrong from the beginning.
    :param timings: how long things take.
    :param settings: how the Hub behaves.
    :param choices: single settings, by the names in :class:`Settings`.
    :raises ValueError: for a fleet or a setting that there is not.
    """

    def __init__(
        self,
        *,
        speed: float = 600.0,
        port: int = 0,
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
            raise ValueError(f"There is no fleet {fleet!r}: there are {', '.join(FLEETS)}.")
        behaviour = dataclasses.replace(settings or Settings())
        behaviour.change({**({"timings": timings} if timings else {}), **choices})
        self._first_settings = dataclasses.replace(behaviour)
        self._host, self._port, self._fleet = host, port, fleet
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
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
        """Its address, such as ``http://127.0.0.1:43121``, from :meth:`start` on."""
        return self.world.endpoint

    @property
    def settings(self) -> Settings:
        """How it behaves; ``settings.change({...})`` while it runs."""
        return self.world.settings

    # Starting and stopping

    def start(self) -> None:
        """Listen. Returns when it can be asked.

        :raises OSError: if the address is taken.
        """
        if self._thread is not None:
            raise RuntimeError("This emulator is running already.")
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, self._port), family=family, backlog=2048)
        self.world.endpoint = _address(self._host, listening.getsockname()[1])
        self.world.closing = False
        config = uvicorn.Config(
            HubApp(self.world),
            lifespan="off",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="hub-emulator", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _PATIENCE
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("The emulator did not start.")
            time.sleep(0.002)

    def stop(self) -> None:
        """Listen no more. What was recorded stays."""
        self.world.closing = True
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_PATIENCE)
        self._server = self._thread = None

    # What goes wrong

    @property
    def faults(self) -> Faults:
        """What goes wrong with requests: ``hub.faults.add(kind="reset", path="/restart", times=1)``."""
        return self.world.faults

    def bad_day(self, seed: int = 0, *, quota: int | None = None, window: int | None = None) -> None:
        """A tenth of all requests end in a 5xx, three in a hundred answers are lost, and the quota is tight.

        :param seed: the same one makes the same requests fail.
        :param quota: API requests per window and account; by default a tenth of a free account's.
        :param window: real seconds; by default the Hub's 300.
        """
        with self.world.lock:
            self.world.bad_day(seed, quota, window)

    def set_quota(self, quota: int, window: int = WINDOW) -> None:
        """Let every account send so many API requests in so many real seconds."""
        with self.world.lock:
            self.world.limits.tighten(quota, window)

    # Keeping it

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all there is into a JSON file, tokens and secrets included."""
        with self.world.lock:
            state_file.save(self.world, path)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Make all as a file says that :meth:`save` has written, the emulated time included.

        :raises ValueError: for another file.
        """
        with self.world.lock:
            state_file.load(self.world, state_file.read(path))
            if self._chosen_token is None:
                tokens = (
                    each.value for each in self.world.accounts.tokens.values() if each.user == self.user
                )
                self.token = next(tokens, self.token)
            elif self._chosen_token not in self.world.accounts.tokens:
                self.world.accounts.add_token(self.user, name="emulator", value=self._chosen_token)

    def wait(self) -> None:
        """Go on until somebody interrupts."""
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(0.2)

    # Who and what there is

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add an account.

        :param can_pay: whether it has a payment method; without one, hardware that costs is refused.
        :param plan: for its quota: ``free``, ``pro``, ``team``, ``enterprise``, ``plus``, ``academia``.
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
        """Add a token and return its value; a user that there is not is added.

        :param role: ``read``, ``write``, ``god`` or ``fineGrained``.
        :param scopes: of a fine-grained token: permissions such as ``repo.write``, by the name of a
            user, an organization or a Space.
        :param kind: ``access_token`` or ``oauth``.
        :param name: by which requests with it are recorded.
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
    ) -> SpaceHandle:
        """Add a Space. An owner that there is not becomes an organization with :attr:`user` as its admin.

        :param hardware: what it runs on, or will when it runs.
        :param sdk: ``gradio``, ``docker`` or ``static``.
        :param stage: in which it begins; a static Space is always RUNNING.
        :param sleep_time: seconds without a visitor until it sleeps; ``None`` is never. Free hardware
            sleeps after 48 hours in any case.
        :param secrets: values by their keys, or for each ``{"value": …, "description": …}``.
        :param variables: likewise.
        :param error_message: what went wrong, in an error stage.
        :param creator: the user who made it, which counts for contributors.
        :raises ValueError: for an id that is taken or none, and for a hardware, an sdk or a stage
            that there is not.
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

        :raises KeyError: if there is no such repository.
        """
        return {
            name: commit.oid for name, commit in self._repository(repo_id, repo_type).git.branches().items()
        }

    def files(self, repo_id: str, revision: str = "main", *, repo_type: str = "space") -> dict[str, bytes]:
        """The files of a repository at a branch or a commit.

        :raises KeyError: if there is no such repository or revision.
        """
        commit = self._repository(repo_id, repo_type).git.find(revision)
        if commit is None:
            raise KeyError(revision)
        return dict(commit.files)

    def _repository(self, repo_id: str, repo_type: str) -> Repository:
        with self.world.lock:
            self.world.catch_up()
            repository = self.world.find_repository(repo_type, repo_id)
        if repository is None:
            raise KeyError(repo_id)
        return repository

    def space(self, repo_id: str) -> SpaceHandle:
        """A Space by its id, or by one that it had before.

        :raises KeyError: if there is none.
        """
        with self.world.lock:
            self.world.catch_up()
            return SpaceHandle(self.world, self.world.space(repo_id))

    def has_space(self, repo_id: str) -> bool:
        """Whether there is a Space of this id."""
        with self.world.lock:
            return repo_id.lower() in self.world.spaces

    def rename_space(self, old: str, new: str) -> SpaceHandle:
        """Move a Space; its old id redirects to the new one.

        :raises KeyError: if there is none.
        :raises ValueError: if the new id is taken.
        """
        with self.world.lock:
            return SpaceHandle(self.world, self.world.rename_space(old, new))

    # What has happened

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked of the API, oldest first; the oldest of very many are forgotten."""
        with self.world.lock:
            return list(self.world.requests)

    def bill(self, repo_id: str | None = None) -> Bill:
        """What all Spaces, or one, have cost so far; deleted ones count."""
        with self.world.lock:
            return self.world.bill(repo_id)

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return self.world.clock.now()

    def advance(self, seconds: float) -> float:
        """Move the emulated time forward and return it."""
        with self.world.lock:
            self.world.clock.advance(seconds)
            self.world.catch_up()
            return self.world.clock.now()

    def reset(self) -> None:
        """Make everything as it was in the beginning, but for the time. :attr:`token` stays good."""
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


def _address(host: str, port: int) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - asked about, not bound to
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
