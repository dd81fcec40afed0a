"""Checks of requests. Each check raises the error response that the Hub would send, as a :class:`Refusal`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_hfspaces.emulator.http.responses import Refusal
from airflow_provider_hfspaces.emulator.model.accounts import Token
from airflow_provider_hfspaces.emulator.model.git import Commit
from airflow_provider_hfspaces.emulator.model.moments import Entry
from airflow_provider_hfspaces.emulator.model.prices import is_offered
from airflow_provider_hfspaces.emulator.model.repository import Repository
from airflow_provider_hfspaces.emulator.model.space import Space
from airflow_provider_hfspaces.emulator.model.world import World
from airflow_provider_hfspaces.hub.choices import LARGEST_NUMBER, VISIBILITIES
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

__all__ = [
    "change_entry",
    "check_branch",
    "check_cpu_basic",
    "check_dev_mode",
    "check_flavor",
    "check_key",
    "check_path",
    "check_payment",
    "check_paywall",
    "check_reference",
    "check_repo_id",
    "check_revision",
    "check_seconds",
    "check_visibility",
    "check_zero_gpu",
    "checked_entries",
    "checked_files",
    "checked_volumes",
    "entry",
    "refuse_static",
]

# Not those of hub/: the tests compare what the client accepts with what the emulator accepts.
_KEY = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")
_NAME = re.compile(r"(?!.*(--|\.\.))[\w\-.]{1,96}(?<!\.git)", re.ASCII)
_VOLUME_TYPES = ("bucket", "model", "dataset", "space")
_PAYWALL = (
    "Static Spaces are free for everyone, but hosting Gradio and Docker Spaces on free cpu-basic "
    "requires a PRO subscription."
)
_NO_PAYMENT = (
    "You must add a payment method to your account to upgrade your space's hardware. Visit your "
    "billing settings to add one: https://huggingface.co/settings/billing"
)


_CPU_BASIC_QUOTA = (
    "You have reached your CPU-basic quota limit across all your Spaces. To use more, pause your previous "
    "Spaces or upgrade their hardware."
)
_FORBIDDEN_FILE_NAMES = frozenset({"", ".", "..", ".git"})
_REFERENCE = re.compile(r"(?!.*(\.\.|//|@\{|/\.|\.lock(/|$)))(?![./])[^\x00-\x20\x7f~^:?*\[\\]+(?<![./])")


def check_revision(repository: Repository, revision: str) -> Commit:
    """Return the commit of a branch, a tag or a commit id; raise a 404 if it does not exist."""
    return _existing(repository.git.find(revision), revision)


def check_branch(repository: Repository, branch: str) -> Commit:
    """Return the last commit of a branch; raise a 404 if the branch does not exist."""
    return _existing(repository.git.branch(branch), branch)


def _existing(commit: Commit | None, revision: str) -> Commit:
    if commit is None:
        raise Refusal(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
    return commit


def check_reference(name: Any, kind: str) -> str:
    """Return the name of a branch or a tag; raise a 400 if git does not allow it.

    :param kind: ``branch`` or ``tag``, for the message.
    """
    if not isinstance(name, str) or not _REFERENCE.fullmatch(name) or name.startswith("refs/"):
        raise Refusal(400, f"Invalid reference for a {kind}: {name}")
    return name


def check_path(path: Any) -> str:
    """Return the path of a file; raise a 422 if no file of a repository may have this path.

    As on the Hub, a backslash separates folders only at the beginning: ``..\\x`` is refused.
    """
    parts = str(path).split("/")
    beginning = parts[0].partition("\\")[0]
    if (
        not isinstance(path, str)
        or not path.isprintable()
        or _FORBIDDEN_FILE_NAMES.intersection((*parts, beginning))
    ):
        raise Refusal(422, f"Invalid path in the repository: {path!r}")
    return path


def check_zero_gpu(world: World, owner: str, sdk: str, hardware: str, besides: Space | None = None) -> None:
    """Raise a 400 for ZeroGPU on a Space without Gradio, and a 402 for more ZeroGPU Spaces than the plan has.

    :param besides: the Space that requests the hardware, which does not count.
    """
    if hardware != "zero-a10g":
        return
    if sdk != "gradio":
        raise Refusal(400, "ZeroGPU is only available for Gradio Spaces")
    most = 10 if world.accounts.subscribed(owner) else world.settings.zero_gpu_spaces
    existing = [
        space
        for space in world.spaces.values()
        if space.owner == owner and space.requested == hardware and space is not besides
    ]
    if len(existing) >= most:
        raise Refusal(402, f"You have reached the limit of {most} ZeroGPU Spaces of your plan")


def refuse_static(space: Space, what: str) -> None:
    """Raise a 400 if the Space is static.

    :param what: the action that static Spaces do not have, such as ``"pause"``.
    """
    if space.is_static:
        raise Refusal(400, f"Can't {what} a static Space")


def check_flavor(flavor: Any, name: str) -> str:
    """Return a flavor; raise a 400 if the Hub does not offer it.

    :param name: name of the parameter, for the message.
    """
    if not isinstance(flavor, str) or not is_offered(flavor):
        raise Refusal(400, f'"{name}" is not a valid hardware flavor')
    return flavor


def check_payment(world: World, owner: str, flavor: str) -> None:
    """Raise a 403 (or the setting ``payment_status``) for paid hardware without a payment method."""
    if flavor not in FREE_HARDWARE and not world.accounts.can_pay(owner):
        raise Refusal(world.settings.payment_status, _NO_PAYMENT)


def check_cpu_basic(world: World, flavor: str) -> None:
    """Raise a 402 or 403 for cpu-basic if the setting ``cpu_basic`` says so."""
    status = world.settings.cpu_basic
    if flavor == "cpu-basic" and isinstance(status, int):
        raise Refusal(status, _CPU_BASIC_QUOTA)


def check_paywall(world: World, owner: str, sdk: str, flavor: str) -> None:
    """Raise a 402 for an app on free hardware without a subscription, if the setting ``paywall`` is on."""
    free = sdk != "static" and flavor == "cpu-basic" and not world.accounts.subscribed(owner)
    if world.settings.paywall and free:
        raise Refusal(402, _PAYWALL)


def check_dev_mode(world: World, owner: str, token: Token, enabled: bool) -> None:
    """Raise a 402 for enabling dev mode if neither the owner nor the caller has a subscription."""
    if enabled and not (world.accounts.subscribed(owner) or world.accounts.subscribed(token.user)):
        raise Refusal(402, "Dev mode requires a PRO, Team or Enterprise subscription")


def check_seconds(seconds: Any, name: str) -> int:
    """Return a sleep time in seconds; raise a 400 unless it is a positive integer, or -1 for never.

    :param name: name of the parameter, for the message.
    """
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int)
        or not (seconds == -1 or 0 < seconds <= LARGEST_NUMBER)
    ):
        raise Refusal(400, f'"{name}" must be a positive integer or -1')
    return seconds


def check_key(key: Any) -> str:
    """Return the name of a secret or a variable; raise a 400 if it is not valid."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise Refusal(400, '"key" must match the pattern ^[a-zA-Z][_a-zA-Z0-9]*$')
    return key


