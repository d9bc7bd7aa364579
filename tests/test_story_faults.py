"""What the story survives: kills, a full disk, a truncated journal, and mistakes.

One world is made for all: a console, a device, two releases of a small model. Each test leaves it
as it found it: everything runs, release 1 is proven.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from chapters import fleet, models
from patience import patient
from rest import Rest, predict
from stage import BIN, Stage, UnmetError, tail, wait_for
from world import AGENT_TOML, DEVICE, MODEL, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    work = tmp_path_factory.mktemp("world")
    with Stage(work) as stage, pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "PLANS", ("digits-1:seed=1:epochs=12", "digits-2:seed=2:epochs=12"))
        # Or a disk that is too small for a release might hold it already.
        patch.setattr(fleet, "AGENT_TOML", f"keep = 0\n{AGENT_TOML}")
        world = World(stage)
        models.train(world)
        models.convert(world)
        fleet.publish(world)
        fleet.console(world)
        fleet.device(world)
        world.publish(world.bundle("digits-2"))
        sample = {"instances": [[[[0.0]] * 8] * 8]}
        (work / "sample.json").write_text(json.dumps(sample))
        yield world
        for name in stage.processes:
            sys.stderr.write(f"--- {name}\n{tail(work / 'logs' / f'{name}.log', 60)}\n")


@pytest.fixture(autouse=True)
def back_at_release_1(world: World) -> Iterator[None]:
    yield
    for name, start in (("console", world.start_console), ("device", world.start_device)):
        if name not in world.stage.processes or not world.stage.processes[name].alive:
            start()
    world.push(1)
    world.wait_running(1)


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def child(of: int, word: str) -> int:
    """Return the process below ``of`` whose command line holds ``word``."""

    def probe() -> int | None:
        for pid in children(of):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if any(word.encode() in part for part in words):
                return pid
        return None

    return wait_for(f"a process {word!r}", probe, within_s=10)


def complete(world: World) -> None:
    """Check that no report was lost, and none stands twice."""

    def probe() -> bool | None:
        database = sqlite3.connect(f"file:{world.console_data}/littoral.db?mode=ro", uri=True)
        with contextlib.closing(database):
            streams = database.execute(
                "SELECT stream, count(*), count(DISTINCT sequence), min(sequence), max(sequence)"
                " FROM reports WHERE device = ? GROUP BY incarnation, stream",
                (DEVICE,),
            ).fetchall()
        for stream, many, different, first, last in streams:
            if not many == different == last - first + 1 or first != 1:
                raise UnmetError("each report once", (stream, many, different, first, last))
        return bool(streams) or None

    wait_for("each report exactly once", probe, within_s=20)


def error_line(world: World, *args: str | Path) -> tuple[int, str]:
    """Return exit code and stderr of a command that must fail."""
    done = subprocess.run(
        [str(BIN / "littoral"), *map(str, args)],
        capture_output=True,
        text=True,
        check=False,
        timeout=patient(60),
        env=world.stage.environment,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, lines[0]


def test_serve_killed_is_back_with_the_same_release_within_three_seconds(world: World) -> None:
    before = world.answer()
    serve = child(world.stage.processes["device"].popen.pid, "serve")
    os.kill(serve, signal.SIGKILL)
    started = time.monotonic()
    found = wait_for("an answer", lambda: predict(world.serve, MODEL, world.sample()), within_s=5)
    assert time.monotonic() - started < patient(3)
    assert found[0] == before
    world.wait_running(1)
    complete(world)


@pytest.mark.parametrize("pause_s", [0.05, 0.3, 0.9, 2.0])
def test_an_agent_killed_at_any_moment_ends_in_the_release_that_was_pushed(
    world: World, pause_s: float
) -> None:
    world.start_load(clients=2, pause_ms=5)
    world.push(2)
    for _ in range(3):
        time.sleep(pause_s)
        os.kill(child(world.stage.processes["device"].popen.pid, "agent"), signal.SIGKILL)
    world.wait_running(2)
    world.end_load().check(answers=2)
    complete(world)


def test_a_device_killed_whole_during_an_update_ends_in_the_release_that_was_pushed(
    world: World,
) -> None:
    world.push(2)
    time.sleep(0.7)
    world.stage.stop("device", signal.SIGKILL)
    world.start_device()
    world.wait_running(2)
    complete(world)


def test_a_broker_killed_loses_and_doubles_nothing(world: World) -> None:
    if world.broker is None:
        pytest.skip("no broker here")
    world.push(2)
    os.kill(child(world.stage.processes["console"].popen.pid, "mosquitto"), signal.SIGKILL)
    world.wait_running(2)
    complete(world)


def test_a_console_killed_loses_and_doubles_nothing(world: World) -> None:
    world.start_load(clients=2, pause_ms=5)
    world.push(2)
    time.sleep(0.5)
    world.stage.stop("console", signal.SIGKILL)
    wait_for("release 2", lambda: version(world) == "2" or None, within_s=60)
    world.start_console("--broker", "auto")
    world.wait_running(2)
    world.end_load().check(answers=2)
    complete(world)


def version(world: World) -> str:
    with Rest(world.serve) as serve:
        states = serve.get(f"/v1/models/{MODEL}")["model_version_status"]
    return str(next(row["version"] for row in states if row["state"] == "AVAILABLE"))


def test_a_truncated_journal_is_set_aside_and_the_model_proven_again(world: World) -> None:
    world.stage.stop("device")
    journal = world.device_data / "journals" / f"{MODEL}.json"
    journal.write_bytes(journal.read_bytes()[:40])
    world.start_device()

    def told() -> list[str] | None:
        return [row["detail"] for row in world.history() if row["kind"] == "journal"] or None

    details = wait_for("a report of the journal", told, within_s=20)
    assert len(details) == 1
    assert "expected a journal" in details[0]
    wait_for("release 1", lambda: version(world) == "1" or None, within_s=20)
    world.wait_running(1)
    complete(world)


@pytest.fixture
def on_small_disk(world: World, small_disk: Path) -> Iterator[Path]:
    """The device's data folder on a disk of 4 MiB, of which 1 MiB is to stay free."""
    world.stage.stop("device")
    subprocess.run(["mount", "-o", "remount,size=4m", small_disk], check=True)
    kept, inside = world.device_data.with_name("device-kept"), small_disk / "device"
    no_sockets = shutil.ignore_patterns("run")
    shutil.copytree(world.device_data, inside, ignore=no_sockets)
    world.device_data.rename(kept)
    world.device_data.symlink_to(inside)
    settings = (kept / "agent.toml").read_text()
    (inside / "agent.toml").write_text(f"{settings}disk_reserve_bytes = 1_048_576\n")
    world.start_device()
    wait_for("release 1", lambda: version(world) == "1" or None, within_s=20)
    yield small_disk
    (small_disk / "ballast").unlink(missing_ok=True)
    world.push(1)
    world.wait_running(1)
    world.stage.stop("device")
    world.device_data.unlink()
    shutil.copytree(inside, kept, dirs_exist_ok=True, ignore=no_sockets)
    (kept / "agent.toml").write_text(settings)
    kept.rename(world.device_data)


