"""The log of a Space in the log of a task, for ``stream_logs``."""
