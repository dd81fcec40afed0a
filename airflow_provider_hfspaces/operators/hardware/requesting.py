"""HardwareRequest: the work of RequestHardwareOperator. Only a running task imports this module."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.hardware import is_one_flavor
from airflow_provider_hfspaces.hub.calls import request_hardware
from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware
from airflow_provider_hfspaces.hub.cost.prices import replicas_of
from airflow_provider_hfspaces.hub.hardware_search import capacity_error
from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot
from airflow_provider_hfspaces.links import SpaceHardwareLink
from airflow_provider_hfspaces.operators.commits import checked_commit, refuse_other_commit
from airflow_provider_hfspaces.operators.hardware import decisions, messages
from airflow_provider_hfspaces.operators.hardware.budgets import (
    checked_monthly_budget,
    known_hourly_cost,
    refuse_spent_budget,
)
from airflow_provider_hfspaces.operators.hardware.sending import SentRequest
from airflow_provider_hfspaces.rendered import as_whole_number
from airflow_provider_hfspaces.state.records import (
    LEASE,
    PREVIOUS,
    first_snapshot,
    pull,
    restoring_task_ids,
)
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.hardware_search import HardwareSearch
    from airflow_provider_hfspaces.hub.models import SpaceRuntime

__all__ = ["HardwareRequest"]


class HardwareRequest(SentRequest):
    """The request of a task for hardware, in this process.

    :param task: the operator.
    """

    def begin(self, repo_id: str, context: Context) -> Any:
        """Request the hardware, and wait until the Space runs on it."""

        self.note_end(context)
        checked_monthly_budget(self._task.monthly_budget)
        self._check_arguments(repo_id)
        if self.takes_one_flavor:
            before = self._read_for_one(repo_id)
            return self._send_and_wait(repo_id, self._task.hardware, before, context)
        key = self._search_key(repo_id, context)
        search = self.kept_search(key, context)
        before = self._task.hook.get_runtime(repo_id)
        if search is None:
            decisions.refuse_hopeless(repo_id, before, waits=self._task.wait_until_running)
            self._refuse_spent_budget(repo_id, before)
            search = self.new_search(before, key, context)
        elif search.is_requested and (reason := capacity_error(before, str(search.hardware))):
            # The Hub refused the flavor before the last try could note it.
            search = search.unavailable(reason, time.time())
        return self.seek(repo_id, search, context)

    def try_hardware(self, repo_id: str, search: HardwareSearch, context: Context) -> Any:
        before = self._task.hook.get_runtime(repo_id)
        if not search.is_requested:
            late = self.started_late(search, before)
            search = late or self.priced(search, replicas_of(before))
        return self._send_and_wait(repo_id, str(search.hardware), before, context, search)

    def end_search(self, repo_id: str, search: HardwareSearch, context: Context) -> str:
        snapshot = self._to_restore
        if snapshot is None:
            return "Nothing was requested."
        self._to_restore = None
        if not self._restore(snapshot, "none of its hardware is available"):
            return "The Space could not be restored: see the task's log, and run RestoreHardwareOperator."
        if search.resumes_at is None and not self._is_restored_later:
            retry_store(context).delete(PREVIOUS)
        return f"The Space is restored to {snapshot.hardware}."

    def search_state(self) -> dict[str, Any]:
        return {"to_restore": self._to_restore.to_dict() if self._to_restore else None}

    def resume_search(self, repo_id: str, state: Mapping[str, Any], context: Context) -> None:
        self.note_end(context)
        self._check_arguments(repo_id)
        if state.get("to_restore"):
            self._to_restore = SpaceSnapshot.from_dict(state["to_restore"])
        if self._task.lease_task is not None:
            lease_found = self._find_lease(repo_id, context)
            self._lease = lease_found[0] if lease_found else None

    def arrived(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        """Log that the Space runs on its hardware, and forget what a retry would need."""
        self._to_restore = None
        self._task.seen.note_request(context, repo_id, None, runtime)
        if "hourly" in then:
            messages.log_arrival(self._task.log, repo_id, runtime, then["hourly"])
        self.finish_search(repo_id, then.get("search"), context)
        if not restoring_task_ids(context):
            retry_store(context).delete(PREVIOUS)
        return runtime.to_dict()

    def _read_for_one(self, repo_id: str) -> SpaceRuntime:
        """Read the runtime for the request of a single flavor, if that flavor may be requested."""

        hardware = self._task.hardware
        checked_hardware(hardware, None if known_hardware(hardware) else list(self.flavors().values()))
        before = self._task.hook.get_runtime(repo_id)
        decisions.refuse_hopeless(repo_id, before, waits=self._task.wait_until_running)
        self._refuse_spent_budget(repo_id, before)
        if self._task.max_hourly_cost is not None:
            desired, _ = self._request_for(repo_id, hardware)
            decisions.refuse_too_expensive(desired, before, self.flavors(), self._task.max_hourly_cost)
        return before

    def _refuse_spent_budget(self, repo_id: str, before: SpaceRuntime) -> None:
        # A Space on the first flavor of a list stays there.
        wanted = self._task.hardware
        first = wanted[0] if isinstance(wanted, (list, tuple)) else wanted
        hardware = first if isinstance(first, str) else None
        is_known = is_one_flavor(wanted) or hardware == before.configured_hardware
        refuse_spent_budget(
            self._task.hook,
            repo_id,
            hardware if is_known else None,
            before,
            monthly_budget=self._task.monthly_budget,
            required=self._task.require_budget,
            log=self._task.log,
        )

    def _send_and_wait(
        self,
        repo_id: str,
        hardware: str,
        before: SpaceRuntime,
        context: Context,
        search: HardwareSearch | None = None,
    ) -> Any:
        desired, goal = self._request_for(repo_id, hardware)
        has_arrived = goal.is_reached_by(before)
        if not has_arrived:
            refuse_other_commit(self._task.hook, repo_id, goal.sha)
        snapshot = self._to_restore = self._record(desired, before, context)
        self._task.seen.note_inherited(repo_id, before, snapshot)
        self._flavor = hardware
        SpaceHardwareLink.persist(context, self._task.hook.settings.endpoint, repo_id, hardware)
        then: dict[str, Any] = {"hourly": None}
        if search is not None:
            search = self._keep_requested(search, repo_id, context)
            then.update(self.waiting_for(search))
        if has_arrived:
            self._task.log.info("Space %s already runs on %s.", repo_id, hardware)
        else:
            price, then["hourly"] = self._price_of(hardware, search)
            messages.log_request(self._task.log, desired, before, price)
            self._task.log.info("%s", self._task.hook.page_url(repo_id))
        self._task.space_logs.begin()
        answer = self._move(desired, before, snapshot)
        messages.warn_without_sleep_time(self._task.log, desired, before, answer)
        if not self._task.wait_until_running or (has_arrived and not self._task.health):
            searched = {"search": then["search"]} if search else {}
            return self._task.waited(repo_id, answer, context, **searched)
        return self._task.wait(
            repo_id,
            goal,
            context,
            before=None if has_arrived else before,
            answer=answer,
            put_back=snapshot if self._task.cancel_on_kill else None,
            lease_holder=self._lease.lease.holder_id if self._lease else None,
            timeout=self.search_timeout(search) if search else None,
            start_timeout=self._task.capacity_timeout if search else None,
            then=then,
        )

    def _price_of(self, hardware: str, search: HardwareSearch | None) -> tuple[str | None, float | None]:
        """The price as text, and in USD per hour and replica."""
        if search is not None:
            return search.price, search.hourly_cost
        flavor = self._flavor_of(hardware)
        return (flavor.price, flavor.hourly_cost) if flavor else (None, None)

    def _keep_requested(self, search: HardwareSearch, repo_id: str, context: Context) -> HardwareSearch:
        """Keep, before the request, that the current flavor is requested."""
        key = search.key or self._search_key(repo_id, context)
        return self.keep_search(replace(search.requested(time.time()), key=key), context)

    def _search_key(self, repo_id: str, context: Context) -> str | None:
        """What a search belongs to: the lease or the snapshot, which is another one in each window."""
        if self._task.lease_task is not None:
            taken = pull(context, self._lease_task_id(context), LEASE)
            return f"{taken.get('holder')}:{taken.get('fence')}" if isinstance(taken, Mapping) else None
        snapshot = first_snapshot(context, repo_id)
        return snapshot.taken_at if snapshot is not None else None

    def _check_arguments(self, repo_id: str) -> None:
        """Check all arguments but the hardware, before any request."""

        self._task.max_hourly_cost = known_hourly_cost(self._task.max_hourly_cost)
        request_hardware(repo_id, "", sleep_time=as_whole_number(self._task.sleep_time), is_checked=True)
        checked_commit(self._task)
