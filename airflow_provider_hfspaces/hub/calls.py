"""What can be asked of the Hub: one function per endpoint.

Each returns a :class:`Call` and sends nothing. Input that cannot be right raises a subclass of
:class:`~airflow_provider_hfspaces.hub.checks.InvalidInput` that names the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from airflow_provider_hfspaces.hub.checks import (
    InvalidInput,
    checked_hardware,
    checked_key,
    checked_number,
    checked_owner,
    checked_repo_id,
    checked_sleep_time,
    checked_storage,
    checked_volumes,
)
from airflow_provider_hfspaces.hub.models import (
    DuplicatedSpace,
    HardwareFlavor,
    SpaceInfo,
    SpaceRuntime,
    SpaceSecret,
    SpaceVariable,
    Volume,
    WhoAmI,
)

__all__ = [
    "Call",
    "ListedRuntime",
    "add_secret",
    "add_variable",
    "can_write",
    "delete_secret",
    "delete_storage",
    "delete_variable",
    "delete_volumes",
    "duplicate",
    "get_billing_usage",
    "get_logs",
    "get_runtime",
    "get_secrets",
    "get_space",
    "get_variables",
    "list_hardware",
    "list_runtimes",
    "list_spaces",
    "pause",
    "request_hardware",
    "request_storage",
    "restart",
    "set_dev_mode",
    "set_replicas",
    "set_sleep_time",
    "set_volumes",
    "whoami",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, described but not sent.

    :ivar method: HTTP method.
    :ivar path: quoted path on the Hub.
    :ivar read: makes the result of the decoded answer; raises ``KeyError``, ``TypeError`` or
        ``ValueError`` where the answer is not what was promised.
    :ivar query: pairs of the query string, in order; a name may come more than once.
    :ivar body: sent as JSON; ``None`` sends no body at all.
    :ivar lines: sent as lines of JSON, one after the other, instead of a body.
    :ivar repeatable: whether sending it twice leaves the Hub as sending it once.
    :ivar repo_id: the Space it is about, for messages.
    :ivar needs_token: whether it makes no sense without a token.
    :ivar answer: ``json``, ``events`` (server-sent) or ``any`` (the body does not matter).
    :ivar confidential: values in the body that no message may show.
    :ivar instead: a sentence on what to use where the Hub no longer offers this.
    :ivar creates: the Space that comes into being, as ``owner/name``.
    """

    method: str
    path: str
    read: Callable[[Any], T] = field(repr=False, compare=False)
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    repeatable: bool = False
    repo_id: str | None = None
    needs_token: bool = False
    answer: str = "json"
    confidential: tuple[str, ...] = field(default=(), repr=False)
    instead: str | None = None
    lines: tuple[Mapping[str, Any], ...] | None = field(default=None, repr=False)
    creates: str | None = None


def get_space(repo_id: str, *, expand: str | Iterable[str] = ()) -> Call[SpaceInfo]:
    """``GET /api/spaces/{repo_id}``: a Space's description.

    :param expand: names of the properties to send, such as ``runtime``, ``sdk`` or ``createdAt``;
        none stands for the Hub's own choice.
    """
    return _get(repo_id, "", SpaceInfo.from_payload, query=[("expand", each) for each in _names(expand)])


def get_runtime(repo_id: str) -> Call[SpaceRuntime]:
    """``GET /api/spaces/{repo_id}/runtime``: the live state of a Space."""
    return _get(repo_id, "/runtime", SpaceRuntime.from_payload)


def list_spaces(
    *,
    author: str | None = None,
    search: str | None = None,
    filter: str | Iterable[str] = (),
    sort: str | None = None,
    limit: int | None = None,
    expand: str | Iterable[str] = (),
) -> Call[list[SpaceInfo]]:
    """``GET /api/spaces``: one page of Spaces that the token may see; the next by ``Link``.

    :param author: only this user's or organization's.
    :param search: only those whose id contains this.
    :param filter: only those with these tags.
    :param sort: ``lastModified``, ``createdAt``, ``likes`` or ``trendingScore``.
    :param limit: how many Spaces make a page.
    :param expand: names of the properties to send, such as ``runtime``.
    """
    query: list[tuple[str, str]] = []
    if author is not None:
        query.append(("author", author))
    if search is not None:
        query.append(("search", search))
    query.extend(("filter", tag) for tag in _names(filter))
    if sort is not None:
        query.append(("sort", sort))
    if limit is not None:
        query.append(("limit", str(checked_number(limit, "limit", least=1))))
    query.extend(("expand", each) for each in _names(expand))
    return Call("GET", "/api/spaces", _list_of(SpaceInfo.from_payload), tuple(query), repeatable=True)


