"""``littoral doctor`` as somebody types it: on a bare machine, on a device, as root and not."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from littoral_agent.doctor.checks import CHECKS
from littoral_agent.doctor.examining import Asked
from littoral_agent.doctor.finding import fail, for_root, ok, skip, warn
from littoral_agent.doctor.telling import words
from patience import patient
from simulators.fleet import Fleet

# Loaded first: the checkout and its Python may be for root alone to read.
AS_NOBODY = """
import os, sys
from littoral_agent.doctor import checks, commands, telling
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(commands.doctor.main(sys.argv[1:], standalone_mode=False))
"""


def doctor(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "littoral", "doctor", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=patient(90),
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An enrolled device, its agent at work, its console and broker there."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.enrol()
        with fleet.agent():
            fleet.wait(lambda: "pi-7" in fleet.broker.statuses)  # type: ignore[union-attr]
            yield fleet.tree.root


def findings(data: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    done = doctor("--data", data, "--json")
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["ok"] else 1)
    return told, {one["check"]: one for one in told["findings"]}


def test_a_machine_that_is_no_device_yet_fails_nothing(tmp_path: Path) -> None:
    told, found = findings(tmp_path / "none")
    assert [name for name, one in found.items() if one["state"] == "fail"] == []
    assert (told["ok"], told["counts"]["fail"]) == (True, 0)
    assert list(found) == [check.name for check in CHECKS]
    assert found["enrolment"]["state"] == found["console"]["state"] == "skip"


def test_a_device_is_told_in_groups(device: Path) -> None:
    _, found = findings(device)
    wrong = {name for name, one in found.items() if one["state"] == "fail"}
    assert wrong <= {"serve"}, "the simulated serve has no clients' port"
    for name in ("enrolment", "certificate", "root", "console", "broker", "agent", "folder"):
        assert found[name]["state"] == "ok", found[name]
    assert all(one["do"] for one in found.values() if one["state"] in ("warn", "fail"))
    short = doctor("--data", device).stdout
    everything = doctor("--data", device, "--all").stdout
    assert "identity      ok enrolment, certificate, root" in short
    assert "pi-7, incarnation 1, of the fleet 'shore'" in everything
    assert len(short.splitlines()) < len(everything.splitlines())
    assert short.rstrip().endswith("--all shows each")
    assert f"{len(CHECKS)} checks: " in everything


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_person_without_rights_is_told_where_they_are_needed(device: Path) -> None:
    for folder in device.parents:
        if folder.name.startswith(("fleet", "pytest", "gw")):
            folder.chmod(0o755)
    device.chmod(0o750)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, "--data", device, "--json"],
        capture_output=True,
        text=True,
        timeout=patient(90),
        check=False,
    )
    found = {one["check"]: one for one in json.loads(done.stdout)["findings"]}
    for name in (
        "enrolment",
        "certificate",
        "root",
        "console",
        "broker",
        "folder",
        "agent",
        "clock",
    ):
        assert found[name]["state"] == "skip", found[name]
        assert "this user may not look" in found[name]["found"]
        assert found[name]["do"] == "sudo littoral doctor"
    assert "free for" in found["disk"]["found"]
    assert done.stderr == ""
    defects = [one for one in found.values() if "has a defect" in one["wrong"]]
    assert defects == []


def told(*, every: bool, colours: bool = False) -> str:
    found = [ok("fine"), warn("x" * 200, "may hurt", do="one\ntwo"), fail("f", "hurts", do="do")]
    asked = [Asked(check=c, finding=f, took_s=0.1) for c, f in zip(CHECKS, found, strict=False)]
    asked.append(Asked(check=CHECKS[3], finding=skip("none here"), took_s=0))
    return words(asked, every=every, colours=colours)


def test_what_is_wrong_is_told_with_the_commands_as_they_are_typed() -> None:
    lines = told(every=False).splitlines()
    assert lines[0] == "software      ok python; nothing to look at: litert"
    assert "                    > one" in lines
    assert "                    > two" in lines
    assert any(line.startswith("  FAIL pycoral") for line in lines)
    assert lines[-1] == (
        "4 checks: 1 failed, 1 to look at, 1 well, 1 nothing to look at; --all shows each"
    )
    assert "fine" in told(every=True)
    assert "none here" in told(every=True)


def test_what_only_root_may_see_is_counted_apart_with_the_command_that_shows_it() -> None:
    finding = for_root("this user may not look at /etc/shadow")
    lines = words(
        [Asked(check=CHECKS[0], finding=finding, took_s=0.0)], every=False, colours=False
    ).splitlines()
    assert lines[0] == f"{CHECKS[0].group:13} for root alone: {CHECKS[0].name}"
    assert lines[-1].startswith("1 checks: 1 more with: sudo littoral doctor")


def test_colours_are_for_terminals_alone() -> None:
    assert "\x1b[1;31mFAIL\x1b[0m" in told(every=False, colours=True)
    assert "\x1b" not in told(every=True)


def test_every_check_has_a_name_of_its_own_and_says_what_it_looks_at() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.words and check.within_s > 0 for check in CHECKS)
    groups = [check.group for check in CHECKS]
    assert groups == sorted(groups, key=groups.index), "a group is told in one piece"
