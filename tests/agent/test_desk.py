"""The desk: how what came of a medium is answered, however much that is."""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from littoral import records
from littoral.errors import DeniedError, MisuseError
from littoral.wire.messages import BENCH, Benched
from littoral_agent import desk as answering
from littoral_agent.desk import Desk
from littoral_agent.receipt import Told
from littoral_agent.taking import Model, Taken


def nobody(_: Benched) -> None:
    raise MisuseError("this device is nobody's")


def answered(tmp_path: Path, taken: Taken | DeniedError) -> tuple[Taken, bytes]:
    """Hand a folder over to a desk at which ``taken`` comes of it; return the answer."""

    def take(folder: object, wait_s: float) -> Taken:
        assert (str(folder), wait_s) == ("the medium", 5.0)
        if isinstance(taken, DeniedError):
            raise taken
        return taken

    desk = Desk(tmp_path / "desk.sock", take, lambda: (Told(reports=1), b"receipt"), nobody)
    desk.start()
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.settimeout(10)
            one.connect(str(tmp_path / "desk.sock"))
            socket.send_fds(one, [b"5"], [fd])
            desk.tick()
            return answering.answer(one)
    finally:
        os.close(fd)
        desk.stop()


def test_the_answer_of_a_document_with_hundreds_of_models_is_heard(tmp_path: Path) -> None:
    """Seen: above 64 KiB the medium was called not taken."""
    models = tuple(
        Model(model=f"m{n}", verdict="refused", release=1, code="hash", detail="x" * 500)
        for n in range(400)
    )
    taken = Taken(device="pi-7", version=1, models=models)
    assert len(records.to_json(taken)) > 2 * 64 * 1024
    found, receipt = answered(tmp_path, taken)
    assert (found, receipt) == (replace(taken, receipt=Told(reports=1)), b"receipt")


def test_a_refusal_is_an_answer_too(tmp_path: Path) -> None:
    found, _ = answered(tmp_path, DeniedError("not now"))
    assert (found.code, found.detail, found.well) == ("denied", "not now", False)


def test_nobody_is_answered_after_the_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk.sock", lambda *_: Taken(), lambda: (None, b""), nobody)
    desk.start()
    before = threading.active_count()
    desk.stop()
    desk.tick()
    assert threading.active_count() == before
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect(str(tmp_path / "desk.sock"))


MEASURED = Benched(
    target="digits",
    model="digits",
    release=3,
    backend="litert",
    threads=1,
    scenario="single-stream",
    board="Raspberry Pi 4 Model B Rev 1.4",
    runtime="LiteRT 2.3.0",
    figures={"p50_us": 812.5},
)


def handed(tmp_path: Path, data: bytes, benched: Callable[[Benched], None]) -> bytes:
    """Hand a file of ``data`` over as a measurement; return the answer."""
    desk = Desk(tmp_path / "desk.sock", lambda *_: Taken(), lambda: (None, b""), benched)
    desk.start()
    (tmp_path / "measured").write_bytes(data)
    try:
        with (tmp_path / "measured").open("rb") as file, socket.socket(socket.AF_UNIX) as one:
            one.settimeout(10)
            one.connect(str(tmp_path / "desk.sock"))
            socket.send_fds(one, [BENCH], [file.fileno()])
            desk.tick()
            return one.recv(4096)
    finally:
        desk.stop()


def test_a_measurement_is_taken_as_it_was_handed_over(tmp_path: Path) -> None:
    taken: list[Benched] = []
    assert handed(tmp_path, MEASURED.to_json(), taken.append) == b"{}"
    assert taken == [MEASURED]


def test_what_is_no_measurement_or_not_wanted_is_answered_with_why(tmp_path: Path) -> None:
    taken: list[Benched] = []
    assert b"malformed" in handed(tmp_path, b'{"target": 1}', taken.append)
    assert b"this device is nobody" in handed(tmp_path, MEASURED.to_json(), nobody)
    assert b"malformed" in handed(tmp_path, b"x" * (Benched.MOST_BYTES + 1), taken.append)
    assert not taken
