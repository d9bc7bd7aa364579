"""Hostile clients: some thousand inputs; and servers that are not as they should be are found."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from faults import protocols
from faults.protocols import World
from faults.protocols_made import WAYS, said
from littoral.wire import frames

pytestmark = pytest.mark.slow


def test_serve_answers_whatever_is_said_to_it() -> None:
    with protocols.world() as here:
        tally = list(protocols.run(here, protocols.Aim(runs=3000)))[-1]
    assert not tally.found, tally.found
    assert {name.split()[0] for name in tally.points} == set(WAYS)
    for answer in ("http: 200", "http: 400", "unix: 200", "frames: done", "frames: denied"):
        assert tally.count[answer] > 0, answer


def test_the_same_number_is_the_same_input() -> None:
    assert said(3, 77) == said(3, 77) != said(4, 77)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[Callable[[socket.socket], None]], World]]:
    """Give a world in which something else answers."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:

        def make(answer: Callable[[socket.socket], None]) -> World:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(tmp_path / "s"))
            listener.listen()

            def work() -> None:
                with listener:
                    connection, _ = listener.accept()
                    with connection:
                        connection.settimeout(20)
                        answer(connection)

            threading.Thread(target=work, daemon=True).start()
            (tmp_path / "log").touch()
            unix = (socket.AF_UNIX, str(tmp_path / "s"))
            return World(process, tmp_path / "log", {"unix": unix, "frames": unix})

        yield make
        process.kill()


def test_a_server_that_does_not_end_a_connection_is_found(
    other: Callable[[Callable[[socket.socket], None]], World],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocols, "_WAIT_S", 0.1)
    held = threading.Event()

    def hold(_: socket.socket) -> None:
        held.wait(20)

    here = other(hold)
    _, wrong = protocols.say(here, said(7, 1))
    held.set()
    assert [one for one in wrong if one.startswith("hang")]


@pytest.mark.parametrize(
    "data",
    [b"HTTP/1.1 500 Internal Server Error\r\n\r\n", b"what", frames.refusal("defect", "")],
)
def test_an_answer_that_blames_the_server_or_is_none_is_found(data: bytes) -> None:
    _, wrong = protocols.judge("unix", data)
    assert [one for one in wrong if one.startswith("answer")]


def test_a_fault_in_the_log_and_an_end_are_found(
    other: Callable[[Callable[[socket.socket], None]], World],
) -> None:
    here = other(lambda _: None)
    here.log.write_text("ERROR: a\nTraceback (most recent call last):\n  File cygrpc\n")
    assert not here.faults()
    with here.log.open("a") as log:
        log.write("ERROR: a frame failed\nTraceback (most recent call last):\nTypeError\n")
    assert [one for one in here.faults() if one.startswith("defect")]
    here.process.kill()
    here.process.wait()
    assert [one for one in protocols.look(here) if one.startswith("crash")]
