"""The kinds of faults that strike requests to apps.

To add a kind, write a file with its :class:`AppKind`, and add an entry to :data:`APP_KINDS` and to the table
in docs/emulator.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.emulator.faults.apps.cut import CUT
from airflow_provider_hfspaces.emulator.faults.apps.full_queue import QUEUE_FULL
from airflow_provider_hfspaces.emulator.faults.apps.killed import KILL
from airflow_provider_hfspaces.emulator.faults.apps.kind import AppKind
from airflow_provider_hfspaces.emulator.faults.apps.lost_answer import RESET, SILENCE
from airflow_provider_hfspaces.emulator.faults.apps.pages import HTML, STATUS
from airflow_provider_hfspaces.emulator.faults.apps.slow import DELAY

if TYPE_CHECKING:
    from airflow_provider_hfspaces.emulator.apps.call import AppCall
    from airflow_provider_hfspaces.emulator.faults.rules import Fault

__all__ = ["APP_KINDS", "AppKind", "strike_app"]

APP_KINDS: dict[str, AppKind] = {
    "status": STATUS,
    "html": HTML,
    "reset": RESET,
    "silence": SILENCE,
    "delay": DELAY,
    "cut": CUT,
    "kill": KILL,
    "queue_full": QUEUE_FULL,
}
"""All kinds of faults that strike requests to apps, by name."""


async def strike_app(fault: Fault, call: AppCall) -> None:
    """Answer a request to an app with the effect of its fault."""
    await APP_KINDS[fault.kind].strike(fault, call)
