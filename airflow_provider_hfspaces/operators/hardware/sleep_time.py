"""SetSleepTimeOperator: end the bill of a Space that nobody visits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.base import SpaceOperator
from airflow_provider_hfspaces.rendered import as_whole_number

__all__ = ["SetSleepTimeOperator"]


class SetSleepTimeOperator(SpaceOperator):
    """Set after how long without a visitor a Space sleeps, and stops costing money.

    The Hub fixes it for free hardware. Returns the runtime. ``POST /api/spaces/{repo_id}/sleeptime``.

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
            raise InvalidSleepTime(f"A sleep time in seconds is needed; got {self.sleep_time!r}.")
        runtime = self.hook.set_sleep_time(repo_id, seconds)
        if runtime.configured_hardware in FREE_HARDWARE:
            self.log.warning(
                "Space %s is on %s, whose sleep time the Hub fixes: the setting has no effect there.",
                repo_id,
                runtime.configured_hardware,
            )
        return runtime.to_dict()
