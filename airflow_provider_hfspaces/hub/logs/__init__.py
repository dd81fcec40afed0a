"""The logs of Spaces.

:mod:`.event` parses the events of a log, :mod:`.position` remembers how far a reader has read, and
:mod:`.streams` lets many readers share one connection for each log.
"""
