"""What the table in update.py asks for, one module a deed.

Each deed can be done twice. It returns what came of it, None if it is simply done;
UnreachableError and StorageError mean that it must be done again, later. No deed changes a
journal. Deeds are done in threads, one at a time for each model: a Halt tells one that it is no
longer wanted.
"""
