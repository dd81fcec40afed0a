"""Operators: what should be true of a Space."""
