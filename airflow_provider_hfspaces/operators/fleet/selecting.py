"""Select Spaces of an owner: the base of the operators that do so, and ListSpacesOperator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.imports import (
    AirflowFailException,
    AirflowSkipException,
    BaseOperator,
    Context,
)
from airflow_provider_hfspaces.operators.base import HubTask
from airflow_provider_hfspaces.rendered import as_list

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hub.bulk.selection import SpaceSelection
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime

__all__ = ["ListSpacesOperator", "SafetyNetOperator", "SelectingOperator"]


class SelectingOperator(HubTask, BaseOperator):
    """Base of the operators that select Spaces.

    Lists may also be the text that a template renders.

    :param author: the user or organization whose Spaces are selected. Templated.
    :param repo_ids: exactly these Spaces, instead of a selection. Templated.
    :param stages: only Spaces in one of these stages; STOPPED and SLEEPING stand for each other. Templated.
    :param hardware: only Spaces on, or set to, one of these flavors. Templated.
    :param billed_only: only Spaces that are billed now, or as soon as their build is done.
    :param include: only Spaces whose ``owner/name`` or name matches one of these globs,
        case-insensitively. Templated.
    :param exclude: no Spaces that match one of these globs. Templated.
    :param tags: only Spaces with all of these tags. Templated.
    :param allow_empty: accept an owner for whom the Hub lists no Spaces at all. Default: False, so that
        a misspelt or renamed owner fails the task.
    :param max_lateness: skip the task if its scheduled run starts this much later than it was due, in
        seconds or as a ``timedelta``. Use it for DAGs that act at a time of day: when such a DAG is
        unpaused, Airflow runs its last interval at once, even with ``catchup=False``. Runs that users or
        assets trigger are never late. Default: no limit.
    :param hf_spaces_conn_id: the connection to the Hub. Default: ``hf_spaces_default``. Templated.
    """

    template_fields: Sequence[str] = (
        "author",
        "repo_ids",
        "stages",
        "hardware",
        "include",
        "exclude",
        "tags",
        "hf_spaces_conn_id",
    )
    ui_color = "#ffd21e"
    ui_fgcolor = "#1f2937"

    def __init__(
        self,
        *,
        author: str | None = None,
        repo_ids: Iterable[str] | str | None = None,
        stages: Iterable[str] | str | None = None,
        hardware: Iterable[str] | str | None = None,
        billed_only: bool = False,
        include: Iterable[str] | str | None = (),
        exclude: Iterable[str] | str | None = (),
        tags: Iterable[str] | str | None = (),
        allow_empty: bool = False,
        max_lateness: timedelta | float | str | None = None,
        hf_spaces_conn_id: str = "hf_spaces_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.author = author
        self.repo_ids = repo_ids
        self.stages = stages
        self.hardware = hardware
        self.billed_only = billed_only
        self.include = include
        self.exclude = exclude
        self.tags = tags
        self.allow_empty = allow_empty
        self.max_lateness = max_lateness
        self.hf_spaces_conn_id = hf_spaces_conn_id

    def on_kill(self) -> None:
        """Send no further requests. The report contains those that were sent."""
        self.killed.set()

    def selection(self) -> SpaceSelection:
        """The criteria of this operator.

        :raises InvalidInput: for a missing or invalid owner, or an unknown stage or flavor.
        """
        from airflow_provider_hfspaces.hub.bulk.selection import SpaceSelection
        from airflow_provider_hfspaces.hub.checks import InvalidInput

        if not self.author:
            raise InvalidInput(
                f"author is missing. Set author of {type(self).__name__} to a user or an organization, or "
                f"set repo_ids."
            )
        offered = None
        for each in as_list(self.hardware):
            offered = offered or self.hook.offered(each)
        return SpaceSelection(
            author=self.author,
            stages=as_list(self.stages) or None,
            hardware=as_list(self.hardware),
            billed_only=self.billed_only,
            include=as_list(self.include),
            exclude=as_list(self.exclude),
            tags=as_list(self.tags),
            offered=offered,
        )

    def listed(self) -> list[SpaceInfo]:
        """All Spaces of the owner with runtime and tags, from the Hub's list.

        :raises OwnerWithoutSpaces: if the owner has no Spaces, unless ``allow_empty`` is set.
        """
        from airflow_provider_hfspaces.hub.bulk.lookup import PAGE_SPACES
        from airflow_provider_hfspaces.hub.bulk.selection import SELECTED_BY, owned_spaces

        assert self.author is not None
        listed = list(self.hook.list_spaces(author=self.author, expand=SELECTED_BY, page_size=PAGE_SPACES))
        return owned_spaces(self.author, listed, allow_empty=self.allow_empty)

    def unlisted_runtimes(self, spaces: Iterable[SpaceInfo]) -> dict[str, SpaceRuntime | Exception]:
        """The runtimes of Spaces without a readable one in the list, or the errors of reading them."""
        from airflow_provider_hfspaces.hub.bulk.lookup import read_runtimes

        missing = [space.id for space in spaces if space.runtime is None]
        return read_runtimes(self.hook.client, missing, stop=self.killed) if missing else {}

    def selected(
        self, *, always_runtime: bool = False
    ) -> list[tuple[SpaceInfo, SpaceRuntime | Exception | None]]:
        """The selected Spaces with their runtimes, in the order of the Hub's list.

        A Space whose runtime cannot be read has the error instead.

        :param always_runtime: read runtimes that the list lacks even if the selection needs none.
        :raises InvalidInput: for a selection that is not valid.
        """
        selection = self.selection()
        spaces = [space for space in self.listed() if selection.matches_name(space)]
        unlisted = self.unlisted_runtimes(spaces) if selection.needs_runtime or always_runtime else {}
        pairs = [(space, unlisted.get(space.id, space.runtime)) for space in spaces]
        return [
            (space, runtime)
            for space, runtime in pairs
            if isinstance(runtime, Exception) or selection.matches_runtime(runtime)
        ]

    def names_stage(self, stage: str) -> bool:
        """Whether ``stages`` contains this stage, or the other name of a sleeping Space."""
        from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES

        equivalent = ASLEEP_STAGES if stage in ASLEEP_STAGES else {stage}
        return bool(equivalent & {str(each) for each in as_list(self.stages)})

    def named(self) -> list[str]:
        """The ids in ``repo_ids``, each of them once."""

        repo_ids = (self.hook.repo_id(each) for each in as_list(self.repo_ids))
        return list({repo_id.casefold(): repo_id for repo_id in repo_ids}.values())

    def skip_if_late(self, context: Context) -> None:
        """Skip the task if the run starts more than ``max_lateness`` after it was due.

        :raises AirflowSkipException: on the first try.
        :raises AirflowFailException: on a later try, because the earlier one has not done the work.
        :raises InvalidNumber: for an invalid ``max_lateness``.
        """
        from airflow_provider_hfspaces.compat.server import seconds_since_due
        from airflow_provider_hfspaces.hub.bulk.progress import duration
        from airflow_provider_hfspaces.hub.seconds import checked_seconds

        if self.max_lateness is None:
            return
        limit = checked_seconds(self.max_lateness, "max_lateness", zero=True)
        late = seconds_since_due(context)
        if late is None or late <= limit:
            return
        message = (
            f"Nothing was changed: this run is {duration(late)} late, and max_lateness allows "
            f"{duration(limit)}. Trigger the DAG by hand to run it now."
        )
        if getattr(context["ti"], "try_number", 1) > 1:
            raise AirflowFailException(message)
        raise AirflowSkipException(message)


class SafetyNetOperator(SelectingOperator):
    """Base of the operators that change what runs have left behind, and report each Space.

    :param dry_run: change nothing and report what would be changed (default False).
    """

    done: str
    """What happens to a Space, such as ``restored``."""

    nothing_left: str
    """The log line for an empty report."""

    def __init__(self, *, dry_run: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Not self.dry_run: BaseOperator has a method of that name.
        self.changes_nothing = dry_run

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Change the Spaces and return the report.

        :raises AirflowFailException: for input that is not valid.
        :raises RuntimeError: if a Space could not be changed.
        """
        from airflow_provider_hfspaces.failures import failing_for_good
        from airflow_provider_hfspaces.operators.fleet.target import FAILED

        report: list[dict[str, Any]] = []
        with failing_for_good():
            self.skip_if_late(context)
            entries = self.entries(context)
            while not self.killed.is_set() and (entry := next(entries, None)) is not None:
                report.append(entry)
        failed = [each for each in report if each["outcome"] == FAILED]
        if not report:
            self.log.info("%s", self.nothing_left)
        if failed:
            more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
            raise RuntimeError(
                f"Space {failed[0]['repo_id']}{more} could not be {self.done}: {failed[0]['error']}"
            )
        return report

    @abstractmethod
    def entries(self, context: Context) -> Iterator[dict[str, Any]]:
        """Change one Space after the other, and yield its ``repo_id``, ``outcome``, ``error`` and more."""


