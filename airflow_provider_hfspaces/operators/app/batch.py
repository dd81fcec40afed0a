"""SpaceBatchOperator: run many items through the app of a Space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import SpaceOperator, refuse_bad_wait, time_limit
from airflow_provider_hfspaces.operators.values import KeepsText, RenamedArguments

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.app.loop_thread import LoopThread
    from airflow_provider_hfspaces.space_app.batch.report import BatchReport

__all__ = ["SpaceBatchOperator"]


class SpaceBatchOperator(RenamedArguments, KeepsText, SpaceOperator):
    """Run many items through the app of a Space: one call for each item, several at a time.

    .. code-block:: python

        SpaceBatchOperator(
            task_id="captions",
            repo_id="acme/caption",
            api="/predict",
            items="s3://aws_default@acme-data/images.jsonl",
            output="s3://aws_default@acme-data/captions/{{ ds }}",
        )

    Each item ends exactly once in ``results.jsonl`` of the output folder, with the app's answer or its
    error, in the order of the items. A journal in that folder says which items are done: a retry, a cleared
    task or a new run with the same output sends only the rest, and the items that failed. A call may run
    more than once in the app: if its answer is lost, or if the worker dies before the answer is in the
    journal.

    The task runs in a worker. It wakes a sleeping Space, waits for a restarting one, repeats lost calls, and
    slows down while the app's queue is full. While calls take long, it visits the app, so that the Space
    does not fall asleep; if the worker dies, the visits end and the Space sleeps after its sleep time. A
    task that is killed cancels its calls in the app and writes the journal.

    Returns ``{"repo_id", "output", "results", "items", "done", "failed", "called", "repeated", "seconds",
    "items_per_second", "hardware", "machines", "billed_seconds", "cost_usd", "cost_per_thousand_items",
    "failures"}``: time, rate and cost cover all tries and runs with this output folder. The cost is an
    estimate from list prices, by the begun minute.

    The log ends with what this run alone cost, such as "13 min of t4-small, about $0.09", which is also the
    XCom ``cost``: ``{"cost_usd", "billed_seconds", "hardware", "billed"}``. Inside a task group that leases
    or copies the Space, the group reports the cost of the whole window.

    Endpoints: ``GET /api/spaces/{repo_id}`` and ``GET /api/spaces/{repo_id}/runtime`` on the Hub; the
    app's own endpoints in the Space.

    :param items: what to send: a list, the output of a task, or the path of a JSON Lines file, local or in a
        storage that Airflow reaches (``.gz`` is decompressed). A mapping holds inputs by name, a list
        inputs by position, and any other value is the first input. Templated.
    :param output: the folder of the results: a local path, or a URL of a storage. Use one folder for each
        set of items. Templated.
    :param api: the endpoint of a Gradio app, such as ``/predict``. Templated.
    :param path: the path of a plain HTTP app, such as ``/v1/embed``, instead of ``api``. An item is the JSON
        body. Templated.
    :param method: the HTTP method with ``path``. Default: ``POST``. Templated.
    :param poll: how to follow an app that answers 202 and the address of a status: ``True``, a number of
        seconds between two looks, or a mapping. Default: no polling.
    :param inputs: inputs that all items share, by name. Templated.
    :param fields: names of inputs, each with the field of the items that it comes from; other fields are
        not sent. Default: each field of an item is an input of its own name. Templated.
    :param files: names of inputs that are paths of files to upload: URLs of a storage, or paths relative to
        the folder of ``items``. Templated.
    :param key: a field of the items, such as an id, to copy into the results. It is sent to the app only if
        ``fields`` names it, or if there is no ``fields``. Templated.
    :param max_in_flight: calls that are open at a time. Default: 4. One more than the app works on at a time
        keeps its queue filled. Templated.
    :param on_item_error: ``"record"`` (default) writes the app's error into the results and continues;
        ``"fail"`` ends the task at the first error.
    :param max_failures: failed items of one try that fail the task when there are more. Default: no limit.
        Templated.
    :param max_tries: how often an item is sent if its call is lost, before it counts as failed. Default: 5.
    :param call_timeout: seconds that one call may take, from sending it to its answer. Default: 3600.
    :param timeout: seconds that the task may take. Default: no limit but ``execution_timeout``.
    :param hardware: refuse to work on any other flavor, also after an interruption. Default: any; inside a
        SpaceHardwareTaskGroup the task checks the group's hardware before it begins. Templated.
    :param wake: whether to wake a sleeping Space. Default: True.
    :param keep_awake: whether to visit the app while calls take long. Default: True.
    :param health: an answer of the app to wait for at the beginning and after each interruption: ``True`` for
        its start page, a path such as ``"/health"``, or a mapping with ``path``, ``status``, ``json`` and
        ``text``. Default: none. Templated.
    :param wait_timeout: seconds that the Space may take to run again after an interruption. Default: 1800.
    :param poll_interval: seconds between two looks at the Space while the task waits for it (default: as few
        as the Hub's quota allows, and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the batch runs: ``"build"``,
        ``"run"`` or ``"both"``. Default: none.
    :param app_conn_id: a connection with the login of the app itself: user name and password, or a bearer
        token as the password alone (default: none). Templated.
    :param allow_unlisted: whether ``api`` may be an endpoint that the app does not document. Default: False.
    :raises InvalidInput: for arguments that are not valid.
    """

    template_fields: Sequence[str] = (
        *SpaceOperator.template_fields,
        "items",
        "output_path",
        "api",
        "path",
        "method",
        "inputs",
        "fields",
        "files",
        "key",
        "max_in_flight",
        "max_failures",
        "hardware",
        "health",
        "app_conn_id",
    )
    template_fields_renderers = {"items": "json", "inputs": "json", "fields": "json", "health": "json"}
    text_fields = ("inputs", "fields", "output_path", "api", "path", "method", "key", "hardware")
    renamed_arguments = {"output": "output_path"}
    outlet_fields = (
        *("items", "done", "failed", "results", "seconds"),
        *("billed_seconds", "cost_usd", "cost_per_thousand_items"),
    )
    runs_on_space_hardware = True
    needs_token = False

    _result: dict[str, Any] | None = None

    def __init__(
        self,
        *,
        items: Any,
        output: str,
        api: str | None = None,
        path: str | None = None,
        method: str = "POST",
        poll: Any = None,
        inputs: Mapping[str, Any] | str | None = None,
        fields: Mapping[str, str] | str | None = None,
        files: Sequence[str] | str | None = None,
        key: str | None = None,
        max_in_flight: int | str = 4,
        on_item_error: str = "record",
        max_failures: int | str | None = None,
        max_tries: int = 5,
        call_timeout: float | str | timedelta = 3600,
        timeout: float | str | timedelta | None = None,
        hardware: str | None = None,
        wake: bool = True,
        keep_awake: bool = True,
        health: Any = None,
        wait_timeout: float | str | timedelta = 1800,
        poll_interval: float | str | timedelta | None = None,
        stream_logs: str | None = None,
        app_conn_id: str | None = None,
        allow_unlisted: bool = False,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.hub.seconds import checked_interval, checked_seconds

        super().__init__(**kwargs)
        self.items = items
        self.output_path = output
        self.api = api
        self.path = path
        self.method = method
        self.poll = poll
        self.inputs = inputs
        self.fields = fields
        self.files = files
        self.key = key
        self.max_in_flight = max_in_flight
        self.on_item_error = on_item_error
        self.max_failures = max_failures
        self.max_tries = max_tries
        task = f"of task {self.task_id!r}"
        self.call_timeout = checked_seconds(call_timeout, f"call_timeout {task}")
        self.timeout = None if timeout is None else checked_seconds(timeout, f"timeout {task}")
        self.hardware = hardware
        self.wake = wake
        self.keep_awake = keep_awake
        self.health = health
        self.wait_timeout = checked_seconds(wait_timeout, f"wait_timeout {task}")
        self.poll_interval = checked_interval(poll_interval, f"poll_interval {task}")
        self.stream_logs = stream_logs
        refuse_bad_wait(f"task {self.task_id!r}", health, stream_logs)
        self.app_conn_id = app_conn_id
        self.allow_unlisted = allow_unlisted
        self.remember_text()
        self._refuse_bad_arguments()

    @cached_property
    def _running(self) -> list[LoopThread[BatchReport]]:
        """The work of this try, once it has begun. Not in __init__: Airflow copies operators."""
        return []

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        """Run the batch, and return its report."""
        from airflow_provider_hfspaces.operators.app.batch_job import BatchJob
        from airflow_provider_hfspaces.operators.app.loop_thread import LoopThread

        self.space_logs.forget()
        job = BatchJob(self, repo_id, context)
        work: LoopThread[BatchReport] = LoopThread(job.run, job.stop)
        self._running.append(work)
        with self.space_logs.showing(repo_id):
            finished = work.run()
        report = job.priced(finished)
        (self.log.warning if report.failed else self.log.info)("%s", report.in_words())
        job.report_cost(report)
        self._result = report.to_dict()
        return self._result

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the Space, the items and the results, for Airflow's provider of OpenLineage."""
        from airflow_provider_hfspaces.lineage import batch_lineage

        return batch_lineage(
            self.hook.settings.endpoint,
            self.hook.repo_id(self.repo_id),
            self.items,
            self.output_path,
            self._result,
        )

    def on_kill(self) -> None:
        """Cancel the calls in the app and write the journal."""
        self.killed.set()
        for work in self._running:
            work.stop("the task was killed")

    @property
    def seconds(self) -> float | None:
        """Seconds that the batch may take; ``None`` without limit."""
        from airflow_provider_hfspaces.hub.seconds import LONGEST_SECONDS

        limit = time_limit(self, LONGEST_SECONDS if self.timeout is None else self.timeout)
        return None if limit >= LONGEST_SECONDS else limit

    def _refuse_bad_arguments(self) -> None:
        """Refuse, when the DAG is parsed, what is not a template and cannot be valid."""
        from airflow_provider_hfspaces.operators.app.batch_arguments import refuse_bad_arguments

        refuse_bad_arguments(self)
