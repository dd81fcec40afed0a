"""Operators on whole Spaces: create, delete, move and publish them, set their replicas and their dev mode.

Each class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.repository.create import CreateSpaceOperator
    from airflow_provider_hfspaces.operators.repository.delete import DeleteSpaceOperator
    from airflow_provider_hfspaces.operators.repository.move import MoveSpaceOperator
    from airflow_provider_hfspaces.operators.repository.settings import (
        SetDevModeOperator,
        SetReplicasOperator,
        SetVisibilityOperator,
    )

__all__ = [
    "CreateSpaceOperator",
    "DeleteSpaceOperator",
    "MoveSpaceOperator",
    "SetDevModeOperator",
    "SetReplicasOperator",
    "SetVisibilityOperator",
]

_MODULES = {
    "CreateSpaceOperator": "create",
    "DeleteSpaceOperator": "delete",
    "MoveSpaceOperator": "move",
    "SetDevModeOperator": "settings",
    "SetReplicasOperator": "settings",
    "SetVisibilityOperator": "settings",
}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
