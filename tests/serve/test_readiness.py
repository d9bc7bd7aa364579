"""When serve is ready, and who is told: systemd, and clients while it ends."""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import pytest
import requests

from littoral_serve import readiness
from simulators.served import FIXTURES, serving

FILE = f"tiny={FIXTURES}/tiny_int8.tflite"
TINY = f"--model={FILE}"


def test_systemd_is_told_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        with serving(TINY, environment=told) as serve:
            said = {listener.recv(100) for _ in range(6)}
            assert said == {b"READY=1", b"WATCHDOG=1"}
            serve.process.terminate()
            assert serve.process.wait(20) == 0
        with contextlib.suppress(TimeoutError):
            while (last := listener.recv(100)) != b"STOPPING=1":
                assert last == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("health/ready", {"live": True, "ready": False}),
        ("models/tiny/ready", {"name": "tiny", "ready": False}),
        ("models/tiny/versions/1/ready", {"name": "tiny", "ready": False}),
    ],
)
def test_who_asks_while_serve_ends_is_told_that_it_is_not_ready(
    tmp_path: Path, path: str, told: dict[str, Any]
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with serving(TINY, environment=environment) as serve, requests.Session() as session:
            url = f"{serve.url}/v2/{path}"
            assert session.get(url, timeout=20).status_code == 200
            serve.process.terminate()
            while listener.recv(100) != b"STOPPING=1":
                pass
            reply = session.get(url, timeout=20)  # on the connection that it has
            assert (reply.status_code, reply.json()) == (503, told)
            assert serve.process.wait(20) == 0


def test_the_watchdog_is_not_fed_by_a_serve_that_does_not_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")

    async def fed(*, closed: bool, ended: bool) -> bool:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        chore = asyncio.create_task(asyncio.sleep(0 if ended else 60))
        await asyncio.sleep(0.01)
        if closed:
            server.close()
        watchdog = asyncio.create_task(readiness.watchdog([server], [chore]))
        await asyncio.sleep(0.05)
        for task in (watchdog, chore):
            task.cancel()
        server.close()
        try:
            return listener.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return False

    for closed, ended in ((False, False), (True, False), (False, True)):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            (tmp_path / "notify").unlink(missing_ok=True)
            listener.bind(str(tmp_path / "notify"))
            listener.settimeout(0)
            assert asyncio.run(fed(closed=closed, ended=ended)) is not (closed or ended)
