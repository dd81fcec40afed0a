"""Report what an owner's Spaces cost, as an HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import BaseOperator, Context
from airflow_provider_hfspaces.operators.base import HubTask
from airflow_provider_hfspaces.rendered import as_list

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_provider_hfspaces.hub.bulk.globs import NameGlobs
    from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceInfo
    from airflow_provider_hfspaces.reports.cost_report import CostReport
    from airflow_provider_hfspaces.reports.files import PageFile
    from airflow_provider_hfspaces.reports.findings import Finding
    from airflow_provider_hfspaces.reports.history import History
    from airflow_provider_hfspaces.state.run_costs import DailyCost

__all__ = ["SpacesCostReportOperator"]

_MAX_LOGGED_FINDINGS = 20


class SpacesCostReportOperator(HubTask, BaseOperator):
    """Write an HTML page that shows what an owner's Spaces cost: one file, for phones and desktops.

    The page shows the total per hour and per month, the cost of each Space and each kind of hardware,
    Spaces that look forgotten, what pauses have saved, and the totals of past reports. The
    page stores this history itself: the next run reads it from the file at the same path. Spaces that
    are building on paid hardware are counted with what they cost when the build is done.

    All amounts are estimates from the Hub's list prices. If the token may read the billing of the owner,
    the page also shows what the Hub billed, next to the estimate for the same minutes.

    The page also shows what the runs of this Airflow cost on the owner's Spaces in the last sixty days, by
    day and by DAG: hardware windows, copies, and batches outside of them.

    The page names the private Spaces that the token can see. A new local file is therefore readable by
    its owner only; set ``mode`` to let a web server's group read it.

    .. code-block:: python

        SpacesCostReportOperator(
            task_id="report",
            author="acme",
            path="s3://aws_default@acme-reports/spaces.html",
        )

    Returns ``{"path", "at", "owner", "fleet", "findings", "billing", "savings_total", "savings_new",
    "runs"}``: the costs of the fleet, the Spaces to look at, the billed usage (``None`` if it could not be
    read), the savings in USD that the page counts, in total and since the last report, and for each DAG what
    its runs cost.

    Endpoints: ``GET /api/spaces``, ``GET /api/spaces/hardware``, and the billing usage of the owner.

    :param path: the file to write: a local path, or a URL of a storage that Airflow reaches, such as
        ``s3://aws_default@bucket/cost.html``. A local file is replaced as a whole. Templated.
    :param author: a user or organization. Default: the connection's namespace, otherwise the user of
        the token. Templated.
    :param savings: the report of a RestartSpacesOperator, or a list of such reports. A report that the
        page already counts, or one of a dry run, is not counted. Templated.
    :param include: only Spaces whose id or name matches one of these globs, such as ``*-gpu`` or
        ``acme/demo-*``, case-insensitively. Templated.
    :param exclude: no Spaces that match one of these globs. Templated.
    :param billing: read what the Hub billed. Default: True.
    :param mode: permissions of a local file, such as ``0o640`` or ``"640"``. Default: ``0o600`` for a
        new file; an existing file of the worker's user keeps its permissions.
    :param allow_empty: write a page for an owner without Spaces. Default: False, so that a misspelt
        or renamed owner fails the task.
    :param hf_spaces_conn_id: the connection to the Hub. Default: ``hf_spaces_default``. Templated.
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
        mode: int | str | None = None,
        allow_empty: bool = False,
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
        self.mode = mode
        self.allow_empty = allow_empty
        self.hf_spaces_conn_id = hf_spaces_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read the Spaces and write the page.

        :raises AirflowFailException: for errors that a retry cannot fix.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.hub.bulk.globs import NameGlobs
        from airflow_provider_hfspaces.reports.cost_page import cost_page
        from airflow_provider_hfspaces.reports.files import PageFile, checked_mode
        from airflow_provider_hfspaces.reports.findings import findings
        from airflow_provider_hfspaces.reports.restarts import restarts
        from airflow_provider_hfspaces.reports.run_sections import sums_by_dag

        with failing_for_good():
            file, reports = PageFile(self.path, checked_mode(self.mode)), restarts(self.savings)
            globs = (as_list(self.include), as_list(self.exclude))
            # A template may render one of several globs as an empty string.
            selection = NameGlobs.from_options(*([each for each in some if each != ""] for some in globs))
            owner = self._owner()
            before = self._history(file, owner)
            report = self._report(owner, selection, before, reports.savings_of(owner, self.log))
            to_look_at = findings(report)
            file.write(cost_page(report, to_look_at))
        self._log_report(report, to_look_at)
        return {
            "path": self.path,
            "at": report.at.isoformat(),
            "owner": owner,
            "fleet": report.fleet.to_dict(),
            "findings": [each.to_dict() for each in to_look_at],
            "billing": report.usage.to_dict() if report.usage else None,
            "savings_total": report.history.saved,
            "savings_new": round(report.history.saved - before.saved, 2),
            "runs": None if report.runs is None else sums_by_dag(report.runs),
        }

    def _log_report(self, report: CostReport, findings: Sequence[Finding]) -> None:
        from airflow_provider_hfspaces.hub.text import printable

        fleet = report.fleet
        self.log.info(
            "The Spaces of %s cost %s, $%s a month if nothing changes (estimates from list prices):\n%s",
            report.owner,
            fleet.in_words(),
            f"{fleet.monthly:,.2f}",
            fleet.table(),
        )
        for each in findings[:_MAX_LOGGED_FINDINGS]:
            reasons = printable("; ".join(each.reasons))
            self.log.warning("Space %s looks forgotten: %s.", printable(each.repo_id), reasons)
        if len(findings) > _MAX_LOGGED_FINDINGS:
            more = len(findings) - _MAX_LOGGED_FINDINGS
            self.log.warning("%d more Spaces look forgotten: see the report.", more)
        self.log.info("Wrote the report to %s.", self.path)

    def _owner(self) -> str:
        from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_owner

        author = (self.author or "").strip() if isinstance(self.author, (str, type(None))) else self.author
        owner = author or self.hook.settings.namespace
        if owner:
            return checked_owner(owner)
        if not self.hook.client.has_token:
            raise InvalidInput(
                f"author is missing, and the connection {self.hf_spaces_conn_id!r} has neither a namespace "
                f"nor a token. Set author to a user or an organization."
            )
        return self.hook.whoami().name

    def _history(self, file: PageFile, owner: str) -> History:
        """The history that the page at this path stores; a new one if it stores none."""
        from airflow_provider_hfspaces.reports.history import DamagedHistory, History

        page = file.read()
        if page is None:
            self.log.info("%s does not exist yet: a new history begins.", self.path)
            return History(owner)
        try:
            history = History.from_page(page)
        except DamagedHistory as error:
            self.log.warning("%s is replaced, and a new history begins: %s.", self.path, error)
            return History(owner)
        if history.owner.casefold() != owner.casefold():
            self.log.warning(
                "%s is replaced, and a new history begins: it is a report about %s, not %s.",
                self.path,
                history.owner,
                owner,
            )
            return History(owner)
        if history.dropped:
            self.log.warning(
                "%s: %d entries of its history cannot be read and are dropped.", self.path, history.dropped
            )
        return history

    def _report(
        self, owner: str, selection: NameGlobs, before: History, savings: list[dict[str, Any]]
    ) -> CostReport:
        from datetime import datetime, timezone

        from airflow_provider_hfspaces.hub.cost.prices import FleetCost
        from airflow_provider_hfspaces.reports.cost_report import CostReport

        at, prices = datetime.now(timezone.utc), self.hook.price_list()
        spaces = self._spaces(owner, selection)
        if not spaces:
            self.log.warning("No Space of %s is selected, so the report has no costs.", owner)
        fleet = FleetCost.from_spaces(spaces.values(), prices)
        usage, no_usage = self._usage(owner, prices, spaces, selection)
        runs = self._runs(owner, at)
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
            runs=runs,
        )

    def _runs(self, owner: str, at: datetime) -> tuple[DailyCost, ...] | None:
        """What the runs of this Airflow cost on the owner's Spaces; ``None`` if Airflow does not answer."""
        from datetime import timedelta

        from airflow_provider_hfspaces.reports.run_sections import RUN_DAYS
        from airflow_provider_hfspaces.state.run_costs import run_costs

        try:
            return run_costs(owner, since=(at - timedelta(days=RUN_DAYS - 1)).date(), until=at.date())
        except Exception as error:
            self.log.warning("What the runs of this Airflow cost could not be read: %s", error)
            return None

    def _spaces(self, owner: str, selection: NameGlobs) -> dict[str, SpaceInfo]:
        from dataclasses import replace

        from airflow_provider_hfspaces.hub.bulk.lookup import PAGE_SPACES
        from airflow_provider_hfspaces.hub.bulk.selection import owned_spaces

        expand = ("runtime", "lastModified", "private")
        listed = list(self.hook.list_spaces(author=owner, expand=expand, page_size=PAGE_SPACES))
        spaces = {}
        for space in owned_spaces(owner, listed, allow_empty=self.allow_empty):
            if not selection.matches(space.id):
                continue
            if _lacks_sleep_time(space):
                space = replace(space, runtime=self.hook.get_runtime(space.id))
            spaces[space.id] = space
        return spaces

    def _usage(
        self, owner: str, prices: PriceList, spaces: Mapping[str, SpaceInfo], selection: NameGlobs
    ) -> tuple[BilledUsage | None, str | None]:
        """The billed usage, or the reason why it cannot be shown."""
        from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
        from airflow_provider_hfspaces.hub.errors import HubAuthError, HubError, HubPermissionError

        if not self.billing:
            return None, None
        try:
            me = self.hook.whoami().name
            own = me.casefold() == owner.casefold()
            payload = self.hook.get_billing_usage(organization=None if own else owner)
            names = {str(space.raw.get("_id")): space.id for space in spaces.values()}
            return BilledUsage.from_payload(payload, prices, names=names, wanted=selection.matches), None
        except (HubAuthError, HubPermissionError) as error:
            reason = f"The token may not read the billing of {owner}, so only estimates are shown."
            self.log.info("%s %s", reason, error)
        except HubError as error:
            reason = f"The billing of {owner} could not be read: {error}"
            self.log.warning("%s", reason)
        return None, reason


def _lacks_sleep_time(space: SpaceInfo) -> bool:
    """Whether a list leaves out the sleep time of a Space that is or will be billed.

    A missing sleep time in a list does not mean that the Space never sleeps.
    """
    from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
    from airflow_provider_hfspaces.hub.stages import WILL_BE_BILLED_STAGES

    runtime = space.runtime
    return (
        runtime is not None
        and runtime.stage in WILL_BE_BILLED_STAGES
        and runtime.configured_hardware not in (None, *FREE_HARDWARE)
        and "gcTimeout" not in runtime.raw
    )
