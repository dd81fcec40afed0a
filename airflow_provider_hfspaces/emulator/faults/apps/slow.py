"""The fault ``delay``: the request reaches the app late."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["DELAY"]


async def _delay(fault: Fault, call: AppCall) -> None:
    await call.time.sleep(fault.seconds or 0)
    await call.forward()


DELAY = AppKind("the request reaches the app late, by `seconds` in emulated time", _delay, needs_seconds=True)
