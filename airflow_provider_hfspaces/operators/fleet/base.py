"""What the operators on a whole fleet of Spaces share."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import AirflowFailException, Context
from airflow_provider_hfspaces.operators.base import SelectingOperator
from airflow_provider_hfspaces.state.retry_store import retry_store

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.calls import Call
    from airflow_provider_hfspaces.hub.cost.prices import PriceList
    from airflow_provider_hfspaces.hub.http.client import HubClient
    from airflow_provider_hfspaces.hub.models import SpaceRuntime
    from airflow_provider_hfspaces.state.ledger import Journal

__all__ = ["FAILED", "LEFT_ALONE", "FleetIncomplete", "FleetOperator", "Target"]

LEFT_ALONE = "left alone"
FAILED = "failed"
"""Outcomes of a Space, in the reports."""

_BATCH = 100
_FRESH = 60.0
"""Seconds for which what the Hub has said of a Space is acted upon without another look."""

_MOST_TOLD = 20
_MOST_PARALLEL = 64


class FleetIncomplete(Exception):
    """Some Spaces of a fleet could not be dealt with; another try deals with these."""


@dataclass
class Target:
    """A Space that a fleet operator has to judge.

    :ivar repo_id: as ``owner/name``.
    :ivar runtime: what the Hub says of it.
    :ivar problem: why it says nothing.
    :ivar given: what a report says of it, if it is there because of one.
    :ivar named: whether somebody has named it, so that it should be there.
    :ivar unsure: whether something was sent whose outcome is not known.
    :ivar entry: its part of the report.
    """

    repo_id: str
    runtime: SpaceRuntime | None = None
    problem: Exception | None = None
    given: Mapping[str, Any] | None = None
    named: bool = False
    unsure: bool = False
    entry: dict[str, Any] = field(default_factory=dict)


class FleetOperator(SelectingOperator):
    """Base of the operators that do something to many Spaces at once.

    Several requests go at once, and all of them within the Hub's quota: those that have to wait for
    a new window are not failures. A Space that fails does not stop the others. When all the rest is
    done, the task has its report as its XCom and fails: without a retry, if another try would meet
    the same again; else its retry deals with what is left, and its report holds what all tries did.

    :param dry_run: change nothing, and report what would be done.
    :param max_parallel: how many requests at once, 1 to 64.
    :param fail_on_error: whether the task fails when a Space does; if not, the report alone tells.
    """

    template_fields: Sequence[str] = SelectingOperator.template_fields

    action: str
    """What it does, in the report."""
    verb: str
    """The same in the past tense, for the lines that tell how far it is."""
    done: str
    """The outcome of a Space to which it was done."""
    figure = "hourly_cost"
    """Which figure of each Space the table adds up."""
    column: str
    """What the table calls it."""

    def __init__(
        self, *, dry_run: bool = False, max_parallel: int = 8, fail_on_error: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        # BaseOperator has a method of the name dry_run.
        self.changes_nothing = dry_run
        self.max_parallel = max_parallel
        self.fail_on_error = fail_on_error

    # What each operator says for itself

    def check(self) -> None:
        """Refuse input that cannot be right, before anything is sent.

        :raises InvalidInput: saying what is wrong.
        """
        from airflow_provider_hfspaces.hub.checks import InvalidNumber, checked_number

        if checked_number(self.max_parallel, "max_parallel", least=1) > _MOST_PARALLEL:
            raise InvalidNumber(f"max_parallel is at most {_MOST_PARALLEL}; got {self.max_parallel!r}.")

    @abstractmethod
    def reason_to_leave(self, target: Target, runtime: SpaceRuntime) -> str | None:
        """Why a Space is left alone; ``None`` if something is to be done to it."""

    @abstractmethod
    def is_done(self, target: Target, runtime: SpaceRuntime) -> bool:
        """Whether a Space that an earlier try, or a request without an answer, was about is done."""

    @abstractmethod
    def call(self, target: Target) -> Call[SpaceRuntime]:
        """The request that does it."""

    @abstractmethod
    def describe(self, target: Target, prices: PriceList | None) -> dict[str, Any]:
        """What the report says of a Space besides the outcome: what was there before."""

    @abstractmethod
    def totals(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> dict[str, Any]:
        """The sums of the report."""

    def finish_entry(self, target: Target) -> None:
        """Complete the part of the report of a Space that is done."""

    def note(self, targets: Sequence[Target]) -> None:
        """Write down elsewhere too what is about to be done."""

    def settle(self, targets: Sequence[Target]) -> None:
        """Correct what was written down, now that it is known what has become of it."""

    # What they share

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it, and return the report.

        :raises AirflowFailException: when Spaces have failed for good.
        :raises FleetIncomplete: when Spaces have failed and another try could help.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.state.ledger import Journal

        with failing_for_good():
            self.check()
            journal = Journal(retry_store(context), self.action)
            targets = self._targets(journal)
            if targets and not self.changes_nothing:
                self.hook.require_token(targets[0].repo_id)
            prices = self._prices(targets)
            todo = self._judge(targets, journal, prices)
            if self.changes_nothing:
                for target in todo:
                    target.entry["outcome"] = f"would be {self.done}"
                    self.finish_entry(target)
            else:
                try:
                    self._do_all(todo, journal, prices)
                finally:
                    self.settle(targets)
        return self._close(targets, journal, prices, context)

    def targets(self, seen: dict[str, SpaceRuntime]) -> list[Target]:
        """The Spaces to judge: those that are named, or else selected.

        :param seen: gets what the Hub says of Spaces that are not among them, by id in small letters.
        """
        if self.repo_ids is not None:
            return self.look([Target(repo_id, named=True) for repo_id in self._named()])
        selection = self.selection()
        found = []
        for space in self.listed():
            if selection.matches(space):
                found.append(Target(space.id, space.runtime))
            elif space.runtime is not None:
                seen[space.id.casefold()] = space.runtime
        unseen = [target for target in found if target.runtime is None]
        if unseen:
            self.look(unseen)
        return found

    def look(self, targets: list[Target]) -> list[Target]:
        """Find out what the Hub says of these Spaces."""
        from airflow_provider_hfspaces.hub.bulk.lookup import look

        by_id = {target.repo_id: target for target in targets}
        found = look(
            self.hook.client,
            by_id,
            stop=self.killed,
            parallel=self.max_parallel,
            doubtful=lambda repo_id, runtime: self._is_doubtful(by_id[repo_id], runtime),
        )
        for target in targets:
            seen = found.get(target.repo_id)
            target.runtime = None if isinstance(seen, Exception) else seen
            target.problem = seen if isinstance(seen, Exception) else None
        return targets

    def _is_doubtful(self, target: Target, runtime: SpaceRuntime) -> bool:
        return self.reason_to_leave(target, runtime) is not None

    def _named(self) -> list[str]:
        from airflow_provider_hfspaces.rendered import as_list

        ids = (self.hook.repo_id(each) for each in as_list(self.repo_ids))
        return list({repo_id.casefold(): repo_id for repo_id in ids}.values())

    def _targets(self, journal: Journal) -> list[Target]:
        """Those to judge, and those that an earlier try has dealt with."""
        seen: dict[str, SpaceRuntime] = {}
        self._looked_at = time.monotonic()
        targets = self.targets(seen)
        there = {target.repo_id.casefold() for target in targets}
        earlier = [
            Target(record["repo_id"], seen.get(key), given=record)
            for key, record in journal.earlier.items()
            if key not in there
        ]
        self.look([target for target in earlier if target.runtime is None])
        done = [each for each in earlier if each.runtime and self.is_done(each, each.runtime)]
        return sorted([*targets, *done], key=lambda target: target.repo_id.casefold())

    def _prices(self, targets: Sequence[Target]) -> PriceList | None:
        from airflow_provider_hfspaces.hub.errors import HubError

        if not targets:
            return None
        try:
            return self.hook.price_list()
        except HubError as error:
            # What costs money is stopped, whether or not it is known how much.
            self.log.warning("The report will be without amounts: %s", error)
            return None

    def _judge(self, targets: Sequence[Target], journal: Journal, prices: PriceList | None) -> list[Target]:
        """Write the reports of those to leave alone, and return the others."""
        from airflow_provider_hfspaces.operators.fleet.report import now

        todo = []
        for target in targets:
            target.entry = {"repo_id": target.repo_id, "outcome": None, "reason": None}
            target.entry.update(self.describe(target, prices), at=now())
            earlier = journal.of(target.repo_id)
            if target.runtime is None:
                self._fail(target, target.problem or LookupError("The Hub says nothing of it."))
            elif earlier and self.is_done(target, target.runtime):
                target.entry.update({**earlier, "outcome": self.done})
                self.finish_entry(target)
            elif reason := self.reason_to_leave(target, target.runtime):
                target.entry.update(outcome=LEFT_ALONE, reason=reason)
            else:
                todo.append(target)
        return todo

    def _do_all(self, todo: list[Target], journal: Journal, prices: PriceList | None) -> None:
        from airflow_provider_hfspaces.hub.bulk.progress import Progress
        from airflow_provider_hfspaces.hub.bulk.queue import Quota, in_parallel, queue_client
        from airflow_provider_hfspaces.operators.fleet.report import now

        quota = Quota(self.hook.client.budget)
        progress = Progress(self.verb, len(todo), self.log.info, waits=quota.seconds_for)
        sender = queue_client(self.hook.client, self.killed, self.max_parallel)

        def prepare(batch: Sequence[Target]) -> list[Target]:
            left = list(batch)
            if time.monotonic() - self._looked_at > _FRESH:
                self._looked_at = time.monotonic()
                left = self._judge(self.look(left), journal, prices)
                for _ in range(len(batch) - len(left)):
                    progress.count()
            journal.write({target.repo_id: _record(target) for target in left})
            self.note(left)
            return left

        try:
            for over in in_parallel(
                todo,
                lambda target: self._do(sender, target),
                quota=quota,
                parallel=self.max_parallel,
                stop=self.killed,
                prepare=prepare,
                batch=_BATCH,
            ):
                target = over.item
                target.entry["at"] = now()
                if over.error is not None:
                    self._fail(target, over.error)
                elif over.result:
                    target.entry["outcome"] = self.done
                    self.finish_entry(target)
                else:
                    target.entry.update(outcome=LEFT_ALONE, reason="as it should be already")
                progress.count(failed=target.entry["outcome"] == FAILED)
        finally:
            sender.close()
        if todo:
            self.log.info("%s.", progress)

    def _do(self, sender: HubClient, target: Target) -> bool:
        """Do it to one Space; False where it was as it should be before anything was sent."""
        from airflow_provider_hfspaces.hub import calls
        from airflow_provider_hfspaces.hub.errors import HubBadRequest, HubError, HubRateLimited

        if target.unsure and self.is_done(target, sender.send(calls.get_runtime(target.repo_id))):
            return True
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

    def _fail(self, target: Target, error: Exception) -> None:
        from airflow_provider_hfspaces.hub.errors import SpaceNotFound

        target.problem = error
        if isinstance(error, SpaceNotFound) and not target.named:
            target.entry.update(outcome=LEFT_ALONE, reason="it does not exist any more")
        else:
            target.entry.update(outcome=FAILED, reason=str(error))

    def _close(
        self, targets: Sequence[Target], journal: Journal, prices: PriceList | None, context: Context
    ) -> dict[str, Any]:
        from airflow_provider_hfspaces.operators.fleet.report import now, summary

        entries = [target.entry for target in targets if target.entry["outcome"]]
        outcome = f"would be {self.done}" if self.changes_nothing else self.done
        failed = [target for target in targets if target.entry["outcome"] == FAILED]
        report = {
            "action": self.action,
            "dry_run": self.changes_nothing,
            "at": now(),
            "owner": self.author or _only_owner(entries),
            "spaces": entries,
            **self.totals(entries, outcome),
            "failed": len(failed),
            "prices_as_of": prices.as_of.isoformat() if prices else None,
        }
        self.log.info(
            "%s\n%s", self.headline(entries, outcome), summary(report, outcome, self.figure, self.column)
        )
        self._tell_failures(failed)
        if self.killed.is_set():
            self._push(context, report)
            raise FleetIncomplete(
                f"The task was stopped after {len(entries):,} of {len(targets):,} Spaces; the others are as "
                f"they were."
            )
        if failed and self.fail_on_error:
            self._push(context, report)
            raise self._failure(failed, len(targets))
        if not self.changes_nothing:
            journal.forget()
        return report

    def headline(self, entries: Sequence[Mapping[str, Any]], outcome: str) -> str:
        """The first line of the summary in the log."""
        count = sum(each["outcome"] == outcome for each in entries)
        return f"{count:,} of {len(entries):,} Spaces {outcome}."

    def _tell_failures(self, failed: Sequence[Target]) -> None:
        for target in failed[:_MOST_TOLD]:
            self.log.error("Space %s: %s", target.repo_id, target.entry["reason"])
        if len(failed) > _MOST_TOLD:
            self.log.error("And %d more, which the report names.", len(failed) - _MOST_TOLD)

    def _failure(self, failed: Sequence[Target], total: int) -> Exception:
        first = f"{failed[0].repo_id}: {failed[0].entry['reason']}"
        message = (
            f"{len(failed):,} of {total:,} Spaces failed, the first of them {first} The others are dealt "
            f"with, and the report tells of each."
        )
        if all(getattr(target.problem, "permanent", True) for target in failed):
            return AirflowFailException(message)
        return FleetIncomplete(message)

    def _push(self, context: Context, report: dict[str, Any]) -> None:
        """Have the report there although the task fails: what comes in the morning needs it."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=report)


def _only_owner(entries: Iterable[Mapping[str, Any]]) -> str | None:
    owners = {each["repo_id"].partition("/")[0].casefold(): each["repo_id"] for each in entries}
    return next(iter(owners.values())).partition("/")[0] if len(owners) == 1 else None


def _record(target: Target) -> dict[str, Any]:
    return {name: value for name, value in target.entry.items() if name not in ("outcome", "reason")}
