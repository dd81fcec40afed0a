"""MonthSpend: what an owner has spent on Spaces in the current month.

Come here to change where the amount comes from: the Hub's billing, or an estimate from the list prices of the
Spaces that run at each check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_hfspaces.hub import calls
from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
from airflow_provider_hfspaces.hub.cost.prices import PriceList
from airflow_provider_hfspaces.hub.errors import HubError, HubPermissionError, HubProtocolError
from airflow_provider_hfspaces.hub.http.sequence import Steps

__all__ = ["BILLING", "ESTIMATE", "MonthSpend", "month_of", "read_billing"]

BILLING, ESTIMATE = "billing", "estimate"
"""The sources of an amount: the Hub's billing, or an estimate from list prices."""

_REFUSED = frozenset({403, 404})
"""Statuses with which the Hub refuses the billing of an organization."""

_LONGEST_GAP = timedelta(days=7)
"""Age of the last check in an earlier month up to which the estimate of the new month continues from it."""

_CLOCK_SKEW = timedelta(hours=1)
"""Longest difference between the clocks of two hosts."""


def read_billing(owner: str, *, is_user: bool | None = None) -> Steps[dict[str, Any]]:
    """The steps that read the billing usage of a user or an organization.

    Endpoints: ``GET /api/organizations/{owner}/billing/usage``, and if the Hub answers 403 or 404,
    ``GET /api/settings/billing/usage``, which is used if it belongs to this owner.

    :param is_user: True if the owner is the user of the token, False if it is an organization: this saves one
        of the requests. By default both are tried.
    :raises HubPermissionError: if the token may not read the billing of this owner.
    :raises HubError: if the Hub rejects a request or does not answer.
    """
    refused: HubError | None = None
    if not is_user:
        try:
            payload: dict[str, Any] = yield calls.get_billing_usage(organization=owner)
            return payload
        except HubError as error:
            if is_user is False or error.status not in _REFUSED:
                raise
            refused = error
    payload = yield calls.get_billing_usage()
    name = _period(payload).get("entityName")
    if isinstance(name, str) and name.casefold() == owner.casefold():
        return payload
    raise refused or HubPermissionError(
        f"Owner {owner!r}: the token belongs to {name!r} and cannot read the billing of this owner. Use a "
        f"token of {owner!r}."
    )


def _period(payload: Any) -> Mapping[str, Any]:
    period = payload.get("period") if isinstance(payload, Mapping) else None
    return period if isinstance(period, Mapping) else {}


