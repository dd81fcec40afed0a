"""How this process reaches Airflow's data: in the database itself, or through its supervisor.

Come here when a new Airflow opens or closes its database to a kind of process.
"""

from __future__ import annotations

import os
import sys

from airflow_provider_hfspaces.compat.imports import AIRFLOW_3

__all__ = ["has_database", "use_database"]

_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def has_database() -> bool:
    """Return whether this process reads and writes Airflow's database itself.

    On Airflow 2.11 every process does. Since Airflow 3.0 only Airflow's servers and commands do; tasks,
    triggers and callbacks send requests to their supervisor.
    """
    return not AIRFLOW_3 or (os.environ.get(_CONTEXT) == "server" and not _has_supervisor())


def use_database() -> None:
    """Make this process, a command that a user has started, read and write Airflow's database.

    Airflow's own commands do this too. Airflow then reads secrets backends and the database in its
    usual order.
    """
    os.environ[_CONTEXT] = "server"


def _has_supervisor() -> bool:
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None
