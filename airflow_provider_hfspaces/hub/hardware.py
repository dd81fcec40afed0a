"""Hardware flavors: the flavors that this version knows, and the entries of the Hub's price list.

Come here to add a flavor, or to change how a price is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["FREE_HARDWARE", "Accelerator", "HardwareFlavor", "SpaceHardware", "SpaceStorage"]


class SpaceStorage(str, Enum):
    """The persistent storage tiers, which the Hub is retiring in favour of volumes."""

    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"

    def __str__(self) -> str:
        return str(self.value)


class SpaceHardware(str, Enum):
    """The hardware flavors that this version knows.

    The Hub adds flavors without notice. :func:`airflow_provider_hfspaces.hub.calls.list_hardware` returns the
    current list with prices.
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

    def __str__(self) -> str:
        return str(self.value)


FREE_HARDWARE = frozenset({SpaceHardware.CPU_BASIC.value, SpaceHardware.ZERO_A10G.value})
"""Flavors that cost nothing."""


@dataclass(frozen=True)
class Accelerator:
    """The accelerator of a flavor, as text of the Hub.

    :ivar type: ``gpu`` or ``neuron``.
    :ivar model: such as ``T4``.
    :ivar quantity: number of accelerators, such as ``1``.
    :ivar vram: memory of all accelerators together, such as ``16 GB``.
    :ivar manufacturer: such as ``Nvidia``.
    """

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
    """An entry of the Hub's price list: ``GET /api/spaces/hardware``.

    :ivar name: the flavor, such as ``t4-small``.
    :ivar pretty_name: the flavor's name for people, such as ``Nvidia T4 - small``.
    :ivar cpu: such as ``4 vCPU``.
    :ivar ram: such as ``15 GB``.
    :ivar accelerator: the accelerator; ``None`` for a CPU flavor.
    :ivar unit_cost_usd: USD per unit; ``None`` if the Hub lists no price.
    :ivar unit_label: the unit: ``minute`` in all known entries.
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
        """USD per hour and replica, rounded to a tenth of a cent; ``None`` if the Hub lists no price.

        The Hub lists rounded prices per minute, such as $0.006667. Rounding the hourly price gives the
        advertised $0.40 instead of $0.40002.
        """
        units = _UNITS_PER_HOUR.get(self.unit_label)
        if units is None or self.unit_cost_usd is None:
            return None
        return round(self.unit_cost_usd * units, 3)

    @property
    def price(self) -> str:
        """The price as text: ``free``, ``$0.40/h`` or ``no price``."""
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
