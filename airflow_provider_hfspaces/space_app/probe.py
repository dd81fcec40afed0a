"""AppProbe: sends the request of a HealthCheck to the app of a Space, and judges the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import httpx

from airflow_provider_hfspaces.hub.checks import checked_endpoint, checked_token
from airflow_provider_hfspaces.hub.http.certificates import trusted_certificates
from airflow_provider_hfspaces.hub.http.environment import proxy_from_environment
from airflow_provider_hfspaces.hub.masking import brief
from airflow_provider_hfspaces.space_app.health_check import MAX_BODY_BYTES, PROBE_SECONDS, HealthCheck

__all__ = ["AppProbe"]

_LONGEST_REASON = 200
"""Characters of the reason for which a request failed."""


class AppProbe:
    """Sends one ``GET`` request at a time to the app of a Space, without a retry and without redirects.

    ::

        AppProbe("https://acme-whisper.hf.space", token).probe(HealthCheck("/health"))

    :param host: the address of the app, as the Hub names it.
    :param token: a token that may read the Space. Only the Hub's proxy in front of the app sees it.
    :param timeout: seconds for one request; by default 10.
    :raises InvalidEndpoint: for a host that would get the token unencrypted.
    """

    def __init__(self, host: str, token: str | None = None, *, timeout: float = PROBE_SECONDS) -> None:
        self._host = checked_endpoint(host)
        self._token = checked_token(token)
        self._timeout = timeout

    def __repr__(self) -> str:
        return f"AppProbe({self._host!r}, token={'***' if self._token else None})"

    def probe(self, check: HealthCheck) -> str | None:
        """Send one request. Returns what is wrong with the answer, ``None`` if it is as expected."""
        ends = time.monotonic() + self._timeout
        body = b""
        try:
            with (
                httpx.Client(**self._options()) as client,
                client.stream("GET", f"{self._host}{check.path}") as response,
            ):
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES or time.monotonic() > ends:
                        break
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as problem:
            return self._reason(problem)
        return check.judge(response.status_code, body[:MAX_BODY_BYTES])

    async def aprobe(self, check: HealthCheck) -> str | None:
        """Send one request from an event loop, as :meth:`probe`."""
        try:
            return await asyncio.wait_for(self._aprobe(check), self._timeout)
        except (asyncio.TimeoutError, TimeoutError):
            return f"no answer within {self._timeout:.0f} seconds"
        except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError) as problem:
            return self._reason(problem)

    async def _aprobe(self, check: HealthCheck) -> str | None:
        body = b""
        async with (
            httpx.AsyncClient(**self._options()) as client,
            client.stream("GET", f"{self._host}{check.path}") as response,
        ):
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    break
        return check.judge(response.status_code, body[:MAX_BODY_BYTES])

    def _options(self) -> Mapping[str, Any]:
        proxy = proxy_from_environment(self._host)
        headers = {"X-HF-Authorization": f"Bearer {self._token}"} if self._token else {}
        return {
            "headers": headers,
            "timeout": self._timeout,
            "trust_env": False,
            "verify": trusted_certificates() if self._is_secure else False,
            **({"proxy": proxy} if proxy else {}),
        }

    @property
    def _is_secure(self) -> bool:
        return self._host.startswith("https:")

    def _reason(self, problem: Exception) -> str:
        if isinstance(problem, httpx.TimeoutException):
            return f"no answer within {self._timeout:.0f} seconds"
        reason = brief(str(problem), [self._token], longest=_LONGEST_REASON)
        return reason or type(problem).__name__
