"""Operators on a fleet of Spaces: list them, pause them, bring them back, and let none of them run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.hub.stages import ACTIVE_STAGES, ASLEEP_STAGES, ERROR_STAGES, SpaceStage
from airflow_provider_hfspaces.operators.base import SelectingOperator
from airflow_provider_hfspaces.operators.fleet.base import FAILED, LEFT_ALONE, FleetOperator, Target

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.state.ledger import Ledger

__all__ = [
    "EnforceSleepTimeOperator",
    "ListSpacesOperator",
    "PauseSpacesOperator",
    "RestartSpacesOperator",
]


class ListSpacesOperator(SelectingOperator):
    """List an owner's Spaces, for ``.expand(repo_id=spaces.output)`` of any operator or sensor.

    One request for every 500 Spaces, ``GET /api/spaces?author=…&expand=runtime&expand=tags``, however
    many are selected. Returns their ids, sorted. Airflow maps a task over 1,024 of them at the most
    (``[core] max_map_length``).
    """

    def execute(self, context: Context) -> list[str]:
        """List them.

        :raises AirflowFailException: for what another try would meet again.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.rendered import as_list

        with failing_for_good():
            if self.repo_ids is not None:
                found = {self.hook.repo_id(each) for each in as_list(self.repo_ids)}
            else:
                found = {space.id for space in self.selection().select(self.listed())}
        self.log.info("%d Spaces are selected.", len(found))
        return sorted(found, key=str.casefold)


