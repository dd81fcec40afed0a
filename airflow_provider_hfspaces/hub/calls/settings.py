"""Calls for the variables and secrets of a Space, and the validation of their keys and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.calls.base import (
    Call,
    change_call,
    get_call,
    post_call,
    read_mapping,
    read_nothing,
)
from airflow_provider_hfspaces.hub.checks import (
    InvalidInput,
    checked_hardware,
    checked_key,
    checked_sleep_time,
    checked_volumes,
)
from airflow_provider_hfspaces.hub.models import HardwareFlavor, SpaceSecret, SpaceVariable, Volume

__all__ = [
    "add_secret",
    "add_variable",
    "checked_setting",
    "checked_settings",
    "delete_secret",
    "delete_variable",
    "get_secrets",
    "get_variables",
    "space_settings",
]


def get_variables(repo_id: str) -> Call[dict[str, SpaceVariable]]:
    """``GET /api/spaces/{repo_id}/variables``: the public environment variables of a Space, by name."""
    return get_call(repo_id, "/variables", read_variables, needs_token=True)


def add_variable(
    repo_id: str, key: str, value: str, *, description: str | None = None
) -> Call[dict[str, SpaceVariable]]:
    """``POST /api/spaces/{repo_id}/variables``: add or change one variable, which restarts the Space.

    The answer lists all variables. Variables are public: use :func:`add_secret` for confidential values.

    :raises InvalidInput: for a key or a value that is not valid.
    """
    body = checked_setting(key, value, description, "variable")
    return post_call(repo_id, "/variables", read_variables, body, repeatable=True)


def delete_variable(repo_id: str, key: str) -> Call[dict[str, SpaceVariable]]:
    """``DELETE /api/spaces/{repo_id}/variables``: delete one variable. The answer lists the remaining ones.

    :raises InvalidKey: for a key that is not valid.
    """
    body = {"key": checked_key(key, "variable")}
    return change_call("DELETE", repo_id, "/variables", read_variables, body, repeatable=True)


def get_secrets(repo_id: str) -> Call[dict[str, SpaceSecret]]:
    """``GET /api/spaces/{repo_id}/secrets``: the secrets of a Space, by name. The Hub never sends values."""
    return get_call(repo_id, "/secrets", read_secrets, needs_token=True)


def add_secret(repo_id: str, key: str, value: str, *, description: str | None = None) -> Call[None]:
    """``POST /api/spaces/{repo_id}/secrets``: add or change one secret, which restarts the Space.

    :raises InvalidInput: for a key or a value that is not valid.
    """
    body = checked_setting(key, value, description, "secret")
    return post_call(
        repo_id, "/secrets", read_nothing, body, repeatable=True, answer="any", confidential=(body["value"],)
    )


def delete_secret(repo_id: str, key: str) -> Call[None]:
    """``DELETE /api/spaces/{repo_id}/secrets``: delete one secret. A missing secret is not an error.

    :raises InvalidKey: for a key that is not valid.
    """
    body = {"key": checked_key(key, "secret")}
    return change_call("DELETE", repo_id, "/secrets", read_nothing, body, repeatable=True, answer="any")


def checked_setting(key: str, value: str, description: str | None, kind: str) -> dict[str, str]:
    """Return the body of a request that sets a secret or a variable.
    :param kind: ``secret`` or ``variable``, for the error.
    :raises InvalidInput: if the key or the value is not valid.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"value of the {kind} {key!r} must be a string; got {type(value).__name__}.")
    setting = {"key": checked_key(key, kind), "value": value}
    if description is not None:
        setting["description"] = description
    return setting


def checked_settings(
    settings: Sequence[Mapping[str, str]] | Mapping[str, str], kind: str
) -> list[dict[str, str]]:
    """Return secrets or variables in the form in which a request lists them.

    :param settings: a mapping of keys to values, or a list of mappings with ``key``, ``value`` and, if
        needed, ``description``.
    :param kind: ``secret`` or ``variable``, for the error.
    :raises InvalidInput: if an entry is not valid.
    """
    if isinstance(settings, Mapping):
        return [checked_setting(key, value, None, kind) for key, value in settings.items()]
    checked = []
    for each in settings:
        if not isinstance(each, Mapping) or not {"key", "value"} <= set(each):
            raise InvalidInput(
                f"each {kind} must be a mapping with 'key', 'value' and, if needed, 'description'; got "
                f"{type(each).__name__}."
            )
        checked.append(checked_setting(each["key"], each["value"], each.get("description"), kind))
    return checked


def space_settings(
    *,
    hardware: str | None,
    sleep_time: int | None,
    secrets: Sequence[Mapping[str, str]] | Mapping[str, str] | None,
    variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None,
    volumes: Sequence[Volume | Mapping[str, Any]] | None,
    offered: Iterable[HardwareFlavor] | None,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings of a new Space as the body of a request, and the values that no message may show.

    ``None`` leaves a setting out. The parameters are those of
    :func:`~airflow_provider_hfspaces.hub.calls.create_space`.

    :raises InvalidInput: for a setting that is not valid.
    """
    body: dict[str, Any] = {}
    if hardware is not None:
        body["hardware"] = checked_hardware(hardware, offered)
    if sleep_time is not None:
        body["sleepTimeSeconds"] = checked_sleep_time(sleep_time)
    if secrets is not None:
        body["secrets"] = checked_settings(secrets, "secret")
    if variables is not None:
        body["variables"] = checked_settings(variables, "variable")
    if volumes is not None:
        body["volumes"] = [each.to_payload() for each in checked_volumes(volumes, least=0)]
    return body, tuple(each["value"] for each in body.get("secrets", ()) if each["value"])


def read_variables(payload: Any) -> dict[str, SpaceVariable]:
    return {key: SpaceVariable.from_payload(key, each) for key, each in read_mapping(payload).items()}


def read_secrets(payload: Any) -> dict[str, SpaceSecret]:
    return {key: SpaceSecret.from_payload(key, each) for key, each in read_mapping(payload).items()}
