"""AnyHardware: describe hardware by GPU memory, number of GPUs and price instead of a flavor.

Come here to change which flavors fit a description, and in which order they are tried.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_provider_hfspaces.hub.checks import checked_amount, checked_number
from airflow_provider_hfspaces.hub.cost.limits import over_hourly_limit
from airflow_provider_hfspaces.hub.errors import InvalidHardware, InvalidNumber
from airflow_provider_hfspaces.hub.hardware import HardwareFlavor

__all__ = ["PREFERENCES", "AnyHardware"]

PREFERENCES = ("cheapest", "fastest")
"""The valid values of ``prefer``."""

_MEMORY = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[GT]?)", re.IGNORECASE)


@dataclass(frozen=True)
class AnyHardware:
    """Describes GPU hardware, and returns the flavors in the Hub's price list that fit.

    >>> AnyHardware(vram_gb=24, max_hourly_cost=2.0).flavors(client.send(calls.list_hardware()))
    ['l4x1', 'a10g-small', 'a10g-large', 'l40sx1']

    :param vram_gb: minimum GPU memory in GB, of all GPUs of a flavor together, as the Hub lists it; by
        default any.
    :param gpus: number of GPUs; by default 1, ``None`` for any number.
    :param max_hourly_cost: maximum USD per hour, for all replicas together; by default no limit. With a
        limit, a flavor without a listed price does not fit.
    :param prefer: which flavor to try first: ``"cheapest"`` (default) or ``"fastest"``. The Hub lists no
        speeds, so the most expensive flavor counts as the fastest.
    :raises InvalidInput: for a value that is not valid.
    """

    vram_gb: float | None = None
    gpus: int | None = 1
    max_hourly_cost: float | None = None
    prefer: str = "cheapest"

    def __post_init__(self) -> None:
        vram_gb = self.vram_gb
        if vram_gb is not None and (
            isinstance(vram_gb, bool) or not isinstance(vram_gb, (int, float)) or not 0 < vram_gb < math.inf
        ):
            raise InvalidNumber(f"vram_gb of any_hardware() must be a number of GB above 0; got {vram_gb!r}.")
        if self.max_hourly_cost is not None:
            checked_amount(self.max_hourly_cost, "max_hourly_cost of any_hardware()")
        if self.gpus is not None:
            checked_number(self.gpus, "gpus of any_hardware()", least=1)
        if self.prefer not in PREFERENCES:
            raise InvalidHardware(
                f"prefer of any_hardware() must be 'cheapest' or 'fastest'; got {self.prefer!r:.100}."
            )

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> AnyHardware:
        """Return the description that :meth:`to_dict` wrote.

        :raises InvalidInput: for a value or a name that is not valid.
        """
        unknown = set(payload) - set(cls.__dataclass_fields__)
        if unknown:
            raise InvalidHardware(
                f"any_hardware() has no parameter {', '.join(sorted(map(repr, unknown)))}; it has "
                f"{', '.join(cls.__dataclass_fields__)}."
            )
        return cls(**payload)

    def to_dict(self) -> dict[str, Any]:
        """Return the description as plain JSON."""
        return asdict(self)

    def flavors(self, offered: Iterable[HardwareFlavor], replicas: int = 1) -> list[str]:
        """Return the flavors that fit, in the order in which to try them.

        Of flavors at the same price, the one with more GPU memory comes first.

        :param offered: the Hub's price list.
        :param replicas: number of replicas of the Space; by default 1.
        :raises InvalidHardware: if no flavor fits.
        """
        matches = [flavor for flavor in offered if self._fits(flavor, replicas)]
        if not matches:
            raise InvalidHardware(
                f"hardware: the Hub offers no flavor with {self}. Nothing was requested. Lower vram_gb or "
                f"gpus, or raise max_hourly_cost."
            )
        sign = -1 if self.prefer == "fastest" else 1

        def order(flavor: HardwareFlavor) -> tuple[bool, float, float, str]:
            cost = flavor.hourly_cost
            return cost is None, sign * (cost or 0.0), -(_memory_gb(flavor) or 0.0), flavor.name

        return [flavor.name for flavor in sorted(matches, key=order)]

    def __str__(self) -> str:
        parts = [
            "a GPU" if self.gpus is None else "1 GPU" if self.gpus == 1 else f"{self.gpus} GPUs",
            f"{self.vram_gb:g} GB of GPU memory" if self.vram_gb is not None else "",
            f"a price of at most ${self.max_hourly_cost:.2f} an hour"
            if self.max_hourly_cost is not None
            else "",
        ]
        return " and ".join(part for part in parts if part)

    def _fits(self, flavor: HardwareFlavor, replicas: int) -> bool:
        accelerator = flavor.accelerator
        if accelerator is None or accelerator.type != "gpu":
            return False
        if self.gpus is not None and accelerator.quantity.strip() != str(self.gpus):
            return False
        memory = _memory_gb(flavor)
        if self.vram_gb is not None and (memory is None or memory < self.vram_gb):
            return False
        if self.max_hourly_cost is None:
            return True
        cost = flavor.hourly_cost
        total = None if cost is None else cost * replicas
        return over_hourly_limit(total, self.max_hourly_cost, replicas) is None


def _memory_gb(flavor: HardwareFlavor) -> float | None:
    """Return the GPU memory in GB from the Hub's text, such as ``24 GB``; ``None`` without a number."""
    match = _MEMORY.match(flavor.accelerator.vram.strip()) if flavor.accelerator else None
    if match is None:
        return None
    return float(match["number"]) * (1000 if match["unit"].upper() == "T" else 1)
