"""Creating, duplicating, renaming and deleting repositories, their settings, and the caller's own ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from airflow_provider_hfspaces.emulator.http.checks import (
    check_dev_mode,
    check_flavor,
    check_payment,
    check_paywall,
    check_repo_id,
    check_seconds,
    check_visibility,
    check_zero_gpu,
    checked_entries,
    checked_files,
    checked_volumes,
)
from airflow_provider_hfspaces.emulator.http.payloads import owned_payload, used_storage
from airflow_provider_hfspaces.emulator.http.request import HubRequest
from airflow_provider_hfspaces.emulator.http.responses import (
    Refusal,
    forbidden,
    json_response,
    not_emulated,
    repository_not_found,
    text_response,
)
from airflow_provider_hfspaces.emulator.http.routing import REPOSITORY, Route
from airflow_provider_hfspaces.emulator.model.card import SDKS, obstacle
from airflow_provider_hfspaces.emulator.model.first_files import GITATTRIBUTES, first_files
from airflow_provider_hfspaces.emulator.model.machine import NEXT
from airflow_provider_hfspaces.emulator.model.repository import REPO_TYPES, Repository
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["ROUTES"]

TEMPLATES: list[dict[str, Any]] = [
    {"name": "JupyterLab", "repoId": "SpacesExamples/jupyterlab", "sdk": "docker", "preferredPrivate": True},
    {
        "name": "Streamlit",
        "repoId": "streamlit/streamlit-template-space",
        "sdk": "docker",
        "preferredPrivate": False,
    },
]
_ALIASES = {"zerogpu": "zero-a10g"}
_IN_CARD = {"sdkVersion": "sdk_version", "short_description": "short_description", "license": "license"}
_MAX_CARD_CHARACTERS = 60
"""Characters of a value in the front matter of a new README."""

_REMARKS = (
    "discussionsDisabled",
    "discussionsSorting",
    "gated",
    "orgMembersGated",
    "gatedNotificationsEmail",
    "gatedNotificationsMode",
)
_EXISTS = "A repository with this name already exists"


def _duplicate(request: HubRequest) -> Response:
    source, token, body = request.space(), request.require_token(), request.body()
    owner, name = check_repo_id(body.get("repository"), "repository")
    if not request.world.accounts.may_write(token, owner):
        raise forbidden(f'create a space under the namespace "{owner}"')
    url = f"{request.origin}/spaces/{owner}/{name}"
    if f"{owner}/{name}".lower() in request.world.spaces:
        more = {"url": url} if request.world.settings.duplicate_conflict_url else {}
        raise Refusal(409, _EXISTS, more=more)
    options = _options(request, owner, body, sdk=source.sdk, visibility=source.visibility)
    # Variables are readable and are copied; secrets are not.
    options["variables"] = {**source.variables, **options["variables"]}
    pending = request.world.settings.files_copy_pending
    copy = request.world.add_space(
        f"{owner}/{name}",
        **({"stage": SpaceStage.NO_APP_FILE.value} if pending else _first_stage(source.files)),
        creator=token.user,
        files=source.files,
        app=source.app.choice,
        **options,
    )
    if pending:
        copy.await_files(pending)
    return json_response({"url": url, **({"filesCopyPending": True} if pending else {})})


def _create(request: HubRequest) -> Response:
    token, body = request.require_token(), request.body()
    repo_type = body.get("type") or "model"
    if repo_type not in REPO_TYPES:
        raise Refusal(400, f'"type" must be one of [{", ".join(REPO_TYPES)}]')
    owner, name = check_repo_id(f"{body.get('organization') or token.user}/{body.get('name')}", "name")
    if body.get("resourceGroupId") is not None:
        raise not_emulated("resource groups: create the repository without one")
    if body.get("region") not in (None, "us", "eu"):
        raise Refusal(400, '"region" must be one of [us, eu]')
    if not request.world.accounts.may_write(token, owner):
        raise forbidden(f'create a {repo_type} under the namespace "{owner}"')
    if repo_type != "space":
        return _create_plain(request, repo_type, f"{owner}/{name}")
    sdk = body.get("sdk")
    if sdk not in SDKS:
        raise Refusal(400, f'"sdk" must be one of [{", ".join(SDKS)}]')
    template = body.get("template")
    if template is not None and template not in [each["repoId"] for each in TEMPLATES]:
        raise Refusal(400, '"template" must be one of the templates')
    options = _options(request, owner, body, sdk=sdk, visibility="public")
    url = f"{request.origin}/spaces/{owner}/{name}"
    if f"{owner}/{name}".lower() in request.world.spaces:
        raise Refusal(409, "You already created this space repo", more={"url": url})
    files = {
        **first_files(name, sdk, with_app=template is not None, card=_card(body)),
        **checked_files(body.get("files")),
    }
    dev_mode = _dev_mode(request, owner, body)
    space = request.world.add_space(
        f"{owner}/{name}", creator=token.user, files=files, **_first_stage(files), **options
    )
    space.dev_mode = dev_mode
    return json_response({"url": url, "name": space.repo_id, "id": space.object_id})


def _first_stage(files: Mapping[str, bytes]) -> dict[str, Any]:
    """The stage of a new Space with these files, and its error message."""
    reason = obstacle(files)
    if reason is None:
        return {"stage": SpaceStage.BUILDING.value}
    event, message = reason
    return {"stage": NEXT[SpaceStage.BUILDING.value, event], "error_message": message}


def _card(body: dict[str, Any]) -> dict[str, str]:
    """The values of a request that go into the front matter of a new Space's README."""
    card = {}
    for name, key in _IN_CARD.items():
        value = body.get(name)
        if value is not None:
            if not isinstance(value, str) or len(value) > _MAX_CARD_CHARACTERS:
                raise Refusal(400, f'"{name}" must be a string of at most {_MAX_CARD_CHARACTERS} characters')
            card[key] = value
    return card


