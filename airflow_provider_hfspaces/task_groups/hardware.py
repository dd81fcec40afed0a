"""SpaceHardwareTaskGroup: run tasks while a Space is on other hardware, and restore the Space afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hardware import is_one_flavor
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.hardware.budgets import checked_run_cost
from airflow_provider_hfspaces.operators.hardware.limit import LimitRunCostOperator
from airflow_provider_hfspaces.rendered import is_template
from airflow_provider_hfspaces.require import require_hardware
from airflow_provider_hfspaces.task_groups.window import ALL_SUCCESS, LAST_TASK, WindowTaskGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["SpaceHardwareTaskGroup"]


class SpaceHardwareTaskGroup(WindowTaskGroup):
    """Move a Space to other hardware for the tasks in this group, and restore it whatever happens to them.

    ::

        with SpaceHardwareTaskGroup("gpu", repo_id="acme/whisper", hardware="t4-small") as gpu:
            batch()
        gpu >> publish()

    The group adds five tasks around those that are created inside its ``with`` block:

    - ``snapshot`` (setup) leases the Space to this run, waits for other runs that hold the lease, and
      records the hardware, the sleep time and whether the Space is paused. It changes nothing. It
      waits for every task outside the group that the work depends on, so that no GPU is requested
      while that task runs. Create such tasks before the ``with`` block: inside, they run on the GPU, and
      for a dependency that is added after the block, the GPU waits.
    - ``upgrade`` (setup) requests the hardware and waits until the Space runs on it.
    - ``restore`` (teardown) restores the state that ``snapshot`` recorded, and ends the lease. It runs if the
      work succeeds, fails or is skipped, if the upgrade fails, and if a user marks tasks or the run.
    - ``outcome`` (teardown) does nothing itself. It is ``upstream_failed`` if the work or ``restore``
      failed, and then fails the run, also after a short circuit or a clear without *Downstream*.
    - ``done`` does nothing itself. Tasks that follow the group follow ``done``.

    If you clear a task of the work, Airflow clears ``snapshot``, ``upgrade``, ``restore`` and
    ``outcome`` with it.

    Each task of the work first checks that the Space is on the hardware (one request), and fails
    without retries if it is not: *Clear, only failed* and an ``upgrade`` that is marked success would
    otherwise run the work on the old hardware.

    Airflow runs no teardown when a run reaches its ``dagrun_timeout``, or when no part of Airflow is
    alive any more. ``sleep_time`` covers both: the upgrade sets it in the same request, and the Hub
    puts the Space to sleep after that time without a visitor, which ends billing.

    :param group_id: the id of the task group.
    :param repo_id: the Space. May be a template or an argument of a mapped task group.
    :param hardware: a flavor such as ``t4-small``; a list of flavors in order of preference, of which
        ``upgrade`` takes the first one that is available; or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware`. May be a template or an argument of a
        mapped task group.
    :param sleep_time: seconds without a visitor until the Space sleeps while it is on that hardware
        (default 3600). ``None`` keeps the Space's own sleep time, which may be never.
    :param restore: what ``restore`` restores: ``"previous"`` (the default), the state that ``snapshot``
        recorded; ``"pause"``, that state, and then a pause in any case; or a flavor.
    :param fallback: the flavor if nothing was recorded or the Hub rejects what was recorded (default
        ``cpu-basic``). May be a template or an argument of a mapped task group.
    :param max_hourly_cost: USD per hour (default: no limit). More expensive hardware is refused. May
        be an argument of a mapped task group.
    :param max_run_cost: USD that this run may cost (default: no limit). A sixth task, ``limit``, watches the
        cost in the triggerer. When the estimate reaches the limit, ``limit`` restores the Space, ends the
        lease and fails the run. Tasks of the work that have not begun then fail; those that are still
        running continue and find other hardware. May be a template or an argument of a mapped task group.
    :param monthly_budget: USD that the owner of the Space may spend on Spaces a month (default:
        ``[hf_spaces] monthly_budget``, otherwise no limit; ``float("inf")`` for no limit). Once the budget is
        spent, ``upgrade`` requests nothing. May be a template or an argument of a mapped task group.
    :param require_budget: whether ``upgrade`` also requests nothing if the amount that the owner has spent
        is not known (default False).
    :param capacity_timeout: for a list of flavors: seconds that the Space may take to start on a flavor once
        it is built, before the next one is requested (default 600). With ``None``, only the Hub's reports
        count.
    :param retry_capacity_after: seconds after the last flavor until ``upgrade`` starts the list again
        (default: ``upgrade`` fails then). Until then the Space is restored, and stays leased.
    :param retry_capacity_until: until when the list is started again: a time of day such as ``"03:00"`` in
        the DAG's time zone, or a moment in ISO format (default: until ``timeout`` is over). May be a
        template.
    :param require: whether each task of the work first checks that the Space is on the hardware
        (default True). Setup and teardown tasks of the work and operators of this package that act
        on a Space do not check.
    :param sha: the commit that the work needs, in full or its first seven characters or more (default: any).
        ``upgrade`` waits until exactly this commit runs on the hardware, and requests nothing if the Space
        would run another one; each task of the work checks the commit with the hardware. May be a template
        or the output of a task.
    :param health: the answer of the app that ``upgrade`` waits for as well, so that the work begins when the
        app answers: ``True`` for its start page, a path, or a mapping with ``path``, ``status``, ``json``
        and ``text`` (default: none). May have templates.
    :param stream_logs: show the Space's own log in the log of ``upgrade`` while it waits, and in that of
        ``restore`` if it waits: ``"build"``, ``"run"`` or ``"both"`` (default: none).
    :param timeout: maximum number of seconds to wait for the hardware (default 1800).
    :param poll_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param lease: whether this run gets the Space to itself (default True). Without a lease, two
        concurrent runs can take the hardware away from each other.
    :param lease_timeout: maximum number of seconds to wait for other runs (default six hours).
    :param lease_poll_interval: seconds between two looks at the lease, on average (default 30).
    :param lease_duration: seconds after which the lease expires for another Airflow, which cannot see
        whether this run is over (default 24 hours). Choose more than your longest run takes.
    :param restore_pool: the Airflow pool of ``restore`` (default ``default_pool``, whatever ``default_args``
        say). ``restore`` has a priority above all other tasks in it.
    :param restore_dormant: what ``restore`` does with a Space on paid hardware that was asleep or had failed
        before: ``"pause"`` (default), ``"sleep"`` or ``"run"``; see RestoreHardwareOperator.
    :param retries: retries of ``snapshot`` and ``upgrade`` (default 2). A retry of ``upgrade``
        attaches to a change that is under way.
    :param restore_retries: retries of ``restore`` (default 5).
    :param retry_delay: time between these tries (default 30 seconds).
    :param deferrable: wait in the triggerer (default: Airflow's ``[operators] default_deferrable``).
    :param hf_spaces_conn_id: the connection to the Hub (default ``hf_spaces_default``). May be a
        template.
    :param task_group_arguments: arguments of Airflow's ``TaskGroup``.
    :raises ValueError: naming the group and the task, if the tasks would run without the hardware.
    """

    def __init__(
        self,
        group_id: str,
        repo_id: Any,
        hardware: Any,
        *,
        sleep_time: int | str | None = 3600,
        restore: str = "previous",
        fallback: str = "cpu-basic",
        max_hourly_cost: float | None = None,
        max_run_cost: float | str | None = None,
        monthly_budget: float | str | None = None,
        require_budget: bool = False,
        capacity_timeout: float | None = 600,
        retry_capacity_after: float | None = None,
        retry_capacity_until: Any = None,
        require: bool = True,
        sha: str | None = None,
        health: Any = None,
        stream_logs: str | None = None,
        timeout: float = 1800,
        poll_interval: float | None = None,
        lease: bool = True,
        lease_timeout: float = 6 * 3600,
        lease_poll_interval: float = 30,
        lease_duration: float = 24 * 3600,
        restore_pool: str = "default_pool",
        restore_dormant: str = "pause",
        retries: int = 2,
        restore_retries: int = 5,
        retry_delay: timedelta = timedelta(seconds=30),
        deferrable: bool | None = None,
        hf_spaces_conn_id: str = "hf_spaces_default",
        **task_group_arguments: Any,
    ) -> None:
        super().__init__(group_id, **task_group_arguments)
        self.refuse_runtime_values(
            restore=restore,
            require_budget=require_budget,
            require=require,
            stream_logs=stream_logs,
            timeout=timeout,
            poll_interval=poll_interval,
            lease=lease,
            lease_timeout=lease_timeout,
            lease_poll_interval=lease_poll_interval,
            lease_duration=lease_duration,
            restore_pool=restore_pool,
            restore_dormant=restore_dormant,
            capacity_timeout=capacity_timeout,
            retry_capacity_after=retry_capacity_after,
            retries=retries,
            restore_retries=restore_retries,
            retry_delay=retry_delay,
            deferrable=deferrable,
        )
        self.refuse_bad_values(hardware=hardware, health=health, stream_logs=stream_logs)
        self._space: dict[str, Any] = {"repo_id": repo_id, "hf_spaces_conn_id": hf_spaces_conn_id}
        self._hardware, self._sha = hardware, sha
        self._max_run_cost = checked_run_cost(max_run_cost, f"task group {self.group_id!r}")
        self.purpose, self.require = str(hardware), require
        self._snapshot: dict[str, Any] = {
            "lease": lease,
            "lease_timeout": lease_timeout,
            "lease_poll_interval": lease_poll_interval,
            "deferrable": deferrable,
            "retries": retries,
            "retry_delay": retry_delay,
            "lease_duration": lease_duration,
        }
        self._upgrade: dict[str, Any] = {
            "hardware": hardware,
            "sleep_time": sleep_time,
            "max_hourly_cost": max_hourly_cost,
            "monthly_budget": monthly_budget,
            "require_budget": require_budget,
            "capacity_timeout": capacity_timeout,
            "retry_capacity_after": retry_capacity_after,
            "retry_capacity_until": retry_capacity_until,
            "sha": sha,
            "health": health,
            "stream_logs": stream_logs,
            "timeout": timeout,
            "poll_interval": poll_interval,
            "deferrable": deferrable,
            "retries": retries,
            "retry_delay": retry_delay,
            "lease_task": "snapshot" if lease else None,
        }
        self._restore: dict[str, Any] = {
            "hardware": None if restore in ("previous", "pause") else restore,
            "pause": restore == "pause",
            "fallback": fallback,
            "max_hourly_cost": max_hourly_cost,
            "restore_dormant": restore_dormant,
            **LAST_TASK,
            "pool": restore_pool,
            "retries": restore_retries,
            "retry_delay": retry_delay,
            "timeout": timeout,
            "poll_interval": poll_interval,
            "deferrable": deferrable,
        }
        self.snapshot: SnapshotSpaceOperator
        self.upgrade: RequestHardwareOperator
        self.restore: RestoreHardwareOperator

    @property
    def repo_id(self) -> Any:
        """The group's argument ``repo_id``, unrendered."""
        return self._space["repo_id"]

    @property
    def require_hardware(self) -> Callable[[Context], None]:
        """For ``pre_execute`` of a task outside the group: refuse to run on other hardware.

        Tasks inside the group check by themselves, unless the group has ``require=False``.
        """
        is_plain = is_one_flavor(self._hardware) and not is_template(self._hardware)
        return partial(
            require_hardware,
            self.repo_id,
            self._hardware,
            from_task=None if is_plain else str(self.child_id("upgrade")),  # type: ignore[no-untyped-call]
            sha=self._sha,
            hf_spaces_conn_id=self._space["hf_spaces_conn_id"],
        )

    def open_window(self) -> tuple[Any, Any, Any]:
        """Create ``snapshot``, ``upgrade`` and ``restore``."""
        arguments = {**ALL_SUCCESS, **self._space}
        self.snapshot = SnapshotSpaceOperator(task_id="snapshot", **arguments, **self._snapshot)
        self.upgrade = RequestHardwareOperator(task_id="upgrade", **arguments, **self._upgrade)
        # A group around this one continues with its own work, which needs its own hardware.
        waits = any(group.repo_id == self.repo_id for group in self._outer_hardware_groups())
        self.restore = RestoreHardwareOperator(
            task_id="restore",
            from_task=self.snapshot,
            wait=waits,
            stream_logs=self._upgrade["stream_logs"] if waits else None,
            **arguments,
            **self._restore,
        )
        return self.snapshot, self.upgrade, self.restore

    def limit_window(self) -> Any:
        """Create ``limit`` if the group has ``max_run_cost``."""
        if self._max_run_cost is None:
            return None
        return LimitRunCostOperator(
            task_id="limit",
            from_task=self.snapshot,
            max_run_cost=self._max_run_cost,
            closing_task="restore",
            **ALL_SUCCESS,
            **self._space,
            **self._restore,
        )

    def work_check(self) -> Callable[[Context], None]:
        """Return the check of the hardware, with which each task of the work begins."""
        return self.require_hardware

    def checked_tasks(self, work: list[Any]) -> list[Any]:
        """Return the tasks of the work that run only while the Space is on the hardware."""
        other = {
            task.task_id
            for group in self.inner_groups()
            if isinstance(group, SpaceHardwareTaskGroup) and group.repo_id == self.repo_id
            for task in group.iter_tasks()
        }
        return [task for task in super().checked_tasks(work) if task.task_id not in other]

    def _outer_hardware_groups(self) -> Iterator[SpaceHardwareTaskGroup]:
        return (group for group in self.outer_groups() if isinstance(group, SpaceHardwareTaskGroup))
