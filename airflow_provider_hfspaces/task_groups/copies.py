"""SpaceCopyTaskGroup: run tasks on a private copy of a Space, which is deleted afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.copies.limit import LimitCopyCostOperator
from airflow_provider_hfspaces.operators.copies.window import (
    CreateCopyOperator,
    DeleteCopyOperator,
    ReserveCopyOperator,
)
from airflow_provider_hfspaces.operators.hardware.budgets import checked_run_cost
from airflow_provider_hfspaces.rendered import has_template
from airflow_provider_hfspaces.require import require_copy
from airflow_provider_hfspaces.task_groups.window import ALL_SUCCESS, LAST_TASK, WindowTaskGroup

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_hfspaces.compat.imports import Context

__all__ = ["SpaceCopyTaskGroup"]


class SpaceCopyTaskGroup(WindowTaskGroup):
    """Run the tasks in this group on a private copy of a Space, and delete the copy whatever happens to them.

    ::

        with SpaceCopyTaskGroup("gpu", repo_id="acme/whisper", hardware="t4-small") as copy:
            SpaceBatchOperator(task_id="batch", repo_id=copy.repo_id, api="/predict", items=..., output=...)
        copy >> publish()

    Use it if the Space must not be disturbed, such as a public demo, or if several runs need it at the same
    time. Each run, and each mapped instance of the group, has a copy of its own.

    The group adds five tasks around those that are created inside its ``with`` block:

    - ``reserve`` (setup) chooses the name of the copy. It changes nothing on the Hub, and waits for every
      task outside the group that the work depends on.
    - ``create`` (setup) makes the copy in one request with hardware, sleep time, secrets, variables and
      volumes. It waits until the files of the copy are there, the copy runs on the hardware and its app
      answers.
    - ``delete`` (teardown) deletes the copy and logs what it cost. It runs if the work succeeds, fails or is
      skipped, if ``create`` fails, and if a user marks tasks or the run.
    - ``outcome`` (teardown) does nothing itself. It is ``upstream_failed`` if the work or ``delete`` failed,
      and then fails the run.
    - ``done`` does nothing itself. Tasks that follow the group follow ``done``.

    Airflow runs no teardown when a run reaches its ``dagrun_timeout``, or when no part of Airflow is alive
    any more. ``sleep_time``, which is part of the request that makes the copy, then ends its bill, and
    :class:`DeleteCopiesOperator <airflow_provider_hfspaces.operators.copies.DeleteCopiesOperator>` deletes
    it.

    :param group_id: the id of the task group.
    :param repo_id: the Space to copy. May be a template or an argument of a mapped task group.
    :param hardware: a flavor such as ``t4-small``; a list of flavors in order of preference, of which
        ``create`` takes the first one that is available; or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware`. May be a template or an argument of a
        mapped task group.
    :param max_hourly_cost: USD per hour (default: no limit). A flavor that costs more, or has no listed
        price, is not requested. May be an argument of a mapped task group.
    :param max_run_cost: USD that the copy may cost (default: no limit). A sixth task, ``limit``, watches the
        cost in the triggerer. When the estimate reaches the limit, ``limit`` deletes the copy and fails the
        run. Tasks of the work that have not begun then fail; those that are still running find no copy. May
        be a template or an argument of a mapped task group.
    :param monthly_budget: USD that the owner of the copy may spend on Spaces a month (default:
        ``[hf_spaces] monthly_budget``, otherwise no limit; ``float("inf")`` for no limit). Once the
        budget is spent, ``create`` makes no copy. May be a template or an argument of a mapped task group.
    :param require_budget: whether ``create`` also makes no copy if the amount that the owner has spent is
        not known (default False).
    :param capacity_timeout: for a list of flavors: seconds that the copy may take to start on a flavor once
        it is built, before the next one is requested (default 600). With ``None``, only the Hub's reports
        count.
    :param retry_capacity_after: seconds after the last flavor until ``create`` starts the list again
        (default: ``create`` fails then). Until then the copy is on free CPU.
    :param retry_capacity_until: until when the list is started again: a time of day such as ``"03:00"`` in
        the DAG's time zone, or a moment in ISO format (default: until ``timeout`` is over). May be a
        template.
    :param sleep_time: seconds without a visitor until the copy sleeps and costs nothing, at least 1 (default
        3600). May be a template or an argument of a mapped task group.
    :param secrets: secrets of the copy: a mapping of keys to values, or a list of
        ``{"key", "value", "description"}`` (default: none; the Hub does not copy secrets). Values may be
        templates such as ``{{ var.value.token }}`` or outputs of tasks; they are masked and never stored.
    :param variables: variables to add or change, in the same two forms (default: those of the Space). May
        have templates.
    :param volumes: the volumes to mount into the copy, as for :class:`SetVolumesOperator
        <airflow_provider_hfspaces.operators.storage.SetVolumesOperator>` (default: none). May have templates.
    :param to_id: the owner of the copy and the beginning of its name, as ``owner/name`` (default: the
        connection's namespace or the token's owner, and the name of the Space). ``-copy-`` and twelve random
        digits are added. May be a template or an argument of a mapped task group.
    :param health: the answer of the app that ``create`` waits for: ``True`` for its start page (the default),
        a path, a mapping with ``path``, ``status``, ``json`` and ``text``, or ``None`` to wait for no answer.
        May have templates.
    :param require: whether each task of the work first checks, with one request, that the copy is on its
        hardware (default True). Setup and teardown tasks of the work and operators of this package that act
        on a Space do not check.
    :param stream_logs: show the copy's own log in the log of ``create`` while it waits: ``"build"``,
        ``"run"`` or ``"both"`` (default: none).
    :param timeout: maximum number of seconds to wait for the copy (default 1800).
    :param poll_interval: seconds between two looks at the copy (default: as few as the Hub's quota allows,
        and no fewer than 2).
    :param copy_duration: seconds after which the copy counts as left behind for another Airflow, which
        cannot see whether this run is over (default 24 hours). Choose more than your longest run takes.
    :param delete_pool: the Airflow pool of ``delete`` (default ``default_pool``, whatever ``default_args``
        say). ``delete`` has a priority above all other tasks in it.
    :param retries: retries of ``reserve`` and ``create`` (default 2). A retry of ``create`` attaches to the
        copy of an earlier try, or replaces it if it has failed.
    :param delete_retries: retries of ``delete`` (default 5).
    :param retry_delay: time between these tries (default 30 seconds).
    :param deferrable: wait in the triggerer (default: Airflow's ``[operators] default_deferrable``).
    :param hf_spaces_conn_id: the connection to the Hub (default ``hf_spaces_default``). May be a template.
    :param task_group_arguments: arguments of Airflow's ``TaskGroup``.
    :raises ValueError: naming the group and the task, if its tasks would run without the copy, or if the copy
        would have no sleep time.
    """

    def __init__(
        self,
        group_id: str,
        repo_id: Any,
        hardware: Any,
        *,
        max_hourly_cost: float | None = None,
        max_run_cost: float | str | None = None,
        monthly_budget: float | str | None = None,
        require_budget: bool = False,
        capacity_timeout: float | None = 600,
        retry_capacity_after: float | None = None,
        retry_capacity_until: Any = None,
        sleep_time: int | str = 3600,
        secrets: Any = None,
        variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
        volumes: Sequence[Mapping[str, Any]] | None = None,
        to_id: str | None = None,
        health: Any = True,
        require: bool = True,
        stream_logs: str | None = None,
        timeout: float = 1800,
        poll_interval: float | None = None,
        copy_duration: float = 24 * 3600,
        delete_pool: str = "default_pool",
        retries: int = 2,
        delete_retries: int = 5,
        retry_delay: timedelta = timedelta(seconds=30),
        deferrable: bool | None = None,
        hf_spaces_conn_id: str = "hf_spaces_default",
        **task_group_arguments: Any,
    ) -> None:
        super().__init__(group_id, **task_group_arguments)
        self.refuse_runtime_values(
            require=require,
            stream_logs=stream_logs,
            require_budget=require_budget,
            capacity_timeout=capacity_timeout,
            retry_capacity_after=retry_capacity_after,
            timeout=timeout,
            poll_interval=poll_interval,
            copy_duration=copy_duration,
            delete_pool=delete_pool,
            retries=retries,
            delete_retries=delete_retries,
            retry_delay=retry_delay,
            deferrable=deferrable,
        )
        self.refuse_bad_values(hardware=hardware, health=health, stream_logs=stream_logs)
        self._refuse_no_sleep_time(sleep_time)
        self._max_run_cost = checked_run_cost(max_run_cost, f"task group {self.group_id!r}")
        self.purpose, self.require = "the copy", require
        self._source = repo_id
        self._conn_id = hf_spaces_conn_id
        self._tries: dict[str, Any] = {"retries": retries, "retry_delay": retry_delay}
        self._reserve: dict[str, Any] = {"to_id": to_id, "copy_duration": copy_duration}
        self._create: dict[str, Any] = {
            "hardware": hardware,
            "max_hourly_cost": max_hourly_cost,
            "monthly_budget": monthly_budget,
            "require_budget": require_budget,
            "capacity_timeout": capacity_timeout,
            "retry_capacity_after": retry_capacity_after,
            "retry_capacity_until": retry_capacity_until,
            "sleep_time": sleep_time,
            "secrets": secrets,
            "variables": variables,
            "volumes": volumes,
            "health": health,
            "stream_logs": stream_logs,
            "timeout": timeout,
            "poll_interval": poll_interval,
            "deferrable": deferrable,
        }
        self._delete: dict[str, Any] = {
            **LAST_TASK,
            "pool": delete_pool,
            "retries": delete_retries,
            "retry_delay": retry_delay,
        }
        self.reserve: ReserveCopyOperator
        self.create: CreateCopyOperator
        self.delete: DeleteCopyOperator

    @property
    def repo_id(self) -> Any:
        """The id of the copy, for arguments of the tasks inside the group that Airflow renders."""
        output: Any = self.reserve.output
        return output["repo_id"]

    @property
    def require_copy(self) -> Callable[[Context], None]:
        """For ``pre_execute`` of a task: refuse to run without the copy.

        Tasks inside the group check by themselves, unless the group has ``require=False``.
        """
        return partial(
            require_copy, self.reserve.task_id, self.create.task_id, hf_spaces_conn_id=self._conn_id
        )

    def open_window(self) -> tuple[Any, Any, Any]:
        """Create ``reserve``, ``create`` and ``delete``."""
        shared: dict[str, Any] = {**ALL_SUCCESS, "hf_spaces_conn_id": self._conn_id}
        source = self._source
        self.reserve = ReserveCopyOperator(
            task_id="reserve", repo_id=source, **shared, **self._tries, **self._reserve
        )
        self.create = CreateCopyOperator(
            task_id="create", from_id=source, **shared, **self._tries, **self._create
        )
        self.delete = DeleteCopyOperator(task_id="delete", repo_id=source, **shared, **self._delete)
        return self.reserve, self.create, self.delete

    def limit_window(self) -> Any:
        """Create ``limit`` if the group has ``max_run_cost``."""
        if self._max_run_cost is None:
            return None
        return LimitCopyCostOperator(
            task_id="limit",
            repo_id=self._source,
            max_run_cost=self._max_run_cost,
            closing_task="delete",
            hf_spaces_conn_id=self._conn_id,
            **ALL_SUCCESS,
            **self._delete,
        )

    def work_check(self) -> Callable[[Context], None]:
        """Return the check of the copy, with which each task of the work begins."""
        return self.require_copy

    def _refuse_no_sleep_time(self, sleep_time: Any) -> None:
        if not has_template(sleep_time) and (sleep_time is None or str(sleep_time).strip() == "-1"):
            raise ValueError(
                f"sleep_time of task group {self.group_id!r} is {sleep_time!r}: a copy that a crash leaves "
                f"behind would never stop costing money. Set sleep_time to a number of seconds."
            )
