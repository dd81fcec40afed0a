"""The kinds of apps that a Space can serve, and the values of ``app=`` that choose them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias
from urllib.parse import urlsplit

__all__ = [
    "GRADIO_VERSIONS",
    "AppChoice",
    "DockerApp",
    "GradioApp",
    "ServerApp",
    "StaticApp",
    "checked_app",
    "described_app",
    "saved_app",
    "usual_app",
]

GRADIO_VERSIONS = {4: "4.44.1", 5: "5.50.0", 6: "6.31.0"}
"""The Gradio release that the miniature Gradio imitates, by major version."""


@dataclass(frozen=True)
class GradioApp:
    """A miniature Gradio, which speaks the protocol of a real Gradio app.

        hub.add_space("acme/caption", app=GradioApp(version=5, queue_size=3))

    :ivar version: the major version of Gradio that the app imitates: 4, 5 or 6.
    :ivar endpoints: functions by the names of their endpoints, such as ``{"caption": make_caption}``; by
        default the built-in endpoints.
    :ivar seconds: emulated seconds that each call takes in addition to its own work.
    :ivar concurrency: calls of one endpoint that run at once; 1 by default, as in Gradio.
    :ivar queue_size: calls that may wait, over all endpoints together; further calls get a 503. ``None`` for
        no limit.
    :ivar show_error: whether callers see the text of exceptions other than ``gr.Error``.
    :ivar login: passwords by user name, for an app that asks for a login; ``None`` for an app without one.
    :ivar max_file_size: maximum size of an upload in bytes; ``None`` for no limit.
    :ivar zero_gpu: whether the functions declare that they run on ZeroGPU.
    :raises ValueError: for invalid values.
    """

    version: int = 6
    endpoints: Mapping[str, Callable[..., Any]] | None = None
    seconds: float = 0.0
    concurrency: int = 1
    queue_size: int | None = None
    show_error: bool = False
    login: Mapping[str, str] | None = None
    max_file_size: int | None = None
    zero_gpu: bool = False

    def __post_init__(self) -> None:
        if self.version not in GRADIO_VERSIONS:
            raise ValueError(f"The version of a Gradio app must be 4, 5 or 6; got {self.version!r}.")
        for name, function in (self.endpoints or {}).items():
            if not callable(function) or isinstance(function, type):
                raise ValueError(
                    f"The endpoint {name!r} of a Gradio app must be a function; got {function!r:.100}."
                )
        _check_seconds(self.seconds)
        for name, least in (("concurrency", 1), ("queue_size", 0), ("max_file_size", 0)):
            value = getattr(self, name)
            if value is None and name != "concurrency":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"The {name} of a Gradio app must be a whole number of at least {least}; got {value!r}."
                )


@dataclass(frozen=True)
class DockerApp:
    """A plain HTTP app, as a Docker Space may serve it, with jobs that callers poll.

        hub.add_space("acme/jobs", sdk="docker", app=DockerApp(seconds=60))

    :ivar seconds: emulated seconds that each job takes in addition to the ``seconds`` in its request.
    :raises ValueError: for a negative number.
    """

    seconds: float = 0.0

    def __post_init__(self) -> None:
        _check_seconds(self.seconds)


@dataclass(frozen=True)
class StaticApp:
    """The files on ``main`` of the Space's repository, as a static Space serves them."""


@dataclass(frozen=True)
class ServerApp:
    """A real server. Requests to the app's address are forwarded to it.

    :ivar url: address of the server, such as ``http://127.0.0.1:7860``.
    :raises ValueError: if ``url`` is not an ``http`` or ``https`` address.
    """

    url: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"app must be an address such as http://127.0.0.1:7860; got {self.url!r}.")


AppChoice: TypeAlias = "GradioApp | DockerApp | StaticApp | ServerApp | Callable[..., Any]"
"""The app of a Space. A callable is an ASGI application, or a function without parameters that makes one."""

_KINDS: dict[str, type[GradioApp] | type[DockerApp] | type[StaticApp]] = {
    "gradio": GradioApp,
    "docker": DockerApp,
    "static": StaticApp,
}


def usual_app(sdk: str) -> AppChoice:
    """The built-in app of a Space with this sdk."""
    return _KINDS[sdk]()


def checked_app(app: Any) -> AppChoice | None:
    """Return the app that a value of ``app=`` chooses; ``None`` for the built-in app of the Space's sdk.

    :param app: the address of a real server; ``"gradio"`` or ``"docker"``; options such as
        ``{"kind": "gradio", "queue_size": 3}``; a :class:`GradioApp` or :class:`DockerApp`; an ASGI
        application; or ``None``.
    :raises ValueError: for anything else.
    """
    if app is None or isinstance(app, (GradioApp, DockerApp, StaticApp, ServerApp)):
        return app
    if isinstance(app, str):
        return _KINDS[app]() if app in _KINDS else ServerApp(app)
    if isinstance(app, Mapping):
        return _from_options(app)
    if callable(app):
        checked: AppChoice = app
        return checked
    raise ValueError(
        f"app must be an address, {', '.join(map(repr, _KINDS))}, options with a 'kind', or an ASGI "
        f"application; got {app!r}."
    )


def saved_app(choice: AppChoice | None) -> Any:
    """The choice as plain JSON; ``None`` for the built-in app, and for code, which JSON cannot hold."""
    if isinstance(choice, ServerApp):
        return choice.url
    for kind, made in _KINDS.items():
        if isinstance(choice, made):
            options = {name: value for name, value in asdict(choice).items() if name != "endpoints"}
            code = isinstance(choice, GradioApp) and choice.endpoints is not None
            return None if code else {"kind": kind, **options}
    return None


def described_app(choice: AppChoice | None, sdk: str) -> str:
    """A short description of a Space's app: ``Gradio 6``, ``http://127.0.0.1:7860``."""
    choice = usual_app(sdk) if choice is None else choice
    if isinstance(choice, GradioApp):
        return f"Gradio {choice.version}"
    if isinstance(choice, ServerApp):
        return choice.url
    return {DockerApp: "plain HTTP", StaticApp: "files"}.get(type(choice), "code")


def _from_options(options: Mapping[str, Any]) -> AppChoice:
    kind = options.get("kind")
    if kind not in _KINDS:
        raise ValueError(f"app: kind must be one of {', '.join(_KINDS)}; got {kind!r}.")
    made = _KINDS[kind]
    names = {each.name for each in fields(made)} - {"endpoints"}
    unknown = set(options) - names - {"kind"}
    if unknown:
        raise ValueError(
            f"app: a {kind} app has no option {', '.join(sorted(unknown))}; its options are "
            f"{', '.join(sorted(names))}."
        )
    return made(**{name: value for name, value in options.items() if name != "kind"})


def _check_seconds(seconds: Any) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds < 0:
        raise ValueError(f"The seconds of an app must be a number of at least 0; got {seconds!r}.")
