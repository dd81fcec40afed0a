"""Mapped tasks go by their Space's name in the UI, not by a number."""

from __future__ import annotations

from typing import Any

__all__ = ["NamedBySpace", "name_by_space"]

# Not task.repo_id: Airflow 3.0 shows there what a mapped task group was given, before it is rendered.
_TEMPLATE = "{{ ti.task.repo_id }}"


class NamedBySpace:
    """For operators on one Space: what :attr:`map_index_template` is where nobody says it.

    Mapped over anything else than Spaces, tasks keep their numbers: they all have the same Space.
    """

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As Airflow's own, for ``expand`` to follow."""
        if "repo_id" not in kwargs:
            kwargs.setdefault("map_index_template", _TEMPLATE)
        return super().partial(**kwargs)  # type: ignore[misc]


def name_by_space(task: Any) -> None:
    """The same for a task in a mapped task group, which is not mapped itself."""
    if task.map_index_template is None and task.get_closest_mapped_task_group() is not None:
        task.map_index_template = _TEMPLATE
