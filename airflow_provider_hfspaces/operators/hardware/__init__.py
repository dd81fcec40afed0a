"""Operators on a Space's hardware and sleep time: record it, change it, restore it.

Each class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
