"""The board that the agent reports: what it is, its accelerators, what of it is alarming.

What its kernel shows is littoral.board's to read; this looks once a minute, and keeps windows.
"""
