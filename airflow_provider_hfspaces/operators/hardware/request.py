"""RequestHardwareOperator: move a Space to other hardware and wait until it runs there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.stages import (
    DORMANT_STAGES,
    NEEDS_COMMIT_STAGES,
    NEEDS_RESTART_STAGES,
    STARTING_STAGES,
    SpaceStage,
)
from airflow_provider_hfspaces.operators.base import SpaceOperator, WaitingOperator
from airflow_provider_hfspaces.rendered import as_number, as_whole_number
from airflow_provider_hfspaces.state.records import PREVIOUS, first_snapshot, in_own_group, restoring_tasks
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.state.leases import SpaceLease

__all__ = ["RequestHardwareOperator"]

_LOOKS_BEFORE_ASKING_AGAIN = 6


class RequestHardwareOperator(WaitingOperator):
    """Put a Space on other hardware and wait until it really runs there.

    Success is RUNNING on the hardware that was asked for: right after the request the Hub goes on
    reporting RUNNING, on the old one. A Space that is there already is left alone, without a
    request that would restart it. A paused or sleeping Space is started.

    What was there before is pushed as the XCom ``previous`` before anything is asked for, and is
    kept across retries, for :class:`RestoreHardwareOperator`. A retry attaches to a change that is
    under way. When the task is killed, the Space is put back at once; when it fails or times out,
    the hardware stays requested, for a retry to attach to or for RestoreHardwareOperator to undo.

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

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        hardware, sleep_time = self._checked_request(repo_id)
        runtime = self.hook.get_runtime(repo_id)
        self._refuse_hopeless(repo_id, runtime)
        self._refuse_too_expensive(repo_id, runtime, hardware)
        lease = self._lease(repo_id, hardware, context)
        self._to_restore = snapshot = self._previous(repo_id, runtime, context, lease)
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
        self.log.warning(
            "%s stays requested for Space %s until it is put back, as RestoreHardwareOperator does.",
            self.hardware,
            error.repo_id,
        )

    def on_kill(self) -> None:
        """Stop waiting and put the Space back, over connections of its own.

        Asks Airflow for nothing: the signal may have come in the middle of a talk with it.
        """
        self.killed.set()
        snapshot, self._to_restore = self._to_restore, None
        if snapshot is not None and self.cancel_on_kill:
            self._put_back(snapshot)

    def _put_back(self, snapshot: SpaceSnapshot) -> None:
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.http.retry import RetryPolicy

        try:
            self.hook.restore(snapshot, client=self.hook.client.fresh(retry=RetryPolicy(3, 3, 0.2, 0.5)))
        except (HubError, InvalidInput) as error:
            self.log.error("The task was killed, and Space %s could not be put back: %s", self.repo_id, error)
        else:
            self.log.warning("The task was killed: Space %s is put back as it was.", snapshot.repo_id)

    def _checked_request(self, repo_id: str) -> tuple[str, int | None]:
        from airflow_provider_hfspaces.hub.calls import request_hardware
        from airflow_provider_hfspaces.hub.checks import checked_amount

        self.max_hourly_cost = as_number(self.max_hourly_cost)
        if self.max_hourly_cost is not None:
            checked_amount(self.max_hourly_cost, "max_hourly_cost")
        sleep_time = as_whole_number(self.sleep_time)
        offered = self.hook.offered(self.hardware)
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
        from airflow_provider_hfspaces.hub.cost.prices import replicas_of

        replicas = replicas_of(runtime)
        cost = self.hook.price_list().hourly(hardware, replicas)
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

    def _lease(self, repo_id: str, hardware: str, context: Context) -> SpaceLease | None:
        from airflow_provider_hfspaces.state.leases import LeaseHolder, SpaceLease

        if self.lease_task is None:
            return None
        holder = LeaseHolder.of(context["ti"], in_own_group(self.lease_task, self.task_id))
        lease = SpaceLease(repo_id, holder)
        if not lease.is_held():
            raise AirflowFailException(
                f"The lease of Space {repo_id} is not this run's, so that nothing would take {hardware} away "
                f"again: it was not requested. Clear task {holder.task_id!r} together with this one."
            )
        lease.record_request(hardware)
        return lease

    def _flavor(self, hardware: str) -> HardwareFlavor | None:
        return next((each for each in self.hook.list_hardware() if each.name == hardware), None)

    def _previous(
        self, repo_id: str, runtime: SpaceRuntime, context: Context, lease: SpaceLease | None
    ) -> SpaceSnapshot:
        """What was there before the first try, recorded for the next one and for the way back."""
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        if lease is not None and (leased := lease.recorded()) is not None:
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
            if self.killed.is_set() and self.cancel_on_kill:
                self._put_back(snapshot)
            raise
        if self.killed.is_set():
            if self.cancel_on_kill:
                self._put_back(snapshot)
            raise AirflowFailException(
                f"The task was killed while it asked for {hardware} for Space {repo_id}."
            )
        return runtime

    def _is_there(self, runtime: SpaceRuntime, hardware: str) -> bool:
        return (
            runtime.stage == SpaceStage.RUNNING
            and runtime.hardware == hardware
            and runtime.requested_hardware in (None, hardware)
        )

    def _ask(
        self, repo_id: str, runtime: SpaceRuntime, hardware: str, sleep_time: int | None
    ) -> SpaceRuntime:

        self._tell_request(repo_id, runtime, hardware, sleep_time)
        if runtime.requested_hardware == hardware and runtime.stage in STARTING_STAGES:
            self.log.info("Space %s is on its way to %s already: nothing to ask for.", repo_id, hardware)
            return self._with_sleep_time(repo_id, runtime, sleep_time)
        self._refuse_when_killed(repo_id)
        was = runtime.stage
        if runtime.requested_hardware == hardware and was == SpaceStage.RUNNING:
            runtime = self._renew_request(repo_id, runtime, hardware, sleep_time)
        elif runtime.requested_hardware == hardware:
            runtime = self._with_sleep_time(repo_id, runtime, sleep_time)
        else:
            runtime = self.hook.request_hardware(repo_id, hardware, sleep_time=sleep_time)
        if runtime.stage in DORMANT_STAGES | NEEDS_RESTART_STAGES:
            self.log.info("Space %s was %s: starting it.", repo_id, was)
            runtime = self.hook.restart(repo_id)
        return runtime

    def _renew_request(
        self, repo_id: str, runtime: SpaceRuntime, hardware: str, sleep_time: int | None
    ) -> SpaceRuntime:
        """Asked for already, and yet running on something else: late, or stuck."""
        for _ in range(_LOOKS_BEFORE_ASKING_AGAIN):
            self.killed.wait(min(self.poll_interval, 5.0))
            self._refuse_when_killed(repo_id)
            runtime = self.hook.get_runtime(repo_id)
            if runtime.requested_hardware != hardware or runtime.stage != SpaceStage.RUNNING:
                break
            if runtime.hardware == hardware:
                break
        else:
            self.log.warning(
                "Space %s was asked to go to %s, but does not move: asking again.", repo_id, hardware
            )
            return self.hook.request_hardware(repo_id, hardware, sleep_time=sleep_time)
        if runtime.requested_hardware == hardware:
            return self._with_sleep_time(repo_id, runtime, sleep_time)
        return self.hook.request_hardware(repo_id, hardware, sleep_time=sleep_time)

    def _refuse_when_killed(self, repo_id: str) -> None:
        """Airflow 3.3 returns from a kill into this code, which must not ask for a GPU then."""
        if self.killed.is_set():
            raise AirflowFailException(f"The task was killed: nothing was requested for Space {repo_id}.")

    def _tell_request(
        self, repo_id: str, runtime: SpaceRuntime, hardware: str, sleep_time: int | None
    ) -> None:
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            flavor = self._flavor(hardware)
        except HubError:
            flavor = None
        self._hourly = flavor.hourly_cost if flavor else None
        price = f" ({flavor.price})" if flavor else ""
        self.log.info("Space %s is %s. Requesting %s%s.", repo_id, describe(runtime), hardware, price)
        self.log.info("%s", self.hook.page_url(repo_id))
        if flavor and flavor.hourly_cost and sleep_time is None and runtime.sleep_time is None:
            self.log.warning(
                "Space %s has no sleep time: it is billed until somebody puts it back. Set sleep_time.",
                repo_id,
            )

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
        if sleep_time is None or runtime.sleep_time == (None if sleep_time < 0 else sleep_time):
            return runtime
        self.log.info("Setting the sleep time of Space %s to %s seconds.", repo_id, sleep_time)
        return self.hook.set_sleep_time(repo_id, sleep_time)
