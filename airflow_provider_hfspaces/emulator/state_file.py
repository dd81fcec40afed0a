"""The state file of an emulated Hub: the whole state as JSON, saved, read and loaded.

An attribute of a Space or another repository is saved if it is listed here.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from airflow_provider_hfspaces.emulator.apps.choice import saved_app
from airflow_provider_hfspaces.emulator.model.accounts import Token
from airflow_provider_hfspaces.emulator.model.git import GitRepository
from airflow_provider_hfspaces.emulator.model.luck import Luck
from airflow_provider_hfspaces.emulator.model.moments import Entry, Moment
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = ["large_files_of", "load", "read", "save", "state_of"]

_FORMAT_VERSION = 2
_SPACE_FIELDS = (
    "sdk",
    "visibility",
    "creator",
    "likes",
    "created",
    "modified",
    "last_visit",
    "object_id",
    "own_sleep_time",
    "replicas",
    "dev_mode",
    "storage",
    "stage",
    "requested",
    "hardware",
    "running_sha",
    "error_message",
    "volumes",
    "visits",
    "remarks",
)
_REPOSITORY_FIELDS = ("visibility", "creator", "created", "modified", "object_id", "remarks")


def state_of(world: World) -> dict[str, Any]:
    """The state as plain JSON: accounts with their tokens, repositories with secrets, settings and time."""
    return {
        "format": _FORMAT_VERSION,
        "now": world.clock.now(),
        "default_user": world.accounts.default_user,
        "settings": world.settings.to_dict(),
        "users": [
            {"name": each.name, "is_pro": each.is_pro, "can_pay": each.can_pay, "plan": each.plan}
            for each in world.accounts.users.values()
        ],
        "organizations": [
            {"name": each.name, "plan": each.plan, "members": each.members, "can_pay": each.can_pay}
            for each in world.accounts.organizations.values()
        ],
        "tokens": [asdict(each) for each in world.accounts.tokens.values()],
        "moved": world.moved,
        "spaces": [_space(each.catch_up()) for each in world.spaces.values()],
        "repositories": [_repository(each) for each in world.repositories.values()],
        "deleted": [_space(each) for each in world.deleted],
    }


def load(world: World, state: Any) -> None:
    """Replace the state of a world by one that :func:`state_of` returned.

    :raises ValueError: for an invalid state. The world keeps its own state then.
    """
    if not isinstance(state, dict) or state.get("format") != _FORMAT_VERSION:
        raise ValueError(
            f"This is not the state of an emulated Hub in format {_FORMAT_VERSION}. Load a state that this "
            "version of the emulator saved."
        )
    before = state_of(world)
    try:
        _replace_state(world, state)
    except (KeyError, TypeError, AttributeError) as problem:
        _replace_state(world, before)
        raise ValueError(
            f"The state of the emulated Hub is not valid: {problem!r}. Load a state that this version of the "
            "emulator saved."
        ) from None
    except ValueError:
        _replace_state(world, before)
        raise


def save(world: World, path: str | os.PathLike[str]) -> None:
    """Write a state file, and copy large files into a folder beside it.

    The file replaces an earlier one only when it is complete, and only its owner can read it.
    """
    target = Path(path)
    # mkstemp chooses a name that nobody can guess, fails if the file exists, and lets only the owner read it.
    descriptor, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(state_of(world), file, indent=1)
        os.replace(draft, target)
    except BaseException:
        os.unlink(draft)
        raise
    commits = (commit for each in world.all_repositories() for commit in each.git.commits.values())
    world.large_files.save(large_files_of(path), (commit.files for commit in commits))


def large_files_of(path: str | os.PathLike[str]) -> Path:
    """The folder beside a state file for the large files of its repositories."""
    return Path(f"{os.fspath(path)}.large-files")


def read(path: str | os.PathLike[str]) -> Any:
    """The content of a state file.

    :raises ValueError: if the file is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except ValueError as problem:
        raise ValueError(
            f"{path} is not a state file: {problem}. Load a file that the emulator saved."
        ) from None


def _repository(repository: Repository) -> dict[str, Any]:
    return {
        "owner": repository.owner,
        "name": repository.name,
        "repo_type": repository.repo_type,
        **{name: getattr(repository, name) for name in _REPOSITORY_FIELDS},
        "git": repository.git.to_dict(),
    }


def _space(space: Space) -> dict[str, Any]:
    return {
        "owner": space.owner,
        "name": space.name,
        "tags": list(space.tags),
        "built_sha": space.built_sha,
        **{name: getattr(space, name) for name in _SPACE_FIELDS},
        "secrets": {key: asdict(entry) for key, entry in space.secrets.items()},
        "variables": {key: asdict(entry) for key, entry in space.variables.items()},
        "git": space.git.to_dict(),
        "history": [list(moment) for moment in space.history],
        "meter": space.meter.to_dict(),
        "due": space.due,
        "luck": space.luck.to_dict(),
        "app": saved_app(space.app.choice),
    }


def _replace_state(world: World, state: dict[str, Any]) -> None:
    world.clear()
    world.settings.change(state["settings"])
    world.clock.go_to(float(state["now"]))
    world.accounts.default_user = state["default_user"]
    for each in state["users"]:
        world.accounts.add_user(**each)
    for each in state["organizations"]:
        world.accounts.add_organization(**each)
    for each in state["tokens"]:
        scopes = {name: tuple(permissions) for name, permissions in each["scopes"].items()}
        world.accounts.tokens[each["value"]] = Token(**{**each, "scopes": scopes})
    for each in state["spaces"]:
        space = _restore_space(world, each)
        world.spaces[space.repo_id.lower()] = space
    for each in state["repositories"]:
        repository = world.add_repository(f"{each['owner']}/{each['name']}", each["repo_type"])
        for name in _REPOSITORY_FIELDS:
            setattr(repository, name, each[name])
        repository.git = GitRepository.from_dict(each["git"])
    world.deleted = [_restore_space(world, each) for each in state["deleted"]]
    world.moved = dict(state["moved"])


def _restore_space(world: World, state: dict[str, Any]) -> Space:
    space = Space(
        state["owner"],
        state["name"],
        clock=world.clock,
        settings=world.settings,
        sdk=state["sdk"],
        hardware=state["requested"] or "cpu-basic",
        stage=SpaceStage.RUNNING.value,
        app=state.get("app"),
    )
    for name in _SPACE_FIELDS:
        setattr(space, name, state[name])
    space.git = GitRepository.from_dict(state["git"])
    space.built_sha = str(state.get("built_sha") or state["running_sha"] or space.sha)
    space.tags = tuple(state["tags"])
    space.secrets = {key: Entry(**entry) for key, entry in state["secrets"].items()}
    space.variables = {key: Entry(**entry) for key, entry in state["variables"].items()}
    space.luck = Luck.from_dict(state["luck"])
    if not space.is_serving:
        space.app.end()
    space.resume([Moment(*moment) for moment in state["history"]], state["meter"], state["due"])
    return space
