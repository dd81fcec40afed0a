"""Finds the Spaces that look forgotten: billed without need, or on for too long.

Come here to add a reason, or to change from when on a Space is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import SpaceCost
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, SpaceStage
from airflow_provider_hfspaces.reports.cost_report import CostReport
from airflow_provider_hfspaces.reports.words import duration, parse_time

__all__ = ["Finding", "findings"]

_LONG_SLEEP_TIME_SECONDS = 24 * 3600
_LONG_START_SECONDS = 3600
_LONG_GPU_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Finding:
    """A Space that its owner should check.

    :ivar reasons: why, in a few words each.
    :ivar hourly: USD per hour, once its build is done if it is building; ``None`` if not known.
    """

    repo_id: str
    reasons: tuple[str, ...]
    hourly: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON."""
        return {"repo_id": self.repo_id, "reasons": list(self.reasons), "hourly_cost": self.hourly}


def findings(report: CostReport) -> list[Finding]:
    """Return the Spaces that look forgotten, the most expensive first."""
    result = []
    for space in report.fleet.spaces:
        info = report.spaces.get(space.repo_id)
        reasons = _reasons(report, space, info.runtime if info else None)
        if reasons:
            result.append(Finding(space.repo_id, tuple(reasons), space.when_started))
    return result


def _reasons(report: CostReport, space: SpaceCost, runtime: SpaceRuntime | None) -> list[str]:
    if runtime is None:
        return ["the Hub reports no state that can be read"]
    if not (space.is_billed or space.will_be_billed):
        if space.hourly is None:
            return ["the Hub does not report its hardware"]
        return _billed_although_off(report, space)
    reasons = []
    if space.when_started is None:
        reasons.append(f"the Hub lists no price for {space.hardware}")
    if runtime.sleep_time is None:
        reasons.append("has no sleep time and never sleeps")
    elif runtime.sleep_time > _LONG_SLEEP_TIME_SECONDS:
        reasons.append(f"sleeps only after {duration(runtime.sleep_time)} without a visitor")
    seconds = _on_for(report, space)
    if _is_gpu(report, space) and seconds > _LONG_GPU_SECONDS:
        reasons.append(f"on a GPU for at least {duration(seconds)}")
    starting = _seen_for(report, space, stage=True)
    if space.stage == SpaceStage.APP_STARTING and starting > _LONG_START_SECONDS:
        reasons.append(f"starting for {duration(starting)}, and billed for it")
    return reasons


def _billed_although_off(report: CostReport, space: SpaceCost) -> list[str]:
    active = report.usage.active(space.repo_id) if report.usage else None
    if active is None or space.stage in BILLED_STAGES:
        return []
    return [f"is {space.stage}, but the Hub still bills {active.hardware}"]


def _is_gpu(report: CostReport, space: SpaceCost) -> bool:
    flavor = report.prices.flavors.get(space.hardware or "")
    return flavor is not None and flavor.accelerator is not None


def _on_for(report: CostReport, space: SpaceCost) -> float:
    """Return the seconds on this hardware, by the Hub's billing or by consecutive reports."""
    active = report.usage.active(space.repo_id) if report.usage else None
    metered = 0.0
    if active and active.active_minutes and active.hardware == space.hardware:
        metered = active.active_minutes / space.replicas * 60
    return max(metered, _seen_for(report, space))


def _seen_for(report: CostReport, space: SpaceCost, *, stage: bool = False) -> float:
    on = report.history.on.get(space.repo_id)
    since = parse_time(on.stage_since if stage else on.since) if on else None
    return (report.at - since).total_seconds() if since else 0.0
