"""Operators that use the app inside a Space.

Each class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.app.batch import SpaceBatchOperator
    from airflow_provider_hfspaces.operators.app.call import CallSpaceOperator

__all__ = ["CallSpaceOperator", "SpaceBatchOperator"]

_MODULES = {"CallSpaceOperator": "call", "SpaceBatchOperator": "batch"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
