"""The checks of SpaceBatchOperator's arguments, when the DAG is parsed and after rendering."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.checks import checked_number
from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.operators.app.checks import checked_target, refuse_unless_bool
from airflow_provider_hfspaces.operators.app.paths import storage_path
from airflow_provider_hfspaces.rendered import as_list, as_whole_number, from_text, is_runtime_value

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.app.batch import SpaceBatchOperator

__all__ = ["checked_count", "items_of", "names_of", "refuse_bad_arguments"]

_ON_ITEM_ERROR = ("record", "fail")


def refuse_bad_arguments(task: SpaceBatchOperator) -> None:
    """Refuse arguments that no rendering makes valid.

    :raises InvalidInput: naming the argument and the task.
    """

    where = f"of task {task.task_id!r}"
    if task.on_item_error not in _ON_ITEM_ERROR:
        raise InvalidInput(
            f"on_item_error {where} must be 'record' or 'fail'; got {task.on_item_error!r:.100}."
        )
    refuse_unless_bool(task, "wake", "keep_awake", "allow_unlisted")
    checked_count(task.max_tries, f"max_tries {where}")
    if not _is_open(task.max_in_flight):
        checked_count(task.max_in_flight, f"max_in_flight {where}")
    if task.max_failures is not None and not _is_open(task.max_failures):
        checked_count(task.max_failures, f"max_failures {where}", least=0)
    if not _is_open(task.api) and not _is_open(task.path):
        checked_target(task.api, task.path, where)
        for name in ("poll",) if task.api else ("files",):
            value = getattr(task, name)
            if value not in (None, False, (), [], ""):
                kind, other = ("api", "path") if task.api else ("path", "api")
                raise InvalidInput(f"{name} {where} has no effect with {kind}: it belongs to {other}.")
    if task.poll is not None:
        from airflow_provider_hfspaces.space_app.plain import Poll

        Poll.from_value(task.poll)
    if task.items is None or (isinstance(task.items, str) and not task.items.strip()):
        raise InvalidInput(f"items {where} is empty: set it to a list or to the path of a JSON Lines file.")
    if isinstance(task.items, Mapping):
        raise InvalidInput(f"items {where} must be a list or a path; got a mapping. Put it into a list.")
    if task.output_path is None or (isinstance(task.output_path, str) and not task.output_path.strip()):
        raise InvalidInput(f"output {where} is empty: set it to the folder of the results.")
    for name in ("inputs", "fields"):
        value = getattr(task, name)
        if value is not None and not _is_open(value) and not isinstance(value, Mapping):
            raise InvalidInput(f"{name} {where} must be a mapping; got {value!r:.100}.")


def checked_count(value: Any, name: str, *, least: int = 1) -> int:
    """Returns a whole number, also of the text that a template rendered.

    :raises InvalidNumber: for anything else.
    """

    return checked_number(as_whole_number(value), name, least=least)


def items_of(value: Any, where: str) -> Any:
    """Returns the items after rendering: a list, or the path-like object of a JSON Lines file.

    :raises InvalidInput: for text that is neither a list nor a path.
    """

    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return from_text(value)
        except ValueError as error:
            raise InvalidInput(f"items {where} begins with '[' and is not a list: {error}") from None
    return storage_path(value, "items")


def names_of(value: Any) -> frozenset[str]:
    """Returns names of inputs, of a list or of one name."""
    return frozenset(str(each) for each in as_list(value))


def _is_open(value: Any) -> bool:
    """Whether an argument is known only after rendering."""
    return is_runtime_value(value) or (isinstance(value, str) and ("{{" in value or "{%" in value))
