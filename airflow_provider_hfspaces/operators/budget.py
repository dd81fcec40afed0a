"""Compare what an owner's Spaces have cost this month with a budget, and act when it is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import NamedBySpace
from airflow_provider_hfspaces.operators.fleet.pause import PauseSpacesOperator
from airflow_provider_hfspaces.operators.fleet.sleep_time import EnforceSleepTimeOperator
from airflow_provider_hfspaces.rendered import as_number, has_template

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.target import Target
    from airflow_provider_hfspaces.state.budgets import KnownSpend

__all__ = ["EnforceBudgetOperator"]

_ACTIONS = ("report", "sleep", "pause")


class EnforceBudgetOperator(NamedBySpace, PauseSpacesOperator, EnforceSleepTimeOperator):
    """Compare what an owner's Spaces have cost this month with a budget, and act when it is spent.

    ::

        EnforceBudgetOperator(task_id="budget", author="acme", monthly_usd=500, action="sleep")

    The amount is what the Hub has billed in the current billing period, if the token may read the billing of
    the owner. Otherwise it is an estimate: the list prices of what runs, added up from one run of this
    operator to the next, so that a run every ten minutes estimates well, and one a day does not. The log, the
    result and every error say which of the two it is.

    With ``action="sleep"`` each billed Space gets a short sleep time, and with ``action="pause"`` it is
    paused, as :class:`~airflow_provider_hfspaces.operators.fleet.EnforceSleepTimeOperator` and
    :class:`~airflow_provider_hfspaces.operators.fleet.PauseSpacesOperator` do it. ``include`` and ``exclude``
    limit which Spaces change; the amount is always that of all Spaces of the owner. Spaces that a run has
    leased are left alone: their run restores the hardware at its end.

    The last amount is recorded in the Airflow Variable ``hf_spaces_budget-`` and the owner. Upgrades with
    ``monthly_budget`` and the page in Airflow's UI read it where they may not read the billing.

    Returns the report of the action, with ``spaces`` empty if nothing had to change, and besides:
    ``{"status", "spent_usd", "monthly_usd", "source", "since", "until", "projected_usd", "spent_at",
    "billing_problem"}``. ``status`` is ``within``, ``warning`` or ``exceeded``, ``source`` is ``billing`` or
    ``estimate``, ``projected_usd`` the amount at the end of the period if nothing changes, and ``spent_at``
    when the budget is spent then, as ISO 8601.

    Endpoints: ``GET /api/spaces``, ``GET /api/spaces/hardware``, the billing usage of the owner, and
    ``POST /api/spaces/{repo_id}/sleeptime`` or ``/pause``.

    :param author: the user or organization. Templated.
    :param monthly_usd: the budget in USD a month. Default: ``[hf_spaces] monthly_budget``. Templated.
    :param action: what to do when the budget is spent: ``"report"`` (default), ``"sleep"`` or ``"pause"``.
        Templated.
    :param warn_at: the part of the budget from which on the log warns and ``status`` is ``warning``, above 0
        and at most 1; ``None`` for never. Default: 0.8. Templated.
    :param max_sleep_time: with ``action="sleep"``, the longest sleep time of a billed Space from then on, in
        seconds. Default: 300. Templated.
    :param fail_when_exceeded: fail the task, without retries, when the budget is spent, after the action.
        Default: False.
    :param billed_only: change only Spaces that are billed now, or as soon as their build is done. Default:
        True.
    :param repo_ids: change exactly these Spaces, instead of the billed ones. Templated.
    :param report_to: with ``action="pause"``, a name under which the paused Spaces are recorded for
        RestartSpacesOperator. Default: no record. Templated.
    """

    template_fields: Sequence[str] = (
        *PauseSpacesOperator.template_fields,
        "max_sleep_time",
        "monthly_usd",
        "action",
        "warn_at",
    )
    space_fields = ("author",)

    def __init__(
        self,
        *,
        author: str,
        monthly_usd: float | str | None = None,
        action: str = "report",
        warn_at: float | str | None = 0.8,
        max_sleep_time: int | str = 300,
        fail_when_exceeded: bool = False,
        billed_only: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(author=author, billed_only=billed_only, max_sleep_time=max_sleep_time, **kwargs)
        self.monthly_usd = monthly_usd
        self.action = action
        self.warn_at = warn_at
        self.fail_when_exceeded = fail_when_exceeded
        self._known: KnownSpend | None = None
        self._budget = 0.0
        self._listed: list[SpaceInfo] | None = None
        self._refuse_bad_values()

    def _refuse_bad_values(self) -> None:
        from airflow_provider_hfspaces.hub.cost.limits import checked_budget

        if not has_template(self.action):
            self._checked_action()
        if not has_template(self.warn_at):
            self._checked_fraction()
        if self.monthly_usd is not None and not has_template(self.monthly_usd):
            checked_budget(as_number(self.monthly_usd), f"monthly_usd of task {self.task_id!r}")

    def _checked_action(self) -> str:
        from airflow_provider_hfspaces.hub.checks import InvalidInput

        if self.action not in _ACTIONS:
            raise InvalidInput(f"action must be one of {', '.join(_ACTIONS)}; got {self.action!r}.")
        return self.action

    def _checked_fraction(self) -> float | None:
        from airflow_provider_hfspaces.hub.checks import InvalidNumber

        value = as_number(self.warn_at)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            raise InvalidNumber(f"warn_at must be a number above 0 and at most 1; got {self.warn_at!r}.")
        return float(value)

    @property
    def _acts_as(self) -> type[PauseSpacesOperator] | type[EnforceSleepTimeOperator]:
        """The operator whose action this one takes."""
        return EnforceSleepTimeOperator if self.action == "sleep" else PauseSpacesOperator

    def check(self) -> None:
        from airflow_provider_hfspaces.compat.config import monthly_budget
        from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_owner
        from airflow_provider_hfspaces.hub.cost.limits import checked_budget

        super().check()
        self._checked_action()
        self.verb, self.done, self.column = self._acts_as.verb, self._acts_as.done, self._acts_as.column
        self._checked_fraction()
        owner = checked_owner(self.author or "")
        budget = as_number(self.monthly_usd)
        if budget is None:
            budget = monthly_budget(owner)
        if budget is None:
            raise InvalidInput(
                f"monthly_usd of task {self.task_id!r} is missing. Set it, or [hf_spaces] monthly_budget, to "
                f"the USD that {owner} may spend on Spaces a month."
            )
        self._budget = checked_budget(budget, "monthly_usd")

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare the amount with the budget, act if it is spent, and return the report.

        :raises AirflowFailException: for errors that a retry cannot fix, and with ``fail_when_exceeded``.
        :raises FleetIncomplete: if Spaces failed and a retry may succeed.
        """
        self._known = self._listed = None
        report = super().execute(context)
        if self.fail_when_exceeded and report["status"] == "exceeded":
            self.push_report(context, report)
            raise AirflowFailException(self._sentence())
        return report

    def listed(self) -> list[SpaceInfo]:
        if self._listed is None:
            self._listed = super().listed()
        return self._listed

    def targets(self, unselected: dict[str, SpaceRuntime]) -> list[Target]:
        self._measure()
        if self._status != "exceeded" or self.action == "report":
            return []
        return super().targets(unselected)

    def _measure(self) -> None:
        from airflow_provider_hfspaces.hub.cost.prices import FleetCost
        from airflow_provider_hfspaces.hub.errors import HubError
        from airflow_provider_hfspaces.state.budgets import measure_spend

        hourly, unread = None, None
        try:
            prices = self.hook.price_list()
            hourly = FleetCost.from_spaces(self.listed(), prices).hourly
        except HubError as error:
            unread = error
        self._known = measure_spend(self.hook, str(self.author), hourly, self._budget)
        if unread is not None and self._known.problem:
            raise unread
        if self._known.problem:
            self.log.info("%s The amount is an estimate.", self._known.problem)
        write = self.log.info if self._status == "within" else self.log.warning
        write("%s", self._sentence())

    @property
    def _status(self) -> str:
        from airflow_provider_hfspaces.hub.cost.limits import budget_status

        return budget_status(self._spend.usd, self._budget, self._checked_fraction())

    @property
    def _spend(self) -> Any:
        assert self._known is not None
        assert self._known.spend is not None
        return self._known.spend

    def _sentence(self) -> str:
        spend, share = self._spend, self._spend.usd / self._budget
        text = (
            f"{self.author} has spent ${spend.usd:,.2f} on Spaces this month, {share:.0%} of the budget of "
            f"${self._budget:,.2f} ({spend.in_words()})."
        )
        if self._status == "exceeded":
            return f"{text} The budget is spent. Pause Spaces, or raise monthly_usd."
        ends = spend.spent_at(self._budget)
        if ends is not None:
            return f"{text} At ${spend.hourly:,.2f} an hour it is spent on {ends:%Y-%m-%d %H:%M} UTC."
        return text

    def prices(self, targets: Sequence[Target]) -> PriceList | None:
        return self.known_prices()

    # What changes a Space is decided by the operator of that action.

    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        return self._acts_as.reason_to_leave(self, target, runtime)

    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        return self._acts_as.is_done(self, target, runtime)

    def call(self, target: Target) -> Call[SpaceRuntime]:
        return self._acts_as.call(self, target)

    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        return self._acts_as.describe(self, target, prices)

    def before_requests(self, targets: Sequence[Target]) -> None:
        self._acts_as.before_requests(self, targets)

    def after_requests(self, targets: Sequence[Target]) -> None:
        self._acts_as.after_requests(self, targets)

    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        assert self._known is not None
        spend = self._spend
        ends = spend.spent_at(self._budget)
        return {
            **(self._acts_as.totals(self, entries, outcome) if self.action != "report" else {}),
            "status": self._status,
            "spent_usd": spend.usd,
            "monthly_usd": self._budget,
            "source": spend.source,
            "since": spend.since.isoformat(timespec="seconds"),
            "until": spend.until.isoformat(timespec="seconds"),
            "projected_usd": spend.projected,
            "spent_at": ends.isoformat(timespec="seconds") if ends else None,
            "billing_problem": self._known.problem,
        }

    def headline(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> str:
        if not entries:
            return "No Space was changed."
        return self._acts_as.headline(self, entries, outcome)
