"""The story, and what it is told with."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import story
from patience import patient
from stage import BIN, Stage, UnmetError, expect, wait_for

ROOT = Path(__file__).parents[1]


class Changing(http.server.BaseHTTPRequestHandler):
    """Answers with what the server says just now."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.server.now  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Changing) as it:
        it.now = (200, b"one")  # type: ignore[attr-defined]
        thread = threading.Thread(target=it.serve_forever, daemon=True)
        thread.start()
        yield it
        it.shutdown()
        thread.join()


def hammer(url: str, folder: Path) -> "subprocess.Popen[bytes]":
    (folder / "body.json").write_text("{}")
    words = [ROOT / "demo/hammer.py", url, folder / "body.json", folder / "told.json"]
    return subprocess.Popen([sys.executable, *map(str, words), "--clients", "3", "--pause-ms", "1"])


def told(folder: Path, *, requests: int) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        found: dict[str, Any] = json.loads((folder / "told.json").read_text())
        return found if found["requests"] >= requests else None

    return wait_for("requests", probe, within_s=20)


def test_the_clients_tell_in_which_order_answers_changed(
    server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    process = hammer(f"http://127.0.0.1:{server.server_port}/", tmp_path)
    before = told(tmp_path, requests=30)["requests"]
    server.now = (200, b"two")  # type: ignore[attr-defined]
    told(tmp_path, requests=before + 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    found = told(tmp_path, requests=1)
    assert found["failed"] == 0
    assert [len(client) for client in found["answers"]] == [2, 2, 2]
    assert len({name for client in found["answers"] for name, _ in client}) == 2
    assert sum(n for client in found["answers"] for _, n in client) == found["requests"]
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]


def test_the_clients_count_every_failure(
    server: http.server.ThreadingHTTPServer, tmp_path: Path
) -> None:
    server.now = (503, b"not now")  # type: ignore[attr-defined]
    process = hammer(f"http://127.0.0.1:{server.server_port}/", tmp_path)
    found = told(tmp_path, requests=10)
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert found["failed"] == found["requests"]
    assert "503" in found["failures"][0]


def test_the_stage_ends_all_that_it_started(tmp_path: Path) -> None:
    family = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); time.sleep(600)"
    with Stage(tmp_path) as stage:
        process = stage.start("family", sys.executable, "-c", family)
        group = process.popen.pid
        wait_for("the child", lambda: len(members(group)) == 2 or None, within_s=10)
    # What was killed ends when the kernel comes to it.
    wait_for("nobody left", lambda: not members(group) or None, within_s=5)


def members(group: int) -> list[int]:
    """Return the processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp, *_ = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


def test_a_command_that_fails_is_told_with_its_line(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage, pytest.raises(UnmetError) as e:
        stage.littoral("publsh")
    assert "did you mean 'publish'?" in str(e.value)
    assert e.value.log is not None


def test_a_program_that_ended_is_not_waited_for(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        process = stage.start("short", "false")
        started = time.monotonic()
        with pytest.raises(UnmetError, match="short ended with 1"):
            wait_for("the impossible", lambda: None, within_s=60, of=process)
    assert time.monotonic() - started < patient(10)


def test_a_step_that_does_not_hold_ends_the_story(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> dict[str, Any]:
        expect(bool(0), "the sun", "rain")
        return {}

    steps = (("one", "One", lambda _: {"n": 1}), ("two", "Two", broken), ("three", "3", broken))
    monkeypatch.setattr(story, "STEPS", steps)
    found = story.tell(None)  # type: ignore[arg-type]
    assert [(step.name, step.ok) for step in found] == [("one", True), ("two", False)]
    assert found[1].figures == {"expected": "the sun", "found": "rain"}
    assert "NO" in story.table(found)


def test_a_folder_of_somebody_elses_is_never_wiped(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years")
    done = subprocess.run(
        [sys.executable, ROOT / "demo/story.py", "--once", "--keep", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "no demo made" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "ten years"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_step_of_the_story_holds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "demo/story.py", "--once", "--json", "--keep", tmp_path / "work"],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
    )
    found = json.loads(done.stdout)
    assert [step for step in found["steps"] if not step["ok"]] == []
    assert [step["name"] for step in found["steps"]] == [name for name, _, _ in story.STEPS]
    assert found["ok"] is True
    assert done.returncode == 0
