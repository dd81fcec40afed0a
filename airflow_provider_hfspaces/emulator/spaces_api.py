"""The routes of one Space: ``/api/spaces/{owner}/{name}/…``."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_hfspaces.emulator.answers import answer, not_found, refuse, text
from airflow_provider_hfspaces.emulator.clock import iso
from airflow_provider_hfspaces.emulator.payloads import (
    EXPANDABLE,
    expanded_payload,
    info_payload,
    runtime_payload,
    secrets_payload,
    variables_payload,
)
from airflow_provider_hfspaces.emulator.prices import is_offered
from airflow_provider_hfspaces.emulator.space import Space
from airflow_provider_hfspaces.emulator.world import Token, World
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE

__all__ = ["body_of", "expand_of", "readable", "space_routes", "writable"]

Handler = Callable[[Request], Awaitable[Response]]

_KEY = re.compile(r"[a-zA-Z][_a-zA-Z0-9]*")
_NAME = re.compile(r"[\w\-.]{1,96}", re.ASCII)
_OAUTH_REFUSED = ("hardware", "sleeptime", "restart")


def space_routes(world: World) -> list[Route]:
    """All of them."""

    def route(suffix: str, handler: Callable[[Request, Space], Any], *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            request.state.json = await body_of(request)
            with world.lock:
                found: Response | Any = handler(request, find(request))
            return found if isinstance(found, Response) else answer(found)

        return Route(f"/api/spaces/{{owner}}/{{name}}{suffix}", endpoint, methods=list(methods) or ["GET"])

    def find(request: Request) -> Space:
        return readable(request, world)

    def writing(request: Request, space: Space) -> Token:
        return writable(request, world, space)

    def not_static(space: Space, what: str) -> None:
        if space.is_static:
            raise refuse(400, f"Can't {what} a static Space")

    def runtime(request: Request, space: Space) -> Any:
        token = request.state.token
        masked = bool(space.volumes) and not world.may_write(token, space.owner, space)
        return runtime_payload(space, masked=masked)

    def info(request: Request, space: Space) -> Any:
        expand = expand_of(request)
        if expand:
            return expanded_payload(space, world, expand)
        return info_payload(space, world)

    def hardware(request: Request, space: Space) -> Any:
        writing(request, space)
        not_static(space, "change the hardware of")
        body = request.state.json
        flavor, seconds = body.get("flavor"), body.get("sleepTimeSeconds")
        if not isinstance(flavor, str) or not is_offered(flavor):
            raise refuse(400, '"flavor" must be a valid hardware flavor')
        if seconds is not None:
            _check_seconds(seconds, "sleepTimeSeconds")
        _check_payment(world, space, flavor)
        before = space.shown()
        space.request_hardware(flavor, seconds)
        return _shown_at_once(space, before)

    def sleep_time(request: Request, space: Space) -> Any:
        writing(request, space)
        not_static(space, "change the sleep time of")
        seconds = request.state.json.get("seconds")
        _check_seconds(seconds, "seconds")
        if space.requested in FREE_HARDWARE:
            status = world.settings.sleep_time_on_free
            if status >= 400:
                raise refuse(status, "The sleep time of free hardware can't be changed")
        else:
            space.own_sleep_time = None if seconds < 0 else seconds
            space.replan()
        return runtime_payload(space)

    def pause(request: Request, space: Space) -> Any:
        writing(request, space)
        not_static(space, "pause")
        if space.stage == "PAUSED" and world.settings.pause_twice >= 400:
            raise refuse(world.settings.pause_twice, "The Space is already paused")
        space.do("pause")
        return runtime_payload(space)

    def restart(request: Request, space: Space) -> Any:
        writing(request, space)
        not_static(space, "restart")
        before = space.shown()
        serves = world.settings.restart_serves and request.query_params.get("factory") != "true"
        cold = not serves and before[0].startswith("RUNNING")
        space.do("cold restart" if cold else "restart", lag=before[0].startswith("RUNNING"))
        return _shown_at_once(space, before)

    def storage(request: Request, space: Space) -> Any:
        writing(request, space)
        how = world.settings.storage
        if how == "retired":
            raise refuse(404, "Sorry, we can't find the page you are looking for.")
        if how == "gone":
            raise refuse(410, "Persistent storage is no longer available")
        if how == "bad_request":
            raise refuse(400, "Persistent storage is no longer available, use volumes")
        if request.method == "DELETE":
            space.storage = None
        else:
            tier = request.state.json.get("tier")
            if tier not in ("small", "medium", "large"):
                raise refuse(400, '"tier" must be one of [small, medium, large]')
            space.storage = tier
        space.do("change")
        return runtime_payload(space)

    def volumes(request: Request, space: Space) -> Any:
        writing(request, space)
        not_static(space, "mount volumes into")
        if request.method == "DELETE":
            if not space.volumes:
                raise refuse(400, "No volumes attached to this Space")
            space.volumes = []
        else:
            given = request.state.json.get("volumes")
            if not isinstance(given, list) or not given:
                raise refuse(400, '"volumes" must contain at least 1 items')
            space.volumes = [checked_volume(each) for each in given]
        space.do("change")
        how = world.settings.volumes_body
        return {"volumes": {"volumes": space.volumes}, "empty": {}, "runtime": runtime_payload(space)}[how]

    def secrets(request: Request, space: Space) -> Any:
        writing(request, space)
        if request.method == "GET":
            return secrets_payload(space)
        _set(space, space.secrets, request, world)
        return {}

    def variables(request: Request, space: Space) -> Any:
        writing(request, space)
        if request.method != "GET":
            _set(space, space.variables, request, world)
        return variables_payload(space)

    def dev_mode(request: Request, space: Space) -> Any:
        token = writing(request, space)
        not_static(space, "use dev mode on")
        enabled = request.state.json.get("enabled")
        if not isinstance(enabled, bool):
            raise refuse(400, '"enabled" must be a boolean')
        user = world.users[token.user]
        organization = world.organizations.get(space.owner)
        if enabled and not (user.is_pro or organization):
            raise refuse(402, "Dev mode requires a PRO, Team or Enterprise subscription")
        if space.dev_mode != enabled:
            space.dev_mode = enabled
            space.do("change")
        return runtime_payload(space)

    def replicas(request: Request, space: Space) -> Any:
        writing(request, space)
        count = request.state.json.get("replicas")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise refuse(400, '"replicas" must be a positive number')
        if space.is_static or space.requested in FREE_HARDWARE:
            raise refuse(400, "Replicas are only available for upgraded hardware")
        space.replicas = count
        space.remember()
        return {} if world.settings.replicas_body == "empty" else runtime_payload(space)

    def duplicate(request: Request, space: Space) -> Any:
        return duplicated(request, space, world)

    def may_read(request: Request, space: Space) -> Any:
        return {}

    def may_write(request: Request, space: Space) -> Any:
        writing(request, space)
        return {}

    return [
        route("/runtime", runtime),
        route("", info),
        route("/hardware", hardware, "POST"),
        route("/sleeptime", sleep_time, "POST"),
        route("/pause", pause, "POST"),
        route("/restart", restart, "POST"),
        route("/storage", storage, "POST", "DELETE"),
        route("/volumes", volumes, "PUT", "DELETE"),
        route("/secrets", secrets, "GET", "POST", "DELETE"),
        route("/variables", variables, "GET", "POST", "DELETE"),
        route("/dev-mode", dev_mode, "POST"),
        route("/replicas", replicas, "POST"),
        route("/duplicate", duplicate, "POST"),
        route("/auth-check", may_read),
        route("/auth-check/write", may_write),
    ]


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in a request; an empty one if there is none.

    :raises Refusal: for anything else.
    """
    content = await request.body()
    if not content:
        return {}
    try:
        body = json.loads(content)
    except ValueError:
        raise refuse(400, "Invalid JSON") from None
    if not isinstance(body, dict):
        raise refuse(400, '"value" must be of type object')
    return body


