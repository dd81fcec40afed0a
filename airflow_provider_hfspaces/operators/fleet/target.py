"""A Space that a fleet operator works on, and the outcomes in the reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["FAILED", "LEFT_ALONE", "FleetIncomplete", "Target"]

LEFT_ALONE = "left alone"
"""Outcome of a Space that needed no change."""

FAILED = "failed"
"""Outcome of a Space that could not be changed."""


class FleetIncomplete(Exception):
    """Some Spaces of a fleet could not be changed, and a retry may succeed."""


@dataclass
class Target:
    """A Space that a fleet operator works on.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar runtime: its runtime; ``None`` if the Hub did not return one.
    :ivar problem: why there is no runtime, or why the Space failed.
    :ivar record: the entry of an earlier report, or of an earlier try, about this Space.
    :ivar named: whether a user named the Space, so that it has to exist.
    :ivar unsure: whether a request was sent whose outcome is unknown.
    :ivar entry: the Space's entry in the report of this try.
    """

    repo_id: str
    runtime: SpaceRuntime | None = None
    problem: Exception | None = None
    record: Mapping[str, Any] | None = None
    named: bool = False
    unsure: bool = False
    entry: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str | None:
        """The outcome in the report; ``None`` as long as there is none."""
        outcome: str | None = self.entry.get("outcome")
        return outcome
