"""A Space on other hardware for as long as some tasks work, and never longer."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import TaskGroup, empty_operator
from airflow_provider_hfspaces.operators.hardware import (
    RequestHardwareOperator,
    RestoreHardwareOperator,
    SnapshotSpaceOperator,
)
from airflow_provider_hfspaces.require import require_hardware

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["SpaceHardwareTaskGroup"]


class SpaceHardwareTaskGroup(TaskGroup):
    """Put a Space on other hardware for the tasks of this group, and back whatever happens to them.

    ::

        with SpaceHardwareTaskGroup("gpu", repo_id="acme/whisper", hardware="t4-small") as gpu:
            batch()

    The group adds four tasks around those that are created inside it:

    - ``snapshot`` (setup) leases the Space to this run, waiting for other runs that have it, and
      remembers hardware, sleep time and pause. It changes nothing.
    - ``upgrade`` (setup) asks for the hardware and waits until the Space runs there.
    - ``restore`` (teardown of both) puts back what ``snapshot`` has seen and ends the lease. It runs
      when the work has succeeded, failed or was skipped, when the upgrade has failed, and when
      somebody marks tasks or the run.
    - ``done`` does nothing. It fails the run when the work or the way back has failed, which a
      teardown alone would not, and what follows the group follows this task.

    When a task of the work is cleared, Airflow clears ``snapshot``, ``upgrade`` and ``restore`` with it.

    Airflow runs no teardown where a run hits its ``dagrun_timeout`` or nothing of it is alive any
    more. For that there is ``sleep_time``, which the upgrade sets in the same request: the Hub puts
    the Space to sleep when it has had no visitor for so long, and billing ends.

    :param group_id: as of any task group.
    :param repo_id: the Space; may be a template, or an argument of a mapped task group.
    :param hardware: a flavor such as ``t4-small``.
    :param sleep_time: seconds without a visitor until the Space sleeps while it is on that
        hardware; ``None`` leaves the Space's own, which may be never.
    :param restore: ``"previous"``, or the hardware to go back to in any case.
    :param fallback: the hardware to go back to where nothing was recorded.
    :param max_hourly_cost: USD per hour; dearer hardware is refused.
    :param timeout: seconds to wait for the hardware at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param lease: whether to have the Space to this run alone. Without it, two runs at a time can
        pull the hardware away from each other.
    :param lease_timeout: seconds to wait for other runs at the most.
    :param lease_poll_interval: seconds between two looks at the lease.
    :param lease_pool: an Airflow pool with one slot, where two runs that ask for the lease at once
        must be told apart even if Airflow is too slow for ``[hf_spaces] lease_settle``.
    :param retries: how often ``snapshot`` and ``upgrade`` are tried again; a retry of the upgrade
        attaches to a change that is under way.
    :param restore_retries: how often the way back is tried again.
    :param retry_delay: time between these tries.
    :param deferrable: wait in the triggerer; by default as Airflow's ``[operators]
        default_deferrable`` says.
    :param hf_spaces_conn_id: the connection to the Hub.
    :param task_group_arguments: what any Airflow ``TaskGroup`` takes.
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
        timeout: float = 1800,
        poll_interval: float = 10,
        lease: bool = True,
        lease_timeout: float = 6 * 3600,
        lease_poll_interval: float = 30,
        lease_pool: str | None = None,
        retries: int = 2,
        restore_retries: int = 5,
        retry_delay: timedelta = timedelta(seconds=30),
        deferrable: bool | None = None,
        hf_spaces_conn_id: str = "hf_spaces_default",
        **task_group_arguments: Any,
    ) -> None:
        super().__init__(group_id, **task_group_arguments)
        self._space: dict[str, Any] = {"repo_id": repo_id, "hf_spaces_conn_id": hf_spaces_conn_id}
        self._hardware = hardware
        self._snapshot: dict[str, Any] = {
            "lease": lease,
            "lease_timeout": lease_timeout,
            "lease_poll_interval": lease_poll_interval,
            "deferrable": deferrable,
            "retries": retries,
            "retry_delay": retry_delay,
            **({"pool": lease_pool} if lease_pool else {}),
        }
        self._upgrade: dict[str, Any] = {
            "hardware": hardware,
            "sleep_time": sleep_time,
            "max_hourly_cost": max_hourly_cost,
            "timeout": timeout,
            "poll_interval": poll_interval,
            "deferrable": deferrable,
            "retries": retries,
            "retry_delay": retry_delay,
            "lease_task": "snapshot" if lease else None,
        }
        self._restore: dict[str, Any] = {
            "hardware": None if restore == "previous" else restore,
            "fallback": fallback,
            "retries": restore_retries,
            "retry_delay": retry_delay,
            # Whatever default_args say: a way back that waits for another run leaves the GPU on.
            "depends_on_past": False,
            "wait_for_downstream": False,
        }
        self.snapshot: SnapshotSpaceOperator
        self.upgrade: RequestHardwareOperator
        self.restore: RestoreHardwareOperator
        self.done: Any

    @property
    def require_hardware(self) -> Callable[[Context], None]:
        """For ``pre_execute`` of a task of the work: refuse to run on the wrong hardware.

        Airflow can be told to clear failed tasks only, and then runs the work alone.
        """
        conn_id = self._space["hf_spaces_conn_id"]
        return partial(require_hardware, self._space["repo_id"], self._hardware, hf_spaces_conn_id=conn_id)

    def __enter__(self) -> SpaceHardwareTaskGroup:
        super().__enter__()
        self.snapshot = SnapshotSpaceOperator(task_id="snapshot", **self._space, **self._snapshot)
        self.upgrade = RequestHardwareOperator(task_id="upgrade", **self._space, **self._upgrade)
        self.restore = RestoreHardwareOperator(
            task_id="restore", from_task=self.snapshot, **self._space, **self._restore
        )
        self.done = empty_operator()(task_id="done", trigger_rule="none_failed")
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        super().__exit__(_type, _value, _tb)  # type: ignore[no-untyped-call]
        if _type is None:
            self._wire()

    def get_leaves(self) -> Generator[Any, None, None]:
        """What follows the group follows ``done``, and is skipped where the work is."""
        yield from (task for task in self._ends(self._work()) if not task.is_teardown)
        yield self.done

    def _wire(self) -> None:
        work = self._work()
        if not work:
            raise ValueError(
                f"Task group {self.group_id!r} has no tasks: create those that need {self._hardware} inside "
                f"its with block."
            )
        ids = {task.task_id for task in work}
        self.snapshot.set_downstream(self.upgrade)
        for task in work:
            if not task.upstream_task_ids & ids:
                self.upgrade.set_downstream(task)
        for task in self._ends(work):
            task.set_downstream(self.restore if task.is_teardown else [self.restore, self.done])
        self.restore.set_downstream(self.done)
        self.restore.as_teardown(setups=[self.snapshot, self.upgrade])

    def _work(self) -> list[Any]:
        own = {id(task) for task in (self.snapshot, self.upgrade, self.restore, self.done)}
        return [task for task in self.iter_tasks() if id(task) not in own]

    def _ends(self, work: list[Any]) -> list[Any]:
        """Tasks that no task of the work follows, or none but its teardowns."""
        by_id = {task.task_id: task for task in work}

        def is_followed(task: Any) -> bool:
            followers = [by_id[each] for each in task.downstream_task_ids if each in by_id]
            return any(task.is_teardown or not each.is_teardown for each in followers)

        return [task for task in work if not is_followed(task)]
