"""How the board is, as its kernel shows it: one module for each thing that a board may tell.

All of it is read from files that anybody may read: no device is opened, no program started,
so that it works within a service's walls too. What a board does not tell is None. The agent
reports it, and bench measures beside it.
"""
