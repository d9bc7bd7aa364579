"""``littoral fleet devices``: who a device is, and what is ordered of it."""

import json
from dataclasses import replace

import pytest

from console.shell import Shell
from littoral.wire.messages import Running
from simulators.console import ConsoleProcess, DeviceSimulator


def test_show_may_be_left_out(console: ConsoleProcess, shell: Shell) -> None:
    DeviceSimulator(console, "shown")
    assert shell.json("devices", "shown") == shell.json("devices", "show", "shown")
    text = shell("devices", "shown").stdout
    assert "present" in text
    assert "enroll" in text
    done = shell("devices", "no-such-device")
    assert (done.returncode, "not-found" in done.stderr) == (2, True)


def test_what_waits_is_shown_with_until_when(console: ConsoleProcess, shell: Shell) -> None:
    device = DeviceSimulator(console, "cli-night")
    runs = Running(model="digits", state="fetching", release=1, good=1, candidate=2)
    waits = replace(runs, waits="window", waits_until_ms=4_000_000_000_000)
    device.post(status=device.status(waits))
    (model,) = shell.json("devices", "cli-night")["device"]["models"]
    assert (model["waits"], model["waits_until_ms"]) == ("window", 4_000_000_000_000)
    said = "digits:1 fetching, waits for its window until 2096-10-02 07:06 UTC"
    assert said in shell("devices", "cli-night").stdout
    device.post(status=device.status(runs))
    assert "waits" not in shell("devices", "cli-night").stdout


def test_what_fell_back_is_shown_with_why_and_is_an_alarm(
    console: ConsoleProcess, shell: Shell
) -> None:
    device = DeviceSimulator(console, "cli-fell")
    console.push("digits:2", to="cli-fell")
    device.post(device.report("healthy", release=2, good=2))
    runs = Running(model="digits", state="idle", release=1, good=1)
    device.post(status=device.status(runs, spool={device.stream: 2}))
    found = shell.json("devices", "cli-fell")["device"]
    (wanted,) = found["wanted"]
    assert (wanted["met"], wanted["code"], wanted["since_ms"] > 0) == (False, "fell-back", True)
    assert found["issued"] > found["director"] == 0
    text = " ".join(shell("devices", "cli-fell").stdout.split())
    assert "nobody ordered another: release 1 is what it calls proven now" in text
    assert f"director: it believes 0, and was not heard with {found['issued']}" in text
    done = shell("alarms", "--json")
    told = [a for a in json.loads(done.stdout)["alarms"] if a["kind"] == "not-as-wanted"]
    assert ["cli-fell" in a["devices"] for a in told] == [True]
    done = shell("alarms")
    assert f"now: {told[0]['text']} ({told[0]['where']})" in done.stdout
    device.post(status=device.status(replace(runs, release=2, good=2), spool={device.stream: 2}))
    assert shell.json("devices", "cli-fell")["device"]["wanted"][0]["met"]


def test_revoking_is_in_the_table_with_its_time(console: ConsoleProcess, shell: Shell) -> None:
    DeviceSimulator(console, "cli-gone", token=console.token(labels={"of": "gone"}))
    assert shell("devices", "revoke", "cli-gone").stdout == "cli-gone: revoked\n"
    assert "revoked" in shell("devices", "--to", "of=gone").stdout
    found = shell.json("devices", "cli-gone")
    assert [h["action"] for h in found["identity"]] == ["device.revoke", "device.enroll"]
    assert found["certificates"][0]["standing"] == "present"
    done = shell("devices", "thaw", "cli-gone")
    assert (done.returncode, "made for its name" in done.stderr) == (2, True)


def test_rotating_one_or_all_that_are_meant(console: ConsoleProcess, shell: Shell) -> None:
    for name in ("cli-r1", "cli-r2"):
        DeviceSimulator(console, name, token=console.token(labels={"of": "rotating"}))
    assert "asked for a newer key" in shell("devices", "rotate", "cli-r1").stdout
    assert shell.json("devices", "rotate", "--to", "of=rotating") == {
        "devices": ["cli-r1", "cli-r2"]
    }
    assert shell.json("devices", "cli-r2")["device"]["rotate_ms"] is not None
    for wrong in ((), ("cli-r1", "--to", "all")):
        done = shell("devices", "rotate", *wrong)
        assert (done.returncode, "[usage]" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", ["", "show", "revoke", "thaw", "rotate"])
def test_help_shows_an_example(shell: Shell, command: str) -> None:
    assert (
        f"Example: littoral fleet devices {command}"
        in shell("devices", *command.split(), "--help").stdout
    )
