"""Reads Airflow's configuration: the section ``[hf_spaces]``, and options of Airflow that matter here.

Come here to read a new option. Its description and its default are in ``get_provider_info``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_hfspaces import get_provider_info
from airflow_provider_hfspaces.compat.imports import AIRFLOW_VERSION

__all__ = [
    "app_connections",
    "capacity_errors",
    "connections_of_config",
    "default_deferrable",
    "fleet_page_url",
    "has_fleet_page",
    "lease_repository",
    "log_lines",
    "log_lines_per_second",
    "log_streams",
    "monthly_budget",
    "quota_share",
]

SECTION = "hf_spaces"


def default_deferrable() -> bool:
    """Return Airflow's own default for ``deferrable``."""
    return bool(_conf().getboolean("operators", "default_deferrable", fallback=False))


def quota_share() -> float:
    """Return the share of the Hub's quota that waits of a process may use, ``[hf_spaces] quota_share``."""
    return float(_conf().getfloat(SECTION, "quota_share", fallback=float(_default("quota_share"))))


def app_connections() -> int:
    """Return how many calls of one app a triggerer reads at a time, ``[hf_spaces] app_connections``."""
    option = "app_connections"
    return max(1, int(_conf().getint(SECTION, option, fallback=int(_default(option)))))


def capacity_errors() -> list[str]:
    """Return further messages that mean that no hardware is left, ``[hf_spaces] capacity_errors``."""
    texts = _conf().get(SECTION, "capacity_errors", fallback=_default("capacity_errors")) or ""
    return [each.strip() for each in texts.split("|") if each.strip()]


def log_streams() -> int:
    """Return how many logs of Spaces one process reads at a time, ``[hf_spaces] log_streams``."""
    return _count("log_streams")


def log_lines() -> int:
    """Return how many lines of a Space's log one task shows at most, ``[hf_spaces] log_lines``."""
    return _count("log_lines")


def log_lines_per_second() -> int:
    """Return how many lines a second one task shows on average, ``[hf_spaces] log_lines_per_second``."""
    return _count("log_lines_per_second")


def has_fleet_page() -> bool:
    """Return whether the UI shows pages of plugins (Airflow 3.1) and ``[hf_spaces] fleet_page`` is on."""
    is_on = _conf().getboolean(SECTION, "fleet_page", fallback=_default("fleet_page") == "True")
    return AIRFLOW_VERSION >= (3, 1) and bool(is_on)


def fleet_page_url(prefix: str) -> str:
    """Return the path of a page, behind the path under which Airflow itself is served.

    :param prefix: the path of the page, such as ``/hf_spaces``.
    """
    root = urlsplit(_conf().get("api", "base_url", fallback="") or "").path
    return root.rstrip("/") + prefix


def connections_of_config() -> list[str]:
    """Return the connections that ``[hf_spaces] fleet_connections`` names for the fleet page."""
    names = _conf().get(SECTION, "fleet_connections", fallback=_default("fleet_connections")) or ""
    return [each.strip() for each in names.split(",") if each.strip()]


def lease_repository() -> str | None:
    """Return ``[hf_spaces] lease_repo``, which keeps all leases; ``None`` for each Space's own repository."""
    name = _conf().get(SECTION, "lease_repo", fallback=_default("lease_repo")) or ""
    return name.strip() or None


def monthly_budget(owner: str) -> float | None:
    """Return an owner's budget in USD a month, ``[hf_spaces] monthly_budget``; ``None`` without a budget.

    The option is a number for every owner, or ``owner=number`` for some, separated by commas.

    :raises InvalidInput: if the option is neither.
    """
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.cost.limits import checked_budget

    option = (_conf().get(SECTION, "monthly_budget", fallback=_default("monthly_budget")) or "").strip()
    budgets: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in option.split(","))):
        name, _, amount = part.rpartition("=")
        try:
            budgets[name.strip().casefold()] = checked_budget(float(amount), "monthly_budget")
        except ValueError:
            raise InvalidInput(
                f"[hf_spaces] monthly_budget={option!r} is not valid. Set it to a number of USD a month, or "
                f"to 'owner=number' for some owners, separated by commas."
            ) from None
    return budgets.get(owner.casefold(), budgets.get(""))


def _count(option: str) -> int:
    return max(0, int(_conf().getint(SECTION, option, fallback=int(_default(option)))))


def _conf() -> Any:
    return import_module("airflow.configuration").conf


def _default(option: str) -> str:
    # Airflow finds these defaults by itself, except in processes that have not read the providers yet.
    return str(get_provider_info()["config"][SECTION]["options"][option]["default"])
