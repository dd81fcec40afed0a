"""HubEmulator: the emulated Hub in a thread, for tests."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

import uvicorn

from airflow_provider_hfspaces.emulator.app import make_app
from airflow_provider_hfspaces.emulator.clock import Clock
from airflow_provider_hfspaces.emulator.fleet import FLEETS
from airflow_provider_hfspaces.emulator.meter import Bill, bill
from airflow_provider_hfspaces.emulator.payloads import runtime_payload
from airflow_provider_hfspaces.emulator.settings import Settings, Timings
from airflow_provider_hfspaces.emulator.space import Moment, Space
from airflow_provider_hfspaces.emulator.world import Organization, RecordedRequest, User, World
from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["EmulatedSpace", "HubEmulator"]

_START_PATIENCE = 10.0


class EmulatedSpace:
    """A test's hold on one Space."""

    def __init__(self, world: World, space: Space) -> None:
        self._world = world
        self._space = space

    def __repr__(self) -> str:
        return f"<EmulatedSpace {self.repo_id} {self.stage} on {self.hardware}>"

    @property
    def repo_id(self) -> str:
        """``owner/name``."""
        return self._space.repo_id

    @property
    def stage(self) -> str:
        """The stage it really is in, whatever the runtime still shows."""
        return self._now().stage

    @property
    def hardware(self) -> str | None:
        """The hardware it really runs on."""
        return self._now().hardware

    @property
    def requested_hardware(self) -> str | None:
        """The hardware that was asked for last."""
        return self._now().requested

    @property
    def sleep_time(self) -> int | None:
        """Seconds, ``None`` for never."""
        return self._now().sleep_time

    @property
    def private(self) -> bool:
        """Whether only those who may see it do."""
        return self._space.private

    @property
    def secrets(self) -> dict[str, str]:
        """With their values, which the Hub itself never gives."""
        return {key: each["value"] for key, each in self._space.secrets.items()}

    @property
    def variables(self) -> dict[str, str]:
        """Keys and values."""
        return {key: each["value"] for key, each in self._space.variables.items()}

    @property
    def volumes(self) -> list[dict[str, Any]]:
        """As the Hub keeps them."""
        return list(self._space.volumes)

    @property
    def history(self) -> list[Moment]:
        """What it has been through."""
        return list(self._now().history)

    def runtime(self) -> SpaceRuntime:
        """What the Hub says of it now."""
        return SpaceRuntime.from_payload(runtime_payload(self._now()))

    def visit(self) -> None:
        """Somebody opens it."""
        with self._world.lock:
            self._space.visit()

    def crash(self, message: str = "Exit code: 1. Reason: application crashed") -> None:
        """Its app dies."""
        with self._world.lock:
            self._space.crash(message)

    def fail_next_build(self, message: str = "Job failed with exit code: 1", log: Iterable[str] = ()) -> None:
        """Its next build ends in BUILD_ERROR, with these lines in its log."""
        self._space.luck.build = (message, list(log))

    def fail_next_start(self, message: str = "Exit code: 1", log: Iterable[str] = ()) -> None:
        """Its next start ends in RUNTIME_ERROR."""
        self._space.luck.start = (message, list(log))

    def no_capacity(self, *hardware: str) -> None:
        """The Hub has no such hardware for it; without an argument it has all again."""
        self._space.luck.no_capacity = set(hardware)

    def crash_after(self, seconds: float | None) -> None:
        """Its app dies so long after every start; ``None`` ends that."""
        self._space.luck.crash_after = seconds

    def _now(self) -> Space:
        with self._world.lock:
            return self._space.catch_up()


