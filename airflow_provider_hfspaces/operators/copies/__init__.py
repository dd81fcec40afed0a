"""DeleteCopiesOperator: delete the copies of Spaces that crashes left behind.

``window.py`` holds the tasks of a SpaceCopyTaskGroup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_hfspaces.hub.lazy import lazy_names

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.copies.delete import DeleteCopiesOperator

__all__ = ["DeleteCopiesOperator"]

__getattr__, __dir__ = lazy_names(__name__, {"DeleteCopiesOperator": "delete"})
