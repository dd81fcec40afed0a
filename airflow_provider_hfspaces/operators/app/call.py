"""CallSpaceOperator: call the app inside a Space once, and return its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.values import KeepsText, RenamedArguments

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.app.calling import SpaceCall

__all__ = ["CallSpaceOperator"]


class CallSpaceOperator(RenamedArguments, KeepsText, WaitingOperator):
    """Call the app inside a Space once, and return its answer.

    .. code-block:: python

        CallSpaceOperator(
            task_id="caption",
            repo_id="acme/caption",
            api="/predict",
            inputs={"image": "https://example.com/cat.jpg"},
            deferrable=True,
        )

        CallSpaceOperator(
            task_id="embed", repo_id="acme/embedder", path="/v1/embed", json={"text": "{{ params.text }}"}
        )

    The inputs are compared with what a Gradio app declares before anything is sent. A sleeping Space is
    woken, a starting one is waited for, and a full queue is waited out, all within ``timeout``. A paused or
    broken Space ends the task with its reason and the end of its log. An error of the app ends the task in
    the app's own words. If the task is killed, the call is cancelled in the app.

    With ``deferrable`` the worker checks and sends the call, and the triggerer waits for the answer. A plain
    request without ``poll`` is answered within a minute, and is waited for in the worker.

    Returns the answer: for ``api`` the output of the function, or the list of its outputs; for ``path`` the
    JSON or text. Files of the answer, and an answer of more than 256 KiB, need ``output``.

    Endpoints: ``GET /api/spaces/{repo_id}`` and ``GET /api/spaces/{repo_id}/runtime`` on the Hub; the app's
    own endpoints in the Space.

    :param api: the endpoint of a Gradio app, such as ``/predict``. Templated.
    :param inputs: the inputs of ``api``, by name or as a list by position. Inputs that are left out take the
        app's defaults. Templated.
    :param files: names or positions of inputs that are files to upload: local paths or URLs of a storage such
        as ``s3://…``. A web address needs no upload. Default: none. Templated.
    :param path: the path of a plain HTTP app, such as ``/v1/embed``, instead of ``api``. Templated.
    :param method: the HTTP method with ``path``. Default: ``POST``. Templated.
    :param json: the body with ``path``, as JSON. Templated.
    :param data: the body with ``path``, as text. Templated.
    :param headers: further headers with ``path``. The connection's token is never sent in them. Templated.
    :param query: values after the ``?`` with ``path``. Templated.
    :param poll: how to follow an app that answers 202 and the address of a status: ``True``, a number of
        seconds between two looks, or a mapping of ``interval``, ``url``, ``field``, ``done``, ``failed``,
        ``result``. Default: no polling.
    :param answer: what ``path`` answers: ``"json"`` (default), ``"text"``, or ``"bytes"`` into ``output``.
    :param output: a folder for files of the answer and for an answer of more than 256 KiB: a local path, or a
        URL of a storage. Files are replaced by their paths, a large answer by ``{"output", "bytes"}``.
        A mapped task writes into the folder of its map index in it. Default: none. Templated.
    :param on_lost: what to do if the app has accepted the call and its answer is lost, because the app or the
        triggerer started again: ``"fail"`` (default) fails the task, ``"again"`` sends the call again. The
        app may have done the work in either case.
    :param wake: whether to wake a sleeping Space. Default: True.
    :param app_conn_id: a connection with the login of the app itself: user name and password, or a bearer
        token as the password alone. Default: none. Templated.
    :param allow_unlisted: whether ``api`` may be an endpoint that the app does not document. Default: False.
    :param health: an answer of the app to wait for before the call: ``True`` for its start page, a path, or a
        mapping with ``path``, ``status``, ``json`` and ``text``. Default: none. Templated.
    :param stream_logs: show the Space's own log in the task's log during the call and each wait:
        ``"build"``, ``"run"`` or ``"both"``. Default: none.
    :param timeout: seconds that the task may take in all, with every wait. Default: 1800.
    :param poll_interval: seconds between two looks at the Space while the task waits for it (default: as few
        as the Hub's quota allows, and no fewer than 2).
    :param deferrable: wait in the triggerer, without a worker. Default: Airflow's ``[operators]
        default_deferrable``.
    :raises InvalidInput: for arguments that are not valid.
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "api",
        "inputs",
        "files",
        "path",
        "method",
        "json",
        "data",
        "headers",
        "query",
        "output_path",
        "app_conn_id",
    )
    template_fields_renderers = {"inputs": "json", "json": "json", "headers": "json", "query": "json"}
    text_fields = ("api", "inputs", "path", "method", "json", "data", "headers", "query", "output_path")
    renamed_arguments = {"output": "output_path"}
    runs_on_space_hardware = True
    needs_token = False

    def __init__(
        self,
        *,
        api: str | None = None,
        inputs: Mapping[str, Any] | Sequence[Any] | str | None = None,
        files: Sequence[str | int] | str = (),
        path: str | None = None,
        method: str = "POST",
        json: Any = None,
        data: str | None = None,
        headers: Mapping[str, str] | str | None = None,
        query: Mapping[str, Any] | str | None = None,
        poll: Any = None,
        answer: str = "json",
        output: str | None = None,
        on_lost: str = "fail",
        wake: bool = True,
        app_conn_id: str | None = None,
        allow_unlisted: bool = False,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.operators.app.checks import refuse_bad_call

        super().__init__(**kwargs)
        self.api = api
        self.inputs = inputs
        self.files = files
        self.path = path
        self.method = method
        self.json = json
        self.data = data
        self.headers = headers
        self.query = query
        self.poll = poll
        self.answer = answer
        self.output_path = output
        self.on_lost = on_lost
        self.wake = wake
        self.app_conn_id = app_conn_id
        self.allow_unlisted = allow_unlisted
        self.remember_text()
        refuse_bad_call(self)

    @cached_property
    def space_call(self) -> SpaceCall:
        """The call of this try."""
        from airflow_provider_hfspaces.operators.app.calling import SpaceCall

        return SpaceCall(self)

    def act(self, repo_id: str, context: Context) -> Any:
        return self.space_call.begin(repo_id, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> Any:
        """Call the app, after the Space runs."""
        return self.space_call.call_app(repo_id, context, **then)

    def on_kill(self) -> None:
        """Cancel the call in the app, over a connection of its own."""
        self.killed.set()
        if "space_call" in vars(self):  # A signal handler imports nothing that it can avoid.
            self.space_call.cancel()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait for the Space, for its queue or for the answer."""
        if "of" not in event:
            return super().execute_complete(context, event)
        from airflow_provider_hfspaces.assets import describe_outlets
        from airflow_provider_hfspaces.failures import failing_for_good

        repo_id = event["repo_id"]
        with failing_for_good():
            result = self.space_call.resume(repo_id, context, event)
        describe_outlets(self, context, repo_id, result)
        return result
