"""Many calls to the app of a Space as one batch, which continues where it stopped.

Come here to change how items are read (``items.py``), what is stored where (``folder.py``, ``journal.py``,
``results.py``), who may write (``claim.py``), or how calls are sent and repeated (``engine.py``,
``outcomes.py``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.batch.engine import BatchLimits
    from airflow_provider_hfspaces.space_app.batch.report import BatchReport
    from airflow_provider_hfspaces.space_app.batch.run import SpaceBatch

__all__ = ["BatchLimits", "BatchReport", "SpaceBatch"]

_MODULES = {"BatchLimits": "engine", "BatchReport": "report", "SpaceBatch": "run"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
