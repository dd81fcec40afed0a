"""Operators on a Space's hardware: remember it, change it, put it back; and its sleep time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat import AirflowFailException, BaseOperator, Context, retry_store
from airflow_provider_hfspaces.operators.base import SpaceOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

__all__ = [
    "RequestHardwareOperator",
    "RestoreHardwareOperator",
    "SetSleepTimeOperator",
    "SnapshotSpaceOperator",
]

PREVIOUS = "previous"
"""The key of what was there before, as an XCom and in the retry store."""


class SnapshotSpaceOperator(SpaceOperator):
    """Remember a Space's hardware, sleep time and pause, for :class:`RestoreHardwareOperator`.

    Reads the runtime and changes nothing, which makes it the right setup task of a hardware
    window: it does not fail half-way, so that the teardown always runs.

    Returns the snapshot, and pushes it as the XCom ``previous``: ``{"repo_id", "stage", "hardware",
    "sleep_time"}``, with the sleep time in seconds, ``None`` for never.
    """

    needs_token = False

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        snapshot = SpaceSnapshot.of(repo_id, self.hook.get_runtime(repo_id))
        self.log.info("Space %s is %s, set to %s.", repo_id, snapshot.stage, snapshot.hardware)
        context["ti"].xcom_push(key=PREVIOUS, value=snapshot.to_dict())
        return snapshot.to_dict()


class RequestHardwareOperator(SpaceOperator):
    """Put a Space on other hardware and wait until it really runs there.

    Success is RUNNING on the hardware that was asked for: right after the request the Hub goes on
    reporting RUNNING, on the old one. A Space that is there already is left alone, without a
    request that would restart it. A paused or sleeping Space is started.

    What was there before is pushed as the XCom ``previous`` before anything is asked for, and is
    kept across retries, for :class:`RestoreHardwareOperator`. A retry attaches to a change that is
    under way. When the task is killed or times out while it waits, the Space is put back at once.

    Returns the runtime. ``POST /api/spaces/{repo_id}/hardware``.

    :param hardware: a flavor such as ``t4-small``. Templated.
    :param sleep_time: seconds without a visitor until the Space sleeps and costs nothing, -1 for
        never. Set one: it ends the bill where nothing else can any more. Templated.
    :param wait: whether to wait until the Space runs there.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param max_hourly_cost: USD per hour; hardware that the Hub lists at a higher price, for all
        the Space's replicas together, is refused before it is asked for.
    :param cancel_on_kill: put the Space back when the task is killed while it waits.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "hardware", "sleep_time")

    def __init__(
        self,
        *,
        hardware: str,
        sleep_time: int | str | None = None,
        wait: bool = True,
        timeout: float = 1800,
        poll_interval: float = 10,
        max_hourly_cost: float | None = None,
        cancel_on_kill: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.hardware = hardware
        self.sleep_time = sleep_time
        self.wait_until_running = wait
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.max_hourly_cost = max_hourly_cost
        self.cancel_on_kill = cancel_on_kill
        self._to_restore: SpaceSnapshot | None = None

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        hardware, sleep_time = self._checked_request(repo_id)
        runtime = self.hook.get_runtime(repo_id)
        self._refuse_static(repo_id, runtime)
        self._refuse_too_expensive(repo_id, runtime, hardware)
        with self._previous(repo_id, runtime, context):
            if self._is_there(runtime, hardware):
                self.log.info("Space %s runs on %s already.", repo_id, hardware)
                runtime = self._with_sleep_time(repo_id, runtime, sleep_time)
            else:
                before = runtime
                runtime = self._ask(repo_id, runtime, hardware, sleep_time)
                if self.wait_until_running:
                    runtime = self._wait_on(repo_id, hardware, before)
        return runtime.to_dict()

    def on_kill(self) -> None:
        """Stop waiting and put the Space back, over connections of its own.

        Asks Airflow for nothing: the signal may have come in the middle of a talk with it.
        """
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.hub.retry import RetryPolicy

        self.killed.set()
        snapshot, self._to_restore = self._to_restore, None
        if snapshot is None or not self.cancel_on_kill:
            return
        try:
            self.hook.restore(snapshot, client=self.hook.client.fresh(retry=RetryPolicy(3, 3, 0.2, 0.5)))
        except (HubError, InvalidInput) as error:
            self.log.error("The task was killed, and Space %s could not be put back: %s", self.repo_id, error)
        else:
            self.log.warning("The task was killed: Space %s is put back as it was.", snapshot.repo_id)

    def _checked_request(self, repo_id: str) -> tuple[str, int | None]:
        from airflow_provider_hfspaces.hub.calls import request_hardware

        sleep_time = whole_number(self.sleep_time)
        offered = self.hook.offered(self.hardware)
        request_hardware(repo_id, self.hardware, sleep_time=sleep_time, offered=offered)
        return str(self.hardware), sleep_time

    def _refuse_static(self, repo_id: str, runtime: SpaceRuntime) -> None:
        if runtime.is_static:
            raise AirflowFailException(
                f"Space {repo_id} is static: the Hub serves its files and runs it on no hardware, so that "
                f"none can be requested."
            )

    def _refuse_too_expensive(self, repo_id: str, runtime: SpaceRuntime, hardware: str) -> None:
        if self.max_hourly_cost is None:
            return
        flavor = self._flavor(hardware)
        if flavor is None:
            raise AirflowFailException(
                f"The Hub lists no price for {hardware}, so that it cannot be held to max_hourly_cost="
                f"{self.max_hourly_cost}; it was not requested for Space {repo_id}."
            )
        replicas = runtime.replicas.requested if isinstance(runtime.replicas.requested, int) else 1
        cost = flavor.hourly_cost * max(replicas, 1)
        if cost > self.max_hourly_cost:
            times = f" with {replicas} replicas" if replicas > 1 else ""
            raise AirflowFailException(
                f"{hardware} costs ${cost:.2f} an hour{times}, which is above max_hourly_cost="
                f"{self.max_hourly_cost}: it was not requested for Space {repo_id}."
            )

    def _flavor(self, hardware: str) -> HardwareFlavor | None:
        return next((each for each in self.hook.list_hardware() if each.name == hardware), None)

    @contextmanager
    def _previous(self, repo_id: str, runtime: SpaceRuntime, context: Context) -> Iterator[None]:
        """Record what was there before the first try, and forget it when the work is done."""
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        store = retry_store(context)
        recorded = store.get(PREVIOUS)
        if recorded is not None and recorded.get("repo_id") == repo_id:
            snapshot = SpaceSnapshot.from_dict(recorded)
            self.log.info("An earlier try found the Space on %s.", snapshot.hardware)
        else:
            snapshot = SpaceSnapshot.of(repo_id, runtime)
            store.set(PREVIOUS, snapshot.to_dict())
        context["ti"].xcom_push(key=PREVIOUS, value=snapshot.to_dict())
        self._to_restore = snapshot
        yield
        self._to_restore = None
        store.delete(PREVIOUS)

    def _is_there(self, runtime: SpaceRuntime, hardware: str) -> bool:
        return (
            runtime.stage == "RUNNING"
            and runtime.hardware == hardware
            and runtime.requested_hardware in (None, hardware)
        )

    def _ask(
        self, repo_id: str, runtime: SpaceRuntime, hardware: str, sleep_time: int | None
    ) -> SpaceRuntime:
        from airflow_provider_hfspaces.hub.models import DORMANT_STAGES, ERROR_STAGES, STARTING_STAGES

        self._tell_request(repo_id, runtime, hardware, sleep_time)
        if runtime.requested_hardware == hardware and runtime.stage in STARTING_STAGES:
            self.log.info("Space %s is on its way to %s already: nothing to ask for.", repo_id, hardware)
            return self._with_sleep_time(repo_id, runtime, sleep_time)
        self._refuse_when_killed(repo_id)
        was = runtime.stage
        if runtime.requested_hardware == hardware:
            runtime = self._with_sleep_time(repo_id, runtime, sleep_time)
        else:
            runtime = self.hook.request_hardware(repo_id, hardware, sleep_time=sleep_time)
        if runtime.stage in DORMANT_STAGES | ERROR_STAGES:
            self.log.info("Space %s was %s: starting it.", repo_id, was)
            runtime = self.hook.restart(repo_id)
        return runtime

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
        price = f" ({flavor.price})" if flavor else ""
        self.log.info("Space %s is %s. Requesting %s%s.", repo_id, describe(runtime), hardware, price)
        self.log.info("%s", self.hook.page_url(repo_id))
        if flavor and flavor.hourly_cost and sleep_time is None and runtime.sleep_time is None:
            self.log.warning(
                "Space %s has no sleep time: it is billed until somebody puts it back. Set sleep_time.",
                repo_id,
            )

    def _with_sleep_time(self, repo_id: str, runtime: SpaceRuntime, sleep_time: int | None) -> SpaceRuntime:
        if sleep_time is None or runtime.sleep_time == (None if sleep_time < 0 else sleep_time):
            return runtime
        self.log.info("Setting the sleep time of Space %s to %s seconds.", repo_id, sleep_time)
        return self.hook.set_sleep_time(repo_id, sleep_time)

    def _wait_on(self, repo_id: str, hardware: str, before: SpaceRuntime) -> SpaceRuntime:
        from airflow_provider_hfspaces.hub.errors import SpaceWaitError
        from airflow_provider_hfspaces.hub.goal import Goal

        try:
            return self.wait(
                repo_id,
                Goal(hardware=hardware),
                timeout=self.timeout,
                poll_interval=self.poll_interval,
                before=before,
                stop=self.killed,
            )
        except SpaceWaitError:
            if not self.killed.is_set():
                self.log.warning(
                    "%s stays requested for Space %s until it is put back, as RestoreHardwareOperator does.",
                    hardware,
                    repo_id,
                )
            raise


class RestoreHardwareOperator(SpaceOperator):
    """Put a Space's hardware, sleep time and pause back as they were.

    Made for a teardown: it runs whether the work before it succeeded, failed or was skipped. What
    still is as it was is left alone. A Space that was paused by somebody meanwhile stays paused,
    since that costs nothing.

    Returns the runtime.

    :param from_task: id of the :class:`SnapshotSpaceOperator` or :class:`RequestHardwareOperator`
        that recorded what was there, or the operator itself. Inside a task group the id may be
        given without the group's prefix.
    :param fallback: the hardware to go back to where nothing was recorded.
    :param wait: whether to wait until the Space is back.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "from_task", "fallback")

    def __init__(
        self,
        *,
        from_task: str | BaseOperator,
        fallback: str = "cpu-basic",
        wait: bool = False,
        timeout: float = 1800,
        poll_interval: float = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.from_task = from_task if isinstance(from_task, str) else from_task.task_id
        self.fallback = fallback
        self.wait_until_back = wait
        self.timeout = timeout
        self.poll_interval = poll_interval

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        before = self.hook.get_runtime(repo_id)
        if before.is_static:
            self.log.info("Space %s is static: there is no hardware to put back.", repo_id)
            return before.to_dict()
        snapshot = self._recorded(repo_id, context) or self._fallback(repo_id, before)
        self.log.info(
            "Space %s is %s. Putting back %s%s.",
            repo_id,
            describe(before),
            snapshot.hardware,
            ", paused" if snapshot.was_paused else "",
        )
        runtime = self._restore(snapshot, before)
        if before.stage == "PAUSED" and not snapshot.was_paused:
            self.log.info("Space %s was paused meanwhile and stays so.", repo_id)
        if self.wait_until_back:
            runtime = self._wait_until_back(repo_id, snapshot, before, runtime)
        self.log.info("Space %s is %s.", repo_id, describe(runtime))
        return runtime.to_dict()

    def _restore(self, snapshot: SpaceSnapshot, before: SpaceRuntime) -> SpaceRuntime:
        """Put back what was there; the fallback where the Hub refuses that for good."""
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            return self.hook.restore(snapshot, before)
        except (HubError, InvalidInput) as error:
            for_good = isinstance(error, InvalidInput) or error.permanent
            if not for_good or snapshot.hardware == self.fallback:
                raise
            self.log.error("%s Putting Space %s on %s instead.", error, snapshot.repo_id, self.fallback)
            self.hook.restore(replace(snapshot, hardware=self.fallback))
            raise

    def _recorded(self, repo_id: str, context: Context) -> SpaceSnapshot | None:
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        for task_id in self._task_ids(context):
            found = self._pull(context, task_id)
            if found is None:
                continue
            if found["repo_id"] == repo_id and found["hardware"]:
                return SpaceSnapshot.from_dict(found)
            self.log.warning("Task %r recorded another Space: %s.", task_id, found["repo_id"])
        return None

    def _task_ids(self, context: Context) -> list[str]:
        group, _, _ = self.task_id.rpartition(".")
        candidates = [self.from_task, f"{group}.{self.from_task}"] if group else [self.from_task]
        known = getattr(context.get("dag"), "task_ids", None)
        found = [each for each in candidates if known is None or each in known]
        if not found:
            self.log.error("This DAG has no task %r, which from_task names.", self.from_task)
        return found

    def _pull(self, context: Context, task_id: str) -> Any:
        ti = context["ti"]
        own = getattr(ti, "map_index", -1)
        for map_index in dict.fromkeys((own if own is not None else -1, -1)):
            found = ti.xcom_pull(task_ids=task_id, key=PREVIOUS, map_indexes=map_index)
            if found is not None:
                return found
        return None

    def _fallback(self, repo_id: str, runtime: SpaceRuntime) -> SpaceSnapshot:
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        self.log.warning(
            "Task %r recorded nothing about Space %s: falling back to %s.",
            self.from_task,
            repo_id,
            self.fallback,
        )
        return SpaceSnapshot(repo_id, "RUNNING", self.fallback, runtime.sleep_time)

    def _wait_until_back(
        self, repo_id: str, snapshot: SpaceSnapshot, before: SpaceRuntime, runtime: SpaceRuntime
    ) -> SpaceRuntime:
        from airflow_provider_hfspaces.hub.goal import Goal
        from airflow_provider_hfspaces.hub.models import DORMANT_STAGES

        if runtime.stage in DORMANT_STAGES:
            return runtime
        return self.wait(
            repo_id,
            Goal(hardware=snapshot.hardware),
            timeout=self.timeout,
            poll_interval=self.poll_interval,
            before=before,
        )


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
            raise InvalidSleepTime(f"A sleep time in seconds is needed; got {self.sleep_time!r}.")
        runtime = self.hook.set_sleep_time(repo_id, seconds)
        if runtime.configured_hardware in FREE_HARDWARE:
            self.log.warning(
                "Space %s is on %s, whose sleep time the Hub fixes: the setting has no effect there.",
                repo_id,
                runtime.configured_hardware,
            )
        return runtime.to_dict()


def whole_number(given: int | str | None) -> int | None:
    """A number that a template may have rendered as text; anything else is left to the checks."""
    if isinstance(given, str):
        text = given.strip()
        if text in ("", "None"):
            return None
        if text.removeprefix("-").isdigit():
            return int(text)
    return given  # type: ignore[return-value]
