"""Certificates for ``httpx``, read once per process, because reading takes longer than many requests."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import lru_cache

import httpx

from airflow_provider_hfspaces.hub.http.environment import certificates_from_environment

__all__ = ["prepare", "trusted_certificates"]


def trusted_certificates() -> ssl.SSLContext:
    """Return the certificates that the environment names, or the default ones."""
    return _certificates(certificates_from_environment())


async def prepare(endpoint: str) -> None:
    """Load the certificates and the event loop's backend in a thread, once: it would block the event loop."""
    await asyncio.to_thread(_load, endpoint.startswith("https:"))


@lru_cache(maxsize=2)
def _load(secure: bool) -> None:
    import anyio  # comes with httpx, which loads the rest of it for its first connection

    anyio.run(anyio.sleep, 0)
    if secure:
        trusted_certificates()


@lru_cache(maxsize=4)
def _certificates(path: str | None) -> ssl.SSLContext:
    if path is None:
        return httpx.create_ssl_context(trust_env=False)
    if os.path.isdir(path):
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
