"""Extra links on a task's page: to the Space, to its logs and to its hardware.

Come here to add a link; ``get_provider_info`` lists the links for Airflow.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_hfspaces.compat.imports import BaseOperatorLink, Context, is_first_start, xcom_value

__all__ = ["SpaceHardwareLink", "SpaceLink", "SpaceLogsLink"]

_addresses: dict[tuple[Any, ...], str] = {}
"""The addresses that this process has pushed, by task instance and XCom key."""


class _SpacePageLink(BaseOperatorLink):
    xcom_key: ClassVar[str] = ""
    query: ClassVar[str] = ""

    @classmethod
    def persist(cls, context: Context, endpoint: str, repo_id: str, anchor: str = "") -> None:
        """Push the address as an XCom, so that the link shows while the task runs.

        :param endpoint: the address of the Hub.
        :param repo_id: the Space, as ``owner/name``.
        :param anchor: the part of the page.
        """
        address = f"{endpoint}/spaces/{repo_id}{cls.query}{f'#{anchor}' if anchor else ''}"
        context["ti"].xcom_push(key=cls.xcom_key, value=address)
        _addresses[_key_of(context["ti"], cls.xcom_key)] = address

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address that the task has pushed; an empty string if the task has pushed none."""
        address = _addresses.get(_key_of(ti_key, self.xcom_key))
        if address is None and not is_first_start(ti_key):
            address = xcom_value(ti_key, self.xcom_key)
        return address or ""


class SpaceLink(_SpacePageLink):
    """Link to the Space's page on the Hub."""

    name = "Open Space"
    xcom_key = "hf_space_link"


class SpaceLogsLink(_SpacePageLink):
    """Link to the log of the Space's app on the Hub."""

    name = "Space logs"
    xcom_key = "hf_space_logs_link"
    query = "?logs=container"


class SpaceHardwareLink(_SpacePageLink):
    """Link to the Space's settings, where its hardware is. The address ends with the requested flavor."""

    name = "Space hardware"
    xcom_key = "hf_space_hardware_link"
    query = "/settings"


def _key_of(ti: Any, xcom_key: str) -> tuple[Any, ...]:
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    return (*(getattr(ti, name, None) for name in names), xcom_key)
