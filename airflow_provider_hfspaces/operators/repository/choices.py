"""Arguments of which only a few values are valid, refused when the DAG is parsed."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.rendered import is_runtime_value, is_template

__all__ = ["SDKS", "VISIBILITIES", "refuse_unless_one_of"]

# Not those of hub.calls: importing them would make every DAG file that creates a Space slower to parse.
SDKS = ("gradio", "docker", "static")
VISIBILITIES = ("private", "public", "protected")


def refuse_unless_one_of(task: Any, name: str, choice: tuple[str, ...]) -> None:
    """Refuse an argument when the DAG is parsed, unless it is known only when the task runs.

    :raises ValueError: naming the task and the choice.
    """
    value = getattr(task, name)
    if is_runtime_value(value) or is_template(value) or value in choice:
        return
    raise ValueError(
        f"{name} of task {task.task_id!r} must be one of {', '.join(choice)}; got {value!r:.100}."
    )
