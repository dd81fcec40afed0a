"""What an owner has spent on Spaces in the current month, and how that compares with a budget.

Come here to change where the amount comes from: the Hub's billing, or an estimate that adds up list prices
from look to look.
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
"""Where an amount comes from: the Hub's billing, or list prices."""

_REFUSED = frozenset({403, 404})

_LONGEST_GAP = timedelta(days=7)
"""How old a look may be at most to say what the beginning of a month cost."""

_CLOCK_SKEW = timedelta(hours=1)
"""How far the clocks of two hosts may be apart."""


def read_billing(owner: str, *, is_user: bool | None = None) -> Steps[dict[str, Any]]:
    """The billing usage of an owner.

    Endpoints: ``GET /api/organizations/{owner}/billing/usage``. If the Hub knows no organization of that name
    or shows it to nobody, ``GET /api/settings/billing/usage``, which counts if it is about this owner.

    :param is_user: whether the owner is the user of the token, if that is known: one request then.
    :raises HubPermissionError: if the token may not read the billing of this owner.
    :raises HubError: if the Hub does not answer.
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
    raise refused or HubPermissionError(f"The token belongs to {name}, whose billing is not that of {owner}.")


def _period(payload: Any) -> Mapping[str, Any]:
    period = payload.get("period") if isinstance(payload, Mapping) else None
    return period if isinstance(period, Mapping) else {}


@dataclass(frozen=True)
class MonthSpend:
    """What an owner has spent on Spaces in the current month, or billing period.

    :ivar usd: USD spent since :attr:`since`.
    :ivar source: ``billing`` or ``estimate``.
    :ivar since: the beginning of the period; of an estimate, the first look at the Spaces in it.
    :ivar until: the end of the period.
    :ivar as_of: when the amount was read.
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
        """The amount that the Hub has billed.

        :param payload: the Hub's answer, from :func:`read_billing`.
        :param hourly: USD per hour that the Spaces cost now; ``None`` if it is not known.
        :raises HubProtocolError: if the answer cannot be read, or is about a period that has ended.
        """
        usage = BilledUsage.from_payload(payload, PriceList.from_flavors(()))
        start, end = month_of(now)
        until = _moment(usage.period_end, end)
        if until <= now:
            raise HubProtocolError(
                f"The Hub reports the billing of {owner} until {until:%Y-%m-%d}, and not yet that of the "
                f"present period."
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
        """The amount since an earlier look, at the mean of the prices then and now.

        Without an earlier look in this month or the week before it, the estimate begins at 0. What ran only
        between two looks, and so was never seen, is not in it.

        :param earlier: the amount at the last look, of either source.
        :param hourly: USD per hour that the Spaces cost now.
        """
        start, end = month_of(now)
        is_new = earlier is not None and earlier.until <= now
        if (
            earlier is None
            or earlier.as_of - now > _CLOCK_SKEW
            or (is_new and now - earlier.as_of > _LONGEST_GAP)
        ):
            return cls(owner, 0.0, ESTIMATE, now, end, now, hourly)
        # The clock of the host that looked last may be ahead: its amount stays, and no time is added.
        now = max(now, earlier.as_of)
        if is_new:
            # The last look was in an earlier period: only the time since the beginning of the month counts.
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
        """When a budget is spent if nothing changes; ``None`` if that is not before the end of the period."""
        if self.usd >= budget:
            return self.as_of
        if not self.hourly or (self.projected or 0.0) < budget:
            return None
        return self.as_of + timedelta(hours=(budget - self.usd) / self.hourly)

    def in_words(self) -> str:
        """The source of the amount, for logs and errors."""
        since = f"{self.since:%Y-%m-%d}"
        if self.source == BILLING:
            return f"the Hub's billing since {since}"
        return f"estimate from list prices since {self.since:%Y-%m-%d %H:%M} UTC"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON."""
        moments = {name: getattr(self, name).isoformat() for name in ("since", "until", "as_of")}
        return {**asdict(self), **moments}

    @classmethod
    def from_dict(cls, payload: Any) -> MonthSpend | None:
        """Read :meth:`to_dict`; ``None`` for anything else."""
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
    """The beginning of the month and that of the next one, in UTC."""
    start = now.astimezone(timezone.utc).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return start, start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)


def _moment(text: str | None, default: datetime) -> datetime:
    try:
        return default if text is None else _utc(text)
    except (TypeError, ValueError) as error:
        raise HubProtocolError(f"The Hub's billing period cannot be read: {error!r:.200}.") from error


def _amount(value: Any) -> float:
    """An amount in USD.

    :raises ValueError: for a number that no budget could be compared with.
    """
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not an amount")
    return number


def _utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)
