"""RequestHardwareOperator: move a Space to other hardware and wait until it runs there."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseOperatorLink, Context
from airflow_provider_hfspaces.hardware import is_one_flavor
from airflow_provider_hfspaces.links import SpaceHardwareLink
from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.hardware.budgets import (
    checked_monthly_budget,
    refuse_bad_budget,
    refuse_spent_budget,
)
from airflow_provider_hfspaces.operators.hardware.requesting import SentRequest
from airflow_provider_hfspaces.rendered import as_number, as_whole_number
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

__all__ = ["RequestHardwareOperator"]


class RequestHardwareOperator(SentRequest):
    """Move a Space to other hardware and wait until it runs there.

    The task succeeds when the Space is RUNNING on the requested hardware. Right after the request the Hub
    still reports RUNNING on the old hardware, which does not count. A Space that runs there already is
    left alone. A paused, sleeping or failed Space is started. In CONFIG_ERROR and NO_APP_FILE other
    hardware does not help: a task that waits fails without a request.

    Before the request, the task pushes the current state as the XCom ``previous``, for
    :class:`RestoreHardwareOperator`, and keeps it across retries. A retry attaches to a change that is
    under way.

    - If the task is killed, the Space is restored at once.
    - If ``execution_timeout`` ends the task, in a worker or deferred, the Space is restored too, unless
      the task works under a lease or a RestoreHardwareOperator of the DAG restores what it recorded.
    - If the wait fails or reaches ``timeout``, the hardware stays requested: a retry attaches to it, and
      RestoreHardwareOperator undoes it.

    Returns the runtime. ``POST /api/spaces/{repo_id}/hardware``.

    ``hardware`` may be a list in order of preference. The first flavor that is available is used::

        RequestHardwareOperator(
            task_id="upgrade", repo_id="acme/whisper", hardware=["l4x1", "a10g-small"], max_hourly_cost=1.5
        )

    - The next flavor is requested if the Hub has no capacity for one, refuses it, or has not started the
      Space on it after ``capacity_timeout``. A crash of the app, a failed build or a missing payment ends
      the task. One flavor at a time is requested: each request replaces the one before it.
    - After the last flavor the Space is restored. The error lists what was tried, and why each was left.
    - The flavor in use is the ``hardware`` of the returned runtime, the XCom ``requested`` and the end of the
      link "Space hardware"; the XCom ``tried`` lists all. A retry continues with the flavor at which the last
      try ended.

    :param hardware: a flavor such as ``t4-small``, a list of flavors in order of preference, or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware`. Templated.
    :param sleep_time: seconds without a visitor until the Space sleeps and costs nothing, -1 for never
        (default: unchanged). Set it: it ends the bill even if no part of Airflow works any more. Templated.
    :param wait: whether to wait until the Space runs there (default True).
    :param health: the answer of the app to wait for as well: ``True`` for its start page, a path, or a
        mapping with ``path``, ``status``, ``json`` and ``text`` (default: none). Templated.
    :param timeout: maximum number of seconds to wait (default 1800), for all flavors of a list together.
    :param poll_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param max_hourly_cost: USD per hour (default: no limit). Hardware that costs more, for all replicas
        together, or has no listed price, is refused before it is requested. Of a list, each flavor is
        compared right before its request, and one that costs more is left out. Templated.
    :param capacity_timeout: of a list: seconds that the Space may take to start on a flavor once it is
        built, before the next one is requested (default 600). ``None``: only the Hub's reports count.
    :param retry_capacity_after: seconds after the last flavor of a list until the list is started again
        (default: the task fails then). The Space is restored meanwhile. Also for a single flavor.
    :param retry_capacity_until: until when the list is started again: a time of day such as ``"03:00"`` in
        the DAG's time zone, or a moment in ISO format (default: until ``timeout`` is over). ``timeout`` then
        counts for each pass through the list. Templated.
    :param monthly_budget: USD that the owner of the Space may spend on Spaces a month (default:
        ``[hf_spaces] monthly_budget``, otherwise no limit; ``float("inf")`` for no limit). Paid hardware is
        refused before it is requested once the Hub's billing, or the amount that EnforceBudgetOperator has
        recorded, reaches the budget. Templated.
    :param require_budget: refuse paid hardware also if it is not known what the owner has spent (default
        False).
    :param sha: the commit that must run there, in full or its first seven characters or more (default: any);
        needs ``wait=True``. Nothing is requested for a Space that would run another commit. Templated.
    :param cancel_on_kill: whether to restore the Space if the task is killed (default True).
    :param lease_task: id of a :class:`SnapshotSpaceOperator` with ``lease=True`` in the same task group
        (default: none). The task requests nothing if the run does not hold that lease, because no task
        would restore the Space.
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker; by default Airflow's
        ``[operators] default_deferrable``.
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "hardware",
        "sleep_time",
        "max_hourly_cost",
        "monthly_budget",
        "sha",
        "retry_capacity_until",
    )
    template_fields_renderers = {**WaitingOperator.template_fields_renderers, "hardware": "json"}

    operator_extra_links: Sequence[BaseOperatorLink] = (
        *WaitingOperator.operator_extra_links,
        SpaceHardwareLink(),
    )
    records_snapshot = True
    requests_hardware = True
    records_sightings = True

    def __init__(
        self,
        *,
        hardware: Any,
        sleep_time: int | str | None = None,
        wait: bool = True,
        sha: str | None = None,
        monthly_budget: float | str | None = None,
        require_budget: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(hardware=hardware, **kwargs)
        refuse_bad_budget(monthly_budget, f"monthly_budget of task {self.task_id!r}")
        self.monthly_budget = monthly_budget
        self.require_budget = require_budget
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        self.sleep_time = sleep_time
        self.wait_until_running = wait
        self.sha = sha

    def act(self, repo_id: str, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.hardware_search import capacity_error
        from airflow_provider_hfspaces.operators.hardware import decisions

        self.note_end(context)
        checked_monthly_budget(self.monthly_budget)
        if self._takes_one_flavor:
            return self._request_one(repo_id, context)
        self._check_arguments(repo_id)
        key = self._search_key(repo_id, context)
        search = self.kept_search(key, context)
        before = self.hook.get_runtime(repo_id)
        if search is None:
            decisions.refuse_hopeless(repo_id, before, waits=self.wait_until_running)
            self._refuse_spent_budget(repo_id, before)
            search = self.new_search(before, key, context)
        elif search.is_requested and (reason := capacity_error(before, str(search.hardware))):
            # The Hub refused the flavor before the last try could note it.
            search = search.unavailable(reason, time.time())
        return self.seek(repo_id, search, context)

    def try_hardware(self, repo_id: str, search: HardwareSearch, context: Context) -> Any:
        from airflow_provider_hfspaces.hub.cost.prices import replicas_of

        before = self.hook.get_runtime(repo_id)
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
        from airflow_provider_hfspaces.hub.snapshot import SpaceSnapshot

        self.note_end(context)
        self._check_arguments(repo_id)
        if state.get("to_restore"):
            self._to_restore = SpaceSnapshot.from_dict(state["to_restore"])
        if self.lease_task is not None:
            lease_found = self._find_lease(repo_id, context)
            self._lease = lease_found[0] if lease_found else None

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.hardware import messages

        self._to_restore = None
        self.seen.note_request(context, repo_id, None, runtime)
        if "hourly" in then:
            messages.log_arrival(self.log, repo_id, runtime, then["hourly"])
        self.finish_search(repo_id, runtime, then.get("search"), context)
        if not restoring_task_ids(context):
            retry_store(context).delete(PREVIOUS)
        return runtime.to_dict()

    def _request_one(self, repo_id: str, context: Context) -> Any:
        """Request a single flavor. If it is not available, the task fails and it stays requested."""
        from airflow_provider_hfspaces.hub.checks import checked_hardware, known_hardware
        from airflow_provider_hfspaces.operators.hardware import decisions

        self._check_arguments(repo_id)
        hardware = self.hardware
        checked_hardware(hardware, None if known_hardware(hardware) else list(self.flavors().values()))
        before = self.hook.get_runtime(repo_id)
        decisions.refuse_hopeless(repo_id, before, waits=self.wait_until_running)
        self._refuse_spent_budget(repo_id, before)
        if self.max_hourly_cost is not None:
            desired, _ = self._request_for(repo_id, hardware)
            decisions.refuse_too_expensive(desired, before, self.flavors(), self.max_hourly_cost)
        return self._send_and_wait(repo_id, hardware, before, context)

    def _refuse_spent_budget(self, repo_id: str, before: SpaceRuntime) -> None:
        # A Space on the first flavor of a list stays there.
        first = self.hardware[0] if isinstance(self.hardware, (list, tuple)) else self.hardware
        hardware = first if isinstance(first, str) else None
        refuse_spent_budget(
            self.hook,
            repo_id,
            hardware if is_one_flavor(self.hardware) or hardware == before.configured_hardware else None,
            before,
            monthly_budget=self.monthly_budget,
            required=self.require_budget,
            log=self.log,
        )

    def _send_and_wait(
        self,
        repo_id: str,
        hardware: str,
        before: SpaceRuntime,
        context: Context,
        search: HardwareSearch | None = None,
    ) -> Any:
        from airflow_provider_hfspaces.hub.waiting.goal import Reached
        from airflow_provider_hfspaces.operators.commits import refuse_other_commit
        from airflow_provider_hfspaces.operators.hardware import messages

        desired, goal = self._request_for(repo_id, hardware)
        has_arrived = isinstance(goal.judge(before), Reached)
        if not has_arrived:
            refuse_other_commit(self.hook, repo_id, goal.sha)
        snapshot = self._to_restore = self._record(desired, before, context)
        self.seen.note_inherited(repo_id, before, snapshot)
        self._flavor = hardware
        SpaceHardwareLink.persist(context, self.hook.settings.endpoint, repo_id, hardware)
        then: dict[str, Any] = {"hourly": None}
        if search is not None:
            search = self._keep_requested(search, repo_id, context)
            then.update(self.waiting_for(search))
        if has_arrived:
            self.log.info("Space %s already runs on %s.", repo_id, hardware)
        else:
            price, then["hourly"] = self._price_of(hardware, search)
            messages.log_request(self.log, desired, before, price)
            self.log.info("%s", self.hook.page_url(repo_id))
        self.space_logs.begin()
        answer = self._move(desired, before, snapshot)
        messages.warn_without_sleep_time(self.log, desired, before, answer)
        if not self.wait_until_running or (has_arrived and not self.health):
            return self.waited(repo_id, answer, context, **({"search": then["search"]} if search else {}))
        return self.wait(
            repo_id,
            goal,
            context,
            before=None if has_arrived else before,
            answer=answer,
            put_back=snapshot if self.cancel_on_kill else None,
            lease_holder=self._lease.lease.holder_id if self._lease else None,
            timeout=self.search_timeout(search) if search else None,
            start_timeout=self.capacity_timeout if search else None,
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
        from dataclasses import replace

        key = search.key or self._search_key(repo_id, context)
        return self.keep_search(replace(search.requested(time.time()), key=key), context)

    def _search_key(self, repo_id: str, context: Context) -> str | None:
        """What a search belongs to: the lease or the snapshot, which is another one in each window."""
        if self.lease_task is not None:
            taken = pull(context, self._lease_task_id(context), LEASE)
            return f"{taken.get('holder')}:{taken.get('fence')}" if isinstance(taken, Mapping) else None
        snapshot = first_snapshot(context, repo_id)
        return snapshot.taken_at if snapshot is not None else None

    def _check_arguments(self, repo_id: str) -> None:
        """Check all arguments but the hardware, before any request."""
        from airflow_provider_hfspaces.hub.calls import request_hardware
        from airflow_provider_hfspaces.hub.checks import checked_amount
        from airflow_provider_hfspaces.operators.commits import checked_commit

        self.max_hourly_cost = as_number(self.max_hourly_cost)
        if self.max_hourly_cost is not None:
            checked_amount(self.max_hourly_cost, "max_hourly_cost")
        request_hardware(repo_id, "", sleep_time=as_whole_number(self.sleep_time), is_checked=True)
        checked_commit(self)
