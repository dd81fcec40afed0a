"""CostReporting, the work of SpacesCostReportOperator: collect the data of a report, and write its page.

Only a running task imports this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.hub.bulk.globs import NameGlobs
from airflow_provider_hfspaces.hub.bulk.lookup import PAGE_SPACES
from airflow_provider_hfspaces.hub.bulk.selection import owned_spaces
from airflow_provider_hfspaces.hub.checks import InvalidInput, checked_owner
from airflow_provider_hfspaces.hub.cost.billing import BilledUsage
from airflow_provider_hfspaces.hub.cost.prices import FleetCost
from airflow_provider_hfspaces.hub.errors import HubAuthError, HubError, HubPermissionError
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE
from airflow_provider_hfspaces.hub.stages import WILL_BE_BILLED_STAGES
from airflow_provider_hfspaces.hub.text import printable
from airflow_provider_hfspaces.rendered import as_list
from airflow_provider_hfspaces.reports.cost_page import cost_page
from airflow_provider_hfspaces.reports.cost_report import CostReport
from airflow_provider_hfspaces.reports.files import PageFile, checked_mode
from airflow_provider_hfspaces.reports.findings import findings
from airflow_provider_hfspaces.reports.history import DamagedHistory, History
from airflow_provider_hfspaces.reports.restarts import restarts
from airflow_provider_hfspaces.reports.run_sections import RUN_DAYS, sums_by_dag
from airflow_provider_hfspaces.state.run_costs import run_costs

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceInfo
    from airflow_provider_hfspaces.operators.cost import SpacesCostReportOperator
    from airflow_provider_hfspaces.reports.findings import Finding
    from airflow_provider_hfspaces.state.run_costs import DailyCost

__all__ = ["CostReporting"]

_MAX_LOGGED_FINDINGS = 20


class CostReporting:
    """Collects the data of a cost report, and writes its page.

    :param task: the operator.
    """

    def __init__(self, task: SpacesCostReportOperator) -> None:
        self._task = task

    def write(self) -> dict[str, Any]:
        """Write the page and return the task's result.

        :raises InvalidInput: for an argument that is not valid.
        :raises HubError: if the Spaces cannot be read.
        """
        file, reports = PageFile(self._task.path, checked_mode(self._task.mode)), restarts(self._task.savings)
        globs = (as_list(self._task.include), as_list(self._task.exclude))
        # A template may render one of several globs as an empty string.
        selection = NameGlobs.from_options(*([each for each in some if each != ""] for some in globs))
        owner = self._owner()
        before = self._history(file, owner)
        report = self._report(owner, selection, before, reports.savings_of(owner, self._task.log))
        to_look_at = findings(report)
        file.write(cost_page(report, to_look_at))
        self._log_report(report, to_look_at)
        return {
            "path": self._task.path,
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

        fleet = report.fleet
        self._task.log.info(
            "The Spaces of %s cost %s, $%s a month if nothing changes (estimates from list prices):\n%s",
            report.owner,
            fleet.in_words(),
            f"{fleet.monthly:,.2f}",
            fleet.table(),
        )
        for each in findings[:_MAX_LOGGED_FINDINGS]:
            reasons = printable("; ".join(each.reasons))
            self._task.log.warning("Space %s looks forgotten: %s.", printable(each.repo_id), reasons)
        if len(findings) > _MAX_LOGGED_FINDINGS:
            more = len(findings) - _MAX_LOGGED_FINDINGS
            self._task.log.warning("%d more Spaces look forgotten: see the report.", more)
        self._task.log.info("Wrote the report to %s.", self._task.path)

    def _owner(self) -> str:

        author = (
            (self._task.author or "").strip()
            if isinstance(self._task.author, (str, type(None)))
            else self._task.author
        )
        owner = author or self._task.hook.settings.namespace
        if owner:
            return checked_owner(owner)
        if not self._task.hook.client.has_token:
            raise InvalidInput(
                f"author is missing, and the connection {self._task.hf_spaces_conn_id!r} has neither a "
                f"namespace nor a token. Set author to a user or an organization."
            )
        return self._task.hook.whoami().name

    def _history(self, file: PageFile, owner: str) -> History:
        """The history that the page at this path stores; a new one if it stores none."""

        page = file.read()
        if page is None:
            self._task.log.info("%s does not exist yet: a new history begins.", self._task.path)
            return History(owner)
        try:
            history = History.from_page(page)
        except DamagedHistory as error:
            self._task.log.warning("%s is replaced, and a new history begins: %s.", self._task.path, error)
            return History(owner)
        if history.owner.casefold() != owner.casefold():
            self._task.log.warning(
                "%s is replaced, and a new history begins: it is a report about %s, not %s.",
                self._task.path,
                history.owner,
                owner,
            )
            return History(owner)
        if history.dropped:
            self._task.log.warning(
                "%s: %d entries of its history cannot be read and are dropped.",
                self._task.path,
                history.dropped,
            )
        return history

    def _report(
        self, owner: str, selection: NameGlobs, before: History, savings: list[dict[str, Any]]
    ) -> CostReport:

        at, prices = datetime.now(timezone.utc), self._task.hook.price_list()
        spaces = self._spaces(owner, selection)
        if not spaces:
            self._task.log.warning("No Space of %s is selected, so the report has no costs.", owner)
        fleet = FleetCost.from_spaces(spaces.values(), prices)
        usage, no_usage = self._usage(owner, prices, spaces, selection)
        runs = self._runs(owner, at)
        return CostReport(
            owner=owner,
            at=at,
            endpoint=self._task.hook.settings.endpoint,
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

        try:
            return run_costs(owner, since=(at - timedelta(days=RUN_DAYS - 1)).date(), until=at.date())
        except Exception as error:
            self._task.log.warning("What the runs of this Airflow cost could not be read: %s", error)
            return None

    def _spaces(self, owner: str, selection: NameGlobs) -> dict[str, SpaceInfo]:

        expand = ("runtime", "lastModified", "private")
        listed = list(self._task.hook.list_spaces(author=owner, expand=expand, page_size=PAGE_SPACES))
        spaces = {}
        for space in owned_spaces(owner, listed, allow_empty=self._task.allow_empty):
            if not selection.matches(space.id):
                continue
            if _lacks_sleep_time(space):
                space = replace(space, runtime=self._task.hook.get_runtime(space.id))
            spaces[space.id] = space
        return spaces

    def _usage(
        self, owner: str, prices: PriceList, spaces: Mapping[str, SpaceInfo], selection: NameGlobs
    ) -> tuple[BilledUsage | None, str | None]:
        """The billed usage, or the reason why it cannot be shown."""

        if not self._task.billing:
            return None, None
        try:
            me = self._task.hook.whoami().name
            own = me.casefold() == owner.casefold()
            payload = self._task.hook.get_billing_usage(organization=None if own else owner)
            names = {str(space.raw.get("_id")): space.id for space in spaces.values()}
            return BilledUsage.from_payload(payload, prices, names=names, wanted=selection.matches), None
        except (HubAuthError, HubPermissionError) as error:
            reason = f"The token may not read the billing of {owner}, so only estimates are shown."
            self._task.log.info("%s %s", reason, error)
        except HubError as error:
            reason = f"The billing of {owner} could not be read: {error}"
            self._task.log.warning("%s", reason)
        return None, reason


def _lacks_sleep_time(space: SpaceInfo) -> bool:
    """Whether a list leaves out the sleep time of a Space that is or will be billed.

    A missing sleep time in a list does not mean that the Space never sleeps.
    """

    runtime = space.runtime
    return (
        runtime is not None
        and runtime.stage in WILL_BE_BILLED_STAGES
        and runtime.configured_hardware not in (None, *FREE_HARDWARE)
        and "gcTimeout" not in runtime.raw
    )
