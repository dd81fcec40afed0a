"""Sensors that wait for a Space: for its stage, hardware or commit, or for an answer of its app."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperatorLink,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
)
from airflow_provider_hfspaces.failures import failing_for_good, log_space_log
from airflow_provider_hfspaces.links import SpaceLink, SpaceLogsLink
from airflow_provider_hfspaces.operators.base import (
    HubTask,
    NamedBySpace,
    deferrable_or_default,
    name_by_space,
    refuse_bad_wait,
    time_limit,
)
from airflow_provider_hfspaces.operators.health import as_expected, health_check
from airflow_provider_hfspaces.rendered import as_list, has_template

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
    from airflow_provider_hfspaces.hub.waiting.goal import Goal
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck

__all__ = ["SpaceHealthySensor", "SpaceRunningSensor", "SpaceStageSensor"]


class SpaceStageSensor(NamedBySpace, HubTask, BaseSensorOperator):
    """Wait until a Space is in one of the listed stages.

    ::

        paused = SpaceStageSensor(task_id="paused", repo_id="acme/whisper", stages=["PAUSED"])

    A stage that the Space does not leave by itself fails the task at once, without using up its retries.
    With ``soft_fail`` such a stage and a timeout skip the task. Other errors, such as a missing Space or a
    rejected token, fail the task even with ``soft_fail``.

    Returns the runtime. Endpoint: ``GET /api/spaces/{repo_id}/runtime``, one request for each look.

    :param repo_id: the Space, as ``owner/name``. Templated.
    :param stages: the stages, such as ``["PAUSED"]``; STOPPED and SLEEPING count as one. Takes the output
        of another task, and text such as ``"['PAUSED']"``. Templated.
    :param hardware: the flavor that the Space must run on as well. Templated.
    :param sha: the commit that must run as well, in full or its first seven characters or more. Templated.
    :param failed_stages: stages that fail the task (default: the stages that a Space does not leave by
        itself, which are errors, paused, sleeping and being deleted, except those in ``stages``). With an
        empty list the sensor waits through all stages. Templated.
    :param poke_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2). With ``mode="reschedule"`` or ``exponential_backoff``, Airflow's 60 by default.
    :param stream_logs: show the Space's own log in the task's log while the sensor waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none). Needs ``mode="poke"`` or ``deferrable=True``.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's
        ``[operators] default_deferrable``).
    """

    template_fields: Sequence[str] = (
        "repo_id",
        "hf_spaces_conn_id",
        "stages",
        "hardware",
        "sha",
        "failed_stages",
    )
    operator_extra_links: Sequence[BaseOperatorLink] = (SpaceLink(), SpaceLogsLink())
    ui_color = "#fff3b0"

    def __init__(
        self,
        *,
        repo_id: str,
        stages: Iterable[str] | str,
        hardware: str | None = None,
        sha: str | None = None,
        failed_stages: Iterable[str] | str | None = None,
        poke_interval: float | str | timedelta | None = None,
        stream_logs: str | None = None,
        hf_spaces_conn_id: str = "hf_spaces_default",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if poke_interval is not None:
            kwargs["poke_interval"] = poke_interval
        arguments = _with_seconds(kwargs)
        super().__init__(**arguments)
        self._has_poke_interval = "poke_interval" in arguments
        self.repo_id = repo_id
        self.deferrable = deferrable_or_default(deferrable)
        self.stages = _as_stored(stages)
        self.hardware = hardware
        self.sha = sha
        self.failed_stages = _as_stored(failed_stages)
        self.hf_spaces_conn_id = hf_spaces_conn_id
        self.stream_logs = stream_logs
        refuse_bad_wait(f"task {self.task_id!r}", None, stream_logs)
        self._refuse_unused_stream_logs(kwargs.get("default_args"))
        name_by_space(self)
        self._is_linked = False
        self._last_state: str | None = None
        self._last_reason: str | None = None

    def execute(self, context: Context) -> Any:
        """Wait in this worker, with reschedules, or in the triggerer, and return the runtime."""
        self.space_logs.forget()
        with self._skipping_only_waits():
            if not self.deferrable:
                return self._execute_here(context)
            with self._never_failing():
                look = self.poke(context)
            if look:
                return look.xcom_value
            check = self.health_check()
            return self.defer_wait(
                self.hook.repo_id(self.repo_id),
                self.goal(),
                timeout=time_limit(self, float(self.timeout)),
                poll_interval=float(self.poke_interval) if self._has_poke_interval else None,
                health=check.to_dict() if check else None,
                logs=self.space_logs.progress_values(self.hook.repo_id(self.repo_id)),
            )

    def _execute_here(self, context: Context) -> Any:
        if self.stream_logs is None or self.reschedule:
            return super().execute(context)
        with failing_for_good():
            repo_id = self.hook.repo_id(self.repo_id)
            self.hook.get_runtime(repo_id)  # Its answer has the time by the Hub's clock.
        with self.space_logs.showing(repo_id):
            return super().execute(context)

    def _refuse_unused_stream_logs(self, default_args: Any) -> None:
        if not self.stream_logs or self.deferrable or not self.reschedule:
            return
        if "stream_logs" not in (default_args or {}):
            raise ValueError(
                f"stream_logs of task {self.task_id!r} has no effect with mode='reschedule': set "
                f"deferrable=True, or leave stream_logs out."
            )

    def resume_execution(self, *args: Any, **kwargs: Any) -> Any:
        """Resume after a deferred wait."""
        with self._skipping_only_waits():
            return super().resume_execution(*args, **kwargs)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Return the runtime after a deferred wait.

        :raises AirflowSensorTimeout: if the Space has not reached the goal in time.
        :raises AirflowFailException: if the Space can no longer reach the goal by itself, and for
            other errors that a retry cannot fix.
        :raises AirflowSkipException: with ``soft_fail``, if the Space has not reached the goal.
        """
        from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed, error_from_dict

        self.space_logs.resume(event)
        if event["status"] == "reached":
            return event["runtime"]
        error = error_from_dict(event["error"])
        with self._never_failing(), failing_for_good():
            if event["status"] == "timeout":
                self._skip_softly(error)
                raise AirflowSensorTimeout(str(error))
            if isinstance(error, SpaceWaitFailed) and error.runtime is not None:
                self._fail_wait(error)
            raise error

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the Space once.

        :raises AirflowFailException: if the Space can no longer reach the goal by itself, and for
            other errors that a retry cannot fix.
        :raises AirflowSkipException: with ``soft_fail``, if the Space does not reach the goal any more.
        """
        with failing_for_good():
            repo_id = self.hook.repo_id(self.repo_id)
            return self._look(repo_id, self.goal(), context)

    def goal(self) -> Goal:
        """Return what the sensor waits for.

        :raises InvalidInput: for a stage, a flavor or a commit that is not valid.
        """
        from airflow_provider_hfspaces.hub.checks import checked_hardware, checked_sha, checked_stages
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        failed = None
        if self.failed_stages is not None:
            failed = checked_stages(as_list(self.failed_stages), least=0)
        stages = checked_stages(as_list(self.stages))
        sha = checked_sha(self.sha) if self.sha else None
        if self.hardware:
            checked_hardware(self.hardware, self.hook.offered(self.hardware))
        return Goal(stages=stages, hardware=self.hardware or None, sha=sha, failed_stages=failed)

    def health_check(self) -> HealthCheck | None:
        """Return what the app has to answer as well; ``None`` without a health check."""
        return None

    def _look(self, repo_id: str, goal: Goal, context: Context) -> PokeReturnValue:
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.waiting.goal import Failed, Reached
        from airflow_provider_hfspaces.hub.waiting.wait import wait_failed

        self._link(context, repo_id)
        runtime = self.hook.get_runtime(repo_id)
        state = describe(runtime)
        if state != self._last_state:
            self._last_state = state
            self.log.info("Space %s is %s.", repo_id, state)
        verdict = goal.judge(runtime)
        if isinstance(verdict, Failed):
            self._fail_wait(wait_failed(repo_id, goal, verdict, runtime))
        is_in_stage = isinstance(verdict, Reached)
        reached = is_in_stage and self._is_healthy(repo_id)
        if not (reached or self._has_poke_interval or self.reschedule or self.exponential_backoff):
            # Airflow reads this before each sleep.
            self.poke_interval = self.hook.look_period(is_probing=is_in_stage)
        return PokeReturnValue(is_done=reached, xcom_value=runtime.to_dict() if reached else None)

    def _is_healthy(self, repo_id: str) -> bool:
        check = self.health_check()
        if check is None:
            return True
        health = self.hook.app_health(repo_id, check)
        reason = None if health else health.cause
        if reason is not None and reason != self._last_reason:
            self.log.info("%s", check.describe(repo_id, reason))
        self._last_reason = reason
        return reason is None

    def _fail_wait(self, error: SpaceWaitFailed) -> None:
        """Fail or skip. The error is permanent: a sensor changes nothing that would help its next try."""
        log_space_log(self.log, self.hook, error, unless=self.space_logs.has_shown)
        self._skip_softly(error)
        error.permanent = True
        raise error

    def _skip_softly(self, error: Exception) -> None:
        if self.soft_fail:
            raise AirflowSkipException(str(error)) from None

    @contextmanager
    def _skipping_only_waits(self) -> Iterator[None]:
        """Let ``soft_fail`` skip only a timeout, and a Space that does not reach the goal.

        Airflow skips every failure of a sensor with ``soft_fail``: a misspelt Space would be skipped for
        ever.
        """
        try:
            yield
        except AirflowSkipException as skip:
            failure = skip.__cause__
            if isinstance(failure, AirflowFailException) and not getattr(self, "never_fail", False):
                raise failure from None
            raise

    @contextmanager
    def _never_failing(self) -> Iterator[None]:
        """Skip on any failure if the task has Airflow's ``never_fail``."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout) as error:
            if getattr(self, "never_fail", False):
                raise AirflowSkipException(str(error)) from None
            raise

    def _link(self, context: Context, repo_id: str) -> None:
        if self._is_linked:
            return
        self._is_linked = True
        for link in (SpaceLink, SpaceLogsLink):
            link.persist(context, self.hook.settings.endpoint, repo_id)


