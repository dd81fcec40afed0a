"""The exceptions of a batch, as one tree. Come here to see what to catch.

BatchError
├── OutputInUse        another worker is writing to the output folder
├── ClaimLost          another worker has taken over the output folder
├── OutputFailed       the storage of the output folder failed while the batch ran
├── ItemFailed         the app answered an item with an error, and the batch ends at the first failed item
├── TooManyFailures    the app answered more items with errors than the batch allows
├── BatchTimeout       the batch did not end in time
├── BatchStopped       the caller stopped the batch
└── BatchStalled       the app answered no item for too long

InvalidItems and InvalidOutput (InvalidInput, a ValueError): an argument is not valid, and nothing was sent

After each error, the journal has the completed items, and the next run with the output folder continues
there.
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
    """The items are not valid. The text has the line or the position."""


class InvalidOutput(InvalidInput):
    """The output folder cannot be written, or holds the results of another batch."""


class BatchError(Exception):
    """A batch ended before all of its items were done."""

    permanent: bool = False
    """False if a later run with the same output folder could finish the batch."""


class OutputInUse(BatchError):
    """Another worker is writing to the output folder."""


class ClaimLost(BatchError):
    """Another worker has taken over the output folder from this worker."""


class OutputFailed(BatchError):
    """The storage of the output folder failed while the batch ran."""


class ItemFailed(BatchError):
    """The app answered an item with an error, and the batch ends at the first failed item."""


class TooManyFailures(BatchError):
    """The app answered more items with errors than the batch allows."""


class BatchTimeout(BatchError):
    """The batch did not end in time."""


class BatchStopped(BatchError):
    """The caller stopped the batch."""


class BatchStalled(BatchError):
    """The app answered no item for too long."""
