"""The logs, stages and loads of a Space, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.logs import LogLine
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.emulator.routes.request import Call
from airflow_provider_hfspaces.emulator.routes.responses import Refusal
from airflow_provider_hfspaces.emulator.routes.routing import Route
from airflow_provider_hfspaces.hub.stages import BUILD_STAGES, SpaceStage

__all__ = ["ROUTES"]

_LOOK = 0.05
"""Real seconds between two looks at a log that is being followed."""


def _logs(call: Call) -> Response:
    space = call.own_space("read the logs of this Space")
    kind = call.parts["kind"]
    if kind not in ("build", "run"):
        raise Refusal(400, '"logType" must be one of [build, run]')
    tail = call.query.get("tail")
    if tail is not None and not (tail.isascii() and tail.isdigit()):
        raise Refusal(400, '"tail" must be a positive number')
    events = _events(call.world, space, kind, None if tail is None else int(tail))
    return StreamingResponse(events, headers={"Content-Type": "text/event-stream; charset=utf-8"})


async def _events(world: World, space: Space, kind: str, tail: int | None) -> AsyncIterator[bytes]:
    """Everything from the beginning of this build or run, then what comes, until it is over."""
    number: int | None = None
    sent, spoken = 0, time.monotonic()
    while not world.closing:
        with world.lock:
            space.catch_up()
            log = space.build_log if kind == "build" else space.run_log
            over = _is_over(world, space, kind) or (number is not None and number != log.number)
            number = log.number if number is None else number
            lines = log.until(space.now()) if number == log.number else []
            begin = sent - log.dropped if tail is None else len(lines) - tail
            lines, sent = lines[max(begin, 0) :], len(lines) + log.dropped
        tail = None
        if lines:
            yield b"".join(_frame(line) for line in lines)
            spoken = time.monotonic()
        if over:
            return
        if time.monotonic() - spoken >= world.settings.keep_alive:
            yield b": keep-alive\n\n"
            spoken = time.monotonic()
        await asyncio.sleep(_LOOK)


def _status(call: Call) -> Response:
    """Stage after stage, as server-sent events.

    Nobody documents the Hub's frames; these are those of its older host.
    """
    space = call.space()
    return StreamingResponse(
        _changes(call.world, space), headers={"Content-Type": "text/event-stream; charset=utf-8"}
    )


async def _changes(world: World, space: Space) -> AsyncIterator[bytes]:
    shown, spoken = "", time.monotonic()
    while not world.closing:
        with world.lock:
            view = space.catch_up().view()
            details = {
                "compute": {
                    "current": {
                        "spec": {"sdk": space.sdk, "hardwareFlavor": view.hardware, "region": "us"},
                        "status": {"stage": view.stage, "targetReplicas": space.replicas},
                    },
                    "status": {"message": view.error_message or ""},
                }
            }
            frame = f"event: stage\ndata: {view.stage}\n\nevent: space\ndata: {json.dumps(details)}\n\n"
        if frame != shown:
            shown, spoken = frame, time.monotonic()
            yield frame.encode()
        elif time.monotonic() - spoken >= world.settings.keep_alive:
            spoken = time.monotonic()
            yield b": keep-alive\n\n"
        await asyncio.sleep(_LOOK)


def _metrics(call: Call) -> Response:
    """Load, once a second while the app runs."""
    space = call.space()
    return StreamingResponse(
        _loads(call.world, space), headers={"Content-Type": "text/event-stream; charset=utf-8"}
    )


async def _loads(world: World, space: Space) -> AsyncIterator[bytes]:
    while not world.closing:
        with world.lock:
            serving, replica = space.catch_up().is_serving, space.object_id[:5]
        if serving:
            load = {
                "cpu_usage_pct": 2,
                "cpu_millicores": 2000,
                "memory_used_bytes": 1_417_216,
                "memory_total_bytes": 17_179_869_184,
                "rx_bps": 0,
                "tx_bps": 0,
                "gpus": {},
                "replica": replica,
            }
            yield f"event: metric\ndata: {json.dumps(load)}\n\n".encode()
        await asyncio.sleep(1)


def _is_over(world: World, space: Space, kind: str) -> bool:
    if world.settings.logs_end != "when_over":
        return world.settings.logs_end == "at_once"
    if kind == "build":
        return space.stage not in BUILD_STAGES
    return not space.is_serving and space.stage not in (SpaceStage.BUILDING, SpaceStage.APP_STARTING)


def _frame(line: LogLine) -> bytes:
    event = {"data": f"{line.text}\n", "timestamp": iso(line.time)}
    return f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


ROUTES = [
    Route("GET", "/api/spaces/{owner}/{name}/logs/{kind}", _logs),
    Route("GET", "/api/spaces/{owner}/{name}/events", _status),
    Route("GET", "/api/spaces/{owner}/{name}/metrics", _metrics),
]
