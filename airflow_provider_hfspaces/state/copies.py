"""The mark of a copy, by which tasks recognise a copy that they may delete: a variable, and the name.

The mark names the task that uses the copy by a random id only, as a lease does. Which task the id stands for
is in a Variable of this Airflow, see :mod:`airflow_provider_hfspaces.state.leases`.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow_provider_hfspaces.compat.server import delete_variable, set_variable
from airflow_provider_hfspaces.hub.cost.runs import Sighting
from airflow_provider_hfspaces.hub.lease.record import LeaseHolder, Standing
from airflow_provider_hfspaces.state.leases import LeaseOwner, have_ended, variable_name
from airflow_provider_hfspaces.state.pricing import seen_at_end

if TYPE_CHECKING:
    from airflow_provider_hfspaces.hooks.hfspaces import HfSpacesHook
    from airflow_provider_hfspaces.hub.models import SpaceInfo, SpaceRuntime
    from airflow_provider_hfspaces.state.leases import Owners

__all__ = [
    "COPY_OF",
    "CopyMark",
    "forget_user",
    "is_copy_name",
    "is_left_behind",
    "is_task_over",
    "remember_user",
    "sightings_of_copy",
]

log = logging.getLogger(__name__)

COPY_OF = "AIRFLOW_COPY_OF"
"""The variable that holds the mark."""

_MAX_NAME_CHARACTERS = 96
_DIGITS_IN_NAME = 12
_NAME = re.compile(rf".*-copy-[0-9a-f]{{{_DIGITS_IN_NAME}}}")
_HOLDER_ID = re.compile(r"[0-9a-f]{32}")

_CLOCK_SKEW = timedelta(minutes=5)
"""How much this host's clock may differ from the Hub's without a copy being taken for an older Space."""

_DESCRIPTION = "Kept by airflow-provider-hfspaces while this task's run uses a copy of a Space."


@dataclass(frozen=True)
class CopyMark:
    """The mark of a Space that is a copy for one run.

    The mark names the copy itself. The Hub copies variables, so a copy of the copy has the variable too, but
    the mark in it names another Space and does not count. A copy that a user renames, to keep it, also loses
    its mark.

    :ivar copy_id: the copy, as ``owner/name``. Its name ends with ``-copy-`` and the first digits of
        :attr:`holder_id`.
    :ivar source_id: the Space that was copied.
    :ivar holder_id: a random id of the task whose run uses the copy.
    :ivar since: when the name was reserved, in UTC. The copy is younger.
    :ivar until: when the copy counts as left behind for an Airflow that does not know the run, in UTC.
    """

    copy_id: str
    source_id: str
    holder_id: str
    since: datetime
    until: datetime

    @classmethod
    def new(cls, source_id: str, base_id: str, lifetime: float) -> CopyMark:
        """Return the mark of a copy that does not exist yet, with a name that no other copy has.

        :param source_id: the Space to copy.
        :param base_id: the owner of the copy and the beginning of its name, as ``owner/name``.
        :param lifetime: seconds from now to :attr:`until`.
        """
        holder_id, now = secrets.token_hex(16), datetime.now(timezone.utc)
        owner, _, name = base_id.partition("/")
        ending = f"-copy-{holder_id[:_DIGITS_IN_NAME]}"
        beginning = name[: _MAX_NAME_CHARACTERS - len(ending)].rstrip("-.")
        return cls(
            f"{owner}/{beginning}{ending}", source_id, holder_id, now, now + timedelta(seconds=lifetime)
        )

    @classmethod
    def from_dict(cls, payload: Any) -> CopyMark | None:
        """Read :meth:`to_dict`; ``None`` for anything else."""
        try:
            mark = cls(
                copy_id=str(payload["copy"]),
                source_id=str(payload["source"]),
                holder_id=str(payload["holder"]),
                since=_moment(payload["since"]),
                until=_moment(payload["until"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None
        return mark if mark._has_its_name() else None

    @classmethod
    def from_variables(cls, repo_id: str, variables: Mapping[str, Any]) -> CopyMark | None:
        """Return the mark of a Space, ``None`` if it has no mark of its own.

        :param repo_id: the Space, as ``owner/name``.
        :param variables: its variables by their keys, as ``HfSpacesHook.get_variables`` returns them.
        """
        variable = variables.get(COPY_OF)
        try:
            payload = json.loads(variable.value if variable is not None else "")
        except (ValueError, TypeError, RecursionError):
            return None
        mark = cls.from_dict(payload)
        return mark if mark is not None and mark.copy_id.lower() == repo_id.lower() else None

    def to_dict(self) -> dict[str, str]:
        """Return the mark as plain JSON."""
        return {
            "copy": self.copy_id,
            "source": self.source_id,
            "holder": self.holder_id,
            "since": self.since.isoformat(),
            "until": self.until.isoformat(),
        }

    def to_variable(self) -> str:
        """Return the value of the variable."""
        return json.dumps(self.to_dict())

    def fits(self, space: SpaceInfo) -> bool:
        """Return whether a Space can be the copy: it has the mark's id, and is not older than the mark."""
        if space.id.lower() != self.copy_id.lower():
            return False
        try:
            created_at = _moment((space.created_at or "").replace("Z", "+00:00"))
        except ValueError:
            return False
        return created_at >= self.since - _CLOCK_SKEW

    def as_holder(self) -> LeaseHolder:
        """Return the user of the copy in the form of a lease holder, for :class:`~.leases.Owners`."""

        return LeaseHolder(self.holder_id, 1, self.since, self.until)

    def _has_its_name(self) -> bool:
        is_id = bool(_HOLDER_ID.fullmatch(self.holder_id))
        return is_id and self.copy_id.lower().endswith(f"-copy-{self.holder_id[:_DIGITS_IN_NAME]}")


