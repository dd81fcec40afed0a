"""Pause many Spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.base import FleetOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.target import Target
    from airflow_provider_hfspaces.state.ledger import Ledger

__all__ = ["PauseSpacesOperator"]


class PauseSpacesOperator(FleetOperator):
    """Pause the Spaces that run, start or build. They cost nothing until they are restarted.

    Spaces that are paused, static or in an error stage are left alone. Sleeping Spaces cost nothing
    either and are left alone too, unless ``stages`` contains SLEEPING.

    .. code-block:: python

        PauseSpacesOperator(task_id="pause", author="acme", billed_only=True, report_to="nightly")

    Returns the report, with costs in USD per hour: ``{"action": "pause", "dry_run", "at", "owner",
    "spaces": [{"repo_id", "outcome", "reason", "stage", "hardware", "hourly_cost", "at"}],
    "hourly_cost_saved", "failed", "prices_as_of"}``. An outcome is ``paused``, ``would be paused``,
    ``left alone`` or ``failed``. Stage and hardware are those before the pause.

    Endpoint: ``POST /api/spaces/{repo_id}/pause``, once for each Space.

    :param report_to: a name under which the paused Spaces are recorded for :class:`RestartSpacesOperator`,
        across days and DAG runs. The record is the Airflow Variable ``hf_spaces_fleet-`` and this name.
        Default: no record. Templated.
    """

    template_fields: Sequence[str] = (*FleetOperator.template_fields, "report_to")

    action, verb, done, column = "pause", "Paused", "paused", "USD/h saved"

    def __init__(self, *, report_to: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report_to = report_to

    @cached_property
    def ledger(self) -> Ledger | None:
        """The record of paused Spaces, if ``report_to`` names one."""
        from airflow_provider_hfspaces.state.ledger import Ledger

        return None if self.report_to is None else Ledger(self.report_to)

    def check(self) -> None:
        super().check()
        if self.ledger is not None:
            self.ledger.read()

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        from airflow_provider_hfspaces.hub.stages import (
            ACTIVE_STAGES,
            ASLEEP_STAGES,
            KNOWN_STAGES,
            SpaceStage,
        )

        if runtime.is_static:
            return "static: only files, no app to pause"
        if runtime.stage == SpaceStage.PAUSED:
            return "already paused"
        if runtime.stage in ACTIVE_STAGES:
            return None
        if runtime.stage in ASLEEP_STAGES:
            return None if self.names_stage(runtime.stage) else f"{runtime.stage}: costs nothing"
        return f"{runtime.stage}: " + ("nothing runs" if runtime.stage in KNOWN_STAGES else "unknown stage")

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        from airflow_provider_hfspaces.hub.stages import SpaceStage

        return runtime.stage == SpaceStage.PAUSED

    def call(self, target: Target) -> Call[SpaceRuntime]:
        from airflow_provider_hfspaces.hub import calls

        return calls.pause(target.repo_id)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.stages import ACTIVE_STAGES

        runtime = target.runtime
        hourly = None
        if runtime and prices:
            active = runtime.stage in ACTIVE_STAGES
            hourly = prices.if_running(runtime) if active else prices.of_space(runtime)
        return {
            "stage": runtime.stage if runtime else None,
            "hardware": runtime.configured_hardware if runtime else None,
            "hourly_cost": hourly,
        }

    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.fleet.report import total

        return {"hourly_cost_saved": total(entries, [outcome], "hourly_cost")}

    def before_requests(self, targets: Sequence[Target]) -> None:
        if self.ledger is not None and targets:
            self.ledger.change(add={target.repo_id: _record(target) for target in targets})
        for target in targets:
            target.record = _record(target)

    def after_requests(self, targets: Sequence[Target]) -> None:
        if self.ledger is None:
            return
        from airflow_provider_hfspaces.operators.fleet.target import FAILED, LEFT_ALONE

        paused = [each for each in targets if each.outcome == self.done]
        # If it is unknown whether a pause took effect, the record stays: the restart checks the Space.
        not_paused = [
            each
            for each in targets
            if each.record and each.outcome in (LEFT_ALONE, FAILED) and not each.unsure
        ]
        self.ledger.change(
            add={each.repo_id: _record(each) for each in paused},
            remove={each.repo_id: dict(each.record or {}) for each in not_paused},
        )


def _record(target: Target) -> dict[str, Any]:
    """The part of a report's entry that a restart needs."""
    return {name: target.entry[name] for name in ("repo_id", "at", "stage", "hardware", "hourly_cost")}
