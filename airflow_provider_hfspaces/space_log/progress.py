"""LogProgress: how far the log of a task has shown the logs of its Space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_hfspaces.hub.logs.position import LogPosition

__all__ = ["LogProgress"]


@dataclass
class LogProgress:
    """How far the log of a task has shown the logs of its Space, for the worker or triggerer that continues.

    :ivar repo_id: the Space.
    :ivar positions: how far each log is shown: ``build``, ``run`` or both.
    :ivar shown: how many lines are shown.
    :ivar left_out: how many lines are left out.
    :ivar read: the logs of which anything is shown.
    :ivar warned: what the task has been warned about, so that it is not warned again.
    """

    repo_id: str
    positions: dict[str, LogPosition]
    shown: int = 0
    left_out: int = 0
    read: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    def at(self, kind: str, position: LogPosition) -> LogProgress:
        """Returns the progress with one log at another position."""
        return replace(self, positions={**self.positions, kind: position})

    def to_dict(self) -> dict[str, Any]:
        """Returns the progress as plain JSON."""
        return {
            "repo_id": self.repo_id,
            "positions": {kind: each.to_dict() for kind, each in self.positions.items()},
            "shown": self.shown,
            "left_out": self.left_out,
            "read": sorted(self.read),
            "warned": sorted(self.warned),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LogProgress:
        """Returns the progress from its :meth:`to_dict`."""
        return cls(
            repo_id=values["repo_id"],
            positions={kind: LogPosition.from_dict(each) for kind, each in values["positions"].items()},
            shown=values["shown"],
            left_out=values["left_out"],
            read=set(values["read"]),
            warned=set(values["warned"]),
        )
