"""What all operators on one Space share."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat import BaseOperator, BaseOperatorLink, Context
from airflow_provider_hfspaces.failures import failing_for_good
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.goal import Goal
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["SpaceOperator", "tell_space_log"]

_LOG_LINES = 30


class SpaceOperator(BaseOperator):
    """Base of the operators on one Space.

    Has the links "Open Space" and "Space logs", which work from the moment the task begins. An
    error that another try would meet again fails the task without using up its retries.

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
        with failing_for_good():
            repo_id = self.hook.repo_id(given)
            if self.needs_token:
                self.hook.require_token(repo_id)
            self.link(context, repo_id)
            return self.act(repo_id, context)

    @abstractmethod
    def act(self, repo_id: str, context: Context) -> Any:
        """The operator's own part; its result is the task's XCom."""

    def link(self, context: Context, repo_id: str) -> None:
        """Have the task's links lead to this Space."""
        for link in (SpaceLink, SpaceLogsLink):
            link.persist(context, self.hook.settings.endpoint, repo_id)

    def wait(
        self,
        repo_id: str,
        goal: Goal,
        *,
        timeout: float,
        poll_interval: float,
        before: SpaceRuntime | None,
        **options: Any,
    ) -> SpaceRuntime:
        """Wait until a Space is where it should be, no longer than ``execution_timeout`` allows.

        :raises SpaceWaitError: after the last lines of the Space's own log, if it failed.
        """
        from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed

        if self.execution_timeout is not None:
            timeout = min(timeout, self.execution_timeout.total_seconds())
        try:
            return self.hook.wait_for(
                repo_id, goal, timeout=timeout, poll_interval=poll_interval, before=before, **options
            )
        except SpaceWaitFailed as error:
            tell_space_log(self.log, self.hook, error)
            raise


def tell_space_log(log: Any, hook: HfSpacesHook, error: SpaceWaitError) -> None:
    """Log the last lines of the log of a Space whose build or start failed, where it can be read."""
    from airflow_provider_hfspaces.hub.errors import HubError

    stage = error.runtime.stage if error.runtime else None
    if stage not in ("BUILD_ERROR", "RUNTIME_ERROR"):
        return
    build = stage == "BUILD_ERROR"
    try:
        lines = hook.get_logs(error.repo_id, build=build, lines=_LOG_LINES)
    except HubError as problem:
        log.warning("The log of Space %s could not be read: %s", error.repo_id, problem)
        return
    log.error("The last lines of the %s log of Space %s:", "build" if build else "app", error.repo_id)
    for line in lines:
        log.error("    %s", line)
