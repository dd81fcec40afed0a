"""The events and the metrics of a Space, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.routing import SPACE, Route
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World

__all__ = ["ROUTES"]

_POLL_SECONDS = 0.05
"""How often a stream checks its Space for a new stage, in real seconds."""


def _stream_stages(request: HubRequest) -> Response:
    """Stream changes of the stage. The Hub documents no frames; these are the frames of its former host."""
    space = request.space()
    return StreamingResponse(
        _stages(request.world, space), headers={"Content-Type": "text/event-stream; charset=utf-8"}
    )


async def _stages(world: World, space: Space) -> AsyncIterator[bytes]:
    shown, last_sent = "", time.monotonic()
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
            shown, last_sent = frame, time.monotonic()
            yield frame.encode()
        elif time.monotonic() - last_sent >= world.settings.keep_alive:
            last_sent = time.monotonic()
            yield b": keep-alive\n\n"
        await asyncio.sleep(_POLL_SECONDS)


def _stream_metrics(request: HubRequest) -> Response:
    """Stream the load, which is always the same here, once a real second while the app runs."""
    space = request.space()
    return StreamingResponse(
        _loads(request.world, space), headers={"Content-Type": "text/event-stream; charset=utf-8"}
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


ROUTES = [
    Route("GET", f"{SPACE}/events", _stream_stages),
    Route("GET", f"{SPACE}/metrics", _stream_metrics),
]
