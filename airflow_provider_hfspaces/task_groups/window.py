"""The base of the task groups: setups that provide something for the tasks inside, and a teardown.

Come here for the order of a group's tasks, and for what decides whether the run succeeds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_hfspaces.compat.imports import TaskGroup, empty_operator
from airflow_provider_hfspaces.hardware import refuse_bad_hardware
from airflow_provider_hfspaces.operators.base import refuse_bad_wait
from airflow_provider_hfspaces.rendered import is_runtime_value
from airflow_provider_hfspaces.require import require_before
from airflow_provider_hfspaces.task_groups import graph

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["ALL_SUCCESS", "LAST_TASK", "WindowTaskGroup"]

_HIGHEST_PRIORITY = 2**31 - 1
"""The highest priority that Airflow's database stores."""

ALL_SUCCESS: dict[str, Any] = {"trigger_rule": "all_success"}
"""Setup tasks and the tasks that follow them need this rule, whatever ``default_args`` say."""

LAST_TASK: dict[str, Any] = {
    # A task that waits for a slot behind other tasks, or for another run, leaves the GPU on. This holds
    # whatever default_args say.
    "priority_weight": _HIGHEST_PRIORITY,
    "weight_rule": "absolute",
    "depends_on_past": False,
    "wait_for_downstream": False,
}
"""The arguments of the task that ends what a group provides."""

_BALANCE: dict[str, Any] = {
    # Airflow adds to a task's priority those of all tasks that follow it, or precede it. The priorities of
    # the closing task and of done together are those of two usual tasks. Otherwise the tasks before the
    # closing task would have its priority too, in sums that the database does not store.
    "priority_weight": 2 - _HIGHEST_PRIORITY,
    "weight_rule": "absolute",
    # An empty task without callbacks needs no worker, and so does not wait for one.
    "on_execute_callback": None,
    "on_success_callback": None,
}

_Group = TypeVar("_Group", bound="WindowTaskGroup")