class ListSpacesOperator(SelectingOperator):
    """List an owner's Spaces, so that other operators or sensors can be mapped over them.

    .. code-block:: python

        broken = ListSpacesOperator(task_id="broken", author="acme", stages=["RUNTIME_ERROR"])
        RestartSpaceOperator.partial(task_id="restart").expand(repo_id=broken.output)

    Returns the ids of the selected Spaces, sorted. Airflow maps a task over at most 1,024 of them
    (``[core] max_map_length``).

    A Space whose runtime cannot be read is left out if the selection depends on it, with an error in the
    log that names the Space.

    Endpoint: ``GET /api/spaces?author=…&expand=runtime&expand=tags``, one request for every 500 Spaces of
    the owner.
    """

    def execute(self, context: Context) -> list[str]:
        """List the Spaces.

        :raises AirflowFailException: for errors that a retry cannot fix.
        """
        from airflow_provider_hfspaces.failures import failing_for_good

        with failing_for_good():
            self.skip_if_late(context)
            if self.repo_ids is not None:
                repo_ids = {self.hook.repo_id(each) for each in as_list(self.repo_ids)}
            else:
                repo_ids = self._selected()
        self.log.info("%d Spaces are selected.", len(repo_ids))
        return sorted(repo_ids, key=str.casefold)

    def _selected(self) -> set[str]:
        selected = set()
        for space, runtime in self.selected():
            if isinstance(runtime, Exception):
                self.log.error("Space %s is left out: its runtime cannot be read. %s", space.id, runtime)
            else:
                selected.add(space.id)
        return selected
