"""Apache Airflow provider for Hugging Face Spaces: its version, and what Airflow reads about it."""

from __future__ import annotations

from typing import Any

__all__ = ["__version__", "get_provider_info"]

__version__ = "0.2.0"


def get_provider_info() -> dict[str, Any]:
    """Return what Airflow reads through the ``apache_airflow_provider`` entry point.

    Add here: a module of operators, an option of the configuration with its default, or a field of the
    connection.
    """
    package = "airflow_provider_hfspaces"
    name = "Hugging Face Spaces"
    operators = (
        "hardware",
        "lifecycle",
        "duplicate",
        "copies",
        "app",
        "repository",
        "deploy",
        "settings",
        "storage",
        "fleet",
        "cost",
        "budget",
        "leases",
    )
    asset_uris = [
        {
            "schemes": ["hf-space"],
            "handler": f"{package}.assets.sanitize_uri",
            "factory": f"{package}.assets.create_asset",
        }
    ]
    return {
        "package-name": "airflow-provider-hfspaces",
        "name": name,
        "description": "Hardware, life cycle and settings of Hugging Face Spaces as steps of a pipeline.",
        "versions": [__version__, "0.1.0"],
        "integrations": [
            {
                "integration-name": name,
                "external-doc-url": "https://huggingface.co/docs/hub/spaces",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": name, "python-modules": [f"{package}.hooks.hfspaces"]}],
        "operators": [
            {
                "integration-name": name,
                "python-modules": [f"{package}.operators.{module}" for module in operators],
            }
        ],
        "sensors": [{"integration-name": name, "python-modules": [f"{package}.sensors.spaces"]}],
        "triggers": [
            {
                "integration-name": name,
                "python-modules": [
                    f"{package}.triggers.{module}"
                    for module in ("spaces", "events", "leases", "pauses", "apps", "costs")
                ],
            }
        ],
        "notifications": [
            f"{package}.notifications.spaces.PauseSpaceNotifier",
            f"{package}.notifications.spaces.RestoreHardwareNotifier",
        ],
        "cli": [f"{package}.cli.definition.get_commands"],
        "config": {
            "hf_spaces": {
                "description": "Hugging Face Spaces.",
                "options": {
                    "quota_share": {
                        "description": "Share of the Hub's API quota that the waits of one process may use: "
                        "above 0 and at most 1. All processes together leave a tenth of the quota to others.",
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "0.5",
                        "default": "0.5",
                    },
                    "lease_repo": {
                        "description": "Repository that keeps the leases of all Spaces, one branch for "
                        "each, such as datasets/acme/airflow-leases. Empty: each Space's own repository "
                        "keeps its lease. A connection's extra lease_repo takes precedence.",
                        "version_added": __version__,
                        "type": "string",
                        "example": "datasets/acme/airflow-leases",
                        "default": "",
                    },
                    "app_connections": {
                        "description": "Deferred calls of one app whose answers a triggerer reads at a "
                        "time, each over one connection. The app keeps the answers of the others.",
                        "version_added": __version__,
                        "type": "integer",
                        "example": "200",
                        "default": "1000",
                    },
                    "capacity_errors": {
                        "description": "Further error messages of Spaces, or parts of them, that mean that "
                        "the Hub has no such hardware left, separated by |. After such an error, a "
                        "list of hardware moves on to its next flavor.",
                        "version_added": __version__,
                        "type": "string",
                        "example": "no nodes available|out of stock",
                        "default": "",
                    },
                    "monthly_budget": {
                        "description": "USD that an owner may spend on Spaces a month: a number for every "
                        "owner, or owner=number for some, separated by commas. When it is spent, upgrades "
                        "to paid hardware fail. Empty: no budget.",
                        "version_added": __version__,
                        "type": "string",
                        "example": "acme=500,research=200",
                        "default": "",
                    },
                    "log_streams": {
                        "description": "Logs of Spaces that one process reads at a time for stream_logs, "
                        "each over one connection. Further ones wait until another log is no longer read.",
                        "version_added": __version__,
                        "type": "integer",
                        "example": "100",
                        "default": "32",
                    },
                    "log_lines": {
                        "description": "Lines of the logs of Spaces that the log of one task shows at most. "
                        "The task's log says how many further lines it leaves out.",
                        "version_added": __version__,
                        "type": "integer",
                        "example": "100000",
                        "default": "10000",
                    },
                    "log_lines_per_second": {
                        "description": "Lines a second that the log of one task shows of the logs of Spaces, "
                        "on average over ten seconds. The task's log says how many it leaves out.",
                        "version_added": __version__,
                        "type": "integer",
                        "example": "1000",
                        "default": "100",
                    },
                    "fleet_page": {
                        "description": "Whether Airflow's UI has a page with the Spaces of each connection "
                        "(Airflow 3.1 and newer). While the page is open, the API server reads from the Hub.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "fleet_connections": {
                        "description": "Ids of connections in a secrets backend that the fleet page shows, "
                        "separated by commas. The page finds connections in the database, in the environment "
                        "of the API server and in DAGs by itself.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "hf_spaces_prod,hf_spaces_research",
                        "default": "",
                    },
                },
            }
        },
        "asset-uris": asset_uris,
        "dataset-uris": asset_uris,
        "extra-links": [
            f"{package}.links.{link}" for link in ("SpaceLink", "SpaceLogsLink", "SpaceHardwareLink")
        ],
        "connection-types": [
            {
                "connection-type": "hf_spaces",
                "hook-class-name": f"{package}.hooks.hfspaces.HfSpacesHook",
                "hook-name": name,
                "ui-field-behaviour": {
                    "hidden-fields": ["extra", "login", "schema"],
                    "relabeling": {
                        "host": "Endpoint",
                        "password": "Token",
                        "port": "Port (Test in 3.3 needs it)",
                    },
                    "placeholders": {
                        "host": "https://huggingface.co",
                        "port": "443",
                        "password": "hf_…",
                        "namespace": "my-organization",
                        "timeout": "30",
                    },
                },
                "conn-fields": {
                    "namespace": {
                        "label": "Namespace",
                        "description": "Owner of Spaces that are given by their name alone: a user or an "
                        "organization.",
                        "schema": {"type": ["string", "null"]},
                    },
                    "timeout": {
                        "label": "Timeout",
                        "description": "Seconds without a byte after which an answer of the Hub counts as "
                        "lost.",
                        "schema": {"type": ["integer", "null"], "default": 30, "minimum": 1},
                    },
                    "allow_http": {
                        "label": "Allow http",
                        "description": "Send the token unencrypted to an endpoint on another host. Only for "
                        "a network that you trust.",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "lease_repo": {
                        "label": "Lease repository",
                        "description": "Repository that keeps the leases of all Spaces, such as "
                        "datasets/acme/airflow-leases. Empty: each Space's own repository keeps its lease.",
                        "schema": {"type": ["string", "null"]},
                    },
                },
            }
        ],
    }
