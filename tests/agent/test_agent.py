"""The agent as a process, between a real broker, a real console's listener and a real disk."""

import base64
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.wire.control import Timing, Window
from littoral.wire.sketch import Sketch
from littoral.wire.telemetry import Telemetry
from littoral_agent.identity import Identity
from littoral_agent.state import look
from patience import patient
from simulators.fleet import SETTINGS, Fleet
from simulators.repository import Fault

STEPS = [("desired", None), ("fetched", None), ("passed", None), ("healthy", None)]


@pytest.fixture(params=["mqtt", "https"])
def fleet(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    with Fleet(tmp_path, broker=request.param == "mqtt") as fleet:
        for release in (1, 2):
            fleet.repo.publish(fleet.repo.bundle("digits", release))
        fleet.enrol()
        yield fleet


@pytest.fixture
def coast(tmp_path: Path) -> Iterator[Fleet]:
    """With a broker and a listener."""
    with Fleet(tmp_path) as fleet:
        for release in (1, 2):
            fleet.repo.publish(fleet.repo.bundle("digits", release))
        fleet.enrol()
        yield fleet


def test_an_update_from_the_wish_to_the_last_report(fleet: Fleet) -> None:
    with fleet.agent() as agent:
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.good("digits") == 1)
        begun = time.monotonic()
        fleet.order("digits", 2)
        fleet.wait(lambda: fleet.serve.running == {"digits": 2})
        assert time.monotonic() - begun < patient(5)
        fleet.wait(lambda: fleet.events("digits") == STEPS + STEPS)
        assert [one.kind for one in fleet.reports].count("boot") == 1
        found = look(fleet.tree)
        assert found.agent is not None
        assert found.agent.up
        assert (found.agent.pid, found.director) == (agent.process.pid, 2)
        assert agent.stop() == 0
    assert look(fleet.tree).agent is None


def test_the_status_says_what_serve_runs(fleet: Fleet) -> None:
    statuses = fleet.broker.statuses if fleet.broker else fleet.console.statuses
    with fleet.agent():
        fleet.order("digits", 1)
        fleet.wait(lambda: fleet.good("digits") == 1)
        fleet.wait(lambda: "pi-7" in statuses and statuses["pi-7"].models)
        fleet.wait(lambda: statuses["pi-7"].models[0].release == 1)
        said = statuses["pi-7"]
        assert (said.online, said.serving, said.director) == (True, True, 1)
        assert said.hardware == ("cpu-x86_64",)
        assert said.clock == "signed"
        fleet.serve.stop()
        fleet.wait(lambda: not statuses["pi-7"].serving)
        assert statuses["pi-7"].models[0].release is None
        assert statuses["pi-7"].models[0].good == 1


def test_killed_at_any_moment_it_ends_in_the_desired_release(coast: Fleet) -> None:
    """Kill it again and again while it updates, at moments that no table knows."""
    coast.repo.publish(coast.repo.bundle("digits", 3, files={"model.tflite": bytes(3_000_000)}))
    chance = random.Random(7)
    with coast.agent():
        coast.order("digits", 1)
        coast.wait(lambda: coast.good("digits") == 1)
    coast.order("digits", 3)
    for _ in range(8):
        with coast.agent() as agent:
            time.sleep(chance.uniform(0.2, 0.9))
            agent.kill()
        assert coast.serve.running in ({"digits": 1}, {"digits": 3})
    with coast.agent():
        coast.wait(lambda: coast.good("digits") == 3)
        coast.wait(lambda: ("healthy", None) in coast.events("digits")[4:])
        coast.wait(lambda: coast.serve.running == {"digits": 3})
    _check_sequences(coast)
    events = [event for event, _ in coast.events("digits")]
    assert events.count("healthy") == 2
    assert events.count("desired") == 2
    assert "failed" not in events


