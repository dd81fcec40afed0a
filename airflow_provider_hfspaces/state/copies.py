"""The mark of a copy: a variable of the Space, by which tasks recognise a copy that they may delete."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["COPY_OF", "CopyMark"]

COPY_OF = "AIRFLOW_COPY_OF"
"""The variable that holds the mark."""


@dataclass(frozen=True)
class CopyMark:
    """Says that a Space is a copy that was made for one run.

    The mark names the copy itself: the Hub copies variables, so that a copy of the copy, made by hand, has
    the variable too and is nevertheless not marked.

    :ivar copy_id: the copy, as ``owner/name``.
    :ivar source_id: the Space that was copied.
    :ivar dag_id: the DAG whose run uses the copy; ``None`` for a copy that belongs to no run.
    :ivar run_id: that run.
    """

    copy_id: str
    source_id: str
    dag_id: str | None = None
    run_id: str | None = None

    @classmethod
    def from_variables(cls, repo_id: str, variables: Mapping[str, Any]) -> CopyMark | None:
        """Return the mark of a Space, ``None`` if it has no mark of its own.

        :param repo_id: the Space, as ``owner/name``.
        :param variables: its variables by their keys, as ``HfSpacesHook.get_variables`` returns them.
        """
        variable = variables.get(COPY_OF)
        try:
            payload = json.loads(variable.value if variable is not None else "")
            mark = cls(
                copy_id=str(payload["copy"]),
                source_id=str(payload["source"]),
                dag_id=payload.get("dag_id"),
                run_id=payload.get("run_id"),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return mark if mark.copy_id.lower() == repo_id.lower() else None

    def to_variable(self) -> str:
        """Return the value of the variable."""
        payload = {"copy": self.copy_id, "source": self.source_id}
        if self.dag_id is not None and self.run_id is not None:
            payload.update(dag_id=self.dag_id, run_id=self.run_id)
        return json.dumps(payload)
