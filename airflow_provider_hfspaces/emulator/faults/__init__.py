"""Faults: the rules by which requests go wrong (``rules``), and what each kind does (``kinds``)."""
