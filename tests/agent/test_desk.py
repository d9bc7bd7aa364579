"""The desk: how what came of a medium is answered, however much that is."""

import os
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from littoral import records
from littoral.errors import DeniedError
from littoral_agent import desk as answering
from littoral_agent.desk import Desk
from littoral_agent.receipt import Told
from littoral_agent.taking import Model, Taken


def answered(tmp_path: Path, taken: Taken | DeniedError) -> tuple[Taken, bytes]:
    """Hand a folder over to a desk at which ``taken`` comes of it; return the answer."""

    def take(folder: object, wait_s: float) -> Taken:
        assert (str(folder), wait_s) == ("the medium", 5.0)
        if isinstance(taken, DeniedError):
            raise taken
        return taken

    desk = Desk(tmp_path / "desk.sock", take, lambda: (Told(reports=1), b"receipt"))
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
    desk = Desk(tmp_path / "desk.sock", lambda *_: Taken(), lambda: (None, b""))
    desk.start()
    before = threading.active_count()
    desk.stop()
    desk.tick()
    assert threading.active_count() == before
    with socket.socket(socket.AF_UNIX) as one, pytest.raises(FileNotFoundError):
        one.connect(str(tmp_path / "desk.sock"))
