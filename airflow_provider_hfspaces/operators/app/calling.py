"""SpaceCall: the way of one call through sleep, a full queue, losses and the triggerer.

Only a running task imports this module.
"""

from __future__ import annotations

import contextlib
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.app_log import AppLog
from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.cost.prices import replicas_of
from airflow_provider_hfspaces.hub.errors import error_from_dict
from airflow_provider_hfspaces.hub.waiting.goal import Failed, Goal
from airflow_provider_hfspaces.hub.waiting.wait import wait_failed
from airflow_provider_hfspaces.operators.app.call_arguments import PlannedCall
from airflow_provider_hfspaces.operators.base import BACKSTOP_SECONDS, time_limit
from airflow_provider_hfspaces.operators.health import health_check
from airflow_provider_hfspaces.space_app.answers import AnswerKeeper
from airflow_provider_hfspaces.space_app.errors import (
    AppCallLost,
    AppQueueFull,
    AppRateLimited,
    AppTimeout,
    AppUnavailable,
    SpaceAppError,
)
from airflow_provider_hfspaces.space_app.health_check import HealthCheck
from airflow_provider_hfspaces.space_app.started import StartedCall
from airflow_provider_hfspaces.triggers.apps import SpaceCallTrigger, SpaceQueueTrigger

if TYPE_CHECKING:
    from airflow_provider_hfspaces.operators.app.call import CallSpaceOperator
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.plain import AppResponse
    from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["SpaceCall"]

_SENDING_SECONDS = 600.0
"""How long the worker may take to upload files and to send a call whose answer a triggerer reads."""

_LONGEST_PAUSE_SECONDS = 20.0
_SIZE = re.compile(r"max size is (\d+)", re.IGNORECASE)


