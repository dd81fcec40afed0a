"""SpaceHardwareTaskGroup: run tasks while a Space is on other hardware, and restore the Space afterwards."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import TaskGroup, empty_operator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.operators.health import refuse_bad_health
from airflow_provider_hfspaces.rendered import is_runtime_value
from airflow_provider_hfspaces.require import require_before, require_hardware
from airflow_provider_hfspaces.task_groups import graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["SpaceHardwareTaskGroup"]


_HIGHEST_PRIORITY = 2**31 - 1
"""The highest priority that Airflow's database stores."""

_BALANCE: dict[str, Any] = {
    # Airflow adds to a task's priority those of all tasks that follow it, or precede it. The priorities of
    # restore and done together are those of two usual tasks. Otherwise the tasks before restore would have
    # its priority too, in sums that the database does not store.
    "priority_weight": 2 - _HIGHEST_PRIORITY,
    "weight_rule": "absolute",
    # An empty task without callbacks needs no worker, and so does not wait for one.
    "on_execute_callback": None,
    "on_success_callback": None,
}


class SpaceHardwareTaskGroup(TaskGroup):
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
      work succeeds, fails or is skipped, if the upgrade fails, and if somebody marks tasks or the run.
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
    :param hardware: a flavor such as ``t4-small``. May be a template or an argument of a mapped task
        group.
    :param sleep_time: seconds without a visitor until the Space sleeps while it is on that hardware
        (default 3600). ``None`` keeps the Space's own sleep time, which may be never.
    :param restore: what ``restore`` restores: ``"previous"`` (the default), the state that ``snapshot``
        recorded; ``"pause"``, that state, and then a pause in any case; or a flavor.
    :param fallback: the flavor if nothing was recorded or the Hub rejects what was recorded (default
        ``cpu-basic``).
    :param max_hourly_cost: USD per hour (default: no limit). More expensive hardware is refused. May
        be an argument of a mapped task group.
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
    :param timeout: maximum number of seconds to wait for the hardware (default 1800).
    :param poll_interval: seconds between two looks at the Space (default 10).
    :param lease: whether this run gets the Space to itself (default True). Without a lease, two
        concurrent runs can take the hardware away from each other.
    :param lease_timeout: maximum number of seconds to wait for other runs (default six hours).
    :param lease_poll_interval: seconds between two looks at the lease, on average (default 30).
    :param lease_duration: seconds after which the lease expires for those who cannot see whether this run
        is over, such as another Airflow (default 24 hours). Choose more than your longest run takes.
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
    :raises ValueError: naming the group and the task, if the group is used in a way in which its tasks
        would run without the hardware.
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
        require: bool = True,
        sha: str | None = None,
        health: Any = None,
        timeout: float = 1800,
        poll_interval: float = 10,
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
        self._is_open = False
        super().__init__(group_id, **task_group_arguments)
        self._refuse_runtime_values(
            require=require,
            timeout=timeout,
            poll_interval=poll_interval,
            lease=lease,
            lease_timeout=lease_timeout,
            lease_poll_interval=lease_poll_interval,
            lease_duration=lease_duration,
            restore_pool=restore_pool,
            restore_dormant=restore_dormant,
            retries=retries,
            restore_retries=restore_retries,
            retry_delay=retry_delay,
            deferrable=deferrable,
        )
        refuse_bad_health(health, f"Task group {self.group_id!r}")
        self._space: dict[str, Any] = {"repo_id": repo_id, "hf_spaces_conn_id": hf_spaces_conn_id}
        self._hardware, self._sha = hardware, sha
        self._require = require
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
            "sha": sha,
            "health": health,
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
            "pool": restore_pool,
            # A restore that waits for a slot behind other tasks leaves the GPU on.
            "priority_weight": _HIGHEST_PRIORITY,
            "weight_rule": "absolute",
            "retries": restore_retries,
            "retry_delay": retry_delay,
            "timeout": timeout,
            "poll_interval": poll_interval,
            "deferrable": deferrable,
            # Whatever default_args say: a restore that waits for another run leaves the GPU on.
            "depends_on_past": False,
            "wait_for_downstream": False,
        }
        self.snapshot: SnapshotSpaceOperator
        self.upgrade: RequestHardwareOperator
        self.restore: RestoreHardwareOperator
        self.outcome: Any
        self.done: Any

    @property
    def repo_id(self) -> Any:
        """The group's argument ``repo_id``, unrendered."""
        return self._space["repo_id"]

    @property
    def require_hardware(self) -> Callable[[Context], None]:
        """For ``pre_execute`` of a task outside the group: refuse to run on other hardware.

        Tasks inside the group check by themselves, unless the group has ``require=False``.
        """
        conn_id = self._space["hf_spaces_conn_id"]
        return partial(
            require_hardware, self.repo_id, self._hardware, sha=self._sha, hf_spaces_conn_id=conn_id
        )

    def add(self, task: Any) -> Any:
        """Add a task, which Airflow does for each task that is created inside the ``with`` block.

        :raises ValueError: outside the ``with`` block, where the task would run without the hardware.
        """
        if not self._is_open:
            name = getattr(task, "task_id", None) or getattr(task, "group_id", task)
            raise ValueError(
                f"Task {name!r} is added to task group {self.group_id!r} outside its with block, so that it "
                f"would run without {self._hardware}. Create the task inside 'with {self.group_id}:'."
            )
        return super().add(task)

    def __enter__(self) -> SpaceHardwareTaskGroup:
        if hasattr(self, "snapshot"):
            raise ValueError(
                f"Task group {self.group_id!r} is entered a second time: create all of its tasks in one with "
                f"block."
            )
        super().__enter__()
        self._is_open = True
        # Setup tasks and the tasks that follow them need this rule, whatever default_args say.
        rule: dict[str, Any] = {"trigger_rule": "all_success"}
        self.snapshot = SnapshotSpaceOperator(task_id="snapshot", **rule, **self._space, **self._snapshot)
        self.upgrade = RequestHardwareOperator(task_id="upgrade", **rule, **self._space, **self._upgrade)
        self.restore = RestoreHardwareOperator(
            task_id="restore",
            from_task=self.snapshot,
            # The group around this one goes on with its own work, which needs its own hardware.
            wait=self._is_inside_group_of_this_space(),
            **rule,
            **self._space,
            **self._restore,
        )
        self.outcome = empty_operator()(task_id="outcome", weight_rule="absolute", **rule)
        self.done = empty_operator()(task_id="done", trigger_rule="none_failed", **_BALANCE)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        try:
            if _type is None:
                self._wire()
        finally:
            self._is_open = False
            super().__exit__(_type, _value, _tb)  # type: ignore[no-untyped-call]

    def get_leaves(self) -> Generator[Any, None, None]:
        """What follows the group follows ``done``, and is skipped where the work is skipped."""
        yield from (task for task in graph.ends(self._work()) if not task.is_teardown)
        yield self.done

    def _wire(self) -> None:
        """Connect the work with the tasks of the group.

        The run's state comes from ``outcome``. As a teardown it is never skipped by a short circuit,
        nothing follows it, and it is cleared with the work; with ``on_failure_fail_dagrun`` it counts
        for the run; and ``none_failed`` makes it ``upstream_failed`` if the work or ``restore`` failed.
        ``restore`` alone cannot do that: with ``on_failure_fail_dagrun`` it would hide failed work.
        """
        work = self._work()
        if not work:
            raise ValueError(
                f"Task group {self.group_id!r} has no tasks: create those that need {self._hardware} inside "
                f"its with block."
            )
        roots, ends = graph.roots(work), graph.ends(work)
        inner = {task.task_id for group in self._inner_groups() for task in group._own_tasks()}
        before_joins = graph.before_joins(work, inner)
        outside = graph.outside([*work, self.upgrade], {task.task_id for task in self.iter_tasks()})
        self.snapshot.set_downstream(self.upgrade)
        for task in roots:
            self._refuse_trigger_rule(task)
            self.upgrade.set_downstream(task)
        for task in outside:
            task.set_downstream(self.snapshot)
        for task in ends:
            if task.is_teardown:
                task.set_downstream(self.restore)
            elif graph.skips_followers(task):
                task.set_downstream(self.done)
                self._after_branch(task).set_downstream([self.restore, self.outcome])
            else:
                task.set_downstream([self.restore, self.outcome, self.done])
        for task in before_joins:
            task.set_downstream(self.restore)
        self.restore.set_downstream([self.outcome, self.done])
        self.restore.as_teardown(setups=[self.snapshot, self.upgrade])
        self.outcome.as_teardown(setups=[self.snapshot], on_failure_fail_dagrun=True)
        self.outcome.trigger_rule = "none_failed"
        if self._require:
            for task in self._hardware_users(work):
                require_before(task, self.require_hardware)

    def _after_branch(self, branch: Any) -> Any:
        """Add a task between a branch that ends the work and what must not be skipped.

        A branch skips each task that directly follows it and that it does not choose, also teardowns.
        """
        barrier = empty_operator()(task_id=f"after_{branch.label}")
        branch.set_downstream(barrier)
        barrier.as_teardown(setups=[self.snapshot])
        barrier.trigger_rule = "none_failed"
        return barrier

    def _refuse_trigger_rule(self, first: Any) -> None:
        if (rule := graph.trigger_rule(first)) != "all_success":
            raise ValueError(
                f"Task {first.task_id!r} is the first of task group {self.group_id!r} and has the trigger "
                f"rule {rule}: it follows a setup task, after which Airflow allows only all_success. "
                f"Give it that rule, or put a task with that rule before it."
            )

    def _refuse_runtime_values(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            if is_runtime_value(value):
                raise ValueError(
                    f"{name} of task group {self.group_id!r} comes from a task or a mapped task group, and "
                    f"is needed when the DAG is parsed: pass a plain value."
                )

    def _work(self) -> list[Any]:
        own = {task.task_id for task in self._own_tasks()}
        return [task for task in self.iter_tasks() if task.task_id not in own]

    def _own_tasks(self) -> list[Any]:
        return [self.snapshot, self.upgrade, self.restore, self.outcome, self.done]

    def _is_inside_group_of_this_space(self) -> bool:
        group = self.parent_group
        while group is not None:
            if isinstance(group, SpaceHardwareTaskGroup) and group.repo_id == self.repo_id:
                return True
            group = group.parent_group
        return False

    def _inner_groups(self) -> Iterator[SpaceHardwareTaskGroup]:
        groups = [child for child in self.children.values() if isinstance(child, TaskGroup)]
        while groups:
            group = groups.pop()
            if isinstance(group, SpaceHardwareTaskGroup):
                yield group
            groups += [child for child in group.children.values() if isinstance(child, TaskGroup)]

    def _hardware_users(self, work: list[Any]) -> list[Any]:
        """The tasks of the work that run only while the Space is on the hardware."""
        other = {
            task.task_id
            for group in self._inner_groups()
            for task in (group.iter_tasks() if group.repo_id == self.repo_id else group._own_tasks())
        }
        return [
            task for task in work if task.task_id not in other and not task.is_setup and not task.is_teardown
        ]
