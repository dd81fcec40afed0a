"""What the Hub answers about Spaces, as plain frozen dataclasses.

Nothing here talks to the network and nothing here is ever stricter than the Hub: a stage, a
flavor or a field that this version does not know is kept as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from airflow_provider_hfspaces.hub.stages import BILLED_STAGES, SpaceStage

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
    "SpaceStorage",
    "SpaceVariable",
    "TokenScope",
    "Volume",
    "WhoAmI",
]


class _Word(str, Enum):
    """A word of the Hub's vocabulary: equal to its plain string, and printed as it."""

    def __str__(self) -> str:
        return str(self.value)


class SpaceHardware(_Word):
    """The hardware flavors that the Hub is known to accept.

    The Hub adds flavors without notice: :func:`airflow_provider_hfspaces.hub.calls.list_hardware`
    asks for what it offers today, with prices.
    """

    CPU_BASIC = "cpu-basic"
    CPU_UPGRADE = "cpu-upgrade"
    CPU_PERFORMANCE = "cpu-performance"
    CPU_XL = "cpu-xl"
    SPRX8 = "sprx8"
    ZERO_A10G = "zero-a10g"
    T4_SMALL = "t4-small"
    T4_MEDIUM = "t4-medium"
    L4X1 = "l4x1"
    L4X4 = "l4x4"
    L40SX1 = "l40sx1"
    L40SX4 = "l40sx4"
    L40SX8 = "l40sx8"
    A10G_SMALL = "a10g-small"
    A10G_LARGE = "a10g-large"
    A10G_LARGEX2 = "a10g-largex2"
    A10G_LARGEX4 = "a10g-largex4"
    A100_LARGE = "a100-large"
    A100X4 = "a100x4"
    A100X8 = "a100x8"
    H200 = "h200"
    H200X2 = "h200x2"
    H200X4 = "h200x4"
    H200X8 = "h200x8"
    RTX_PRO_6000 = "rtx-pro-6000"
    RTX_PRO_6000X2 = "rtx-pro-6000x2"
    RTX_PRO_6000X4 = "rtx-pro-6000x4"
    RTX_PRO_6000X8 = "rtx-pro-6000x8"
    INF2X6 = "inf2x6"


class SpaceStorage(_Word):
    """The persistent storage tiers, which the Hub is retiring in favour of volumes."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


FREE_HARDWARE = frozenset({SpaceHardware.CPU_BASIC.value, SpaceHardware.ZERO_A10G.value})
"""Flavors that cost nothing, whatever the price list says about the others."""


@dataclass(frozen=True, slots=True)
class SpaceReplicas:
    """How many copies of a Space run and how many were asked for (``"auto"`` when autoscaled)."""

    current: int | None = None
    requested: int | str | None = None

    @classmethod
    def from_payload(cls, payload: Any) -> SpaceReplicas:
        if not isinstance(payload, Mapping):
            return cls(requested=payload if isinstance(payload, (int, str)) else None)
        return cls(current=payload.get("current"), requested=payload.get("requested"))

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"current": self.current, "requested": self.requested}


@dataclass(frozen=True, slots=True)
class SpaceDomain:
    """A host name under which a Space answers."""

    domain: str
    stage: str | None = None
    is_custom: bool | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> SpaceDomain:
        return cls(
            domain=str(payload.get("domain", "")),
            stage=payload.get("stage"),
            is_custom=payload.get("isCustom"),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"domain": self.domain, "stage": self.stage, "is_custom": self.is_custom}


@dataclass(frozen=True, slots=True)
class Volume:
    """A bucket or a repository mounted into a Space.

    :param type: ``bucket``, ``model``, ``dataset`` or ``space``.
    :param source: what is mounted, as ``owner/name``.
    :param mount_path: where, as an absolute path in the container.
    :param revision: of a repository; the Hub's default is ``main``.
    :param read_only: repositories always are, buckets only when asked.
    :param path: mount only this folder of the source.
    """

    type: str
    source: str
    mount_path: str
    revision: str | None = None
    read_only: bool | None = None
    path: str | None = None

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Volume:
        """Read a volume in the Hub's spelling (``mountPath``) or in ours (``mount_path``)."""
        return cls(
            type=payload.get("type", ""),
            source=payload.get("source", ""),
            mount_path=payload.get("mountPath", payload.get("mount_path", "")),
            revision=payload.get("revision"),
            read_only=payload.get("readOnly", payload.get("read_only")),
            path=payload.get("path"),
        )

    def to_payload(self) -> dict[str, Any]:
        """As the Hub spells it, without what was not said."""
        said = {
            "type": self.type,
            "source": self.source,
            "mountPath": self.mount_path,
            "revision": self.revision,
            "readOnly": self.read_only,
            "path": self.path,
        }
        return {name: value for name, value in said.items() if value is not None}

    to_dict = to_payload


