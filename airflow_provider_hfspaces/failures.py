"""Which errors a retry cannot fix, and what no error message may show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["failing_for_good", "mask_written"]


@contextmanager
def failing_for_good() -> Iterator[None]:
    """Fail the task at once for errors that a retry cannot fix.

    Input that is not valid, a rejected token, a missing Space: the task fails and keeps its retries. All
    other errors are raised as they are, and retried as the task's settings say. Either way the task's log
    shows one traceback: the message contains all that the error's cause could add.

    :raises AirflowFailException: with the message of the error.
    """
    from airflow_provider_hfspaces.compat.imports import AirflowFailException
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError

    try:
        yield
    except InvalidInput as error:
        raise AirflowFailException(str(error)) from None
    except (HubError, SpaceWaitError) as error:
        if error.permanent:
            raise AirflowFailException(str(error)) from None
        raise error from None


def mask_written(secret: str) -> None:
    """Mask a secret in Airflow's logs in every form that a message may contain: plain, in JSON, in a repr."""
    from airflow_provider_hfspaces.compat.imports import mask_secret
    from airflow_provider_hfspaces.hub.errors import written_forms

    for form in sorted(written_forms(secret)):
        mask_secret(form)
