"""Send many items to the app of a Space as one batch, which can continue after an error.

Come here to change how items are read (``items.py``), what is stored where (``folder.py``, ``journal.py``,
``results.py``), how workers are kept apart (``claim.py``), or how calls are sent and repeated (``engine.py``,
``outcomes.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.batch.engine import BatchLimits
    from airflow_provider_hfspaces.space_app.batch.report import BatchReport
    from airflow_provider_hfspaces.space_app.batch.run import SpaceBatch

__all__ = ["BatchLimits", "BatchReport", "SpaceBatch"]

_MODULES = {"BatchLimits": "engine", "BatchReport": "report", "SpaceBatch": "run"}

__getattr__, __dir__ = lazy_names(__name__, _MODULES)
