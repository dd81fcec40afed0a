"""Operators for many Spaces at once: list them, pause them, restart them, and limit their sleep times.

The module of a class is imported when the class is used first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.fleet.pause import PauseSpacesOperator
    from airflow_provider_hfspaces.operators.fleet.restart import RestartSpacesOperator
    from airflow_provider_hfspaces.operators.fleet.selecting import ListSpacesOperator
    from airflow_provider_hfspaces.operators.fleet.sleep_time import EnforceSleepTimeOperator

__all__ = [
    "EnforceSleepTimeOperator",
    "ListSpacesOperator",
    "PauseSpacesOperator",
    "RestartSpacesOperator",
]

_MODULES = {
    "EnforceSleepTimeOperator": "sleep_time",
    "ListSpacesOperator": "selecting",
    "PauseSpacesOperator": "pause",
    "RestartSpacesOperator": "restart",
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