def is_copy_name(repo_id: str) -> bool:
    """Return whether a Space has the name of a copy, and so may have a mark."""
    return bool(_NAME.fullmatch(repo_id.lower()))


def remember_user(mark: CopyMark, user: LeaseOwner) -> None:
    """Keep in an Airflow Variable which task the id in a mark stands for."""

    set_variable(variable_name(mark.holder_id), user.to_dict(), _DESCRIPTION)


def forget_user(mark: CopyMark) -> None:
    """Delete the Variable of :func:`remember_user`, because the copy is deleted."""

    delete_variable(variable_name(mark.holder_id))


def sightings_of_copy(
    hook: HfSpacesHook, mark: CopyMark, runtime: SpaceRuntime, at: datetime, log: Any
) -> list[Sighting]:
    """Return what is known of the bill of a copy that was not seen running before.

    Endpoint: ``GET /api/spaces/{repo_id}/logs/run``.

    :param at: when the Hub reported the runtime, in UTC.
    """

    reserved = Sighting(mark.since, None)
    hardware = runtime.configured_hardware
    if hardware is None:
        return [reserved]
    return [
        reserved,
        *seen_at_end(
            hook,
            mark.copy_id,
            runtime,
            at=at,
            requested_at=mark.since,
            hardware=hardware,
            log=log,
            is_new=True,
        ),
    ]


def is_task_over(ti: Any, task_id: str) -> bool:
    """Return whether another task of a run, mapped like this one, has ended; False without an answer."""

    owner = LeaseOwner.from_task_instance(ti, task_id)
    try:
        return have_ended(owner, [task_id])
    except Exception as error:
        log.warning("Airflow does not say whether %s has ended: %s", owner, error)
        return False


def is_left_behind(mark: CopyMark, owners: Owners) -> tuple[bool, str]:
    """Return whether no task deletes a copy any more, and the reason in words.

    Only Airflow's own answer that a run has ended counts. A copy of another Airflow is left behind when its
    mark has expired. The copy of a run that stays "running" for ever, because its DAG file is gone, is left
    behind when the mark has expired and no task of the run is queued, running or deferred.

    :param owners: what this Airflow knows about the users of copies.
    """

    holder = mark.as_holder()
    user = owners.owner(holder)
    until = f"{mark.until:%Y-%m-%d %H:%M} UTC"
    if user is None:
        if mark.holder_id in owners.unanswered:
            return False, "Airflow does not say which run uses it"
        if holder.is_expired(datetime.now(timezone.utc)):
            return True, f"made by another Airflow, for use until {until}"
        return False, f"used by another Airflow until {until} at the latest"
    standing = owners.judge(holder)
    if standing is Standing.OVER:
        return True, f"left behind by {user}, which is over"
    if standing is Standing.UNKNOWN:
        return False, f"Airflow does not say whether {user} is over"
    return False, f"used by {user}"


def _moment(text: str) -> datetime:
    """Return a moment in UTC.

    :raises ValueError: for any other text.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
