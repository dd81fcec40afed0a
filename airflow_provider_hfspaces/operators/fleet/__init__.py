"""Operators for many Spaces at once: list them, pause them, restart them, and limit their sleep times.

Each class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.fleet.listing import ListSpacesOperator
    from airflow_provider_hfspaces.operators.fleet.pause import PauseSpacesOperator
    from airflow_provider_hfspaces.operators.fleet.restart import RestartSpacesOperator
    from airflow_provider_hfspaces.operators.fleet.sleep_time import EnforceSleepTimeOperator

__all__ = [
    "EnforceSleepTimeOperator",
    "ListSpacesOperator",
    "PauseSpacesOperator",
    "RestartSpacesOperator",
]

_MODULES = {
    "EnforceSleepTimeOperator": "sleep_time",
    "ListSpacesOperator": "listing",
    "PauseSpacesOperator": "pause",
    "RestartSpacesOperator": "restart",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