def readable(request: Request, world: World) -> Space:
    """The Space of a request's path, if its token may see it.

    :raises Refusal: as the Hub answers for one that is missing, private, or has moved.
    """
    owner, name = request.path_params["owner"], request.path_params["name"]
    repo_id = f"{owner}/{name}"
    token = request.state.token
    space = world.spaces.get(repo_id.lower())
    moved = world.moved.get(repo_id.lower())
    target = world.spaces.get(moved.lower()) if moved else None
    found = space or target
    if found is None or not world.may_read(token, found):
        raise not_found(has_token=token is not None)
    if found.repo_id != repo_id:
        raise Moved(request, repo_id, found.repo_id)
    if found.disabled:
        raise refuse(403, "Access to this resource is disabled.")
    return found.catch_up()


class Moved(Exception):
    """The Space has another name, or the same in another case."""

    def __init__(self, request: Request, old: str, new: str) -> None:
        super().__init__(f"{old} is {new}")
        path = request.url.path.replace(f"/{old}", f"/{new}", 1)
        self.location = f"{path}?{request.url.query}" if request.url.query else path

    def response(self) -> Response:
        """A redirect that keeps method and body."""
        return text(
            f"Temporary Redirect. Redirecting to {self.location}",
            status=307,
            headers={"Location": self.location},
        )


def writable(request: Request, world: World, space: Space) -> Token:
    """The token of a request, if it may change this Space.

    :raises Refusal: if not.
    """
    token: Token | None = request.state.token
    if token is None:
        raise not_found(has_token=False)
    action = request.url.path.rpartition("/")[2]
    if token.kind == "oauth" and action in _OAUTH_REFUSED:
        raise refuse(401, "Invalid username or password.")
    if not world.may_write(token, space.owner, space):
        raise refuse(403, "You don't have the rights to change this Space: only its owner can do that")
    return token


