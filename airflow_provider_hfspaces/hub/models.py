"""The Hub's answers about Spaces, as frozen dataclasses without I/O.

Come here to read another field of an answer. Stages and flavors that this version does not know are kept, and
unknown fields are ignored. A stage, hardware or sleep time that cannot be read raises an error, because cost
depends on these fields. Any other malformed value is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_provider_hfspaces.hub.choices import LARGEST_NUMBER
from airflow_provider_hfspaces.hub.hardware import (
    FREE_HARDWARE,
    Accelerator,
    HardwareFlavor,
    SpaceHardware,
    SpaceStorage,
)
from airflow_provider_hfspaces.hub.masking import mask_tokens
from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, SpaceStage
from airflow_provider_hfspaces.hub.text import printable
from airflow_provider_hfspaces.hub.whoami import Organization, TokenScope, WhoAmI

__all__ = [
    "FREE_HARDWARE",
    "Accelerator",
    "DuplicatedSpace",
    "HardwareFlavor",
    "Organization",
    "SpaceDomain",
    "SpaceHardware",
    "SpaceInfo",
    "SpaceReplicas",
    "SpaceRuntime",
    "SpaceSecret",
    "SpaceStage",
    "SpaceStorage",
    "SpaceVariable",
    "TokenScope",
    "Volume",
    "WhoAmI",
]


@dataclass(frozen=True, slots=True)
class SpaceReplicas:
    """Numbers of running and requested replicas of a Space. Autoscaled Spaces request ``"auto"``."""

    current: int | None = None
    requested: int | str | None = None

    @classmethod
    def from_payload(cls, payload: Any) -> SpaceReplicas:
        if not isinstance(payload, Mapping):
            payload = {"requested": payload}
        current, requested = payload.get("current"), payload.get("requested")
        return cls(
            current=current if _is_count(current) else None,
            requested=requested if _is_count(requested) or isinstance(requested, str) else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {"current": self.current, "requested": self.requested}


@dataclass(frozen=True, slots=True)
class SpaceDomain:
    """A host name of a Space, such as ``acme-whisper.hf.space``, with the Hub's state of the host name."""

    domain: str
    stage: str | None = None
    is_custom: bool | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceDomain:
        return cls(
            domain=str(payload.get("domain", "")),
            stage=_text(payload.get("stage")),
            is_custom=bool(payload["isCustom"]) if "isCustom" in payload else None,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {"domain": self.domain, "stage": self.stage, "is_custom": self.is_custom}


@dataclass(frozen=True, slots=True)
class Volume:
    """A bucket or a repository that is mounted into a Space.

    :param type: ``bucket``, ``model``, ``dataset`` or ``space``.
    :param source: the bucket or repository, as ``owner/name``.
    :param mount_path: absolute path in the container.
    :param revision: revision of a repository; by default the Hub uses ``main``.
    :param read_only: whether the container may only read; by default the Hub decides. Repositories are always
        read-only.
    :param path: folder of the source to mount; by default the whole source.
    """

    type: str
    source: str
    mount_path: str
    revision: str | None = None
    read_only: bool | None = None
    path: str | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Volume:
        """Return the volume for a mapping with keys such as ``mountPath`` or ``mount_path``."""
        return cls(
            type=payload.get("type", ""),
            source=payload.get("source", ""),
            mount_path=payload.get("mountPath", payload.get("mount_path", "")),
            revision=payload.get("revision"),
            read_only=payload.get("readOnly", payload.get("read_only")),
            path=payload.get("path"),
        )

    def to_payload(self) -> dict[str, Any]:
        """Return the volume as plain JSON with the Hub's keys (``mountPath``), without unset fields."""
        fields = {
            "type": self.type,
            "source": self.source,
            "mountPath": self.mount_path,
            "revision": self.revision,
            "readOnly": self.read_only,
            "path": self.path,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the volume as plain JSON with Python's keys (``mount_path``), without unset fields."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class SpaceRuntime:
    """The live state of a Space: ``GET /api/spaces/{owner}/{name}/runtime``.

    :ivar stage: the stage, to compare with :class:`SpaceStage`. An unknown stage is kept unchanged.
    :ivar hardware: the flavor on which the Space runs now; ``None`` while nothing runs.
    :ivar requested_hardware: the flavor that was requested last; ``None`` for a static Space.
    :ivar sleep_time: seconds without a visitor until the Space sleeps; ``None`` means never.
    :ivar error_message: the Hub's message in an error stage; ``None`` without one.
    :ivar sha: the commit that runs; ``None`` if the Hub does not report it.
    :ivar raw: the Hub's answer, unchanged.
    """

    stage: str
    hardware: str | None = None
    requested_hardware: str | None = None
    sleep_time: int | None = None
    storage: str | None = None
    dev_mode: bool = False
    replicas: SpaceReplicas = field(default_factory=SpaceReplicas)
    volumes: tuple[Volume, ...] = ()
    error_message: str | None = None
    domains: tuple[SpaceDomain, ...] = ()
    sha: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceRuntime:
        """Return the runtime in the Hub's answer. Only ``stage`` is required.

        :raises KeyError: without a stage.
        :raises TypeError: for a stage, hardware or sleep time of the wrong type.
        :raises ValueError: for a sleep time that is not a valid number of seconds.
        """
        stage = payload.get("stage")
        if not stage:
            raise KeyError("stage")
        if not isinstance(stage, str):
            raise TypeError("stage as text")
        hardware = payload.get("hardware") or {}
        if not isinstance(hardware, Mapping):
            raise TypeError("hardware as an object")
        return cls(
            stage=printable(stage),
            hardware=_flavor(hardware.get("current")),
            requested_hardware=_flavor(hardware.get("requested")),
            sleep_time=_sleep_time(payload.get("gcTimeout")),
            storage=_text(payload.get("storage")),
            dev_mode=bool(payload.get("devMode", False)),
            replicas=SpaceReplicas.from_payload(payload.get("replicas")),
            volumes=tuple(Volume.from_payload(each) for each in _objects(payload.get("volumes"))),
            error_message=_words(payload.get("errorMessage")),
            domains=tuple(SpaceDomain.from_payload(each) for each in _objects(payload.get("domains"))),
            sha=_text(payload.get("sha")),
            raw=dict(payload),
        )

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> SpaceRuntime:
        """Return the runtime from its :meth:`to_dict`. :attr:`raw` is empty."""
        return cls(
            **{
                **payload,
                "replicas": SpaceReplicas(**payload["replicas"]),
                "volumes": tuple(Volume.from_payload(each) for each in payload["volumes"]),
                "domains": tuple(SpaceDomain(**each) for each in payload["domains"]),
            }
        )

    @property
    def configured_hardware(self) -> str | None:
        """The flavor that the Space is set to: the requested flavor, or the current one without a request."""
        return self.requested_hardware or self.hardware

    def is_set_to(self, hardware: str) -> bool:
        """Return True if the Space is set to this flavor, whether or not it runs on the flavor yet."""
        return self.configured_hardware == hardware

    @property
    def is_static(self) -> bool:
        """Whether the Space is static: it always runs, and its ``hardware`` names no flavor."""
        silent = bool(self.raw) and not isinstance(self.raw.get("hardware"), Mapping)
        return self.stage == SpaceStage.RUNNING and self.configured_hardware is None and not silent

    @property
    def is_billed(self) -> bool:
        """Whether the Hub bills the Space now: it starts or runs, on paid hardware."""
        hardware = self.hardware or self.requested_hardware
        return self.stage in BILLED_STAGES and hardware is not None and hardware not in FREE_HARDWARE

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "stage": self.stage,
            "hardware": self.hardware,
            "requested_hardware": self.requested_hardware,
            "sleep_time": self.sleep_time,
            "storage": self.storage,
            "dev_mode": self.dev_mode,
            "replicas": self.replicas.to_dict(),
            "volumes": [volume.to_dict() for volume in self.volumes],
            "error_message": self.error_message,
            "domains": [domain.to_dict() for domain in self.domains],
            "sha": self.sha,
        }


def _sleep_time(value: Any) -> int | None:
    """Return the sleep time in seconds; ``None`` for never, which the Hub reports as null, -1 or no field."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("gcTimeout as a number")
    seconds = float(value)
    if not -1 <= seconds <= LARGEST_NUMBER:
        raise ValueError("gcTimeout as a number of seconds")
    return None if seconds < 0 else int(seconds)


def _flavor(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError("hardware as text")
    return None if value is None else printable(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _words(value: Any) -> str | None:
    """Return text of the Space's app on one line, with tokens masked."""
    return mask_tokens(printable(mask_tokens(value))) if isinstance(value, str) else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _readable_runtime(payload: Any) -> SpaceRuntime | None:
    try:
        return SpaceRuntime.from_payload(payload)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True)
