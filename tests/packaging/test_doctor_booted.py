"""Doctor on a booted machine: what it says is wrong is, and the command that it names mends it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.booted import Booted, machine
from simulators.served import Device, wait_until

pytestmark = pytest.mark.slow
DOCTOR = "/usr/lib/littoral/bin/littoral doctor"
DROP_IN = "/etc/systemd/system/littoral-agent.service.d/wrong.conf"
BREAK_FOR_EVER = f"""
mkdir -p {Path(DROP_IN).parent}
printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > {DROP_IN}
systemctl daemon-reload
systemctl restart --no-block littoral-agent
"""


@pytest.fixture(scope="module")
def booted(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    with machine(root, tmp_path_factory.mktemp("doctored")) as one:
        device: Device = one.device
        device.good(device.add("steady"))
        with one.boot() as running:
            (running.root / "var/lib/littoral/identity").chmod(0o700)  # as the agent makes it
            running.run("systemctl", "start", "littoral-agent")
            yield running


def findings(booted: Booted, *before: str) -> dict[str, dict[str, Any]]:
    said = booted.run(*before, "sh", "-c", f"{DOCTOR} --json")
    try:
        return {one["check"]: one for one in json.loads(said)["findings"]}
    except ValueError:
        pytest.fail(said)


def mend(booted: Booted, finding: dict[str, Any]) -> None:
    """Do what it says, as root, where sudo may be missing."""
    booted.run("sh", "-ec", finding["do"].replace("sudo ", ""))


def test_a_machine_as_the_package_leaves_it(booted: Booted) -> None:
    found = findings(booted)
    for name in ("python", "packages", "litert", "folder", "settings", "serve", "agent", "disk"):
        assert found[name]["state"] in ("ok", "warn"), found[name]
    assert "steady 1" in found["serve"]["found"]
    assert found["agent"]["found"].endswith("not enrolled")
    assert found["units"]["state"] == "warn", "this machine was never told to start them"
    assert "does not start with the machine" in found["units"]["wrong"]


@pytest.mark.parametrize(
    ("broken", "check", "words"),
    [
        ("systemctl stop littoral-agent", "units", "littoral-agent.service does not run"),
        ("systemctl stop littoral-agent", "agent", "no agent runs on this folder"),
        (
            "systemctl mask --now --runtime littoral-agent",
            "units",
            "littoral-agent.service is masked",
        ),
        (
            "touch /var/lib/littoral/journals/lost.json",
            "folder",
            "1 files in it are not littoral's, as /var/lib/littoral/journals/lost.json",
        ),
        ("chmod 755 /var/lib/littoral/identity", "folder", "is 0755, and holds keys"),
        (BREAK_FOR_EVER, "units", "littoral-agent.service ends again and again"),
    ],
)
def test_what_is_broken_is_found_and_what_it_says_mends_it(
    booted: Booted, broken: str, check: str, words: str
) -> None:
    booted.run("sh", "-ec", broken)
    found: list[dict[str, Any]] = []

    def is_found() -> bool:
        found.append(findings(booted)[check])
        return words in found[-1]["wrong"] and found[-1]["state"] == "fail"

    wait_until(is_found, within_s=30)
    finding = found[-1]
    if "journalctl" in finding["do"]:  # there only a look at the log helps
        assert "littoral" in booted.run("sh", "-ec", finding["do"].replace("sudo ", ""))
        booted.run("rm", DROP_IN)
        booted.run("systemctl", "daemon-reload")
        booted.run("systemctl", "restart", "littoral-agent")
    else:
        mend(booted, finding)
    wait_until(lambda: findings(booted)[check]["state"] in ("ok", "warn"), within_s=30)


def test_a_wrong_setting_in_etc_is_told_with_its_line(booted: Booted) -> None:
    booted.run("sh", "-c", "printf '\\nkep = 3\\n' >> /etc/littoral/agent.toml")
    finding = findings(booted)["settings"]
    assert finding["state"] == "fail"
    assert "/etc/littoral/agent.toml:" in finding["wrong"]
    assert "did you mean 'keep'?" in finding["wrong"]
    booted.run("sed", "-i", "/^kep/d", "/etc/littoral/agent.toml")


def test_a_person_is_told_what_only_root_may_see(booted: Booted) -> None:
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    found = findings(booted, *nobody)
    for name in ("enrolment", "folder", "agent", "serve"):
        assert found[name]["state"] == "skip", found[name]
    for name in ("python", "litert"):
        assert found[name]["state"] == "ok", found[name]
