"""What is said where descriptors are out."""

import asyncio
import errno
import logging
from typing import Any

import pytest

from littoral_serve.http.accepting import Refusing


def accepting(number: int) -> dict[str, Any]:
    """What asyncio tells: see _accept_connection in its selector_events."""
    error = OSError(number, "Too many open files")
    return {"message": "socket.accept() out of …", "exception": error, "socket": None}


def test_a_hundred_attempts_a_second_are_one_line_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [100.0]
    loop = asyncio.new_event_loop()
    told = Refusing(clock=lambda: now[0])
    for _ in range(300):
        told(loop, accepting(errno.EMFILE))
        now[0] += 0.1
    assert [one.getMessage() for one in caplog.records] == [
        "no further connection is taken for now: Too many open files"
    ]
    now[0] += 60
    told(loop, accepting(errno.ENFILE))
    assert len(caplog.records) == 2
    assert not any(one.exc_info for one in caplog.records)
    loop.close()


def test_anything_else_is_told_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.new_event_loop()
    with caplog.at_level(logging.ERROR):
        Refusing()(loop, {"message": "a defect", "exception": ValueError("of ours")})
        Refusing()(loop, accepting(errno.EINVAL))
    assert [one.exc_info is not None for one in caplog.records] == [True, True]
    loop.close()
