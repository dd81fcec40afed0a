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
    :ivar positions: how far each log is shown, by ``build`` and ``run``.
    :ivar shown: number of lines that the task has shown.
    :ivar left_out: number of lines that the task has left out.
    :ivar read: the logs that have had a line, ``build`` or ``run``.
    :ivar warned: the warnings that the log of the task already has, so that none is repeated.
    """

    repo_id: str
    positions: dict[str, LogPosition]
    shown: int = 0
    left_out: int = 0
    read: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    def at(self, kind: str, position: LogPosition) -> LogProgress:
        """Return the progress with one log at another position."""
        return replace(self, positions={**self.positions, kind: position})

    def to_dict(self) -> dict[str, Any]:
        """Return the progress as plain JSON."""
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
        """Return the progress from :meth:`to_dict`."""
        return cls(
            repo_id=values["repo_id"],
            positions={kind: LogPosition.from_dict(each) for kind, each in values["positions"].items()},
            shown=values["shown"],
            left_out=values["left_out"],
            read=set(values["read"]),
            warned=set(values["warned"]),
        )
