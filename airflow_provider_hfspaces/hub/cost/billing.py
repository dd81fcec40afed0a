"""BilledUsage: what the Hub billed for Spaces, compared with list prices for the billed minutes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.errors import HubProtocolError

__all__ = ["BilledSpace", "BilledUsage"]

_PRODUCT = re.compile(r"spaces/(?!storage-)([^/]+)/minutes")


@dataclass(frozen=True)
class BilledSpace:
    """What the Hub billed for one Space on one flavor in a billing period.

    :ivar repo_id: the Space, or the Hub's internal id if the Hub gives no name.
    :ivar hardware: the flavor.
    :ivar minutes: billed minutes of all replicas together.
    :ivar usd: USD that the Hub billed for these minutes.
    :ivar estimate: USD for these minutes at list prices; ``None`` if the Hub lists no price.
    :ivar active_minutes: minutes of the usage that is still running; ``None`` if no usage is running.
    """

    repo_id: str
    hardware: str
    minutes: float
    usd: float
    estimate: float | None
    active_minutes: float | None = None

    @property
    def difference(self) -> float | None:
        """USD that the Hub billed beyond the estimate, negative if less; ``None`` without an estimate."""
        return None if self.estimate is None else round(self.usd - self.estimate, 6)

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "repo_id": self.repo_id,
            "hardware": self.hardware,
            "minutes": self.minutes,
            "billed": self.usd,
            "estimate": self.estimate,
            "difference": self.difference,
        }


@dataclass(frozen=True)
class BilledUsage:
    """The usage of Spaces in ``GET /api/settings/billing/usage``, or in the usage of an organization.

    ::

        prices = PriceList.from_flavors(client.send(calls.list_hardware()))
        usage = BilledUsage.from_payload(client.send(calls.get_billing_usage()), prices)
        print(usage.usd, usage.estimate, usage.difference)

    :ivar spaces: the billed Spaces, the most expensive first.
    :ivar period_start: start of the billing period, as ISO 8601; ``None`` if the Hub does not say.
    :ivar period_end: end of the billing period, as ISO 8601; ``None`` if the Hub does not say.
    :ivar other: USD for products other than minutes, such as a retired storage tier.
    """

    spaces: tuple[BilledSpace, ...]
    period_start: str | None = None
    period_end: str | None = None
    other: float = 0.0

    @classmethod
    def from_payload(
        cls,
        payload: Mapping[str, Any],
        prices: PriceList,
        *,
        names: Mapping[str, str] | None = None,
        wanted: Callable[[str], bool] = lambda repo_id: True,
    ) -> BilledUsage:
        """Return the usage in the Hub's answer.

        :param prices: the price list for the estimates.
        :param names: the current name of each Space by the Hub's internal id, which survives a rename.
        :param wanted: returns True for the Spaces to include; by default all.
        :raises HubProtocolError: if the answer cannot be read.
        """
        try:
            return cls._read(payload, prices, names or {}, wanted)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise HubProtocolError(
                f"The Hub's billing usage cannot be read: {error!r:.200}. Check whether a newer version of "
                f"this package can read it."
            ) from error

    @classmethod
    def _read(
        cls,
        payload: Mapping[str, Any],
        prices: PriceList,
        names: Mapping[str, str],
        wanted: Callable[[str], bool],
    ) -> BilledUsage:
        times: dict[tuple[str, str], list[tuple[float, float, bool]]] = {}
        other = 0.0
        for item in payload["usage"].get("Spaces") or ():
            entity = str(item.get("entityId") or "")
            repo_id = names.get(entity) or str(item.get("label") or entity or "unknown")
            if not wanted(repo_id):
                continue
            micro = float(item["totalCostMicroUSD"])
            minutes_of = _PRODUCT.fullmatch(str(item["product"]))
            if minutes_of is None:
                other += micro / 1_000_000
                continue
            time = (float(item["quantity"]), micro, bool(item.get("active")))
            times.setdefault((repo_id, minutes_of[1]), []).append(time)
        spaces = []
        for (repo_id, hardware), each in times.items():
            minutes = math.fsum(time[0] for time in each)
            active = [time[0] for time in each if time[2]]
            spaces.append(
                BilledSpace(
                    repo_id=repo_id,
                    hardware=hardware,
                    minutes=minutes,
                    usd=round(math.fsum(time[1] for time in each) / 1_000_000, 6),
                    estimate=prices.of_minutes(hardware, minutes),
                    active_minutes=max(active) if active else None,
                )
            )
        period = payload.get("period") or {}
        return cls(
            tuple(sorted(spaces, key=lambda space: (-space.usd, space.repo_id, space.hardware))),
            period.get("periodStart"),
            period.get("periodEnd"),
            round(other, 6),
        )

    @property
    def usd(self) -> float:
        """USD that the Hub billed for the minutes of all these Spaces."""
        return round(math.fsum(each.usd for each in self.spaces), 6)

    @property
    def estimate(self) -> float | None:
        """USD for these minutes at list prices; ``None`` if a price is missing."""
        known = [each.estimate for each in self.spaces if each.estimate is not None]
        return round(math.fsum(known), 6) if len(known) == len(self.spaces) else None

    @property
    def difference(self) -> float | None:
        """USD that the Hub billed beyond the estimate; ``None`` if a price is missing."""
        return None if self.estimate is None else round(self.usd - self.estimate, 6)

    def active(self, repo_id: str) -> BilledSpace | None:
        """Return the entry of a Space whose usage is still running; ``None`` without running usage."""
        return next((x for x in self.spaces if x.repo_id == repo_id and x.active_minutes is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        return {
            "billed": self.usd,
            "estimate": self.estimate,
            "difference": self.difference,
            "other": self.other,
            "period_start": self.period_start,
            "period_end": self.period_end,
            "spaces": [each.to_dict() for each in self.spaces],
        }
