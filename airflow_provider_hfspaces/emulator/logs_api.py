"""``/logs/build`` and ``/logs/run``: a Space's log as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from airflow_provider_hfspaces.emulator.answers import refuse
from airflow_provider_hfspaces.emulator.clock import iso
from airflow_provider_hfspaces.emulator.space import LogLine, Space
from airflow_provider_hfspaces.emulator.spaces_api import readable, writable
from airflow_provider_hfspaces.emulator.world import World

__all__ = ["log_routes"]

_LOOK = 0.2
_KEEP_ALIVE = 30.0


def log_routes(world: World) -> list[Route]:
    """Both logs."""

    def endpoint_for(build: bool) -> Route:
        async def endpoint(request: Request) -> Response:
            with world.lock:
                space = readable(request, world)
                writable(request, world, space)
            tail = request.query_params.get("tail")
            if tail is not None and not tail.isdigit():
                raise refuse(400, '"tail" must be a number')
            events = _events(world, space, build, None if tail is None else int(tail), request)
            return StreamingResponse(events, media_type="text/event-stream")

        name = "build" if build else "run"
        return Route(f"/api/spaces/{{owner}}/{{name}}/logs/{name}", endpoint)

    return [endpoint_for(True), endpoint_for(False)]


async def _events(
    world: World, space: Space, build: bool, tail: int | None, request: Request
) -> AsyncIterator[bytes]:
    """All there is, from the beginning, and what comes until the build or the app is over."""
    sent = 0
    log: list[LogLine] | None = None
    silent = 0.0
    while not await request.is_disconnected():
        with world.lock:
            space.catch_up()
            current = space.build_log if build else space.run_log
            if log is not current:
                sent = 0 if log is not None or tail is None else max(len(current) - tail, 0)
                log = current
            lines = current[sent:]
            sent = len(current)
            over = _is_over(space, build)
        for line in lines:
            yield _frame(line)
        if over:
            return
        silent = 0.0 if lines else silent + _LOOK
        if silent >= _KEEP_ALIVE:
            silent = 0.0
            yield b": keep-alive\n\n"
        await asyncio.sleep(_LOOK)


def _is_over(space: Space, build: bool) -> bool:
    if build:
        return space.stage not in ("BUILDING", "RUNNING_BUILDING")
    return space.stage not in ("RUNNING", "APP_STARTING", "RUNNING_APP_STARTING", "RUNNING_BUILDING")


def _frame(line: LogLine) -> bytes:
    event = {"data": f"{line.text}\n", "timestamp": iso(line.time)}
    return f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
