"""Calls about the owner of the token: identity, write access, billing and ZeroGPU quota."""

from __future__ import annotations

from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, get_call, read_mapping
from airflow_provider_hfspaces.hub.checks import checked_owner
from airflow_provider_hfspaces.hub.whoami import WhoAmI, ZeroGpuQuota

__all__ = ["can_write", "get_billing_usage", "whoami", "zero_gpu_quota"]


def whoami() -> Call[WhoAmI]:
    """``GET /api/whoami-v2``: the token's owner. This endpoint has a low rate limit of its own."""
    return Call("GET", "/api/whoami-v2", WhoAmI.from_payload, repeatable=True, needs_token=True)


def can_write(repo_id: str) -> Call[bool]:
    """``GET /api/spaces/{repo_id}/auth-check/write``: True if the token may write to the Space.

    Without write access, the client raises the error for the Hub's 401, 403 or 404.
    """
    return get_call(repo_id, "/auth-check/write", read_true, needs_token=True, answer="any")


def get_billing_usage(*, organization: str | None = None) -> Call[dict[str, Any]]:
    """``GET /api/settings/billing/usage``: what the Hub billed in the current period.

    For an organization, the endpoint is ``GET /api/organizations/{organization}/billing/usage``.

    :param organization: name of the organization; ``None`` for the token's owner.
    :raises InvalidInput: for a name that is not valid.
    """
    path = "/api/settings/billing/usage"
    if organization is not None:
        path = f"/api/organizations/{checked_owner(organization)}/billing/usage"
    return Call("GET", path, read_mapping, repeatable=True, needs_token=True)


def zero_gpu_quota() -> Call[ZeroGpuQuota]:
    """``GET /api/spaces/zero-gpu/quota``: the GPU time that the token's owner has left today.

    A fine-grained token needs the permission to read the billing usage.
    """
    path = "/api/spaces/zero-gpu/quota"
    return Call("GET", path, ZeroGpuQuota.from_payload, repeatable=True, needs_token=True)


def read_true(payload: Any) -> bool:
    return True
