"""The settings of an ``hf_spaces`` connection, read from Airflow and checked.

Come here to add a field to the connection; its description in Airflow's form is in ``provider_info.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_endpoint, checked_token
from airflow_provider_hfspaces.hub.http.wire import DEFAULT_ENDPOINT

__all__ = ["CONNECTION_TYPE", "ConnectionSettings", "InvalidConnection", "has_lost_its_type", "token_of"]

CONNECTION_TYPE = "hf_spaces"

_DEFAULT_TIMEOUT_SECONDS = 30.0
_DEFAULT_PORTS = {"https": 443, "http": 80}
_TRUE_WORDS = frozenset({"true", "1", "yes", "on"})
_FALSE_WORDS = frozenset({"false", "0", "no", "off", ""})
_TOKEN = re.compile(r"(hf|api_org)_\S{8,}")
_TOKEN_KEYS = frozenset({"token", "hf_token", "access_token", "api_token", "api_key", "password", "secret"})


class InvalidConnection(InvalidInput):
    """A connection that does not exist, or has a field that is not valid."""


@dataclass(frozen=True)
class ConnectionSettings:
    """The settings of a connection, without its token.

    :ivar endpoint: the address of the Hub.
    :ivar namespace: the owner of Spaces that are given by their name alone; ``None`` if there is no default.
    :ivar timeout: seconds without a byte after which an answer counts as lost; 30 by default.
    :ivar allow_http: whether the token may be sent unencrypted to another host; ``False`` by default.
    :ivar lease_repo: the repository that keeps the leases of all Spaces; ``None`` if the connection names
        none.
    """

    endpoint: str
    namespace: str | None
    timeout: float
    allow_http: bool
    lease_repo: str | None = None

    @classmethod
    def from_connection(cls, connection: Any) -> ConnectionSettings:
        """Read the settings of an Airflow connection.

        :raises InvalidInput: naming the connection and the field that is not valid.
        """
        _refuse_lost_type(connection)
        extra = _extra(connection)
        if _TOKEN.fullmatch((connection.schema or "").strip()):
            raise _misplaced_token(connection, "schema")
        allow_http = _flag(extra.get("allow_http"), connection.conn_id)
        return cls(
            endpoint=checked_endpoint(_endpoint(connection), allow_http=allow_http),
            namespace=str(extra.get("namespace") or "").strip() or None,
            timeout=_seconds(extra.get("timeout"), connection.conn_id),
            allow_http=allow_http,
            lease_repo=str(extra.get("lease_repo") or "").strip() or None,
        )


def token_of(connection: Any) -> str | None:
    """Return the token of a connection, which is its password; ``None`` if it has none.

    :raises InvalidConnection: if the password is empty and the token is in another field.
    :raises InvalidToken: if no HTTP header can carry the password.
    """
    _refuse_lost_type(connection)
    token = checked_token(connection.password)
    if token is None and (field := _field_with_token(connection)):
        raise _misplaced_token(connection, field)
    return token


def _misplaced_token(connection: Any, field: str) -> InvalidConnection:
    return InvalidConnection(
        f"Connection {connection.conn_id!r} has its token in the field {field!r}, where it is not used. "
        f"Move it to the password."
    )


def has_lost_its_type(connection: Any) -> bool:
    """Return whether Airflow could not read a connection URI because of the underscore in ``hf_spaces://``.

    The scheme of a URI cannot have an underscore, and Airflow then takes everything for the connection's
    schema: it has neither type, host nor password.
    """
    return not connection.conn_type and "_spaces//" in (connection.schema or "")


def _refuse_lost_type(connection: Any) -> None:
    if has_lost_its_type(connection):
        raise InvalidConnection(
            f"Connection {connection.conn_id!r} is a URI that begins with 'hf_spaces://', of which Airflow "
            f"cannot read the host and the token. Write 'hf-spaces://' with a hyphen, or use JSON: "
            f'{{"conn_type": "hf_spaces", "password": "..."}}.'
        )


def _field_with_token(connection: Any) -> str | None:
    if _TOKEN.fullmatch((connection.login or "").strip()):
        return "login"
    for key, value in _extra(connection).items():
        if not isinstance(value, str) or not value.strip():
            continue
        if str(key).lower() in _TOKEN_KEYS or _TOKEN.fullmatch(value.strip()):
            return f"extra: {key}"
    return None


def _extra(connection: Any) -> Mapping[str, Any]:
    # Not extra_dejson: on the event loop of a triggerer of Airflow 3.0, it raises RuntimeError. It also takes
    # text that is not JSON for an empty extra.
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = ()
    if extra is not None and not isinstance(extra, Mapping):
        raise InvalidConnection(
            f"The extra of connection {connection.conn_id!r} is not a JSON object. "
            f'Write it as {{"namespace": "acme"}}, or leave it empty.'
        )
    return extra or {}


def _endpoint(connection: Any) -> str:
    host = (connection.host or "").strip()
    if not host:
        return DEFAULT_ENDPOINT
    address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    has_port = ":" in authority.rpartition("]")[2]
    if not connection.port or has_port or connection.port == _DEFAULT_PORTS.get(scheme.lower()):
        return str(address)
    return f"{scheme}://{authority}:{connection.port}{slash}{path}"


def _seconds(value: Any, conn_id: str) -> float:
    if value is None or value == "":
        return _DEFAULT_TIMEOUT_SECONDS
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if isinstance(value, bool) or not 0 < seconds < float("inf"):
        raise InvalidConnection(
            f"timeout of connection {conn_id!r} must be a number of seconds above 0; got {value!r}."
        )
    return seconds


def _flag(value: Any, conn_id: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    text = str(value).strip().lower()
    if text in _TRUE_WORDS or text in _FALSE_WORDS:
        return text in _TRUE_WORDS
    raise InvalidConnection(f"allow_http of connection {conn_id!r} must be true or false; got {value!r}.")
