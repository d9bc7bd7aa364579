"""Files of the repository as devices get them: the range that they ask for, in fair turns."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from littoral_console import bodies, loop
from littoral_console.bodies import CHUNK_BYTES, Body
from littoral_console.load import Load

DATA = bytes(range(256)) * 1024  # four chunks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "blob"
    found.write_bytes(DATA)
    return found


async def ask(path: Path, **headers: str) -> tuple[int, Any, bytes]:
    """Return status, headers and body."""
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message)

    async def receive() -> Any:
        await asyncio.Event().wait()

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "headers": named}
    body = Body(path, load=Load(), headers={"Cache-Control": "no-cache"})
    await body(scope, receive, send)
    start, *rest = said
    assert [part["more_body"] for part in rest] == [True] * (len(rest) - 1) + [False]
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], told, b"".join(part["body"] for part in rest)


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        (None, 200, 0, len(DATA)),
        ("bytes=0-", 206, 0, len(DATA)),
        (f"bytes={CHUNK_BYTES + 1}-", 206, CHUNK_BYTES + 1, len(DATA)),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=10-9999999", 206, 10, len(DATA)),
        ("bytes=-7", 206, len(DATA) - 7, len(DATA)),
        ("bytes=-9999999", 206, 0, len(DATA)),
        (f"bytes={len(DATA)}-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9-3", 200, 0, len(DATA)),
        ("bytes=0-1,5-6", 200, 0, len(DATA)),
        ("bytes=-", 200, 0, len(DATA)),
        ("lines=1-2", 200, 0, len(DATA)),
    ],
)
def test_a_range_is_what_it_says(
    path: Path, asked: str | None, status: int, start: int, end: int
) -> None:
    headers = {} if asked is None else {"range": asked}
    code, told, body = asyncio.run(ask(path, **headers))
    assert (code, body) == (status, DATA[start:end])
    assert told["content-length"] == str(end - start)
    wanted = {206: f"bytes {start}-{end - 1}/{len(DATA)}", 416: f"bytes */{len(DATA)}"}
    assert told.get("content-range") == wanted.get(status)
    assert told["cache-control"] == "no-cache"


def test_a_part_of_another_file_is_not_sent(path: Path) -> None:
    _, told, _ = asyncio.run(ask(path))
    same = asyncio.run(ask(path, range="bytes=5-", if_range=told["etag"]))
    other = asyncio.run(ask(path, range="bytes=5-", if_range='"another"'))
    assert (same[0], other[0]) == (206, 200)


def test_what_is_not_in_memory_is_read_by_a_thread(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EAGAIN, "it is on the disk")

    monkeypatch.setattr(os, "preadv", refuse)
    assert asyncio.run(ask(path))[2] == DATA


def test_who_leaves_is_sent_no_more(path: Path) -> None:
    load = Load()

    async def story() -> int:
        sent, gone = 0, asyncio.Event()

        async def send(message: Any) -> None:
            nonlocal sent
            sent += len(message.get("body", b""))
            if sent:
                gone.set()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        await Body(path, load=load, headers={})({"type": "http", "headers": []}, receive, send)
        return sent

    assert asyncio.run(story()) < len(DATA)
    assert load.sending == 0


def test_many_get_their_chunks_by_turns(path: Path) -> None:
    many, order, load = 3 * loop.AT_ONCE, [], Load()

    async def story() -> None:
        begun, all_begun = 0, asyncio.Event()

        async def one(number: int) -> None:
            async def send(message: Any) -> None:
                nonlocal begun
                if message["type"] == "http.response.body":
                    order.extend([number] if message["body"] else [])
                    return
                begun += 1
                if begun == many:
                    all_begun.set()
                await all_begun.wait()

            async def receive() -> Any:
                await asyncio.Event().wait()

            scope = {"type": "http", "headers": []}
            await Body(path, load=load, headers={})(scope, receive, send)

        await asyncio.gather(*(one(number) for number in range(many)))

    asyncio.run(story())
    chunks = len(DATA) // bodies.CHUNK_BYTES
    assert len(order) == many * chunks
    first, last = (
        {number: k for k, number in walk}
        for walk in (reversed([*enumerate(order)]), enumerate(order))
    )
    assert max(first.values()) < min(last.values())
    assert load.sent_bytes == many * len(DATA)
