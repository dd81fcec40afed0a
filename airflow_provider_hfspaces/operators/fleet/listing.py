"""List the Spaces of an owner."""

from __future__ import annotations

from airflow_provider_hfspaces.compat.imports import Context
from airflow_provider_hfspaces.operators.fleet.selecting import SelectingOperator

__all__ = ["ListSpacesOperator"]


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
        from airflow_provider_hfspaces.rendered import as_list

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
