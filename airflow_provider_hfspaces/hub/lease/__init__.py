"""The lease of a Space: who has it to itself, and the state to restore afterwards.

Come here to see how two owners are kept apart. :mod:`.record` says what a lease is and who gets it next,
without I/O; :mod:`.store` keeps the record on a branch of a repository on the Hub; :mod:`.actions` takes,
uses, gives back and takes over a lease, in steps for both clients.
"""
