"""Hands a medium to the agent that runs, or to one that is started for it and for nothing else.

The folder is opened here, by whoever asks: on a stick that only this person may look into, and in
places that the agent's unit does not see.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from littoral import durable, records
from littoral.errors import MalformedError, MisuseError, StorageError, UnreachableError
from littoral.tree import Tree
from littoral_agent import desk as answering
from littoral_agent import identity, owner
from littoral_agent.agent import alone
from littoral_agent.folder import Folder
from littoral_agent.leaving import leave
from littoral_agent.parts import Parts
from littoral_agent.receipt import Told
from littoral_agent.settings import Settings
from littoral_agent.taking import Taken

_GRACE_S: Final = 30.0  # beside what is waited for: the stick may be slow


def hand_over(
    tree: Tree, medium: Path, *, wait_s: float, writing: Callable[[], None] = lambda: None
) -> Taken:
    """Have the agent that runs on ``tree`` take ``medium``; return what came of it.

    ``writing`` is called before its receipt is left: it may make the medium writable.

    Raises:
        MisuseError: There is no such folder, or the device is not enrolled.
        UnreachableError: No agent listens there, or it does not hear this user.

    """
    with _opened(medium) as fd, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as desk:
        desk.settimeout(wait_s + _GRACE_S)
        try:
            desk.connect(str(tree.desk))
            socket.send_fds(desk, [b"%.3f" % wait_s], [fd])
            taken, receipt = answering.answer(desk)
        except (OSError, records.RecordError) as e:
            raise UnreachableError(
                f"{tree.desk}: the agent does not take it ({e}); run it as root, "
                "and see: littoral status"
            ) from e
        if taken.code == MisuseError.code:
            raise MisuseError(taken.detail)
        return _with_receipt(taken, receipt, fd, medium, writing=writing)


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
                taken = parts.offline.take(folder, wait_s)
                told, receipt = parts.offline.receipt()
                return _with_receipt(replace(taken, receipt=told), receipt, fd, medium)
            finally:
                parts.stop()


def _with_receipt(
    taken: Taken,
    receipt: bytes,
    fd: int,
    medium: Path,
    *,
    writing: Callable[[], None] = lambda: None,
) -> Taken:
    """Leave the receipt on the medium, if there is one and it can be written; say so."""
    told = taken.receipt
    if told is None or told.code is not None:
        return taken
    try:
        writing()
        file = leave(fd, taken.device, receipt, called=medium)
    except (StorageError, MalformedError) as e:
        return replace(taken, receipt=Told.not_so(e))
    return replace(taken, receipt=replace(told, file=file))


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
    said = [_whole(taken)] if taken.code else _models(taken)
    return "\n".join((*said, *_receipt(taken.receipt)))


def _whole(taken: Taken) -> str:
    verdict = "not yet" if taken.again else "refused"
    return f"{verdict}: {taken.detail} [{taken.code}]"


def _models(taken: Taken) -> list[str]:
    lines = []
    for one in taken.models:
        why = f": {one.detail} [{one.code}]" if one.code else ""
        serves = f"; release {one.serves} serves" if one.serves not in (None, one.release) else ""
        lines.append(f"{one.model}: release {one.release} is {one.verdict}{why}{serves}")
    return lines or ["nothing shall run here, and nothing does"]


def _receipt(told: Told | None) -> list[str]:
    if told is None:
        return []
    if told.code is not None:
        return [f"no receipt: {told.detail} [{told.code}]"]
    what = "1 report" if told.reports == 1 else f"{told.reports} reports"
    older = f"; {told.left} older ones did not fit, and wait here" if told.left else ""
    return [f"receipt: {told.file} tells of {what}{older}; at the console: littoral fleet import"]
