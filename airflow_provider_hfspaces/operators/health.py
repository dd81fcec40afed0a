"""The argument ``health`` of operators and sensors: refused when the DAG is parsed, read when a task runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.rendered import from_text, has_template

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck

__all__ = ["as_expected", "health_check", "refuse_bad_health", "refuse_unused_health"]

_STATUS_DIGITS = 3

_WORDS = {"": None, "None": None, "False": None, "True": True}
"""What a template may render to, besides a path and the text of a mapping."""


def refuse_bad_health(value: Any, owner: str) -> None:
    """Refuse a health check that cannot be valid. One with a template is checked when the task runs.

    :param owner: the task or group, for the error.
    :raises InvalidInput: naming the owner.
    """
    from airflow_provider_hfspaces.hub.errors import InvalidInput

    if value is None or has_template(value):
        return
    try:
        health_check(value)
    except InvalidInput as error:
        raise InvalidInput(f"{owner}: {error}") from None


def refuse_unused_health(task: Any, default_args: Any) -> None:
    """Refuse a health check on a task that does not wait, unless it comes from ``default_args``.

    :raises ValueError: naming the task.
    """
    if not task.health or has_template(task.health) or "health" in (default_args or {}):
        return
    raise ValueError(
        f"health of task {task.task_id!r} has no effect with wait=False: set wait=True, or leave health out."
    )


def health_check(value: Any) -> HealthCheck | None:
    """Returns the health check that an argument describes, ``None`` without one.

    :param value: as the DAG's author wrote it, or the text that a template made of it.
    :raises InvalidInput: for a health check that is not valid.
    """
    if isinstance(value, str):
        text = value.strip()
        if text in _WORDS:
            value = _WORDS[text]
        elif text.startswith("{"):
            with suppress(ValueError):  # HealthCheck refuses any other text
                value = from_text(text)
    if value is None or value is False:
        return None
    # Imported only with a health check: most DAGs have none, and parsing stays quick.
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck

    return HealthCheck.from_value(value)


def as_expected(value: Any) -> Any:
    """Returns the argument ``expect``, which a template turns into text: a status, text or a mapping."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text in ("", "None"):
        return None
    if text.isdecimal() and len(text) == _STATUS_DIGITS:
        return int(text)
    if text.startswith("{"):
        with suppress(ValueError):  # any other text is text that the answer contains
            return from_text(text)
    return value
