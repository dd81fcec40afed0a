"""The JSON bodies of the Hub's answers, key by key. Compare this file with recordings of the real Hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.model.accounts import Organization, Token, User
from airflow_provider_hfspaces.emulator.model.clock import iso
from airflow_provider_hfspaces.emulator.model.git import Commit, blob_oid
from airflow_provider_hfspaces.emulator.model.large_files import read_pointer
from airflow_provider_hfspaces.emulator.model.moments import Entry, View
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.stages import SERVING_STAGES, SpaceStage

__all__ = [
    "EXPANDABLE",
    "expanded_payload",
    "file_payload",
    "info_payload",
    "listed_payload",
    "owned_payload",
    "repository_payload",
    "runtime_payload",
    "searched_payload",
    "secrets_payload",
    "used_storage",
    "variables_payload",
    "whoami_payload",
]


def runtime_payload(space: Space, view: View | None = None, *, with_storage: bool = False) -> dict[str, Any]:
    """The body of ``/runtime``.

    :param view: the view to show; by default the current one.
    :param with_storage: whether to include ``storage``, the retired tiers.
    """
    storage = {"storage": space.storage} if with_storage else {}
    if space.is_static:
        return {
            "stage": SpaceStage.RUNNING.value,
            "hardware": {"current": None, "requested": None},
            **storage,
            "replicas": {"requested": 1, "current": 1},
        }
    view = view or space.view()
    serving = view.stage in SERVING_STAGES
    replicas: dict[str, Any] = {"current": space.replicas} if serving else {}
    payload: dict[str, Any] = {
        "stage": view.stage,
        "hardware": {"current": view.hardware, "requested": view.requested},
        **storage,
        "gcTimeout": space.sleep_time,
        "replicas": {**replicas, "requested": space.replicas},
        "devMode": space.dev_mode,
        "domains": [{"domain": f"{space.subdomain}.hf.space", "stage": "READY"}],
    }
    if view.sha is not None and space.settings.runtime_has_sha:
        payload["sha"] = view.sha
    if view.error_message is not None:
        payload["errorMessage"] = view.error_message
    if space.volumes:
        payload["volumes"] = [dict(volume) for volume in space.volumes]
    return payload


def variables_payload(space: Space) -> dict[str, Any]:
    """The body of every answer about variables: all variables of the Space, with their values."""
    return {
        key: {"key": key, "value": entry.value, **_remarks(entry)} for key, entry in space.variables.items()
    }


def secrets_payload(space: Space) -> dict[str, Any]:
    """The body of the list of secrets: all secrets of the Space, without their values."""
    return {key: {"key": key, **_remarks(entry)} for key, entry in space.secrets.items()}


def _remarks(entry: Entry) -> dict[str, Any]:
    description = {} if entry.description is None else {"description": entry.description}
    return {**description, "updatedAt": iso(entry.updated)}


def file_payload(path: str, content: bytes) -> dict[str, Any]:
    """An entry for a file in a list of files."""
    pointer, oid = read_pointer(content), blob_oid(content)
    if pointer is None:
        return {"type": "file", "oid": oid, "size": len(content), "path": path}
    lfs = {"oid": pointer.oid, "size": pointer.size, "pointerSize": len(content)}
    return {"type": "file", "oid": oid, "size": pointer.size, "lfs": lfs, "path": path}


def _siblings(files: Mapping[str, bytes], *, blobs: bool = False) -> list[dict[str, Any]]:
    siblings: list[dict[str, Any]] = []
    for path in sorted(files):
        sibling: dict[str, Any] = {"rfilename": path}
        if blobs:
            file = file_payload(path, files[path])
            sibling.update(blobId=file["oid"], size=file["size"])
            if "lfs" in file:
                lfs = file["lfs"]
                sibling["lfs"] = {
                    "sha256": lfs["oid"],
                    "size": lfs["size"],
                    "pointerSize": lfs["pointerSize"],
                }
        siblings.append(sibling)
    return siblings


def _trending(space: Space) -> int:
    return space.likes


_PROPERTIES: dict[str, Callable[[Space], Any]] = {
    "author": lambda space: space.owner,
    "cardData": lambda space: dict(space.card.data),
    "createdAt": lambda space: iso(space.created),
    "datasets": lambda space: list(space.card.data.get("datasets") or []),
    "disabled": lambda space: False,
    "lastModified": lambda space: iso(space.modified),
    "likes": lambda space: space.likes,
    "models": lambda space: list(space.card.data.get("models") or []),
    "private": lambda space: space.private,
    "region": lambda space: "us",
    "resourceGroup": lambda space: None,
    "runtime": runtime_payload,
    "sdk": lambda space: space.sdk,
    "sha": lambda space: space.sha,
    "siblings": lambda space: _siblings(space.files),
    "subdomain": lambda space: space.subdomain,
    "tags": lambda space: list(space.tags),
    "trendingScore": _trending,
    "usedStorage": lambda space: used_storage(space),
}

EXPANDABLE = (*_PROPERTIES, "gitalyUid", "xetEnabled")
"""Valid values of ``expand``. The last two are internal to the Hub."""

_OAUTH_SECONDS = 8 * 3600
"""Lifetime of an OAuth token."""

_NOT_IN_INFO = {"datasets", "resourceGroup", "trendingScore"}
_IN_LIST = ("author", "likes", "trendingScore", "private", "sdk", "tags", "createdAt", "lastModified")
_IN_FULL_LIST = (*_IN_LIST, "sha", "cardData", "siblings", "subdomain")


def info_payload(
    space: Space, host: str, commit: Commit | None = None, *, blobs: bool = False
) -> dict[str, Any]:
    """The body of ``/api/spaces/{id}``, or of ``/api/spaces/{id}/revision/{revision}`` with a commit.

    :param host: address of the app.
    :param commit: the commit to show; by default the last one on ``main``.
    :param blobs: whether the list of files has sizes and ids.
    """
    return {
        "_id": space.object_id,
        "id": space.repo_id,
        **{name: make(space) for name, make in _PROPERTIES.items() if name not in _NOT_IN_INFO},
        **_at(commit or space.git.main, blobs=blobs),
        "gated": space.remarks.get("gated", False),
        "host": host,
    }


def repository_payload(repository: Repository, commit: Commit, *, blobs: bool = False) -> dict[str, Any]:
    """The body of ``/api/datasets/{id}`` and ``/api/models/{id}``."""
    return {
        "_id": repository.object_id,
        "id": repository.repo_id,
        "author": repository.owner,
        "private": repository.private,
        "gated": repository.remarks.get("gated", False),
        "disabled": False,
        "createdAt": iso(repository.created),
        "lastModified": iso(repository.modified),
        "likes": 0,
        "downloads": 0,
        "tags": ["region:us"],
        **_at(commit, blobs=blobs),
    }


def owned_payload(repository: Repository, total: int) -> dict[str, Any]:
    """An entry of the list of an account's repositories.

    :param total: bytes that all repositories of the account use.
    """
    used = used_storage(repository)
    return {
        "id": repository.repo_id,
        "type": repository.repo_type,
        "updatedAt": iso(repository.modified),
        "visibility": repository.visibility,
        "storage": used,
        "storagePercent": round(100 * used / total, 2) if total else 0,
    }


def used_storage(repository: Repository) -> int:
    """Total size of the files on ``main`` in bytes, large files included."""
    pointers = ((read_pointer(content), content) for content in repository.files.values())
    return sum(pointer.size if pointer else len(content) for pointer, content in pointers)


def _at(commit: Commit, *, blobs: bool = False) -> dict[str, Any]:
    return {"sha": commit.oid, "siblings": _siblings(commit.files, blobs=blobs)}


def expanded_payload(
    space: Space, names: list[str], *, lag: float = 0, commit: Commit | None = None
) -> dict[str, Any]:
    """The body of a Space with ``expand``: only the named properties.

    :param lag: emulated seconds by which the runtime is behind.
    :param commit: the commit of ``sha`` and ``siblings``; by default the last one on ``main``.
    """
    properties = {name: _PROPERTIES[name](space) for name in names if name in _PROPERTIES}
    if lag and "runtime" in properties:
        properties["runtime"] = runtime_payload(space, space.view_at(space.now() - lag))
    if commit:
        properties.update({name: value for name, value in _at(commit).items() if name in properties})
    return {"_id": space.object_id, "id": space.repo_id, **properties}


def listed_payload(space: Space, *, full: bool) -> dict[str, Any]:
    """An entry of a list of Spaces without ``expand``."""
    return expanded_payload(space, list(_IN_FULL_LIST if full else _IN_LIST))


def searched_payload(space: Space, score: float) -> dict[str, Any]:
    """A result of the semantic search."""
    return {
        **expanded_payload(space, ["author", "sdk", "likes", "private", "tags", "runtime", "trendingScore"]),
        "title": space.name,
        "emoji": "🤗",
        "ai_short_description": None,
        "ai_category": None,
        "semanticRelevancyScore": score,
    }


def whoami_payload(world: World, token: Token) -> dict[str, Any]:
    """The body of ``/api/whoami-v2``."""
    user = world.accounts.users[token.user]
    organizations = [
        (world.accounts.organizations[name], role) for name, role in world.accounts.roles(user.name).items()
    ]
    return {
        "type": "user",
        **_account(user),
        "email": f"{user.name}@example.com",
        "emailVerified": True,
        "billingMode": "prepaid",
        "isPro": user.is_pro,
        "orgs": [_membership(organization, role) for organization, role in organizations],
        "auth": _auth(world, token),
    }


def _account(account: User | Organization) -> dict[str, Any]:
    return {
        "id": account.object_id,
        "name": account.name,
        "fullname": account.name.replace("-", " ").title(),
        "avatarUrl": f"/avatars/{account.object_id}.svg",
        "canPay": account.can_pay,
        "periodEnd": None,
    }


def _membership(organization: Organization, role: str) -> dict[str, Any]:
    plan = {} if organization.plan is None else {"plan": organization.plan}
    return {
        "type": "org",
        **_account(organization),
        "email": None,
        "billingMode": "postpaid",
        **plan,
        "roleInOrg": role,
    }


def _auth(world: World, token: Token) -> dict[str, Any]:
    if token.kind == "oauth":
        return {"type": "oauth", "expiresAt": iso(token.created + _OAUTH_SECONDS)}
    access: dict[str, Any] = {
        "displayName": token.name,
        "role": token.role,
        "createdAt": iso(token.created),
    }
    if token.role == "fineGrained":
        access["fineGrained"] = {
            "scoped": [
                {"entity": _entity(world, name), "permissions": list(permissions)}
                for name, permissions in token.scopes.items()
            ],
            "global": [],
            "canReadGatedRepos": False,
        }
    return {"type": "access_token", "accessToken": access}


def _entity(world: World, scope: str) -> dict[str, str]:
    """The user, organization or repository that a scope of a token names."""
    accounts = world.accounts
    if "/" not in scope:
        kind = "org" if scope in accounts.organizations else "user"
        return {"_id": accounts.object_id(kind, scope), "type": kind, "name": scope}
    route, _, rest = scope.partition("/")
    repo_type, repo_id = (route.removesuffix("s"), rest) if "/" in rest else ("space", scope)
    repository = world.find_repository(repo_type, repo_id)
    object_id = repository.object_id if repository else accounts.object_id(repo_type, repo_id)
    return {"_id": object_id, "type": repo_type, "name": repo_id}
