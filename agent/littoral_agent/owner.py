"""Whose a device's folder is: what root does in it, it does as its owner.

A person enrols with sudo; the agent, which is not root, must be able to read what that leaves.
"""

import os
from pathlib import Path


def become(folder: Path) -> None:
    """Be the owner of ``folder`` from now on, if this is root and it is somebody else's."""
    if os.geteuid() != 0 or not folder.exists():
        return
    owner = folder.stat()
    if owner.st_uid != 0:
        os.setgroups([])
        os.setgid(owner.st_gid)
        os.setuid(owner.st_uid)
