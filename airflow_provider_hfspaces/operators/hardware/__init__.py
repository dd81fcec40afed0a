"""Operators on a Space's hardware and sleep time: record it, change it, restore it."""

from __future__ import annotations

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
