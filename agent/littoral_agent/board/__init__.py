"""How the board is: one module for each thing that a board may tell, and what collects it.

All of it is read from files that anybody may read: no device is opened, no program started,
so that it works within the service's walls too. What a board does not tell is None.
"""
