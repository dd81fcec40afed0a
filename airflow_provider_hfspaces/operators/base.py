"""What operators share: those on one Space, those that wait for it, and those on many."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.config import default_deferrable
from airflow_provider_hfspaces.compat.imports import BaseOperator, BaseOperatorLink, Context
from airflow_provider_hfspaces.hub.stages import NEEDS_RESTART_STAGES, SpaceStage
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.bulk.selection import SpaceSelection
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
    from airflow_provider_hfspaces.hub.waiting.goal import Goal

__all__ = [
    "NamedBySpace",
    "SelectingOperator",
    "SpaceOperator",
    "WaitingOperator",
    "name_by_space",
    "tell_space_log",
]

_LOG_LINES = 30

_TRIGGER_LATE = 600.0
"""Seconds after the deadline, which the trigger keeps itself, until Airflow gives up on the trigger."""


# Not task.repo_id: Airflow 3.0 shows there what a mapped task group was given, before it is rendered.
_TEMPLATE = "{{ ti.task.repo_id }}"


class NamedBySpace:
    """For operators on one Space: what :attr:`map_index_template` is where nobody says it.

    Mapped over anything else than Spaces, tasks keep their numbers: they all have the same Space.
    """

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """As Airflow's own, for ``expand`` to follow."""
        if "repo_id" not in kwargs:
            kwargs.setdefault("map_index_template", _TEMPLATE)
        return super().partial(**kwargs)  # type: ignore[misc]


def name_by_space(task: Any) -> None:
    """The same for a task in a mapped task group, which is not mapped itself."""
    if task.map_index_template is None and task.get_closest_mapped_task_group() is not None:
        task.map_index_template = _TEMPLATE


