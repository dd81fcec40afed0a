"""Validate arguments before anything is sent.

Come here to change which values are valid; the ids of Spaces are in
:mod:`~airflow_provider_hfspaces.hub.repo_ids`. Each ``checked_…`` function returns the valid value, or
raises a subclass of :class:`~airflow_provider_hfspaces.hub.errors.InvalidInput` whose text starts with the
value or the parameter and says what is expected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_hfspaces.hub.choices import FLAVOR_PATTERN, LARGEST_NUMBER
from airflow_provider_hfspaces.hub.errors import (
    InvalidEndpoint,
    InvalidHardware,
    InvalidInput,
    InvalidKey,
    InvalidNumber,
    InvalidRepoId,
    InvalidSha,
    InvalidSleepTime,
    InvalidStage,
    InvalidStorage,
    InvalidToken,
    InvalidVolume,
)
from airflow_provider_hfspaces.hub.models import (
    HardwareFlavor,
    SpaceHardware,
    SpaceStorage,
    Volume,
)
from airflow_provider_hfspaces.hub.repo_ids import checked_owner, checked_repo_id
from airflow_provider_hfspaces.hub.stages import SpaceStage

__all__ = [
    "InvalidEndpoint",
    "InvalidHardware",
    "InvalidInput",
    "InvalidKey",
    "InvalidNumber",
    "InvalidRepoId",
    "InvalidSha",
    "InvalidSleepTime",
    "InvalidStage",
    "InvalidStorage",
    "InvalidToken",
    "InvalidVolume",
    "check_limits",
    "checked_amount",
    "checked_endpoint",
    "checked_hardware",
    "checked_key",
    "checked_number",
    "checked_owner",
    "checked_repo_id",
    "checked_sha",
    "checked_sleep_time",
    "checked_stages",
    "checked_storage",
    "checked_token",
    "checked_volumes",
    "is_commit",
    "is_loopback",
    "known_hardware",
]


_KEY = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")
_SHA = re.compile(r"[0-9a-fA-F]{7,40}")
_FLAVOR = re.compile(FLAVOR_PATTERN)
_LOOPBACK = re.compile(r"localhost|.+\.localhost|127(\.\d{1,3}){3}|::1", re.IGNORECASE)
_HUB_TOKEN = re.compile(r"\b(hf|api_org)_[A-Za-z0-9]{16,}")
_VOLUME_TYPES = ("bucket", "model", "dataset", "space")


def known_hardware(hardware: str) -> bool:
    """Return True if this version knows the flavor, so that no price list is needed to validate it."""
    return hardware in {each.value for each in SpaceHardware}


def checked_hardware(hardware: str, offered: Iterable[HardwareFlavor] | None = None) -> str:
    """Return a valid hardware flavor.

    :param offered: the Hub's price list. It adds flavors that are newer than this version, and the prices in
        the error.
    :raises InvalidHardware: with the most similar flavor and all valid flavors.
    """
    if not isinstance(hardware, str):
        raise InvalidHardware(f"hardware must be a flavor such as 't4-small'; got {hardware!r}.")
    hardware = str(hardware)
    listed = {flavor.name: flavor for flavor in offered or ()}
    if hardware in listed or known_hardware(hardware):
        return hardware
    names = list(listed) or [each.value for each in SpaceHardware]
    wanted = re.sub(r"[\s_]+", "-", hardware.strip().lower())
    # Suggest only flavors of one family: for 'h100', an a100x8 would be a suggestion of 20 USD an hour.
    alike = [name for name in names if name[:1] == wanted[:1]]
    nearest = _cheapest_first(wanted, names, listed) or difflib.get_close_matches(
        wanted, alike, n=1, cutoff=0.8
    )
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    choice = ", ".join(f"{name} ({listed[name].price})" if name in listed else name for name in names)
    raise InvalidHardware(
        f"hardware {hardware!r} is not a flavor that the Hub offers.{hint} Valid flavors: {choice}."
    )


def _cheapest_first(prefix: str, names: Iterable[str], listed: Mapping[str, HardwareFlavor]) -> list[str]:
    """Return the flavors of a family such as ``a100``, the cheapest first.

    Without prices, they keep the order of :class:`SpaceHardware`.
    """

    def price(name: str) -> float:
        hourly = listed[name].hourly_cost if name in listed else None
        return float("inf") if hourly is None else hourly

    return sorted((name for name in names if len(prefix) > 1 and name.startswith(prefix)), key=price)


def checked_storage(storage: str) -> str:
    """Return a storage tier: ``small``, ``medium`` or ``large``.

    :raises InvalidStorage: for anything else.
    """
    tiers = [each.value for each in SpaceStorage]
    if storage not in tiers:
        raise InvalidStorage(f"storage must be one of {', '.join(tiers)}; got {storage!r}.")
    return str(storage)


def checked_sleep_time(seconds: int) -> int:
    """Return a sleep time in seconds, at least 1, or -1 for never.

    :raises InvalidSleepTime: for anything else, including 0, which could mean "at once" or "never".
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise InvalidSleepTime(
            f"sleep_time must be a whole number of seconds, or -1 for never; got {seconds!r}."
        )
    if seconds == 0:
        raise InvalidSleepTime("sleep_time must not be 0: use -1 for never, or pause the Space.")
    if seconds < -1 or seconds > LARGEST_NUMBER:
        raise InvalidSleepTime(
            f"sleep_time must be 1 to {LARGEST_NUMBER} seconds, or -1 for never; got {seconds!r}."
        )
    return seconds