@dataclass(frozen=True)
class MonthSpend:
    """What an owner has spent on Spaces in the current month or billing period.

    :ivar owner: user or organization.
    :ivar usd: USD spent since :attr:`since`.
    :ivar source: ``billing`` or ``estimate``.
    :ivar since: beginning of the period, in UTC. An estimate begins at the first check in the period.
    :ivar until: end of the period, in UTC.
    :ivar as_of: when the amount was read, in UTC.
    :ivar hourly: USD per hour that the Spaces cost at :attr:`as_of`; ``None`` if no price is known.
    """

    owner: str
    usd: float
    source: str
    since: datetime
    until: datetime
    as_of: datetime
    hourly: float | None = None

    @classmethod
    def from_billing(cls, owner: str, payload: Any, hourly: float | None, now: datetime) -> MonthSpend:
        """Return the amount that the Hub has billed.

        :param payload: the Hub's answer, from :func:`read_billing`.
        :param hourly: USD per hour that the Spaces cost now; ``None`` if no price is known.
        :param now: the current time, in UTC.
        :raises HubProtocolError: if the answer cannot be read, or its period has ended.
        """
        usage = BilledUsage.from_payload(payload, PriceList.from_flavors(()))
        start, end = month_of(now)
        until = _moment(usage.period_end, end)
        if until <= now:
            raise HubProtocolError(
                f"Owner {owner!r}: the Hub reports the billing until {until:%Y-%m-%d}, and not yet that of "
                f"the current period. Try again later."
            )
        return cls(
            owner=owner,
            usd=round(usage.usd + usage.other, 6),
            source=BILLING,
            since=_moment(usage.period_start, start),
            until=until,
            as_of=now,
            hourly=hourly,
        )

    @classmethod
    def estimated(cls, owner: str, earlier: MonthSpend | None, hourly: float, now: datetime) -> MonthSpend:
        """Return the amount of the last check plus the cost since then, at the mean of both hourly costs.

        Without a check in this month or in the week before this one, the estimate begins at 0. It misses
        Spaces that ran only between two checks.

        :param earlier: the amount at the last check, from either source; ``None`` without one.
        :param hourly: USD per hour that the Spaces cost now.
        :param now: the current time, in UTC.
        """
        start, end = month_of(now)
        is_new = earlier is not None and earlier.until <= now
        if (
            earlier is None
            or earlier.as_of - now > _CLOCK_SKEW
            or (is_new and now - earlier.as_of > _LONGEST_GAP)
        ):
            return cls(owner, 0.0, ESTIMATE, now, end, now, hourly)
        # The clock of the host of the last check may be ahead: keep its amount, and add no time.
        now = max(now, earlier.as_of)
        if is_new:
            # The last check was in an earlier period: only the time since the beginning of the month counts.
            begin = max(start, earlier.as_of)
            usd, since = 0.0, begin
        else:
            usd, since, begin, end = earlier.usd, earlier.since, earlier.as_of, earlier.until
        mean = hourly if earlier.hourly is None else (earlier.hourly + hourly) / 2
        usd += mean * (now - begin).total_seconds() / 3600
        return cls(owner, round(usd, 6), ESTIMATE, since, end, now, hourly)

    @property
    def projected(self) -> float | None:
        """USD at the end of the period if nothing changes; ``None`` if no price is known."""
        if self.hourly is None:
            return None
        hours = max((self.until - self.as_of).total_seconds(), 0.0) / 3600
        return round(self.usd + self.hourly * hours, 2)

    def spent_at(self, budget: float) -> datetime | None:
        """Return when a budget will be spent if nothing changes; ``None`` if it lasts for the whole period.

        :param budget: USD.
        """
        if self.usd >= budget:
            return self.as_of
        if not self.hourly or (self.projected or 0.0) < budget:
            return None
        return self.as_of + timedelta(hours=(budget - self.usd) / self.hourly)

    def in_words(self) -> str:
        """Return the source of the amount in words, for logs and errors."""
        since = f"{self.since:%Y-%m-%d}"
        if self.source == BILLING:
            return f"the Hub's billing since {since}"
        return f"estimate from list prices since {self.since:%Y-%m-%d %H:%M} UTC"

    def to_dict(self) -> dict[str, Any]:
        """Return this object as plain JSON."""
        moments = {name: getattr(self, name).isoformat() for name in ("since", "until", "as_of")}
        return {**asdict(self), **moments}

    @classmethod
    def from_dict(cls, payload: Any) -> MonthSpend | None:
        """Return the amount from its :meth:`to_dict`; ``None`` for anything else."""
        try:
            moments = {name: _utc(payload[name]) for name in ("since", "until", "as_of")}
            hourly = payload["hourly"]
            return cls(
                owner=str(payload["owner"]),
                usd=_amount(payload["usd"]),
                source=BILLING if payload["source"] == BILLING else ESTIMATE,
                hourly=None if hourly is None else _amount(hourly),
                **moments,
            )
        except (TypeError, KeyError, ValueError, AttributeError):
            return None


def month_of(now: datetime) -> tuple[datetime, datetime]:
    """Return the beginning of the month and the beginning of the next month, in UTC."""
    start = now.astimezone(timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _moment(text: str | None, default: datetime) -> datetime:
    try:
        return default if text is None else _utc(text)
    except (TypeError, ValueError) as error:
        raise HubProtocolError(f"The Hub's billing period cannot be read: {error!r:.200}.") from error


def _amount(value: Any) -> float:
    """Return an amount in USD.

    :raises ValueError: for NaN and infinity, which cannot be compared with a budget.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not an amount")
    return number


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