class SpaceOperator(NamedBySpace, BaseOperator):
    """Base of the operators on one Space.

    Has the links "Open Space" and "Space logs", which work from the moment the task begins. Mapped
    over Spaces, its task instances go by their names. An error that another try would meet again
    fails the task without using up its retries.

    :param repo_id: the Space, as ``owner/name``, as a name alone where the connection has a
        namespace, or as the address of its page. Templated.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    """

    template_fields: Sequence[str] = ("repo_id", "hf_spaces_conn_id")
    operator_extra_links: Sequence[BaseOperatorLink] = (SpaceLink(), SpaceLogsLink())
    ui_color = "#ffd21e"
    ui_fgcolor = "#1f2937"

    needs_token = True
    """Whether the operator changes something, which the Hub lets nobody do without a token."""

    def __init__(self, *, repo_id: str, hf_spaces_conn_id: str = "hf_spaces_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.repo_id = repo_id
        self.hf_spaces_conn_id = hf_spaces_conn_id
        name_by_space(self)

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

    def execute(self, context: Context) -> Any:
        """Do what the operator is for.

        :raises AirflowFailException: for what another try would meet again.
        """
        return self.act_on(self.repo_id, context)

    def act_on(self, given: str, context: Context) -> Any:
        """Do it to the Space that was given in whatever form."""
        from airflow_provider_hfspaces.failures import failing_for_good

        with failing_for_good():
            repo_id = self.hook.repo_id(given)
            if self.needs_token:
                self.hook.require_token(repo_id)
            self.link(context, repo_id)
            result = self.act(repo_id, context)
        self.describe_outlets(context, repo_id, result)
        return result

    def describe_outlets(self, context: Context, repo_id: str, result: Any) -> None:
        """Say in the event of the outlet that is this Space what has become of it."""
        from airflow_provider_hfspaces.assets import repo_id_of

        if not isinstance(result, dict):
            return
        told = {name: result[name] for name in ("stage", "hardware", "requested_hardware") if name in result}
        for asset in getattr(self, "outlets", None) or ():
            if told and (repo_id_of(asset) or "").casefold() == repo_id.casefold():
                context["outlet_events"][asset].extra.update(told)

    @abstractmethod
    def act(self, repo_id: str, context: Context) -> Any:
        """The operator's own part; its result is the task's XCom."""

    def link(self, context: Context, repo_id: str) -> None:
        """Have the task's links lead to this Space."""
        for link in (SpaceLink, SpaceLogsLink):
            link.persist(context, self.hook.settings.endpoint, repo_id)


class WaitingOperator(SpaceOperator):
    """Base of the operators that wait for a Space, in a worker or deferred.

    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    def __init__(
        self,
        *,
        timeout: float = 1800,
        poll_interval: float = 10,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.deferrable = default_deferrable() if deferrable is None else deferrable

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
        then: dict[str, Any] | None = None,
    ) -> Any:
        """Wait until a Space is where it should be, and return what :meth:`waited` makes of it.

        Deferred, this does not return: the task goes on in :meth:`execute_complete`.

        :param before: what was there when something was asked of the Space.
        :param answer: what the Hub answered to that.
        :param grace: seconds for which a Space that looks as before is only late.
        :param put_back: what to put back if a user kills the task while it is deferred.
        :param then: what :meth:`waited` needs to know besides, as plain JSON.
        :raises SpaceWaitError: after the last lines of the Space's own log, if it failed.
        """
        timeout = self.timeout
        if self.execution_timeout is not None:
            timeout = min(timeout, self.execution_timeout.total_seconds())
        if self.deferrable:
            if before is None and self._is_reached(repo_id, goal):
                return self.waited(repo_id, self.hook.get_runtime(repo_id), context, **(then or {}))
            self._tell_wait(repo_id, goal, timeout, "in the triggerer")
            self._defer(repo_id, goal, timeout, before, answer, grace, put_back, then)
        self._tell_wait(repo_id, goal, timeout, "in this worker")
        with self._telling_failures():
            runtime = self.hook.wait_for(
                repo_id,
                goal,
                timeout=timeout,
                poll_interval=self.poll_interval,
                before=before,
                answer=answer,
                grace=grace,
                stop=self.killed,
            )
        return self.waited(repo_id, runtime, context, **(then or {}))

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> Any:
        """What is left to do when the Space is where it should be; its result is the task's XCom."""
        return runtime.to_dict()

    def _tell_wait(self, repo_id: str, goal: Goal, timeout: float, where: str) -> None:
        self.log.info(
            "Waiting until Space %s is %s, for %.0f seconds at the most, %s.", repo_id, goal, timeout, where
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on after a deferred wait.

        :param event: the trigger's. All that is needed stands in it, since ``dag.test()`` hands
            over nothing else.
        :raises AirflowFailException: for what another try would meet again.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.errors import error_from_dict
        from airflow_provider_hfspaces.hub.models import SpaceRuntime

        with failing_for_good(), self._telling_failures():
            if event["status"] != "reached":
                raise error_from_dict(event["error"])
        runtime = SpaceRuntime.from_dict(event["runtime"])
        repo_id, elapsed = event["repo_id"], time.time() - event["since"]
        # The triggerer tells each change of stage in a log of its own, which not everybody keeps.
        self.log.info("Space %s is %s, after %.0f seconds.", repo_id, describe(runtime), elapsed)
        with failing_for_good():
            result = self.waited(repo_id, runtime, context, **(event["then"] or {}))
        self.describe_outlets(context, repo_id, result)
        return result

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        """Say what is left behind when a wait has failed."""

    @contextmanager
    def _telling_failures(self) -> Iterator[None]:
        from airflow_provider_hfspaces.hub.errors import SpaceWaitError

        try:
            yield
        except SpaceWaitError as error:
            tell_space_log(self.log, self.hook, error)
            if not self.killed.is_set():
                self.on_failed_wait(error)
            raise

    def _is_reached(self, repo_id: str, goal: Goal) -> bool:
        """One look, so that what is there already needs no triggerer.

        :raises SpaceWaitFailed: if it cannot get there any more.
        """
        from airflow_provider_hfspaces.hub.errors import wait_failed
        from airflow_provider_hfspaces.hub.waiting.goal import Failed, Reached

        runtime = self.hook.get_runtime(repo_id)
        verdict = goal.judge(runtime)
        if isinstance(verdict, Failed):
            with self._telling_failures():
                raise wait_failed(repo_id, str(goal), verdict.reason, runtime, verdict.permanent)
        return isinstance(verdict, Reached)

    def _defer(
        self,
        repo_id: str,
        goal: Goal,
        timeout: float,
        before: SpaceRuntime | None,
        answer: SpaceRuntime | None,
        grace: float,
        put_back: SpaceSnapshot | None,
        then: dict[str, Any] | None,
    ) -> None:
        from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger

        now = time.time()
        self.defer(
            trigger=SpaceTrigger(
                repo_id=repo_id,
                goal=goal,
                hf_spaces_conn_id=self.hf_spaces_conn_id,
                poll_interval=self.poll_interval,
                deadline=now + timeout,
                grace=grace,
                started=now,
                before=before.to_dict() if before else None,
                answer=answer.to_dict() if answer else None,
                put_back=put_back.to_dict() if put_back else None,
                then=then,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=timeout + _TRIGGER_LATE),
        )


def tell_space_log(log: Any, hook: HfSpacesHook, error: SpaceWaitError) -> None:
    """Log the last lines of the log of a Space whose build or start failed, where it can be read."""
    from airflow_provider_hfspaces.hub.errors import HubError

    stage = error.runtime.stage if error.runtime else None
    if stage not in NEEDS_RESTART_STAGES:
        return
    build = stage == SpaceStage.BUILD_ERROR
    try:
        lines = hook.get_logs(error.repo_id, build=build, lines=_LOG_LINES)
    except HubError as problem:
        log.warning("The log of Space %s could not be read: %s", error.repo_id, problem)
        return
    log.error("The last lines of the %s log of Space %s:", "build" if build else "app", error.repo_id)
    for line in lines:
        log.error("    %s", line)


class SelectingOperator(BaseOperator):
    """Base of the operators that select Spaces.

    :param author: whose Spaces: a user or an organization. Templated, like all of the selection.
    :param repo_ids: these Spaces instead, whatever the selection says.
    :param stages: only those in one of these stages; STOPPED and SLEEPING stand for each other.
    :param hardware: only those on, or set to, one of these flavors.
    :param billed_only: only those that cost money now, or will when their build is done.
    :param include: only those whose ``owner/name`` or name fits one of these globs, in whatever case.
    :param exclude: not those that fit one of these.
    :param tags: only those with all of these tags.
    :param hf_spaces_conn_id: the connection to the Hub.
    """

    template_fields: Sequence[str] = (
        "author",
        "repo_ids",
        "stages",
        "hardware",
        "include",
        "exclude",
        "tags",
        "hf_spaces_conn_id",
    )
    ui_color = "#ffd21e"
    ui_fgcolor = "#1f2937"

    def __init__(
        self,
        *,
        author: str | None = None,
        repo_ids: Iterable[str] | str | None = None,
        stages: Iterable[str] | str | None = None,
        hardware: Iterable[str] | str | None = None,
        billed_only: bool = False,
        include: Iterable[str] | str | None = (),
        exclude: Iterable[str] | str | None = (),
        tags: Iterable[str] | str | None = (),
        hf_spaces_conn_id: str = "hf_spaces_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.author = author
        self.repo_ids = repo_ids
        self.stages = stages
        self.hardware = hardware
        self.billed_only = billed_only
        self.include = include
        self.exclude = exclude
        self.tags = tags
        self.hf_spaces_conn_id = hf_spaces_conn_id

    @cached_property
    def hook(self) -> HfSpacesHook:
        """The hook of the connection, built once per try."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

        return HfSpacesHook(self.hf_spaces_conn_id)

    @cached_property
    def killed(self) -> threading.Event:
        """Set when the task is killed."""
        # Not in __init__: Airflow copies operators, and an event cannot be copied.
        return threading.Event()

    def on_kill(self) -> None:
        """Send nothing more. What was under way is recorded."""
        self.killed.set()

    def selection(self) -> SpaceSelection:
        """What is selected.

        :raises InvalidInput: for an owner, a stage or a flavor that there is not.
        """
        from airflow_provider_hfspaces.hub.bulk.selection import SpaceSelection
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.rendered import as_list

        if not self.author:
            raise InvalidInput(
                f"Whose Spaces? Give {type(self).__name__} an author, a user or an organization, or repo_ids."
            )
        offered = None
        for each in as_list(self.hardware):
            offered = offered or self.hook.offered(each)
        return SpaceSelection(
            author=self.author,
            stages=as_list(self.stages) or None,
            hardware=as_list(self.hardware),
            billed_only=self.billed_only,
            include=as_list(self.include),
            exclude=as_list(self.exclude),
            tags=as_list(self.tags),
            offered=offered,
        )

    def listed(self) -> list[SpaceInfo]:
        """All Spaces of the owner with their runtimes, from one list."""
        from airflow_provider_hfspaces.hub.bulk.selection import SELECTED_BY

        return list(self.hook.list_spaces(author=self.author, expand=SELECTED_BY))