def checked_stages(stages: str | Iterable[str], *, least: int = 1) -> frozenset[str]:
    """Return stages of a Space as a set.

    :param stages: one stage or several.
    :param least: the smallest valid number of stages.
    :raises InvalidStage: with the most similar stage and all valid stages.
    """
    requested = [stages] if isinstance(stages, str) else list(stages)
    known = [each.value for each in SpaceStage]
    for stage in requested:
        if stage not in known:
            nearest = difflib.get_close_matches(str(stage).strip().upper(), known, n=1, cutoff=0.5)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise InvalidStage(f"stage {stage!r} is not valid.{hint} Valid stages: {', '.join(known)}.")
    if len(requested) < least:
        raise InvalidStage(f"stages must not be empty. Valid stages: {', '.join(known)}.")
    return frozenset(str(each) for each in requested)


def checked_sha(sha: str) -> str:
    """Return the SHA of a commit in lower case: all 40 hexadecimal digits, or at least the first 7.
    :raises InvalidSha: for anything else.
    """
    if not isinstance(sha, str) or not _SHA.fullmatch(sha):
        raise InvalidSha(
            f"{sha!r:.100} is not a commit: expected a commit SHA of 7 to 40 hexadecimal digits."
        )
    return sha.lower()


def is_commit(sha: str | None, wanted: str) -> bool:
    """Return True if a commit is the wanted one.

    :param sha: the SHA of the commit, in full; ``None`` if it is unknown.
    :param wanted: the SHA of the wanted commit, in full or its first digits. Case does not matter.
    """
    return sha is not None and sha.lower().startswith(wanted.lower())


def checked_key(key: str, kind: str = "secret") -> str:
    """Return the name of a secret or a variable.

    :param kind: ``secret`` or ``variable``, for the error.
    :raises InvalidKey: if it is empty or not valid as the name of an environment variable.
    """
    if not isinstance(key, str) or not key:
        raise InvalidKey(f"key of a {kind} must be the name of an environment variable; got {key!r}.")
    if not _KEY.fullmatch(key):
        raise InvalidKey(
            f"{key!r} is not a valid key of a {kind}: it must begin with a letter and have only letters, "
            f"digits and '_'."
        )
    return key


def checked_number(value: int, what: str, *, least: int) -> int:
    """Return a whole number of at least ``least``.

    :raises InvalidNumber: for anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidNumber(f"{what} must be a whole number of at least {least}; got {value!r}.")
    return value


def checked_amount(value: float, what: str) -> float:
    """Return an amount of money, in USD.

    :raises InvalidNumber: for anything but a number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise InvalidNumber(f"{what} must be a number of USD, at least 0; got {value!r}.")
    return value