def expand_of(request: Request) -> list[str]:
    """What ``expand`` names, in either spelling.

    :raises Refusal: for a name that there is not.
    """
    names = request.query_params.getlist("expand") + request.query_params.getlist("expand[]")
    if any(name not in EXPANDABLE for name in names):
        raise refuse(400, f'"expand" must be one of [{", ".join(EXPANDABLE)}]')
    return list(dict.fromkeys(names))


def duplicated(request: Request, space: Space, world: World) -> Any:
    """Make a copy, with the variables and without the secrets of the original."""
    token: Token | None = request.state.token
    if token is None:
        raise not_found(has_token=False)
    body = request.state.json
    owner, _, name = str(body.get("repository") or "").partition("/")
    if not (owner and _NAME.fullmatch(name)):
        raise refuse(400, '"repository" must be a full repository name')
    if not world.may_write(token, owner):
        raise refuse(403, f'You don\'t have the rights to create a space under the namespace "{owner}"')
    repo_id = f"{owner}/{name}"
    url = f"{world.endpoint}/spaces/{repo_id}"
    if repo_id.lower() in world.spaces:
        more = {"url": url} if world.settings.duplicate_conflict_url else {}
        raise refuse(409, "A repository with this name already exists", more=more)
    hardware = body.get("hardware") or "cpu-basic"
    if not is_offered(hardware):
        raise refuse(400, '"hardware" must be a valid hardware flavor')
    seconds = body.get("sleepTimeSeconds")
    if seconds is not None:
        _check_seconds(seconds, "sleepTimeSeconds")
    visibility = body.get("visibility") or ("private" if body.get("private") else "public")
    if visibility not in ("private", "public", "protected"):
        raise refuse(400, '"visibility" must be one of [private, public, protected]')
    now = iso(world.clock.now())
    copy = world.add_space(
        repo_id,
        admin=token.user,
        sdk=space.sdk,
        hardware=hardware,
        stage="BUILDING",
        sleep_time=None if seconds is None or seconds < 0 else seconds,
        private=visibility == "private",
        secrets={each["key"]: _setting(each, now) for each in _settings(body, "secrets")},
        variables={
            **{key: dict(value) for key, value in space.variables.items()},
            **{each["key"]: _setting(each, now) for each in _settings(body, "variables")},
        },
        volumes=[checked_volume(each) for each in body.get("volumes") or ()],
    )
    copy.files = dict(space.files)
    return {"url": url}


def checked_volume(volume: Any) -> dict[str, Any]:
    """A volume as the Hub keeps it.

    :raises Refusal: for one that it does not accept.
    """
    if not isinstance(volume, dict) or volume.get("type") not in ("bucket", "model", "dataset", "space"):
        raise refuse(400, '"volumes[0].type" must be one of [bucket, model, dataset, space]')
    if not isinstance(volume.get("source"), str) or not str(volume.get("mountPath", "")).startswith("/"):
        raise refuse(400, '"volumes[0].mountPath" fails to match the required pattern: /^\\/.*/')
    read_only = bool(volume.get("readOnly", False)) if volume["type"] == "bucket" else True
    return {**volume, "readOnly": read_only}


def _shown_at_once(space: Space, before: tuple[str, str | None]) -> dict[str, Any]:
    """The answer to a request that restarts: the new stage, though the next look may be older."""
    payload = runtime_payload(space)
    payload["stage"] = space.stage
    payload["hardware"]["current"] = space.hardware
    return payload


def _check_seconds(seconds: Any, name: str) -> None:
    whole = isinstance(seconds, int) and not isinstance(seconds, bool)
    if not whole or (seconds != -1 and not 0 < seconds < 2**53):
        raise refuse(400, f'"{name}" must be a positive number or -1')


def _check_payment(world: World, space: Space, flavor: str) -> None:
    account: Any = world.organizations.get(space.owner) or world.users[space.owner]
    if flavor not in FREE_HARDWARE and not account.can_pay:
        raise refuse(
            403,
            "You must add a payment method to your account to upgrade your space's hardware. Visit your "
            "billing settings to add one: https://huggingface.co/settings/billing",
        )


def _settings(body: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = body.get(name) or []
    for each in found:
        _check_key(each.get("key"))
    return list(found)


def _check_key(key: Any) -> None:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise refuse(
            400,
            f'"key" with value "{key}" fails to match the required pattern: /^[a-zA-Z][_a-zA-Z0-9]*$/',
        )


def _setting(given: dict[str, Any], now: str) -> dict[str, Any]:
    setting = {"key": given["key"], "value": str(given.get("value", ""))}
    if given.get("description") is not None:
        setting["description"] = given["description"]
    return {**setting, "updatedAt": now}


def _set(space: Space, store: dict[str, dict[str, Any]], request: Request, world: World) -> None:
    body = request.state.json
    key = body.get("key")
    _check_key(key)
    if request.method == "DELETE":
        changed = store.pop(key, None) is not None
    else:
        store[key] = _setting(body, iso(world.clock.now()))
        changed = True
    if changed:
        space.do("change", lag=True)
