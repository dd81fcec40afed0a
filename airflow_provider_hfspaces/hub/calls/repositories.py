"""Calls for the repository of a Space: create, delete and move it, set its visibility, list its commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.hub.calls.base import Call, change_call, get_call, list_of, read_nothing
from airflow_provider_hfspaces.hub.calls.settings import space_settings
from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_repo_id
from airflow_provider_hfspaces.hub.choices import SDKS, VISIBILITIES
from airflow_provider_hfspaces.hub.models import HardwareFlavor, Volume
from airflow_provider_hfspaces.hub.repositories import CreatedSpace, SpaceCommit, SpaceTemplate

__all__ = [
    "checked_sdk",
    "checked_visibility",
    "create_space",
    "delete_space",
    "list_commits",
    "list_space_templates",
    "move_space",
    "set_visibility",
]


def create_space(
    repo_id: str,
    *,
    sdk: str,
    visibility: str = "private",
    hardware: str | None = None,
    sleep_time: int | None = None,
    secrets: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
    variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
    volumes: Sequence[Volume | Mapping[str, Any]] | None = None,
    template: str | None = None,
    offered: Iterable[HardwareFlavor] | None = None,
) -> Call[CreatedSpace]:
    """``POST /api/repos/create``: create a Space in one request. Not repeatable.

    The Hub answers 409 if the Space already exists.

    :param sdk: ``gradio``, ``docker`` or ``static``.
    :param visibility: ``private``, ``public`` or ``protected``; private by default, so that nothing is
        published by accident.
    :param hardware: a flavor; ``None`` for the Hub's default, free CPU.
    :param sleep_time: seconds without a visitor until the Space sleeps, or -1 for never.
    :param secrets: a mapping of keys to values, or a list of mappings with ``key``, ``value`` and, if needed,
        ``description``.
    :param variables: the public variables, in one of the forms of ``secrets``.
    :param volumes: the volumes to mount into the Space.
    :param template: ``repo_id`` of a template from :func:`list_space_templates`. The template must have this
        ``sdk``.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :raises InvalidInput: for an argument that is not valid.
    """
    repo_id = checked_repo_id(repo_id)
    owner, _, name = repo_id.partition("/")
    body: dict[str, Any] = {
        "name": name,
        "organization": owner,
        "visibility": checked_visibility(visibility),
        "type": "space",
        "sdk": checked_sdk(sdk),
    }
    if template is not None:
        body["template"] = checked_repo_id(template)
    settings, confidential = space_settings(
        hardware=hardware,
        sleep_time=sleep_time,
        secrets=secrets,
        variables=variables,
        volumes=volumes,
        offered=offered,
    )
    if settings.get("volumes") == []:
        del settings["volumes"]  # A new Space has no volumes that an empty list could remove.
    body.update(settings)
    return Call(
        "POST",
        "/api/repos/create",
        lambda payload: CreatedSpace(repo_id=repo_id, url=str(payload["url"])),
        body=body,
        repo_id=repo_id,
        needs_token=True,
        confidential=confidential,
        creates=repo_id,
    )


def delete_space(repo_id: str) -> Call[None]:
    """``DELETE /api/repos/delete``: delete a Space with its files, its settings and its history.

    Not repeatable: a second request would fail with 404.
    """
    repo_id = checked_repo_id(repo_id)
    owner, _, name = repo_id.partition("/")
    return Call(
        "DELETE",
        "/api/repos/delete",
        read_nothing,
        body={"name": name, "organization": owner, "type": "space"},
        repo_id=repo_id,
        needs_token=True,
        answer="any",
    )


def move_space(from_id: str, to_id: str) -> Call[None]:
    """``POST /api/repos/move``: rename a Space, or give it to another owner. Not repeatable.

    The Hub redirects requests for the old id to the new one.

    :param to_id: the new id, as ``owner/name``.
    """
    from_id, to_id = checked_repo_id(from_id), checked_repo_id(to_id)
    return Call(
        "POST",
        "/api/repos/move",
        read_nothing,
        body={"fromRepo": from_id, "toRepo": to_id, "type": "space"},
        repo_id=from_id,
        needs_token=True,
        answer="any",
    )


def set_visibility(repo_id: str, visibility: str) -> Call[None]:
    """``PUT /api/spaces/{repo_id}/settings``: set who can see a Space.

    :param visibility: ``private`` (only its owner), ``public`` (everybody), or ``protected`` (everybody can
        use the app, and only its owner sees the files).
    """
    body = {"visibility": checked_visibility(visibility)}
    return change_call("PUT", repo_id, "/settings", read_nothing, body, repeatable=True, answer="any")


def list_commits(repo_id: str) -> Call[list[SpaceCommit]]:
    """``GET /api/spaces/{repo_id}/commits/main``: one page of the Space's commits, newest first."""
    return get_call(repo_id, "/commits/main", list_of(SpaceCommit.from_payload))


def list_space_templates() -> Call[list[SpaceTemplate]]:
    """``GET /api/spaces/templates``: the Spaces that the Hub offers as templates for new Spaces."""
    read = list_of(SpaceTemplate.from_payload)
    return Call("GET", "/api/spaces/templates", lambda payload: read(payload["templates"]), repeatable=True)


def checked_sdk(sdk: str) -> str:
    """Return the SDK of a new Space: ``gradio``, ``docker`` or ``static``.

    :raises InvalidInput: for anything else.
    """
    return _one_of(sdk, "sdk", SDKS)


def checked_visibility(visibility: str) -> str:
    """Return the visibility of a Space: ``private``, ``public`` or ``protected``.
    :raises InvalidInput: for anything else.
    """
    return _one_of(visibility, "visibility", VISIBILITIES)


def _one_of(value: str, what: str, choice: tuple[str, ...]) -> str:
    if value not in choice:
        raise InvalidInput(f"{what} must be one of {', '.join(choice)}; got {value!r:.100}.")
    return str(value)
