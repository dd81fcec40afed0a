"""Sensors that wait until a Space is in a stage, or really runs on some hardware."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.config import default_deferrable
from airflow_provider_hfspaces.compat.imports import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperatorLink,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
)
from airflow_provider_hfspaces.failures import failing_for_good
from airflow_provider_hfspaces.hub.stages import SpaceStage
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink
from airflow_provider_hfspaces.operators.base import NamedBySpace, name_by_space

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.waiting.goal import Goal

__all__ = ["SpaceRunningSensor", "SpaceStageSensor"]

_TRIGGER_LATE = 600.0
"""Seconds after the deadline, which the trigger keeps itself, until Airflow gives up on the trigger."""


class SpaceStageSensor(NamedBySpace, BaseSensorOperator):
    """Wait until a Space is in one of some stages.

    Fails at once, without using up retries, in a stage that the Space does not leave by itself:
    waiting longer would not help. With ``soft_fail`` the task is skipped instead. One request per
    look, ``GET /api/spaces/{repo_id}/runtime``; returns the runtime.

    :param repo_id: the Space, as ``owner/name``. Templated.
    :param stages: any of these, such as ``{"PAUSED"}``; STOPPED and SLEEPING stand for each other.
        Templated.
    :param hardware: the flavor that it must run on as well. Templated.
    :param failed_stages: stages that fail the task; by default those that a Space does not leave by
        itself (errors, paused, sleeping, being deleted), less the ones that are waited for. An
        empty list waits through all of them.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    template_fields: Sequence[str] = ("repo_id", "hf_spaces_conn_id", "stages", "hardware")
    operator_extra_links: Sequence[BaseOperatorLink] = (SpaceLink(), SpaceLogsLink())
    ui_color = "#fff3b0"

    def __init__(
        self,
        *,
        repo_id: str,
        stages: Iterable[str] | str,
        hardware: str | None = None,
        failed_stages: Iterable[str] | str | None = None,
        hf_spaces_conn_id: str = "hf_spaces_default",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.repo_id = repo_id
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.stages = stages if isinstance(stages, str) else list(stages)
        self.hardware = hardware
        if failed_stages is not None:
            failed_stages = [failed_stages] if isinstance(failed_stages, str) else sorted(failed_stages)
        self.failed_stages = failed_stages
        self.hf_spaces_conn_id = hf_spaces_conn_id
        name_by_space(self)
        self._linked = False
        self._last: str | None = None

    @cached_property
    def hook(self) -> HfSpacesHook:
        """The hook of the connection, built once per process."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

        return HfSpacesHook(self.hf_spaces_conn_id)

    def execute(self, context: Context) -> Any:
        """Wait: in this worker, by coming back, or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        with self._skipping_softly():
            look = self.poke(context)
        if look:
            return look.xcom_value
        return self._defer()

    def _defer(self) -> None:
        from airflow_provider_hfspaces.triggers.spaces import SpaceTrigger

        now, timeout = time.time(), float(self.timeout)
        if self.execution_timeout is not None:
            timeout = min(timeout, self.execution_timeout.total_seconds())
        repo_id = self.hook.repo_id(self.repo_id)
        self.defer(
            trigger=SpaceTrigger(
                repo_id=repo_id,
                goal=self._goal,
                hf_spaces_conn_id=self.hf_spaces_conn_id,
                poll_interval=float(self.poke_interval),
                deadline=now + timeout,
                started=now,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=timeout + _TRIGGER_LATE),
        )

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Go on after a deferred wait; returns the runtime.

        :raises AirflowSensorTimeout: when the Space has not got there in time.
        :raises AirflowFailException: when it does not get there by itself any more.
        """
        from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed, error_from_dict
        from airflow_provider_hfspaces.operators.base import tell_space_log

        if event["status"] == "reached":
            return event["runtime"]
        with self._skipping_softly(), failing_for_good():
            error = error_from_dict(event["error"])
            if event["status"] == "timeout":
                raise AirflowSensorTimeout(str(error))
            if isinstance(error, SpaceWaitFailed):
                tell_space_log(self.log, self.hook, error)
                error.permanent = True
            raise error

    @contextmanager
    def _skipping_softly(self) -> Iterator[None]:
        """As sensors do when they are told to skip instead of failing."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout) as error:
            if self.soft_fail or getattr(self, "never_fail", False):
                raise AirflowSkipException(str(error)) from error
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """One look at the Space.

        :raises AirflowFailException: when it does not get there by itself any more.
        """
        with failing_for_good():
            return self._look(self.hook.repo_id(self.repo_id), context)

    def _look(self, repo_id: str, context: Context) -> PokeReturnValue:
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
        from airflow_provider_hfspaces.hub.waiting.goal import Failed, Reached
        from airflow_provider_hfspaces.operators.base import tell_space_log

        self._link(context, repo_id)
        goal = self._goal
        runtime = self.hook.get_runtime(repo_id)
        state = describe(runtime)
        if state != self._last:
            self._last = state
            self.log.info("Space %s is %s.", repo_id, state)
        verdict = goal.judge(runtime)
        if isinstance(verdict, Failed):
            error = SpaceWaitFailed(
                f"Space {repo_id} does not get to {goal}: {verdict.reason}.",
                repo_id=repo_id,
                runtime=runtime,
                permanent=True,
            )
            tell_space_log(self.log, self.hook, error)
            raise error
        reached = isinstance(verdict, Reached)
        return PokeReturnValue(is_done=reached, xcom_value=runtime.to_dict() if reached else None)

    @cached_property
    def _goal(self) -> Goal:
        from airflow_provider_hfspaces.hub.checks import checked_hardware, checked_stages
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        failed = None if self.failed_stages is None else checked_stages(self.failed_stages, least=0)
        if self.hardware is not None:
            checked_hardware(self.hardware, self.hook.offered(self.hardware))
        return Goal(stages=checked_stages(self.stages), hardware=self.hardware, failed_stages=failed)

    def _link(self, context: Context, repo_id: str) -> None:
        if self._linked:
            return
        self._linked = True
        for link in (SpaceLink, SpaceLogsLink):
            link.persist(context, self.hook.settings.endpoint, repo_id)


class SpaceRunningSensor(SpaceStageSensor):
    """Wait until a Space runs, on the hardware that is asked for.

    RUNNING_BUILDING and RUNNING_APP_STARTING serve the old version on the old hardware, and do not
    count.

    :param repo_id: the Space, as ``owner/name``. Templated.
    :param hardware: the flavor that it must run on; ``None`` for any. Templated.
    """

    def __init__(self, *, repo_id: str, hardware: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("stages", [SpaceStage.RUNNING.value])
        super().__init__(repo_id=repo_id, hardware=hardware, **kwargs)
