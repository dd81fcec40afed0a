"""Faults: requests that go wrong on purpose, reproducibly."""
