"""Airflow's own metrics, which go to StatsD, Datadog or OpenTelemetry, as its configuration says.

Come here when a new Airflow moves or initializes its metrics in another way.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION

__all__ = ["airflow_stats"]


def airflow_stats() -> Any:
    """Return Airflow's metrics: an object with ``incr``, ``gauge`` and ``timing``."""
    if AIRFLOW_VERSION < (3, 2):
        return import_module("airflow.stats").Stats
    stats = import_module("airflow.sdk.observability.stats")
    if not _is_initialized():
        # Airflow initializes its metrics only in the processes of tasks, not for triggers and commands.
        factory = import_module("airflow.sdk.observability.metrics.stats_utils").get_stats_factory
        if AIRFLOW_VERSION < (3, 3):
            stats.Stats.initialize(factory=factory(stats.Stats))
        else:
            conf = import_module("airflow.configuration").conf
            legacy = conf.getboolean("metrics", "legacy_names_on", fallback=True)
            stats.initialize(factory=factory(), export_legacy_names=legacy)
    return stats.Stats


def _is_initialized() -> bool:
    module = import_module("airflow.sdk._shared.observability.metrics.stats")
    if AIRFLOW_VERSION < (3, 3):
        return getattr(module.Stats, "factory", None) is not None
    return getattr(module, "_factory", None) is not None
