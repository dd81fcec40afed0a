"""RequestHardwareOperator: move a Space to other hardware and wait until it runs there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseOperatorLink, Context
from airflow_provider_hfspaces.links import SpaceHardwareLink
from airflow_provider_hfspaces.operators.base import WaitingOperator, has_ended_deferral
from airflow_provider_hfspaces.operators.hardware.base import SearchingOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.hardware.requesting import HardwareRequest

__all__ = ["RequestHardwareOperator"]


class RequestHardwareOperator(SearchingOperator):
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
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's
        ``[operators] default_deferrable``).
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
        cancel_on_kill: bool = True,
        lease_task: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(hardware=hardware, **kwargs)
        if monthly_budget is not None:
            from airflow_provider_hfspaces.operators.hardware.budgets import refuse_bad_budget

            refuse_bad_budget(monthly_budget, f"monthly_budget of task {self.task_id!r}")
        self.monthly_budget = monthly_budget
        self.require_budget = require_budget
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        self.sleep_time = sleep_time
        self.wait_until_running = wait
        self.sha = sha
        self.cancel_on_kill = cancel_on_kill
        self.lease_task = lease_task

    @cached_property
    def space_request(self) -> HardwareRequest:
        """The request of this try."""
        from airflow_provider_hfspaces.operators.hardware.requesting import HardwareRequest

        return HardwareRequest(self)

    def act(self, repo_id: str, context: Context) -> Any:
        return self.space_request.begin(repo_id, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        return self.space_request.arrived(repo_id, runtime, context, **then)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Restore the Space if Airflow itself has ended the deferred wait, which has no event then."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except Exception as error:
            if has_ended_deferral(next_method, error):
                self.space_request.end_by_timeout(context)
            raise

    def on_failed_wait(self, error: SpaceWaitError) -> None:
        self.space_request.on_failed_wait(error)

    def on_kill(self) -> None:
        """Stop waiting and restore the Space, with a client of its own."""
        self.killed.set()
        if "space_request" in vars(self):  # A signal handler imports nothing that it can avoid.
            self.space_request.undo()