class WindowTaskGroup(TaskGroup):
    """Base of the groups whose tasks run between setups that provide something and a teardown that ends it.

    A subclass adds three tasks in :meth:`open_window`; the group adds ``outcome`` and ``done``, and connects
    all of them with the work, which is the tasks that are created inside the ``with`` block::

        first ──> second ──> work ──> last ──> outcome
        (setup)   (setup)             (teardown)

    Airflow skips a teardown if all of its setups failed, so that ``first`` only records and ``second`` acts.

    :ivar purpose: what the group provides for the work, for error messages.
    :ivar require: whether each task of the work begins with :meth:`work_check`.
    """

    purpose: str
    require: bool
    reports_cost = True

    outcome: Any
    done: Any
    limit: Any = None

    def __init__(self, group_id: str, **task_group_arguments: Any) -> None:
        self._is_open = False
        super().__init__(group_id, **task_group_arguments)

    @abstractmethod
    def open_window(self) -> tuple[Any, Any, Any]:
        """Create the three tasks of the group: the two setups, and the task that becomes the teardown."""

    def limit_window(self) -> Any:
        """Create the task that ends the window when the run has cost too much; ``None`` without a limit."""
        return None

    @abstractmethod
    def work_check(self) -> Callable[[Context], None]:
        """Return what each task of the work calls before it executes."""

    def add(self, task: Any) -> Any:
        """Add a task, which Airflow does for each task that is created inside the ``with`` block.

        :raises ValueError: outside the ``with`` block, where the task would run without its setup.
        """
        if not self._is_open:
            name = getattr(task, "task_id", None) or getattr(task, "group_id", task)
            raise ValueError(
                f"Task {name!r} is added to task group {self.group_id!r} outside its with block, so that it "
                f"would run without {self.purpose}. Create the task inside 'with {self.group_id}:'."
            )
        return super().add(task)

    def __enter__(self: _Group) -> _Group:
        if hasattr(self, "outcome"):
            raise ValueError(
                f"Task group {self.group_id!r} is entered a second time: create all of its tasks in one with "
                f"block."
            )
        super().__enter__()
        self._is_open = True
        self._first, self._second, self._last = self.open_window()
        self.limit = self.limit_window()
        # Like the closing task, limit has the highest priority, which outcome balances.
        weight = {} if self.limit is None else {"priority_weight": _BALANCE["priority_weight"]}
        self.outcome = empty_operator()(task_id="outcome", weight_rule="absolute", **weight, **ALL_SUCCESS)
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
        """Yield the tasks that followers of the group follow: the ends of the work, and ``done``."""
        yield from (task for task in graph.ends(self.work()) if not task.is_teardown)
        yield self.done

    def work(self) -> list[Any]:
        """Return the tasks that were created inside the ``with`` block."""
        own = {task.task_id for task in self.own_tasks()}
        return [task for task in self.iter_tasks() if task.task_id not in own]

    def own_tasks(self) -> list[Any]:
        """Return the tasks that the group adds."""
        own = [self._first, self._second, self._last, self.limit, self.outcome, self.done]
        return [task for task in own if task is not None]

    def inner_groups(self) -> Iterator[WindowTaskGroup]:
        """Yield the groups of this kind inside this one, at any depth."""
        groups = [child for child in self.children.values() if isinstance(child, TaskGroup)]
        while groups:
            group = groups.pop()
            if isinstance(group, WindowTaskGroup):
                yield group
            groups += [child for child in group.children.values() if isinstance(child, TaskGroup)]

    def outer_groups(self) -> Iterator[WindowTaskGroup]:
        """Yield the groups of this kind around this one, the nearest first."""
        group = self.parent_group
        while group is not None:
            if isinstance(group, WindowTaskGroup):
                yield group
            group = group.parent_group

    def checked_tasks(self, work: list[Any]) -> list[Any]:
        """Return the tasks of the work that begin with :meth:`work_check`."""
        other = {task.task_id for group in self.inner_groups() for task in group.own_tasks()}
        return [
            task for task in work if task.task_id not in other and not task.is_setup and not task.is_teardown
        ]

    def refuse_runtime_values(self, **arguments: Any) -> None:
        """Refuse arguments that are known only when a task runs, which is too late for the group.

        :raises ValueError: naming the argument.
        """
        for name, value in arguments.items():
            if is_runtime_value(value):
                raise ValueError(
                    f"{name} of task group {self.group_id!r} comes from a task or a mapped task group, and "
                    f"is needed when the DAG is parsed: pass a plain value."
                )

    def refuse_bad_values(self, *, hardware: Any, health: Any, stream_logs: Any) -> None:
        """Refuse values that rendering cannot make valid, in the arguments that all groups have.

        :raises ValueError: naming the argument and the group.
        """
        refuse_bad_hardware(hardware, f"Task group {self.group_id!r}")
        refuse_bad_wait(f"task group {self.group_id!r}", health, stream_logs)

    def _wire(self) -> None:
        """Connect the work with the tasks of the group.

        The run's state comes from ``outcome``. As a teardown, ``outcome`` is never skipped by a short
        circuit, nothing follows it, and it is cleared with the work; with ``on_failure_fail_dagrun`` it
        counts for the run; and ``none_failed`` makes it ``upstream_failed`` if the work or the closing task
        failed. The closing task alone cannot do that: with ``on_failure_fail_dagrun`` it would hide failed
        work.
        """
        work = self.work()
        if not work:
            raise ValueError(
                f"Task group {self.group_id!r} has no tasks: create those that need {self.purpose} inside "
                f"its with block."
            )
        roots, ends = graph.roots(work), graph.ends(work)
        inner = {task.task_id for group in self.inner_groups() for task in group.own_tasks()}
        before_joins = graph.before_joins(work, inner)
        outside = graph.outside([*work, self._second], {task.task_id for task in self.iter_tasks()})
        self._first.set_downstream(self._second)
        for task in roots:
            self._refuse_trigger_rule(task)
            self._second.set_downstream(task)
        for task in outside:
            task.set_downstream(self._first)
        for task in ends:
            if task.is_teardown:
                task.set_downstream(self._last)
            elif graph.skips_followers(task):
                task.set_downstream(self.done)
                self._after_branch(task).set_downstream([self._last, self.outcome])
            else:
                task.set_downstream([self._last, self.outcome, self.done])
        for task in before_joins:
            task.set_downstream(self._last)
        self._last.set_downstream([self.outcome, self.done])
        self._last.as_teardown(setups=[self._first, self._second])
        if self.limit is not None:
            # As a teardown, limit is cleared with the work, and continues if a user marks the run.
            self.limit.as_teardown(setups=[self._second])
            self.limit.set_downstream([self.outcome, self.done])
        self.outcome.as_teardown(setups=[self._first], on_failure_fail_dagrun=True)
        self.outcome.trigger_rule = "none_failed"
        if self.require:
            for task in self.checked_tasks(work):
                require_before(task, self.work_check())

    def _after_branch(self, branch: Any) -> Any:
        """Add a task between a branch that ends the work and what must not be skipped.

        A branch skips each task that directly follows it and that it does not choose, also teardowns.
        """
        barrier = empty_operator()(task_id=f"after_{branch.label}")
        branch.set_downstream(barrier)
        barrier.as_teardown(setups=[self._first])
        barrier.trigger_rule = "none_failed"
        return barrier

    def _refuse_trigger_rule(self, first: Any) -> None:
        if (rule := graph.trigger_rule(first)) != "all_success":
            raise ValueError(
                f"Task {first.task_id!r} is the first of task group {self.group_id!r} and has the trigger "
                f"rule {rule}: it follows a setup task, after which Airflow allows only all_success. "
                f"Give it that rule, or put a task with that rule before it."
            )
