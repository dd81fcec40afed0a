"""Operators on a Space's hardware and sleep time: record it, change it, restore it.

Each class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.hardware.request import RequestHardwareOperator
    from airflow_provider_hfspaces.operators.hardware.restore import RestoreHardwareOperator
    from airflow_provider_hfspaces.operators.hardware.sleep_time import SetSleepTimeOperator
    from airflow_provider_hfspaces.operators.hardware.snapshot import SnapshotSpaceOperator

__all__ = [
    "RequestHardwareOperator",
    "RestoreHardwareOperator",
    "SetSleepTimeOperator",
    "SnapshotSpaceOperator",
]

_MODULES = {
    "RequestHardwareOperator": "request",
    "RestoreHardwareOperator": "restore",
    "SetSleepTimeOperator": "sleep_time",
    "SnapshotSpaceOperator": "snapshot",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