def leave(disk: Path, free: int) -> None:
    """Fill ``disk`` until so many bytes are free."""
    with (disk / "ballast").open("wb") as ballast, contextlib.suppress(OSError):
        while (room := shutil.disk_usage(disk).free) > free:
            ballast.write(bytes(min(room - free, 4096)))
            ballast.flush()


def test_a_disk_too_full_for_a_release_is_told_and_the_one_before_goes_on(
    world: World, on_small_disk: Path
) -> None:
    leave(on_small_disk, 600 * 1024)
    world.push(2)
    assert world.wait_refused(2, "disk-full")["running"] == 1
    assert version(world) == "1"
    (on_small_disk / "ballast").unlink()
    world.push(2)
    world.wait_running(2)
    complete(world)


def test_a_disk_without_a_byte_of_room_loses_nothing(world: World, on_small_disk: Path) -> None:
    log = world.work / "logs" / "device.log"
    before = log.read_text().count("[disk-full]")
    leave(on_small_disk, 0)
    world.push(2)

    def told() -> bool | None:
        return log.read_text().count("[disk-full]") > before or None

    wait_for("the log to say so", told, within_s=20)
    assert version(world) == "1"
    world.stage.stop("device", signal.SIGKILL)
    world.start_device()
    wait_for("release 1", lambda: version(world) == "1" or None, within_s=10)
    (on_small_disk / "ballast").unlink()
    world.wait_running(2)
    complete(world)