def _dev_mode(request: HubRequest, owner: str, body: dict[str, Any]) -> bool:
    enabled = body.get("devModeEnabled", False)
    if not isinstance(enabled, bool):
        raise Refusal(400, '"devModeEnabled" must be a boolean')
    check_dev_mode(request.world, owner, request.require_token(), enabled)
    return enabled


def _create_plain(request: HubRequest, repo_type: str, repo_id: str) -> Response:
    """Create a dataset or a model."""
    url = (
        f"{request.origin}/{repo_id}" if repo_type == "model" else f"{request.origin}/{repo_type}s/{repo_id}"
    )
    if request.world.is_taken(repo_type, repo_id):
        raise Refusal(409, f"You already created this {repo_type} repo", more={"url": url})
    repository = request.world.add_repository(
        repo_id,
        repo_type,
        creator=request.require_token().user,
        visibility=check_visibility(request.body(), "public", spaces=False),
        files={".gitattributes": GITATTRIBUTES, **checked_files(request.body().get("files"))},
    )
    return json_response({"url": url, "name": repo_id, "id": repository.object_id})


def _options(
    request: HubRequest, owner: str, body: dict[str, Any], *, sdk: str, visibility: str
) -> dict[str, Any]:
    """Check and return the options that creating and duplicating a Space have in common.

    The paywall is checked before the existence of the Space, as on the Hub: the official client expects a
    402, not a 409, for an existing Space.
    """
    now = request.world.clock.now()
    name = body.get("hardware") or "cpu-basic"
    hardware = check_flavor(_ALIASES.get(name, name) if isinstance(name, str) else name, "hardware")
    check_paywall(request.world, owner, sdk, hardware)
    check_payment(request.world, owner, hardware)
    check_zero_gpu(request.world, owner, sdk, hardware)
    seconds = body.get("sleepTimeSeconds")
    sleep_time = None if seconds is None else check_seconds(seconds, "sleepTimeSeconds")
    volumes = body.get("volumes")
    return {
        "sdk": sdk,
        "hardware": hardware,
        "sleep_time": None if sleep_time == -1 else sleep_time,
        "visibility": check_visibility(body, visibility),
        "secrets": checked_entries(body.get("secrets"), "secrets", now),
        "variables": checked_entries(body.get("variables"), "variables", now),
        "volumes": checked_volumes(volumes) if volumes else [],
    }


def _delete(request: HubRequest) -> Response:
    token, body = request.require_token(), request.body()
    repository = _find_repository(
        request, body, f"{body.get('organization') or token.user}/{body.get('name')}"
    )
    if not request.world.accounts.may_write(token, repository.owner, repository):
        raise forbidden("delete this repository")
    request.world.delete_repository(repository)
    return text_response("OK")


def _move(request: HubRequest) -> Response:
    token, body = request.require_token(), request.body()
    repository = _find_repository(request, body, str(body.get("fromRepo")))
    owner, name = check_repo_id(body.get("toRepo"), "toRepo")
    if not (
        request.world.accounts.may_write(token, repository.owner, repository)
        and request.world.accounts.may_write(token, owner)
    ):
        raise forbidden("move this repository")
    if request.world.is_taken(repository.repo_type, f"{owner}/{name}"):
        raise Refusal(409, f"A {repository.repo_type} repository called {owner}/{name} already exists")
    request.world.rename_repository(repository, f"{owner}/{name}")
    return json_response({})


def _settings(request: HubRequest) -> Response:
    repository, body = request.writable_repository("change these settings"), request.body()
    if "visibility" in body or "private" in body:
        spaces = repository.repo_type == "space"
        repository.visibility = check_visibility(body, repository.visibility, spaces=spaces)
    if body.get("gated", False) not in (False, "auto", "manual"):
        raise Refusal(400, '"gated" must be one of [false, auto, manual]')
    remarks: dict[str, Any] = {name: body[name] for name in _REMARKS if name in body}
    repository.remarks.update(remarks)
    return json_response({"private": repository.private, "visibility": repository.visibility, **remarks})


def _templates(request: HubRequest) -> Response:
    return json_response({"templates": TEMPLATES})


def _list_own(request: HubRequest) -> Response:
    """The repositories of the caller, or of an organization that the caller belongs to."""
    token = request.require_token()
    owner = request.parts.get("organization", token.user)
    if owner != token.user and not request.world.accounts.role_at(token.user, owner):
        raise forbidden(f'list the repositories of "{owner}"')
    own = [each for each in request.world.all_repositories() if each.owner == owner]
    own.sort(key=lambda each: each.modified, reverse=True)
    total = sum(used_storage(each) for each in own)
    return json_response([owned_payload(each, total) for each in own])


def _find_repository(request: HubRequest, body: dict[str, Any], repo_id: str) -> Repository:
    repository = request.world.find_repository(str(body.get("type") or "model"), repo_id)
    if (
        repository is None
        or repository.repo_id.lower() != repo_id.lower()
        or not request.world.accounts.may_read(request.token, repository)
    ):
        raise repository_not_found()
    return repository


ROUTES = [
    Route("POST", "/api/spaces/{owner}/{name}/duplicate", _duplicate),
    Route("PUT", f"{REPOSITORY}/settings", _settings),
    Route("GET", "/api/spaces/templates", _templates),
    Route("GET", "/api/settings/repositories", _list_own),
    Route("GET", "/api/organizations/{organization}/settings/repositories", _list_own),
    Route("POST", "/api/repos/create", _create),
    Route("DELETE", "/api/repos/delete", _delete),
    Route("POST", "/api/repos/move", _move),
]
