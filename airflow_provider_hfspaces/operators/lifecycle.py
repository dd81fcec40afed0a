"""Operators on a Space's life cycle: read its state, pause it, restart it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import SpaceOperator, WaitingOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["GetSpaceRuntimeOperator", "PauseSpaceOperator", "RestartSpaceOperator"]

RESTART = "restart"
"""The key in the retry store under which a restart is recorded."""


class GetSpaceRuntimeOperator(SpaceOperator):
    """Read a Space's state.

    ::

        GetSpaceRuntimeOperator(task_id="runtime", repo_id="acme/whisper")

    Returns the runtime. ``GET /api/spaces/{repo_id}/runtime``.
    """

    needs_token = False

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        runtime = self.hook.get_runtime(repo_id)
        self.log.info("Space %s is %s.", repo_id, describe(runtime))
        return runtime.to_dict()


class PauseSpaceOperator(SpaceOperator):
    """Pause a Space. A paused Space costs nothing and stays paused until it is restarted.

    ::

        PauseSpaceOperator(task_id="pause", repo_id="acme/whisper")

    A Space that is already paused is left alone. Returns the runtime.
    ``POST /api/spaces/{repo_id}/pause``.
    """

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.desired import plan_pause
        from airflow_provider_hfspaces.hub.stages import SpaceStage

        runtime = self.hook.get_runtime(repo_id)
        if runtime.is_static:
            raise AirflowFailException(_static(repo_id, "paused"))
        if runtime.stage == SpaceStage.PAUSED:
            self.log.info("Space %s is already paused.", repo_id)
        else:
            before = runtime.stage
            runtime = self.hook.execute(plan_pause(repo_id, runtime))
            self.log.info("Space %s was %s and is %s.", repo_id, before, runtime.stage)
        return runtime.to_dict()


class RestartSpaceOperator(WaitingOperator):
    """Restart a Space, or start a paused or sleeping one, and wait until it runs.

    ::

        RestartSpaceOperator(task_id="restart", repo_id="acme/whisper", deferrable=True)

    If the Hub's answer is lost, the Space's state shows whether it restarts; if it does not, the task sends
    the request once more. A retry after a failed wait attaches to a start that is still under
    way, and to one that has succeeded in the meantime. Returns the runtime.
    ``POST /api/spaces/{repo_id}/restart``.

    :param factory_reboot: build from scratch, without caches.
    :param only_if_stopped: leave a Space alone that runs or is starting.
    :param wait: wait until the Space runs (default True).
    :param health: the answer of the app to wait for as well: ``True`` for its start page, a path, or a
        mapping with ``path``, ``status``, ``json`` and ``text`` (default: none). Templated.
    :param sha: the commit that must run before the task succeeds, in full or its first seven characters or
        more; needs ``wait=True``. The task does not restart a Space that would run another commit.
        Templated.
    :param timeout: seconds from the restart to the end of the wait (default 1800).
    :param poll_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's
        ``[operators] default_deferrable``).
    """

    template_fields: Sequence[str] = (*WaitingOperator.template_fields, "sha")

    def __init__(
        self,
        *,
        factory_reboot: bool = False,
        only_if_stopped: bool = False,
        wait: bool = True,
        sha: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        self.factory_reboot = factory_reboot
        self.only_if_stopped = only_if_stopped
        self.wait_until_running = wait
        self.sha = sha

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.waiting.goal import Goal
        from airflow_provider_hfspaces.operators.commits import checked_commit, refuse_other_commit

        goal = Goal(sha=checked_commit(self))
        before = self.hook.get_runtime(repo_id)
        if before.is_static:
            raise AirflowFailException(_static(repo_id, "restarted"))
        under_way = self._is_under_way(repo_id, before, context)
        runtime = before
        self.space_logs.begin()
        if not under_way:
            refuse_other_commit(self.hook, repo_id, goal.sha)
            self.log.info("Space %s is %s. Restarting it.", repo_id, describe(before))
            self.log.info("%s", self.hook.page_url(repo_id))
            runtime = self._restart(repo_id, before, context)
        if self.wait_until_running:
            return self.wait(repo_id, goal, context, before=None if under_way else before)
        return self.waited(repo_id, runtime, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.state.retry_store import retry_store

        retry_store(context).delete(RESTART)
        return runtime.to_dict()

    def on_kill(self) -> None:
        """Stop waiting. The restart itself cannot be undone."""
        self.killed.set()

    def _is_under_way(self, repo_id: str, runtime: SpaceRuntime, context: Context) -> bool:
        """Returns True if the Space runs or starts, by an earlier try or while ``only_if_stopped`` is set."""
        from airflow_provider_hfspaces.hub.stages import ACTIVE_STAGES, SpaceStage
        from airflow_provider_hfspaces.state.retry_store import retry_store

        if runtime.stage not in ACTIVE_STAGES:
            return False
        if self.only_if_stopped:
            self.log.info("Space %s is already %s: nothing to restart.", repo_id, runtime.stage)
            return True
        request = retry_store(context).get(RESTART)
        if not isinstance(request, dict) or request.get("repo_id") != repo_id:
            return False
        if time.time() - request["at"] > self.timeout:
            return False
        if runtime.stage == SpaceStage.RUNNING and not request["accepted"]:
            return False
        self.log.info("An earlier try has restarted Space %s, which is %s.", repo_id, runtime.stage)
        return True

    def _restart(self, repo_id: str, before: SpaceRuntime, context: Context) -> SpaceRuntime:
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.state.retry_store import retry_store

        store = retry_store(context)
        request = {"repo_id": repo_id, "at": time.time(), "accepted": False}
        store.set(RESTART, request)
        try:
            runtime = self.hook.restart(repo_id, factory_reboot=self.factory_reboot, runtime=before)
        except HubError as error:
            if not error.outcome_unknown:
                store.delete(RESTART)
            raise
        if self.wait_until_running:
            store.set(RESTART, {**request, "accepted": True})
        return runtime


def _static(repo_id: str, verb: str) -> str:
    return f"Space {repo_id} is static: the Hub only serves its files, and it cannot be {verb}."
