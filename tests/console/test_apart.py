"""Work in an event loop of its own: it ends with whoever began it, and its errors are told."""

import asyncio
import threading
import time

import pytest

from littoral_console.apart import apart


def test_it_delays_nobody_and_ends_when_it_is_cancelled() -> None:
    ended = threading.Event()

    async def busy() -> None:
        try:
            while True:
                time.sleep(0.2)  # noqa: ASYNC251 (what it must not do in a loop of others)
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def main() -> None:
        task = asyncio.create_task(apart(busy))
        longest_s = 0.0
        for _ in range(20):
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            longest_s = max(longest_s, time.monotonic() - begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert longest_s < 0.15
        assert ended.is_set()

    asyncio.run(main())


def test_what_goes_wrong_there_is_told_here() -> None:
    async def wrong() -> None:
        await asyncio.sleep(0)
        raise ValueError("there")

    async def main() -> None:
        with pytest.raises(ValueError, match="there"):
            await apart(wrong)

    asyncio.run(main())
