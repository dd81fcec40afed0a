"""Helpers for tests of copies: the tasks of a copy group, executed directly instead of by Airflow."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow_provider_hfspaces.emulator import HubEmulator
from airflow_provider_hfspaces.operators.copies import DeleteCopiesOperator
from airflow_provider_hfspaces.operators.copies.limit import LimitCopyCostOperator
from airflow_provider_hfspaces.operators.copies.window import (
    CreateCopyOperator,
    DeleteCopyOperator,
    ReserveCopyOperator,
)
from airflow_provider_hfspaces.state.copies import COPY_OF, CopyMark
from airflow_provider_hfspaces.state.leases import variable_name
from tests.airflow_tools import Try

SPACE = "acme/whisper"


class CopyWindow:
    """The three tasks of a run that works on a copy.

    :param max_run_cost: the limit of the task ``limit``.
    :param options: arguments of ``create``.
    """

    def __init__(
        self,
        run_id: str = "run",
        *,
        source: str = SPACE,
        to_id: str = SPACE,
        max_run_cost: Any = 5,
        **options: Any,
    ) -> None:
        arguments = {"hardware": "t4-small", "sleep_time": 3600, "poll_interval": 0.02, "timeout": 300}
        self.reserve = ReserveCopyOperator(task_id="reserve", repo_id=source, to_id=to_id)
        self.create = CreateCopyOperator(task_id="create", from_id=source, **{**arguments, **options})
        self.delete = DeleteCopyOperator(task_id="delete", repo_id=source)
        self.limit = LimitCopyCostOperator(
            task_id="limit", repo_id=source, max_run_cost=max_run_cost, closing_task="delete"
        )
        self.tasks = Try(self.reserve, self.create, self.limit, self.delete)
        self.tasks.ti.run_id = run_id

    def run(self, *names: str) -> list[Any]:
        """Run one try of each of these tasks."""
        return [self.tasks.run(getattr(self, name)) for name in names]

    @property
    def copy_id(self) -> str:
        """The id of the copy."""
        return str(self.tasks.xcom("reserve", "repo_id"))


def sweep(**options: Any) -> Any:
    """Run a DeleteCopiesOperator, and return its report."""
    return Try().run(DeleteCopiesOperator(**{"task_id": "copies", "author": "acme", **options}))


def copies(hub: HubEmulator) -> list[str]:
    """The ids of the Spaces with the mark of a copy, or a part of one."""
    return [each.repo_id for each in hub.world.spaces.values() if COPY_OF in each.variables]


def add_marked_copy(hub: HubEmulator, *, hours_left: float = 24, **options: Any) -> CopyMark:
    """Add a copy that this Airflow did not make.

    :param hours_left: hours until its mark expires.
    """
    mark = CopyMark.new(SPACE, SPACE, 3600)
    mark = replace(mark, until=mark.since + timedelta(hours=hours_left))
    arguments = {"private": True, "hardware": "t4-small", **options}
    hub.add_space(mark.copy_id, variables={COPY_OF: mark.to_variable()}, **arguments)
    return mark


def foreign_spaces(hub: HubEmulator, chance: random.Random) -> list[str]:
    """Spaces that are no copies of this package, although their names, marks or owners look so."""
    digits = f"{chance.getrandbits(48):012x}"
    other = CopyMark.new(SPACE, "acme/other", 1)
    of_other_owner = CopyMark.new(SPACE, "lab/whisper", 1)
    published_mark = CopyMark.new(SPACE, SPACE, 1)
    moved_mark = CopyMark.new(SPACE, SPACE, 1)
    older = CopyMark.new(SPACE, SPACE, 1)
    unnamed_mark = CopyMark.new(SPACE, SPACE, 1)
    longer = f"acme/{'x' * chance.randrange(1, 70)}-copy-{digits}"
    spaces: list[tuple[str, Any, bool]] = [
        (longer, None, True),
        (f"acme/text-copy-{digits}", "no mark", True),
        (f"acme/json-copy-{digits}", '{"copy": 1}', True),
        (f"acme/other-copy-{digits}", other.to_variable(), True),
        (f"acme/holder-copy-{digits}", other.to_variable().replace(other.holder_id, digits), True),
        (of_other_owner.copy_id, of_other_owner.to_variable(), True),
        (published_mark.copy_id, published_mark.to_variable(), False),
        (f"acme/kept-copy-{moved_mark.holder_id[:12]}", moved_mark.to_variable(), True),
        (
            f"acme/plain-{digits}",
            unnamed_mark.to_variable().replace(unnamed_mark.copy_id, f"acme/plain-{digits}"),
            True,
        ),
        (older.copy_id, older.to_variable(), True),
    ]
    for repo_id, mark, private in spaces:
        hub.add_space(repo_id, private=private, variables={COPY_OF: mark} if mark else {})
    hub.world.spaces[older.copy_id].created -= 24 * 3600
    return [repo_id for repo_id, _, _ in spaces]


def remember(variables: Any, mark: CopyMark, run_id: str) -> None:
    """Save the Variable that names the run of a copy."""
    user = {"dag_id": "dag", "run_id": run_id, "task_id": "gpu.reserve", "map_index": -1, "restore_tasks": []}
    variables[variable_name(mark.holder_id)] = json.dumps(user)
