"""Services that hang: systemd ends them and starts them again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.booted import Booted, machine
from simulators.served import Device, wait_until

pytestmark = pytest.mark.slow

# A process that hangs while it lives: its main thread is stuck from the signal on.
HANGS = """
import runpy, signal, sys, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
SETTINGS = """[Service]
WatchdogSec=3
ExecStart=
ExecStart=/usr/bin/python3 /opt/hangs.py littoral_{name} --data /var/lib/littoral
"""
NAMES = ("serve", "agent")


@pytest.fixture(scope="module")
def booted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    with machine(root, tmp_path_factory.mktemp("watched")) as one:
        device: Device = one.device
        device.good(device.add("steady"))
        (one.root / "opt/hangs.py").write_text(HANGS)
        for name in NAMES:
            one.drop_in(f"littoral-{name}.service", SETTINGS.format(name=name))
        with one.boot() as running:
            running.run("systemctl", "start", "littoral-agent")
            yield running


def shown(booted: Booted, name: str, what: str) -> str:
    return booted.run("systemctl", "show", f"--property={what}", "--value", f"littoral-{name}")


@pytest.mark.parametrize("name", NAMES)
def test_a_service_that_hangs_is_started_again(booted: Booted, name: str) -> None:
    wait_until(lambda: shown(booted, name, "ActiveState") == "active\n")
    pid = shown(booted, name, "MainPID").strip()
    # One that does not hang is left in peace, for longer than the watchdog waits.
    booted.run("sleep", "5")
    assert shown(booted, name, "MainPID").strip() == pid
    booted.run("kill", "-USR1", pid)
    wait_until(lambda: shown(booted, name, "NRestarts") == "1\n", within_s=20)
    wait_until(lambda: shown(booted, name, "ActiveState") == "active\n", within_s=20)
    assert "Watchdog timeout" in booted.run("journalctl", f"--unit=littoral-{name}")


def test_the_model_serves_again_after_it(booted: Booted) -> None:
    def answers() -> bool:
        said = booted.run(
            "/usr/bin/python3",
            "-c",
            "import urllib.request as r; "
            "print(r.urlopen('http://127.0.0.1:8501/v1/models/steady').status)",
        )
        return said == "200\n"

    wait_until(answers, within_s=20)
