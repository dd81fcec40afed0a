"""The fault ``queue_full``: the 503 of a Gradio app whose queue is full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["QUEUE_FULL"]

_DETAIL = "Queue is full. Max size is 1 and size is 1."


async def _queue_full(fault: Fault, call: AppCall) -> None:
    await call.respond(JSONResponse({"detail": fault.message or _DETAIL}, 503))


QUEUE_FULL = AppKind("a 503 with the JSON of a Gradio app whose queue is full", _queue_full)
