"""The Hub's endpoints: one function per endpoint, in one module per noun.

Each function returns a :class:`Call` and sends nothing. An argument that is not valid raises a subclass of
:class:`~airflow_provider_hfspaces.hub.errors.InvalidInput` that names the value.

.. code-block:: python

    from airflow_provider_hfspaces.hub import HubClient, calls

    with HubClient(token) as client:
        client.send(calls.pause("acme/whisper"))
"""

from __future__ import annotations

from airflow_provider_hfspaces.hub.calls.account import (
    can_write,
    get_billing_usage,
    whoami,
    zero_gpu_quota,
)
from airflow_provider_hfspaces.hub.calls.base import Call
from airflow_provider_hfspaces.hub.calls.logs import get_log_events, get_logs
from airflow_provider_hfspaces.hub.calls.repositories import (
    create_space,
    delete_space,
    list_commits,
    list_space_templates,
    move_space,
    set_visibility,
)
from airflow_provider_hfspaces.hub.calls.runtime import (
    get_runtime,
    list_hardware,
    pause,
    request_hardware,
    restart,
    set_dev_mode,
    set_replicas,
    set_sleep_time,
)
from airflow_provider_hfspaces.hub.calls.settings import (
    add_secret,
    add_variable,
    delete_secret,
    delete_variable,
    get_secrets,
    get_variables,
)
from airflow_provider_hfspaces.hub.calls.spaces import (
    ListedRuntime,
    duplicate,
    get_space,
    list_runtimes,
    list_spaces,
    search_spaces,
)
from airflow_provider_hfspaces.hub.calls.storage import (
    delete_storage,
    delete_volumes,
    request_storage,
    set_volumes,
)

__all__ = [
    "Call",
    "ListedRuntime",
    "add_secret",
    "add_variable",
    "can_write",
    "create_space",
    "delete_secret",
    "delete_space",
    "delete_storage",
    "delete_variable",
    "delete_volumes",
    "duplicate",
    "get_billing_usage",
    "get_log_events",
    "get_logs",
    "get_runtime",
    "get_secrets",
    "get_space",
    "get_variables",
    "list_commits",
    "list_hardware",
    "list_runtimes",
    "list_space_templates",
    "list_spaces",
    "move_space",
    "pause",
    "request_hardware",
    "request_storage",
    "restart",
    "search_spaces",
    "set_dev_mode",
    "set_replicas",
    "set_sleep_time",
    "set_visibility",
    "set_volumes",
    "whoami",
    "zero_gpu_quota",
]
