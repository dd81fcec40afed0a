"""The errors of a batch.

BatchError
├── OutputInUse        another worker writes to the output folder at this moment
├── ClaimLost          another worker has taken the output folder over
├── OutputFailed       the storage of the output folder failed while the batch ran
├── ItemFailed         the app answered one item with an error, and one is enough to end the batch
├── TooManyFailures    the app answered more items with errors than the batch allows
├── BatchTimeout       the batch did not end in time
├── BatchStopped       the batch was stopped from outside
└── BatchStalled       the app answered no item for too long

InvalidItems and InvalidOutput (InvalidInput, a ValueError): nothing was sent to the app

After every error, what was done is in the journal, and the next run with the same output folder continues.
"""

from __future__ import annotations

from airflow_provider_hfspaces.hub.errors import InvalidInput

__all__ = [
    "BatchError",
    "BatchStalled",
    "BatchStopped",
    "BatchTimeout",
    "ClaimLost",
    "InvalidItems",
    "InvalidOutput",
    "ItemFailed",
    "OutputFailed",
    "OutputInUse",
    "TooManyFailures",
]


class InvalidItems(InvalidInput):
    """The items are not valid. The message names the line or the position."""


class InvalidOutput(InvalidInput):
    """The output folder cannot be written, or holds the results of another batch."""


class BatchError(Exception):
    """A batch ended before all of its items were done."""

    permanent: bool = False
    """False if a later run with the same output folder could finish the batch."""


class OutputInUse(BatchError):
    """Another worker writes to the output folder at this moment."""


class ClaimLost(BatchError):
    """Another worker has taken the output folder over from this one."""


class OutputFailed(BatchError):
    """The storage of the output folder failed while the batch ran."""


class ItemFailed(BatchError):
    """The app answered an item with an error."""


class TooManyFailures(BatchError):
    """The app answered more items with errors than the batch allows."""


class BatchTimeout(BatchError):
    """The batch did not end in time."""


class BatchStopped(BatchError):
    """The batch was stopped from outside."""


class BatchStalled(BatchError):
    """The app answered no item for too long."""
