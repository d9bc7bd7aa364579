"""The device's commands as somebody types them: what they print, and how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from littoral.tree import Tree
from patience import patient
from simulators.broker import free_port
from simulators.fleet import Fleet
from simulators.listener import ListenerSimulator
from simulators.repository import RepositorySimulator


def littoral(*words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "littoral", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def console(tmp_path: Path) -> Iterator[ListenerSimulator]:
    with (
        RepositorySimulator(tmp_path) as repo,
        ListenerSimulator(tmp_path / "console", repo) as console,
    ):
        yield console


@pytest.mark.parametrize("command", ["agent", "enroll", "run", "status"])
def test_each_has_help_with_an_example(command: str) -> None:
    done = littoral(command, "--help")
    assert done.returncode == 0
    assert f"Example: littoral {command}" in done.stdout
    assert "--data" in done.stdout


def test_enroll_and_status_for_people_and_for_programs(
    tmp_path: Path, console: ListenerSimulator
) -> None:
    data = tmp_path / "device"
    token = console.token("pi-7")
    done = littoral("enroll", console.url, "--token", token, "--name", "pi-7", "--data", data)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pi-7 is a device of the fleet 'shore' now" in done.stdout
    again = littoral(
        "enroll", console.url, "--token", console.token("pi-7"), "--name", "pi-7", "--json",
        LITTORAL_DATA=str(data),
    )  # fmt: skip
    assert json.loads(again.stdout)["incarnation"] == 2
    elsewhere = littoral(
        "enroll", console.url, "--token", console.token("pi-7"), "--name", "pi-7",
        LITTORAL_DATA=str(tmp_path / "elsewhere"),
    )  # fmt: skip
    assert f"was enrolled before, and not in {tmp_path}/elsewhere" in elsewhere.stdout
    assert "was enrolled before" not in done.stdout
    shown = littoral("status", "--data", data)
    assert "pi-7, incarnation 2" in shown.stdout
    assert "down" in shown.stdout
    found = json.loads(littoral("status", "--data", data, "--json").stdout)
    assert found["enrolment"]["fleet"] == "shore"
    assert (found["models"], found["director"], found["unreadable"]) == ([], 0, [])
    assert (found["agent"], found["serve"]) == (None, None)
    assert found["certificate_until"].startswith("20")


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (["enroll", "https://127.0.0.1:1", "--token", "TOKEN"], 1, "does not answer"),
        (["enroll", "https://127.0.0.1:1", "--token", "lit1_x"], 1, "[malformed]"),
        (["enroll", "ftp://x", "--token", "TOKEN"], 2, "expected the console's https"),
        (["enroll", "https://127.0.0.1:1"], 2, "--token"),
        (["status", "--data", "/nowhere/at/all"], 2, "no such folder"),
        (["run", "--http", "nowhere"], 2, "expected HOST:PORT"),
        (["agent", "--settings", "/nowhere.toml"], 2, "[setting]"),
    ],
)
def test_what_goes_wrong_is_one_line(
    tmp_path: Path, console: ListenerSimulator, words: list[str], code: int, line: str
) -> None:
    token = console.token("pi-7")
    done = littoral(
        *(token if word == "TOKEN" else word for word in words),
        LITTORAL_DATA=str(tmp_path / "device"),
    )
    assert done.returncode == code
    assert done.stderr.startswith("error: ")
    assert line in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["agent", "run"])
def test_a_wrong_setting_is_one_line(tmp_path: Path, command: str) -> None:
    Tree(tmp_path).settings.write_text("poll_evry_s = 3\n")
    done = littoral(command, "--data", tmp_path)
    assert done.returncode == 2
    assert "did you mean 'poll_every_s'? [setting]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_wrong_setting_of_serves_ends_run(tmp_path: Path) -> None:
    (tmp_path / "serve.toml").write_text("thread = 2\n")
    done = littoral("run", "--data", tmp_path, "--http", "127.0.0.1:0")
    assert done.returncode == 2
    assert "serve | error: " in done.stderr
    assert "did you mean 'threads'? [setting]" in done.stderr
    assert "again" not in done.stderr


def test_a_folder_that_cannot_be_written_to_is_said_once(small_disk: Path) -> None:
    data = small_disk / "device"
    Tree(data).make()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for where in (data, small_disk / "another"):
        done = littoral("run", "--data", where, "--http", "127.0.0.1:0")
        assert done.returncode == 1
        assert done.stderr.startswith(f"error: {where}: ")
        assert done.stderr.endswith("or name another --data [storage]\n")
        assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        where = f"127.0.0.1:{port}"
        done = littoral("run", "--data", tmp_path, "--http", where)
        (tmp_path / "serve.toml").write_text(f'http = "{where}"\n')
        again = littoral("run", "--data", tmp_path)
    for one in (done, again):
        assert one.returncode == 1
        assert "[port-in-use]" in one.stderr
        assert one.stderr.count("\n") == 1


def test_a_full_disk_is_one_line(small_disk: Path, console: ListenerSimulator) -> None:
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2**20))
    data = small_disk / "device"
    words = ["--token", console.token("pi-7"), "--name", "pi-7", "--data", data]
    done = littoral("enroll", console.url, *words)
    assert done.returncode == 1
    assert "[disk-full]" in done.stderr
    assert done.stderr.count("\n") == 1
    filler.unlink()
    done = littoral("enroll", console.url, *words)
    assert done.returncode == 0, "the token is not used up"


def test_an_agent_on_a_disk_that_is_full_goes_on(tmp_path: Path, small_disk: Path) -> None:
    """It was there before, and the disk filled up: serving goes on, and reports wait."""
    with Fleet(tmp_path, broker=False) as fleet:
        fleet.tree = Tree(small_disk)
        fleet.tree.make()
        fleet.serve.tree = fleet.tree
        fleet.serve.crash()
        fleet.tree.settings.write_text("serve_poll_s = 0.1\nretry_most_s = 0.5\n")
        fleet.enrol()
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(2**20))
        with fleet.agent() as agent:
            fleet.wait(lambda: "waits for the disk" in fleet.log.read_text())
            time.sleep(1)
            assert agent.process.poll() is None
            filler.unlink()
            fleet.wait(lambda: [one.kind for one in fleet.reports] == ["boot"])


def status(data: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(littoral("status", "--data", data, "--json").stdout)
    return found


@pytest.mark.slow
def test_run_keeps_both_going_and_ends_both(tmp_path: Path) -> None:
    pytest.importorskip("httptools")
    pytest.importorskip("ai_edge_litert")
    port = free_port()
    command = [sys.executable, "-m", "littoral", "run", "--data", str(tmp_path)]
    command += ["--http", f"127.0.0.1:{port}", "--json"]
    with (
        (tmp_path / "run.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as run,
    ):
        try:
            assert run.stdout is not None
            ready = json.loads(run.stdout.readline())
            assert (ready["ready"], ready["pid"]) == (True, run.pid)
            assert (ready["http"], ready["models"]) == (f"127.0.0.1:{port}", {})
            deadline = time.monotonic() + 30
            while not ((found := status(tmp_path))["serve"] and found["agent"]):
                assert time.monotonic() < deadline, (tmp_path / "run.log").read_text()
            assert found["serve"]["http"] == f"127.0.0.1:{port}"
            os.kill(found["serve"]["pid"], signal.SIGKILL)
            os.kill(found["agent"]["pid"], signal.SIGKILL)
            pids = {found["serve"]["pid"], found["agent"]["pid"]}
            deadline = time.monotonic() + 15
            while True:
                again = status(tmp_path)
                now = {again[name]["pid"] for name in ("serve", "agent") if again[name]}
                heard = "agent | INFO serve is there" in (tmp_path / "run.log").read_text()
                if len(now) == 2 and not now & pids and heard:
                    break
                assert time.monotonic() < deadline, (tmp_path / "run.log").read_text()
            run.send_signal(signal.SIGTERM)
            assert run.wait(20) == 0
            assert run.stdout.read() == b"", "it says once that it is ready"
        finally:
            run.kill()
    lines = (tmp_path / "run.log").read_text()
    assert "serve ended by SIGKILL; starting it again" in lines
    assert "agent ended by SIGKILL; starting it again" in lines
    assert lines.rstrip().endswith("stopped")
