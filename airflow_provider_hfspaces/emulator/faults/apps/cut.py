"""The fault ``cut``: the connection closes in the middle of an answer, and the app continues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["CUT"]


async def _cut(fault: Fault, call: AppCall) -> None:
    await call.forward_frames(fault.frames, call.break_off)


CUT = AppKind("the connection closes after `frames` frames of the answer, and the app continues", _cut)