def test_broker_and_console_may_die_in_the_middle(coast: Fleet) -> None:
    assert coast.broker is not None
    with coast.agent():
        coast.order("digits", 1)
        coast.wait(lambda: coast.good("digits") == 1)
        coast.broker.kill()
        coast.order("digits", 2)  # heard over HTTPS, for no broker answers
        coast.wait(lambda: coast.good("digits") == 2)
        coast.wait(lambda: len(coast.events("digits")) == 8)
        found = look(coast.tree).agent
        assert found is not None
        assert found.channel == "https"
        coast.console.stop()
        coast.broker.start()
        coast.repo.publish(coast.repo.bundle("digits", 3))
        coast.order("digits", 3)
        coast.wait(lambda: coast.journal("digits").candidate is not None or _asked(coast))
        coast.console.start()
        coast.wait(lambda: coast.good("digits") == 3)
        coast.wait(lambda: len(coast.events("digits")) == 12)
        coast.wait(lambda: (found := look(coast.tree).agent) and found.channel == "mqtt")
    _check_sequences(coast)
    assert coast.events("digits") == STEPS * 3


def test_a_broker_that_came_after_enrolment_is_used(coast: Fleet) -> None:
    assert coast.broker is not None
    enrolment = Identity(coast.tree.identity)
    held = enrolment.read()
    assert held is not None
    enrolment.write(replace(held, broker=None))  # as if the console had none then
    with coast.agent() as agent:
        coast.wait(lambda: (found := look(coast.tree).agent) and found.channel == "mqtt")
        coast.wait(lambda: (found := look(coast.tree).agent) and found.up)
        coast.order("digits", 1)
        coast.wait(lambda: coast.good("digits") == 1)
        assert agent.process.poll() is None
    assert enrolment.read() == held


def test_a_source_that_is_away_is_told_by_status(tmp_path: Path) -> None:
    """The console is heard and wants something, and nothing comes: nobody else says why."""
    away = f'{SETTINGS}\nsources = ["http://127.0.0.1:9/fleet"]\n'
    with Fleet(tmp_path, broker=False, settings=away) as fleet:
        fleet.repo.publish(fleet.repo.bundle("digits", 1))
        fleet.enrol()
        with fleet.agent():
            fleet.order("digits", 1)
            fleet.wait(lambda: (found := look(fleet.tree).agent) and found.code == "unreachable")
            found = look(fleet.tree).agent
        assert found is not None
        assert "no releases now" in found.words
        assert "http://127.0.0.1:9 does not answer" in found.words


def _asked(fleet: Fleet) -> bool:
    return "looking again" in fleet.log.read_text()


def _check_sequences(fleet: Fleet) -> None:
    """Nothing was lost: streams have no gaps. Nothing was doubled: keys are keys."""
    streams = {key.stream for key in fleet.taken}
    for stream in streams:
        sequences = sorted(key.sequence for key in fleet.taken if key.stream == stream)
        assert sequences == list(range(1, len(sequences) + 1)), stream
    assert len({s for s in streams if s.startswith("report")}) == 1


def test_serve_that_is_killed_on_probation_gets_its_order_again(tmp_path: Path) -> None:
    settings = SETTINGS.replace("probation_s = 0.3", "probation_s = 4.0")
    with Fleet(tmp_path, broker=False, settings=settings) as fleet:
        fleet.repo.publish(fleet.repo.bundle("digits", 1))
        fleet.enrol()
        with fleet.agent():
            fleet.order("digits", 1)
            fleet.wait(lambda: "probe" in fleet.serve.calls)
            fleet.serve.crash()
            assert fleet.serve.running == {}
            begun = time.monotonic()
            fleet.wait(lambda: fleet.serve.running == {"digits": 1})
            assert time.monotonic() - begun < patient(3)
            fleet.wait(lambda: fleet.good("digits") == 1)
            fleet.wait(lambda: ("stumbled", "crash") in fleet.events("digits"))


def test_without_network_and_without_enrolment_it_keeps_serve_in_line(coast: Fleet) -> None:
    with coast.agent():
        coast.order("digits", 1)
        coast.wait(lambda: coast.good("digits") == 1)
    coast.console.stop()
    assert coast.broker is not None
    coast.broker.kill()
    for unenrolled in (False, True):
        if unenrolled:
            Identity(coast.tree.identity).enrolment.unlink()
        coast.serve.loaded.clear()
        with coast.agent() as agent:
            coast.wait(lambda: coast.serve.running == {"digits": 1})
            coast.wait(lambda: look(coast.tree).agent is not None)
            assert agent.process.poll() is None
            assert agent.stop() == 0


