"""The logs of a Space, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timezone

from starlette.responses import Response, StreamingResponse

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import Refusal
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.model.logs import LogLine
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.stages import BUILD_STAGES, SpaceStage

__all__ = ["ROUTES"]

_POLL_SECONDS = 0.05
"""How often a stream checks its log for new lines, in real seconds."""


def _logs(request: HubRequest) -> Response:
    space = request.own_space("read the logs of this Space")
    kind = request.parts["kind"]
    if kind not in ("build", "run"):
        raise Refusal(400, '"logType" must be one of [build, run]')
    tail = request.query.get("tail")
    if tail is not None and not (tail.isascii() and tail.isdigit()):
        raise Refusal(400, '"tail" must be a positive number')
    events = _events(request.world, space, kind, None if tail is None else int(tail))
    return StreamingResponse(events, headers={"Content-Type": "text/event-stream; charset=utf-8"})


async def _events(world: World, space: Space, kind: str, tail: int | None) -> AsyncIterator[bytes]:
    """All lines of the current build or run, then each new line, until the build or run is over."""
    number: int | None = None
    sent, last_sent = 0, time.monotonic()
    while not world.closing:
        with world.lock:
            space.catch_up()
            log = space.logs.build if kind == "build" else space.logs.run
            over = _is_over(world, space, kind) or (number is not None and number != log.number)
            number = log.number if number is None else number
            lines = log.until(space.now()) if number == log.number else []
            begin = sent - log.dropped if tail is None else len(lines) - tail
            lines, sent = lines[max(begin, 0) :], len(lines) + log.dropped
        tail = None
        if lines:
            yield b"".join(_frame(line) for line in lines)
            last_sent = time.monotonic()
        if over:
            return
        if time.monotonic() - last_sent >= world.settings.keep_alive:
            yield b": keep-alive\n\n"
            last_sent = time.monotonic()
        await asyncio.sleep(_POLL_SECONDS)


def _is_over(world: World, space: Space, kind: str) -> bool:
    if world.settings.logs_end != "when_over":
        return world.settings.logs_end == "at_once"
    if kind == "build":
        return space.stage not in BUILD_STAGES
    return not space.is_serving and space.stage not in (SpaceStage.BUILDING, SpaceStage.APP_STARTING)


def _frame(line: LogLine) -> bytes:
    # The Hub's logs show whole seconds, unlike its other times.
    moment = datetime.fromtimestamp(line.time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {"data": f"{line.text}\n", "timestamp": moment}
    return f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


ROUTES = [Route("GET", f"{SPACE}/logs/{{kind}}", _logs)]