class HubEmulator:
    """A Hub on localhost, as long as the ``with`` block lasts.

    :param speed: emulated seconds per real second.
    :param port: 0 for any that is free.
    :param user: the account that :attr:`token` belongs to; admin of every organization that
        :meth:`add_space` makes.
    :param fleet: ``demo`` or ``empty``.
    :param timings: how long things take.
    :param settings: what it answers where nobody knows what the real Hub does.
    :param host: the address to listen on.
    """

    def __init__(
        self,
        *,
        speed: float = 600,
        port: int = 0,
        user: str = "alice",
        fleet: str = "empty",
        timings: Timings | None = None,
        settings: Settings | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        settings = settings or Settings()
        if timings is not None:
            settings.timings = timings
        self.world = World(clock=Clock(speed), settings=settings)
        self.user = user
        self.world.add_user(user, is_pro=True)
        self.token = self.world.add_token(user, name="emulator")
        FLEETS[fleet](self.world, user)
        self._host, self._port = host, port
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> HubEmulator:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address."""
        return self.world.endpoint

    @property
    def settings(self) -> Settings:
        """What can be changed about it while it runs."""
        return self.world.settings

    def start(self) -> None:
        """Listen, in a thread of its own."""
        listening = socket.create_server((self._host, self._port))
        self.world.endpoint = f"http://{self._host}:{listening.getsockname()[1]}"
        config = uvicorn.Config(
            make_app(self.world),
            log_level="warning",
            lifespan="off",
            date_header=False,  # the emulated time stands in it
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name="hub-emulator", daemon=True
        )
        self._thread.start()
        deadline = time.monotonic() + _START_PATIENCE
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("The emulator did not start.")
            time.sleep(0.005)

    def wait(self) -> None:
        """Serve until the thread ends, or an interrupt."""
        while self._thread and self._thread.is_alive():
            self._thread.join(0.2)

    def stop(self) -> None:
        """Stop listening."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(_START_PATIENCE)

    def add_user(
        self, name: str, *, is_pro: bool = False, can_pay: bool = True, plan: str | None = None
    ) -> User:
        """Add an account; ``plan`` decides its quota."""
        with self.world.lock:
            return self.world.add_user(name, is_pro=is_pro, can_pay=can_pay, plan=plan)

    def add_organization(
        self, name: str, *, plan: str = "team", members: Mapping[str, str] | None = None
    ) -> Organization:
        """Add an organization; ``members`` maps users to their role."""
        with self.world.lock:
            return self.world.add_organization(name, plan=plan, members=members)

    def add_token(
        self,
        user: str,
        role: str = "write",
        *,
        name: str | None = None,
        kind: str = "access_token",
        scopes: Mapping[str, Iterable[str]] | None = None,
    ) -> str:
        """Add a token and return its value.

        :param role: ``read``, ``write`` or ``fineGrained``.
        :param kind: ``access_token`` or ``oauth``.
        :param scopes: of a fine-grained token: permissions such as ``repo.write`` by the name of a
            user, an organization or a Space.
        """
        with self.world.lock:
            return self.world.add_token(user, role, name=name, kind=kind, scopes=scopes)

    def add_space(self, repo_id: str, **options: Any) -> EmulatedSpace:
        """Add a Space; its owner, if there is none of that name, becomes an organization.

        :param options: ``sdk``, ``hardware``, ``stage``, ``sleep_time`` (seconds), ``private``,
            ``tags``, ``error_message``, ``variables``, ``volumes``.
        """
        with self.world.lock:
            return EmulatedSpace(self.world, self.world.add_space(repo_id, admin=self.user, **options))

    def space(self, repo_id: str) -> EmulatedSpace:
        """A Space that there is.

        :raises KeyError: if there is none.
        """
        with self.world.lock:
            return EmulatedSpace(self.world, self.world.space(repo_id))

    def has_space(self, repo_id: str) -> bool:
        """Whether there is one of this id."""
        return repo_id.lower() in self.world.spaces

    def rename_space(self, old: str, new: str) -> None:
        """Rename a Space; the old id redirects to the new one."""
        with self.world.lock:
            self.world.rename_space(old, new)

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked of it, oldest first."""
        with self.world.lock:
            return list(self.world.requests)

    def bill(self, repo_id: str | None = None) -> Bill:
        """What one Space, or all of them, have cost so far."""
        with self.world.lock:
            return bill([self.world.space(repo_id)] if repo_id else self.world.all_spaces())

    def now(self) -> float:
        """The emulated time, in seconds since 1970."""
        return self.world.clock.now()

    def advance(self, seconds: float) -> None:
        """Move the emulated time forward."""
        self.world.clock.advance(seconds)
