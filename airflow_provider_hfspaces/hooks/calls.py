"""CallingHook: waits for a Space, and calls the app inside it.

Come here to change how often a wait looks at a Space, or what a call does with a Space that sleeps.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.config import quota_share
from airflow_provider_hfspaces.hooks.apps import AppProbe, AppsHook
from airflow_provider_hfspaces.hub.errors import SpaceWaitFailed
from airflow_provider_hfspaces.hub.http.pace import Pace
from airflow_provider_hfspaces.hub.models import SpaceRuntime
from airflow_provider_hfspaces.hub.seconds import checked_interval
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES
from airflow_provider_hfspaces.hub.steps import change_in_words
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.hub.waiting.wait import GRACE_SECONDS, PROBED_SPACE_SECONDS, Wait

if TYPE_CHECKING:
    from airflow_provider_hfspaces.space_app.app import SpaceApp
    from airflow_provider_hfspaces.space_app.health_check import HealthCheck
    from airflow_provider_hfspaces.space_app.listener import AppListener
    from airflow_provider_hfspaces.space_app.result import AppResult

__all__ = ["CallingHook"]


class CallingHook(AppsHook):
    """The part of :class:`~airflow_provider_hfspaces.hooks.hfspaces.HfSpacesHook` that waits and calls."""

    def wait_for(
        self,
        repo_id: str,
        goal: Goal,
        *,
        timeout: float,
        poll_interval: float | None = None,
        before: SpaceRuntime | None = None,
        answer: SpaceRuntime | None = None,
        grace: float = GRACE_SECONDS,
        stop: threading.Event | None = None,
        on_change: Callable[[SpaceRuntime, float], None] | None = None,
        health: HealthCheck | None = None,
        start_timeout: float | None = None,
    ) -> SpaceRuntime:
        """Wait until a Space reaches a goal, and return its runtime. The first look is at once.

        :param goal: what the Space has to reach.
        :param timeout: seconds from the beginning of the wait to its end.
        :param poll_interval: seconds between two looks; by default as few as the share of the Hub's quota
            that ``[hf_spaces] quota_share`` sets allows, and no fewer than 2.
        :param before: the runtime when a request was sent to the Space. While the Space still reports
            this state, the wait continues for up to ``grace`` seconds, at most half of ``timeout``.
        :param answer: the runtime with which the Hub answered that request.
        :param stop: ends the wait from another thread or a signal handler.
        :param on_change: called with each new state and the seconds since the wait began; by default
            each new state is logged.
        :param health: the answer that the app has to give as well; by default none.
        :param start_timeout: seconds that the Space may take to start once it is built; by default no limit.
        :raises InvalidInput: for a duration that is not valid; nothing is sent then.
        :raises SpaceWaitFailed: if the Space can no longer reach the goal by itself, or ``stop`` is set.
        :raises SpaceWaitTimeout: if the Space has not reached the goal, or its app has not answered, in time.
        """
        repo_id = self.repo_id(repo_id)
        probing = AppProbe(self, repo_id, health) if health else None
        wait = Wait(
            repo_id,
            goal,
            timeout=timeout,
            before=before,
            answer=answer,
            grace=grace,
            on_change=on_change or self._log_change(repo_id),
            start_timeout=start_timeout,
        )
        interval = checked_interval(poll_interval, "poll_interval")
        stop, endpoint = stop or threading.Event(), self.settings.endpoint
        started = time.monotonic()
        while True:
            runtime = self.get_runtime(repo_id)
            elapsed = time.monotonic() - started
            has_reached = wait.observe(runtime, elapsed) is not None
            pause = min(interval or self.look_period(is_probing=has_reached), wait.timeout - elapsed)
            if has_reached and (probing is None or probing.answers_within(pause, stop)):
                return runtime
            if elapsed >= wait.timeout:
                raise probing.timed_out(wait) if has_reached and probing else wait.timed_out(endpoint)
            if not has_reached:
                stop.wait(pause)
            if stop.is_set():
                raise wait.stopped()

    def look_period(self, *, is_probing: bool = False) -> float:
        """Return the seconds between two looks at one Space, as few as the share of the Hub's quota allows.

        :param is_probing: whether the Space runs, and only its app is not healthy yet. The Space is then
            looked at every 10 seconds.
        """
        if is_probing:
            return PROBED_SPACE_SECONDS
        return Pace(self.rate_budget, share=quota_share()).period()

    def _log_change(self, repo_id: str) -> Callable[[SpaceRuntime, float], None]:
        def log(runtime: SpaceRuntime, elapsed: float) -> None:
            self.log.info("%s", change_in_words(repo_id, runtime, elapsed))

        return log

    def call(
        self,
        repo_id: str,
        api: str,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = 3600.0,
        wake: bool = True,
        app_conn_id: str | None = None,
        listener: AppListener | None = None,
    ) -> AppResult:
        """Call an endpoint of the Gradio app inside a Space and return its answer.

        ::

            text = hook.call("acme/whisper", "/transcribe", {"audio": Path("talk.mp3")}).value

        The call wakes a sleeping Space, and waits for a Space that starts and for a place in a full queue.
        All of this time counts against ``timeout``.

        :param api: the endpoint, such as ``/predict``.
        :param inputs: by name or by position, as for :meth:`SpaceApp.call
            <airflow_provider_hfspaces.space_app.app.SpaceApp.call>`.
        :param timeout: seconds that the call may take in all; by default 3,600.
        :param wake: whether to wake a sleeping Space; by default it is woken.
        :param app_conn_id: as for :meth:`open_app`.
        :param listener: receives the place in the queue, progress and messages; by default they are logged.
        :raises InvalidInput: if the call does not fit what the app declares. Nothing was sent.
        :raises SpaceAppError: a subclass for each cause; see
            :mod:`~airflow_provider_hfspaces.space_app.errors`.
        :raises SpaceWaitError: if the Space is paused or broken, or does not run in time.
        """
        from airflow_provider_hfspaces.app_log import AppLog

        repo_id = self.repo_id(repo_id)
        ends = time.monotonic() + timeout
        with self.open_app(repo_id, app_conn_id=app_conn_id) as app:
            self.wake_app(app, wake=wake)
            return app.call(
                api,
                inputs,
                timeout=timeout,
                listener=listener or AppLog(repo_id, self.log),
                recover=lambda error: self.await_app(app, timeout=ends - time.monotonic(), wake=wake),
                patience=timeout,
            )

    async def acall(
        self,
        repo_id: str,
        api: str,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        timeout: float = 3600.0,
        wake: bool = True,
        app_conn_id: str | None = None,
        listener: AppListener | None = None,
    ) -> AppResult:
        """Call an endpoint of the Gradio app inside a Space from an event loop, as :meth:`call` does."""
        from airflow_provider_hfspaces.app_log import AppLog

        await self.read_connection()
        repo_id = self.repo_id(repo_id)
        ends = time.monotonic() + timeout
        async with await self.async_client() as client:
            app = await self.async_app(repo_id, client, app_conn_id=app_conn_id)
            async with app:
                await asyncio.to_thread(self.wake_app, app, wake=wake)
                return await app.acall(
                    api,
                    inputs,
                    timeout=timeout,
                    listener=listener or AppLog(repo_id, self.log),
                    recover=lambda error: asyncio.to_thread(
                        self.await_app, app, timeout=ends - time.monotonic(), wake=wake
                    ),
                    patience=timeout,
                )

    def await_app(
        self,
        app: SpaceApp,
        *,
        timeout: float,
        poll_interval: float | None = None,
        wake: bool = True,
        health: HealthCheck | None = None,
        stop: threading.Event | None = None,
    ) -> SpaceRuntime:
        """Wait until the Space of an app runs, waking it if it sleeps, and return its runtime.

        :param timeout: seconds from the beginning of the wait to its end.
        :param poll_interval: seconds between two looks at the Space, as for :meth:`wait_for`.
        :param wake: whether to wake a sleeping Space. A visit wakes it, which needs no write access.
        :param health: the answer that the app has to give as well; by default none.
        :param stop: ends the wait from another thread or a signal handler.
        :raises SpaceWaitError: if the Space is paused or broken, or does not run in time.
        """
        before = self.wake_app(app, wake=wake)
        return self.wait_for(
            app.repo_id,
            Goal(),
            timeout=max(timeout, 0.0),
            poll_interval=poll_interval,
            before=before,
            health=health,
            stop=stop,
        )

    def wake_app(self, app: SpaceApp, *, wake: bool = True) -> SpaceRuntime | None:
        """Visit the app of a sleeping Space, which wakes it.

        :param wake: whether to wake it.
        :returns: the runtime of a Space that sleeps; ``None`` for any other.
        :raises SpaceWaitFailed: if the Space sleeps and ``wake`` is False.
        """
        runtime = self.get_runtime(app.repo_id)
        if runtime.stage not in ASLEEP_STAGES:
            return None
        if not wake:
            raise SpaceWaitFailed(
                f"Space {app.repo_id} sleeps, and wake=False forbids waking it. Set wake=True, or restart "
                f"the Space before the call.",
                repo_id=app.repo_id,
                runtime=runtime,
            )
        self.log.info("Space %s sleeps. A visit wakes it.", app.repo_id)
        app.health()
        return runtime
