"""A report on what an owner's Spaces cost, as a page that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseOperator, Context

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.bulk.globs import NameGlobs
    from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceInfo
    from airflow_provider_hfspaces.reports.files import PageFile
    from airflow_provider_hfspaces.reports.history import History
    from airflow_provider_hfspaces.reports.report import CostReport

__all__ = ["SpacesCostReportOperator"]

_MOST_TOLD = 20


class SpacesCostReportOperator(BaseOperator):
    """Write an HTML page on what an owner's Spaces cost: one file, for a phone as for a desk.

    The page shows the total per hour and per month, the Spaces by cost and by hardware, what is on
    and should perhaps not be, what pauses have saved, and the totals of past reports, which the page
    itself remembers: the next run reads them from the page at the same path. All amounts are
    estimates from the Hub's list prices; where the token may read the billing of the owner, what the
    Hub says that it billed stands beside the estimate for the same minutes. Where it may not, the
    page says so.

    The page names private Spaces that the token sees: keep it where only their readers are.

    Returns ``{"path", "at", "owner", "fleet", "findings", "billing", "savings_total",
    "savings_new"}``: the fleet's costs, the Spaces to look at, what the Hub billed (``None`` where
    that could not be read), and the savings in USD that the page counts, in all and newly.
    ``GET /api/spaces``, ``/api/spaces/hardware``, and the billing usage of the owner.

    :param path: the file to write: a local path, or a URL of a storage that Airflow reaches, such as
        ``s3://aws_default@bucket/cost.html``. A local file is replaced as a whole. Templated.
    :param author: the user or organization; by default the connection's namespace, or else the
        token's own user. Templated.
    :param savings: the report of a RestartSpacesOperator, or a list of them. One that the page has
        counted already is not counted again, and none of a dry run. Templated.
    :param include: only Spaces that match one of these patterns, such as ``*-gpu`` or
        ``acme/demo-*``, by its id or its name, in whatever case. Templated.
    :param exclude: no Spaces that match one of these. Templated.
    :param billing: whether to ask for what the Hub billed.
    :param hf_spaces_conn_id: the connection to the Hub. Templated.
    """

    template_fields: Sequence[str] = ("path", "author", "savings", "include", "exclude", "hf_spaces_conn_id")
    ui_color = "#ffd21e"
    ui_fgcolor = "#1f2937"

    def __init__(
        self,
        *,
        path: str,
        author: str | None = None,
        savings: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | None = None,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        billing: bool = True,
        hf_spaces_conn_id: str = "hf_spaces_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.author = author
        self.savings = savings
        self.include = include
        self.exclude = exclude
        self.billing = billing
        self.hf_spaces_conn_id = hf_spaces_conn_id

    @cached_property
    def hook(self) -> HfSpacesHook:
        """The hook of the connection, built once per try."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

        return HfSpacesHook(self.hf_spaces_conn_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at the Spaces and write the page.

        :raises AirflowFailException: for what another try would meet again.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.hub.bulk.globs import NameGlobs
        from airflow_provider_hfspaces.hub.text import printable
        from airflow_provider_hfspaces.rendered import as_list
        from airflow_provider_hfspaces.reports.cost_page import cost_page
        from airflow_provider_hfspaces.reports.files import PageFile
        from airflow_provider_hfspaces.reports.findings import findings
        from airflow_provider_hfspaces.reports.restarts import restarts

        with failing_for_good():
            file, given = PageFile(self.path), restarts(self.savings)
            given_globs = (as_list(self.include), as_list(self.exclude))
            # A template may have left nothing of one.
            selection = NameGlobs.of(*([each for each in globs if each != ""] for globs in given_globs))
            owner = self._owner()
            before = self._history(file, owner)
            report = self._look(owner, selection, before, given.of(owner, self.log))
        found = findings(report)
        file.write(cost_page(report, found))
        fleet = report.fleet
        self.log.info(
            "The Spaces of %s cost $%.2f an hour, $%.2f a month if left so (estimates from list prices):\n%s",
            owner,
            fleet.hourly,
            fleet.monthly,
            fleet.table(),
        )
        for each in found[:_MOST_TOLD]:
            self.log.warning("Look at Space %s.", printable(f"{each.repo_id}: {'; '.join(each.reasons)}"))
        if len(found) > _MOST_TOLD:
            self.log.warning("And at %d more, which the report names.", len(found) - _MOST_TOLD)
        self.log.info("The report is in %s.", self.path)
        return {
            "path": self.path,
            "at": report.at.isoformat(),
            "owner": owner,
            "fleet": fleet.to_dict(),
            "findings": [each.to_dict() for each in found],
            "billing": report.usage.to_dict() if report.usage else None,
            "savings_total": report.history.saved,
            "savings_new": round(report.history.saved - before.saved, 2),
        }

    def _owner(self) -> str:
        from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_owner

        given = (self.author or "").strip() if isinstance(self.author, (str, type(None))) else self.author
        owner = given or self.hook.settings.namespace
        if owner:
            return checked_owner(owner)
        if not self.hook.client.has_token:
            raise InvalidInput(
                f"Whose Spaces? Give author, or a namespace or a token in the connection "
                f"{self.hf_spaces_conn_id!r}."
            )
        return self.hook.whoami().name

    def _history(self, file: PageFile, owner: str) -> History:
        """What the page at this path remembers; a new history where there is none that can be read."""
        from airflow_provider_hfspaces.reports.history import DamagedHistory, History

        page = file.read()
        if page is None:
            self.log.info("There is no report in %s yet: its history begins now.", self.path)
            return History(owner)
        try:
            history = History.of_page(page)
        except DamagedHistory as error:
            self.log.warning("What is in %s is replaced, without a history: %s.", self.path, error)
            return History(owner)
        if history.owner.casefold() != owner.casefold():
            self.log.warning(
                "The report in %s is about %s, not %s: it is replaced, without its history.",
                self.path,
                history.owner,
                owner,
            )
            return History(owner)
        if history.dropped:
            self.log.warning("%d entries in the history of %s could not be read.", history.dropped, self.path)
        return history

    def _look(
        self, owner: str, selection: NameGlobs, before: History, savings: list[dict[str, Any]]
    ) -> CostReport:
        from datetime import datetime, timezone

        from airflow_provider_hfspaces.hub.cost.prices import FleetCost
        from airflow_provider_hfspaces.reports.report import CostReport

        at, prices = datetime.now(timezone.utc), self.hook.price_list()
        spaces = self._spaces(owner, selection.fit)
        if not spaces:
            self.log.warning("%s has no Spaces to report on, or none that the token may see.", owner)
        fleet = FleetCost.of(spaces.values(), prices)
        usage, no_usage = self._usage(owner, prices, spaces, selection.fit)
        return CostReport(
            owner=owner,
            at=at,
            endpoint=self.hook.settings.endpoint,
            spaces=spaces,
            prices=prices,
            fleet=fleet,
            history=before.with_report(at, fleet, savings),
            usage=usage,
            no_usage=no_usage,
            selection=str(selection) or None,
        )

    def _spaces(self, owner: str, wanted: Any) -> dict[str, SpaceInfo]:
        from dataclasses import replace

        expand = ("runtime", "lastModified", "private")
        found = {}
        for space in self.hook.list_spaces(author=owner, expand=expand, page_size=500):
            if not wanted(space.id):
                continue
            runtime = space.runtime
            # The list leaves the sleep time of some Spaces out, which is not the same as none.
            if runtime is not None and runtime.is_billed and "gcTimeout" not in runtime.raw:
                space = replace(space, runtime=self.hook.get_runtime(space.id))
            found[space.id] = space
        return found

    def _usage(
        self, owner: str, prices: PriceList, spaces: Mapping[str, SpaceInfo], wanted: Any
    ) -> tuple[BilledUsage | None, str | None]:
        """What the Hub billed, or why that is not known."""
        from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
        from airflow_provider_hfspaces.hub.errors import HubAuthError, HubError, HubPermissionError

        if not self.billing:
            return None, None
        try:
            me = self.hook.whoami().name
            own = me.casefold() == owner.casefold()
            payload = self.hook.get_billing_usage(organization=None if own else owner)
            names = {str(space.raw.get("_id")): space.id for space in spaces.values()}
            return BilledUsage.of(payload, prices, names=names, wanted=wanted), None
        except (HubAuthError, HubPermissionError) as error:
            why = f"The token may not read the billing of {owner}, so that only estimates are shown."
            self.log.info("%s %s", why, error)
        except HubError as error:
            why = f"The billing of {owner} could not be read: {error}"
            self.log.warning("%s", why)
        return None, why
