"""What is done to a device that must not hurt it: kills, disks that say no, and worse.

Each harness counts what it tried, and its oracle is shown to bite. docs/faults.md has the figures.
"""
