"""The base of the operators that change many Spaces at once."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.fleet.selecting import SelectingOperator
from airflow_provider_hfspaces.operators.fleet.target import (
    FAILED,
    LEFT_ALONE,
    FleetIncomplete,
    Target,
    failure,
)
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.operators.fleet.leases import FleetLeases
    from airflow_provider_hfspaces.state.ledger import Journal
    from airflow_provider_hfspaces.state.retry_store import RetryStore

__all__ = ["FAILED", "LEFT_ALONE", "FleetIncomplete", "FleetOperator", "Target"]

_MAX_LOGGED_FAILURES = 20
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

        with failing_for_good():
            return self.change_spaces(context, retry_store(context))

    def change_spaces(self, context: Context, store: RetryStore) -> dict[str, Any]:
        """Change the Spaces and return the report, in a task or in a command.

        :param store: keeps what an earlier try has changed.
        :raises InvalidInput: for a parameter that is not valid.
        """
        from airflow_provider_hfspaces.state.ledger import Journal

        self.check()
        journal = Journal(store, self.action)
        if not journal.earlier:
            self.skip_if_late(context)
        targets = self._all_targets(journal)
        if targets and not self.changes_nothing:
            self.hook.require_token(targets[0].repo_id)
        prices = self._prices(targets)
        todo = self._judge(targets, journal, prices)
        if self.changes_nothing:
            self.find_leased(todo)
            for target in [each for each in todo if each.outcome is None]:
                target.entry["outcome"] = f"would be {self.done}"
                self.complete_entry(target)
        else:
            try:
                self._change_all(todo, journal, prices)
            finally:
                self.after_requests(targets)
        return self._finish(targets, journal, prices, context)

    def targets(self, unselected: dict[str, SpaceRuntime]) -> list[Target]:
        """The Spaces in ``repo_ids``, or the selected ones, with their runtimes.

        :param unselected: receives the runtimes of the owner's other Spaces, by lower-case id.
        """
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

    def _all_targets(self, journal: Journal) -> list[Target]:
        """The selected Spaces, and those that an earlier try of this task has changed."""
        unselected: dict[str, SpaceRuntime] = {}
        self._read_at = time.monotonic()
        targets = self.targets(unselected)
        keys = {target.repo_id.casefold() for target in targets}
        earlier = [
            Target(record["repo_id"], unselected.get(key), record=record)
            for key, record in journal.earlier.items()
            if key not in keys
        ]
        self.read_runtimes([target for target in earlier if target.runtime is None])
        changed = [each for each in earlier if each.runtime and self.is_done(each, each.runtime)]
        return sorted([*targets, *changed], key=lambda target: target.repo_id.casefold())

    def _prices(self, targets: Sequence[Target]) -> PriceList | None:
        from airflow_provider_hfspaces.hub.errors import HubError

        if not targets:
            return None
        try:
            return self.hook.price_list()
        except HubError as error:
            self.log.warning("The report has no amounts: the Hub's price list could not be read. %s", error)
            return None

    def _judge(self, targets: Sequence[Target], journal: Journal, prices: PriceList | None) -> list[Target]:
        """Complete the entries of the Spaces to leave alone, and return the others."""
        from airflow_provider_hfspaces.operators.fleet.report import now

        todo = []
        for target in targets:
            target.entry = {"repo_id": target.repo_id, "outcome": None, "reason": None}
            target.entry.update(self.describe(target, prices), at=now())
            earlier = journal.record_of(target.repo_id)
            if target.runtime is None:
                self._fail(target, target.problem or LookupError("The Hub returned no runtime."))
            elif earlier and self.is_done(target, target.runtime):
                target.entry.update({**earlier, "outcome": self.done})
                self.complete_entry(target)
            elif reason := self.reason_to_leave(target, target.runtime):
                target.entry.update(outcome=LEFT_ALONE, reason=reason)
            else:
                todo.append(target)
        return todo

    def _change_all(self, todo: list[Target], journal: Journal, prices: PriceList | None) -> None:
        from airflow_provider_hfspaces.hub.bulk.progress import Progress
        from airflow_provider_hfspaces.hub.bulk.queue import Quota, in_parallel, queue_client
        from airflow_provider_hfspaces.operators.fleet.report import now

        looks = 1 if self.respect_leases and not self._leases.is_shared else 0
        quota = Quota(self.hook.client.budget, per_item=1 + looks)
        progress = Progress(self.verb, len(todo), self.log.info, waits=quota.seconds_for)
        sender = queue_client(self.hook.client, self.killed, self.max_parallel)

        def prepare(batch: Sequence[Target]) -> list[Target]:
            remaining = list(batch)
            if time.monotonic() - self._read_at > self.fresh_seconds:
                self._read_at = time.monotonic()
                remaining = self._judge(self.read_runtimes(remaining), journal, prices)
                for _ in range(len(batch) - len(remaining)):
                    progress.count()
            if remaining and self.respect_leases:
                self._leases.list(remaining[0].repo_id)
            journal.write({target.repo_id: target.details for target in remaining})
            self.before_requests(remaining)
            return remaining

        try:
            for result in in_parallel(
                todo,
                lambda target: self._change(sender, target),
                quota=quota,
                parallel=self.max_parallel,
                stop=self.killed,
                prepare=prepare,
                batch=self.batch_size,
            ):
                target = result.item
                target.entry["at"] = now()
                if result.error is not None:
                    self._fail(target, result.error)
                elif result.value:
                    target.entry["outcome"] = self.done
                    self.complete_entry(target)
                else:
                    target.entry.update(outcome=LEFT_ALONE, reason=f"already {self.done}")
                progress.count(failed=target.outcome == FAILED)
        finally:
            sender.close()
        if todo:
            self.log.info("%s.", progress)

    def _change(self, sender: HubClient, target: Target) -> bool:
        """Change one Space; False if it was changed already before any request was sent."""
        from airflow_provider_hfspaces.hub import calls
        from airflow_provider_hfspaces.hub.errors import HubBadRequest, HubError, HubRateLimited

        if target.unsure and self.is_done(target, sender.send(calls.get_runtime(target.repo_id))):
            return True
        if self.respect_leases:
            self._leases.check(sender, target.repo_id)
        try:
            sender.send(self.call(target))
            return True
        except HubRateLimited as error:
            target.unsure |= error.outcome_unknown
            raise
        except HubError as error:
            target.unsure |= error.outcome_unknown
            if not (target.unsure or error.tries > 1 or isinstance(error, HubBadRequest)):
                raise
            if not self.is_done(target, sender.send(calls.get_runtime(target.repo_id))):
                raise
            return target.unsure or error.tries > 1

    def find_leased(self, targets: Sequence[Target]) -> None:
        """Mark the Spaces that a run has leased, and give that as the reason to leave them alone."""
        if self.respect_leases:
            for result in self._leases.check_all(targets, self.killed, self.max_parallel):
                self._fail(result.item, result.error or LookupError())

    @cached_property
    def _leases(self) -> FleetLeases:
        from airflow_provider_hfspaces.operators.fleet.leases import FleetLeases

        return FleetLeases(self.hook)

    def _fail(self, target: Target, error: Exception) -> None:
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound
        from airflow_provider_hfspaces.operators.fleet.leases import reason_of

        if leased := reason_of(error):
            target.leased = True
            target.entry.update(outcome=LEFT_ALONE, reason=leased)
            return
        target.problem = error
        if isinstance(error, SpaceNotFound) and not target.named:
            target.entry.update(outcome=LEFT_ALONE, reason="it no longer exists")
        else:
            target.entry.update(outcome=FAILED, reason=str(error))

    def _finish(
        self, targets: Sequence[Target], journal: Journal, prices: PriceList | None, context: Context
    ) -> dict[str, Any]:
        """Log the summary, and return the report or fail with it."""
        from airflow_provider_hfspaces.operators.fleet.report import now, only_owner, summary

        entries = [target.entry for target in targets if target.outcome]
        outcome = f"would be {self.done}" if self.changes_nothing else self.done
        failed = [target for target in targets if target.outcome == FAILED]
        report = {
            "action": self.action,
            "dry_run": self.changes_nothing,
            "at": now(),
            "owner": self.author or only_owner(entries),
            "spaces": entries,
            **self.totals(entries, outcome),
            "failed": len(failed),
            "prices_as_of": prices.as_of.isoformat() if prices else None,
        }
        table = summary(report, outcome, self.figure, self.column)
        self.log.info("%s%s", self.headline(entries, outcome), table)
        for target in failed[:_MAX_LOGGED_FAILURES]:
            self.log.error("Space %s: %s", target.repo_id, target.entry["reason"])
        if len(failed) > _MAX_LOGGED_FAILURES:
            self.log.error("And %d more, listed in the report.", len(failed) - _MAX_LOGGED_FAILURES)
        if self.killed.is_set():
            self._push(context, report)
            raise FleetIncomplete(
                f"The task was stopped after {len(entries):,} of {len(targets):,} Spaces. The other Spaces "
                f"are unchanged."
            )
        if failed and self.fail_on_error:
            self._push(context, report)
            raise failure(failed, len(targets))
        if not self.changes_nothing:
            journal.forget()
        return report

    def _push(self, context: Context, report: dict[str, Any]) -> None:
        """Push the report of a task that fails: the restart in the morning needs it."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=report)