@dataclass(frozen=True, slots=True)
class SpaceRuntime:
    """The live state of a Space: ``GET /api/spaces/{owner}/{name}/runtime``.

    :ivar stage: compare with :class:`SpaceStage`; a stage that is not in it is kept as it came.
    :ivar hardware: the flavor that the Space runs on now; ``None`` while nothing runs.
    :ivar requested_hardware: the flavor that was asked for last; ``None`` for a static Space.
    :ivar sleep_time: seconds without a visitor until the Space sleeps; ``None`` is never.
    :ivar storage: a retired storage tier, if the Space still has one.
    :ivar error_message: the Hub's own words, in an error stage.
    :ivar sha: the commit that runs, where the Hub says so.
    :ivar raw: the answer as it came.
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
        """Read the Hub's answer. Only ``stage`` has to be there.

        :raises KeyError: without a stage.
        :raises TypeError: for a hardware or a sleep time that cannot be read. Nothing is guessed
            about what costs money; an oddity elsewhere is only left out.
        """
        if not payload.get("stage"):
            raise KeyError("stage")
        hardware = payload.get("hardware") or {}
        if not isinstance(hardware, Mapping):
            raise TypeError("hardware as an object")
        return cls(
            stage=str(payload["stage"]),
            hardware=hardware.get("current"),
            requested_hardware=hardware.get("requested"),
            sleep_time=_sleep_time(payload.get("gcTimeout")),
            storage=payload.get("storage"),
            dev_mode=bool(payload.get("devMode", False)),
            replicas=SpaceReplicas.from_payload(payload.get("replicas")),
            volumes=tuple(Volume.from_payload(each) for each in _objects(payload.get("volumes"))),
            error_message=payload.get("errorMessage"),
            domains=tuple(SpaceDomain.from_payload(each) for each in _objects(payload.get("domains"))),
            sha=payload.get("sha"),
            raw=dict(payload),
        )

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> SpaceRuntime:
        """The runtime that :meth:`to_dict` described, without :attr:`raw`."""
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
        """The flavor that the Space will run on when nothing else is asked of it."""
        return self.requested_hardware or self.hardware

    @property
    def is_static(self) -> bool:
        """Whether this is a static Space: it always runs, on no hardware at all.

        An answer that says nothing about hardware does not make one.
        """
        silent = bool(self.raw) and not isinstance(self.raw.get("hardware"), Mapping)
        return self.stage == SpaceStage.RUNNING and self.configured_hardware is None and not silent

    @property
    def is_billed(self) -> bool:
        """Whether the Hub bills this moment: starting or running, on hardware that costs."""
        hardware = self.hardware or self.requested_hardware
        return self.stage in BILLED_STAGES and hardware is not None and hardware not in FREE_HARDWARE

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for an XCom."""
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
    """The Hub says "never" as null, as nothing at all, or as -1."""
    if value is None:
        return None
    seconds = int(value)
    return None if seconds < 0 else seconds


def _readable_runtime(payload: Any) -> SpaceRuntime | None:
    try:
        return SpaceRuntime.from_payload(payload)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


@dataclass(frozen=True)
class SpaceInfo:
    """A Space as ``GET /api/spaces/{owner}/{name}`` and the list endpoint describe it.

    Only :attr:`id` is always there: the Hub sends what ``expand`` asks for. A runtime that cannot be
    read is ``None``, so that one odd entry does not spoil a list of Spaces: :func:`calls.get_runtime`
    for that Space says what is wrong with it.
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
            id=str(payload["id"]),
            author=payload.get("author"),
            sdk=payload.get("sdk"),
            private=payload.get("private"),
            host=payload.get("host"),
            subdomain=payload.get("subdomain"),
            sha=payload.get("sha"),
            tags=tuple(each for each in tags if isinstance(each, str)) if isinstance(tags, list) else (),
            created_at=payload.get("createdAt"),
            last_modified=payload.get("lastModified"),
            runtime=_readable_runtime(payload.get("runtime")),
            raw=dict(payload),
        )


@dataclass(frozen=True)
class SpaceVariable:
    """A public environment variable of a Space."""

    key: str
    value: str
    description: str | None = None
    updated_at: str | None = None

    @classmethod
    def from_payload(cls, key: str, payload: Mapping[str, Any]) -> SpaceVariable:
        return cls(
            key=key,
            value=str(payload.get("value") or ""),
            description=payload.get("description"),
            updated_at=payload.get("updatedAt"),
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for an XCom."""
        return {
            "key": self.key,
            "value": self.value,
            "description": self.description,
            "updated_at": self.updated_at,
        }


@dataclass(frozen=True)
class SpaceSecret:
    """A secret of a Space. The Hub never gives its value back."""

    key: str
    description: str | None = None
    updated_at: str | None = None

    @classmethod
    def from_payload(cls, key: str, payload: Mapping[str, Any]) -> SpaceSecret:
        return cls(key=key, description=payload.get("description"), updated_at=payload.get("updatedAt"))


