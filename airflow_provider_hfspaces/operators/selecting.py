"""What the operators share that are given an owner's Spaces by a selection."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat import BaseOperator
from airflow_provider_hfspaces.operators.fleet_report import as_list

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.models import SpaceInfo
    from airflow_provider_hfspaces.hub.selection import SpaceSelection

__all__ = ["SelectingOperator"]


class SelectingOperator(BaseOperator):
    """Base of the operators that select Spaces.

    :param author: whose Spaces: a user or an organization. Templated, like all of the selection.
    :param repo_ids: these Spaces instead, whatever the selection says.
    :param stages: only those in one of these stages; STOPPED and SLEEPING stand for each other.
    :param hardware: only those on, or set to, one of these flavors.
    :param billed_only: only those that cost money now, or will when their build is done.
    :param include: only those whose ``owner/name`` or name fits one of these globs, in whatever case.
    :param exclude: not those that fit one of these.
    :param tags: only those with all of these tags.
    :param hf_spaces_conn_id: the connection to the Hub.
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
        self.hf_spaces_conn_id = hf_spaces_conn_id

    @cached_property
    def hook(self) -> HfSpacesHook:
        """The hook of the connection, built once per try."""
        from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook

        return HfSpacesHook(self.hf_spaces_conn_id)

    @cached_property
    def killed(self) -> threading.Event:
        """Set when the task is killed."""
        # Not in __init__: Airflow copies operators, and an event cannot be copied.
        return threading.Event()

    def on_kill(self) -> None:
        """Send nothing more. What was under way is recorded."""
        self.killed.set()

    def selection(self) -> SpaceSelection:
        """What is selected.

        :raises InvalidInput: for an owner, a stage or a flavor that there is not.
        """
        from airflow_provider_hfspaces.hub.checks import InvalidInput
        from airflow_provider_hfspaces.hub.selection import SpaceSelection

        if not self.author:
            raise InvalidInput(
                f"Whose Spaces? Give {type(self).__name__} an author, a user or an organization, or repo_ids."
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
        """All Spaces of the owner with their runtimes, from one list."""
        from airflow_provider_hfspaces.hub.selection import SELECTED_BY

        return list(self.hook.list_spaces(author=self.author, expand=SELECTED_BY))
