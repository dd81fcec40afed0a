"""How an operator waits for its Space, in a worker or deferred. Only a running task imports this module."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.assets import describe_outlets
from airflow_provider_hfspaces.failures import failing_for_good, log_space_log
from airflow_provider_hfspaces.hooks.hfspaces import describe
from airflow_provider_hfspaces.hub.errors import SpaceWaitError, error_from_dict
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.waiting.wait import Wait
from airflow_provider_hfspaces.operators.base import time_limit
from airflow_provider_hfspaces.operators.health import health_check

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.operators.base import WaitingOperator
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck

__all__ = ["SpaceWait"]


class SpaceWait:
    """The waits of an operator for its Space.

    :param task: the operator.
    """

    def __init__(self, task: WaitingOperator) -> None:
        self._task = task

    def begin(
        self,
        repo_id: str,
        goal: Goal,
        context: Context,
        *,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = 30.0,
        put_back: SpaceSnapshot | None = None,
        lease_holder: str | None = None,
        then: dict[str, Any] | None = None,
        timeout: float | None = None,
        health: HealthCheck | None = None,
        start_timeout: float | None = None,
    ) -> Any:
        """Wait until a Space reaches a goal, and return what the task's ``waited`` makes of it.

        If the task is deferred, this does not return: the task resumes in ``execute_complete``.

        :param before: the runtime when a request was sent to the Space.
        :param answer: the runtime with which the Hub answered that request.
        :param grace: seconds during which the Hub may still report the state before the request.
        :param put_back: the snapshot to restore if a user kills the task while it is deferred.
        :param lease_holder: the holder of the lease under which to restore it.
        :param then: keyword arguments for the task's ``waited``, as plain JSON.
        :param timeout: seconds from now to the end of the wait; by default those of the task.
        :param health: the answer of the app to wait for; by default that of the task.
        :param start_timeout: seconds that the Space may take to start once it is built; by default no limit.
        :raises SpaceWaitError: after the last lines of the Space's own log, if its build or app failed.
        """
        task = self._task
        timeout = time_limit(task, task.timeout) if timeout is None else timeout
        check = health or health_check(task.health)
        task.seen.note_request(context, repo_id, before, answer)
        if task.deferrable:
            reached = self._if_reached(repo_id, goal, check) if before is None else None
            if reached is not None:
                return task.waited(repo_id, reached, context, **(then or {}))
            self._log_wait(repo_id, goal, check, timeout, "in the triggerer")
            task.defer_wait(
                repo_id,
                goal,
                timeout=timeout,
                poll_interval=task.poll_interval,
                grace=grace,
                before=before.to_dict() if before else None,
                answer=answer.to_dict() if answer else None,
                put_back={**put_back.to_dict(), "lease_holder": lease_holder} if put_back else None,
                health=check.to_dict() if check else None,
                start_timeout=start_timeout,
                changes=task.seen.to_list(),
                logs=task.space_logs.progress_values(repo_id),
                then=then,
            )
        self._log_wait(repo_id, goal, check, timeout, "in this worker")
        seeing = task.seen.pushing(context, repo_id)
        with seeing, self.explaining_failures(), task.space_logs.showing(repo_id):
            runtime = task.hook.wait_for(
                repo_id,
                goal,
                timeout=timeout,
                poll_interval=task.poll_interval,
                before=before,
                answer=answer,
                grace=grace,
                stop=task.killed,
                on_change=task.seen.note_change(repo_id),
                health=check,
                start_timeout=start_timeout,
            )
        return task.waited(repo_id, runtime, context, **(then or {}))

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait.

        :param event: the trigger's event.
        :raises AirflowFailException: for errors that a retry cannot fix.
        """

        task = self._task
        task.space_logs.resume(event)
        task.seen.extend(event.get("changes"))
        seeing = task.seen.pushing(context, event["repo_id"])
        with failing_for_good(), seeing, self.explaining_failures():
            if event["status"] != "reached":
                raise error_from_dict(event["error"])
        runtime = SpaceRuntime.from_dict(event["runtime"])
        repo_id, elapsed = event["repo_id"], time.time() - event["since"]
        # The triggerer's own log has each change of stage, but not every deployment keeps that log.
        task.log.info("Space %s is %s, after %.0f seconds.", repo_id, describe(runtime), elapsed)
        with failing_for_good():
            result = task.waited(repo_id, runtime, context, **(event["then"] or {}))
        describe_outlets(task, context, repo_id, result)
        return result

    def _log_wait(
        self, repo_id: str, goal: Goal, check: HealthCheck | None, timeout: float, place: str
    ) -> None:
        self._task.log.info(
            "Waiting until Space %s is %s%s, for at most %.0f seconds, %s.",
            repo_id,
            goal,
            f" and its app answers {check}" if check else "",
            timeout,
            place,
        )

    @contextmanager
    def explaining_failures(self) -> Iterator[None]:
        """End the task's log with that of the Space if a wait fails because of the Space."""

        try:
            yield
        except SpaceWaitError as error:
            if self._task.continues_after(error):
                raise
            log_space_log(self._task.log, self._task.hook, error, unless=self._task.space_logs.has_shown)
            if not self._task.killed.is_set():
                self._task.on_failed_wait(error)
            raise

    def _if_reached(self, repo_id: str, goal: Goal, check: HealthCheck | None) -> SpaceRuntime | None:
        """Returns the runtime if the goal is already reached, so that no triggerer is needed.

        :raises SpaceWaitFailed: if the Space does not reach the goal by itself any more.
        """

        with self.explaining_failures():
            runtime = self._task.hook.get_runtime(repo_id)
            reached = Wait(repo_id, goal, timeout=self._task.timeout).observe(runtime, 0.0)
        if reached is not None and check is not None and not self._task.hook.app_health(repo_id, check):
            return None
        return reached
