"""Faults: the rules by which requests fail (``rules``), and what each kind of fault does (``kinds``).

``apps`` has the kinds of faults that strike requests to the apps of Spaces.
"""
