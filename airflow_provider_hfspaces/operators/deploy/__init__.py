"""DeploySpaceOperator: ship a folder to a Space, and know that exactly this commit runs.

The class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.deploy.operator import DeploySpaceOperator

__all__ = ["DeploySpaceOperator"]

_MODULES = {"DeploySpaceOperator": "operator"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
