"""Arguments of CallSpaceOperator that are refused when the DAG is parsed, and checks that batches share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.rendered import has_template, is_runtime_value

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.app.call import CallSpaceOperator

__all__ = ["checked_target", "refuse_bad_call", "refuse_other_kind", "refuse_unless_bool"]

_ANSWERS = ("json", "text", "bytes")
_ONLY_GRADIO = ("inputs", "files")
_ONLY_HTTP = ("json", "data", "headers", "query", "poll")


def refuse_bad_call(task: CallSpaceOperator) -> None:
    """Refuse arguments that no rendering makes valid.

    :raises InvalidInput: naming the argument and the task.
    """

    where = f"of task {task.task_id!r}"

    def refuse(name: str, requirement: str) -> None:
        raise InvalidInput(f"{name} {where} must be {requirement}; got {getattr(task, name)!r:.100}.")

    if task.on_lost not in ("fail", "again"):
        refuse("on_lost", "'fail' or 'again'")
    if task.answer not in _ANSWERS:
        refuse("answer", "'json', 'text' or 'bytes'")
    refuse_unless_bool(task, "wake", "allow_unlisted")
    if not has_template(task.api) and not has_template(task.path):
        checked_target(task.api, task.path, where)
        refuse_other_kind(task, task.api, where)
    inputs = task.inputs
    if inputs is not None and not has_template(inputs) and not isinstance(inputs, (Mapping, list, tuple)):
        refuse("inputs", "a mapping of names to values, or a list of values")
    for name in ("headers", "query"):
        value = getattr(task, name)
        if value is not None and not has_template(value) and not isinstance(value, Mapping):
            refuse(name, "a mapping")
    if task.json is not None and task.data is not None:
        raise InvalidInput(f"json and data {where} exclude each other: set one of them.")
    if task.answer == "bytes" and not task.output_path:
        raise InvalidInput(f"answer='bytes' {where} needs output: bytes do not fit into an XCom.")
    if task.poll is not None:
        from airflow_provider_hfspaces.space_app.plain import Poll

        Poll.from_value(task.poll)


def refuse_unless_bool(task: Any, *names: str) -> None:
    """Refuse other values than True and False in arguments of a task.

    :raises InvalidInput: naming the argument and the task.
    """

    for name in names:
        value = getattr(task, name)
        if not isinstance(value, bool):
            raise InvalidInput(f"{name} of task {task.task_id!r} must be True or False; got {value!r:.100}.")


def checked_target(api: Any, path: Any, where: str) -> None:
    """Refuse anything but one of ``api`` and ``path``.

    :raises InvalidInput: naming both.
    """

    if (api is None or api == "") == (path is None or path == ""):
        raise InvalidInput(
            f"api and path {where}: set one of them, api for a Gradio app or path for a plain HTTP app; got "
            f"api={api!r:.100}, path={path!r:.100}."
        )
    if api not in (None, "") and not isinstance(api, str):
        raise InvalidInput(
            f"api {where} must be the name of an endpoint, such as '/predict'; got {api!r:.100}."
        )
    if path and (not isinstance(path, str) or not path.startswith("/") or path.startswith("//")):
        raise InvalidInput(f"path {where} must begin with one '/', such as '/v1/embed'; got {path!r:.100}.")


def refuse_other_kind(task: CallSpaceOperator, api: Any, where: str) -> None:
    """Refuse arguments of the other kind of app, which would have no effect. Outputs of tasks come later.

    :param api: the endpoint of a Gradio app; empty for a plain HTTP app.
    :raises InvalidInput: naming the argument.
    """

    kind, other, names = ("api", "path", _ONLY_HTTP) if api else ("path", "api", _ONLY_GRADIO)
    for name in names:
        value = getattr(task, name)
        if value not in (None, (), [], "") and not is_runtime_value(value):
            raise InvalidInput(f"{name} {where} has no effect with {kind}: it belongs to {other}.")
