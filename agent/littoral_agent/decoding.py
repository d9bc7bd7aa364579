"""Lets a file be made of an encoding that is here, in a process of its own: littoral_agent.decode.

What comes out is written into the file's part and hashed, whatever that process says: the file's
digest decides. How it ended decides whose fault it is that no file came of it.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

from littoral import durable
from littoral.bundle.manifest import Encoding, File
from littoral.errors import (
    ChildError,
    EncodingError,
    EndlessError,
    LittoralError,
    StorageError,
    one_line,
)
from littoral.tree import Tree
from littoral_agent import child, decode_status
from littoral_agent.halting import Halt
from littoral_agent.part import Part
from littoral_agent.streams import CHUNK_BYTES

LEAST_CPU_S: Final = 10
BYTES_PER_CPU_S: Final = 2 * 2**20  # a tenth of what the slowest board of ours does
LEAST_S: Final = 60.0  # and so much longer may it take, where it has to wait for its turn
_MOST_SAID: Final = 1000
# Nothing that a decoder reads makes it end so: somebody ends it, or it could not even begin.
_ENDED: Final = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_NOT_BEGUN: Final = frozenset({1, 2, decode_status.LEFT, decode_status.STARVED})


class StarvedError(ChildError):
    """There was no memory or time for it here: no fault of the encoding's."""


def decoded(file: File, encoding: Encoding, tree: Tree, *, halt: Halt) -> None:
    """Make ``file`` be in ``tree`` of its encoding, whose part is whole there, and checked.

    Nothing is left of the encoding then, and nothing of the file where that does not go well.

    Raises:
        EncodingError: It is not the file, by the encoding's own fault.
        StarvedError: The machine is why nothing came of it.
        StorageError: The disk does not give or take it.
        HaltedError: It is no longer wanted.

    """
    part = Part(file, tree)
    with halt.going():
        part.open()
    with part:
        try:
            _fill(part, encoding, tree, halt)
        except LittoralError:
            with halt.going():
                part.drop()
            raise
        with halt.going():
            part.keep()
            for one in file.encodings:
                with durable.storage_errors(tree.parts):
                    tree.part(one.sha256).unlink(missing_ok=True)


def cpu_s(size: int) -> int:
    """Return how many seconds of a processor a file of ``size`` bytes may take."""
    return LEAST_CPU_S + size // BYTES_PER_CPU_S


def most_s(size: int) -> float:
    return LEAST_S + 3 * cpu_s(size)


def judged(status: int | None, words: str, *, is_true: bool) -> LittoralError | None:
    """Return what is wrong with an end, as subprocess has it; None: it was not in time."""
    ended = child.End(status=status, out=b"", err=words)
    how = f"{ended.how} {one_line(ended.last)}".rstrip()
    if status == 0:
        return None if is_true else EncodingError("other bytes came out of it")
    if status is None or status in _NOT_BEGUN or -status in _ENDED:
        return StarvedError(f"its decoder could not do its work: {how}")
    if status == decode_status.DAMAGED:
        return StorageError(f"it cannot be decoded: {how}")
    if status == decode_status.REFUSED:
        return EncodingError(one_line(ended.last))
    return EncodingError(f"its decoder broke: {how}")


def _fill(part: Part, encoding: Encoding, tree: Tree, halt: Halt) -> None:
    """Let ``part`` hold what comes of ``encoding``."""
    end_s = time.monotonic() + most_s(part.blob.size)
    with _started(encoding, part.blob.size, tree) as process:
        with halt.ended_by(process.kill):
            in_time = _read(part, process, halt, end_s=end_s)
            status = _ended(process) if in_time else None
        words = _said(process) if status is not None else ""
    halt.check()
    why = judged(status, words, is_true=part.is_true)
    if why is not None:
        raise why


@contextlib.contextmanager
def _started(encoding: Encoding, size: int, tree: Tree) -> Iterator[subprocess.Popen[bytes]]:
    """Run the decoder; when the block ends, so does it."""
    with contextlib.ExitStack() as opened:
        base = [tree.blob(encoding.base)] if encoding.base else []
        paths = [tree.part(encoding.sha256), *base]
        files = []
        for path in paths:
            with durable.storage_errors(path):
                files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW))
            opened.callback(os.close, files[-1])
        words = [os.getpid(), encoding.kind, size, cpu_s(size), *files[1:]]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", decode_status.MODULE, *map(str, words)],
                stdin=files[0],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=files[1:],
                env=child.environment(),
                bufsize=0,
                start_new_session=True,
            )
        except OSError as e:
            raise StarvedError(f"its decoder cannot be started: {e}") from e
        with process:
            try:
                yield process
            finally:
                process.kill()


def _read(part: Part, process: subprocess.Popen[bytes], halt: Halt, *, end_s: float) -> bool:
    """Write all that comes out; return whether it ended in time."""
    assert process.stdout is not None  # noqa: S101 (it was asked for)
    out = process.stdout.fileno()
    coming = select.poll()
    coming.register(out, select.POLLIN)
    with halt.going():
        part.restart()
    while coming.poll(max(0.0, end_s - time.monotonic()) * 1000):
        chunk = os.read(out, CHUNK_BYTES)
        if not chunk:
            return True
        with halt.going():
            try:
                part.write(chunk)
            except EndlessError as e:
                raise EncodingError("more came out of it than the file has") from e
    return False


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """Return how it ended, which it does at once when it has closed its output."""
    try:
        return process.wait(LEAST_S)
    except subprocess.TimeoutExpired:
        return None


def _said(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None  # noqa: S101 (it was asked for)
    return os.read(process.stderr.fileno(), _MOST_SAID).decode(errors="replace")
