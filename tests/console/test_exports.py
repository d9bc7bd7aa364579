"""The director's word for devices that reach no console: signed for longer, and carried by hand."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.shell import Shell
from littoral.errors import NotFoundError
from littoral.trust import exporting
from littoral.trust.director import accept_director
from simulators.console import ConsoleProcess, DeviceSimulator


def test_a_stick_says_to_each_device_what_it_shall_run(
    console: ConsoleProcess, shell: Shell, tmp_path: Path
) -> None:
    for name in ("carried-1", "carried-2"):
        DeviceSimulator(console, name)
        console.push("digits:2", to=name)
    done = shell("export", tmp_path, "--to", "carried-1", "--days", 180, "--json")
    assert json.loads(done.stdout) == {"devices": ["carried-1"], "days": 180}
    (path,) = (tmp_path / "director").iterdir()
    assert path.name == "carried-1.json"
    now = datetime.now(UTC)
    found = accept_director(
        path.read_bytes(),
        anchors=console.publisher.anchors,
        device="carried-1",
        incarnation=1,
        accepted=0,
        now=now,
    )
    assert [(one.model, one.release) for one in found.assignments] == [("digits", 2)]
    assert 179 <= (found.expires - now).days <= 180


def test_what_is_carried_is_what_is_said_and_the_next_word_is_newer(
    console: ConsoleProcess,
) -> None:
    """A device that comes back is told nothing older than what the stick said."""
    device = DeviceSimulator(console, "carried-3")
    console.push("digits:1", to="carried-3")
    (carried,) = console.rest.post("exports", {"to": "carried-3"})["documents"]
    status, said = device.ask("GET", "/device/desired?after=0&wait_s=0", bearer=device.bearer)
    assert (status, said.decode()) == (200, carried["document"])
    console.push("digits:2", to="carried-3")
    _, said = device.ask("GET", "/device/desired?after=0&wait_s=0", bearer=device.bearer)
    assert json.loads(said)["signed"]["version"] > carried["version"]


def test_who_comes_back_from_a_stick_finds_a_newer_repository(
    console: ConsoleProcess, tmp_path: Path
) -> None:
    """Else all that the console offers is a rollback, until it signs its timestamp anew."""
    DeviceSimulator(console, "carried-5")
    console.push("digits:1", to="carried-5")
    stick, repo = tmp_path / "stick", console.data / "repo"
    exporting.export(repo, stick, online=console.data / "keys")
    console.rest.post("exports", {"to": "carried-5"})
    for role, version in versions(stick).items():
        assert versions(repo)[role] > version


def versions(folder: Path) -> dict[str, int]:
    found = json.loads((folder / "metadata/timestamp.json").read_bytes())["signed"]
    return {"timestamp": found["version"], "snapshot": found["meta"]["snapshot.json"]["version"]}


def test_nothing_is_carried_to_whom_nothing_was_ever_wanted_of(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "idle-1")
    DeviceSimulator(console, "gone-1")
    console.push("digits:1", to="gone-1")
    console.rest.post("devices/gone-1/revoke")
    for name in ("idle-1", "gone-1"):
        with pytest.raises(NotFoundError):
            console.rest.post("exports", {"to": name})


def test_it_is_written_down_who_made_one(console: ConsoleProcess) -> None:
    DeviceSimulator(console, "carried-4")
    console.push("digits:1", to="carried-4")
    console.rest.post("exports", {"to": "carried-4", "days": 7})
    newest = console.rest.get("audit")["entries"][0]
    assert (newest["action"], newest["subject"]) == ("director.export", "carried-4")
    assert newest["detail"] == {"devices": 1, "days": 7}
