"""Report what an owner's Spaces cost, as an HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_hfspaces.compat.imports import BaseOperator, Context
from airflow_provider_hfspaces.operators.base import HubTask

__all__ = ["SpacesCostReportOperator"]


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
        from airflow_provider_hfspaces.operators.cost_reporting import CostReporting

        with failing_for_good():
            return CostReporting(self).write()