@dataclass(frozen=True)
class ListedRuntime:
    """An entry of :func:`list_runtimes`, read only as far as somebody asks."""

    repo_id: str
    payload: Mapping[str, Any] = field(repr=False)

    def runtime(self) -> SpaceRuntime | None:
        """The runtime that it shows; ``None`` if it shows none that can be read."""
        try:
            # Thousands of them are kept while somebody waits: without the answer as it came.
            return replace(SpaceRuntime.from_payload(self.payload["runtime"]), raw={})
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


def list_runtimes(*, author: str, limit: int) -> Call[list[ListedRuntime]]:
    """``GET /api/spaces?author=…&expand=runtime``: one page of an owner's Spaces with their runtimes.

    :param author: user or organization.
    :param limit: how many Spaces make a page.
    """
    query = (("author", checked_owner(author)), ("limit", str(limit)), ("expand", "runtime"))
    read = _list_of(lambda payload: ListedRuntime(str(payload["id"]), payload))
    return Call("GET", "/api/spaces", read, query, repeatable=True)


def list_hardware() -> Call[list[HardwareFlavor]]:
    """``GET /api/spaces/hardware``: every flavor that the Hub offers today, with its price."""
    return Call("GET", "/api/spaces/hardware", _list_of(HardwareFlavor.from_payload), repeatable=True)


def request_hardware(
    repo_id: str,
    hardware: str,
    *,
    sleep_time: int | None = None,
    offered: Iterable[HardwareFlavor] | None = None,
    is_checked: bool = False,
) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/hardware``: change the hardware, which restarts the Space.

    The answer still shows the old hardware. Not repeatable: the second request would restart the
    Space again.

    :param hardware: a flavor such as ``t4-small``.
    :param sleep_time: seconds without a visitor until the Space sleeps, -1 for never.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :param is_checked: send the flavor though neither this version nor the price list knows it: the
        Hub itself has reported it, or the caller has checked it.
    """
    body: dict[str, Any] = {"flavor": hardware if is_checked else checked_hardware(hardware, offered)}
    if sleep_time is not None:
        body["sleepTimeSeconds"] = checked_sleep_time(sleep_time)
    return _post(repo_id, "/hardware", SpaceRuntime.from_payload, body)


def set_sleep_time(repo_id: str, seconds: int) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/sleeptime``.

    :param seconds: without a visitor until the Space sleeps, at least 1; -1 for never.
    """
    body = {"seconds": checked_sleep_time(seconds)}
    return _post(repo_id, "/sleeptime", SpaceRuntime.from_payload, body, repeatable=True)


def pause(repo_id: str) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/pause``: stop the Space until its owner restarts it."""
    return _post(repo_id, "/pause", SpaceRuntime.from_payload, repeatable=True)


def restart(repo_id: str, *, factory_reboot: bool = False) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/restart``. Not repeatable: it would stop the start under way.

    :param factory_reboot: build anew, without caches.
    """
    query = (("factory", "true"),) if factory_reboot else ()
    return _post(repo_id, "/restart", SpaceRuntime.from_payload, query=query)


def duplicate(
    from_id: str,
    to_id: str,
    *,
    private: bool = True,
    hardware: str | None = None,
    storage: str | None = None,
    sleep_time: int | None = None,
    secrets: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
    variables: Sequence[Mapping[str, str]] | Mapping[str, str] | None = None,
    volumes: Sequence[Volume | Mapping[str, Any]] | None = None,
    offered: Iterable[HardwareFlavor] | None = None,
) -> Call[DuplicatedSpace]:
    """``POST /api/spaces/{from_id}/duplicate``: copy a Space. Not repeatable.

    The Hub copies the variables of the original, but never its secrets.

    :param to_id: the new Space, as ``owner/name``; the Hub has no default for the owner.
    :param private: True unless asked otherwise, so that a copy publishes nothing by accident.
    :param hardware: a flavor; ``None`` for the Hub's default, free CPU.
    :param storage: a retired storage tier, sent as clients sent it while there were tiers.
    :param sleep_time: seconds, or -1 for never.
    :param secrets: as a mapping of keys to values, or a list of ``{"key", "value", "description"}``.
    :param variables: the same.
    :param volumes: what to mount into the copy.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    """
    to_id = checked_repo_id(to_id)
    body: dict[str, Any] = {"repository": to_id, "visibility": "private" if private else "public"}
    if hardware is not None:
        body["hardware"] = checked_hardware(hardware, offered)
    if storage is not None:
        body["storageTier"] = checked_storage(storage)
    if sleep_time is not None:
        body["sleepTimeSeconds"] = checked_sleep_time(sleep_time)
    confidential: tuple[str, ...] = ()
    if secrets is not None:
        body["secrets"] = _settings(secrets, "secret")
        confidential = tuple(each["value"] for each in body["secrets"])
    if variables is not None:
        body["variables"] = _settings(variables, "variable")
    if volumes is not None:
        body["volumes"] = [each.to_payload() for each in checked_volumes(volumes, least=0)]

    def read(payload: Any) -> DuplicatedSpace:
        return DuplicatedSpace(
            repo_id=to_id,
            url=payload["url"],
            files_copy_pending=bool(payload.get("filesCopyPending", False)),
        )

    return _post(from_id, "/duplicate", read, body, confidential=confidential, creates=to_id)


