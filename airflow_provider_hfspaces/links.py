"""Extra links on the page of a task: to the Space, and to its logs."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_hfspaces.compat.imports import BaseOperatorLink, Context, xcom_value

__all__ = ["SpaceLink", "SpaceLogsLink"]


class _SpacePageLink(BaseOperatorLink):
    xcom_key: ClassVar[str] = ""
    query: ClassVar[str] = ""

    @classmethod
    def persist(cls, context: Context, endpoint: str, repo_id: str) -> None:
        """Write the address where Airflow's pages read it, so that the link shows from now on."""
        address = f"{endpoint}/spaces/{repo_id}{cls.query}"
        context["ti"].xcom_push(key=cls.xcom_key, value=address)

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address that the task has written; nothing before it has begun."""
        return xcom_value(ti_key, self.xcom_key) or ""


class SpaceLink(_SpacePageLink):
    """To the Space's page on the Hub."""

    name = "Open Space"
    xcom_key = "hf_space_link"


class SpaceLogsLink(_SpacePageLink):
    """To the log of the Space's app on the Hub."""

    name = "Space logs"
    xcom_key = "hf_space_logs_link"
    query = "?logs=container"
