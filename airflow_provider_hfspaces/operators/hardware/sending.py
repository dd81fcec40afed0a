"""How RequestHardwareOperator sends a request: recorded first, under the lease, and never after a kill.

Only a running task imports this module.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.desired import Activity, DesiredState, Patience, plan_move
from airflow_provider_hfspaces.hub.errors import HubRateLimited
from airflow_provider_hfspaces.hub.http.sequence import execute
from airflow_provider_hfspaces.hub.lease.actions import LeaseLost
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.commits import checked_commit
from airflow_provider_hfspaces.operators.hardware.leasing import LateRequest, lease_of_task, settle_request
from airflow_provider_hfspaces.operators.hardware.undoing import UndoneRequest
from airflow_provider_hfspaces.rendered import as_whole_number
from airflow_provider_hfspaces.state.pricing import prices_or_none
from airflow_provider_hfspaces.state.records import (
    LEASE,
    PREVIOUS,
    REQUESTED,
    pull,
    task_ids_named,
    unrestored_snapshot,
)
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.lease.record import LeaseHolder
    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
    from airflow_provider_hfspaces.state.leases import AirflowLease

__all__ = ["SentRequest"]

_LONGEST_STUCK_DELAY_SECONDS = 5.0
"""Longest time between two looks at a Space that does not move to the requested hardware."""

_STUCK_LOOKS = 6

_COMMIT_LIMIT_SECONDS = 60.0
"""Seconds between two tries to write the lease if the Hub limits commits and does not say for how long."""


class SentRequest(UndoneRequest):
    """Base of HardwareRequest: what happens from the record of the present state to the Hub's answer."""

    def _request_for(self, repo_id: str, hardware: str) -> tuple[DesiredState, Goal]:
        """The state to reach on a flavor, and what to wait for."""

        sleep_time = as_whole_number(self._task.sleep_time)
        desired = DesiredState(repo_id, hardware, sleep_time, activity=Activity.RUNNING)
        return desired, Goal(hardware=hardware, sha=checked_commit(self._task))

    def _flavor_of(self, hardware: str) -> HardwareFlavor | None:
        prices = prices_or_none(self._task.hook, f"The price of {hardware} is not known", self._task.log.info)
        return None if prices is None else prices.flavors.get(hardware)

    def _record(self, desired: DesiredState, before: SpaceRuntime, context: Context) -> SpaceSnapshot:
        """Record the state before the first try, for the next try and for the way back."""

        repo_id = desired.repo_id
        snapshot = self._announce(desired, context)
        if snapshot is None:
            snapshot = unrestored_snapshot(context, repo_id, before)
            if snapshot is not None:
                self._task.log.info(
                    "Space %s was on %s before and is restored to it.", repo_id, snapshot.hardware
                )
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
        if self._task.lease_task is None:
            return None

        repo_id, hardware = desired.repo_id, str(desired.hardware)
        lease_found = self._find_lease(repo_id, context)
        try:
            if lease_found is None:
                raise LeaseLost(repo_id, None)
            self._lease, _ = lease_found
            previous = self._announce_in_time(self._lease, hardware, desired.sleep_time).previous
        except LeaseLost:
            task_id = self._lease_task_id(context)
            raise AirflowFailException(
                f"Space {repo_id}: this run does not hold its lease, so that nothing would take {hardware} "
                f"away again. {hardware} was not requested. Clear task {task_id!r} together with this one."
            ) from None
        return SpaceSnapshot.from_dict({**previous, "repo_id": repo_id}) if previous else None

    def _find_lease(self, repo_id: str, context: Context) -> tuple[AirflowLease, LeaseHolder] | None:
        task_id = self._lease_task_id(context)
        return lease_of_task(self._task.hook, repo_id, context, task_id, pull(context, task_id, LEASE))

    def _lease_task_id(self, context: Context) -> str:
        name = str(self._task.lease_task)
        return (task_ids_named(context.get("dag"), name, self._task.task_id) or [name])[-1]

    def _announce_in_time(self, lease: AirflowLease, hardware: str, sleep_time: int | None) -> LeaseHolder:
        """Announce the request; wait if the Hub limits the commits of the lease's repository."""

        deadline = time.monotonic() + self._task.timeout
        while True:
            remaining = deadline - time.monotonic()
            try:
                return lease.announce(hardware, sleep_time)
            except HubRateLimited as error:
                if remaining <= 0:
                    raise
                delay = min(error.retry_after or _COMMIT_LIMIT_SECONDS, remaining)
                self._task.log.warning("%s Requesting %s in %.0f seconds.", error, hardware, delay)
            if self._task.killed.wait(delay):
                raise AirflowFailException(
                    f"Space {lease.repo_id}: the task was killed, {hardware} was not requested."
                )

    def _move(self, desired: DesiredState, before: SpaceRuntime, snapshot: SpaceSnapshot) -> SpaceRuntime:
        """Execute the plan. After a kill meanwhile, restore: the Hub may have accepted the request."""

        delay = min(self._task.poll_interval or _LONGEST_STUCK_DELAY_SECONDS, _LONGEST_STUCK_DELAY_SECONDS)
        patience = Patience(stuck_delays=(delay,) * _STUCK_LOOKS)
        steps = plan_move(desired, before, patience=patience, log=self._task.log)
        try:
            answer = execute(steps, self._send_unless_killed, sleep=self._task.killed.wait)
        except BaseException as error:
            if self._task.killed.is_set():
                self._restore_after_kill(snapshot)
            elif getattr(error, "outcome_unknown", False):
                self._settle(desired, snapshot)
            raise
        if self._task.killed.is_set():
            self._restore_after_kill(snapshot)
            raise AirflowFailException(
                f"Space {desired.repo_id}: the task was killed while it requested {desired.hardware}."
            )
        if answer is not before:
            self._settle(desired, snapshot)
        return answer

    def _settle(self, desired: DesiredState, snapshot: SpaceSnapshot) -> None:
        """Undo the request if the run lost the lease before the request arrived."""

        if self._lease is None:
            return
        try:
            settle_request(self._task.hook, self._lease, snapshot, str(desired.hardware), self._task.log)
        except LateRequest as problem:
            self._to_restore = None
            raise AirflowFailException(str(problem)) from None

    def _send_unless_killed(self, call: Call[Any]) -> Any:
        """Send a call. After a kill, Airflow 3.3 returns into this code, which must request no GPU then."""
        if self._task.killed.is_set() and call.method != "GET":
            raise AirflowFailException(f"Space {call.repo_id}: the task was killed, nothing was requested.")
        return self._task.hook.client.send(call)
