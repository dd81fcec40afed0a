"""Airflow's configuration, read with this package's defaults."""

from __future__ import annotations

from importlib import import_module
from urllib.parse import urlsplit

from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION

__all__ = [
    "connections_of_config",
    "default_deferrable",
    "fleet_page_url",
    "has_fleet_page",
    "lease_settle",
    "quota_share",
]


def default_deferrable() -> bool:
    """Airflow's own default for ``deferrable``."""
    conf = import_module("airflow.configuration").conf
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def quota_share() -> float:
    """The share of the Hub's quota that waiting may use, ``[hf_spaces] quota_share``."""
    conf = import_module("airflow.configuration").conf
    return float(conf.getfloat("hf_spaces", "quota_share", fallback=0.5))


def has_fleet_page() -> bool:
    """Whether the UI takes pages of plugins (Airflow 3.1), and ``[hf_spaces] fleet_page`` allows ours."""
    conf = import_module("airflow.configuration").conf
    return AIRFLOW_VERSION >= (3, 1) and bool(conf.getboolean("hf_spaces", "fleet_page", fallback=True))


def fleet_page_url(prefix: str) -> str:
    """The path of a page of ours, where Airflow's own pages may have a path before theirs."""
    conf = import_module("airflow.configuration").conf
    root = urlsplit(conf.get("api", "base_url", fallback="") or "").path
    return root.rstrip("/") + prefix


def connections_of_config() -> list[str]:
    """The connections that ``[hf_spaces] fleet_connections`` names for the fleet page."""
    conf = import_module("airflow.configuration").conf
    named = conf.get("hf_spaces", "fleet_connections", fallback="") or ""
    return [each.strip() for each in named.split(",") if each.strip()]


def lease_settle() -> float:
    """Seconds, ``[hf_spaces] lease_settle``."""
    conf = import_module("airflow.configuration").conf
    return float(conf.getfloat("hf_spaces", "lease_settle", fallback=5.0))