class SpaceInfo:
    """A Space, as ``GET /api/spaces/{owner}/{name}`` and ``GET /api/spaces`` describe it.

    Only :attr:`id` is always set: the Hub sends the properties that ``expand`` names, and the others are
    ``None`` or empty. A runtime that cannot be read is ``None`` too, so that one malformed entry does not
    fail a whole list. :func:`calls.get_runtime` raises the error for this Space.

    :ivar id: the Space, as ``owner/name``.
    :ivar host: address of the app.
    :ivar sha: the newest commit of the repository.
    :ivar created_at: when the Space was created, as ISO 8601.
    :ivar last_modified: when the repository was last changed, as ISO 8601.
    """

    id: str
    author: str | None = None
    sdk: str | None = None
    private: bool | None = None
    host: str | None = None
    subdomain: str | None = None
    sha: str | None = None
    tags: tuple[str, ...] = ()
    created_at: str | None = None
    last_modified: str | None = None
    runtime: SpaceRuntime | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceInfo:
        tags = payload.get("tags")
        return cls(
            id=printable(str(payload["id"])),
            author=_text(payload.get("author")),
            sdk=_text(payload.get("sdk")),
            private=payload.get("private"),
            host=_text(payload.get("host")),
            subdomain=_text(payload.get("subdomain")),
            sha=_text(payload.get("sha")),
            tags=tuple(each for each in tags if isinstance(each, str)) if isinstance(tags, list) else (),
            created_at=_text(payload.get("createdAt")),
            last_modified=_text(payload.get("lastModified")),
            runtime=_readable_runtime(payload.get("runtime")),
            raw=dict(payload),
        )


