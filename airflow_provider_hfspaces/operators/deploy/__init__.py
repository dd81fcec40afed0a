"""DeploySpaceOperator: ship a folder to a Space, and know that exactly this commit runs.

The class is in a module of its own, which is imported when the class is used first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.deploy.operator import DeploySpaceOperator

__all__ = ["DeploySpaceOperator"]

_MODULES = {"DeploySpaceOperator": "operator"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
