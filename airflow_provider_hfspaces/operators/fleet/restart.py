"""Restart many Spaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.base import FleetOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.target import Target
    from airflow_provider_hfspaces.state.ledger import Ledger

__all__ = ["RestartSpacesOperator"]


class RestartSpacesOperator(FleetOperator):
    """Restart exactly the Spaces that an earlier pause has paused, from its report.

    A Space that was restarted, deleted or moved to other hardware since the pause is left alone. Without a
    report, the paused Spaces of the selection are restarted. The task does not wait until the Spaces run:
    map a ``SpaceRunningSensor`` over them for that.

    .. code-block:: python

        RestartSpacesOperator(task_id="restart", report_from="nightly")

    Returns the report, with amounts in USD: ``{"action": "restart", "dry_run", "at", "owner", "spaces":
    [{"repo_id", "outcome", "reason", "stage", "hardware", "hourly_cost", "paused_at", "paused_seconds",
    "saved", "at"}], "saved", "hourly_cost_when_started", "failed", "prices_as_of"}``. An outcome is
    ``restarted``, ``would be restarted``, ``left alone`` or ``failed``. ``saved`` is what the Spaces would
    have cost while they were paused, and ``hourly_cost_when_started`` what they cost once their builds are
    done.

    Endpoint: ``POST /api/spaces/{repo_id}/restart``, once for each Space.

    :param report: the report of a :class:`PauseSpacesOperator`, or several: ``pause.output``. Templated.
    :param report_from: the name in the pause's ``report_to``. Spaces that were restarted or left alone are
        removed from that record. Spaces that failed or are leased stay in it. Templated.
    """

    template_fields: Sequence[str] = (*FleetOperator.template_fields, "report", "report_from")
    template_fields_renderers = {"report": "json"}

    action, verb, done, figure, column = "restart", "Restarted", "restarted", "saved", "USD saved"

    def __init__(self, *, report: Any = None, report_from: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report = report
        self.report_from = report_from
        self._records: dict[str, dict[str, Any]] | None = None

    @cached_property
    def ledger(self) -> Ledger | None:
        """The record of paused Spaces, if ``report_from`` names one."""
        from airflow_provider_hfspaces.state.ledger import Ledger

        return None if self.report_from is None else Ledger(self.report_from)

    def check(self) -> None:
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.operators.fleet.report import read_reports

        super().check()
        sources = (self.report, self.report_from, self.repo_ids, self.author)
        if sum(each is not None for each in sources) != 1:
            raise InvalidInput(
                "RestartSpacesOperator needs exactly one of report, report_from, repo_ids and author. "
                "report=None means that the pause task pushed no report."
            )
        if self.ledger is not None:
            self._records = self.ledger.read()
            if not self._records:
                self.log.info("The Airflow Variable %s records no paused Spaces.", self.ledger.variable)
        elif self.report is not None:
            self._records = read_reports(self.report)

    def targets(self, unselected: dict[str, SpaceRuntime]) -> list[Target]:
        if self._records is None:
            return super().targets(unselected)
        from airflow_provider_hfspaces.operators.fleet.target import Target

        return self.read_runtimes([Target(each["repo_id"], record=each) for each in self._records.values()])

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        from airflow_provider_hfspaces.hub.stages import NOT_RESTARTABLE_STAGES, SpaceStage

        if runtime.is_static:
            return "static: only files, no app to restart"
        if runtime.stage != SpaceStage.PAUSED:
            if target.record is not None:
                return f"{runtime.stage}: no longer paused"
            if runtime.stage in NOT_RESTARTABLE_STAGES:
                return f"{runtime.stage}: nothing to restart"
            if not self.names_stage(runtime.stage):
                return f"{runtime.stage}: not paused"
        before = target.record.get("hardware") if target.record else None
        if before and runtime.configured_hardware not in (None, before):
            return f"it is set to {runtime.configured_hardware} now and was on {before} when it was paused"
        return None

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        from airflow_provider_hfspaces.hub.stages import SpaceStage

        return runtime.stage not in (SpaceStage.PAUSED, SpaceStage.DELETING, target.stage_before)

    def call(self, target: Target) -> Call[SpaceRuntime]:
        from airflow_provider_hfspaces.hub import calls

        return calls.restart(target.repo_id)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        runtime, record = target.runtime, target.record or {}
        hourly = record.get("hourly_cost")
        if not record and runtime and prices:
            hourly = prices.if_running(runtime)
        hardware = runtime.configured_hardware if runtime else None
        return {
            "stage": runtime.stage if runtime else None,
            "hardware": hardware or record.get("hardware"),
            "hourly_cost": hourly,
            "paused_at": record.get("paused_at") or record.get("at"),
            "paused_seconds": None,
            "saved": None,
        }

    def complete_entry(self, target: Target) -> None:
        from airflow_provider_hfspaces.hub.cost.prices import saved_by_pause

        entry = target.entry
        if entry["paused_at"] is None:
            return
        since = datetime.fromisoformat(entry["at"]) - datetime.fromisoformat(entry["paused_at"])
        entry["paused_seconds"] = round(max(since.total_seconds(), 0))
        if entry["hourly_cost"] is not None:
            entry["saved"] = saved_by_pause(entry["hourly_cost"], entry["paused_seconds"])

    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.fleet.report import total

        return {
            "saved": total(entries, [outcome], "saved"),
            "hourly_cost_when_started": total(entries, [outcome], "hourly_cost"),
        }

    def headline(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> str:
        cost = self.totals(entries, outcome)["hourly_cost_when_started"]
        when = f" They cost ${cost:,.2f} an hour when their builds are done." if cost else ""
        return super().headline(entries, outcome) + when

    def after_requests(self, targets: Sequence[Target]) -> None:
        if self.ledger is None:
            return
        from airflow_provider_hfspaces.operators.fleet.target import LEFT_ALONE

        records = self._records or {}
        # A leased Space may be paused again when its lease ends: its record stays for the next restart.
        left_alone = [each for each in targets if each.outcome == LEFT_ALONE and not each.leased]
        with_app = [each for each in left_alone if each.runtime and not each.runtime.is_static]
        self.fleet_change.find_leased(with_app)
        over = [
            each.repo_id for each in targets if each.outcome in (self.done, LEFT_ALONE) and not each.leased
        ]
        finished = {repo_id: records.get(repo_id.casefold()) for repo_id in over}
        self.ledger.change(add={}, remove={key: record for key, record in finished.items() if record})
