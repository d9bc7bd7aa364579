"""How a number of bytes is written for people, in every terminal and on every page."""

from typing import Final

_SIZES: Final = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def size(count: int) -> str:
    """Return a number of bytes in decimal units, as disks and networks are sold."""
    for unit, name in _SIZES:
        if round(count, 3 - len(str(count))) >= unit:  # as it will be written
            return f"{count / unit:.3g} {name}"
    return f"{count} B"


def progress(done: int, total: int) -> str:
    """Return how many bytes of how many, never more than all."""
    return f"{size(min(done, total))} of {size(total)}"


def mib(count: float) -> str:
    """Return a number of MiB, as a board tells of its memory and disk, in the same units."""
    return size(round(count * 2**20))