def test_a_wrong_setting_is_named(world: World, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("poll_evry_s = 5\n")
    code, line = error_line(world, "agent", "--data", tmp_path)
    assert code == 2
    assert "did you mean 'poll_every_s'?" in line
    assert line.endswith("[setting]")


def test_an_unreachable_console_is_told(world: World, tmp_path: Path) -> None:
    token = world.fleet("tokens", "new")["token"]
    enroll = ["enroll", "https://127.0.0.1:1", "--token", token, "--data", tmp_path / "d"]
    code, line = error_line(world, *enroll)
    assert (code, line.rpartition("[")[2]) == (1, "unreachable]")
    world.stage.stop("console")
    code, line = error_line(world, "fleet", "devices")
    assert (code, line.rpartition("[")[2]) == (1, "unreachable]")


@pytest.mark.parametrize("command", ["console", "serve"])
def test_a_port_in_use_is_told(world: World, tmp_path: Path, command: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        http = f"127.0.0.1:{taken.getsockname()[1]}"
        model = world.bundle("digits-1") / "model-int8.tflite"
        rest = ["--data", tmp_path] if command == "console" else ["--model", f"digits={model}"]
        code, line = error_line(world, command, "--http", http, *rest)
    assert (code, line.rpartition("[")[2]) == (1, "port-in-use]")
    assert http in line


def test_an_unknown_command_is_told(world: World) -> None:
    code, line = error_line(world, "fleat")
    assert code == 2
    assert "did you mean 'fleet'?" in line
    assert line.endswith("[usage]")


def test_a_card_that_is_restored_is_seen_to_have_fallen_back_and_proves_it_anew(
    world: World, tmp_path: Path
) -> None:
    """Its folder is one of before the last update: nobody ordered that, and nobody is lied to.

    The last test of the file: what it says again, in the words of the first time, is there once, so
    that its new stream of reports has gaps.
    """
    world.stage.stop("device")
    copy = tmp_path / "copy"
    shutil.copytree(world.device_data, copy, ignore=shutil.ignore_patterns("run"))
    world.start_device()
    world.push(2)
    world.wait_running(2)

    def met(*, wanted: bool) -> dict[str, object] | None:
        (found,) = world.device()["wanted"]
        if found["met"] is not wanted:
            raise UnmetError(f"met: {wanted}", found)
        return dict(found)

    def proven() -> int:
        return sum(e["event"] == "healthy" and e["release"] == 2 for e in world.history())

    wait_for("what is wanted", partial(met, wanted=True), within_s=20)
    before = proven()
    world.stage.stop("device")
    shutil.rmtree(world.device_data)
    shutil.copytree(copy, world.device_data)
    world.start_device()
    wait_for("what runs instead", partial(met, wanted=False), within_s=20)
    wait_for("what is wanted", partial(met, wanted=True), within_s=60)
    assert version(world) == "2"
    assert proven() == before + 1
    streams = world.rest(f"/devices/{DEVICE}")["streams"]
    assert all(one["acked"] == one["highest"] for one in streams)
