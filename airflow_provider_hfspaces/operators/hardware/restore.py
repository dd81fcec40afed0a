"""RestoreHardwareOperator: restore a Space after the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.hub.stages import DORMANT_STAGES, SpaceStage
from airflow_provider_hfspaces.operators.base import SpaceOperator, WaitingOperator
from airflow_provider_hfspaces.rendered import is_runtime_value
from airflow_provider_hfspaces.state.records import LEASE, PREVIOUS, RESTORED
from airflow_provider_hfspaces.state.retry_store import forget_of_task

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.state.leases import SpaceLease

__all__ = ["RestoreHardwareOperator"]


class RestoreHardwareOperator(WaitingOperator):
    """Put a Space's hardware, sleep time and pause back as they were.

    Made for a teardown: it runs whether the work before it succeeded, failed or was skipped. What
    still is as it was is left alone. A Space that was paused by somebody meanwhile stays paused,
    since that costs nothing.

    Returns the runtime.

    :param from_task: id of the :class:`SnapshotSpaceOperator` or :class:`RequestHardwareOperator`
        that recorded what was there, the operator itself, or its ``output``. Inside a task group the
        id may be given without the group's prefix.
    :param hardware: go back to this hardware, whatever was recorded. Templated.
    :param fallback: the hardware to go back to where nothing was recorded. Templated.
    :param wait: whether to wait until the Space is back.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "from_task", "hardware", "fallback")

    def __init__(
        self,
        *,
        from_task: Any,
        hardware: str | None = None,
        fallback: str = "cpu-basic",
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        source = getattr(from_task, "operator", from_task)  # of an output such as snapshot.output
        self.from_task = source if isinstance(source, str) else source.task_id
        if is_runtime_value(from_task):
            self.set_upstream(source)
        self.hardware = hardware
        self.fallback = fallback
        self.wait_until_back = wait

    def act(self, repo_id: str, context: Context) -> Any:
        lease = self._lease(context)
        if lease and lease.repo_id != repo_id:
            self.log.warning(
                "This run has leased Space %s, and not %s: putting that back.", lease.repo_id, repo_id
            )
            repo_id = lease.repo_id
            self.link(context, repo_id)
        if lease and (other := lease.reclaim()):
            self.log.warning(
                "Space %s is leased by %s by now, which puts it back after its work: left alone.",
                repo_id,
                other,
            )
            return self.hook.get_runtime(repo_id).to_dict()
        try:
            before = self.hook.get_runtime(repo_id)
            put_back = None if before.is_static else self._put_back(repo_id, before, context, lease)
        except BaseException:
            if lease:
                lease.abandon()
            raise
        if lease:
            lease.give_back()
        if put_back is None:
            self.log.info("Space %s is static: there is no hardware to put back.", repo_id)
            return before.to_dict()
        snapshot, runtime = put_back
        return self._finish(repo_id, before, snapshot, runtime, context)

    def _put_back(
        self, repo_id: str, before: SpaceRuntime, context: Context, lease: SpaceLease | None
    ) -> tuple[SpaceSnapshot, SpaceRuntime]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        snapshot = self._recorded(repo_id, context) or self._fallback(repo_id, before)
        if self.hardware:
            snapshot = replace(snapshot, hardware=self.hardware)
        self.log.info(
            "Space %s is %s. Putting back %s%s.",
            repo_id,
            describe(before),
            snapshot.hardware,
            ", paused" if snapshot.was_paused else "",
        )
        if lease and snapshot.was_paused:
            # The hardware may come back and the pause not: that is no change by somebody else.
            lease.record_request(str(snapshot.hardware))
        return snapshot, self.hook.restore(snapshot, before, fallback=self.fallback)

    def _finish(
        self,
        repo_id: str,
        before: SpaceRuntime,
        snapshot: SpaceSnapshot,
        runtime: SpaceRuntime,
        context: Context,
    ) -> Any:
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        if before.stage == SpaceStage.PAUSED and not snapshot.was_paused:
            self.log.info("Space %s was paused meanwhile and stays so.", repo_id)
        context["ti"].xcom_push(key=RESTORED, value=snapshot.to_dict())
        for task_id in self._task_ids(context):
            for map_index in self._map_indexes(context):
                forget_of_task(context, task_id, map_index, PREVIOUS)
        if self.wait_until_back and runtime.stage not in DORMANT_STAGES:
            return self.wait(repo_id, Goal(hardware=snapshot.hardware), context, before=before)
        return self.waited(repo_id, runtime, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        self.log.info("Space %s is %s.", repo_id, describe(runtime))
        return runtime.to_dict()

    def _lease(self, context: Context) -> SpaceLease | None:
        from airflow_provider_hfspaces.state.leases import LeaseHolder, SpaceLease

        for task_id in self._task_ids(context):
            # A template may mean another Space by now than the one that has been leased.
            if (leased := self._pull(context, task_id, LEASE)) is not None:
                return SpaceLease(leased, LeaseHolder.of(context["ti"], task_id))
        return None

    def _recorded(self, repo_id: str, context: Context) -> SpaceSnapshot | None:
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        for task_id in self._task_ids(context):
            found = self._pull(context, task_id)
            if found is None:
                continue
            try:
                snapshot = SpaceSnapshot.from_dict(found)
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

    def _task_ids(self, context: Context) -> list[str]:
        group, _, _ = self.task_id.rpartition(".")
        candidates = [self.from_task, f"{group}.{self.from_task}"] if group else [self.from_task]
        known = getattr(context.get("dag"), "task_ids", None)
        found = [each for each in candidates if known is None or each in known]
        if not found:
            self.log.error("This DAG has no task %r, which from_task names.", self.from_task)
        return found

    def _pull(self, context: Context, task_id: str, key: str = PREVIOUS) -> Any:
        for map_index in self._map_indexes(context):
            found = context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
            if found is not None:
                return found
        return None

    def _map_indexes(self, context: Context) -> list[int]:
        """Of the task that recorded: mapped like this one, or not at all."""
        own = getattr(context["ti"], "map_index", -1)
        return list(dict.fromkeys((own if own is not None else -1, -1)))

    def _fallback(self, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        self.log.warning(
            "Task %r recorded nothing about Space %s: falling back to %s.",
            self.from_task,
            repo_id,
            self.fallback,
        )
        return SpaceSnapshot(repo_id, SpaceStage.RUNNING.value, self.fallback, runtime.sleep_time)
