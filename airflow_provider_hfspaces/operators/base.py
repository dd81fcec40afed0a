"""The bases of the operators: for one Space, for a wait, and for any task that uses the hook."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseOperator, BaseOperatorLink, Context
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink
from airflow_provider_hfspaces.rendered import is_runtime_value

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.operators.run_costs import SeenSpace
    from airflow_provider_hfspaces.operators.space_logs import SpaceLogs
    from airflow_provider_hfspaces.operators.waiting import SpaceWait

__all__ = [
    "BACKSTOP_SECONDS",
    "HubTask",
    "NamedBySpace",
    "SpaceOperator",
    "WaitingOperator",
    "deferrable_or_default",
    "has_ended_deferral",
    "name_by_space",
    "refuse_bad_wait",
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
    stream_logs: str | None = None

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

    def prepare_for_execution(self) -> Any:
        """Return the copy that Airflow executes, without what an earlier execution in this process has built.

        Under Airflow 2.11's ``dag.test()``, a task that resumes is a copy of the one that deferred.
        """
        task = super().prepare_for_execution()  # type: ignore[misc]
        for name in list(vars(task)):
            if isinstance(getattr(type(task), name, None), cached_property):
                del task.__dict__[name]
        return task

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

    @cached_property
    def space_logs(self) -> SpaceLogs:
        """What shows the Space's own log in the log of this try."""
        from airflow_provider_hfspaces.operators.space_logs import SpaceLogs

        return SpaceLogs(self)

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


def name_by_space(task: Any) -> None:
    """Name the instances of a task in a mapped task group, which is not mapped itself, after their Spaces."""
    if task.map_index_template is None and task.get_closest_mapped_task_group() is not None:
        task.map_index_template = _name_template(task.space_fields)


def _name_template(fields: tuple[str, ...]) -> str:
    # Not task.repo_id: Airflow 3.0 shows there the argument of a mapped task group before it is rendered.
    return "{{ " + " or ".join(f"ti.task.{field}" for field in fields) + " }}"


def time_limit(task: Any, timeout: float) -> float:
    """Returns the seconds that a wait may take: no longer than the task's ``execution_timeout``.

    Airflow 3.3 ignores ``execution_timeout`` while a task is deferred.
    """
    if task.execution_timeout is None:
        return timeout
    return min(timeout, float(task.execution_timeout.total_seconds()))


def deferrable_or_default(deferrable: bool | None) -> bool:
    """Returns the argument ``deferrable`` of a task: ``None`` stands for Airflow's own default."""
    from airflow_provider_hfspaces.compat.config import default_deferrable

    return default_deferrable() if deferrable is None else deferrable


def refuse_bad_wait(owner: str, health: Any, stream_logs: Any) -> None:
    """Refuse, when the DAG is parsed, arguments of a wait that cannot be valid.

    :param owner: the task or task group, such as ``"task 'upgrade'"``, for the error.
    :raises InvalidInput: naming the owner.
    """
    # Most DAGs have neither, and do not load the checks.
    if health is not None:
        from airflow_provider_hfspaces.operators.health import refuse_bad_health

        refuse_bad_health(health, owner[:1].upper() + owner[1:])
    if stream_logs is not None:
        from airflow_provider_hfspaces.operators.space_logs import refuse_bad_stream_logs

        refuse_bad_stream_logs(stream_logs, owner)


class NamedBySpace:
    """Names the task instances of an operator on one Space after their Spaces.

    An operator that is mapped over anything but Spaces keeps its numbers: its instances share one Space.
    """

    space_fields: tuple[str, ...] = ("repo_id",)
    """The fields that name the Space. The first one that has a value is the name."""

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Returns Airflow's own partial operator, with a default for ``map_index_template``."""
        if any(field not in kwargs for field in cls.space_fields):
            kwargs.setdefault("map_index_template", _name_template(cls.space_fields))
        return super().partial(**kwargs)  # type: ignore[misc]


