"""Edge, the proxy of the Hub between clients and the apps of Spaces.

It decides which requests reach an app, adds the Hub's headers, and cuts calls off when a Space stops.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_hfspaces.emulator.apps.call import AppCall
from airflow_provider_hfspaces.emulator.apps.catalog import make_server
from airflow_provider_hfspaces.emulator.apps.pages import error_page, not_found_page, placeholder_page
from airflow_provider_hfspaces.emulator.apps.process import AppProcess
from airflow_provider_hfspaces.emulator.apps.timing import EmulatedTime
from airflow_provider_hfspaces.emulator.faults.apps import strike_app
from airflow_provider_hfspaces.emulator.faults.rules import Fault
from airflow_provider_hfspaces.emulator.model.request_log import AppRequest
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES, STARTING_STAGES, SpaceStage

__all__ = ["Edge"]

_POLL_SECONDS = 0.05
"""How often the edge checks the Spaces whose apps have processes, in real seconds."""

_WAKING_POLL_SECONDS = 1.0
"""How often a request that waits for a sleeping Space checks whether the app serves, in emulated seconds."""

_REPLICAS = "/--replicas/"


@dataclass
class _Admission:
    """A request that may reach the app.

    :ivar limit: seconds until an unanswered request gets a 504.
    """

    space: Space
    process: AppProcess
    replica: str
    fault: Fault | None
    record: AppRequest
    scope: Scope
    limit: float


class Edge:
    """An ASGI application that serves the apps of all Spaces, each on a port of its own.

    :param world: the state of the emulated Hub.
    :param repo_ids: lower-case id of the Space by port.
    """

    def __init__(self, world: World, repo_ids: dict[int, str]) -> None:
        self._world = world
        self._repo_ids = repo_ids
        self._time = EmulatedTime(world, self._after_jump)
        self._processes: dict[str, AppProcess] = {}
        self._watch: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward a request to the app, or answer it with a page of the edge."""
        assert scope["type"] == "http"
        began, waited = self._time.now(), 0.0
        while True:
            with self._world.lock:
                admitted = self._admit(scope, waited)
            if admitted is not None:
                break
            await self._time.sleep(_WAKING_POLL_SECONDS)
            waited = self._time.now() - began
        if isinstance(admitted, Response):
            await admitted(scope, receive, send)
            return
        if self._watch is None or self._watch.done():
            self._watch = asyncio.ensure_future(self._watch_processes())
        call = self._call(admitted, receive, send)
        if admitted.fault is None:
            await call.forward()
        else:
            admitted.record.fault = admitted.fault.kind
            await strike_app(admitted.fault, call)

    async def close(self) -> None:
        """End all processes."""
        self._time.close()
        if self._watch is not None:
            self._watch.cancel()
        await asyncio.gather(*(process.end() for process in self._processes.values()), *self._ending)

    # Which requests reach the app

    def _admit(self, scope: Scope, waited: float) -> _Admission | Response | None:
        """Admit a request, or return the page that answers it; ``None`` if it must wait for a waking Space.

        :param waited: emulated seconds that the request has waited.
        """
        world, settings = self._world, self._world.settings
        world.catch_up()
        space = world.spaces.get(self._repo_ids.get(scope["server"][1], ""))
        headers = Headers(scope=scope)
        if (
            space is None
            or space.catch_up().stage == SpaceStage.DELETING
            or not self._may_enter(space, headers)
        ):
            return not_found_page()
        if not waited:
            self._visit(space, scope["method"])
        if not space.is_serving or space.app.process is None:
            if settings.waking_visit == "wait" and space.stage in STARTING_STAGES:
                return error_page(504) if waited > settings.timings.answer else None
            return placeholder_page(space, settings.page_status)
        if space.now() < space.app.serves_from:
            return error_page(502)
        return self._admission(space, scope, headers)

    def _may_enter(self, space: Space, headers: Headers) -> bool:
        if not space.private:
            return True
        tokens, accounts = self._world.accounts.tokens, self._world.accounts
        for name in ("x-hf-authorization", "authorization"):
            scheme, _, value = headers.get(name, "").partition(" ")
            token = tokens.get(value.strip()) if scheme.lower() == "bearer" else None
            if token is not None and accounts.may_read(token, space):
                return True
        return False

    def _visit(self, space: Space, method: str) -> None:
        wakes = self._world.settings.post_wakes or method in ("GET", "HEAD")
        if wakes or space.stage not in ASLEEP_STAGES:
            space.visit()

    def _admission(self, space: Space, scope: Scope, headers: Headers) -> _Admission | Response:
        process = self._current_process(space)
        names = space.app.replica_names(space.replicas)
        caller = scope["client"][0] if scope.get("client") else "127.0.0.1"
        scope, requested = _without_replica(scope)
        sticky = caller if self._world.settings.sticky_replicas else None
        replica = process.choose(names, sticky) if requested is None else _find_replica(names, requested)
        if replica is None:
            return not_found_page()
        inner = [(name, value) for name, value in scope["headers"] if name not in _REMOVED]
        forwarded = headers.get("x-forwarded-for")
        for name, value in {
            "x-forwarded-for": f"{forwarded}, {caller}" if forwarded else caller,
            "x-forwarded-host": headers.get("host", ""),
            "x-forwarded-proto": scope.get("scheme", "http"),
            "x-request-id": uuid.uuid4().hex,
        }.items():
            inner.append((name.encode(), value.encode("latin-1")))
        scope = {**scope, "headers": inner}
        path = scope["raw_path"].decode("latin-1")
        fault = self._world.faults.strike(scope["method"], path, app=space.repo_id)
        record = AppRequest(
            time=space.now(),
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in inner},
            replica=replica,
        )
        limit = self._world.settings.timings.answer
        return _Admission(space, process, replica, fault, record, scope, limit)

    def _call(self, admitted: _Admission, receive: Receive, send: Send) -> AppCall:
        space, record = admitted.space, admitted.record

        def arrived(record: AppRequest) -> None:
            with self._world.lock:
                space.app.requests.append(record)

        def log(text: str) -> None:
            with self._world.lock:
                space.logs.run.write(space.now(), text)

        async def kill() -> None:
            with self._world.lock:
                if space.app.process == admitted.process.number:
                    space.app.start(space.now())
            self._end(admitted.process)

        return AppCall(
            process=admitted.process,
            replica=admitted.replica,
            record=record,
            on_arrival=arrived,
            headers={
                "x-proxied-host": f"http://{_address_of(admitted.replica)}",
                "x-proxied-replica": admitted.replica,
                "x-proxied-path": record.path,
                "x-request-id": record.headers["x-request-id"],
                "link": f'<https://huggingface.co/spaces/{space.repo_id}>;rel="canonical"',
            },
            limit=admitted.limit,
            time=self._time,
            kill=kill,
            log=log,
            scope=admitted.scope,
            receive=receive,
            send=send,
        )

    # Processes

    def _current_process(self, space: Space) -> AppProcess:
        key, number = space.repo_id.lower(), space.app.process
        process = self._processes.get(key)
        if process is not None and process.number == number and not process.ended:
            return process
        if process is not None:
            self._end(process)
        assert number is not None
        world = self._world
        process = AppProcess(number, lambda replica: make_server(world, space, replica, self._time))
        self._processes[key] = process
        return process

    def _end(self, process: AppProcess) -> asyncio.Task[None]:
        task = asyncio.ensure_future(process.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _watch_processes(self) -> None:
        while self._processes and not self._world.closing:
            self._end_old_processes()
            await asyncio.sleep(_POLL_SECONDS)
        for process in self._processes.values():
            self._end(process)

    async def _after_jump(self) -> None:
        """Cut calls off whose Space stopped or restarted during the jump, before these calls can end."""
        await asyncio.gather(*self._end_old_processes())

    def _end_old_processes(self) -> list[asyncio.Task[None]]:
        """Cut calls off whose Space restarted, paused or fell asleep while they were open."""
        ending = []
        with self._world.lock:
            self._world.catch_up()
            for key, process in list(self._processes.items()):
                space = self._world.spaces.get(key)
                if space is None or space.catch_up().app.process != process.number:
                    del self._processes[key]
                    ending.append(self._end(process))
                elif process.calls and self._world.settings.streams_keep_awake:
                    space.last_visit = space.now()
                    space.replan()
        return ending


_REMOVED = {
    b"x-hf-authorization",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-request-id",
}
"""Headers of the caller that the edge removes or replaces."""


def _without_replica(scope: Scope) -> tuple[dict[str, Any], str | None]:
    """The scope of a request without ``/--replicas/{replica}`` in its path, and this replica."""
    path: str = scope["path"]
    if not path.startswith(_REPLICAS):
        return dict(scope), None
    replica, _, rest = path.removeprefix(_REPLICAS).partition("/")
    raw_rest = scope["raw_path"].decode("latin-1").removeprefix(_REPLICAS).partition("/")[2]
    return {**scope, "path": f"/{rest}", "raw_path": f"/{raw_rest}".encode("latin-1")}, replica


def _find_replica(names: list[str], requested: str) -> str | None:
    return next((name for name in names if requested in (name, name.rpartition("-")[2])), None)


def _address_of(replica: str) -> str:
    return f"10.{sum(replica.encode()) % 256}.{len(replica)}.{replica.encode()[-1]}"