@dataclass(frozen=True)
class SpaceVariable:
    """A public environment variable of a Space. ``updated_at`` is ISO 8601."""

    key: str
    value: str
    description: str | None = None
    updated_at: str | None = None

    @classmethod
    def from_payload(cls, key: str, payload: Mapping[str, Any]) -> SpaceVariable:
        return cls(
            key=key,
            value=str(payload.get("value") or ""),
            description=_text(payload.get("description")),
            updated_at=_text(payload.get("updatedAt")),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "key": self.key,
            "value": self.value,
            "description": self.description,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class SpaceSecret:
    """A secret of a Space, without its value, which the Hub never sends. ``updated_at`` is ISO 8601."""

    key: str
    description: str | None = None
    updated_at: str | None = None

    @classmethod
    def from_payload(cls, key: str, payload: Mapping[str, Any]) -> SpaceSecret:
        return cls(
            key=key, description=_text(payload.get("description")), updated_at=_text(payload.get("updatedAt"))
        )


@dataclass(frozen=True)
class DuplicatedSpace:
    """A copy of a Space: ``POST /api/spaces/{owner}/{name}/duplicate``.

    :ivar repo_id: the copy, as ``owner/name``.
    :ivar url: URL of the copy's page; ``None`` if the Hub does not say.
    :ivar files_copy_pending: whether the Hub still copies files in the background.
    """

    repo_id: str
    url: str | None = None
    files_copy_pending: bool = False