def has_ended_deferral(next_method: str, error: Exception) -> bool:
    """Returns whether Airflow itself has ended a deferral, because no trigger ended it in time.

    :param next_method: the method with which Airflow resumes the task.
    :param error: what Airflow raises there: TaskDeferralTimeout, and on 2.11
        ``TaskDeferralError("Trigger/execution timeout")``.
    """
    return next_method == "__fail__" and "timeout" in f"{type(error).__name__} {error}".lower()


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
        from airflow_provider_hfspaces.assets import describe_outlets
        from airflow_provider_hfspaces.failures import failing_for_good

        with failing_for_good():
            self.prepare_try()
            repo_id = self.hook.repo_id(self.space(context))
            if self.needs_token:
                self.hook.require_token(repo_id)
            self.link(context, repo_id)
            result = self.act(repo_id, context)
        describe_outlets(self, context, repo_id, result)
        return result

    def prepare_try(self) -> None:
        """Check the rendered arguments before any request, and forget what an earlier try has shown."""

    def space(self, context: Context) -> str:
        """Return the Space to work on, in any form that ``repo_id`` may have."""
        return self.repo_id

    @abstractmethod
    def act(self, repo_id: str, context: Context) -> Any:
        """Do the operator's work. The result becomes the task's XCom."""

    def link(self, context: Context, repo_id: str) -> None:
        """Point the task's links to this Space."""
        for link in (SpaceLink, SpaceLogsLink):
            link.persist(context, self.hook.settings.endpoint, repo_id)


class WaitingOperator(SpaceOperator):
    """Base of the operators that wait for a Space, in a worker or deferred.

    ``timeout`` and ``poll_interval`` take a number of seconds, a number as text or a ``timedelta``.

    :param health: the answer of the app that the task waits for as well, after the Space runs: ``True`` for
        its start page, a path such as ``"/health"``, or a mapping with ``path``, ``status``, ``json`` and
        ``text`` (default: none). Templated.
    :param timeout: seconds from the beginning of the wait to its end (default 1800).
    :param poll_interval: seconds between two looks at the Space (default: as few as the share of the Hub's
        quota that ``[hf_spaces] quota_share`` sets allows, and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's
        ``[operators] default_deferrable``).
    :raises InvalidInput: for a duration, a health check or ``stream_logs`` that is not valid.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "health")
    template_fields_renderers = {"health": "json"}

    records_sightings = False
    """Whether the run of the task has a cost, so that other tasks need what it has seen of the Space."""

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
        from airflow_provider_hfspaces.hub.seconds import checked_interval, checked_seconds

        super().__init__(**kwargs)
        self.timeout = checked_seconds(timeout, f"timeout of task {self.task_id!r}", zero=True)
        self.poll_interval = checked_interval(poll_interval, f"poll_interval of task {self.task_id!r}")
        self.health = health
        self.stream_logs = stream_logs
        refuse_bad_wait(f"task {self.task_id!r}", health, stream_logs)
        self.deferrable = deferrable_or_default(deferrable)

    @cached_property
    def seen(self) -> SeenSpace:
        """What this try has seen of the Space."""
        from airflow_provider_hfspaces.operators.run_costs import SeenSpace

        return SeenSpace(self)

    @cached_property
    def space_wait(self) -> SpaceWait:
        """What waits for the Space in this try."""
        from airflow_provider_hfspaces.operators.waiting import SpaceWait

        return SpaceWait(self)

    def refuse_unless_waiting(self, waits: bool, default_args: Any) -> None:
        """Refuse ``health`` and ``stream_logs`` on a task that does not wait.

        :param default_args: of the task: what comes from them is not refused.
        :raises ValueError: naming the task.
        """
        if waits or not (self.health or self.stream_logs):
            return
        from airflow_provider_hfspaces.operators.health import refuse_unused_health
        from airflow_provider_hfspaces.operators.space_logs import refuse_unused_stream_logs

        refuse_unused_health(self, default_args)
        refuse_unused_stream_logs(self, default_args)

    def prepare_try(self) -> None:
        from airflow_provider_hfspaces.operators.health import health_check

        self.space_logs.forget()
        health_check(self.health)

    def wait(self, repo_id: str, goal: Goal, context: Context, **options: Any) -> Any:
        """Wait until a Space reaches a goal, and return what :meth:`waited` makes of it.

        If the task is deferred, this does not return: the task resumes in :meth:`execute_complete`.

        :param options: of :meth:`~airflow_provider_hfspaces.operators.waiting.SpaceWait.begin`.
        :raises SpaceWaitError: after the last lines of the Space's own log, if its build or app failed.
        """
        return self.space_wait.begin(repo_id, goal, context, **options)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> Any:
        """Finish the task after the Space has reached the goal. The result becomes the task's XCom."""
        return runtime.to_dict()

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait.

        :param event: the trigger's event. It holds everything that is needed: ``dag.test()`` passes on
            nothing else.
        :raises AirflowFailException: for errors that a retry cannot fix.
        """
        return self.space_wait.resume(context, event)

    def continues_after(self, error: SpaceWaitError) -> bool:
        """Whether a failed wait does not end the task, for operators that try something else after one."""
        return False

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        """Act on a failed wait, for operators that have to clean up or log after one."""
