"""HardwareSeeker: tries one flavor of a list after the other for an operator.

Only a running task imports this module.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.assets import describe_outlets
from airflow_provider_hfspaces.compat.config import capacity_errors
from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.failures import failing_for_good
from airflow_provider_hfspaces.hardware import hardware_names, is_one_flavor, listed_flavors
from airflow_provider_hfspaces.hub.checks import InvalidInput
from airflow_provider_hfspaces.hub.cost.limits import over_hourly_limit
from airflow_provider_hfspaces.hub.cost.prices import replicas_of
from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError, error_from_dict
from airflow_provider_hfspaces.hub.hardware_search import (
    CAPACITY_ERRORS,
    GiveUp,
    HardwareSearch,
    Pause,
    why_unavailable,
)
from airflow_provider_hfspaces.hub.waiting.goal import Goal
from airflow_provider_hfspaces.operators.base import BACKSTOP_SECONDS
from airflow_provider_hfspaces.operators.hardware.moments import moment_after
from airflow_provider_hfspaces.state.records import SEARCH, TRIED
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceRuntime
    from airflow_provider_hfspaces.operators.hardware.base import SearchingOperator

__all__ = ["FlavorSkipped", "HardwareSeeker"]


class FlavorSkipped(Exception):
    """A flavor of a list is not requested. The message says why."""


class HardwareSeeker(ABC):
    """Base of what requests hardware for a task in this process: the search for an available flavor.

    :param task: the operator.
    """

    def __init__(self, task: SearchingOperator) -> None:
        self._task = task
        self._search: HardwareSearch | None = None

    @abstractmethod
    def try_hardware(self, repo_id: str, search: HardwareSearch, context: Context) -> Any:
        """Request the current flavor of a search and wait for it.

        Calls :meth:`keep_search` before the request.

        :raises FlavorSkipped: if the flavor is not to be requested.
        """

    @abstractmethod
    def end_search(self, repo_id: str, search: HardwareSearch, context: Context) -> str:
        """Take the hardware away from the Space if no flavor is available.

        :returns: what became of the Space, as a sentence.
        """

    def search_state(self) -> dict[str, Any]:
        """What the next process needs to continue with a search after a deferral, as plain JSON."""
        return {}

    @abstractmethod
    def resume_search(self, repo_id: str, state: Mapping[str, Any], context: Context) -> None:
        """Read what :meth:`search_state` returned in another process."""

    def new_search(self, runtime: SpaceRuntime | None, key: str | None, context: Context) -> HardwareSearch:
        """The search for the task's hardware, from its beginning.

        :param runtime: of the Space, for its number of replicas; ``None`` before it exists.
        :param key: what the search belongs to.
        :raises InvalidInput: for hardware that is not valid, and if no flavor fits.
        """

        replicas = replicas_of(runtime) if runtime is not None else 1
        flavors = listed_flavors(self._task.hardware, lambda: self.flavors().values(), replicas)
        limits = tuple(_least(self._task.max_hourly_cost, limit) for _, limit in flavors)
        now = time.time()
        search = HardwareSearch(
            tuple(name for name, _ in flavors),
            began=now,
            until=self._until(now, context),
            retry_after=self._task.retry_capacity_after,
            limits=limits,
            key=key,
        )
        try:
            search = search.with_prices(self.flavors().values())
        except HubError:
            if any(limit is not None for limit in limits):
                raise
        if len(flavors) > 1:
            self._task.log.info("Hardware in order of preference: %s.", ", ".join(search.flavors))
        return search

    def kept_search(self, key: str | None, context: Context) -> HardwareSearch | None:
        """The search that an earlier try of this task has kept, with new time for the flavor it was at.

        :param key: what the search has to belong to.
        """
        search = self.read_search(context)
        if search is None or key is None or search.key != key:
            return None
        now = time.time()
        self._task.log.info(
            "The search for hardware continues where the last try ended, with %s.",
            search.hardware or "the end of the list",
        )
        return replace(search, began=now, pass_began=now, until=self._until(now, context))

    def read_search(self, context: Context) -> HardwareSearch | None:
        """The search that an earlier try of this task has kept, whatever it belongs to."""

        try:
            return HardwareSearch.from_dict(retry_store(context).get(SEARCH))
        except InvalidInput:
            return None

    def keep_search(self, search: HardwareSearch, context: Context) -> HardwareSearch:
        """Keep a search for the next try of this task, and show other tasks what was tried."""
        self._search = search
        retry_store(context).set(SEARCH, search.to_dict())
        context["ti"].xcom_push(key=TRIED, value=search.tried())
        return search

    def seek(self, repo_id: str, search: HardwareSearch, context: Context) -> Any:
        """Try one flavor after the other, and return what the task returns.

        :raises HardwareUnavailable: if none of them is available.
        """

        while True:
            self._search = search
            step = search.next_step()
            if isinstance(step, Pause):
                search = self._pause(repo_id, search, step.until, context)
                continue
            if isinstance(step, GiveUp):
                outcome = self.end_search(repo_id, search, context)
                retry_store(context).delete(SEARCH)
                remedy = "set retry_capacity_after" if search.retry_after is None else "retry for longer"
                raise search.failure(repo_id, f"{outcome} Add flavors to hardware, or {remedy}.")
            try:
                self._skip_if_late(search)
                return self.try_hardware(repo_id, search, context)
            except FlavorSkipped as skipped:
                reason: str | None = str(skipped)
            except (HubError, SpaceWaitError) as error:
                reason = self._why_unavailable(error)
                if reason is None:
                    raise
            search = self._set_back(repo_id, self._search, str(reason), context)

    def priced(self, search: HardwareSearch, replicas: int) -> HardwareSearch:
        """Compare the price of the current flavor with its limit, by a new price list after the first flavor.

        :raises FlavorSkipped: if it costs more, or has no listed price.
        """

        limit = search.limit
        if limit is None:
            return search
        if search.setbacks or search.passes > 1:
            search = search.with_prices(self.flavors(again=True).values())
        cost = None if search.hourly_cost is None else search.hourly_cost * replicas
        if reason := over_hourly_limit(cost, limit, replicas):
            raise FlavorSkipped(reason)
        return search

    def started_late(self, search: HardwareSearch, runtime: SpaceRuntime) -> HardwareSearch | None:
        """The search that has ended with the flavor before, if the Space runs on that by now.

        The last look at the Space may be some seconds old. The flavor is not left for another one then.
        """

        last = search.setbacks[-1] if search.setbacks else None
        if last is None or last.requested_at is None:
            return None
        if not Goal(hardware=last.hardware).is_reached_by(runtime):
            return None
        self._task.log.info("The Space runs on %s after all.", last.hardware)
        return search.taken_back()

    def flavors(self, *, again: bool = False) -> Mapping[str, HardwareFlavor]:
        """The flavors that the Hub offers, by name.

        :param again: read them again, because prices may have changed.
        """
        return self._task.hook.price_list(again=again).flavors

    def search_timeout(self, search: HardwareSearch) -> float:
        """Seconds from now to the end of the wait for the current flavor."""
        return max(0.0, self._deadline(search) - time.time())

    def waiting_for(self, search: HardwareSearch) -> dict[str, Any]:
        """What a wait for the current flavor passes on, for ``then`` of the task's ``wait``."""
        return {"search": search.to_dict(), **self.search_state()}

    def finish_search(self, repo_id: str, search: Any, context: Context) -> None:
        """Log which flavor is used, and forget the search.

        :param search: from :meth:`waiting_for`; ``None`` for a task without a list.
        """
        if search is None:
            return

        ended = HardwareSearch.from_dict(search)
        self._search = None
        retry_store(context).delete(SEARCH)
        if not ended.setbacks:
            return
        hardware = ended.hardware
        price = f" at {ended.price}" if ended.price else ""
        self._task.log.info("Space %s: %s; using %s%s.", repo_id, ended.unavailable_in_words, hardware, price)

    def resume(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait; after a setback, with the next flavor."""

        self._task.space_logs.resume(event)
        then = event.get("then") or {}
        if then.get("search") is None or event["status"] == "reached":
            return self._task.space_wait.resume(context, event)
        search = self._search = HardwareSearch.from_dict(then["search"])
        reason = self._why_unavailable(error_from_dict(event["error"]))
        if reason is None:
            return self._task.space_wait.resume(context, event)
        return self._continue(
            event, context, lambda: self._set_back(event["repo_id"], search, str(reason), context)
        )

    def search_again(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Start the list again after a pause in the triggerer."""

        search = HardwareSearch.from_dict(event["then"]["search"])
        return self._continue(event, context, lambda: search.resumed(time.time()))

    def continues_after(self, error: SpaceWaitError) -> bool:
        """Whether another flavor is tried after a failed wait."""
        return self._why_unavailable(error) is not None

    def _continue(
        self, event: Mapping[str, Any], context: Context, advance: Callable[[], HardwareSearch]
    ) -> Any:
        repo_id = event["repo_id"]
        with failing_for_good():
            self.resume_search(repo_id, event["then"], context)
            result = self.seek(repo_id, advance(), context)
        describe_outlets(self._task, context, repo_id, result)
        return result

    def _why_unavailable(self, error: Exception) -> str | None:
        """Why the current flavor is not available; ``None`` for another error, and without a list."""
        search = self._search
        if search is None or search.hardware is None:
            return None

        return why_unavailable(error, search.hardware, (*CAPACITY_ERRORS, *capacity_errors()))

    def _set_back(
        self, repo_id: str, search: HardwareSearch | None, reason: str, context: Context
    ) -> HardwareSearch:
        assert search is not None
        self._task.log.warning("Space %s: %s is not available: %s", repo_id, search.hardware, reason)
        return self.keep_search(search.unavailable(reason, time.time()), context)

    def _skip_if_late(self, search: HardwareSearch) -> None:
        if not search.is_requested and search.setbacks and time.time() >= self._deadline(search):
            raise FlavorSkipped("timeout was over before it could be requested")

    def _pause(self, repo_id: str, search: HardwareSearch, until: float, context: Context) -> HardwareSearch:
        """Wait until the list is started again. If the task is deferred, this does not return."""
        outcome = self.end_search(repo_id, search, context)
        self.keep_search(search, context)
        seconds = max(0.0, until - time.time())
        self._task.log.warning(
            "Space %s: %s. %s The list is started again in %.0f seconds.",
            repo_id,
            search.unavailable_in_words,
            outcome,
            seconds,
        )
        if self._task.deferrable:
            from airflow_provider_hfspaces.triggers.pauses import PauseTrigger

            self._task.defer(
                trigger=PauseTrigger(repo_id=repo_id, until=until, then=self.waiting_for(search)),
                method_name="search_again",
                timeout=timedelta(seconds=seconds + BACKSTOP_SECONDS),
            )
        if self._task.killed.wait(seconds):
            raise AirflowFailException(f"Space {repo_id}: the task was killed while it waited for hardware.")
        return search.resumed(time.time())

    def _deadline(self, search: HardwareSearch) -> float:
        """When the pass through the list ends, in seconds since 1970."""
        began = search.began if search.pass_began is None else search.pass_began
        if self._task.retry_capacity_until is None:
            began = search.began
        return min(began + self._task.timeout, self.ends_at())

    def ends_at(self) -> float:
        """When ``execution_timeout`` ends the task, in seconds since 1970."""
        return float("inf")

    def _until(self, now: float, context: Context) -> float:
        until = now + self._task.timeout
        if self._task.retry_capacity_until is not None:
            until = moment_after(self._task.retry_capacity_until, now, context)
        return min(until, self.ends_at())

    @property
    def takes_one_flavor(self) -> bool:
        """Whether the rendered hardware is one flavor, which is not searched for."""
        return is_one_flavor(self._task.hardware) and self._task.retry_capacity_after is None

    @property
    def hardware_in_words(self) -> str:
        """The task's hardware, for logs and errors."""
        return hardware_names(self._task.hardware)


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)
