"""State that outlives one try of a task: the retry store, leases and the ledger of paused Spaces."""
