"""``littoral bench``: how fast a model is on this machine. docs/bench.md says what each figure is.

A model is measured in a process of its own (``child``), which knows nothing of what is asked of
it as a whole; all else happens beside it. Nothing here serves, and nothing is imported by serve.
"""
