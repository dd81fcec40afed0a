"""The plugin that Airflow loads through the ``airflow.plugins`` entry point, in each of its processes.

It imports almost nothing: only the API server builds the server of the page.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

__all__ = ["HfSpacesPlugin"]

_PREFIX = "/hf_spaces"


class HfSpacesPlugin(AirflowPlugin):
    """The fleet page on Airflow 3.1 and newer. On older versions, or turned off, the plugin adds nothing."""

    name = "hf_spaces"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The server of the page, for the API server to mount."""
        from airflow_provider_hfspaces.compat.config import has_fleet_page

        if not has_fleet_page():
            return []
        from airflow_provider_hfspaces.plugins.app import make_app

        return [{"app": make_app(), "url_prefix": _PREFIX, "name": "Hugging Face Spaces"}]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The entry in the menu Browse, which shows the page in Airflow's own frame."""
        from airflow_provider_hfspaces.compat.config import fleet_page_url, has_fleet_page

        if not has_fleet_page():
            return []
        page = fleet_page_url(_PREFIX)
        return [
            {
                "name": "Hugging Face Spaces",
                "href": f"{page}/",
                "icon": f"{page}/static/icon.svg",
                "icon_dark_mode": f"{page}/static/icon-dark.svg",
                "destination": "nav",
                "category": "browse",
                "url_route": "hf_spaces",
            }
        ]
