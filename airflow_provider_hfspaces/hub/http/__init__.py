"""The HTTP clients of the Hub.

:mod:`.client` and :mod:`.aio` do the I/O, blocking and asynchronously. :mod:`.core` and the other modules
decide without I/O: retries, rate limits, redirects, pagination and size limits.
"""
