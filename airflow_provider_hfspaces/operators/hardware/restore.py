"""RestoreHardwareOperator: restore a Space after the work, whether the work succeeded or not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.hardware.budgets import checked_hourly_cost
from airflow_provider_hfspaces.operators.values import follow
from airflow_provider_hfspaces.state.records import (
    LEASE,
    PREVIOUS,
    REQUESTED,
    RESTORED,
    TRIED,
    is_last_try,
    map_indexes,
    may_hold_lease,
    pull,
    requesting_task_ids,
    task_ids_named,
    tried_hardware,
    trying_task_ids,
)
from airflow_provider_hfspaces.state.retry_store import forget_of_task

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.desired import Activity
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.operators.hardware.leasing import WayBack

__all__ = ["RestoreHardwareOperator"]

_RETRIED_STATUSES = frozenset({401, 403})
"""Statuses of rejections that may be temporary, so that the task retries them while it has tries left."""

_MOST_TAKEOVERS = 3
"""How often in a row a restore begins again because the lease changed hands."""


class RestoreHardwareOperator(WaitingOperator):
    """Restore a Space's hardware, sleep time, replicas and pause.

    ::

        snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id="acme/whisper")
        restore = RestoreHardwareOperator(task_id="restore", repo_id="acme/whisper", from_task="snapshot")
        snapshot >> batch() >> restore.as_teardown(setups=snapshot)

    Use it as a teardown: it then runs if the work before it succeeds, fails or is skipped. It sends no
    request for a property that has not changed. A Space that somebody paused in the meantime stays
    paused, because it costs nothing.

    If the Hub rejects the recorded hardware for good, the Space moves to ``fallback``; if the Hub rejects
    that too, the Space is paused. In both cases the task fails and says so.

    The log ends with what the run cost, such as "13 min of t4-small, about $0.09": an estimate from list
    prices, by the begun minute and for all replicas, from the request to the way back. The XCom ``cost`` has
    ``cost_usd`` (``None`` if a price is unknown), ``billed_seconds``, ``hardware``, and ``billed`` by flavor.

    Returns the runtime with ``cost_usd``, ``billed_seconds`` and ``billed_hardware``. Endpoints, as far as
    they are needed: ``GET /api/spaces/{repo_id}/runtime``, ``GET /api/spaces/hardware``, and ``POST`` to
    ``/hardware``, ``/sleeptime``, ``/replicas``, ``/restart`` and ``/pause`` of the Space.

    :param from_task: id of the :class:`SnapshotSpaceOperator` or :class:`RequestHardwareOperator` that
        recorded the state, the operator itself, or its ``output``. Inside a task group the id may be given
        without the prefix of the group. Templated.
    :param hardware: the hardware to restore, whatever was recorded (default: the recorded hardware).
        ``default_args`` do not set it: there it means the hardware of the upgrade. Templated.
    :param fallback: the hardware if nothing was recorded or the Hub rejects what was recorded (default
        ``cpu-basic``). Templated.
    :param pause: whether to pause the Space after the restore, whatever it was before (default False). A
        paused Space costs nothing, and no visitor starts it.
    :param max_hourly_cost: USD per hour (default: no limit). A recorded state that costs more, or has no
        listed price, is not restored: the Space goes to ``fallback``. Templated.
    :param restore_dormant: what to do with a Space on paid hardware that was asleep or had failed, and
        would run and cost money after the restore. ``"pause"`` (default) pauses it; ``"sleep"`` sets a
        short sleep time, waits until the Space sleeps and restores its own; ``"run"`` leaves it running.
    :param wait: whether to wait until the Space runs again (default False).
    :param health: the answer of the app to wait for as well, with ``wait=True``: ``True`` for its start page,
        a path, or a mapping with ``path``, ``status``, ``json`` and ``text`` (default: none). Templated.
    :param timeout: maximum number of seconds to wait (default 1800).
    :param poll_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker; by default Airflow's
        ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "from_task",
        "hardware",
        "fallback",
        "max_hourly_cost",
    )

    # Without a token an upgrade changes nothing, so that there is nothing to restore. Requests that change
    # the Space check for a token themselves.
    needs_token = False

    records_sightings = True
    outlet_fields = ("cost_usd", "billed_seconds", "billed_hardware")

    def __init__(
        self,
        *,
        from_task: Any,
        hardware: str | None = None,
        fallback: str = "cpu-basic",
        pause: bool = False,
        max_hourly_cost: float | str | None = None,
        restore_dormant: str = "pause",
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        if hardware is not None and (kwargs.get("default_args") or {}).get("hardware") == hardware:
            # The flavor that default_args name for the upgrade is not the one to restore.
            warnings.warn(
                f"RestoreHardwareOperator {kwargs.get('task_id')!r} ignores hardware={hardware!r}, which "
                f"comes from default_args, and restores what {from_task!r} recorded. To restore certain "
                f"hardware, set it on the operator itself.",
                UserWarning,
                stacklevel=2,
            )
            hardware = None
        super().__init__(**kwargs)
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        if restore_dormant not in ("pause", "sleep", "run"):
            raise ValueError(
                f"restore_dormant of task {self.task_id!r} must be 'pause', 'sleep' or 'run'; got "
                f"{restore_dormant!r}."
            )
        self.max_hourly_cost = checked_hourly_cost(max_hourly_cost, f"task {self.task_id!r}")
        self.restore_dormant = restore_dormant
        source = getattr(from_task, "operator", from_task)  # of an output such as snapshot.output
        self.from_task = source if isinstance(source, str) else source.task_id
        follow(self, from_task)
        self.hardware = hardware
        self.fallback = fallback
        self.pause_after = pause
        self.wait_until_back = wait

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            return self._restore(repo_id, context)
        except HubError as error:
            if error.status in _RETRIED_STATUSES and not is_last_try(self, context):
                # A revoked token or a plan that has lapsed may be back before the tries are used up.
                error.permanent = False
            raise

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.desired import describe

        self.log.info("Space %s is %s.", repo_id, describe(runtime))
        return {**runtime.to_dict(), **self._report_cost(repo_id, context, then.get("window"))}

    def _report_cost(self, repo_id: str, context: Context, window: dict[str, Any] | None) -> dict[str, Any]:
        """Report what the run cost. Returns what the result contains about it."""
        from airflow_provider_hfspaces.operators.hardware.window_cost import report_window

        return report_window(self, context, repo_id, window) if window else {}

    def _restore(self, repo_id: str, context: Context) -> Any:
        """Restore under the lease; begin again if another run takes the lease on the way."""
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased
        from airflow_provider_hfspaces.operators.hardware.leasing import WayBack
        from airflow_provider_hfspaces.state.leases import LeaseOwner

        source, taken = self._leased_by(context)
        if taken is not None and taken["repo_id"] != repo_id:
            self.log.warning(
                "This run has leased Space %s, not %s. Restoring the former.", taken["repo_id"], repo_id
            )
            repo_id = taken["repo_id"]
            self.link(context, repo_id)
        owner = LeaseOwner.from_task_instance(context["ti"], source)
        for _ in range(_MOST_TAKEOVERS):
            way_back = WayBack(self.hook, repo_id, owner, taken, self.log)
            try:
                way_back.begin()
                return self._restore_under(way_back, repo_id, context)
            except LeaseLost:
                self.log.warning("The lease of Space %s went to another run just now.", repo_id)
            except SpaceLeased as leased:
                self.log.warning(
                    "Space %s is leased by %s, which restores it after its work. The Space is left alone.",
                    repo_id,
                    way_back.describe(leased.holder),
                )
                return self.hook.get_runtime(repo_id).to_dict()
        raise HubError(
            f"Space {repo_id}: its lease changed hands {_MOST_TAKEOVERS} times during the restore. "
            f"Retry the task.",
            repo_id=repo_id,
        )

    def _restore_under(self, way_back: WayBack, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.desired import RestoreRejected
        from airflow_provider_hfspaces.operators.hardware.leasing import LEFT_ALONE
        from airflow_provider_hfspaces.operators.hardware.window_cost import window_of
        from airflow_provider_hfspaces.state.last_resort import remember_pause

        try:
            before = self.hook.get_runtime(repo_id)
            self.space_logs.begin()
            if before.is_static:
                way_back.end()
                self.log.info("Space %s is static: there is no hardware to restore.", repo_id)
                return before.to_dict()
            snapshot, runtime = self._move_back(repo_id, before, context, way_back)
        except LEFT_ALONE:
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
        window = window_of(self, repo_id, context, way_back, before, runtime)
        way_back.end()
        return self._finish(repo_id, before, snapshot, runtime, context, window)

    def _move_back(
        self, repo_id: str, before: SpaceRuntime, context: Context, way_back: WayBack
    ) -> tuple[SpaceSnapshot, SpaceRuntime]:
        from airflow_provider_hfspaces.hub.desired import describe

        snapshot = self._snapshot_to_restore(repo_id, before, context, way_back)
        if snapshot.hardware is None:
            return replace(snapshot, hardware=before.configured_hardware), before
        activity = self._activity(snapshot, before)
        self.log.info(
            "Space %s is %s. Restoring %s%s.",
            repo_id,
            describe(before),
            snapshot.hardware,
            ", paused" if snapshot.was_paused else "",
        )
        runtime = self.hook.restore(
            snapshot,
            before,
            fallback=self.fallback,
            check=way_back.check,
            activity=activity,
            retried=frozenset() if is_last_try(self, context) else _RETRIED_STATUSES,
        )
        return snapshot, runtime

    def _snapshot_to_restore(
        self, repo_id: str, before: SpaceRuntime, context: Context, way_back: WayBack
    ) -> SpaceSnapshot:
        """The state to restore; without hardware if the Space is to stay where it is."""
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
        from airflow_provider_hfspaces.operators.hardware import decisions

        recorded = way_back.snapshot or self.recorded(repo_id, context)
        snapshot = recorded or self._fallback_snapshot(repo_id, before)
        if self.hardware:
            return replace(snapshot, hardware=self.hardware)
        limit = decisions.known_limit(self.max_hourly_cost, repo_id, self.log)
        if limit is not None and snapshot.hardware and snapshot.hardware not in FREE_HARDWARE:
            prices = decisions.prices_for_restore(self, context)
            snapshot = decisions.within_cost(snapshot, prices, limit, self.fallback, self.log)
        requested = way_back.requested or self._requested_in_run(context, before)
        if (
            recorded is not None
            and decisions.may_be_dearer(snapshot, before, requested)
            and decisions.is_dearer(snapshot, before, decisions.prices_for_restore(self, context))
        ):
            self.log.warning(
                "Space %s stays on %s: %s, which was recorded, costs more, and this run did not request %s.",
                repo_id,
                before.configured_hardware,
                snapshot.hardware,
                before.configured_hardware,
            )
            return replace(snapshot, hardware=None)
        return snapshot

    def _activity(self, snapshot: SpaceSnapshot, before: SpaceRuntime) -> Activity | None:
        from airflow_provider_hfspaces.hub.desired import Activity
        from airflow_provider_hfspaces.operators.hardware import decisions

        if self.pause_after:
            return Activity.PAUSED
        return decisions.activity_after_restore(snapshot, before, self.restore_dormant, self.log)

    def _finish(
        self,
        repo_id: str,
        before: SpaceRuntime,
        snapshot: SpaceSnapshot,
        runtime: SpaceRuntime,
        context: Context,
        window: dict[str, Any] | None,
    ) -> Any:
        from airflow_provider_hfspaces.hub.errors import SpaceWaitError
        from airflow_provider_hfspaces.hub.stages import DORMANT_STAGES, SpaceStage
        from airflow_provider_hfspaces.hub.waiting.goal import Goal
        from airflow_provider_hfspaces.operators.hardware import messages

        if before.stage == SpaceStage.PAUSED and not snapshot.was_paused:
            self.log.info("Space %s was paused in the meantime and stays paused.", repo_id)
        messages.log_end_of_bill(self.log, repo_id, snapshot, runtime)
        context["ti"].xcom_push(key=RESTORED, value=snapshot.to_dict())
        for task_id in self._source_ids(context):
            for map_index in map_indexes(context["ti"]):
                forget_of_task(context, task_id, map_index, PREVIOUS)
        if self.wait_until_back and runtime.stage not in DORMANT_STAGES:
            goal, then = Goal(hardware=snapshot.hardware), {"window": window}
            try:
                return self.wait(repo_id, goal, context, before=before, then=then)
            except SpaceWaitError:
                self._report_cost(repo_id, context, window)
                raise
        return self.waited(repo_id, runtime, context, window=window)

    def _source_ids(self, context: Context) -> list[str]:
        """The ids that ``from_task`` may mean."""
        task_ids = task_ids_named(context.get("dag"), self.from_task, self.task_id)
        if not task_ids:
            self.log.error("This DAG has no task %r, which from_task names.", self.from_task)
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
        return (task_ids or [self.from_task])[0], None

    def recorded(self, repo_id: str, context: Context) -> SpaceSnapshot | None:
        """The state that the tasks of ``from_task`` recorded; ``None`` if it cannot be used."""
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        for task_id in self._source_ids(context):
            payload = pull(context, task_id)
            if payload is None:
                continue
            try:
                snapshot = SpaceSnapshot.from_dict(payload)
            except InvalidInput as error:
                self.log.warning("What task %r recorded cannot be used: %s", task_id, error)
                continue
            if not snapshot.is_of(repo_id):
                self.log.warning("Task %r recorded another Space: %s.", task_id, snapshot.repo_id)
            elif not snapshot.hardware:
                self.log.warning("Task %r recorded no hardware of Space %s.", task_id, repo_id)
            else:
                return snapshot
        return None

    def _requested_in_run(self, context: Context, before: SpaceRuntime) -> list[str]:
        """The hardware that the tasks of this run requested."""
        dag = context.get("dag")
        if dag is None:
            return [str(before.configured_hardware)]
        requested = (pull(context, task_id, REQUESTED) for task_id in requesting_task_ids(dag))
        tried = (tried_hardware(pull(context, task_id, TRIED)) for task_id in trying_task_ids(dag))
        return [str(hardware) for hardware in chain(requested, *tried) if hardware is not None]

    def _fallback_snapshot(self, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
        from airflow_provider_hfspaces.hub.stages import SpaceStage

        self.log.warning(
            "Task %r recorded nothing about Space %s: falling back to %s.",
            self.from_task,
            repo_id,
            self.fallback,
        )
        return SpaceSnapshot(repo_id, SpaceStage.RUNNING.value, self.fallback, runtime.sleep_time)
