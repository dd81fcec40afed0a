"""Waiting until a Space reaches a goal."""
