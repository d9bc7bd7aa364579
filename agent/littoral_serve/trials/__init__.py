"""A candidate's first run, in a process that may be lost. What serves is not touched."""
