"""SetSleepTimeOperator: let a Space sleep, and its bill end, when nobody visits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.rendered import as_whole_number

__all__ = ["SetSleepTimeOperator"]


class SetSleepTimeOperator(SpaceOperator):
    """Set the time without a visitor after which a Space sleeps and costs nothing.

    On free hardware the Hub fixes the sleep time: there the task logs a warning. Returns the runtime.
    ``POST /api/spaces/{repo_id}/sleeptime``.

    :param sleep_time: seconds, at least 1; -1 for never. Templated.
    """

    template_fields: Sequence[str] = (*SpaceOperator.template_fields, "sleep_time")

    def __init__(self, *, sleep_time: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sleep_time = sleep_time

    def act(self, repo_id: str, context: Context) -> dict[str, Any]:
        from airflow_provider_hfspaces.hub.checks import InvalidSleepTime
        from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

        seconds = as_whole_number(self.sleep_time)
        if seconds is None:
            raise InvalidSleepTime(
                f"sleep_time must be a number of seconds, or -1 for never; got {self.sleep_time!r}."
            )
        runtime = self.hook.set_sleep_time(repo_id, seconds)
        if runtime.configured_hardware in FREE_HARDWARE:
            self.log.warning(
                "Space %s is on %s, whose sleep time the Hub fixes. The setting has no effect there.",
                repo_id,
                runtime.configured_hardware,
            )
        return runtime.to_dict()
