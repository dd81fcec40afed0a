"""Finds tasks in the graph of a task group: its first and last tasks, its branches, and what it needs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

__all__ = ["before_joins", "ends", "outside", "roots", "skips_followers", "trigger_rule"]


def roots(work: list[Any]) -> list[Any]:
    """Return the tasks that follow no other of these tasks."""
    ids = {task.task_id for task in work}
    return [task for task in work if not task.upstream_task_ids & ids]


def ends(work: list[Any]) -> list[Any]:
    """Return the tasks that no other of these tasks follows, apart from teardowns."""
    by_id = {task.task_id: task for task in work}

    def is_followed(task: Any) -> bool:
        followers = [by_id[each] for each in task.downstream_task_ids if each in by_id]
        return any(task.is_teardown or not each.is_teardown for each in followers)

    return [task for task in work if not is_followed(task)]


def outside(work: list[Any], group_ids: Collection[str]) -> list[Any]:
    """Return the tasks outside the group that the work needs, so that the whole group can wait for them.

    Leaves out branches, which choose among the tasks of the work; tasks that themselves wait for the
    group; and tasks that may fail without consequences for the work.
    """
    matches: dict[str, Any] = {}
    for task in work:
        if trigger_rule(task) != "all_success":
            continue
        for upstream in task.upstream_list:
            if (
                upstream.task_id not in group_ids
                and not skips_followers(upstream)
                and upstream.get_flat_relative_ids(upstream=True).isdisjoint(group_ids)
            ):
                matches[upstream.task_id] = upstream
    return list(matches.values())


def before_joins(work: list[Any], ignored_ids: Collection[str]) -> list[Any]:
    """Return the tasks that may still run when a task that follows them has already ended.

    Where two branches of the work meet, one that fails or is skipped ends the task that follows both.
    Airflow before 3.3 runs a teardown as soon as the tasks directly before it have ended. The teardown of the
    group therefore has to follow these tasks directly.

    :param ignored_ids: ids of tasks to leave out.
    """
    ids = {task.task_id for task in work} - set(ignored_ids)
    end_ids = {task.task_id for task in ends(work)}
    matches: dict[str, Any] = {}
    for task in work:
        before = [each for each in task.upstream_list if each.task_id in ids]
        if len(before) > 1 and task.task_id in ids:
            for each in before:
                if each.task_id not in end_ids and not each.is_teardown and not skips_followers(each):
                    matches[each.task_id] = each
    return list(matches.values())


def skips_followers(task: Any) -> bool:
    """Return whether a task is a branch or a short circuit, which skips tasks that follow it."""
    operator = getattr(task, "operator_class", type(task))
    # By name: each version of Airflow has this base in another module.
    return any(base.__name__ == "SkipMixin" for base in operator.__mro__)


def trigger_rule(task: Any) -> str:
    """Return a task's trigger rule as text, such as ``all_success``."""
    return str(getattr(task.trigger_rule, "value", task.trigger_rule))
