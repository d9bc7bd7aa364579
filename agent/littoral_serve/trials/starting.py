"""How a trial is started: by systemd under a user of its own, or else as a child of serve's.

Either way the trial has the release's files as descriptors, and its end is told as subprocess
tells it. What the end means is littoral_serve.trials.trying's business.
"""

import asyncio
import contextlib
import io
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from littoral import records
from littoral.errors import UnreachableError
from littoral_serve.confining import environment
from littoral_serve.trials import trial
from littoral_serve.trials.keeper import BEGUN

_START_S: Final = 5.0  # of systemd, and of a Python
_GONE_S: Final = 2.0  # from a connection's end to the trial's

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A trial. ``wait`` returns its status; it raises UnreachableError if nobody can tell."""

    out: asyncio.StreamReader
    err: asyncio.StreamReader
    wait: Callable[[], Awaitable[int]]


@contextlib.asynccontextmanager
async def started(
    order: trial.Order, files: Sequence[int], *, where: Path | None
) -> AsyncIterator[Running]:
    """Give a trial of ``files``, which are as ``trial.FILES`` says; it ends with the context.

    ``where`` systemd listens for trials; without it, the trial is serve's own child.
    """
    async with contextlib.AsyncExitStack() as held:
        peer = held.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        if where is not None and await _connected(peer, where):
            # These pipes are the keeper's, also if it never begins: another trial gets others.
            out, its_out = await held.enter_async_context(_pipe())
            err, its_err = await held.enter_async_context(_pipe())
            with its_out, its_err:
                handed = [*files, its_out.fileno(), its_err.fileno()]
                begun = await _begun(peer, order, handed, where=where)
            if begun:
                held.push_async_callback(_end, peer)
                yield Running(out, err, partial(_told, peer))
                return
        child = await held.enter_async_context(_child(order, files))
        assert child.stdout is not None  # noqa: S101 (both are pipes)
        assert child.stderr is not None  # noqa: S101
        yield Running(child.stdout, child.stderr, child.wait)


async def _connected(peer: socket.socket, where: Path) -> bool:
    peer.settimeout(0)
    try:
        await asyncio.get_running_loop().sock_connect(peer, str(where))
    except (FileNotFoundError, ConnectionRefusedError):
        return False  # nobody listens: there is no systemd, or it is not asked to
    except OSError as e:
        log.warning("%s: %s; the trial is serve's own child", where, e)
        return False
    return True


async def _begun(
    peer: socket.socket, order: trial.Order, handed: Sequence[int], *, where: Path
) -> bool:
    with contextlib.suppress(OSError):  # it hung up, or says nothing in time
        socket.send_fds(peer, [records.to_json(order)], handed)
        async with asyncio.timeout(_START_S):
            if await _receive(peer) == BEGUN:
                return True
    log.warning(
        "%s: systemd starts no trial (journalctl -u 'littoral-trial@*' says why); "
        "it is serve's own child",
        where,
    )
    return False


async def _told(peer: socket.socket) -> int:
    data = await _receive(peer)
    if not data:
        raise UnreachableError("who kept the trial ended before it; try again")
    return int(data)


async def _end(peer: socket.socket) -> None:
    """Hang up, which ends the trial, and wait for that."""
    with contextlib.suppress(TimeoutError, OSError):
        peer.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(_GONE_S):
            while await _receive(peer):
                pass


async def _receive(peer: socket.socket) -> bytes:
    try:
        return await asyncio.get_running_loop().sock_recv(peer, trial.MAX_BYTES)
    except ConnectionResetError:
        return b""


@contextlib.asynccontextmanager
async def _child(
    order: trial.Order, files: Sequence[int]
) -> AsyncIterator[asyncio.subprocess.Process]:
    child = await asyncio.create_subprocess_exec(
        *trial.command(order, files),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=files,
        env=environment(),
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()


@contextlib.asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, io.FileIO]]:
    """Give what reads a pipe, and its other end."""
    read, write = os.pipe()
    reader = asyncio.StreamReader(limit=trial.MAX_BYTES)
    with io.FileIO(write, "w") as other:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), io.FileIO(read)
        )
        try:
            yield reader, other
        finally:
            transport.close()
