"""Sends a file, or the range of it that is asked for, to many at once. It believes every path.

The event loop reads what the kernel has in memory, as it has a release that a whole fleet is
fetching; for what lies on the disk alone a thread waits. A chunk is read when the one before it
has left, so that who is slow keeps one of them here.
"""

import asyncio
import contextlib
import http
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from littoral_console.load import Load

CHUNK_BYTES: Final = 64 * 1024
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", None)


class Body(Response):
    """The file at ``path``, which is there and whole."""

    media_type = "application/octet-stream"

    def __init__(self, path: Path, *, load: Load, headers: Mapping[str, str]) -> None:
        super().__init__(headers={**headers, "Accept-Ranges": "bytes"})
        self._path, self._load = path, load

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fd = await asyncio.to_thread(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            start, end = self._begin(Headers(scope=scope), os.fstat(fd))
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            with self._load.one_more():
                async with _leaving(receive) as left:
                    await self._send(send, fd, start, end, left=left)
        finally:
            os.close(fd)

    def _begin(self, asked: Headers, found: os.stat_result) -> tuple[int, int]:
        """Set status and headers; return from where to where."""
        size = found.st_size
        self.headers["ETag"] = tag = f'"{found.st_mtime_ns:x}-{size:x}"'
        self.headers["Last-Modified"] = formatdate(found.st_mtime, usegmt=True)
        span = _span(asked.get("range", ""), size) if asked.get("if-range", tag) == tag else None
        if span is None:
            span = (0, size)
        elif span[0] < span[1]:
            self.status_code = http.HTTPStatus.PARTIAL_CONTENT
            self.headers["Content-Range"] = f"bytes {span[0]}-{span[1] - 1}/{size}"
        else:
            self.status_code = http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            self.headers["Content-Range"] = f"bytes */{size}"
        self.headers["Content-Length"] = str(span[1] - span[0])
        return span

    async def _send(
        self, send: Send, fd: int, start: int, end: int, *, left: "asyncio.Task[None]"
    ) -> None:
        while start < end and not left.done():
            await self._load.turns.mine()
            chunk = await _read(fd, start, min(CHUNK_BYTES, end - start))
            if not chunk:
                break
            start += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            self._load.sent_bytes += len(chunk)
        # Only now does the server wait for the last chunk, and then for another request.
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def _leaving(receive: Receive) -> AsyncIterator["asyncio.Task[None]"]:
    """Lend what is done when whoever asked has gone."""

    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    left = asyncio.create_task(leave())
    try:
        yield left
    finally:
        left.cancel()


async def _read(fd: int, start: int, length: int) -> bytes | bytearray:
    """Return up to ``length`` bytes from byte ``start``, without waiting for a disk here."""
    if _NOWAIT is not None:
        chunk = bytearray(length)
        with contextlib.suppress(OSError):  # it is on the disk alone, or on one that cannot tell
            if os.preadv(fd, [chunk], start, _NOWAIT) == length:
                return chunk
    return await asyncio.to_thread(os.pread, fd, length, start)


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """Return from where to where a Range is meant: nothing, if the file ends before.

    None: what is no range, or several, is as if nobody had said it.
    """
    found = _RANGE.fullmatch(asked.strip())
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return None
    if not first:
        return max(0, size - int(last)), size
    start, end = int(first), min(size, int(last) + 1) if last else size
    if last and int(last) < start:
        return None
    return min(start, size), end
