"""SpaceSelection: select Spaces of an owner by stage, hardware, cost, name and tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import InitVar, dataclass

from airflow_provider_hfspaces.hub.bulk.globs import NameGlobs, texts
from airflow_provider_hfspaces.hub.checks import (
    InvalidInput,
    checked_hardware,
    checked_owner,
    checked_stages,
)
from airflow_provider_hfspaces.hub.models import FREE_HARDWARE, HardwareFlavor, SpaceInfo, SpaceRuntime
from airflow_provider_hfspaces.hub.stages import ASLEEP_STAGES, WILL_BE_BILLED_STAGES

__all__ = ["SELECTED_BY", "OwnerWithoutSpaces", "SpaceSelection", "owned_spaces"]

SELECTED_BY = ("runtime", "tags")
"""The properties that a selection needs of each Space. Pass them as ``expand`` to ``list_spaces``."""


class OwnerWithoutSpaces(InvalidInput):
    """The Hub lists no Spaces for this owner."""


def owned_spaces(author: str, listed: Sequence[SpaceInfo], *, allow_empty: bool) -> list[SpaceInfo]:
    """Return the Spaces in a list that belong to the owner.

    The list may have Spaces of another owner if ``author`` is a former name.

    :param author: user or organization.
    :param listed: the Hub's list for this author.
    :param allow_empty: whether an owner without Spaces is valid.
    :raises OwnerWithoutSpaces: if the owner has no Spaces and ``allow_empty`` is False.
    """
    owned = [space for space in listed if _owner(space.id).casefold() == author.casefold()]
    if owned or allow_empty:
        return owned
    others = ", ".join(sorted({repr(_owner(space.id)) for space in listed}))
    if others:
        raise OwnerWithoutSpaces(
            f"author={author!r}: the Hub lists the Spaces of this owner under {others}. "
            f"Set author to that name."
        )
    raise OwnerWithoutSpaces(
        f"author={author!r}: the Hub lists no Spaces of this owner that the token can see. Check the "
        f"spelling and whether the owner was renamed, or set allow_empty=True if it may have no Spaces."
    )


@dataclass(frozen=True)
class SpaceSelection:
    """Selects Spaces of an owner that match all criteria. A criterion that is not set matches every Space.

    ::

        idle = SpaceSelection("acme", stages="RUNNING", include="demo-*")
        page = client.send(calls.list_spaces(author="acme", expand=SELECTED_BY))
        selected = idle.select(page)

    :param author: user or organization.
    :param stages: match Spaces in one of these stages. STOPPED and SLEEPING count as one stage.
    :param hardware: match Spaces that run on, or are set to, one of these flavors.
    :param billed_only: match Spaces that are billed now, or will be when their build is done.
    :param include: match Spaces whose id or name matches one of these globs, such as ``"acme/demo-*"`` or
        ``"demo-*"``; case does not matter.
    :param exclude: match Spaces whose id and name match none of these globs.
    :param tags: match Spaces that have all of these tags.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :raises InvalidInput: for an invalid owner, or an unknown stage or flavor.
    """

    author: str
    stages: str | Iterable[str] | None = None
    hardware: str | Iterable[str] | None = None
    billed_only: bool = False
    include: str | Iterable[str] | None = ()
    exclude: str | Iterable[str] | None = ()
    tags: str | Iterable[str] | None = ()
    offered: InitVar[Iterable[HardwareFlavor] | None] = None

    def __post_init__(self, offered: Iterable[HardwareFlavor] | None) -> None:
        if not isinstance(self.billed_only, bool):
            raise InvalidInput(f"billed_only must be True or False; got {self.billed_only!r}.")
        stages = frozenset[str]() if self.stages is None else checked_stages(self.stages)
        listed = list(offered or ()) or None
        hardware = (checked_hardware(each, listed) for each in texts(self.hardware, "hardware"))
        checked = {
            "author": checked_owner(self.author),
            "stages": stages | ASLEEP_STAGES if stages & ASLEEP_STAGES else stages,
            "hardware": frozenset(hardware),
            "include": tuple(texts(self.include, "include")),
            "exclude": tuple(texts(self.exclude, "exclude")),
            "tags": frozenset(texts(self.tags, "tags")),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def needs_runtime(self) -> bool:
        """Whether a criterion depends on the runtime of Spaces."""
        return bool(self.stages or self.hardware or self.billed_only)

    def matches(self, space: SpaceInfo) -> bool:
        """Return True if a Space matches all criteria.

        :param space: a Space with the properties in :data:`SELECTED_BY`. If its runtime is missing, it
            matches only if no criterion depends on the runtime.
        """
        return self.matches_name(space) and self.matches_runtime(space.runtime)

    def matches_name(self, space: SpaceInfo) -> bool:
        """Return True if the owner, the name and the tags of a Space match."""
        return (
            _owner(space.id).casefold() == self.author.casefold()
            and NameGlobs.from_options(self.include, self.exclude).matches(space.id)
            and frozenset(texts(self.tags, "tags")) <= frozenset(space.tags)
        )

    def matches_runtime(self, runtime: SpaceRuntime | None) -> bool:
        """Return True if the stage, the hardware and the cost of a Space match."""
        if not self.needs_runtime:
            return True
        if runtime is None:
            return False
        if self.stages and runtime.stage not in self.stages:
            return False
        if self.hardware and not {runtime.hardware, runtime.requested_hardware} & set(self.hardware):
            return False
        return not self.billed_only or _costs(runtime)

    def select(self, spaces: Iterable[SpaceInfo]) -> list[SpaceInfo]:
        """Return the Spaces that match, in the order of the argument."""
        return [space for space in spaces if self.matches(space)]


def _owner(repo_id: str) -> str:
    return repo_id.partition("/")[0]


def _costs(runtime: SpaceRuntime) -> bool:
    hardware = {runtime.hardware, runtime.requested_hardware} - {None} - FREE_HARDWARE
    return bool(hardware) and runtime.stage in WILL_BE_BILLED_STAGES
