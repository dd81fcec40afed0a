"""The transports of the app's client.

:mod:`.exchange` has the requests and answers without I/O. :mod:`.threads` and :mod:`.aio` send them, blocking
and asynchronously, the latter with :mod:`.connections`.
"""
