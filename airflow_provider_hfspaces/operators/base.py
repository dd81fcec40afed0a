"""The bases of the operators: for one Space, for a wait, and for any task that uses the hook."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseOperator, BaseOperatorLink, Context
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink
from airflow_provider_hfspaces.operators.health import health_check, refuse_bad_health
from airflow_provider_hfspaces.operators.naming import NamedBySpace, name_by_space
from airflow_provider_hfspaces.operators.run_costs import SeesSpace
from airflow_provider_hfspaces.operators.space_logs import ShowsSpaceLogs, refuse_bad_stream_logs
from airflow_provider_hfspaces.rendered import is_runtime_value

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck

__all__ = [
    "BACKSTOP_SECONDS",
    "HubTask",
    "NamedBySpace",
    "SpaceOperator",
    "WaitingOperator",
    "name_by_space",
    "time_limit",
]

BACKSTOP_SECONDS = 600.0
"""Time between a trigger's own deadline and the deferral's timeout, at which Airflow gives the trigger up."""

_ARGUMENT_NAMES = {
    "changes_nothing": "dry_run",
    "pause_after": "pause",
    "wait_until_back": "wait",
    "wait_until_running": "wait",
}
"""The arguments that are kept in attributes of other names."""


class HubTask:
    """Base of every operator and sensor of this package: the connection's hook, and a way to end a wait."""

    hf_spaces_conn_id: str

    runs_on_space_hardware = False
    """Whether the task needs the Space to be on the hardware of a SpaceHardwareTaskGroup around the task."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an argument.

        :raises ValueError: for the output of a task in an argument that Airflow does not render: the task
            would take it for a value, and would not wait for the task.
        """
        if is_runtime_value(value) and name not in {
            "repo_id",  # Of a copy it is from_id, which is rendered.
            *self.template_fields,  # type: ignore[attr-defined]
            *getattr(self, "secret_fields", ()),
        }:
            argument = f"{_ARGUMENT_NAMES.get(name, name)} of {type(self).__name__}"
            raise ValueError(
                f"{argument} {getattr(self, 'task_id', '')!r} comes from a task or a mapped task group, and "
                f"is needed when the DAG is parsed: pass a plain value."
            )
        super().__setattr__(name, value)

    @cached_property
    def hook(self) -> HfSpacesHook:
        """The hook of the connection, built once per try."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

        return HfSpacesHook(self.hf_spaces_conn_id)

    @cached_property
    def killed(self) -> threading.Event:
        """Set when the task is killed, to end its wait."""
        # Not in __init__: Airflow copies operators, and an event cannot be copied.
        return threading.Event()

    def defer_wait(self, repo_id: str, goal: Goal, *, timeout: float, **arguments: Any) -> None:
        """Wait in the triggerer. Does not return: the task resumes in ``execute_complete``.

        :param timeout: seconds from now to the end of the wait.
        :param arguments: further arguments of
            :class:`~airflow_provider_hfspaces.triggers.spaces.SpaceTrigger`.
        """
        from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger

        now = time.time()
        self.defer(  # type: ignore[attr-defined]
            trigger=SpaceTrigger(
                repo_id=repo_id,
                goal=goal,
                hf_spaces_conn_id=self.hf_spaces_conn_id,
                started=now,
                deadline=now + timeout,
                **arguments,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=timeout + BACKSTOP_SECONDS),
        )


def time_limit(task: Any, timeout: float) -> float:
    """Returns the seconds that a wait may take: no longer than the task's ``execution_timeout``.

    Airflow 3.3 ignores ``execution_timeout`` while a task is deferred.
    """
    if task.execution_timeout is None:
        return timeout
    return min(timeout, float(task.execution_timeout.total_seconds()))


class SpaceOperator(NamedBySpace, HubTask, BaseOperator):
    """Base of the operators on one Space.

    The task has the links "Open Space" and "Space logs" from the moment it begins. Mapped over Spaces, its
    instances bear the names of their Spaces. Errors that a retry cannot fix fail the task at once.

    :param repo_id: the Space: ``owner/name``, the name alone if the connection has a namespace, or the
        address of the Space's page. Templated.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    """

    template_fields: Sequence[str] = ("repo_id", "hf_spaces_conn_id")
    operator_extra_links: Sequence[BaseOperatorLink] = (SpaceLink(), SpaceLogsLink())
    ui_color = "#ffd21e"
    ui_fgcolor = "#1f2937"

    needs_token = True
    """Whether the operator changes the Space, which the Hub allows only with a token."""

    def __init__(self, *, repo_id: str, hf_spaces_conn_id: str = "hf_spaces_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.repo_id = repo_id
        self.hf_spaces_conn_id = hf_spaces_conn_id
        name_by_space(self)

    def execute(self, context: Context) -> Any:
        """Run the operator on its Space.

        :raises AirflowFailException: for errors that a retry cannot fix.
        """
        return self.act_on(self.repo_id, context)

    def act_on(self, space: str, context: Context) -> Any:
        """Run the operator on a Space that is named in any form."""
        from airflow_provider_hfspaces.assets import describe_outlets
        from airflow_provider_hfspaces.failures import failing_for_good

        with failing_for_good():
            repo_id = self.hook.repo_id(space)
            if self.needs_token:
                self.hook.require_token(repo_id)
            self.link(context, repo_id)
            result = self.act(repo_id, context)
        describe_outlets(self, context, repo_id, result)
        return result

    @abstractmethod
    def act(self, repo_id: str, context: Context) -> Any:
        """Do the operator's work. The result becomes the task's XCom."""

    def link(self, context: Context, repo_id: str) -> None:
        """Point the task's links to this Space."""
        for link in (SpaceLink, SpaceLogsLink):
            link.persist(context, self.hook.settings.endpoint, repo_id)


class WaitingOperator(ShowsSpaceLogs, SeesSpace, SpaceOperator):
    """Base of the operators that wait for a Space, in a worker or deferred.

    ``timeout`` and ``poll_interval`` take a number of seconds, a number as text or a ``timedelta``.

    :param health: the answer of the app that the task waits for as well, after the Space runs: ``True`` for
        its start page, a path such as ``"/health"``, or a mapping with ``path``, ``status``, ``json`` and
        ``text`` (default: none). Templated.
    :param timeout: seconds from the beginning of the wait to its end; by default 1800.
    :param poll_interval: seconds between two looks at the Space (default: as few as the share of the Hub's
        quota that ``[hf_spaces] quota_share`` sets allows, and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker; by default Airflow's
        ``[operators] default_deferrable``.
    :raises InvalidInput: for a duration, a health check or ``stream_logs`` that is not valid.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "health")
    template_fields_renderers = {"health": "json"}

    def __init__(
        self,
        *,
        timeout: float | str | timedelta = 1800,
        poll_interval: float | str | timedelta | None = None,
        health: Any = None,
        stream_logs: str | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.compat.config import default_deferrable
        from airflow_provider_hfspaces.hub.seconds import checked_interval, checked_seconds

        super().__init__(**kwargs)
        self.timeout = checked_seconds(timeout, f"timeout of task {self.task_id!r}", zero=True)
        self.poll_interval = checked_interval(poll_interval, f"poll_interval of task {self.task_id!r}")
        self.health = health
        refuse_bad_health(health, f"Task {self.task_id!r}")
        self.stream_logs = stream_logs
        refuse_bad_stream_logs(stream_logs, f"task {self.task_id!r}")
        self.deferrable = default_deferrable() if deferrable is None else deferrable

    def act_on(self, space: str, context: Context) -> Any:
        """Run the operator on a Space, after the check of what its app has to answer."""
        from airflow_provider_hfspaces.failures import failing_for_good

        self.forget_logs()
        with failing_for_good():
            health_check(self.health)
        return super().act_on(space, context)

    def wait(
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
        """Wait until a Space reaches a goal, and return what :meth:`waited` makes of it.

        If the task is deferred, this does not return: the task resumes in :meth:`execute_complete`.

        :param before: the runtime when a request was sent to the Space.
        :param answer: the runtime with which the Hub answered that request.
        :param grace: seconds during which the Hub may still report the state before the request.
        :param put_back: the snapshot to restore if a user kills the task while it is deferred.
        :param lease_holder: the holder of the lease under which to restore it.
        :param then: keyword arguments for :meth:`waited`, as plain JSON.
        :param timeout: seconds from now to the end of the wait; by default those of the operator.
        :param health: the answer of the app to wait for; by default that of the operator.
        :param start_timeout: seconds that the Space may take to start once it is built; by default no limit.
        :raises SpaceWaitError: after the last lines of the Space's own log, if its build or app failed.
        """
        timeout = time_limit(self, self.timeout) if timeout is None else timeout
        check = health or health_check(self.health)
        self.note_request(context, repo_id, before, answer)
        if self.deferrable:
            reached = self._if_reached(repo_id, goal, check) if before is None else None
            if reached is not None:
                return self.waited(repo_id, reached, context, **(then or {}))
            self._log_wait(repo_id, goal, check, timeout, "in the triggerer")
            self.defer_wait(
                repo_id,
                goal,
                timeout=timeout,
                poll_interval=self.poll_interval,
                grace=grace,
                before=before.to_dict() if before else None,
                answer=answer.to_dict() if answer else None,
                put_back={**put_back.to_dict(), "lease_holder": lease_holder} if put_back else None,
                health=check.to_dict() if check else None,
                start_timeout=start_timeout,
                changes=self.seen.to_list(),
                logs=self.log_progress_values(repo_id),
                then=then,
            )
        self._log_wait(repo_id, goal, check, timeout, "in this worker")
        seeing = self.pushing_sightings(context, repo_id)
        with seeing, self._explaining_failures(), self.showing_logs(repo_id):
            runtime = self.hook.wait_for(
                repo_id,
                goal,
                timeout=timeout,
                poll_interval=self.poll_interval,
                before=before,
                answer=answer,
                grace=grace,
                stop=self.killed,
                on_change=self.note_change(repo_id),
                health=check,
                start_timeout=start_timeout,
            )
        return self.waited(repo_id, runtime, context, **(then or {}))

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> Any:
        """Finish the task after the Space has reached the goal. The result becomes the task's XCom."""
        return runtime.to_dict()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait.

        :param event: the trigger's event. It holds everything that is needed: ``dag.test()`` passes on
            nothing else.
        :raises AirflowFailException: for errors that a retry cannot fix.
        """
        from airflow_provider_hfspaces.assets import describe_outlets
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.errors import error_from_dict
        from airflow_provider_hfspaces.hub.models import SpaceRuntime

        self.resume_logs(event)
        self.seen.extend(event.get("changes"))
        seeing = self.pushing_sightings(context, event["repo_id"])
        with failing_for_good(), seeing, self._explaining_failures():
            if event["status"] != "reached":
                raise error_from_dict(event["error"])
        runtime = SpaceRuntime.from_dict(event["runtime"])
        repo_id, elapsed = event["repo_id"], time.time() - event["since"]
        # The triggerer's own log has each change of stage, but not every deployment keeps that log.
        self.log.info("Space %s is %s, after %.0f seconds.", repo_id, describe(runtime), elapsed)
        with failing_for_good():
            result = self.waited(repo_id, runtime, context, **(event["then"] or {}))
        describe_outlets(self, context, repo_id, result)
        return result

    def goes_on_after(self, error: SpaceWaitError) -> bool:
        """Whether a failed wait does not end the task, for operators that try something else after one."""
        return False

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        """Act on a failed wait, for operators that have to clean up or log after one."""

    def _log_wait(
        self, repo_id: str, goal: Goal, check: HealthCheck | None, timeout: float, place: str
    ) -> None:
        self.log.info(
            "Waiting until Space %s is %s%s, for at most %.0f seconds, %s.",
            repo_id,
            goal,
            f" and its app answers {check}" if check else "",
            timeout,
            place,
        )

    @contextmanager
    def _explaining_failures(self) -> Iterator[None]:
        from airflow_provider_hfspaces.failures import log_space_log
        from airflow_provider_hfspaces.hub.errors import SpaceWaitError

        try:
            yield
        except SpaceWaitError as error:
            if self.goes_on_after(error):
                raise
            log_space_log(self.log, self.hook, error, unless=self.has_shown_log)
            if not self.killed.is_set():
                self.on_failed_wait(error)
            raise

    def _if_reached(self, repo_id: str, goal: Goal, check: HealthCheck | None) -> SpaceRuntime | None:
        """Returns the runtime if the goal is already reached, so that no triggerer is needed.

        :raises SpaceWaitFailed: if the Space does not reach the goal by itself any more.
        """
        from airflow_provider_hfspaces.hub.waiting.wait import Wait

        with self._explaining_failures():
            runtime = Wait(repo_id, goal, timeout=self.timeout).observe(self.hook.get_runtime(repo_id), 0.0)
        if runtime is not None and check is not None and not self.hook.app_health(repo_id, check):
            return None
        return runtime
