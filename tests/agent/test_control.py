"""Asking serve, over a real Unix socket: what it answers, that it does not, and that it says no."""

import socket
import threading
from pathlib import Path

import pytest

from littoral.errors import MalformedError, UnreachableError
from littoral.tree import Tree
from littoral.wire.control import Activate, Window
from littoral_agent.control import Control, OrderDeniedError
from simulators.serve import DeniedOrderError, ServeSimulator


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.make()
    return tree


def test_serve_says_what_runs(tree: Tree) -> None:
    with ServeSimulator(tree) as serve:
        state = Control(tree.control).state()
        assert (state.instance, state.models) == (serve.instance, ())


def test_windows_are_asked_for_after_a_sequence(tree: Tree) -> None:
    with ServeSimulator(tree) as serve:
        serve.windows = [
            Window(sequence=n, start_ms=n, duration_ms=1, errors={}, timings=()) for n in (1, 2, 3)
        ]
        found = Control(tree.control).timings(2)
        assert [w.sequence for w in found.windows] == [3]


def test_nobody_there_is_said_to_be_so(tree: Tree) -> None:
    with pytest.raises(UnreachableError, match=r"control\.sock.*is it running"):
        Control(tree.control).state()


def test_a_no_carries_serves_own_code(tree: Tree) -> None:
    with ServeSimulator(tree) as serve:
        serve.denied["a" * 64] = DeniedOrderError("backend-missing", "no runtime here")
        with pytest.raises(OrderDeniedError, match="no runtime here") as caught:
            Control(tree.control).activate(Activate(model="m", manifest="a" * 64, variant="cpu"))
    assert caught.value.reason == "backend-missing"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{'no': ", MalformedError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{}", UnreachableError),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", MalformedError),
        (b"something else\r\n\r\n", UnreachableError),
        (b"", UnreachableError),
    ],
)
def test_an_answer_that_is_none_is_refused(
    tree: Tree, reply: bytes, error: type[Exception]
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree.control))
        listener.listen()

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(reply)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(error):
            Control(tree.control).state()
        thread.join(5)