class SpaceRunningSensor(SpaceStageSensor):
    """Wait until a Space runs, on the requested hardware and at the requested commit.

    ::

        running = SpaceRunningSensor(task_id="running", repo_id="acme/whisper", hardware="t4-small")

    RUNNING_BUILDING and RUNNING_APP_STARTING do not count: the old version still serves, on the old
    hardware.

    :param repo_id: the Space, as ``owner/name``. Templated.
    :param hardware: the flavor that the Space must run on; ``None`` for any. Templated.
    :param sha: the commit that must run; ``None`` for any. Templated.
    :param health: the answer that the app has to give as well: ``True`` for its start page, a path such as
        ``"/health"``, or a mapping with ``path``, ``status``, ``json`` and ``text``; ``None`` for none.
        Templated.
    """

    template_fields: Sequence[str] = (*SpaceStageSensor.template_fields, "health")
    template_fields_renderers = {"health": "json"}

    def __init__(
        self,
        *,
        repo_id: str,
        hardware: str | None = None,
        sha: str | None = None,
        health: Any = None,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.hub.stages import SpaceStage

        kwargs.setdefault("stages", [SpaceStage.RUNNING.value])
        super().__init__(repo_id=repo_id, hardware=hardware, sha=sha, **kwargs)
        self.health = health
        refuse_bad_wait(f"task {self.task_id!r}", health, None)

    def health_check(self) -> HealthCheck | None:
        return health_check(self.health)


class SpaceHealthySensor(SpaceRunningSensor):
    """Wait until the app of a Space answers a request as expected.

    ::

        ready = SpaceHealthySensor(
            task_id="ready",
            repo_id="acme/whisper",
            path="/health",
            expect={"json": {"model": "loaded"}},
        )

    RUNNING only means that the container has started: the app may still load its model. The sensor sends
    requests only while the Space runs, at most one every five seconds however many deferred tasks wait for
    the same answer, and none after the answer. A Space that fails, is paused or sleeps fails the task at
    once.

    Returns the runtime. ``GET`` of ``path`` on the app's own address, with the token of the connection in a
    header that the app does not see.

    :param repo_id: the Space, as ``owner/name``. Templated.
    :param path: the path to request (default: the app's start page). Gradio apps answer ``/config``.
        Templated.
    :param expect: the answer: an HTTP status, text that it contains, or a mapping with ``status``, ``json``
        (values that its JSON contains) and ``text`` (default: any status below 400). Templated.
    :param hardware: the flavor that the Space must run on as well; ``None`` for any. Templated.
    :param sha: the commit that must run as well; ``None`` for any. Templated.
    """

    template_fields: Sequence[str] = (*SpaceStageSensor.template_fields, "path", "expect")
    template_fields_renderers = {"expect": "json"}

    def __init__(self, *, repo_id: str, path: str = "/", expect: Any = None, **kwargs: Any) -> None:
        if kwargs.pop("health", None) is not None and "health" not in (kwargs.get("default_args") or {}):
            raise ValueError(
                f"health of SpaceHealthySensor {kwargs.get('task_id')!r} has no effect: set path and expect."
            )
        super().__init__(repo_id=repo_id, **kwargs)
        self.path = path
        self.expect = expect
        if not has_template(path) and not has_template(expect):
            self.health_check()

    def health_check(self) -> HealthCheck | None:
        from airflow_provider_hfspaces.space_app.health_check import HealthCheck

        return HealthCheck.from_expected(self.path, as_expected(self.expect))


def _as_stored(stages: Any) -> Any:
    """Return stages in a form that Airflow can store. Templates and outputs of tasks stay unchanged."""
    return sorted(stages) if isinstance(stages, AbstractSet) else stages


def _with_seconds(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of Airflow's own sensor, with its durations in seconds.

    :raises InvalidNumber: for a duration that is not valid.
    """
    from airflow_provider_hfspaces.hub.seconds import checked_seconds

    defaults = kwargs.get("default_args") or {}
    for name, zero in (("poke_interval", False), ("timeout", True)):
        if name in kwargs or name in defaults:
            label = f"{name} of task {kwargs.get('task_id')!r}"
            kwargs[name] = checked_seconds(kwargs.get(name, defaults.get(name)), label, zero=zero)
    return kwargs
