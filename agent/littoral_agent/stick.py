"""``python -m littoral_agent.stick sda1`` hands the stick on that partition to the agent.

What udev starts where this device's owner allowed it (docs/offline.md): in a mount namespace that
ends with it, so that nobody else sees the stick and, however this ends, nothing stays mounted. It
can be written only while its receipt is left, and nothing on it is run.
"""

import os
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from littoral.errors import ChildError, LittoralError, MisuseError, StorageError
from littoral.tree import DATA, Tree
from littoral_agent import child
from littoral_agent.install import hand_over, text
from littoral_agent.taking import Taken

KINDS: Final = "vfat,exfat,ext4"  # of file systems; the rule of udev's says the same
WAIT_S: Final = 600.0
_HARMLESS: Final = "nosuid,nodev,noexec"
_MOUNT: Final = "/bin/mount"
_MOUNTED_S: Final = 60.0  # a journal may have to be replayed
_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,30}")

Mount = Callable[..., None]  # with the words of mount(8)


def take(tree: Tree, name: str, place: Path, *, wait_s: float, mount: Mount) -> Taken:
    """Mount the block device ``name`` at ``place``, and hand it over; return what came of it.

    Raises:
        MisuseError: No block device is called so.
        StorageError: It cannot be mounted: it is none of the file systems that are taken.
        UnreachableError: No agent takes it.

    """
    if not _NAME.fullmatch(name):
        raise MisuseError(f"expected the name of a partition, as sda1, found {name[:60]!r}")
    mount("-t", KINDS, "-o", f"ro,{_HARMLESS}", f"/dev/{name}", place)
    writable = partial(mount, "-o", f"remount,rw,{_HARMLESS}", place)
    return hand_over(tree, place, wait_s=wait_s, writing=writable)


def mount(*words: str | Path) -> None:
    """Let the system mount, or mount otherwise, what ``words`` say. Raises StorageError."""
    try:
        child.run((_MOUNT, *map(str, words)), within_s=_MOUNTED_S).answer  # noqa: B018
    except ChildError as e:
        raise StorageError(f"{words[-1]}: cannot be mounted: {e}") from e


def main(name: str) -> int:
    place = Path(os.environ["RUNTIME_DIRECTORY"])
    try:
        taken = take(Tree(DATA), name, place, wait_s=WAIT_S, mount=mount)
    except LittoralError as e:
        sys.stderr.write(f"{e} [{e.code}]\n")
        return e.exit_code
    sys.stdout.write(f"{text(taken)}\n")
    return 0 if taken.well else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