def check_limits(limits: Any) -> None:
    """Check that each field of a dataclass of limits is a number above 0.

    :raises InvalidNumber: for any other value.
    """
    for each in fields(limits):
        value = getattr(limits, each.name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise InvalidNumber(f"{each.name} must be a number above 0; got {value!r}.")


def checked_volumes(volumes: Sequence[Volume | Mapping[str, Any]], *, least: int = 1) -> list[Volume]:
    """Return a list of volumes.

    :param volumes: each a :class:`Volume` or a mapping, with keys such as ``mountPath`` or ``mount_path``.
    :param least: the smallest valid number of volumes.
    :raises InvalidVolume: for a volume that the Hub cannot mount, or for too few of them.
    """
    if isinstance(volumes, (str, bytes, Mapping)) or not isinstance(volumes, Sequence):
        raise InvalidVolume(f"volumes must be a list; got {volumes!r}.")
    if len(volumes) < least:
        raise InvalidVolume("volumes must not be empty. To remove all volumes, call delete_volumes.")
    checked = []
    for each in volumes:
        if isinstance(each, Mapping):
            each = Volume.from_payload(each)
        if not isinstance(each, Volume):
            raise InvalidVolume(f"each volume must have a type, a source and a mount path; got {each!r}.")
        _check_volume(each)
        checked.append(each)
    return checked


def _check_volume(volume: Volume) -> None:
    if volume.type not in _VOLUME_TYPES:
        raise InvalidVolume(
            f"type of a volume must be one of {', '.join(_VOLUME_TYPES)}; got {volume.type!r}."
        )
    owner, slash, name = str(volume.source).partition("/")
    if not (slash and owner and name):
        raise InvalidVolume(f"source of a volume must be 'owner/name'; got {volume.source!r}.")
    if not str(volume.mount_path).startswith("/"):
        raise InvalidVolume(f"mount_path of a volume must begin with '/'; got {volume.mount_path!r}.")
    if volume.read_only is not None and not isinstance(volume.read_only, bool):
        raise InvalidVolume(f"read_only of a volume must be True or False; got {volume.read_only!r}.")


def checked_endpoint(endpoint: str, *, allow_http: bool = False) -> str:
    """Return the address of a Hub, without a slash at its end.

    :param allow_http: accept plain ``http`` to a host other than the loopback; by default not.
    :raises InvalidEndpoint: if the address is not valid, or would send the token unencrypted. The error does
        not show a user name, password, query or token in the address.
    """
    try:
        parts = urlsplit(endpoint)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        raise _invalid_endpoint(endpoint, "it does not have the form https://host") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
        raise _invalid_endpoint(endpoint, "it does not have the form https://host")
    if re.search(r"[\s\x00-\x1f\x7f\\<>\"{}|^`]", endpoint):
        raise _invalid_endpoint(endpoint, "it has a character that is not allowed in an address")
    if _HUB_TOKEN.search(endpoint):
        raise _invalid_endpoint(endpoint, "it contains a token; set the token by itself")
    if parts.username or parts.password:
        raise _invalid_endpoint(endpoint, "it has a user name or a password; set the token by itself")
    if parts.query or parts.fragment:
        raise _invalid_endpoint(endpoint, "it has a query or a fragment")
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname):
        raise InvalidEndpoint(
            f"{endpoint!r} would send the token unencrypted to {parts.hostname}. Use https, or set "
            f"allow_http=True if you trust the network."
        )
    return endpoint.rstrip("/")


def _invalid_endpoint(endpoint: str, reason: str) -> InvalidEndpoint:
    # An address that cannot be parsed may still contain a password, so hide everything before the last "@".
    address = re.split(r"[?#]", endpoint.strip(), maxsplit=1)[0]
    scheme, separator, rest = address.rpartition("://")
    credentials, at, host = rest.rpartition("@")
    shown = f"{scheme.rpartition('@')[2]}{separator}{'***@' if at or credentials else ''}{host}"
    return InvalidEndpoint(f"{_HUB_TOKEN.sub('***', shown)!r} is not a valid endpoint: {reason}.")


def checked_token(token: str | None) -> str | None:
    """Return a token without surrounding spaces; ``None`` for an empty one.

    :raises InvalidToken: if an HTTP header cannot carry the token. The error does not show the token.
    """
    token = (token or "").strip()
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise InvalidToken(
            "The token has a space, a line break or a character that no token has. Copy the token again."
        )
    return token or None


def is_loopback(host: str) -> bool:
    """Return True for a loopback host, such as ``localhost`` or ``127.0.0.1``."""
    return bool(_LOOPBACK.fullmatch(host))