def test_enrolling_while_it_runs_is_noticed(tmp_path: Path) -> None:
    with Fleet(tmp_path, broker=False) as fleet:
        fleet.repo.publish(fleet.repo.bundle("digits", 1))
        with fleet.agent() as agent:
            fleet.wait(lambda: "not enrolled" in fleet.log.read_text())
            fleet.enrol()
            fleet.order("digits", 1)
            fleet.wait(lambda: fleet.good("digits") == 1)
            fleet.enrol()  # again: another incarnation
            fleet.order("digits", 1)
            fleet.wait(lambda: {one.key.incarnation for one in fleet.reports} == {1, 2})
            assert agent.process.poll() is None


def test_what_kills_left_beside_files_is_gone_after_a_start(coast: Fleet) -> None:
    tree = coast.tree
    left = [tree.journals / ".digits.json.4937.new", tree.manifests / ".ab.json.7.new"]
    left.append(tree.root / ".usage.json.77.new")
    for path in left:
        path.write_bytes(b"half of it")
    with coast.agent():
        coast.wait(lambda: look(coast.tree).agent is not None)
        coast.wait(lambda: not any(path.exists() for path in left))


def test_two_agents_do_not_work_on_one_folder(coast: Fleet) -> None:
    with coast.agent():
        coast.wait(lambda: look(coast.tree).agent is not None)
        with coast.agent() as second:
            assert second.process.wait(20) == 1
    assert "another agent is at work here" in coast.log.read_text()
    assert "[denied]" in coast.log.read_text()


def test_refusals_reach_the_console_with_their_reasons(coast: Fleet) -> None:
    with coast.agent():
        coast.order("digits", 1)
        coast.wait(lambda: coast.good("digits") == 1)
        coast.repo.fault("blobs/*", Fault.FLIPPED_BIT)
        coast.order("digits", 2)
        coast.wait(lambda: ("refused", "hash") in coast.events("digits"))
        coast.repo.honest()
        coast.order("digits", 1)
        coast.repo.publish(coast.repo.bundle("digits", 3, hardware=("edgetpu-usb",)))
        coast.order("digits", 3, hardware="edgetpu-usb")
        coast.wait(lambda: ("refused", "wrong-hardware") in coast.events("digits"))
        assert coast.serve.running == {"digits": 1}


def test_what_serve_measured_reaches_the_console(coast: Fleet) -> None:
    sketch = Sketch()
    for value in (10, 20, 3000):
        sketch.record(value)
    timing = Timing(
        model="digits",
        release=1,
        variant="cpu",
        stage="invoke",
        sketch=base64.b64encode(sketch.encode()).decode(),
    )
    coast.serve.windows = [
        Window(
            sequence=n,
            start_ms=n * 1000,
            duration_ms=1000,
            errors={"digits/1": 1},
            timings=(timing,),
        )
        for n in (1, 2)
    ]
    with coast.agent():
        coast.wait(lambda: sum(batch.errors["digits/1"] for batch in batches(coast)) == 2)
    total = Sketch()
    for batch in batches(coast):
        total.merge(batch.series[0].sketch)
    assert (total.count, total.sum) == (6, 2 * sketch.sum)


def batches(fleet: Fleet) -> list[Telemetry]:
    taken = list(fleet.taken.items())
    return [Telemetry.decode(body) for key, body in taken if key.stream.startswith("telemetry")]


def test_systemd_is_told_ready_alive_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(20)
        told = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        process = subprocess.Popen(
            [sys.executable, "-m", "littoral_agent", "--data", str(tmp_path / "data")],
            env=os.environ | told,
            stderr=subprocess.DEVNULL,
        )
        try:
            said = [listener.recv(100) for _ in range(3)]
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
        assert said == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
        while (last := listener.recv(100)) != b"STOPPING=1":
            assert last == b"WATCHDOG=1"
