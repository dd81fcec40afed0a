"""The base of the operators that take a list of hardware flavors and use the first one that is available."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.base import WaitingOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.errors import SpaceWaitError
    from airflow_provider_hfspaces.operators.hardware.seeking import HardwareSeeker

__all__ = ["SearchingOperator"]


class SearchingOperator(WaitingOperator):
    """Base of the operators that take one hardware flavor or a list of them.

    :param hardware: a flavor, a list of flavors in order of preference, or
        :func:`~airflow_provider_hfspaces.hardware.any_hardware`.
    :param max_hourly_cost: USD per hour (default: no limit).
    :param capacity_timeout: of a list: seconds that the Space may take to start on a flavor, once it is
        built, before the next flavor is requested (default 600); ``None`` for no limit but ``timeout``.
    :param retry_capacity_after: seconds after the last flavor of the list until the list is started again
        (default: the task fails then).
    :param retry_capacity_until: until when the list is started again: a time of day such as ``"03:00"`` in
        the DAG's time zone, or a moment in ISO format (default: until ``timeout`` is over).
    :raises InvalidInput: for a value that is not valid.
    """

    def __init__(
        self,
        *,
        hardware: Any = None,
        max_hourly_cost: float | str | None = None,
        capacity_timeout: float | str | timedelta | None = 600,
        retry_capacity_after: float | str | timedelta | None = None,
        retry_capacity_until: Any = None,
        **kwargs: Any,
    ) -> None:
        from airflow_provider_hfspaces.hub.seconds import checked_seconds

        super().__init__(**kwargs)
        of_task = f"of task {self.task_id!r}"
        if hardware is not None and not isinstance(hardware, str):
            from airflow_provider_hfspaces.hardware import refuse_bad_hardware

            refuse_bad_hardware(hardware, f"Task {self.task_id!r}")
        self.hardware = hardware
        self.max_hourly_cost: Any = max_hourly_cost
        if max_hourly_cost is not None:
            from airflow_provider_hfspaces.operators.hardware.budgets import checked_hourly_cost

            self.max_hourly_cost = checked_hourly_cost(max_hourly_cost, f"task {self.task_id!r}")
        self.capacity_timeout = (
            None
            if capacity_timeout is None
            else checked_seconds(capacity_timeout, f"capacity_timeout {of_task}")
        )
        self.retry_capacity_after = (
            None
            if retry_capacity_after is None
            else checked_seconds(retry_capacity_after, f"retry_capacity_after {of_task}")
        )
        if retry_capacity_until is not None:
            from airflow_provider_hfspaces.operators.hardware.moments import refuse_bad_moment

            if retry_capacity_after is None:
                raise ValueError(
                    f"retry_capacity_until {of_task} needs retry_capacity_after: the seconds until the list "
                    f"of hardware is started again."
                )
            refuse_bad_moment(retry_capacity_until, f"retry_capacity_until {of_task}")
        self.retry_capacity_until = retry_capacity_until

    @property
    @abstractmethod
    def space_request(self) -> HardwareSeeker:
        """What requests the hardware in this try."""

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Resume the task after a deferred wait; after a setback, with the next flavor."""
        return self.space_request.resume(context, event)

    def search_again(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Start the list again after a pause in the triggerer."""
        return self.space_request.search_again(context, event)

    def continues_after(self, error: SpaceWaitError) -> bool:
        return self.space_request.continues_after(error)
