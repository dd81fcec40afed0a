"""NamedBySpace: mapped task instances bear the names of their Spaces."""

from __future__ import annotations

from typing import Any

__all__ = ["NamedBySpace", "name_by_space"]


class NamedBySpace:
    """Names the task instances of an operator on one Space after their Spaces.

    An operator that is mapped over anything but Spaces keeps its numbers: its instances share one Space.
    """

    space_fields: tuple[str, ...] = ("repo_id",)
    """The fields that name the Space. The first one that has a value is the name."""

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Returns Airflow's own partial operator, with a default for ``map_index_template``."""
        if any(field not in kwargs for field in cls.space_fields):
            kwargs.setdefault("map_index_template", _name_template(cls.space_fields))
        return super().partial(**kwargs)  # type: ignore[misc]


def name_by_space(task: Any) -> None:
    """Name the instances of a task in a mapped task group, which is not mapped itself, after their Spaces."""
    if task.map_index_template is None and task.get_closest_mapped_task_group() is not None:
        task.map_index_template = _name_template(task.space_fields)


def _name_template(fields: tuple[str, ...]) -> str:
    # Not task.repo_id: Airflow 3.0 shows there the argument of a mapped task group before it is rendered.
    return "{{ " + " or ".join(f"ti.task.{field}" for field in fields) + " }}"