@dataclass(frozen=True)
class Accelerator:
    """The GPU (or Neuron) part of a flavor, in the Hub's words: ``1``, ``T4``, ``16 GB``."""

    type: str
    model: str
    quantity: str
    vram: str
    manufacturer: str

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Accelerator:
        return cls(
            **{
                name: str(payload.get(name, ""))
                for name in ("type", "model", "quantity", "vram", "manufacturer")
            }
        )


_UNITS_PER_HOUR = {"second": 3600.0, "minute": 60.0, "hour": 1.0, "day": 1 / 24}


@dataclass(frozen=True)
class HardwareFlavor:
    """An entry of the Hub's own price list, ``GET /api/spaces/hardware``.

    :ivar unit_cost_usd: USD per unit; ``None`` where the Hub lists no price.
    :ivar unit_label: the unit, which so far has always been ``minute``.
    """

    name: str
    pretty_name: str
    cpu: str
    ram: str
    accelerator: Accelerator | None
    unit_cost_usd: float | None
    unit_label: str

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> HardwareFlavor:
        accelerator = payload.get("accelerator")
        name = str(payload["name"])
        return cls(
            name=name,
            pretty_name=str(payload.get("prettyName") or name),
            cpu=str(payload.get("cpu") or ""),
            ram=str(payload.get("ram") or ""),
            accelerator=Accelerator.from_payload(accelerator) if accelerator else None,
            unit_cost_usd=_cost(payload),
            unit_label=str(payload.get("unitLabel") or "minute"),
        )

    @property
    def hourly_cost(self) -> float | None:
        """USD per hour and replica, to the tenth of a cent; ``None`` where the Hub does not say.

        The Hub lists prices by the minute in rounded millionths of a dollar; rounding back gives
        the price that it advertises (6,667 a minute is $0.40 an hour, not $0.40002).
        """
        units = _UNITS_PER_HOUR.get(self.unit_label)
        if units is None or self.unit_cost_usd is None:
            return None
        return round(self.unit_cost_usd * units, 3)

    @property
    def price(self) -> str:
        """For people: ``free`` or ``$0.40/h``."""
        if self.unit_cost_usd is None:
            return "no price"
        hourly = self.hourly_cost
        if hourly is None:
            return f"${self.unit_cost_usd:g}/{self.unit_label}"
        return "free" if not hourly else f"${hourly:.2f}/h"


def _cost(payload: Mapping[str, Any]) -> float | None:
    micro, dollars = payload.get("unitCostMicroUSD"), payload.get("unitCostUSD")
    if micro is not None:
        return float(micro) / 1_000_000
    return None if dollars is None else float(dollars)


@dataclass(frozen=True)
class DuplicatedSpace:
    """The answer to a duplication.

    :ivar url: the page of the new Space; ``None`` where the Hub did not say.
    :ivar files_copy_pending: whether the Hub still copies files in the background.
    """

    repo_id: str
    url: str | None = None
    files_copy_pending: bool = False


@dataclass(frozen=True)
class Organization:
    """An organization that a token's owner belongs to."""

    name: str
    role: str | None = None
    plan: str | None = None


@dataclass(frozen=True)
class TokenScope:
    """What a fine-grained token may do to one user, organization or repository."""

    entity: str
    entity_type: str
    permissions: tuple[str, ...]


@dataclass(frozen=True)
class WhoAmI:
    """Who a token belongs to and what it may do: ``GET /api/whoami-v2``."""

    name: str
    type: str = "user"
    organizations: tuple[Organization, ...] = ()
    token_name: str | None = None
    token_role: str | None = None
    auth_type: str | None = None
    scopes: tuple[TokenScope, ...] = ()
    can_pay: bool | None = None
    is_pro: bool | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> WhoAmI:
        auth = payload.get("auth") or {}
        token = auth.get("accessToken") or {}
        scoped = (token.get("fineGrained") or {}).get("scoped") or ()
        return cls(
            name=str(payload["name"]),
            type=str(payload.get("type") or "user"),
            organizations=tuple(
                Organization(each["name"], each.get("roleInOrg"), each.get("plan"))
                for each in payload.get("orgs") or ()
                if each.get("name")
            ),
            token_name=token.get("displayName"),
            token_role=token.get("role"),
            auth_type=auth.get("type"),
            scopes=tuple(
                TokenScope(
                    entity=str((each.get("entity") or {}).get("name", "")),
                    entity_type=str((each.get("entity") or {}).get("type", "")),
                    permissions=tuple(each.get("permissions") or ()),
                )
                for each in scoped
            ),
            can_pay=payload.get("canPay"),
            is_pro=payload.get("isPro"),
            raw=dict(payload),
        )
