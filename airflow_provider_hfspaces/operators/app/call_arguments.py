"""The arguments of CallSpaceOperator: checks when the DAG is parsed, and the call that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.errors import InvalidInput
from airflow_provider_hfspaces.operators.app.checks import checked_target, refuse_other_kind
from airflow_provider_hfspaces.operators.app.paths import storage_path
from airflow_provider_hfspaces.rendered import as_list, from_text
from airflow_provider_hfspaces.space_app.batch.folder import BatchFolder
from airflow_provider_hfspaces.space_app.gradio.inputs import find_endpoint
from airflow_provider_hfspaces.space_app.plain import Poll

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.operators.app.call import CallSpaceOperator
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.listener import AppListener
    from airflow_provider_hfspaces.space_app.plain import AppResponse
    from airflow_provider_hfspaces.space_app.result import AppResult
    from airflow_provider_hfspaces.space_app.started import StartedCall

__all__ = ["PlannedCall"]

_URLS = ("http://", "https://")


class PlannedCall:
    """The call that the rendered arguments of an operator describe.

    :raises InvalidInput: for arguments that are not valid, and for a folder that cannot be written.
    """

    def __init__(self, task: CallSpaceOperator, context: Context) -> None:
        where = f"of task {task.task_id!r}"
        self.api = task.text("api", context) or None
        self.path = task.text("path", context) or None
        checked_target(self.api, self.path, where)
        refuse_other_kind(task, self.api, where)
        self.allow_unlisted = task.allow_unlisted
        self.answer = task.answer
        self.poll = Poll.from_value(task.poll)
        self._task, self._where = task, where
        self._method = str(task.text("method", context)).upper()
        self._inputs = self._with_files(task.structure("inputs", context), as_list(task.files))
        self._json = self._body(context)
        self._data = task.text("data", context)
        self._headers = task.structure("headers", context)
        self._query = task.structure("query", context)
        self.folder_path = _own_folder(task.text("output_path", context), context)

    @property
    def name(self) -> str:
        """What is called, for logs."""
        return self.api or f"{self._method} {self.path}"

    @property
    def may_wait_elsewhere(self) -> bool:
        """Whether a triggerer can wait for the answer.

        A plain request without ``poll`` is answered on its own connection, within about a minute.
        """
        return self.api is not None or self.poll is not None

    def folder(self) -> Any:
        """Return the path-like object of the output folder; ``None`` without one."""

        return storage_path(self.folder_path, "output") if self.folder_path else None

    def check_folder(self) -> None:
        """Write a small file into the output folder and delete it again.

        :raises InvalidInput: if it cannot be written.
        """

        folder = self.folder()
        if folder is not None:
            BatchFolder(folder).check()

    def call(
        self, app: SpaceApp, timeout: float, recover: Any, listener: AppListener
    ) -> AppResult | AppResponse:
        """Send the call and return its answer."""
        if self.api is None:
            return app.request(
                self._method, self.path or "", timeout=timeout, poll=self.poll, **self._request()
            )
        return app.call(
            self.api,
            self._inputs,
            timeout=timeout,
            recover=recover,
            patience=timeout,
            listener=listener,
            allow_unlisted=self.allow_unlisted,
        )

    def start(self, app: SpaceApp, timeout: float) -> StartedCall | AppResponse:
        """Send the call, whose answer another process reads."""
        if self.api is None:
            assert self.poll is not None
            return app.start_request(
                self._method, self.path or "", timeout=timeout, poll=self.poll, **self._request()
            )
        return app.start(self.api, self._inputs, timeout=timeout, allow_unlisted=self.allow_unlisted)

    def needs_a_reader(self, app: SpaceApp) -> bool:
        """Whether the app ends the call if nobody reads its answer, as on ZeroGPU.

        Between the worker that sends a call and the triggerer that reads its answer, nobody does for a while.
        """

        if self.api is None:
            return False
        endpoint = find_endpoint(app.describe(), app.repo_id, self.api, allow_unlisted=self.allow_unlisted)
        return endpoint.is_zero_gpu

    def _request(self) -> dict[str, Any]:
        return {
            "json": self._json,
            "content": self._data,
            "headers": self._headers,
            "query": self._query,
            "answer": self.answer,
        }

    def _body(self, context: Context) -> Any:
        body = self._task.structure("json", context)
        if isinstance(body, str) and body.lstrip()[:1] in ("{", "["):
            return from_text(body)
        return body

    def _with_files(self, inputs: Any, names: list[Any]) -> Any:
        """The inputs with the files to upload in the place of their paths."""
        if not names:
            return inputs

        keys = list(inputs) if isinstance(inputs, Mapping) else list(range(len(inputs or ())))
        unknown = [name for name in names if name not in keys]
        if unknown:
            raise InvalidInput(f"files {self._where} names {unknown[0]!r}, which is not one of the inputs.")
        if isinstance(inputs, Mapping):
            return {key: _file(value) if key in names else value for key, value in inputs.items()}
        return [_file(value) if key in names else value for key, value in enumerate(inputs)]


def _own_folder(path: Any, context: Context) -> Any:
    """The output folder of a task, and within it that of a mapped one: mapped tasks share their arguments."""
    index = context["ti"].map_index
    if not path or index is None or index < 0:
        return path or None
    return f"{str(path).rstrip('/')}/{index}"


def _file(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_file(each) for each in value]
    return value if isinstance(value, str) and value.startswith(_URLS) else storage_path(value, "files")
