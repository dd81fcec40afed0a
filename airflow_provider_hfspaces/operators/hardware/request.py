"""RequestHardwareOperator: move a Space to other hardware and wait until it runs there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.health import refuse_unused_health
from airflow_provider_hfspaces.rendered import as_number, as_whole_number
from airflow_provider_hfspaces.state.records import (
    LEASE,
    PREVIOUS,
    REQUESTED,
    pull,
    recorded_snapshot,
    restoring_task_ids,
    task_ids_named,
    unrestored_snapshot,
)
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.desired import DesiredState
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder
    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.state.leases import AirflowLease

__all__ = ["RequestHardwareOperator"]

_LONGEST_STUCK_DELAY_SECONDS = 5.0
"""Longest time between two looks at a Space that does not move to the requested hardware."""

_STUCK_LOOKS = 6

_COMMIT_LIMIT_SECONDS = 60.0
"""Seconds between two tries to write the lease if the Hub limits commits and does not say for how long."""

_TIMER_SECONDS = 1.0
"""How much Airflow's timer for a timeout may differ from this task's clock."""


class RequestHardwareOperator(WaitingOperator):
    """Move a Space to other hardware and wait until it runs there.

    The task succeeds when the Space is RUNNING on the requested hardware. Right after the request the Hub
    still reports RUNNING on the old hardware, which does not count. A Space that runs there already is
    left alone. A paused, sleeping or failed Space is started. In CONFIG_ERROR and NO_APP_FILE other
    hardware does not help: a task that waits fails without a request.

    Before the request, the task pushes the current state as the XCom ``previous``, for
    :class:`RestoreHardwareOperator`, and keeps it across retries. A retry attaches to a change that is
    under way.

    - If the task is killed, the Space is restored at once.
    - If ``execution_timeout`` ends the task, in a worker or deferred, the Space is restored too, unless
      the task works under a lease or a RestoreHardwareOperator of the DAG restores what it recorded.
    - If the wait fails or reaches ``timeout``, the hardware stays requested: a retry attaches to it, and
      RestoreHardwareOperator undoes it.

    Returns the runtime. ``POST /api/spaces/{repo_id}/hardware``.

    :param hardware: a flavor such as ``t4-small``. Templated.
    :param sleep_time: seconds without a visitor until the Space sleeps and costs nothing, -1 for never
        (default: unchanged). Set it: it ends the bill even if no part of Airflow works any more. Templated.
    :param wait: whether to wait until the Space runs there (default True).
    :param health: the answer of the app to wait for as well: ``True`` for its start page, a path, or a
        mapping with ``path``, ``status``, ``json`` and ``text`` (default: none). Templated.
    :param timeout: maximum number of seconds to wait (default 1800).
    :param poll_interval: seconds between two looks at the Space (default 10).
    :param max_hourly_cost: USD per hour (default: no limit). Hardware that costs more, for all replicas
        together, or has no listed price, is refused before it is requested. Templated.
    :param sha: the commit that must run there, in full or its first seven characters or more (default: any);
        needs ``wait=True``. Nothing is requested for a Space that would run another commit. Templated.
    :param cancel_on_kill: whether to restore the Space if the task is killed (default True).
    :param lease_task: id of a :class:`SnapshotSpaceOperator` with ``lease=True`` in the same task group
        (default: none). The task requests nothing if the run does not hold that lease, because no task
        would restore the Space.
    :param deferrable: wait in the triggerer, without a worker; by default Airflow's
        ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "hardware",
        "sleep_time",
        "max_hourly_cost",
        "sha",
    )

    records_snapshot = True
    requests_hardware = True

    def __init__(
        self,
        *,
        hardware: str,
        sleep_time: int | str | None = None,
        wait: bool = True,
        max_hourly_cost: float | None = None,
        sha: str | None = None,
        cancel_on_kill: bool = True,
        lease_task: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        refuse_unused_health(self, kwargs.get("default_args"), waits=wait)
        self.hardware = hardware
        self.lease_task = lease_task
        self.sleep_time = sleep_time
        self.wait_until_running = wait
        self.max_hourly_cost = max_hourly_cost
        self.sha = sha
        self.cancel_on_kill = cancel_on_kill
        self._to_restore: SpaceSnapshot | None = None
        self._lease: AirflowLease | None = None
        self._is_restored_later = False
        self._expires_at: float | None = None

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.waiting.goal import Reached
        from airflow_provider_hfspaces.operators.commits import refuse_other_commit
        from airflow_provider_hfspaces.operators.hardware import decisions, messages

        self._note_end(context)
        desired, goal = self._checked_request(repo_id)
        before = self.hook.get_runtime(repo_id)
        decisions.refuse_hopeless(repo_id, before, waits=self.wait_until_running)
        if self.max_hourly_cost is not None:
            decisions.refuse_too_expensive(desired, before, self._flavors, self.max_hourly_cost)
        has_arrived = isinstance(goal.judge(before), Reached)
        if not has_arrived:
            refuse_other_commit(self.hook, repo_id, goal.sha)
        snapshot = self._to_restore = self._record(desired, before, context)
        hourly = None
        if has_arrived:
            self.log.info("Space %s already runs on %s.", repo_id, desired.hardware)
        else:
            hourly = messages.log_request(self.log, desired, before, self._flavor_of(desired))
            self.log.info("%s", self.hook.page_url(repo_id))
        answer = self._move(desired, before, snapshot)
        messages.warn_without_sleep_time(self.log, desired, before, answer)
        if not self.wait_until_running or (has_arrived and not self.health):
            return self.waited(repo_id, answer, context)
        return self.wait(
            repo_id,
            goal,
            context,
            before=None if has_arrived else before,
            answer=answer,
            put_back=snapshot if self.cancel_on_kill else None,
            lease_holder=self._lease.lease.holder_id if self._lease else None,
            then={"hourly": hourly},
        )

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.hardware import messages

        self._to_restore = None
        if "hourly" in then:
            messages.log_arrival(self.log, repo_id, runtime, then["hourly"])
        if not restoring_task_ids(context):
            retry_store(context).delete(PREVIOUS)
        return runtime.to_dict()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait; ``execution_timeout`` ends it as in a worker."""
        if event["status"] == "timeout":
            self._resume(context)
        return super().execute_complete(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Restore the Space if Airflow itself has ended the deferred wait, which has no event then."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception as error:
            # TaskDeferralTimeout on Airflow 3, TaskDeferralError("Trigger/execution timeout") on 2.11.
            if next_method == "__fail__" and "timeout" in f"{type(error).__name__} {error}".lower():
                self._resume(context)
                if self._to_restore is not None:
                    self._restore(self._to_restore, "execution_timeout has ended the task")
                elif self._is_restored_later:
                    self._log_stays_requested(self.repo_id)
            raise

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout

        snapshot, self._to_restore = self._to_restore, None
        limit = self.execution_timeout
        has_expired = (
            isinstance(error, SpaceWaitTimeout)
            and limit is not None
            and limit.total_seconds() <= self.timeout
        )
        if has_expired and snapshot is not None and not self._is_restored_later:
            self._restore(snapshot, "execution_timeout has ended the task")
        else:
            self._log_stays_requested(error.repo_id)

    def on_kill(self) -> None:
        """Stop waiting and restore the Space, with a client of its own.

        Sends nothing to Airflow: the signal may have interrupted a request, and its lock is not reentrant.
        """
        self.killed.set()
        snapshot, self._to_restore = self._to_restore, None
        if snapshot is not None:
            self._restore_after_kill(snapshot)

    def _checked_request(self, repo_id: str) -> tuple[DesiredState, Goal]:
        """The state to reach and what to wait for, after all checks that need no runtime."""
        from airflow_provider_hfspaces.hub.calls import request_hardware
        from airflow_provider_hfspaces.hub.checks import checked_amount, known_hardware
        from airflow_provider_hfspaces.hub.desired import Activity, DesiredState
        from airflow_provider_hfspaces.hub.waiting.goal import Goal
        from airflow_provider_hfspaces.operators.commits import checked_commit

        self.max_hourly_cost = as_number(self.max_hourly_cost)
        if self.max_hourly_cost is not None:
            checked_amount(self.max_hourly_cost, "max_hourly_cost")
        sleep_time = as_whole_number(self.sleep_time)
        needs_list = isinstance(self.hardware, str) and not known_hardware(self.hardware)
        offered = list(self._flavors.values()) if needs_list else None
        request_hardware(repo_id, self.hardware, sleep_time=sleep_time, offered=offered)
        goal = Goal(hardware=str(self.hardware), sha=checked_commit(self))
        return DesiredState(repo_id, str(self.hardware), sleep_time, activity=Activity.RUNNING), goal

    @cached_property
    def _flavors(self) -> dict[str, HardwareFlavor]:
        """The Hub's flavors, read at most once per task."""
        return {flavor.name: flavor for flavor in self.hook.list_hardware()}

    def _flavor_of(self, desired: DesiredState) -> HardwareFlavor | None:
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            return self._flavors.get(str(desired.hardware))
        except HubError:
            return None

    def _record(self, desired: DesiredState, before: SpaceRuntime, context: Context) -> SpaceSnapshot:
        """Record the state before the first try, for the next try and for the way back."""
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        repo_id = desired.repo_id
        snapshot = self._announce(desired, context)
        if snapshot is None:
            snapshot = unrestored_snapshot(context, repo_id, before)
            if snapshot is not None:
                self.log.info("Space %s was on %s before and is restored to it.", repo_id, snapshot.hardware)
            else:
                snapshot = SpaceSnapshot.from_runtime(repo_id, before)
                retry_store(context).set(PREVIOUS, snapshot.to_dict())
        context["ti"].xcom_push(key=PREVIOUS, value=snapshot.to_dict())
        context["ti"].xcom_push(key=REQUESTED, value=desired.hardware)
        return snapshot

    def _announce(self, desired: DesiredState, context: Context) -> SpaceSnapshot | None:
        """Write the request into the lease, which proves that the run still holds it.

        Returns the state that the lease recorded; ``None`` without a lease.
        """
        if self.lease_task is None:
            return None
        from airflow_provider_hfspaces.hub.lease.actions import LeaseLost
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
        from airflow_provider_hfspaces.operators.hardware.leasing import lease_of_task

        repo_id, hardware = desired.repo_id, str(desired.hardware)
        task_id = (task_ids_named(context.get("dag"), self.lease_task, self.task_id) or [self.lease_task])[-1]
        lease_found = lease_of_task(self.hook, repo_id, context, task_id, pull(context, task_id, LEASE))
        try:
            if lease_found is None:
                raise LeaseLost(repo_id, None)
            self._lease, _ = lease_found
            previous = self._announce_in_time(self._lease, hardware, desired.sleep_time).previous
        except LeaseLost:
            raise AirflowFailException(
                f"Space {repo_id}: this run does not hold its lease, so that nothing would take {hardware} "
                f"away again. It was not requested. Clear task {task_id!r} together with this one."
            ) from None
        return SpaceSnapshot.from_dict({**previous, "repo_id": repo_id}) if previous else None

    def _announce_in_time(self, lease: AirflowLease, hardware: str, sleep_time: int | None) -> LeaseHolder:
        """Announce the request; wait if the Hub limits the commits of the lease's repository."""
        from airflow_provider_hfspaces.hub.errors import HubRateLimited

        deadline = time.monotonic() + self.timeout
        while True:
            remaining = deadline - time.monotonic()
            try:
                return lease.announce(hardware, sleep_time)
            except HubRateLimited as error:
                if remaining <= 0:
                    raise
                delay = min(error.retry_after or _COMMIT_LIMIT_SECONDS, remaining)
                self.log.warning("%s Requesting %s in %.0f seconds.", error, hardware, delay)
            if self.killed.wait(delay):
                raise AirflowFailException(
                    f"Space {lease.repo_id}: the task was killed, {hardware} was not requested."
                )

    def _move(self, desired: DesiredState, before: SpaceRuntime, snapshot: SpaceSnapshot) -> SpaceRuntime:
        """Execute the plan. After a kill meanwhile, restore: the Hub may have accepted the request."""
        from airflow_provider_hfspaces.hub.desired import Patience, plan_move
        from airflow_provider_hfspaces.hub.http.sequence import execute

        delay = min(self.poll_interval, _LONGEST_STUCK_DELAY_SECONDS)
        patience = Patience(stuck_delays=(delay,) * _STUCK_LOOKS)
        steps = plan_move(desired, before, patience=patience, log=self.log)
        try:
            answer = execute(steps, self._send_unless_killed, sleep=self.killed.wait)
        except BaseException as error:
            if self.killed.is_set():
                self._restore_after_kill(snapshot)
            elif getattr(error, "outcome_unknown", False):
                self._settle(desired, snapshot)
            raise
        if self.killed.is_set():
            self._restore_after_kill(snapshot)
            raise AirflowFailException(
                f"Space {desired.repo_id}: the task was killed while it requested {desired.hardware}."
            )
        if answer is not before:
            self._settle(desired, snapshot)
        return answer

    def _settle(self, desired: DesiredState, snapshot: SpaceSnapshot) -> None:
        """Undo the request if the run lost the lease before the request arrived."""
        from airflow_provider_hfspaces.operators.hardware.leasing import LateRequest, settle_request

        if self._lease is None:
            return
        try:
            settle_request(self.hook, self._lease, snapshot, str(desired.hardware), self.log)
        except LateRequest as problem:
            self._to_restore = None
            raise AirflowFailException(str(problem)) from None

    def _send_unless_killed(self, call: Call[Any]) -> Any:
        """Send a call. After a kill, Airflow 3.3 returns into this code, which must request no GPU then."""
        if self.killed.is_set() and call.method != "GET":
            raise AirflowFailException(f"Space {call.repo_id}: the task was killed, nothing was requested.")
        return self.hook.client.send(call)

    def _note_end(self, context: Context) -> None:
        """Note whether another task restores the Space, and when ``execution_timeout`` ends this task."""
        self._is_restored_later = bool(self.lease_task or restoring_task_ids(context))
        if self.execution_timeout is not None:
            started = getattr(context["ti"], "start_date", None)
            began = started.timestamp() if started is not None else time.time()
            self._expires_at = began + self.execution_timeout.total_seconds()

    def _resume(self, context: Context) -> None:
        """Read, in another process, what to restore if the task ends now."""
        self._note_end(context)
        self._to_restore = None if self._is_restored_later else recorded_snapshot(context)

    def _restore_after_kill(self, snapshot: SpaceSnapshot) -> None:
        # Airflow calls on_kill for a timeout too, and does not tell which of the two it is.
        has_expired = self._expires_at is not None and time.time() >= self._expires_at - _TIMER_SECONDS
        if has_expired and self._is_restored_later:
            self._log_stays_requested(snapshot.repo_id)
        elif self.cancel_on_kill:
            self._restore(snapshot, "the task was killed")

    def _restore(self, snapshot: SpaceSnapshot, reason: str) -> None:
        """Restore the Space within the few seconds that a signal handler has; log the outcome."""
        from airflow_provider_hfspaces.operators.hardware.leasing import undo_request

        undo_request(self.hook, self._lease, snapshot, str(self.hardware), reason, self.log)

    def _log_stays_requested(self, repo_id: str) -> None:
        self.log.warning(
            "Space %s: %s stays requested until the Space is restored, as RestoreHardwareOperator does.",
            repo_id,
            self.hardware,
        )
