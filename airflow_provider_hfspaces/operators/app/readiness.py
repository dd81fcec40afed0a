"""SpaceReadiness: wait until the Space of a batch runs, at the beginning and after each interruption."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["SpaceReadiness"]


class SpaceReadiness:
    """Waits until a Space runs on its hardware.

    :param hardware: the flavor that the work needs; ``None`` for any.
    :param wake: whether a sleeping Space is woken.
    :param timeout: maximum number of seconds of one wait.
    :param poll_interval: seconds between two looks at the Space.
    :param stop: ends a wait.
    :param log: the log of the task.
    """

    def __init__(
        self,
        hook: HfSpacesHook,
        repo_id: str,
        *,
        hardware: str | None,
        wake: bool,
        timeout: float,
        poll_interval: float,
        stop: threading.Event,
        log: Any,
    ) -> None:
        self._hook, self._repo_id = hook, repo_id
        self._hardware, self._wake = hardware, wake
        self._timeout, self._poll_interval = timeout, poll_interval
        self._stop, self._log = stop, log

    def wait(self, visit: Callable[[], Any]) -> SpaceRuntime:
        """Wait until the Space runs, and return its runtime.

        :param visit: sends the app a request, which wakes a sleeping Space.
        :raises AirflowFailException: if the Space sleeps and must not be woken, or runs on other hardware.
        :raises SpaceWaitError: if the Space does not run again, after the last lines of its log.
        """
        from airflow_provider_hfspaces.failures import log_space_log
        from airflow_provider_hfspaces.hub.errors import SpaceWaitError
        from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        runtime = self._hook.get_runtime(self._repo_id)
        before = None
        if runtime.stage in ASLEEP_STAGES:
            self._wake_up(runtime, visit)
            before = runtime
        try:
            runtime = self._hook.wait_for(
                self._repo_id,
                Goal(),
                timeout=self._timeout,
                poll_interval=self._poll_interval,
                before=before,
                stop=self._stop,
            )
        except SpaceWaitError as error:
            log_space_log(self._log, self._hook, error)
            raise
        self._check_hardware(runtime)
        return runtime

    def _wake_up(self, runtime: SpaceRuntime, visit: Callable[[], Any]) -> None:
        if not self._wake:
            raise AirflowFailException(
                f"Space {self._repo_id} is {runtime.stage}, and wake is False. Restart the Space before this "
                f"task, or set wake=True."
            )
        if self._hardware is not None and runtime.configured_hardware != self._hardware:
            raise self._wrong_hardware(runtime)
        self._log.info("Space %s is %s: waking it up.", self._repo_id, runtime.stage)
        visit()

    def _check_hardware(self, runtime: SpaceRuntime) -> None:
        if self._hardware is not None and runtime.hardware != self._hardware:
            raise self._wrong_hardware(runtime)

    def _wrong_hardware(self, runtime: SpaceRuntime) -> AirflowFailException:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        return AirflowFailException(
            f"Space {self._repo_id} is not on {self._hardware}, which this task needs: it is "
            f"{describe(runtime)}. Clear the task that requests the hardware together with this one; what "
            f"is done is not sent again."
        )
