"""BatchJob: the work of SpaceBatchOperator in one try, from its rendered arguments to the report."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException
from airflow_provider_hfspaces.failures import log_space_log
from airflow_provider_hfspaces.hub.cost.prices import replicas_of
from airflow_provider_hfspaces.hub.desired import describe
from airflow_provider_hfspaces.hub.errors import InvalidInput, SpaceWaitError
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES
from airflow_provider_hfspaces.operators.app.batch_arguments import (
    checked_count,
    items_of,
    names_of,
)
from airflow_provider_hfspaces.operators.app.checks import checked_target
from airflow_provider_hfspaces.operators.app.paths import storage_path
from airflow_provider_hfspaces.operators.health import health_check
from airflow_provider_hfspaces.operators.run_costs import is_in_window, report_run_cost
from airflow_provider_hfspaces.space_app.batch.engine import BatchLimits
from airflow_provider_hfspaces.space_app.batch.folder import is_local
from airflow_provider_hfspaces.space_app.batch.inputs import InputMapping
from airflow_provider_hfspaces.space_app.batch.run import SpaceBatch
from airflow_provider_hfspaces.space_app.batch.senders import GradioSender, HttpSender, Sender
from airflow_provider_hfspaces.state.pricing import cost_of_times, prices_or_none

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.app.batch import SpaceBatchOperator
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.batch.report import BatchReport

__all__ = ["BatchJob"]

_LONGEST_QUIET_SECONDS = 300.0
_VISITS_PER_SLEEP_TIME = 3


class BatchJob:
    """One try of a batch.

    Reads items and tries the output folder, and then asks the Hub for the app's address. Nothing is sent to
    the app before :meth:`run`.

    :param task: the operator, with rendered arguments.
    :param repo_id: the Space, as ``owner/name``.
    :param context: the context of the task.
    :raises InvalidInput: for arguments, items or an output folder that are not valid.
    """

    def __init__(self, task: SpaceBatchOperator, repo_id: str, context: Context) -> None:
        self._task, self._repo_id, self._context = task, repo_id, context
        self._where = f"of task {task.task_id!r}"
        self._stop = threading.Event()
        self._api, self._path = task.text("api", context), task.text("path", context)
        checked_target(self._api, self._path, self._where)
        self._items = items_of(task.items, self._where)
        self._mapping = self._input_mapping()
        self._hardware = task.text("hardware", context) or None
        self._health = health_check(task.health)
        max_in_flight = checked_count(task.max_in_flight, f"max_in_flight {self._where}")
        max_failures = task.max_failures
        if max_failures not in (None, "", "None"):
            max_failures = checked_count(max_failures, f"max_failures {self._where}", least=0)
        else:
            max_failures = None
        output = storage_path(task.text("output_path", context), "output")
        self._limits = BatchLimits(
            max_in_flight=max_in_flight,
            stop_on_item_error=task.on_item_error == "fail",
            max_failures=max_failures,
            max_tries=checked_count(task.max_tries, f"max_tries {self._where}"),
            timeout=task.seconds,
            stalled=task.wait_timeout,
        )
        self._batch = SpaceBatch(
            repo_id,
            self._items,
            output,
            holder=_holder(context),
            limits=self._limits,
            key=task.text("key", context) or None,
            recover=self._recover,
            log=task.log,
        )
        self._batch.check()
        runtime = task.hook.get_runtime(repo_id)
        self._app = task.hook.open_app(
            repo_id,
            app_conn_id=task.app_conn_id or None,
            replicas=replicas_of(runtime),
            connections=self._limits.max_in_flight,
        )
        self._batch.limits = self._with_visits(self._limits, runtime)

    async def run(self) -> BatchReport:
        """Run the batch."""
        async with self._app as app:
            return await self._batch.run(self._sender(app))

    def stop(self, reason: str) -> None:
        """End the batch soon. Safe in a signal handler and in another thread."""
        self._stop.set()
        self._batch.stop(reason)

    def priced(self, report: BatchReport) -> BatchReport:
        """Returns the report with the estimated cost, if the Hub's price list can be read."""

        prices = prices_or_none(self._task.hook, "The cost is not known", self._task.log.warning)
        return report if prices is None else replace(report, cost_usd=report.cost_from(prices))

    def report_cost(self, report: BatchReport) -> None:
        """Report what this run cost. A group or a restore around the task counts these minutes itself."""

        task = self._task
        cost = cost_of_times(task.hook, report.billed_times(own=True), task.log)
        report_run_cost(
            task,
            self._context,
            self._repo_id,
            cost,
            began=datetime.now(timezone.utc),
            is_recorded=not is_in_window(task, self._context, self._repo_id),
        )

    def _sender(self, app: SpaceApp) -> Sender:
        task = self._task
        if self._api:
            return GradioSender(
                app,
                self._api,
                self._batch.folder,
                mapping=self._mapping,
                timeout=task.call_timeout,
                allow_unlisted=task.allow_unlisted,
            )
        return HttpSender(
            app,
            self._path,
            self._batch.folder,
            method=task.text("method", self._context),
            poll=task.poll,
            mapping=self._mapping,
            timeout=task.call_timeout,
        )

    async def _recover(self, error: Exception | None) -> dict[str, Any]:
        """Wait until the Space runs, and return what it runs on."""
        if error is not None:
            self._task.log.warning("%s", error)
        runtime = await asyncio.to_thread(self._await_space)
        return {"hardware": runtime.hardware, "replicas": replicas_of(runtime)}

    def _await_space(self) -> SpaceRuntime:
        """Wait until the Space runs on its hardware and its app answers, waking it if it sleeps."""

        task = self._task
        before = task.hook.get_runtime(self._repo_id)
        if before.stage in ASLEEP_STAGES:
            # Nobody pays for a Space that is woken on hardware of no use to the batch.
            self._check_hardware(before, before.configured_hardware)
        try:
            runtime = task.hook.await_app(
                self._app,
                timeout=task.wait_timeout,
                poll_interval=task.poll_interval,
                wake=task.wake,
                health=self._health,
                stop=self._stop,
            )
        except SpaceWaitError as error:
            log_space_log(task.log, task.hook, error)
            raise
        self._check_hardware(runtime, runtime.hardware)
        return runtime

    def _check_hardware(self, runtime: SpaceRuntime, hardware: str | None) -> None:
        if self._hardware not in (None, hardware):
            raise AirflowFailException(
                f"Space {self._repo_id} is not on {self._hardware}, which this task needs: it is "
                f"{describe(runtime)}. Clear the task that requests the hardware together with this one. "
                f"Items that are done are not sent again."
            )

    def _with_visits(self, limits: BatchLimits, runtime: SpaceRuntime) -> BatchLimits:
        """Returns the limits with visits that keep the Space from falling asleep during long calls."""
        sleep_time = runtime.sleep_time
        if not self._task.keep_awake or sleep_time is None or sleep_time <= 0:
            return limits
        return replace(limits, keep_awake=min(sleep_time / _VISITS_PER_SLEEP_TIME, _LONGEST_QUIET_SECONDS))

    def _input_mapping(self) -> InputMapping:
        task, context = self._task, self._context
        return InputMapping(
            constants=task.structure("inputs", context) or {},
            fields=task.structure("fields", context) or None,
            files=names_of(task.files),
            open_file=self._open_file,
        )

    def _open_file(self, text: str) -> Any:
        """Returns the path-like object of a file that an item names.

        Items are data: they may name files in a storage and below the folder of the items, and no other file
        of the worker.
        """

        if "://" in text and not text.startswith("file://"):
            return text if text.startswith(("http://", "https://")) else storage_path(text, "file")
        folder = getattr(self._items, "parent", None)
        name = text.removeprefix("file://")
        if folder is None:
            raise InvalidInput(f"file {text!r} must be the URL of a storage, because items is a list.")
        path = folder / name
        if is_local(folder):
            if not path.resolve().is_relative_to(folder.resolve()):
                raise InvalidInput(
                    f"file {text!r} is outside the folder of the items, {str(folder)!r}. Move it there, or "
                    f"name it by the URL of a storage."
                )
        elif name.startswith("/") or ".." in name.split("/"):
            raise InvalidInput(f"file {text!r} must be relative to the folder of the items, {str(folder)!r}.")
        return path


def _holder(context: Context) -> str:
    """The task instance, without its try: a retry takes the output folder over at once."""
    ti = context["ti"]
    name = f"{ti.dag_id}.{ti.task_id}"
    if ti.map_index is not None and ti.map_index >= 0:
        name += f"[{ti.map_index}]"
    return f"task {name} of run {ti.run_id}"
