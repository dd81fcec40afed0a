"""How what goes wrong with a Space ends a task: with a retry where that could help, without where not.

And what no message of it may show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["failing_for_good", "mask_written"]


@contextmanager
def failing_for_good() -> Iterator[None]:
    """Turn errors that another try would meet again into ``AirflowFailException``.

    Bad input, a refused token, a Space that does not exist: the task fails at once and keeps its
    retries. Everything else goes through as it is and is retried as the task says.

    :raises AirflowFailException: with the words of the error.
    """
    from airflow_provider_hfspaces.compat.imports import AirflowFailException
    from airflow_provider_hfspaces.hub.checks import InvalidInput
    from airflow_provider_hfspaces.hub.errors import HubError, SpaceWaitError

    try:
        yield
    except InvalidInput as error:
        raise AirflowFailException(str(error)) from error
    except (HubError, SpaceWaitError) as error:
        if error.permanent:
            raise AirflowFailException(str(error)) from error
        raise


def mask_written(secret: str) -> None:
    """Have Airflow mask a secret in each form in which a log may show it: plain, in JSON, in a repr."""
    from airflow_provider_hfspaces.compat.imports import mask_secret
    from airflow_provider_hfspaces.hub.errors import written_forms

    for form in sorted(written_forms(secret)):
        mask_secret(form)
