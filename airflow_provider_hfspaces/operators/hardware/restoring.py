"""HardwareRestore: the work of RestoreHardwareOperator. Only a running task imports this module."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.desired import RestoreRejected, describe
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError
from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.snapshot import Activity, SpaceSnapshot, fallback_snapshot, raises_cost
from airflow_provider_hfspaces.hub.stages import DORMANT_STAGES, SpaceStage
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.hardware import decisions, messages
from airflow_provider_hfspaces.operators.hardware.leasing import HELD_BY_ANOTHER, WayBack
from airflow_provider_hfspaces.operators.hardware.window_cost import report_window, window_of
from airflow_provider_hfspaces.state.last_resort import remember_pause
from airflow_provider_hfspaces.state.leases import LeaseOwner
from airflow_provider_hfspaces.state.records import (
    LEASE,
    PREVIOUS,
    RESTORED,
    map_indexes,
    may_hold_lease,
    pull,
    requested_hardware,
    retry_while_tries_left,
    task_ids_named,
    temporary_statuses,
)
from airflow_provider_hfspaces.state.retry_store import forget_of_task

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.hardware.restore import RestoreHardwareOperator

__all__ = ["HardwareRestore"]

_ACTIVITIES = {"pause": Activity.PAUSED, "sleep": Activity.ASLEEP, "run": Activity.UNCHANGED}
"""The activity for each value of ``restore_dormant``."""

_MOST_TAKEOVERS = 3
"""How often in a row a restore begins again because the lease changed hands."""


class HardwareRestore:
    """The restore of a Space by a task, in this process.

    :param task: the operator.
    """

    def __init__(self, task: RestoreHardwareOperator) -> None:
        self._task = task

    def begin(self, repo_id: str, context: Context) -> Any:
        """Restore the Space, and wait until it runs if the task waits."""

        try:
            return self._restore(repo_id, context)
        except HubError as error:
            retry_while_tries_left(error, self._task, context)
            raise

    def arrived(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        """Report what the run cost, after the restore."""

        self._task.log.info("Space %s is %s.", repo_id, describe(runtime))
        return {**runtime.to_dict(), **self._report_cost(repo_id, context, then.get("window"))}

    def _report_cost(self, repo_id: str, context: Context, window: dict[str, Any] | None) -> dict[str, Any]:
        """Report what the run cost. Returns what the result contains about it."""
        return report_window(self._task, context, repo_id, window) if window else {}

    def _restore(self, repo_id: str, context: Context) -> Any:
        """Restore under the lease; begin again if another run takes the lease on the way."""

        source, taken = self._leased_by(context)
        if taken is not None and taken["repo_id"] != repo_id:
            self._task.log.warning(
                "This run has leased Space %s, not %s. Restoring the former.", taken["repo_id"], repo_id
            )
            repo_id = taken["repo_id"]
            self._task.link(context, repo_id)
        owner = LeaseOwner.from_task_instance(context["ti"], source)
        for _ in range(_MOST_TAKEOVERS):
            way_back = WayBack(self._task.hook, repo_id, owner, taken, self._task.log)
            try:
                way_back.begin()
                return self._restore_under(way_back, repo_id, context)
            except LeaseLost:
                self._task.log.warning("The lease of Space %s went to another run just now.", repo_id)
            except SpaceLeased as leased:
                self._task.log.warning(
                    "Space %s is leased by %s, which restores it after its work. The Space is left alone.",
                    repo_id,
                    way_back.describe(leased.holder),
                )
                return self._task.hook.get_runtime(repo_id).to_dict()
        raise HubError(
            f"Space {repo_id}: its lease changed hands {_MOST_TAKEOVERS} times during the restore. "
            f"Retry the task.",
            repo_id=repo_id,
        )

    def _restore_under(self, way_back: WayBack, repo_id: str, context: Context) -> Any:
        try:
            before = self._task.hook.get_runtime(repo_id)
            self._task.space_logs.begin()
            if before.is_static:
                way_back.end()
                self._task.log.info("Space %s is static: there is no hardware to restore.", repo_id)
                return before.to_dict()
            snapshot, runtime = self._move_back(repo_id, before, context, way_back)
        except HELD_BY_ANOTHER:
            way_back.stop()
            raise
        except RestoreRejected as error:
            if way_back.is_leased:
                error.desired = None  # The lease's record keeps it.
            remember_pause(error)
            way_back.fail(error.runtime.configured_hardware if error.runtime else None)
            raise
        except BaseException:
            way_back.fail()
            raise
        window = window_of(self._task, repo_id, context, way_back, before, runtime)
        way_back.end()
        return self._finish(repo_id, before, snapshot, runtime, context, window)

    def _move_back(
        self, repo_id: str, before: SpaceRuntime, context: Context, way_back: WayBack
    ) -> tuple[SpaceSnapshot, SpaceRuntime]:
        snapshot = self._snapshot_to_restore(repo_id, before, context, way_back)
        if snapshot.hardware is None:
            return replace(snapshot, hardware=before.configured_hardware), before
        self._task.log.info(
            "Space %s is %s. Restoring %s%s.",
            repo_id,
            describe(before),
            snapshot.hardware,
            ", paused" if snapshot.was_paused else "",
        )
        runtime = self._task.hook.restore(
            snapshot,
            before,
            fallback=self._task.fallback,
            guard=way_back.guard,
            activity=Activity.PAUSED if self._task.pause_after else None,
            restore_dormant=_ACTIVITIES[self._task.restore_dormant],
            retried=temporary_statuses(self._task, context),
        )
        return snapshot, runtime

    def _snapshot_to_restore(
        self, repo_id: str, before: SpaceRuntime, context: Context, way_back: WayBack
    ) -> SpaceSnapshot:
        """The state to restore; without hardware if the Space is to stay where it is."""

        recorded = way_back.snapshot or self.recorded(repo_id, context)
        snapshot = recorded or self._fallback_snapshot(repo_id, before)
        if self._task.hardware:
            return replace(snapshot, hardware=self._task.hardware)
        limit = decisions.known_limit(self._task.max_hourly_cost, repo_id, self._task.log)
        if limit is not None and snapshot.hardware and snapshot.hardware not in FREE_HARDWARE:
            prices = decisions.prices_for_restore(self._task, context)
            snapshot = decisions.within_cost(snapshot, prices, limit, self._task.fallback, self._task.log)
        requested = way_back.requested or self._requested_in_run(context, before)
        prices_of = partial(decisions.prices_for_restore, self._task, context)
        if recorded is not None and raises_cost(snapshot, before, requested, prices_of):
            self._task.log.warning(
                "Space %s stays on %s: %s, which was recorded, costs more, and this run did not request %s.",
                repo_id,
                before.configured_hardware,
                snapshot.hardware,
                before.configured_hardware,
            )
            return replace(snapshot, hardware=None)
        return snapshot

    def _finish(
        self,
        repo_id: str,
        before: SpaceRuntime,
        snapshot: SpaceSnapshot,
        runtime: SpaceRuntime,
        context: Context,
        window: dict[str, Any] | None,
    ) -> Any:
        if before.stage == SpaceStage.PAUSED and not snapshot.was_paused:
            self._task.log.info("Space %s was paused in the meantime and stays paused.", repo_id)
        messages.log_end_of_bill(self._task.log, repo_id, snapshot, runtime)
        context["ti"].xcom_push(key=RESTORED, value=snapshot.to_dict())
        for task_id in self._source_ids(context):
            for map_index in map_indexes(context["ti"]):
                forget_of_task(context, task_id, map_index, PREVIOUS)
        if self._task.wait_until_back and runtime.stage not in DORMANT_STAGES:
            goal, then = Goal(hardware=snapshot.hardware), {"window": window}
            try:
                return self._task.wait(repo_id, goal, context, before=before, then=then)
            except SpaceWaitError:
                self._report_cost(repo_id, context, window)
                raise
        return self._task.waited(repo_id, runtime, context, window=window)

    def _source_ids(self, context: Context) -> list[str]:
        """The ids that ``from_task`` may mean."""
        task_ids = task_ids_named(context.get("dag"), self._task.from_task, self._task.task_id)
        if not task_ids:
            self._task.log.error("This DAG has no task %r, which from_task names.", self._task.from_task)
        return task_ids

    def _leased_by(self, context: Context) -> tuple[str, dict[str, Any] | None]:
        """The task that recorded the state to restore, and what it pushed about its lease."""
        task_ids = self._source_ids(context)
        for task_id in task_ids:
            if not may_hold_lease(context.get("dag"), task_id):
                continue
            # repo_id may be a template that renders to another Space than the leased one.
            if isinstance(taken := pull(context, task_id, LEASE), dict):
                return task_id, taken
        return (task_ids or [self._task.from_task])[0], None

    def recorded(self, repo_id: str, context: Context) -> SpaceSnapshot | None:
        """The state that the tasks of ``from_task`` recorded; ``None`` if it cannot be used."""

        for task_id in self._source_ids(context):
            payload = pull(context, task_id)
            if payload is None:
                continue
            try:
                snapshot = SpaceSnapshot.from_dict(payload)
            except InvalidInput as error:
                self._task.log.warning("What task %r recorded cannot be used: %s", task_id, error)
                continue
            if not snapshot.is_of(repo_id):
                self._task.log.warning("Task %r recorded another Space: %s.", task_id, snapshot.repo_id)
            elif not snapshot.hardware:
                self._task.log.warning("Task %r recorded no hardware of Space %s.", task_id, repo_id)
            else:
                return snapshot
        return None

    def _requested_in_run(self, context: Context, before: SpaceRuntime) -> list[str]:
        """The hardware that the tasks of this run requested."""
        dag = context.get("dag")
        if dag is None:
            return [str(before.configured_hardware)]
        return requested_hardware(dag, lambda task_id, key: [pull(context, task_id, key)])

    def _fallback_snapshot(self, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        self._task.log.warning(
            "Task %r recorded nothing about Space %s: falling back to %s.",
            self._task.from_task,
            repo_id,
            self._task.fallback,
        )
        return fallback_snapshot(repo_id, runtime, self._task.fallback)
