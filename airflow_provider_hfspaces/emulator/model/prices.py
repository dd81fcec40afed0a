"""The hardware that the Hub offers, with the list prices of November 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["FLAVORS", "PRICES_DATE", "is_offered", "pretty_name", "price_list", "price_per_minute"]

PRICES_DATE = "2026-11"
"""Month of the list prices."""

# name, display name, CPU, RAM, micro-USD per minute, GPU (model, quantity, GB of memory)
_OFFERED: tuple[tuple[str, str, str, str, int, tuple[str, int, int] | None], ...] = (
    ("cpu-basic", "CPU Basic", "2 vCPU", "16 GB", 0, None),
    ("cpu-upgrade", "CPU Upgrade", "8 vCPU", "32 GB", 500, None),
    ("zero-a10g", "ZeroGPU", "?", "?", 0, None),
    ("t4-small", "Nvidia T4 - small", "4 vCPU", "15 GB", 6667, ("T4", 1, 16)),
    ("t4-medium", "Nvidia T4 - medium", "8 vCPU", "30 GB", 10000, ("T4", 1, 16)),
    ("l4x1", "1x Nvidia L4", "8 vCPU", "30 GB", 13333, ("L4", 1, 24)),
    ("l4x4", "4x Nvidia L4", "48 vCPU", "186 GB", 63333, ("L4", 4, 96)),
    ("l40sx1", "1x Nvidia L40S", "8 vCPU", "62 GB", 30000, ("L40S", 1, 48)),
    ("l40sx4", "4x Nvidia L40S", "48 vCPU", "382 GB", 138333, ("L40S", 4, 192)),
    ("l40sx8", "8x Nvidia L40S", "192 vCPU", "1534 GB", 391667, ("L40S", 8, 384)),
    ("a10g-small", "Nvidia A10G - small", "4 vCPU", "15 GB", 16667, ("A10G", 1, 24)),
    ("a10g-large", "Nvidia A10G - large", "12 vCPU", "46 GB", 25000, ("A10G", 1, 24)),
    ("a10g-largex2", "2x Nvidia A10G - large", "24 vCPU", "92 GB", 50000, ("A10G", 2, 48)),
    ("a10g-largex4", "4x Nvidia A10G - large", "48 vCPU", "184 GB", 83333, ("A10G", 4, 96)),
    ("a100-large", "Nvidia A100 - large", "12 vCPU", "142 GB", 41667, ("A100", 1, 80)),
    ("a100x4", "4x Nvidia A100", "48 vCPU", "568 GB", 166667, ("A100", 4, 320)),
    ("a100x8", "8x Nvidia A100", "96 vCPU", "1136 GB", 333333, ("A100", 8, 640)),
    ("rtx-pro-6000", "Nvidia RTX PRO 6000", "23 vCPU", "256 GB", 45833, ("RTX PRO 6000", 1, 96)),
    ("rtx-pro-6000x2", "Nvidia RTX PRO 6000", "46 vCPU", "512 GB", 91667, ("RTX PRO 6000", 2, 192)),
    ("rtx-pro-6000x4", "Nvidia RTX PRO 6000", "92 vCPU", "1024 GB", 183333, ("RTX PRO 6000", 4, 384)),
    ("rtx-pro-6000x8", "Nvidia RTX PRO 6000", "184 vCPU", "2048 GB", 366667, ("RTX PRO 6000", 8, 768)),
)

# The Hub accepts these, but does not list them.
_UNLISTED = {
    "cpu-performance": 31667,
    "cpu-xl": 16667,
    "sprx8": 266667,
    "h200": 83333,
    "h200x2": 166667,
    "h200x4": 333333,
    "h200x8": 666667,
    "inf2x6": 200000,
}


def _flavor(
    name: str, pretty: str, cpu: str, ram: str, micro: int, gpu: tuple[str, int, int] | None
) -> dict[str, Any]:
    accelerator = None
    if gpu:
        model, quantity, memory = gpu
        accelerator = {
            "type": "gpu",
            "model": model,
            "quantity": str(quantity),
            "vram": f"{memory} GB",
            "manufacturer": "Nvidia",
        }
    return {
        "name": name,
        "prettyName": pretty,
        "cpu": cpu,
        "ram": ram,
        "accelerator": accelerator,
        "unitCostMicroUSD": micro,
        "unitCostUSD": micro / 1_000_000,
        "unitLabel": "minute",
    }


FLAVORS: list[dict[str, Any]] = [_flavor(*row) for row in _OFFERED]
_PRETTY = {row[0]: row[1] for row in _OFFERED}
_MICRO_USD = {**{row[0]: row[4] for row in _OFFERED}, **_UNLISTED}


def is_offered(hardware: str) -> bool:
    """Whether the Hub accepts this hardware."""
    return hardware in _MICRO_USD


def price_per_minute(hardware: str | None, prices: Mapping[str, float] | None = None) -> int:
    """Price in micro-USD per minute and replica; 0 for free and unknown hardware.

    :param prices: USD per hour of flavors that have another price than the listed one.
    """
    hourly = (prices or {}).get(hardware or "")
    return _MICRO_USD.get(hardware or "", 0) if hourly is None else round(hourly * 1_000_000 / 60)


def price_list(prices: Mapping[str, float]) -> list[dict[str, Any]]:
    """The Hub's list of hardware, with prices.

    :param prices: USD per hour of flavors that have another price than the listed one.
    """
    listed = []
    for flavor in FLAVORS:
        micro = price_per_minute(flavor["name"], prices)
        listed.append({**flavor, "unitCostMicroUSD": micro, "unitCostUSD": micro / 1_000_000})
    return listed


def pretty_name(hardware: str) -> str:
    """The display name of a flavor."""
    return _PRETTY.get(hardware, hardware)
