"""What an ``hf_spaces`` connection says, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_endpoint
from airflow_provider_hfspaces.hub.http.wire import DEFAULT_ENDPOINT

__all__ = ["ConnectionSettings", "InvalidConnection"]

_DEFAULT_TIMEOUT = 30.0
_PORTS = {"https": 443, "http": 80}
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off", ""})


class InvalidConnection(InvalidInput):
    """A connection that does not exist, or holds something that cannot be right."""


@dataclass(frozen=True)
class ConnectionSettings:
    """The parts of a connection.

    :ivar endpoint: the Hub's address.
    :ivar namespace: owner of Spaces that are given by their name alone.
    :ivar timeout: seconds of silence after which an answer counts as lost.
    :ivar allow_http: whether the token may go unencrypted to another host.
    """

    endpoint: str
    namespace: str | None
    timeout: float
    allow_http: bool

    @classmethod
    def of(cls, connection: Any) -> ConnectionSettings:
        """Read an Airflow connection.

        :raises InvalidInput: naming the field that cannot be right.
        """
        try:
            extra = connection.extra_dejson or {}
        except ValueError:
            raise InvalidConnection(
                f"The extra of the connection {connection.conn_id!r} is no JSON object."
            ) from None
        if not isinstance(extra, dict):
            raise InvalidConnection(f"The extra of the connection {connection.conn_id!r} is no JSON object.")
        allow_http = _flag(extra.get("allow_http"), connection.conn_id)
        return cls(
            endpoint=checked_endpoint(_endpoint(connection), allow_http=allow_http),
            namespace=str(extra.get("namespace") or "").strip() or None,
            timeout=_seconds(extra.get("timeout"), connection.conn_id),
            allow_http=allow_http,
        )


def _endpoint(connection: Any) -> str:
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_ENDPOINT
    address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    has_port = ":" in authority.rpartition("]")[2]
    if not connection.port or has_port or connection.port == _PORTS.get(scheme.lower()):
        return str(address)
    return f"{scheme}://{authority}:{connection.port}{slash}{path}"


def _seconds(value: Any, conn_id: str) -> float:
    if value is None or value == "":
        return _DEFAULT_TIMEOUT
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < float("inf"):
        raise InvalidConnection(
            f"The timeout of the connection {conn_id!r} is a number of seconds above 0; got {value!r}."
        )
    return seconds


def _flag(value: Any, conn_id: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise InvalidConnection(f"allow_http of the connection {conn_id!r} is true or false; got {value!r}.")