class PauseSpacesOperator(FleetOperator):
    """Pause Spaces that run, start or build: they stop, cost nothing, and stay so until a restart.

    A Space that is paused already, static or in an error stage is left alone, and so is a sleeping
    one, which costs nothing either, unless ``stages`` names SLEEPING. ``POST
    /api/spaces/{repo_id}/pause`` for each of the others.

    Returns the report, with costs in USD per hour by the Hub's price list: ``{"action": "pause",
    "dry_run", "at", "owner", "spaces": [{"repo_id", "outcome", "reason", "stage", "hardware",
    "hourly_cost", "at"}], "hourly_cost_saved", "failed", "prices_as_of"}``. An outcome is ``paused``,
    ``would be paused``, ``left alone`` or ``failed``; stage and hardware are those before the pause.

    :param report_to: keep what is paused under this name for :class:`RestartSpacesOperator`, across
        days and DAG runs: in the Airflow Variable ``hf_spaces_fleet-`` and the name. Templated.
    """

    template_fields: Sequence[str] = (*FleetOperator.template_fields, "report_to")

    action, verb, done, column = "pause", "Paused", "paused", "USD/h saved"

    def __init__(self, *, report_to: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report_to = report_to

    @cached_property
    def ledger(self) -> Ledger | None:
        """What the report is kept in, if in anything."""
        from airflow_provider_hfspaces.state.ledger import Ledger

        return None if self.report_to is None else Ledger(self.report_to)

    def check(self) -> None:
        super().check()
        if self.ledger is not None:
            self.ledger.read()

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        from airflow_provider_hfspaces.rendered import as_list

        if runtime.is_static:
            return "static: the Hub serves its files, and nothing runs"
        if runtime.stage == SpaceStage.PAUSED:
            return "paused already"
        if runtime.stage in ASLEEP_STAGES:
            named = ASLEEP_STAGES & {str(stage) for stage in as_list(self.stages)}
            return None if named else f"{runtime.stage}: it costs nothing"
        if runtime.stage in ACTIVE_STAGES:
            return None
        known = ERROR_STAGES | {SpaceStage.DELETING}
        return f"{runtime.stage}: " + (
            "nothing runs" if runtime.stage in known else "nobody knows what that is"
        )

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        return runtime.stage == SpaceStage.PAUSED

    def call(self, target: Target) -> Call[SpaceRuntime]:
        from airflow_provider_hfspaces.hub import calls

        return calls.pause(target.repo_id)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        runtime = target.runtime
        hourly = None
        if runtime and prices:
            runs = runtime.stage in ACTIVE_STAGES
            hourly = prices.if_running(runtime) if runs else prices.of_space(runtime)
        return {
            "stage": runtime.stage if runtime else None,
            "hardware": runtime.configured_hardware if runtime else None,
            "hourly_cost": hourly,
        }

    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.fleet.report import total

        return {"hourly_cost_saved": total(entries, [outcome], "hourly_cost")}

    def note(self, targets: Sequence[Target]) -> None:
        if self.ledger is not None and targets:
            self.ledger.change(add={target.repo_id: _kept(target) for target in targets})
        for target in targets:
            target.given = _kept(target)

    def settle(self, targets: Sequence[Target]) -> None:
        if self.ledger is None:
            return
        done = [each for each in targets if each.entry["outcome"] == self.done]
        # Where it is not known whether a pause took effect, the restart will see.
        undone = [
            each
            for each in targets
            if each.given and each.entry["outcome"] in (LEFT_ALONE, FAILED) and not each.unsure
        ]
        self.ledger.change(
            add={each.repo_id: _kept(each) for each in done},
            remove={each.repo_id: dict(each.given or {}) for each in undone},
        )


class RestartSpacesOperator(FleetOperator):
    """Bring back exactly what an earlier pause has put to sleep, from its report.

    A Space that somebody has started, deleted or set to other hardware since then is left alone, and
    so is one that was paused before. Without a report, the paused ones of those that are named or
    selected are started. It does not wait until they run: map a ``SpaceRunningSensor`` over them
    for that. ``POST /api/spaces/{repo_id}/restart`` for each.

    Returns the report, with amounts in USD: ``{"action": "restart", "dry_run", "at", "owner",
    "spaces": [{"repo_id", "outcome", "reason", "stage", "hardware", "hourly_cost", "paused_at",
    "paused_seconds", "saved", "at"}], "saved", "failed", "prices_as_of"}``. An outcome is
    ``restarted``, ``would be restarted``, ``left alone`` or ``failed``. ``saved`` is what as much
    running would have cost.

    :param report: of a :class:`PauseSpacesOperator`, or several of them: ``pause.output``. Templated.
    :param report_from: the name under which a pause keeps its report (``report_to``). What has been
        dealt with is removed from there, what has failed stays. Templated.
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
        """What the report is kept in, if in anything."""
        from airflow_provider_hfspaces.state.ledger import Ledger

        return None if self.report_from is None else Ledger(self.report_from)

    def check(self) -> None:
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.operators.fleet.report import read_reports

        super().check()
        sources = (self.report, self.report_from, self.repo_ids, self.author)
        if sum(each is not None for each in sources) != 1:
            raise InvalidInput(
                "What is to be restarted? Give RestartSpacesOperator one of report, report_from, repo_ids "
                "and author. A report that is None says that the pause has left none."
            )
        if self.ledger is not None:
            self._records = self.ledger.read()
            if not self._records:
                self.log.info("Nothing is kept in %s: nothing to restart.", self.ledger.variable)
        elif self.report is not None:
            self._records = read_reports(self.report)

    def targets(self, seen: dict[str, SpaceRuntime]) -> list[Target]:
        if self._records is None:
            return super().targets(seen)
        return self.look([Target(each["repo_id"], given=each) for each in self._records.values()])

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        from airflow_provider_hfspaces.rendered import as_list

        if runtime.is_static:
            return "static: it always runs"
        if runtime.stage != SpaceStage.PAUSED:
            if target.given is not None:
                return f"{runtime.stage}: it is not paused any more, or never was"
            named = {str(stage) for stage in as_list(self.stages)}
            if runtime.stage in ACTIVE_STAGES | {SpaceStage.DELETING}:
                return f"{runtime.stage}: nothing to restart"
            if not named & (ASLEEP_STAGES if runtime.stage in ASLEEP_STAGES else {runtime.stage}):
                return f"{runtime.stage}: it is not paused"
        before = target.given.get("hardware") if target.given else None
        if before and runtime.configured_hardware not in (None, before):
            return f"it is set to {runtime.configured_hardware} now, and was on {before} when it was paused"
        return None

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        return runtime.stage not in (SpaceStage.PAUSED, SpaceStage.DELETING)

    def call(self, target: Target) -> Call[SpaceRuntime]:
        from airflow_provider_hfspaces.hub import calls

        return calls.restart(target.repo_id)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        runtime, given = target.runtime, target.given or {}
        hourly = given.get("hourly_cost")
        if not given and runtime and prices:
            hourly = prices.if_running(runtime)
        hardware = runtime.configured_hardware if runtime else None
        return {
            "stage": runtime.stage if runtime else None,
            "hardware": hardware or given.get("hardware"),
            "hourly_cost": hourly,
            "paused_at": given.get("paused_at") or given.get("at"),
            "paused_seconds": None,
            "saved": None,
        }

    def finish_entry(self, target: Target) -> None:
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

        return {"saved": total(entries, [outcome], "saved")}

    def settle(self, targets: Sequence[Target]) -> None:
        if self.ledger is None:
            return
        over = [each for each in targets if each.entry["outcome"] in (self.done, LEFT_ALONE)]
        records = self._records or {}
        dealt = {each.repo_id: records.get(each.repo_id.casefold()) for each in over}
        self.ledger.change(add={}, remove={key: each for key, each in dealt.items() if each})


class EnforceSleepTimeOperator(FleetOperator):
    """Let no Space on paid hardware run for ever: each falls asleep after a while without a visitor.

    A Space that is set to hardware that costs, whether or not it runs, and that sleeps later than
    ``max_sleep_time`` or never, gets this sleep time, without a restart. The others, those on free
    hardware among them, are left alone. ``POST /api/spaces/{repo_id}/sleeptime`` for each.

    Returns the report, with costs in USD per hour: ``{"action": "sleep_time", "dry_run", "at",
    "owner", "spaces": [{"repo_id", "outcome", "reason", "stage", "hardware", "hourly_cost",
    "sleep_time", "at"}], "max_sleep_time", "hourly_cost_limited", "failed", "prices_as_of"}``. An
    outcome is ``set``, ``would be set``, ``left alone`` or ``failed``; ``sleep_time`` is the one
    before, in seconds, ``None`` for never, and ``hourly_cost`` what the Space costs when it runs.

    :param max_sleep_time: seconds, at least 1. Templated.
    """

    template_fields: Sequence[str] = (*FleetOperator.template_fields, "max_sleep_time")

    action, verb, done, column = "sleep_time", "Set the sleep time of", "set", "USD/h when they run"

    def __init__(self, *, max_sleep_time: int | str = 3600, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_sleep_time = max_sleep_time
        self._seconds = 0

    def check(self) -> None:
        from airflow_provider_hfspaces.hub.checks import checked_number
        from airflow_provider_hfspaces.operators.hardware import whole_number

        super().check()
        given = whole_number(self.max_sleep_time)
        self._seconds = checked_number(given or 0, "max_sleep_time, in seconds,", least=1)

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        if runtime.is_static:
            return "static: the Hub serves its files, and nothing runs"
        if runtime.stage == SpaceStage.DELETING:
            return "DELETING: it is going away"
        if runtime.configured_hardware is None:
            return "the Hub does not say on which hardware it is"
        if runtime.configured_hardware in FREE_HARDWARE:
            return "on free hardware"
        return "it sleeps soon enough" if self.is_done(target, runtime) else None

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        return runtime.sleep_time is not None and runtime.sleep_time <= self._seconds

    def call(self, target: Target) -> Call[SpaceRuntime]:
        from airflow_provider_hfspaces.hub import calls

        return calls.set_sleep_time(target.repo_id, self._seconds)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        runtime = target.runtime
        return {
            "stage": runtime.stage if runtime else None,
            "hardware": runtime.configured_hardware if runtime else None,
            "hourly_cost": prices.if_running(runtime) if runtime and prices else None,
            "sleep_time": runtime.sleep_time if runtime else None,
        }

    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.fleet.report import total

        limited = total(entries, [outcome], "hourly_cost")
        return {"max_sleep_time": self._seconds, "hourly_cost_limited": limited}

    def headline(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> str:
        count = sum(each["outcome"] == outcome for each in entries)
        verb = "would get" if self.changes_nothing else "got"
        return f"{count:,} of {len(entries):,} Spaces {verb} a sleep time of {self._seconds:,} seconds."


def _kept(target: Target) -> dict[str, Any]:
    """What the ledger keeps of a Space: what its restart has to know."""
    return {name: target.entry[name] for name in ("repo_id", "at", "stage", "hardware", "hourly_cost")}
