"""Operators on a Space's hardware: remember it, change it, put it back; and its sleep time."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.config import default_deferrable
from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.stages import (
    ACTIVE_STAGES,
    ASLEEP_STAGES,
    DORMANT_STAGES,
    NEEDS_COMMIT_STAGES,
    NEEDS_RESTART_STAGES,
    STARTING_STAGES,
    WILL_BE_BILLED_STAGES,
    SpaceStage,
)
from airflow_provider_hfspaces.operators.base import SpaceOperator, WaitingOperator, time_limit
from airflow_provider_hfspaces.operators.values import follow
from airflow_provider_hfspaces.rendered import as_number
from airflow_provider_hfspaces.state.retry_store import forget_of_task, retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.desired import Activity, DesiredState
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.operators.hardware.leasing import WayBack
    from airflow_provider_hfspaces.state.leases import AirflowLease, LeaseOwner

__all__ = [
    "RequestHardwareOperator",
    "RestoreHardwareOperator",
    "SetSleepTimeOperator",
    "SnapshotSpaceOperator",
]

PREVIOUS = "previous"
"""The key of what was there before, as an XCom and in the retry store."""

LEASE = "lease"
"""The key of the XCom in which a SnapshotSpaceOperator says that it has leased the Space."""

REQUESTED = "requested"
"""The key of the XCom in which a RequestHardwareOperator says which hardware it has requested."""

RESTORED = "restored"
"""The key of the XCom in which a RestoreHardwareOperator says what it has put back."""

_LONGEST_STUCK_DELAY_SECONDS = 5.0
"""Between two looks at a Space that does not move to the requested hardware."""

_TIMER_SECONDS = 1.0
"""By how much the clock of a timeout may differ from ours."""

_TRIGGER_LATE_SECONDS = 600.0
"""Seconds after a deadline, which the trigger keeps itself, until Airflow gives up on the trigger."""

_RETRIED = frozenset({401, 403})
"""Statuses that a restore retries like any other error while it has tries left."""

_MOST_TAKEOVERS = 3


class SnapshotSpaceOperator(SpaceOperator):
    """Remember a Space's hardware, sleep time and pause, for :class:`RestoreHardwareOperator`.

    Reads the runtime and changes nothing, which makes it the right setup task of a hardware
    window: it does not fail half-way, so that the teardown always runs.

    When the work is cleared, Airflow runs its setup again, on a Space that is still on the GPU: then
    the first snapshot of the run is the one that counts, until the Space has been put back.

    Returns the snapshot, and pushes it as the XCom ``previous``: ``{"repo_id", "stage", "hardware",
    "sleep_time", "taken_at"}``, with the sleep time in seconds, ``None`` for never.

    :param lease: wait until no other run works on this Space, and hold it for this run until
        RestoreHardwareOperator has restored it (default False). The lease is kept on the branch
        ``airflow-lease`` of the Space's repository, or in the repository that the connection's
        ``lease_repo`` names. What a run that is over has not restored, the next run restores.
    :param lease_timeout: maximum number of seconds to wait for the lease (default six hours).
    :param lease_poll_interval: seconds between two looks at the lease (default 30).
    :param lease_duration: seconds after which the lease expires for those who cannot see whether this run
        is over, such as another Airflow (default 24 hours). Choose more than your longest run takes.
    :param deferrable: wait for the lease in the triggerer, without a worker; by default as
        Airflow's ``[operators] default_deferrable`` says.
    """

    needs_token = False

    def __init__(
        self,
        *,
        lease: bool = False,
        lease_timeout: float | str | timedelta = 6 * 3600,
        lease_poll_interval: float | str | timedelta = 30,
        lease_duration: float | str | timedelta = 24 * 3600,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.hub.seconds import checked_seconds

        super().__init__(**kwargs)
        self.lease = lease
        self.needs_token = bool(lease)
        of_task = f"of task {self.task_id!r}"
        self.lease_timeout = checked_seconds(lease_timeout, f"lease_timeout {of_task}", zero=True)
        self.lease_poll_interval = checked_seconds(lease_poll_interval, f"lease_poll_interval {of_task}")
        self.lease_duration = checked_seconds(lease_duration, f"lease_duration {of_task}")
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._lease_wait: tuple[float, float] | None = None

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        if self.lease:
            return self._take_lease(repo_id, context)
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        runtime = self.hook.get_runtime(repo_id)
        snapshot = SpaceSnapshot.from_runtime(repo_id, runtime)
        first = first_snapshot(context, repo_id)
        self._report(repo_id, runtime, first or snapshot, inherited=first is not None and first != snapshot)
        if restoring_tasks(context):
            retry_store(context).set(PREVIOUS, (first or snapshot).to_dict())
        context["ti"].xcom_push(key=PREVIOUS, value=(first or snapshot).to_dict())
        return (first or snapshot).to_dict()

    def _take_lease(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.hardware.leasing import take_lease

        lease, taken = take_lease(self, repo_id, context, restoring_tasks(context))
        try:
            self._report(repo_id, taken.runtime, taken.previous, inherited=taken.inherited)
            context["ti"].xcom_push(key=LEASE, value=lease.to_dict(taken.holder.fence))
            context["ti"].xcom_push(key=PREVIOUS, value=taken.previous.to_dict())
        except Exception:
            lease.abandon()
            raise
        return taken.previous.to_dict()

    def lease_wait(self) -> tuple[float, float]:
        """When the wait for the lease began and when it ends, in Unix time, over all deferrals."""
        if self._lease_wait is None:
            timeout = time_limit(self, self.lease_timeout)
            now = time.time()
            self._lease_wait = now, now + timeout
        return self._lease_wait

    def defer_for_lease(
        self, repo_id: str, owner: LeaseOwner, started: float, deadline: float, delay: float
    ) -> None:
        """Go on waiting for the lease in the triggerer."""
        from airflow_provider_hfspaces.triggers.leases import LeaseTrigger

        self.defer(
            trigger=LeaseTrigger(
                repo_id=repo_id,
                owner=owner.to_dict(),
                deadline=deadline,
                started=started,
                poll_interval=self.lease_poll_interval,
                delay=delay,
                hf_spaces_conn_id=self.hf_spaces_conn_id,
            ),
            method_name="look_again",
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + _TRIGGER_LATE_SECONDS),
        )

    def look_again(self, context: Context, event: dict[str, Any]) -> Any:
        """Go on after a wait for the lease in the triggerer.

        :param event: the trigger's; it carries the deadline, since ``dag.test()`` hands over nothing else.
        """
        self._lease_wait = float(event["started"]), float(event["deadline"])
        return self.execute(context)

    def on_kill(self) -> None:
        """Stop waiting for the lease."""
        self.killed.set()

    def _report(
        self, repo_id: str, runtime: SpaceRuntime, previous: SpaceSnapshot, *, inherited: bool
    ) -> None:
        self.log.info("Space %s is %s, set to %s.", repo_id, runtime.stage, runtime.configured_hardware)
        if inherited:
            self.log.warning(
                "Space %s has not been restored since it was %s, set to %s. That state will be restored.",
                repo_id,
                previous.stage,
                previous.hardware,
            )
        else:
            self._warn(runtime, repo_id)

    def _warn(self, runtime: SpaceRuntime, repo_id: str) -> None:
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        if runtime.is_static:
            return
        if runtime.hardware and runtime.hardware != runtime.requested_hardware:
            self.log.warning(
                "Space %s is on its way from %s to %s, and %s is what will be put back.",
                repo_id,
                runtime.hardware,
                runtime.requested_hardware,
                runtime.configured_hardware,
            )
        elif runtime.configured_hardware not in FREE_HARDWARE and runtime.stage in WILL_BE_BILLED_STAGES:
            self.log.warning(
                "Space %s is on %s, is billed, and will be restored to that.%s",
                repo_id,
                runtime.configured_hardware,
                ""
                if self.lease
                else " If another run requested this, set lease=True: one run at a time has the Space.",
            )


class RequestHardwareOperator(WaitingOperator):
    """Put a Space on other hardware and wait until it really runs there.

    Success is RUNNING on the hardware that was asked for: right after the request the Hub goes on
    reporting RUNNING, on the old one. A Space that is there already is left alone, without a
    request that would restart it. A paused or sleeping Space is started.

    What was there before is pushed as the XCom ``previous`` before anything is asked for, and is
    kept across retries, for :class:`RestoreHardwareOperator`. A retry attaches to a change that is
    under way. When the task is killed, the Space is restored at once. When the wait fails or reaches
    ``timeout``, the hardware stays requested, for a retry to attach to or for RestoreHardwareOperator to
    undo. When ``execution_timeout`` ends the task, in a worker or deferred, the Space is restored, unless
    the task works under a lease or a RestoreHardwareOperator of the DAG restores what it recorded.

    A failed or sleeping Space is restarted, except in CONFIG_ERROR and NO_APP_FILE, which no
    hardware mends: there nothing is requested at all, if the task is to wait.

    Returns the runtime. ``POST /api/spaces/{repo_id}/hardware``.

    :param hardware: a flavor such as ``t4-small``. Templated.
    :param sleep_time: seconds without a visitor until the Space sleeps and costs nothing, -1 for
        never. Set one: it ends the bill where nothing else can any more. Templated.
    :param wait: whether to wait until the Space runs there.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param max_hourly_cost: USD per hour; hardware that the Hub lists at a higher price, for all
        the Space's replicas together, or at none, is refused before it is asked for.
    :param cancel_on_kill: put the Space back when the task is killed while it waits.
    :param lease_task: id of a :class:`SnapshotSpaceOperator` with ``lease=True`` in the same task
        group: without its lease nothing is asked for, since nobody would put it back.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    template_fields: Sequence[str] = (
        *SpaceOperator.template_fields,
        "hardware",
        "sleep_time",
        "max_hourly_cost",
    )

    def __init__(
        self,
        *,
        hardware: str,
        sleep_time: int | str | None = None,
        wait: bool = True,
        max_hourly_cost: float | None = None,
        cancel_on_kill: bool = True,
        lease_task: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hardware = hardware
        self.lease_task = lease_task
        self.sleep_time = sleep_time
        self.wait_until_running = wait
        self.max_hourly_cost = max_hourly_cost
        self.cancel_on_kill = cancel_on_kill
        self._to_restore: SpaceSnapshot | None = None
        self._hourly: float | None = None
        self._is_restored_later = False
        self._expires_at: float | None = None
        self._lease: AirflowLease | None = None
        self._lease_snapshot: Mapping[str, Any] | None = None

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        self._note_end(context)
        hardware, sleep_time = self._checked_request(repo_id)
        runtime = self.hook.get_runtime(repo_id)
        self._refuse_hopeless(repo_id, runtime)
        self._refuse_too_expensive(repo_id, runtime, hardware)
        self._lease = self._announce(repo_id, hardware, sleep_time, context)
        self._to_restore = snapshot = self._previous(repo_id, runtime, context)
        context["ti"].xcom_push(key=REQUESTED, value=hardware)
        if self._is_there(runtime, hardware):
            self.log.info("Space %s runs on %s already.", repo_id, hardware)
            runtime = self._with_sleep_time(repo_id, runtime, sleep_time)
        else:
            before = runtime
            runtime = self._ask_unless_killed(repo_id, runtime, hardware, sleep_time, snapshot)
            if self.wait_until_running:
                return self.wait(
                    repo_id,
                    Goal(hardware=hardware),
                    context,
                    before=before,
                    answer=runtime,
                    put_back=snapshot if self.cancel_on_kill else None,
                    lease_holder=self._lease.lease.holder_id if self._lease else None,
                    then={"hourly": self._hourly},
                )
        return self.waited(repo_id, runtime, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        self._to_restore = None
        if "hourly" in then:
            self._tell_arrival(repo_id, runtime, then["hourly"])
        if not restoring_tasks(context):
            retry_store(context).delete(PREVIOUS)
        return runtime.to_dict()

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        from airflow_provider_hfspaces.hub.errors import SpaceWaitTimeout

        snapshot, self._to_restore = self._to_restore, None
        has_expired = isinstance(error, SpaceWaitTimeout) and self._is_bound_by_execution_timeout()
        if has_expired and snapshot is not None and not self._is_restored_later:
            self._restore_after_timeout(snapshot)
            return
        self._log_stays_requested(error.repo_id)

    def _log_stays_requested(self, repo_id: str) -> None:
        self.log.warning(
            "Space %s: %s stays requested until the Space is restored, as RestoreHardwareOperator does.",
            repo_id,
            self.hardware,
        )

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
                    self._restore_after_timeout(self._to_restore)
                elif self._is_restored_later:
                    self._log_stays_requested(self.repo_id)
            raise

    def _note_end(self, context: Context) -> None:
        """Note who restores the Space later, and when ``execution_timeout`` ends this task."""
        self._is_restored_later = bool(self.lease_task or restoring_tasks(context))
        if self.execution_timeout is not None:
            started = getattr(context["ti"], "start_date", None)
            began = started.timestamp() if started is not None else time.time()
            self._expires_at = began + self.execution_timeout.total_seconds()

    def _resume(self, context: Context) -> None:
        """Know again, in another process, what to restore if the task ends now."""
        self._note_end(context)
        self._to_restore = None if self._is_restored_later else recorded_snapshot(context)

    def _is_bound_by_execution_timeout(self) -> bool:
        return self.execution_timeout is not None and self.execution_timeout.total_seconds() <= self.timeout

    def _restore_after_timeout(self, snapshot: SpaceSnapshot) -> None:
        self.log.warning(
            "Space %s: execution_timeout has ended the task, and no other task restores the Space.",
            snapshot.repo_id,
        )
        self._put_back(snapshot)

    def on_kill(self) -> None:
        """Stop waiting and put the Space back, over connections of its own.

        Asks Airflow for nothing: the signal may have come in the middle of a talk with it.
        """
        self.killed.set()
        snapshot, self._to_restore = self._to_restore, None
        if snapshot is not None:
            self._undo(snapshot)

    def _undo(self, snapshot: SpaceSnapshot) -> None:
        """Restore the Space after a kill, unless another task of the DAG does it after a timeout."""
        # Airflow calls on_kill for a timeout too, and does not say which of the two it is.
        has_expired = self._expires_at is not None and time.time() >= self._expires_at - _TIMER_SECONDS
        if has_expired and self._is_restored_later:
            self._log_stays_requested(snapshot.repo_id)
        elif self.cancel_on_kill:
            self._put_back(snapshot)

    def _put_back(self, snapshot: SpaceSnapshot) -> None:
        from airflow_provider_hfspaces.hub.http.retry import RetryPolicy
        from airflow_provider_hfspaces.operators.hardware.leasing import CANNOT_RESTORE, LEFT_ALONE, UndoLease

        client = self.hook.client.fresh(retry=RetryPolicy(3, 3, 0.2, 0.5))
        try:
            undo = UndoLease(self.hook, snapshot.repo_id, self._lease)
            self.hook.restore(snapshot, client=client, check=undo.check)
        except LEFT_ALONE:
            self.log.warning(
                "Space %s is left alone after the kill, because another run has leased it.", snapshot.repo_id
            )
        except CANNOT_RESTORE as error:
            self.log.error("The task was killed, and Space %s could not be put back: %s", self.repo_id, error)
        else:
            self.log.warning("The task was killed: Space %s is put back as it was.", snapshot.repo_id)

    def _checked_request(self, repo_id: str) -> tuple[str, int | None]:
        from airflow_provider_hfspaces.hub.calls import request_hardware
        from airflow_provider_hfspaces.hub.checks import checked_amount, known_hardware

        self.max_hourly_cost = as_number(self.max_hourly_cost)
        if self.max_hourly_cost is not None:
            checked_amount(self.max_hourly_cost, "max_hourly_cost")
        sleep_time = whole_number(self.sleep_time)
        known = not isinstance(self.hardware, str) or known_hardware(self.hardware)
        offered = None if known else list(self._flavors.values())
        request_hardware(repo_id, self.hardware, sleep_time=sleep_time, offered=offered)
        return str(self.hardware), sleep_time

    def _refuse_hopeless(self, repo_id: str, runtime: SpaceRuntime) -> None:
        if runtime.stage in NEEDS_COMMIT_STAGES and self.wait_until_running:
            raise AirflowFailException(
                f"Space {repo_id} is in stage {runtime.stage}, which no hardware mends: nothing was "
                f"requested. Mend its repository first. {runtime.error_message or ''}".rstrip()
            )
        if runtime.is_static:
            raise AirflowFailException(
                f"Space {repo_id} is static: the Hub serves its files and runs it on no hardware, so that "
                f"none can be requested."
            )

    def _refuse_too_expensive(self, repo_id: str, runtime: SpaceRuntime, hardware: str) -> None:
        if self.max_hourly_cost is None:
            return
        from airflow_provider_hfspaces.hub.cost.prices import PriceList, replicas_of

        replicas = replicas_of(runtime)
        cost = PriceList.from_flavors(self._flavors.values()).hourly(hardware, replicas)
        if cost is None:
            raise AirflowFailException(
                f"The Hub lists no price for {hardware}, so that it cannot be held to max_hourly_cost="
                f"{self.max_hourly_cost}; it was not requested for Space {repo_id}."
            )
        if cost > self.max_hourly_cost:
            times = f" with {replicas} replicas" if replicas > 1 else ""
            raise AirflowFailException(
                f"{hardware} costs ${cost:.2f} an hour{times}, which is above max_hourly_cost="
                f"{self.max_hourly_cost}: it was not requested for Space {repo_id}."
            )

    def _announce(
        self, repo_id: str, hardware: str, sleep_time: int | None, context: Context
    ) -> AirflowLease | None:
        """Write the request into the lease, which proves that the run still holds it."""
        from airflow_provider_hfspaces.hub.lease.actions import LeaseLost
        from airflow_provider_hfspaces.operators.hardware.leasing import lease_of_task

        if self.lease_task is None:
            return None
        task_id = in_own_group(self.lease_task, self.task_id)
        found = lease_of_task(self.hook, repo_id, context, task_id, _pull_own(context, task_id, LEASE))
        try:
            if found is None:
                raise LeaseLost(repo_id, None)
            lease, _ = found
            mine = lease.announce(hardware, sleep_time)
        except LeaseLost:
            raise AirflowFailException(
                f"Space {repo_id}: this run does not hold its lease, so that nothing would take {hardware} "
                f"away again. It was not requested. Clear task {task_id!r} together with this one."
            ) from None
        self._lease_snapshot = mine.previous
        return lease

    def _previous(self, repo_id: str, runtime: SpaceRuntime, context: Context) -> SpaceSnapshot:
        """What was there before the first try, recorded for the next one and for the way back."""
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        if self._lease_snapshot is not None:
            leased = SpaceSnapshot.from_dict({**self._lease_snapshot, "repo_id": repo_id})
            context["ti"].xcom_push(key=PREVIOUS, value=leased.to_dict())
            return leased
        snapshot = first_snapshot(context, repo_id)
        if snapshot is not None:
            self.log.info("An earlier try found the Space %s, on %s.", snapshot.stage, snapshot.hardware)
        else:
            snapshot = SpaceSnapshot.from_runtime(repo_id, runtime)
            retry_store(context).set(PREVIOUS, snapshot.to_dict())
        context["ti"].xcom_push(key=PREVIOUS, value=snapshot.to_dict())
        return snapshot

    def _ask_unless_killed(
        self,
        repo_id: str,
        runtime: SpaceRuntime,
        hardware: str,
        sleep_time: int | None,
        snapshot: SpaceSnapshot,
    ) -> SpaceRuntime:
        """Ask; a kill in the middle has put nothing back yet if the Hub took the request after it."""
        try:
            runtime = self._ask(repo_id, runtime, hardware, sleep_time)
        except BaseException:
            if self.killed.is_set():
                self._undo(snapshot)
            raise
        if self.killed.is_set():
            self._undo(snapshot)
            raise AirflowFailException(
                f"The task was killed while it asked for {hardware} for Space {repo_id}."
            )
        return runtime

    def _is_there(self, runtime: SpaceRuntime, hardware: str) -> bool:
        from airflow_provider_hfspaces.hub.waiting.goal import Goal, Reached

        return isinstance(Goal(hardware=hardware).judge(runtime), Reached)

    def _ask(
        self, repo_id: str, runtime: SpaceRuntime, hardware: str, sleep_time: int | None
    ) -> SpaceRuntime:
        self._log_request(repo_id, runtime, hardware)
        if runtime.requested_hardware == hardware and runtime.stage in STARTING_STAGES:
            self.log.info("Space %s is on its way to %s already: nothing to request.", repo_id, hardware)
        return self._move(repo_id, runtime, hardware, sleep_time)

    def _move(
        self, repo_id: str, runtime: SpaceRuntime, hardware: str, sleep_time: int | None
    ) -> SpaceRuntime:
        """Execute the plan of the upgrade."""
        from airflow_provider_hfspaces.hub.desired import Activity, DesiredState, Patience, plan_move
        from airflow_provider_hfspaces.hub.http.sequence import execute

        desired = DesiredState(repo_id, hardware, sleep_time, activity=Activity.RUNNING)
        patience = Patience(stuck_delays=(min(self.poll_interval, _LONGEST_STUCK_DELAY_SECONDS),) * 6)
        steps = plan_move(desired, runtime, patience=patience, log=self.log)
        answer = execute(steps, self._send_unless_killed, sleep=self.killed.wait)
        self._warn_without_sleep_time(desired, runtime, answer)
        return answer

    def _send_unless_killed(self, call: Call[Any]) -> Any:
        """Airflow 3.3 returns from a kill into this code, which must not request a GPU then."""
        if self.killed.is_set() and call.method != "GET":
            raise AirflowFailException(f"Space {call.repo_id}: the task was killed, nothing was requested.")
        return self.hook.client.send(call)

    def _warn_without_sleep_time(
        self, desired: DesiredState, before: SpaceRuntime, answer: SpaceRuntime
    ) -> None:
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        if desired.sleep_time is not None or desired.hardware in FREE_HARDWARE:
            return
        # Free hardware reports a sleep time that does not carry over to hardware that costs.
        is_of_free = before.configured_hardware in FREE_HARDWARE and answer.sleep_time == before.sleep_time
        if answer.sleep_time is None or is_of_free:
            self.log.warning(
                "Space %s has no sleep time on %s: it is billed until somebody restores it. Set sleep_time.",
                desired.repo_id,
                desired.hardware,
            )

    def _log_request(self, repo_id: str, runtime: SpaceRuntime, hardware: str) -> None:
        from airflow_provider_hfspaces.hub.desired import describe
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            flavor = self._flavors.get(hardware)
        except HubError:
            flavor = None
        self._hourly = flavor.hourly_cost if flavor else None
        price = f" ({flavor.price})" if flavor else ""
        self.log.info("Space %s is %s. Requesting %s%s.", repo_id, describe(runtime), hardware, price)
        self.log.info("%s", self.hook.page_url(repo_id))

    @cached_property
    def _flavors(self) -> dict[str, HardwareFlavor]:
        """The Hub's flavors, read at most once per task."""
        return {flavor.name: flavor for flavor in self.hook.list_hardware()}

    def _tell_arrival(self, repo_id: str, runtime: SpaceRuntime, hourly: float | None) -> None:
        """The end of the story: what it costs from now on, and until when."""
        from airflow_provider_hfspaces.hub.cost.prices import replicas_of

        replicas = replicas_of(runtime)
        if hourly is None:
            cost = "whose price the Hub does not list"
        elif not hourly:
            cost = "which is free"
        else:
            times = f" for {replicas} replicas" if replicas > 1 else ""
            cost = f"which costs about ${hourly * replicas:.2f} per hour{times}, by the Hub's list price"
        self.log.info("Space %s runs on %s, %s.", repo_id, runtime.hardware, cost)
        if hourly != 0 and runtime.sleep_time:
            self.log.info("It sleeps after %s seconds without a visitor.", runtime.sleep_time)
        elif hourly != 0:
            self.log.info("It has no sleep time, and is billed until somebody puts it back.")

    def _with_sleep_time(self, repo_id: str, runtime: SpaceRuntime, sleep_time: int | None) -> SpaceRuntime:
        return self._move(repo_id, runtime, str(self.hardware), sleep_time)


class RestoreHardwareOperator(WaitingOperator):
    """Put a Space's hardware, sleep time and pause back as they were.

    Made for a teardown: it runs whether the work before it succeeded, failed or was skipped. What
    still is as it was is left alone. A Space that was paused by somebody meanwhile stays paused,
    since that costs nothing.

    Returns the runtime.

    :param from_task: id of the :class:`SnapshotSpaceOperator` or :class:`RequestHardwareOperator`
        that recorded what was there, the operator itself, or its ``output``. Inside a task group the
        id may be given without the group's prefix.
    :param hardware: go back to this hardware, whatever was recorded. ``default_args`` do not set it:
        there it means the hardware of the upgrade. Templated.
    :param fallback: the hardware to go back to where nothing was recorded. Templated.
    :param pause: pause the Space after the restore, whatever it did before (default False). A paused
        Space costs nothing, and no visitor starts it.
    :param max_hourly_cost: USD per hour (default: no limit). A recorded state that costs more, or has no
        listed price, is not restored: the Space goes to ``fallback``.
    :param restore_dormant: what to do with a Space on paid hardware that was asleep or had failed, and
        would run and cost money after the restore. ``"pause"`` (default) pauses it; ``"sleep"`` sets a
        short sleep time, waits until the Space sleeps and restores its own; ``"run"`` leaves it running.
    :param wait: whether to wait until the Space is back.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    template_fields: Sequence[str] = (
        *SpaceOperator.template_fields,
        "from_task",
        "hardware",
        "fallback",
        "max_hourly_cost",
    )

    # Without a token an upgrade changes nothing, and the restore has nothing to do. A request for a change
    # needs one anyway.
    needs_token = False

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
            # The flavor that default_args name for the upgrade is not the one to go back to.
            warnings.warn(
                f"RestoreHardwareOperator {kwargs.get('task_id')!r} ignores hardware={hardware!r}, which "
                f"comes from default_args, and restores what {from_task!r} recorded. To go back to certain "
                f"hardware, set it on the operator itself.",
                UserWarning,
                stacklevel=2,
            )
            hardware = None
        super().__init__(**kwargs)
        if restore_dormant not in ("pause", "sleep", "run"):
            raise ValueError(
                f"restore_dormant of task {self.task_id!r} must be 'pause', 'sleep' or 'run'; got "
                f"{restore_dormant!r}."
            )
        self.max_hourly_cost = max_hourly_cost
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
            if error.status in _RETRIED and not self._is_last_try(context):
                # A revoked token or a plan that has lapsed may be back before the tries are used up.
                error.permanent = False
            raise

    def _restore(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.lease.actions import LeaseLost, SpaceLeased
        from airflow_provider_hfspaces.operators.hardware.leasing import WayBack
        from airflow_provider_hfspaces.state.leases import LeaseOwner

        source, taken = self._leased_by(context)
        if taken is not None and taken["repo_id"] != repo_id:
            self.log.warning(
                "This run has leased Space %s, and not %s: putting that back.", taken["repo_id"], repo_id
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
                    "Space %s is leased by %s, which restores it after its work. It is left alone.",
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

        try:
            before = self.hook.get_runtime(repo_id)
            if before.is_static:
                way_back.end(before, changed=False)
                self.log.info("Space %s is static: there is no hardware to put back.", repo_id)
                return before.to_dict()
            snapshot, runtime = self._put_back(repo_id, before, context, way_back)
        except LEFT_ALONE:
            raise
        except RestoreRejected as error:
            way_back.fail(error.runtime.configured_hardware if error.runtime else None)
            raise
        except BaseException:
            way_back.fail()
            raise
        way_back.end(runtime, changed=runtime is not before)
        return self._finish(repo_id, before, snapshot, runtime, context)

    def _put_back(
        self, repo_id: str, before: SpaceRuntime, context: Context, way_back: WayBack
    ) -> tuple[SpaceSnapshot, SpaceRuntime]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        recorded = way_back.snapshot or self._recorded(repo_id, context)
        snapshot = recorded or self._fallback(repo_id, before)
        snapshot = replace(snapshot, hardware=self.hardware) if self.hardware else self._within_cost(snapshot)
        requested = way_back.requested or self._requested_in_run(context, before)
        if recorded is not None and not self.hardware and self._is_dearer(snapshot, before, requested):
            self.log.warning(
                "Space %s stays on %s: %s, which was recorded, costs more, and this run did not request %s.",
                repo_id,
                before.configured_hardware,
                snapshot.hardware,
                before.configured_hardware,
            )
            return snapshot, before
        if self.pause_after:
            snapshot = replace(snapshot, stage=SpaceStage.PAUSED.value)
        activity = self._activity(snapshot, before)
        self.log.info(
            "Space %s is %s. Putting back %s%s.",
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
            retried=frozenset() if self._is_last_try(context) else _RETRIED,
        )
        return snapshot, runtime

    def _within_cost(self, snapshot: SpaceSnapshot) -> SpaceSnapshot:
        """Hold a recorded state to the limit that the request had."""
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        limit = as_number(self.max_hourly_cost)
        if limit is None or snapshot.hardware in FREE_HARDWARE or not snapshot.hardware:
            return snapshot
        replicas = snapshot.replicas if isinstance(snapshot.replicas, int) else 1
        cost = self.hook.price_list().hourly(snapshot.hardware, replicas)
        if cost is not None and cost <= limit:
            return snapshot
        price = "has no listed price" if cost is None else f"costs ${cost:.2f} an hour"
        self.log.error(
            "Space %s: the recorded hardware %s %s, above max_hourly_cost=%s. Putting it on %s instead.",
            snapshot.repo_id,
            snapshot.hardware,
            price,
            limit,
            self.fallback,
        )
        return replace(snapshot, hardware=self.fallback)

    def _is_dearer(self, snapshot: SpaceSnapshot, before: SpaceRuntime, requested: Sequence[str]) -> bool:
        """Whether the restore would raise the bill although this run did not lower it."""
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        hardware, present = snapshot.hardware, before.configured_hardware
        if hardware in FREE_HARDWARE or hardware is None or present is None or hardware == present:
            return False
        if present in requested:
            return False
        prices = self.hook.price_list()
        return (prices.hourly(hardware, 1) or 0.0) > (prices.hourly(present, 1) or 0.0)

    def _requested_in_run(self, context: Context, before: SpaceRuntime) -> list[str]:
        """The hardware that the tasks of this run pushed as requested."""
        tasks = getattr(context.get("dag"), "tasks", None)
        if tasks is None:
            return [str(before.configured_hardware)]
        ids = [str(task.task_id) for task in tasks if _is_request(task)]
        pushed = (self._pull(context, task_id, REQUESTED) for task_id in ids)
        return [str(each) for each in pushed if each is not None]

    def _activity(self, snapshot: SpaceSnapshot, before: SpaceRuntime) -> Activity | None:
        """What to do about a Space that did not run before, and would cost money now."""
        from airflow_provider_hfspaces.hub.desired import Activity
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        if snapshot.was_paused or snapshot.hardware in FREE_HARDWARE or self.restore_dormant == "run":
            return None
        if snapshot.stage not in ASLEEP_STAGES | NEEDS_RESTART_STAGES or before.stage in DORMANT_STAGES:
            return None
        if before.stage == snapshot.stage and before.configured_hardware == snapshot.hardware:
            return None
        if self.restore_dormant == "sleep":
            return Activity.ASLEEP
        self.log.warning(
            "Space %s was %s and cost nothing. It is paused, because it would run on %s now; a visitor does "
            "not wake it. Use restore_dormant='sleep' to let it fall asleep instead.",
            snapshot.repo_id,
            snapshot.stage,
            snapshot.hardware,
        )
        return Activity.PAUSED

    def _is_last_try(self, context: Context) -> bool:
        ti = context["ti"]
        tries = getattr(ti, "max_tries", None)
        tries = self.retries if tries is None else tries
        return int(getattr(ti, "try_number", 0) or 0) > int(tries or 0) or not tries

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
        self._log_end_of_bill(repo_id, snapshot, runtime)
        context["ti"].xcom_push(key=RESTORED, value=snapshot.to_dict())
        for task_id in self._task_ids(context):
            for map_index in self._map_indexes(context):
                forget_of_task(context, task_id, map_index, PREVIOUS)
        if self.wait_until_back and runtime.stage not in DORMANT_STAGES:
            return self.wait(repo_id, Goal(hardware=snapshot.hardware), context, before=before)
        return self.waited(repo_id, runtime, context)

    def _log_end_of_bill(self, repo_id: str, snapshot: SpaceSnapshot, runtime: SpaceRuntime) -> None:
        """Say when the bill of a Space ends that cost nothing before, because it slept."""
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        hardware = runtime.configured_hardware
        if not snapshot.was_asleep or hardware in FREE_HARDWARE or runtime.stage not in ACTIVE_STAGES:
            return
        if runtime.sleep_time is None:
            end = "it has no sleep time, so that nothing ends the bill: pause it, or set a sleep time"
        else:
            end = (
                f"it sleeps after {runtime.sleep_time} seconds ({runtime.sleep_time / 3600:.1f} hours) "
                f"without a visitor, which ends the bill"
            )
        self.log.warning(
            "Space %s slept before this run and runs on %s now, which costs money: %s.",
            repo_id,
            hardware,
            end,
        )

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        self.log.info("Space %s is %s.", repo_id, describe(runtime))
        return runtime.to_dict()

    def _leased_by(self, context: Context) -> tuple[str, dict[str, Any] | None]:
        """The task that recorded the state to restore, and what it pushed about its lease."""
        task_ids = self._task_ids(context)
        for task_id in task_ids:
            # A template may mean another Space by now than the one that has been leased.
            if isinstance(taken := self._pull(context, task_id, LEASE), dict):
                return task_id, taken
        return (task_ids or [self.from_task])[0], None

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


class SetSleepTimeOperator(SpaceOperator):
    """Set after how long without a visitor a Space sleeps, and stops costing money.

    The Hub fixes it for free hardware. Returns the runtime. ``POST /api/spaces/{repo_id}/sleeptime``.

    :param sleep_time: seconds, at least 1; -1 for never. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "sleep_time")

    def __init__(self, *, sleep_time: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sleep_time = sleep_time

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.checks import InvalidSleepTime
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        seconds = whole_number(self.sleep_time)
        if seconds is None:
            raise InvalidSleepTime(
                f"sleep_time must be a number of seconds, or -1 for never; got {self.sleep_time!r}."
            )
        runtime = self.hook.set_sleep_time(repo_id, seconds)
        if runtime.configured_hardware in FREE_HARDWARE:
            self.log.warning(
                "Space %s is on %s, whose sleep time the Hub fixes: the setting has no effect there.",
                repo_id,
                runtime.configured_hardware,
            )
        return runtime.to_dict()


def _pull_own(context: Context, task_id: str, key: str) -> Any:
    """An XCom of another task of the group, mapped like this one or not at all."""
    own = getattr(context["ti"], "map_index", -1)
    for map_index in dict.fromkeys((own if own is not None else -1, -1)):
        pushed = context["ti"].xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
        if pushed is not None:
            return pushed
    return None


def _is_request(task: Any) -> bool:
    kind = getattr(task, "operator_class", None) or type(task)
    return isinstance(kind, type) and issubclass(kind, RequestHardwareOperator)


def recorded_snapshot(context: Context) -> SpaceSnapshot | None:
    """The snapshot that an earlier try of this task recorded in this run."""
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

    try:
        return SpaceSnapshot.from_dict(retry_store(context).get(PREVIOUS))
    except InvalidInput:
        return None


def first_snapshot(context: Context, repo_id: str) -> SpaceSnapshot | None:
    """The snapshot that an earlier try of this task recorded, unless it has been restored since."""
    snapshot = recorded_snapshot(context)
    if snapshot is None or not snapshot.is_of(repo_id):
        return None
    ti = context["ti"]
    for task_id in restoring_tasks(context):
        done = ti.xcom_pull(task_ids=task_id, key=RESTORED, map_indexes=getattr(ti, "map_index", -1))
        if done is not None and done.get("taken_at") == snapshot.taken_at:
            return None
    return snapshot


def restoring_tasks(context: Context) -> list[str]:
    """The ids of those RestoreHardwareOperators of this DAG that go by what this task records."""
    own = context["ti"].task_id
    names = {own, own.rpartition(".")[2]}
    found = []
    for task in getattr(context.get("dag"), "tasks", ()):
        mapped = getattr(task, "partial_kwargs", None) or {}
        if (getattr(task, "from_task", None) or mapped.get("from_task")) in names:
            found.append(str(task.task_id))
    return found


def in_own_group(given: str, task_id: str) -> str:
    """The id of another task of the same group, given without the group's prefix or with it."""
    group, _, _ = task_id.rpartition(".")
    return given if not group or given.startswith(f"{group}.") else f"{group}.{given}"


def whole_number(given: int | str | None) -> int | None:
    """A number that a template may have rendered as text; anything else is left to the checks."""
    if isinstance(given, str):
        text = given.strip()
        if text in ("", "None"):
            return None
        if re.fullmatch(r"-?[0-9]+", text):
            return int(text)
    return given  # type: ignore[return-value]
