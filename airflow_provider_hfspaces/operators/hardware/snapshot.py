"""SnapshotSpaceOperator: record a Space before a task changes it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.config import default_deferrable
from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context, trigger_at
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.state.records import LEASE, PREVIOUS, first_snapshot, restoring_tasks
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.state.leases import SpaceLease

__all__ = ["SnapshotSpaceOperator"]


class SnapshotSpaceOperator(SpaceOperator):
    """Remember a Space's hardware, sleep time and pause, for :class:`RestoreHardwareOperator`.

    Reads the runtime and changes nothing, which makes it the right setup task of a hardware
    window: it does not fail half-way, so that the teardown always runs.

    When the work is cleared, Airflow runs its setup again, on a Space that is still on the GPU: then
    the first snapshot of the run is the one that counts, until the Space has been put back.

    Returns the snapshot, and pushes it as the XCom ``previous``: ``{"repo_id", "stage", "hardware",
    "sleep_time", "taken_at"}``, with the sleep time in seconds, ``None`` for never.

    :param lease: wait until no other run works on this Space, and have it to this run until
        RestoreHardwareOperator has put it back. Kept in an Airflow Variable,
        ``hf_spaces_lease:owner:name``. What a run that has ended has not put back is put back by
        the next one.
    :param lease_timeout: seconds to wait for the lease at the most.
    :param lease_poll_interval: seconds between two looks at the lease.
    :param deferrable: wait for the lease in the triggerer, without a worker; by default as
        Airflow's ``[operators] default_deferrable`` says.
    """

    needs_token = False

    def __init__(
        self,
        *,
        lease: bool = False,
        lease_timeout: float = 6 * 3600,
        lease_poll_interval: float = 30,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lease = lease
        self.lease_timeout = lease_timeout
        self.lease_poll_interval = lease_poll_interval
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._lease_deadline: float | None = None

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        lease = self._take_lease(repo_id, context) if self.lease else None
        try:
            return self._remember(repo_id, context, lease)
        except Exception:
            if lease:
                lease.abandon()
            raise

    def _remember(self, repo_id: str, context: Context, lease: SpaceLease | None) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        runtime = self.hook.get_runtime(repo_id)
        snapshot = SpaceSnapshot.from_runtime(repo_id, runtime)
        self.log.info("Space %s is %s, set to %s.", repo_id, snapshot.stage, snapshot.hardware)
        first = lease.previous(runtime) if lease else first_snapshot(context, repo_id)
        if first is not None and first != snapshot:
            snapshot = first
            self.log.warning(
                "Space %s has not been put back since it was %s, set to %s: that is what will be put back.",
                repo_id,
                snapshot.stage,
                snapshot.hardware,
            )
        elif first is None:
            self._warn(runtime, repo_id)
        if lease:
            if first is None:
                lease.record(snapshot)
            context["ti"].xcom_push(key=LEASE, value=repo_id)
        elif restoring_tasks(context):
            retry_store(context).set(PREVIOUS, snapshot.to_dict())
        context["ti"].xcom_push(key=PREVIOUS, value=snapshot.to_dict())
        return snapshot.to_dict()

    def look_again(self, context: Context, event: Any = None, deadline: float | None = None) -> Any:
        """Go on after a wait for the lease in the triggerer."""
        self._lease_deadline = deadline
        return self.execute(context)

    def on_kill(self) -> None:
        """Stop waiting for the lease."""
        self.killed.set()

    def _take_lease(self, repo_id: str, context: Context) -> SpaceLease:
        from airflow_provider_hfspaces.state.leases import LeaseHolder, SpaceLease, variable_name

        lease = SpaceLease(repo_id, LeaseHolder.of(context["ti"]))
        deadline = self._lease_deadline or time.time() + self.lease_timeout
        told = None
        while (other := lease.take()) is not None:
            if str(other) != told:
                self.log.info("Space %s is leased by %s: waiting for it.", repo_id, other)
                told = str(other)
            left = deadline - time.time()
            if left <= 0:
                raise AirflowFailException(
                    f"Space {repo_id} is still leased by {other} after {self.lease_timeout:.0f} seconds. "
                    f"Wait for that run or end it; if there is no such run any more, delete the Airflow "
                    f"Variable {variable_name(repo_id)}."
                )
            pause = min(self.lease_poll_interval, left)
            if self.deferrable:
                self.defer(
                    trigger=trigger_at(datetime.now(timezone.utc) + timedelta(seconds=pause)),
                    method_name="look_again",
                    kwargs={"deadline": deadline},
                )
            if self.killed.wait(pause):
                raise AirflowFailException(f"The task was killed while it waited for Space {repo_id}.")
        self.log.info("Space %s is leased by this run.", repo_id)
        return lease

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
        elif runtime.configured_hardware not in FREE_HARDWARE:
            self.log.warning(
                "Space %s is on %s, which costs money and is what will be put back.%s",
                repo_id,
                runtime.configured_hardware,
                ""
                if self.lease
                else " If another run has asked for it, let one run at a time work on it: lease=True.",
            )
