"""Which Spaces of an owner are meant: by stage, hardware, cost, name and tags."""

from __future__ import annotations

from collections.abc import Iterable
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

__all__ = ["SELECTED_BY", "SpaceSelection"]

SELECTED_BY = ("runtime", "tags")
"""What a list of Spaces has to show of each, for a selection to judge by: the names for ``expand``."""


@dataclass(frozen=True)
class SpaceSelection:
    """Some of an owner's Spaces. What is not said does not narrow it down.

    :param author: user or organization.
    :param stages: any of these; STOPPED and SLEEPING stand for each other.
    :param hardware: set to, or running on, any of these flavors.
    :param billed_only: only those that cost money now, or will when their build is done.
    :param include: globs such as ``"acme/demo-*"`` or ``"demo-*"``, one of which the id or the name
        fits, in whatever case.
    :param exclude: the same, none of which fits.
    :param tags: all of these.
    :param offered: the Hub's price list, to accept flavors that are newer than this version.
    :raises InvalidInput: for an owner, a stage or a flavor that there is not.
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

    def matches(self, space: SpaceInfo) -> bool:
        """Whether a Space is one of them; it has to show what :data:`SELECTED_BY` names."""
        owner, _, _ = space.id.partition("/")
        return (
            owner.casefold() == self.author.casefold()
            and NameGlobs.of(self.include, self.exclude).fit(space.id)
            and frozenset(texts(self.tags, "tags")) <= frozenset(space.tags)
            and self._fits_runtime(space.runtime)
        )

    def select(self, spaces: Iterable[SpaceInfo]) -> list[SpaceInfo]:
        """Those that match, in the same order."""
        return [space for space in spaces if self.matches(space)]

    def _fits_runtime(self, runtime: SpaceRuntime | None) -> bool:
        if not (self.stages or self.hardware or self.billed_only):
            return True
        if runtime is None:
            return False
        if self.stages and runtime.stage not in self.stages:
            return False
        if self.hardware and not {runtime.hardware, runtime.requested_hardware} & set(self.hardware):
            return False
        return not self.billed_only or _costs(runtime)


def _costs(runtime: SpaceRuntime) -> bool:
    hardware = {runtime.hardware, runtime.requested_hardware} - {None} - FREE_HARDWARE
    return bool(hardware) and runtime.stage in WILL_BE_BILLED_STAGES
