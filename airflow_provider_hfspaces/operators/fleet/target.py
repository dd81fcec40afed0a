"""A Space that a fleet operator works on, and the outcomes in the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["FAILED", "GIVEN_BACK", "LEFT_ALONE", "FleetIncomplete", "Target", "failure"]

LEFT_ALONE = "left alone"
"""Outcome of a Space that needed no change."""

FAILED = "failed"
"""Outcome of a Space that could not be changed."""

GIVEN_BACK = "its lease was given back"
"""Reason to leave a Space alone that needs no restore any more."""


class FleetIncomplete(Exception):
    """Some Spaces of a fleet could not be changed, and a retry may succeed."""


class Target:
    """A Space that a fleet operator works on.

    :ivar repo_id: the Space, as ``owner/name``.
    :ivar runtime: its runtime; ``None`` if the Hub did not return one.
    :ivar problem: why there is no runtime, or why the Space failed.
    :ivar record: the entry of an earlier report, or of an earlier try, about this Space.
    :ivar stage_before: the stage before the change of this task or of an earlier try; ``None`` if unknown.
    :ivar named: whether a user named the Space, so that it has to exist.
    :ivar unsure: whether a request was sent whose outcome is unknown.
    :ivar leased: whether another run has the lease of the Space.
    :ivar entry: the Space's entry in the report of this try.
    """

    # Not a dataclass: generating its methods takes half a millisecond of each DAG file with a fleet operator.
    def __init__(
        self,
        repo_id: str,
        runtime: SpaceRuntime | None = None,
        problem: Exception | None = None,
        *,
        record: Mapping[str, Any] | None = None,
        stage_before: str | None = None,
        named: bool = False,
    ) -> None:
        self.repo_id = repo_id
        self.runtime = runtime
        self.problem = problem
        self.record = record
        self.stage_before = stage_before
        self.named = named
        self.unsure = False
        self.leased = False
        self.entry: dict[str, Any] = {}

    @property
    def outcome(self) -> str | None:
        """The outcome in the report; ``None`` until it is known."""
        outcome: str | None = self.entry.get("outcome")
        return outcome

    @property
    def details(self) -> dict[str, Any]:
        """The Space's entry without its outcome, as a retry needs it."""
        return {name: value for name, value in self.entry.items() if name not in ("outcome", "reason")}


def failure(failed: Sequence[Target], total: int) -> Exception:
    """The error of a task in which Spaces failed: permanent if a retry cannot fix any of the failures."""

    message = (
        f"{len(failed):,} of {total:,} Spaces failed. The first one is {failed[0].repo_id}: "
        f"{failed[0].entry['reason']} The report lists every Space."
    )
    permanent = all(getattr(target.problem, "permanent", True) for target in failed)
    return AirflowFailException(message) if permanent else FleetIncomplete(message)
