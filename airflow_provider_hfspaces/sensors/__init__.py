"""Sensors: is it true of a Space yet?"""
