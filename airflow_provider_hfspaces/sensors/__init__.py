"""Sensors that wait for a Space: import them from ``sensors.spaces``."""
