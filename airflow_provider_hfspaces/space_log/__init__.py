"""Shows the log of a Space in the log of a task, for ``stream_logs``.

``thread.py`` does so in a worker, and ``triggers/space_logs.py`` in the triggerer. Both use ``tail.py``.
"""