class SpaceCall:
    """The call of an app by an operator, in this process.

    :param task: the operator.
    """

    def __init__(self, task: CallSpaceOperator) -> None:
        self._task = task
        self._calls_under_way: list[tuple[SpaceApp, StartedCall | None]] = []
        """What to cancel if the task is killed."""

    def begin(self, repo_id: str, context: Context) -> Any:
        """Check the arguments, wait until the Space runs, and call its app."""
        PlannedCall(self._task, context).check_folder()
        now = time.time()
        deadline = now + time_limit(self._task, self._task.timeout)
        return self.reach(repo_id, context, began=now, deadline=deadline)

    def cancel(self) -> None:
        """Cancel the calls in the app, over a connection of its own."""

        for app, started in self._calls_under_way:
            try:
                app.cancel(started.accepted if started else None)
            except SpaceAppError as error:  # noqa: PERF203
                self._task.log.error("The task was killed, and its call could not be cancelled: %s", error)

    def reach(self, repo_id: str, context: Context, **then: Any) -> Any:
        """Wait until the Space runs, and call its app.

        :param then: keyword arguments for :meth:`call_app`.
        """

        remaining = then["deadline"] - time.time()
        if remaining <= 0:
            raise self._too_late(repo_id, then)
        with self._task.hook.open_app(repo_id) as app, self._task.space_wait.explaining_failures():
            self._task.space_logs.begin()
            before = self._task.hook.wake_app(app, wake=self._task.wake)
        runtime = before or self._task.hook.get_runtime(repo_id)
        if Goal().is_reached_by(runtime) and not self._task.health and not then.get("refusals"):
            return self.call_app(repo_id, context, **then)
        return self._task.wait(
            repo_id, Goal(), context, before=before, then=then, timeout=remaining, health=self._check(then)
        )

    def _check(self, then: Mapping[str, Any]) -> Any:
        """The answer to wait for: after a refusal at least that of a Gradio app."""

        check = health_check(self._task.health)
        if check is None and then.get("refusals"):
            check = (
                HealthCheck("/config") if self._task.api else HealthCheck("/", status=tuple(range(200, 500)))
            )
        return check

    def call_app(
        self, repo_id: str, context: Context, *, began: float, deadline: float, refusals: int = 0
    ) -> Any:
        """Call the app of a Space that runs.

        :param began: when the task began, in seconds since 1970.
        :param deadline: when the task has to end, in seconds since 1970.
        :param refusals: how often the app has not taken the call yet.
        """

        planned = PlannedCall(self._task, context)
        then = {"began": began, "deadline": deadline, "refusals": refusals}
        try:
            if self._task.deferrable and planned.may_wait_elsewhere:
                return self._start(planned, repo_id, then)
            return self._call_here(planned, repo_id, then)
        except AppCallLost as error:
            return self._lost(error, repo_id, context, then)
        except (AppQueueFull, AppRateLimited) as error:
            return self._refused(error, repo_id, context, then)
        except AppUnavailable as error:
            if error.permanent:
                raise
            if error.may_have_run:
                return self._lost(error, repo_id, context, then)
            self._task.log.warning("%s", error)
            self._pause(error, repo_id, then)
            return self.reach(repo_id, context, **{**then, "refusals": refusals + 1})

    def _call_here(self, planned: PlannedCall, repo_id: str, then: Mapping[str, Any]) -> Any:
        """Send the call, and wait for its answer in this worker."""

        self._task.log.info("Calling %s of Space %s.", planned.name, repo_id)
        with self._opened(repo_id) as app:

            def recover(error: Exception) -> None:
                if self._task.killed.is_set():
                    raise self._was_killed(repo_id)
                with self._task.space_wait.explaining_failures():
                    self._task.hook.await_app(
                        app,
                        timeout=then["deadline"] - time.time(),
                        poll_interval=self._task.poll_interval,
                        wake=self._task.wake,
                        stop=self._task.killed,
                    )

            with self._task.space_logs.showing(repo_id):
                result = planned.call(
                    app, self._remaining(repo_id, then), recover, AppLog(repo_id, self._task.log)
                )
            return self._answered(planned, app, result, repo_id, then)

    def _start(self, planned: PlannedCall, repo_id: str, then: Mapping[str, Any]) -> Any:
        """Send the call, and wait for its answer in the triggerer."""

        with self._opened(repo_id) as app:
            if planned.needs_a_reader(app):
                self._task.log.info(
                    "%s of Space %s runs on ZeroGPU, which ends unread calls. Waiting in the worker.",
                    planned.name,
                    repo_id,
                )
                return self._call_here(planned, repo_id, then)
            self._task.log.info("Calling %s of Space %s.", planned.name, repo_id)
            started = planned.start(app, min(self._remaining(repo_id, then), _SENDING_SECONDS))
            if not isinstance(started, StartedCall):
                return self._answered(planned, app, started, repo_id, then)
            self._calls_under_way.append((app, started))
        if self._task.killed.is_set():
            self.cancel()
            raise self._was_killed(repo_id)
        self._task.log.info(
            "Space %s has accepted the call. Waiting for its answer in the triggerer.", repo_id
        )
        self._defer(SpaceCallTrigger, repo_id, then, call=started.to_dict(), output=planned.folder_path)
        return None

    def _refused(self, error: SpaceAppError, repo_id: str, context: Context, then: Mapping[str, Any]) -> Any:
        """Wait until the app takes a call that it has refused, and send it again."""

        if then["deadline"] - time.time() <= 0:
            raise error
        again = {**then, "refusals": then["refusals"] + 1}
        if not self._task.deferrable:
            self._pause(error, repo_id, then)
            return self.call_app(repo_id, context, **again)
        self._task.log.warning("%s Waiting for a free place in the triggerer.", error)
        self._defer(
            SpaceQueueTrigger,
            repo_id,
            again,
            places=_places(error),
            delay=float(error.retry_after or 0.0),
        )
        return None

    def _lost(self, error: SpaceAppError, repo_id: str, context: Context, then: Mapping[str, Any]) -> Any:
        """Fail with the reason of the Space if it has one, or send a lost call again."""

        if self._task.killed.is_set():
            raise self._was_killed(repo_id) from error
        if self._task.on_lost == "again":
            self._task.log.warning("%s It is sent again, because on_lost is 'again'.", error)
            return self.reach(repo_id, context, **then)
        runtime = self._task.hook.get_runtime(repo_id)
        verdict = Goal().judge(runtime)
        if isinstance(verdict, Failed):
            with self._task.space_wait.explaining_failures():
                self._task.log.error("%s", error)
                raise wait_failed(repo_id, Goal(), verdict, runtime)
        raise error

    def resume(self, repo_id: str, context: Context, event: Mapping[str, Any]) -> Any:
        """Continue after a wait in the triggerer for the answer or for a free place.

        :param event: the trigger's event.
        """

        self._task.space_logs.resume(event)
        then = event["then"]
        if event["status"] == "answered":
            self._log_answer(repo_id, event["seconds"], then)
            return event["value"]
        if event["status"] == "free":
            return self.call_app(repo_id, context, **then)
        error = error_from_dict(event["error"]) if event.get("error") else self._too_late(repo_id, then)
        if event["status"] == "lost":
            assert isinstance(error, AppCallLost)
            self._forget_lost(repo_id, event)
            return self._lost(error, repo_id, context, then)
        raise error

    def _forget_lost(self, repo_id: str, event: Mapping[str, Any]) -> None:
        """Cancel a lost call before it is sent again: the app may still work on it, for nobody."""

        if self._task.on_lost != "again" or not event.get("call"):
            return
        accepted = StartedCall.from_dict(event["call"]).accepted
        if accepted is not None:
            with self._opened(repo_id) as app, contextlib.suppress(SpaceAppError):
                app.cancel(accepted)

    def _answered(
        self,
        planned: PlannedCall,
        app: SpaceApp,
        result: AppResult | AppResponse,
        repo_id: str,
        then: Mapping[str, Any],
    ) -> Any:
        self._log_answer(repo_id, getattr(result, "seconds", None), then)
        if getattr(result, "files", None) and not planned.folder_path:
            self._task.log.warning(
                "The answer of Space %s names files, which stay in the app until it starts again. Set output "
                "to a folder to keep them.",
                repo_id,
            )
        return AnswerKeeper(app, planned.folder()).keep(result, planned.answer)

    def _log_answer(self, repo_id: str, worked: float | None, then: Mapping[str, Any]) -> None:
        work = "" if worked is None else f", of which the app worked {worked:.1f}"
        self._task.log.info(
            "Space %s answered after %.1f seconds%s.", repo_id, time.time() - then["began"], work
        )

    @contextmanager
    def _opened(self, repo_id: str) -> Iterator[SpaceApp]:
        """Open the app, and cancel its calls if the task is killed meanwhile."""

        replicas = replicas_of(self._task.hook.get_runtime(repo_id))
        with self._task.hook.open_app(
            repo_id, app_conn_id=self._task.app_conn_id or None, replicas=replicas, connections=1
        ) as app:
            entry: tuple[SpaceApp, StartedCall | None] = (app, None)
            self._calls_under_way.append(entry)
            try:
                yield app
            finally:
                self._calls_under_way.remove(entry)

    def _pause(self, error: SpaceAppError, repo_id: str, then: Mapping[str, Any]) -> None:
        """Wait before the next try, in this worker: longer with each refusal."""
        longest = min(_LONGEST_PAUSE_SECONDS, 2.0 ** min(then["refusals"], 10))
        delay = error.retry_after or random.uniform(longest / 2, longest)
        if delay >= then["deadline"] - time.time():
            raise error
        if self._task.killed.wait(delay):
            raise self._was_killed(repo_id)

    def _remaining(self, repo_id: str, then: Mapping[str, Any]) -> float:
        remaining = float(then["deadline"] - time.time())
        if remaining <= 0:
            raise self._too_late(repo_id, then)
        return remaining

    def _too_late(self, repo_id: str, then: Mapping[str, Any]) -> SpaceAppError:
        seconds = then["deadline"] - then["began"]
        return AppTimeout(
            f"Space {repo_id} did not take the call within {seconds:.0f} seconds. Nothing ran. Raise "
            f"timeout, or call it when it has less to do.",
            repo_id=repo_id,
        )

    def _was_killed(self, repo_id: str) -> AirflowFailException:
        return AirflowFailException(f"Space {repo_id}: the task was killed, and its call was cancelled.")

    def _defer(self, trigger: Any, repo_id: str, then: Mapping[str, Any], **arguments: Any) -> None:
        """Wait in the triggerer. Does not return: the task resumes in ``execute_complete``."""
        self._task.defer(
            trigger=trigger(
                repo_id=repo_id,
                deadline=then["deadline"],
                started=then["began"],
                hf_spaces_conn_id=self._task.hf_spaces_conn_id,
                app_conn_id=self._task.app_conn_id or None,
                then=dict(then),
                logs=self._task.space_logs.progress_values(repo_id),
                **arguments,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=max(0.0, then["deadline"] - time.time()) + BACKSTOP_SECONDS),
        )


def _places(error: SpaceAppError) -> int | None:
    """How many calls may wait in the app's queue, if the app has said so."""
    match = _SIZE.search(f"{error.app_message} {error}")
    return int(match[1]) if match else None
