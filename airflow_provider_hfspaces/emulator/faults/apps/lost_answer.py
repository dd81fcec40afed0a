"""The faults ``reset`` and ``silence``: the connection is reset, or the answer never comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["RESET", "SILENCE"]


async def _reset(fault: Fault, call: AppCall) -> None:
    if fault.after:
        await call.forward_unheard()
    await call.reset()


async def _silence(fault: Fault, call: AppCall) -> None:
    if fault.after:
        await call.forward_unheard()
    await call.keep_silent()


RESET = AppKind("the connection is reset; with after=True the app acts first", _reset, skips=True)
SILENCE = AppKind("the answer never comes; with after=True the app acts first", _silence, skips=True)