def check_repo_id(repo_id: Any, name: str) -> tuple[str, str]:
    """Return owner and name of a repository; raise a 400 unless ``repo_id`` is a valid ``owner/name``.

    :param name: name of the parameter, for the message.
    """
    owner, _, rest = repo_id.partition("/") if isinstance(repo_id, str) else ("", "", "")
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(rest)):
        raise Refusal(400, f'"{name}" must be a repository\'s full name: owner/name')
    return owner, rest


def check_visibility(body: Mapping[str, Any], default: str, *, spaces: bool = True) -> str:
    """Return the visibility in a body, or that of ``private``, which older clients send.

    :param default: the visibility for a body without one.
    :param spaces: whether the repository is a Space. Only Spaces may be ``protected``.
    """
    visibility = body.get("visibility")
    if visibility is not None and body.get("private") is not None:
        raise Refusal(400, '"visibility" and "private" cannot be specified together')
    if visibility == "protected" and not spaces:
        raise Refusal(400, '"visibility" can be protected only for Spaces')
    if visibility is None:
        private = body.get("private")
        return default if private is None else ("private" if private else "public")
    if visibility not in VISIBILITIES:
        raise Refusal(400, f'"visibility" must be one of [{", ".join(VISIBILITIES)}]')
    return str(visibility)


def entry(body: Mapping[str, Any], now: float) -> Entry:
    """Return the secret or the variable in a body; raise a 400 for an invalid value or description."""
    value, description = body.get("value", ""), body.get("description")
    if not isinstance(value, str):
        raise Refusal(400, '"value" must be a string')
    if description is not None and not isinstance(description, str):
        raise Refusal(400, '"description" must be a string')
    return Entry(value, now, description)


def change_entry(entries: dict[str, Entry], body: Mapping[str, Any], now: float, *, delete: bool) -> bool:
    """Set or delete a secret or a variable. Returns False if the one to delete does not exist.

    :raises Refusal: 400 for an invalid key, value or description.
    """
    key = check_key(body.get("key"))
    if delete:
        return entries.pop(key, None) is not None
    entries[key] = entry(body, now)
    return True


def checked_entries(values: Any, name: str, now: float) -> dict[str, Entry]:
    """Return the secrets or variables in a list, by key; raise a 400 for an invalid list."""
    if values is None:
        return {}
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise Refusal(400, f'"{name}" must be an array of objects')
    return {check_key(each.get("key")): entry(each, now) for each in values}


def checked_files(values: Any) -> dict[str, bytes]:
    """Return the files in a list, by path; raise a 400 for an invalid list, and a 422 for an invalid path."""
    if values is None:
        return {}
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise Refusal(400, '"files" must be an array of objects')
    files = {}
    for each in values:
        content, encoding = each.get("content"), each.get("encoding") or "utf-8"
        if not isinstance(content, str) or encoding not in ("utf-8", "base64"):
            raise Refusal(400, '"files" must have a "content" in the "encoding" utf-8 or base64')
        try:
            data = base64.b64decode(content, validate=True) if encoding == "base64" else content.encode()
        except ValueError:
            raise Refusal(400, '"files" must have a "content" in base64') from None
        files[check_path(each.get("path"))] = data
    return files


def checked_volumes(values: Any) -> list[dict[str, Any]]:
    """Return the volumes in a list; raise a 400 for an invalid list.

    Buckets are writable by default; repositories are always read-only.
    """
    if not isinstance(values, list) or not values:
        raise Refusal(400, '"volumes" must be an array with at least 1 item')
    volumes = []
    for number, volume in enumerate(values):
        where = f"volumes[{number}]"
        if not isinstance(volume, dict) or volume.get("type") not in _VOLUME_TYPES:
            raise Refusal(400, f'"{where}.type" must be one of [{", ".join(_VOLUME_TYPES)}]')
        if not isinstance(volume.get("source"), str) or not volume["source"]:
            raise Refusal(400, f'"{where}.source" is required')
        if not str(volume.get("mountPath") or "").startswith("/"):
            raise Refusal(400, f'"{where}.mountPath" must match the pattern ^\\/.*')
        read_only = volume["type"] != "bucket" or bool(volume.get("readOnly"))
        volumes.append({**volume, "readOnly": read_only})
    return volumes
