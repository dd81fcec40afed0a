"""Select some of an owner's Spaces by stage, hardware, cost, name and tags."""

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
"""The properties that a listed Space needs for a selection: the values of ``expand``."""


class OwnerWithoutSpaces(InvalidInput):
    """The Hub lists no Spaces for this owner."""


def owned_spaces(author: str, listed: Sequence[SpaceInfo], *, allow_empty: bool) -> list[SpaceInfo]:
    """The listed Spaces of an owner, whose name may be misspelt or out of date.

    :param listed: the Hub's list for this author.
    :param allow_empty: accept an owner without Spaces.
    :raises OwnerWithoutSpaces: if the owner has no Spaces.
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
    """Criteria for an owner's Spaces. A criterion that is not set matches every Space.

    :param author: user or organization.
    :param stages: in any of these stages; STOPPED and SLEEPING stand for each other.
    :param hardware: running on, or set to, any of these flavors.
    :param billed_only: billed now, or as soon as a build that is under way is done.
    :param include: id or name matches any of these globs, such as ``"acme/demo-*"`` or ``"demo-*"``,
        case-insensitively.
    :param exclude: id and name match none of these globs.
    :param tags: has all of these tags.
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
            raise InvalidInput(f"billed_only is True or False; got {self.billed_only!r}.")
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
        """Whether a criterion depends on the runtime of a Space."""
        return bool(self.stages or self.hardware or self.billed_only)

    def matches(self, space: SpaceInfo) -> bool:
        """Whether a Space is selected. It needs the properties in :data:`SELECTED_BY`.

        A Space without a readable runtime matches only if no criterion needs one.
        """
        return self.matches_name(space) and self.matches_runtime(space.runtime)

    def matches_name(self, space: SpaceInfo) -> bool:
        """Whether the owner, the name and the tags of a Space match."""
        return (
            _owner(space.id).casefold() == self.author.casefold()
            and NameGlobs.from_options(self.include, self.exclude).matches(space.id)
            and frozenset(texts(self.tags, "tags")) <= frozenset(space.tags)
        )

    def matches_runtime(self, runtime: SpaceRuntime | None) -> bool:
        """Whether the stage, the hardware and the cost of a Space match."""
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
        """The Spaces that match, in the same order."""
        return [space for space in spaces if self.matches(space)]


def _owner(repo_id: str) -> str:
    return repo_id.partition("/")[0]


def _costs(runtime: SpaceRuntime) -> bool:
    hardware = {runtime.hardware, runtime.requested_hardware} - {None} - FREE_HARDWARE
    return bool(hardware) and runtime.stage in WILL_BE_BILLED_STAGES
