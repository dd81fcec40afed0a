"""Waits for Spaces.

:mod:`.goal` says when a Space has reached a goal, :mod:`.wait` judges the runtimes of one wait, :mod:`.watch`
runs many waits on an event loop, and :mod:`.polling`, :mod:`.owner` and :mod:`.looks` read the runtimes.
"""
