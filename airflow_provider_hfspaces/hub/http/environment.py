"""Read the proxy and the trusted certificates from environment variables, for both clients.

``requests`` and ``httpx`` read these variables in different ways, and ``httpx`` rejects values of
``NO_PROXY`` that other programs accept. Reading them here gives both clients one behaviour.
"""

from __future__ import annotations

import ipaddress
import os
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from airflow_provider_hfspaces.hub.checks import is_loopback
from airflow_provider_hfspaces.hub.errors import InvalidProxy

__all__ = ["certificates_from_environment", "proxy_from_environment"]

_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


def proxy_from_environment(endpoint: str) -> str | None:
    """Return the URL of the proxy for an endpoint; ``None`` to connect directly.

    The variables are ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in upper or lower case.
    An entry of ``NO_PROXY`` is a host, a domain, ``host:port``, an address or a network such as ``fd00::/8``.
    A loopback address never has a proxy, because a proxy cannot reach it.

    :param endpoint: the address of the Hub or of an app.
    :raises InvalidProxy: for a proxy that is not a valid URL. The error names the variable, and does not show
        the proxy's password.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    if is_loopback(host):
        return None
    proxies = urllib.request.getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    proxy = (proxies.get(scheme) or "").strip()
    if not proxy or _bypasses_proxy(host, parts.port, proxies):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    try:
        target = urlsplit(proxy)
        is_valid = bool(target.hostname) and target.scheme.lower() in _SCHEMES and target.port != 0
    except ValueError:
        is_valid = False
    if not is_valid or any(character.isspace() or not character.isprintable() for character in proxy):
        raise InvalidProxy(
            f"{scheme.upper()}_PROXY in the environment is not a valid proxy: expected "
            f"'http://host:port'. Correct the variable, or add {host!r} to NO_PROXY."
        )
    return proxy


def certificates_from_environment() -> str | None:
    """Return the path of a file or folder of trusted certificates; ``None`` for the default certificates.

    The first existing path in ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE`` and
    ``SSL_CERT_DIR`` counts.
    """
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        path = os.environ.get(name)
        if path and os.path.exists(path):
            return path
    return None


def _bypasses_proxy(host: str, port: int | None, proxies: Mapping[str, str]) -> bool:
    entries = [each.strip().lower() for each in proxies.get("no", "").split(",")]
    return any(_matches(host.lower(), port, each) for each in entries if each)


def _matches(host: str, port: int | None, entry: str) -> bool:
    if entry == "*":
        return True
    network = _network(entry)
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal():
        if int(wanted[:6]) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".")
    return host == entry or (bool(entry) and host.endswith(f".{entry}"))


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None