_VOLUMES_INSTEAD = (
    "The Hub is retiring storage tiers in favour of volumes: mount a storage bucket with "
    "SetVolumesOperator (or hook.set_volumes) instead."
)


def request_storage(repo_id: str, storage: str) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/storage``: a persistent disk, which the Hub is retiring.

    :param storage: ``small``, ``medium`` or ``large``.
    """
    body = {"tier": checked_storage(storage)}
    return _post(repo_id, "/storage", SpaceRuntime.from_payload, body, instead=_VOLUMES_INSTEAD)


def delete_storage(repo_id: str) -> Call[SpaceRuntime]:
    """``DELETE /api/spaces/{repo_id}/storage``: give the disk up, with all that is on it."""
    return _change("DELETE", repo_id, "/storage", SpaceRuntime.from_payload, instead=_VOLUMES_INSTEAD)


def set_volumes(repo_id: str, volumes: Sequence[Volume | Mapping[str, Any]]) -> Call[None]:
    """``PUT /api/spaces/{repo_id}/volumes``: these and no others are mounted from now on."""
    body = {"volumes": [each.to_payload() for each in checked_volumes(volumes)]}
    return _change("PUT", repo_id, "/volumes", _nothing, body, repeatable=True, answer="any")


def delete_volumes(repo_id: str) -> Call[None]:
    """``DELETE /api/spaces/{repo_id}/volumes``. Not repeatable: without volumes it is an error."""
    return _change("DELETE", repo_id, "/volumes", _nothing, answer="any")


def get_variables(repo_id: str) -> Call[dict[str, SpaceVariable]]:
    """``GET /api/spaces/{repo_id}/variables``."""
    return _get(repo_id, "/variables", _variables, needs_token=True)


def add_variable(
    repo_id: str, key: str, value: str, *, description: str | None = None
) -> Call[dict[str, SpaceVariable]]:
    """``POST /api/spaces/{repo_id}/variables``: add or change one; the answer holds all of them."""
    body = _setting(key, value, description, "variable")
    return _post(repo_id, "/variables", _variables, body, repeatable=True)


def delete_variable(repo_id: str, key: str) -> Call[dict[str, SpaceVariable]]:
    """``DELETE /api/spaces/{repo_id}/variables``: the answer holds those that are left."""
    body = {"key": checked_key(key, "variable")}
    return _change("DELETE", repo_id, "/variables", _variables, body, repeatable=True)


def get_secrets(repo_id: str) -> Call[dict[str, SpaceSecret]]:
    """``GET /api/spaces/{repo_id}/secrets``: their names; the Hub never gives their values."""
    return _get(repo_id, "/secrets", _secrets, needs_token=True)


def add_secret(repo_id: str, key: str, value: str, *, description: str | None = None) -> Call[None]:
    """``POST /api/spaces/{repo_id}/secrets``: add or change one."""
    body = _setting(key, value, description, "secret")
    return _post(
        repo_id, "/secrets", _nothing, body, repeatable=True, answer="any", confidential=(body["value"],)
    )


def delete_secret(repo_id: str, key: str) -> Call[None]:
    """``DELETE /api/spaces/{repo_id}/secrets``: no error if there is none of that name."""
    body = {"key": checked_key(key, "secret")}
    return _change("DELETE", repo_id, "/secrets", _nothing, body, repeatable=True, answer="any")


def set_dev_mode(repo_id: str, enabled: bool) -> Call[SpaceRuntime]:
    """``POST /api/spaces/{repo_id}/dev-mode``: needs a paying account to enable."""
    if not isinstance(enabled, bool):
        raise InvalidInput(f"Dev mode is True or False; got {enabled!r}.")
    return _post(repo_id, "/dev-mode", SpaceRuntime.from_payload, {"enabled": enabled}, repeatable=True)


def set_replicas(repo_id: str, replicas: int) -> Call[None]:
    """``POST /api/spaces/{repo_id}/replicas``: on paid hardware only, each one billed by itself."""
    body = {"replicas": checked_number(replicas, "replicas", least=1)}
    return _post(repo_id, "/replicas", _nothing, body, repeatable=True, answer="any")


def get_logs(repo_id: str, *, build: bool = False, lines: int | None = None) -> Call[str]:
    """``GET /api/spaces/{repo_id}/logs/run`` or ``/build``: a stream of server-sent events.

    :param build: the log of the build, not of the app.
    :param lines: only the last so many.
    """
    query: tuple[tuple[str, str], ...] = ()
    if lines is not None:
        query = (("tail", str(checked_number(lines, "lines", least=0))),)
    suffix = "/logs/build" if build else "/logs/run"
    return _get(repo_id, suffix, _log_text, query=query, needs_token=True, answer="events")


def whoami() -> Call[WhoAmI]:
    """``GET /api/whoami-v2``: who the token belongs to. The Hub limits it tightly."""
    return Call("GET", "/api/whoami-v2", WhoAmI.from_payload, repeatable=True, needs_token=True)


def can_write(repo_id: str) -> Call[bool]:
    """``GET /api/spaces/{repo_id}/auth-check/write``: True, or a 401, 403 or 404."""
    return _get(repo_id, "/auth-check/write", _true, needs_token=True, answer="any")


def get_billing_usage(*, organization: str | None = None) -> Call[dict[str, Any]]:
    """``GET /api/settings/billing/usage``, or an organization's: what the Hub itself billed.

    :param organization: its name; ``None`` for the token's owner.
    """
    path = "/api/settings/billing/usage"
    if organization is not None:
        path = f"/api/organizations/{checked_owner(organization)}/billing/usage"
    return Call("GET", path, _mapping, repeatable=True, needs_token=True)


def _get(
    repo_id: str,
    suffix: str,
    read: Callable[[Any], T],
    *,
    query: Iterable[tuple[str, str]] = (),
    needs_token: bool = False,
    answer: str = "json",
) -> Call[T]:
    repo_id = checked_repo_id(repo_id)
    return Call(
        "GET",
        f"/api/spaces/{repo_id}{suffix}",
        read,
        tuple(query),
        repeatable=True,
        repo_id=repo_id,
        needs_token=needs_token,
        answer=answer,
    )


def _change(
    method: str,
    repo_id: str,
    suffix: str,
    read: Callable[[Any], T],
    body: Mapping[str, Any] | None = None,
    *,
    query: tuple[tuple[str, str], ...] = (),
    repeatable: bool = False,
    answer: str = "json",
    confidential: tuple[str, ...] = (),
    instead: str | None = None,
    creates: str | None = None,
) -> Call[T]:
    repo_id = checked_repo_id(repo_id)
    return Call(
        method,
        f"/api/spaces/{repo_id}{suffix}",
        read,
        query,
        body,
        repeatable=repeatable,
        repo_id=repo_id,
        needs_token=True,
        answer=answer,
        confidential=tuple(value for value in confidential if value),
        instead=instead,
        creates=creates,
    )


def _post(
    repo_id: str,
    suffix: str,
    read: Callable[[Any], T],
    body: Mapping[str, Any] | None = None,
    **options: Any,
) -> Call[T]:
    return _change("POST", repo_id, suffix, read, body, **options)


def _names(given: str | Iterable[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _setting(key: str, value: str, description: str | None, kind: str) -> dict[str, str]:
    if not isinstance(value, str):
        raise InvalidInput(f"The value of the {kind} {key!r} is a string; got {type(value).__name__}.")
    setting = {"key": checked_key(key, kind), "value": value}
    if description is not None:
        setting["description"] = description
    return setting


def _settings(given: Sequence[Mapping[str, str]] | Mapping[str, str], kind: str) -> list[dict[str, str]]:
    if isinstance(given, Mapping):
        return [_setting(key, value, None, kind) for key, value in given.items()]
    found = []
    for each in given:
        if not isinstance(each, Mapping) or not {"key", "value"} <= set(each):
            raise InvalidInput(f"Each {kind} is a mapping with 'key', 'value' and perhaps 'description'.")
        found.append(_setting(each["key"], each["value"], each.get("description"), kind))
    return found


def _list_of(read: Callable[[Mapping[str, Any]], T]) -> Callable[[Any], list[T]]:
    def read_list(payload: Any) -> list[T]:
        if not isinstance(payload, list):
            raise TypeError("a list")
        return [read(each) for each in payload]

    return read_list


def _mapping(payload: Any) -> dict[str, Any]:
    if not isinstance(payload, dict):
        raise TypeError("an object")
    return payload


def _variables(payload: Any) -> dict[str, SpaceVariable]:
    return {key: SpaceVariable.from_payload(key, each) for key, each in _mapping(payload).items()}


def _secrets(payload: Any) -> dict[str, SpaceSecret]:
    return {key: SpaceSecret.from_payload(key, each) for key, each in _mapping(payload).items()}


def _log_text(payload: Any) -> str:
    return str(payload["data"])


def _nothing(payload: Any) -> None:
    return None


def _true(payload: Any) -> bool:
    return True
