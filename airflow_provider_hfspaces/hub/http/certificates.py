"""Load the trusted certificates for ``httpx`` once per process, because loading them is slow."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import lru_cache

import httpx

from airflow_provider_hfspaces.hub.http.environment import certificates_from_environment

__all__ = ["prepare", "trusted_certificates"]


def trusted_certificates() -> ssl.SSLContext:
    """Return an SSL context with the certificates that the environment names, or the default certificates."""
    return _certificates(certificates_from_environment())


async def prepare(endpoint: str) -> None:
    """Load the certificates and the backend of ``httpx`` once, in a thread, to not block the event loop.

    :param endpoint: the address that a client is about to use. Plain ``http`` needs no certificates.
    """
    await asyncio.to_thread(_load, endpoint.startswith("https:"))


@lru_cache(maxsize=2)
def _load(secure: bool) -> None:
    import anyio  # comes with httpx, which loads the backend of anyio at its first connection

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
