"""SnapshotSpaceOperator: record the state of a Space before it is changed, and lease it for the run."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.base import (
    BACKSTOP_SECONDS,
    SpaceOperator,
    deferrable_or_default,
    time_limit,
)

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.state.leases import LeaseOwner

__all__ = ["SnapshotSpaceOperator"]


class SnapshotSpaceOperator(SpaceOperator):
    """Record a Space's hardware, sleep time, replicas and stage for :class:`RestoreHardwareOperator`.

    ::

        snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id="acme/whisper", lease=True)
        restore = RestoreHardwareOperator(task_id="restore", repo_id="acme/whisper", from_task="snapshot")

    Use it as the setup task of a hardware window. It only reads the runtime, so that it does not fail
    half-way, and Airflow runs the teardown.

    If you clear the work, Airflow runs the setup again while the Space is still on the GPU. The first
    snapshot of the run then stays valid until the Space has been restored.

    Returns the snapshot and pushes it as the XCom ``previous``: ``{"repo_id", "stage", "hardware",
    "sleep_time", "replicas", "taken_at"}``. The sleep time is in seconds, ``None`` for never.
    ``GET /api/spaces/{repo_id}/runtime``.

    :param lease: wait until no other run works on this Space, and hold it for this run until
        RestoreHardwareOperator has restored it (default False). The lease is kept on the branch
        ``airflow-lease`` of the Space's repository, or in the repository that the connection's
        ``lease_repo`` names. If a run ends without restoring the Space, the next run restores it.
    :param lease_timeout: maximum number of seconds to wait for the lease (default six hours).
    :param lease_poll_interval: seconds between two looks at the lease, on average (default 30).
    :param lease_duration: seconds after which the lease expires for those who cannot see whether this run
        is over, such as another Airflow (default 24 hours). Choose more than your longest run takes.
    :param deferrable: wait for the lease in the triggerer, without a worker (default: Airflow's
        ``[operators] default_deferrable``).
    """

    needs_token = False
    records_snapshot = True

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
        self.deferrable = deferrable_or_default(deferrable)
        self._lease_wait: tuple[float, float] | None = None

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        if self.lease:
            return self._take_lease(repo_id, context)
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
        from airflow_provider_hfspaces.state.records import PREVIOUS, restoring_task_ids, unrestored_snapshot
        from airflow_provider_hfspaces.state.retry_store import retry_store

        runtime = self.hook.get_runtime(repo_id)
        present = SpaceSnapshot.from_runtime(repo_id, runtime)
        snapshot = unrestored_snapshot(context, repo_id, runtime) or present
        self._log_state(repo_id, runtime, snapshot, inherited=snapshot != present)
        if restoring_task_ids(context):
            retry_store(context).set(PREVIOUS, snapshot.to_dict())
        context["ti"].xcom_push(key=PREVIOUS, value=snapshot.to_dict())
        return snapshot.to_dict()

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
        """Continue waiting for the lease in the triggerer."""
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
            timeout=timedelta(seconds=max(0.0, deadline - time.time()) + BACKSTOP_SECONDS),
        )

    def look_again(self, context: Context, event: dict[str, Any]) -> Any:
        """Continue after a wait for the lease in the triggerer.

        :param event: the trigger's event. It carries the deadline: ``dag.test()`` passes on nothing else.
        """
        self._lease_wait = float(event["started"]), float(event["deadline"])
        return self.execute(context)

    def on_kill(self) -> None:
        """Stop waiting for the lease."""
        self.killed.set()

    def _take_lease(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.hardware.leasing import take_lease
        from airflow_provider_hfspaces.state.records import LEASE, PREVIOUS, restoring_task_ids

        lease, taken = take_lease(self, repo_id, context, restoring_task_ids(context))
        try:
            self._log_state(repo_id, taken.runtime, taken.previous, inherited=taken.inherited)
            context["ti"].xcom_push(key=LEASE, value=lease.to_dict(taken.holder.fence))
            context["ti"].xcom_push(key=PREVIOUS, value=taken.previous.to_dict())
        except Exception:
            lease.abandon()
            raise
        return taken.previous.to_dict()

    def _log_state(
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
        elif not runtime.is_static:
            self._warn(repo_id, runtime)

    def _warn(self, repo_id: str, runtime: SpaceRuntime) -> None:
        """Warn if the user probably does not want the present state restored."""
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
        from airflow_provider_hfspaces.hub.stages import WILL_BE_BILLED_STAGES

        if runtime.hardware and runtime.hardware != runtime.requested_hardware:
            self.log.warning(
                "Space %s is on its way from %s to %s, and will be restored to %s.",
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
