"""Operators on a Space's life: look at it, pause it, restart it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.hub.stages import STARTING_STAGES, SpaceStage
from airflow_provider_hfspaces.operators.base import SpaceOperator, WaitingOperator
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

ASKED = "restart"
"""The retry store's key for a restart that was asked for."""

__all__ = ["GetSpaceRuntimeOperator", "PauseSpaceOperator", "RestartSpaceOperator"]


class GetSpaceRuntimeOperator(SpaceOperator):
    """Look at a Space. Returns the runtime. ``GET /api/spaces/{repo_id}/runtime``."""

    needs_token = False

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hooks.hfspaces import describe

        runtime = self.hook.get_runtime(repo_id)
        self.log.info("Space %s is %s.", repo_id, describe(runtime))
        return runtime.to_dict()


class PauseSpaceOperator(SpaceOperator):
    """Pause a Space: it stops, costs nothing, and stays so until its owner restarts it.

    A Space that is paused already is left alone. Returns the runtime.
    ``POST /api/spaces/{repo_id}/pause``.
    """

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        runtime = self.hook.get_runtime(repo_id)
        if runtime.is_static:
            raise AirflowFailException(_static(repo_id, "paused"))
        if runtime.stage == SpaceStage.PAUSED:
            self.log.info("Space %s is paused already.", repo_id)
        else:
            was = runtime.stage
            runtime = self._pause(repo_id)
            self.log.info("Space %s was %s and is %s.", repo_id, was, runtime.stage)
        return runtime.to_dict()

    def _pause(self, repo_id: str) -> SpaceRuntime:
        from airflow_provider_hfspaces.hub.errors import HubError

        try:
            return self.hook.pause(repo_id)
        except HubError as error:
            if not error.outcome_unknown and error.tries == 1:
                raise
            # The first try may have paused it, and the second been refused for that.
            runtime = self.hook.get_runtime(repo_id)
            if runtime.stage != SpaceStage.PAUSED:
                raise
            return runtime


class RestartSpaceOperator(WaitingOperator):
    """Restart a Space, or start a paused or sleeping one, and wait until it runs.

    Where the Hub's answer is lost, the Space shows whether it restarts; if it does not show that,
    the task fails and its retry restarts it. A retry after a wait that failed attaches to a start
    that is still under way, and to one that has succeeded meanwhile. Returns the runtime.
    ``POST /api/spaces/{repo_id}/restart``.

    :param factory_reboot: build anew, without caches.
    :param only_if_stopped: leave a Space alone that runs or is starting already.
    :param wait: whether to wait until the Space runs.
    :param timeout: seconds to wait at the most.
    :param poll_interval: seconds between two looks at the Space.
    :param deferrable: wait in the triggerer, without a worker; by default as Airflow's
        ``[operators] default_deferrable`` says.
    """

    def __init__(
        self,
        *,
        factory_reboot: bool = False,
        only_if_stopped: bool = False,
        wait: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.factory_reboot = factory_reboot
        self.only_if_stopped = only_if_stopped
        self.wait_until_running = wait

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hooks.hfspaces import describe
        from airflow_provider_hfspaces.hub.waiting.goal import Goal

        before = self.hook.get_runtime(repo_id)
        if before.is_static:
            raise AirflowFailException(_static(repo_id, "restarted"))
        if self._is_under_way(repo_id, before, context):
            asked, runtime = False, before
        else:
            self.log.info("Space %s is %s. Restarting it.", repo_id, describe(before))
            self.log.info("%s", self.hook.page_url(repo_id))
            asked, runtime = True, self._restart(repo_id, before, context)
        if self.wait_until_running:
            return self.wait(repo_id, Goal(), context, before=before if asked else None)
        return self.waited(repo_id, runtime, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        retry_store(context).delete(ASKED)
        return runtime.to_dict()

    def _is_under_way(self, repo_id: str, runtime: SpaceRuntime, context: Context) -> bool:
        """Whether to leave a start alone: one that an earlier try has asked for, or any if so wished."""

        if runtime.stage not in STARTING_STAGES | {SpaceStage.RUNNING}:
            return False
        if self.only_if_stopped:
            self.log.info("Space %s is %s already: nothing to restart.", repo_id, runtime.stage)
            return True
        asked = retry_store(context).get(ASKED)
        if not isinstance(asked, dict) or asked.get("repo_id") != repo_id:
            return False
        if time.time() - asked["at"] > self.timeout:
            return False
        if runtime.stage == SpaceStage.RUNNING and not asked["accepted"]:
            return False
        self.log.info("An earlier try has restarted Space %s, which is %s.", repo_id, runtime.stage)
        return True

    def on_kill(self) -> None:
        """Stop waiting. The restart itself cannot be taken back."""
        self.killed.set()

    def _restart(self, repo_id: str, before: SpaceRuntime, context: Context) -> SpaceRuntime:
        from airflow_provider_hfspaces.hub.errors import HubError

        store = retry_store(context)
        asked = {"repo_id": repo_id, "at": time.time(), "accepted": False}
        store.set(ASKED, asked)
        try:
            runtime = self.hook.restart(repo_id, factory_reboot=self.factory_reboot)
        except HubError as error:
            if not error.outcome_unknown:
                store.delete(ASKED)
                raise
            runtime = self.hook.get_runtime(repo_id)
            has_started = runtime.stage == SpaceStage.RUNNING != before.stage
            if not has_started and runtime.stage not in STARTING_STAGES:
                raise
            self.log.warning("%s The Space restarts all the same.", error)
        if self.wait_until_running:
            store.set(ASKED, {**asked, "accepted": True})
        return runtime


def _static(repo_id: str, verb: str) -> str:
    return f"Space {repo_id} is static: the Hub serves its files, and it cannot be {verb}."
