"""The base of the operators that change many Spaces at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.operators.fleet.selecting import SelectingOperator

if TYPE_CHECKING:
    from airflow_provider_hfspaces.compat.imports import Context
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.changing import FleetChange
    from airflow_provider_hfspaces.operators.fleet.target import Target
    from airflow_provider_hfspaces.state.retry_store import RetryStore

__all__ = ["FleetOperator"]

_MAX_PARALLEL = 64


class FleetOperator(SelectingOperator):
    """Base of the operators that change many Spaces at once.

    Spaces that a run of this or another Airflow has leased are left alone: their restore would undo the
    change, or the change would undo the restore. The report says which run has the lease.

    Several requests run in parallel within the Hub's rate limit: requests that have to wait for a new
    window of the limit do not fail. A Space that fails does not stop the others. When all Spaces are
    processed, the task pushes its report and fails: at once if a retry cannot fix any of the failures;
    otherwise a retry processes the remaining Spaces, and its report contains the work of all tries.

    :param dry_run: change nothing and report what would be done. Default: False.
    :param max_parallel: number of requests at a time, 1 to 64. Default: 8.
    :param fail_on_error: fail the task if a Space fails. Default: True. With False, only the report
        shows failures.
    :param respect_leases: leave Spaces alone that a run has leased. Default: True. With False, leased
        Spaces are changed too, which saves one request for each Space.
    """

    template_fields: Sequence[str] = SelectingOperator.template_fields

    batch_size = 100
    """Number of Spaces that are recorded together before their requests are sent."""
    fresh_seconds = 60.0
    """Seconds after which the runtimes of Spaces are read again before they are changed."""

    action: str
    """The name of the action in the report."""
    verb: str
    """The action in the past tense, for progress in the log."""
    done: str
    """The outcome of a Space that was changed."""
    figure = "hourly_cost"
    """The amount of each Space that the table in the log adds up."""
    column: str
    """The heading of these amounts."""

    def __init__(
        self,
        *,
        dry_run: bool = False,
        max_parallel: int = 8,
        fail_on_error: bool = True,
        respect_leases: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        # Not self.dry_run: BaseOperator has a method of that name.
        self.changes_nothing = dry_run
        self.max_parallel = max_parallel
        self.fail_on_error = fail_on_error
        self.respect_leases = respect_leases

    def check(self) -> None:
        """Reject invalid parameters before any request is sent.

        :raises InvalidInput: naming the parameter.
        """
        from airflow_provider_hfspaces.hub.checks import InvalidNumber, checked_number

        if checked_number(self.max_parallel, "max_parallel", least=1) > _MAX_PARALLEL:
            raise InvalidNumber(f"max_parallel is at most {_MAX_PARALLEL}; got {self.max_parallel!r}.")

    @abstractmethod
    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        """Why a Space is left alone; ``None`` if it has to be changed."""

    @abstractmethod
    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        """Whether the change has taken effect, after an earlier try or a request without an answer."""

    @abstractmethod
    def call(self, target: Target) -> Call[SpaceRuntime]:
        """The request that changes a Space."""

    @abstractmethod
    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        """The details of a Space in the report: its state before the change."""

    @abstractmethod
    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        """The sums in the report."""

    def complete_entry(self, target: Target) -> None:
        """Add what is known only after the change to the Space's entry in the report."""

    def before_requests(self, targets: Sequence[Target]) -> None:
        """Record a batch of Spaces before their requests are sent."""

    def after_requests(self, targets: Sequence[Target]) -> None:
        """Correct the records by the outcomes of all Spaces."""

    def headline(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> str:
        """The first line of the summary in the log."""
        if not entries:
            return "No Space is selected."
        count = sum(each["outcome"] == outcome for each in entries)
        return f"{count:,} of {len(entries):,} Spaces {outcome}."

    def execute(self, context: Context) -> dict[str, Any]:
        """Change the Spaces and return the report.

        :raises AirflowFailException: if Spaces failed and a retry cannot fix that.
        :raises FleetIncomplete: if Spaces failed and a retry may succeed.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.state.retry_store import retry_store

        with failing_for_good():
            return self.change_spaces(context, retry_store(context))

    def change_spaces(self, context: Context, store: RetryStore) -> dict[str, Any]:
        """Change the Spaces and return the report, in a task or in a command.

        :param store: keeps what an earlier try has changed.
        :raises InvalidInput: for a parameter that is not valid.
        """
        return self.fleet_change.run(context, store)

    @cached_property
    def fleet_change(self) -> FleetChange:
        """What changes the Spaces in this try."""
        from airflow_provider_hfspaces.operators.fleet.changing import FleetChange

        return FleetChange(self)

    def targets(self, unselected: dict[str, SpaceRuntime]) -> list[Target]:
        """The Spaces in ``repo_ids``, or the selected ones, with their runtimes.

        :param unselected: receives the runtimes of the owner's other Spaces, by lower-case id.
        """
        from airflow_provider_hfspaces.operators.fleet.target import Target

        if self.repo_ids is not None:
            return self.read_runtimes([Target(repo_id, named=True) for repo_id in self.named()])
        selection = self.selection()
        spaces = [space for space in self.listed() if selection.matches_name(space)]
        unlisted = self.unlisted_runtimes(spaces)
        targets = []
        for space in spaces:
            runtime = unlisted.get(space.id, space.runtime)
            if isinstance(runtime, Exception):
                targets.append(Target(space.id, problem=runtime))
            elif selection.matches_runtime(runtime):
                targets.append(Target(space.id, runtime))
            elif runtime is not None:
                unselected[space.id.casefold()] = runtime
        return targets

    def read_runtimes(self, targets: list[Target]) -> list[Target]:
        """Read the current runtimes of these Spaces from the Hub."""
        from airflow_provider_hfspaces.hub.bulk.lookup import read_runtimes

        by_id = {target.repo_id: target for target in targets}
        answers = read_runtimes(
            self.hook.client,
            by_id,
            stop=self.killed,
            parallel=self.max_parallel,
            # A list may be out of date: a Space that would be left alone because of it is read on its own.
            doubtful=lambda repo_id, runtime: self.reason_to_leave(by_id[repo_id], runtime) is not None,
        )
        for target in targets:
            answer = answers.get(target.repo_id)
            target.runtime = None if isinstance(answer, Exception) else answer
            target.problem = answer if isinstance(answer, Exception) else None
        return targets

    def prices(self, targets: Sequence[Target]) -> PriceList | None:
        """The Hub's price list; ``None`` if no Space is selected, and if the list cannot be read."""
        return self.known_prices() if targets else None

    def known_prices(self) -> PriceList | None:
        """The Hub's price list; ``None``, after a warning, if it cannot be read."""
        from airflow_provider_hfspaces.state.pricing import prices_or_none

        return prices_or_none(self.hook, "The report has no amounts", self.log.warning)

    def push_report(self, context: Context, report: dict[str, Any]) -> None:
        """Push the report of a task that fails: the restart in the morning needs it."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=report)
