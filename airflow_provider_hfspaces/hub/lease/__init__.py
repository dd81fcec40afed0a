"""The lease of a Space: which holder may change the Space now, and the state to restore afterwards.

Come here to change how two holders are kept apart. :mod:`.record` has the record and decides who gets the
lease next, without I/O. :mod:`.store` keeps the record on a branch of a repository on the Hub.
:mod:`.actions` takes, uses, gives back and takes over a lease, as steps for both clients.
"""
