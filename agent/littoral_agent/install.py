"""Hands a medium to the agent that runs, or to one that is started for it and for nothing else.

The folder is opened here, by whoever asks: on a stick that only this person may look into, and in
places that the agent's unit does not see.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from littoral import durable, records
from littoral.errors import MisuseError, UnreachableError
from littoral.tree import Tree
from littoral_agent import identity, owner
from littoral_agent.agent import alone
from littoral_agent.desk import MOST_BYTES
from littoral_agent.folder import Folder
from littoral_agent.parts import Parts
from littoral_agent.settings import Settings
from littoral_agent.taking import Taken

_GRACE_S: Final = 30.0  # beside what is waited for: the stick may be slow


def hand_over(tree: Tree, medium: Path, *, wait_s: float) -> Taken:
    """Have the agent that runs on ``tree`` take ``medium``; return what came of it.

    Raises:
        MisuseError: There is no such folder.
        UnreachableError: No agent listens there, or it does not hear this user.

    """
    with _opened(medium) as fd, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as desk:
        desk.settimeout(wait_s + _GRACE_S)
        try:
            desk.connect(str(tree.desk))
            socket.send_fds(desk, [b"%.3f" % wait_s], [fd])
            data = b"".join(iter(lambda: desk.recv(MOST_BYTES), b""))
            return records.from_json(Taken, data, limit=MOST_BYTES)
        except (OSError, records.RecordError) as e:
            raise UnreachableError(
                f"{tree.desk}: the agent does not take it ({e}); run it as root, "
                "and see: littoral status"
            ) from e


def by_itself(tree: Tree, settings: Settings, medium: Path, *, wait_s: float) -> Taken:
    """Take ``medium`` where no agent runs, as the owner of ``tree``; the agent goes on from there.

    Raises:
        MisuseError: There is no such folder, or the device is not enrolled.
        DeniedError: An agent runs after all.
        StorageError: The disk refuses.

    """
    with _opened(medium) as fd:
        with durable.storage_errors(tree.root):
            owner.become(tree.root)
            tree.make()
        with alone(tree):
            folder = Folder(Path(f"/proc/self/fd/{fd}"), called=str(medium))
            parts = Parts(tree, settings, identity.of(tree).read(), alone=True)
            parts.start()
            try:
                return parts.offline.take(folder, wait_s)
            finally:
                parts.stop()


@contextmanager
def _opened(medium: Path) -> Iterator[int]:
    try:
        fd = os.open(medium, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as e:
        raise MisuseError(f"{medium}: expected a folder: {e.strerror}") from e
    try:
        yield fd
    finally:
        os.close(fd)


def text(taken: Taken) -> str:
    """Return what is said of it: a line for each model."""
    if taken.code is not None:
        verdict = "not yet" if taken.again else "refused"
        return f"{verdict}: {taken.detail} [{taken.code}]"
    lines = []
    for one in taken.models:
        why = f": {one.detail} [{one.code}]" if one.code else ""
        serves = f"; release {one.serves} serves" if one.serves not in (None, one.release) else ""
        lines.append(f"{one.model}: release {one.release} is {one.verdict}{why}{serves}")
    return "\n".join(lines) or "nothing shall run here, and nothing does"
