"""How much room there is where the device's data lies."""

import os
from pathlib import Path
from typing import Final

_MIB: Final = 2**20


def room_mib(folder: Path) -> tuple[float | None, float | None]:
    """Return the size of the file system of ``folder``, and what is free of it for the agent."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None, None
    return found.f_blocks * found.f_frsize / _MIB, found.f_bavail * found.f_frsize / _MIB
