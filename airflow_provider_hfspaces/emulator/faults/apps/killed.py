"""The fault ``kill``: the app's process is killed in the middle of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["KILL"]


async def _kill(fault: Fault, call: AppCall) -> None:
    await call.forward_frames(fault.frames, call.kill)


KILL = AppKind(
    "the app's process is killed after `frames` frames of the answer, and a new process with an empty memory "
    "starts; the Space stays RUNNING",
    _kill,
)
