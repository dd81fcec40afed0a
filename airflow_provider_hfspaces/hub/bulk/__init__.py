"""Bulk operations on many Spaces, within the Hub's rate limit.

:mod:`.selection` and :mod:`.globs` select Spaces, :mod:`.lookup` reads their runtimes, :mod:`.queue` runs one
call for each of them, and :mod:`.progress` reports the progress.
"""
