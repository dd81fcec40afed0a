"""RestoreHardwareOperator: restore a Space after the work, whether the work succeeded or not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.base import WaitingOperator
from airflow_provider_hfspaces.operators.values import follow

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.hardware.restoring import HardwareRestore

__all__ = ["RestoreHardwareOperator"]


class RestoreHardwareOperator(WaitingOperator):
    """Restore a Space's hardware, sleep time, replicas and pause.

    ::

        snapshot = SnapshotSpaceOperator(task_id="snapshot", repo_id="acme/whisper")
        restore = RestoreHardwareOperator(task_id="restore", repo_id="acme/whisper", from_task="snapshot")
        snapshot >> batch() >> restore.as_teardown(setups=snapshot)

    Use it as a teardown: it then runs if the work before it succeeds, fails or is skipped. It sends no
    request for a property that has not changed. A Space that somebody paused in the meantime stays
    paused, because it costs nothing.

    If the Hub rejects the recorded hardware for good, the Space moves to ``fallback``; if the Hub rejects
    that too, the Space is paused. In both cases the task fails and says so.

    The log ends with what the run cost, such as "13 min of t4-small, about $0.09": an estimate from list
    prices, by the begun minute and for all replicas, from the request to the way back. The XCom ``cost`` has
    ``cost_usd`` (``None`` if a price is unknown), ``billed_seconds``, ``hardware``, and ``billed`` by flavor.

    Returns the runtime with ``cost_usd``, ``billed_seconds`` and ``billed_hardware``. Endpoints, as far as
    they are needed: ``GET /api/spaces/{repo_id}/runtime``, ``GET /api/spaces/hardware``, and ``POST`` to
    ``/hardware``, ``/sleeptime``, ``/replicas``, ``/restart`` and ``/pause`` of the Space.

    :param from_task: id of the :class:`SnapshotSpaceOperator` or :class:`RequestHardwareOperator` that
        recorded the state, the operator itself, or its ``output``. Inside a task group the id may be given
        without the prefix of the group. Templated.
    :param hardware: the hardware to restore, whatever was recorded (default: the recorded hardware).
        ``default_args`` do not set it: there it means the hardware of the upgrade. Templated.
    :param fallback: the hardware if nothing was recorded or the Hub rejects what was recorded (default
        ``cpu-basic``). Templated.
    :param pause: whether to pause the Space after the restore, whatever it was before (default False). A
        paused Space costs nothing, and no visitor starts it.
    :param max_hourly_cost: USD per hour (default: no limit). A recorded state that costs more, or has no
        listed price, is not restored: the Space goes to ``fallback``. Templated.
    :param restore_dormant: what to do with a Space on paid hardware that was asleep or had failed, and
        would run and cost money after the restore. ``"pause"`` (default) pauses it; ``"sleep"`` sets a
        short sleep time, waits until the Space sleeps and restores its own; ``"run"`` leaves it running.
    :param wait: whether to wait until the Space runs again (default False).
    :param health: the answer of the app to wait for as well, with ``wait=True``: ``True`` for its start page,
        a path, or a mapping with ``path``, ``status``, ``json`` and ``text`` (default: none). Templated.
    :param timeout: maximum number of seconds to wait (default 1800).
    :param poll_interval: seconds between two looks at the Space (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param stream_logs: show the Space's own log in the task's log while the task waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param deferrable: wait in the triggerer, without a worker (default: Airflow's
        ``[operators] default_deferrable``).
    """

    template_fields: Sequence[str] = (
        *WaitingOperator.template_fields,
        "from_task",
        "hardware",
        "fallback",
        "max_hourly_cost",
    )

    # Without a token an upgrade changes nothing, so that there is nothing to restore. Requests that change
    # the Space check for a token themselves.
    needs_token = False

    records_sightings = True

    @property
    def outlet_fields(self) -> tuple[str, ...]:
        """The parts of the result that the event of an asset has, besides the state of the Space."""
        from airflow_provider_hfspaces.hub.cost.runs import RESULT_KEYS

        return RESULT_KEYS

    def __init__(
        self,
        *,
        from_task: Any,
        hardware: str | None = None,
        fallback: str = "cpu-basic",
        pause: bool = False,
        max_hourly_cost: float | str | None = None,
        restore_dormant: str = "pause",
        wait: bool = False,
        **kwargs: Any,
    ) -> None:
        if hardware is not None and (kwargs.get("default_args") or {}).get("hardware") == hardware:
            # The flavor that default_args name for the upgrade is not the one to restore.
            warnings.warn(
                f"RestoreHardwareOperator {kwargs.get('task_id')!r} ignores hardware={hardware!r}, which "
                f"comes from default_args, and restores what {from_task!r} recorded. To restore certain "
                f"hardware, set it on the operator itself.",
                UserWarning,
                stacklevel=2,
            )
            hardware = None
        super().__init__(**kwargs)
        self.refuse_unless_waiting(wait, kwargs.get("default_args"))
        if restore_dormant not in ("pause", "sleep", "run"):
            raise ValueError(
                f"restore_dormant of task {self.task_id!r} must be 'pause', 'sleep' or 'run'; got "
                f"{restore_dormant!r}."
            )
        self.max_hourly_cost: Any = max_hourly_cost
        if max_hourly_cost is not None:
            from airflow_provider_hfspaces.operators.hardware.budgets import checked_hourly_cost

            self.max_hourly_cost = checked_hourly_cost(max_hourly_cost, f"task {self.task_id!r}")
        self.restore_dormant = restore_dormant
        source = getattr(from_task, "operator", from_task)  # of an output such as snapshot.output
        self.from_task = source if isinstance(source, str) else source.task_id
        follow(self, from_task)
        self.hardware = hardware
        self.fallback = fallback
        self.pause_after = pause
        self.wait_until_back = wait

    @cached_property
    def space_restore(self) -> HardwareRestore:
        """The restore of this try."""
        from airflow_provider_hfspaces.operators.hardware.restoring import HardwareRestore

        return HardwareRestore(self)

    def act(self, repo_id: str, context: Context) -> Any:
        return self.space_restore.begin(repo_id, context)

    def waited(self, repo_id: str, runtime: SpaceRuntime, context: Context, **then: Any) -> dict[str, Any]:
        return self.space_restore.arrived(repo_id, runtime, context, **then)
