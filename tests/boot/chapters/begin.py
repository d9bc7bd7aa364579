"""From a bare Debian to a device that serves: boot, install, enrol, receive, predict, tell."""

import json
import re
import time
from typing import Any

import numpy as np

from boot.machine import Machine
from boot.trees import ROOT
from boot.world import DEVICE, MODEL, SETTINGS, World
from stage import UnmetError, expect, wait_for

UNITS = (
    "littoral-agent.service",
    "littoral-serve.service",
    "littoral-serve.socket",
    "littoral-control.socket",
)
FIXTURES = ROOT / "tests/fixtures"


def boot(world: World) -> dict[str, Any]:
    """A Debian that has never heard of littoral."""
    world.device = world.machine(DEVICE)
    seconds = world.device.boot()
    told = world.device.run("systemctl", "--failed", "--plain", "--no-legend").strip()
    expect(not told, "no failed unit", told)
    release = world.device.sh(". /etc/os-release; echo $PRETTY_NAME").strip()
    machine = world.device.run("uname", "-m").strip()
    return {"system": release, "machine": machine, "boot_s": seconds}


def install(world: World) -> dict[str, Any]:
    """``apt-get install ./littoral-agent_*.deb``, its dependencies from Debian."""
    device = world.device
    seconds = world.install(device, "agent")
    for unit in UNITS:
        expect(
            is_active(world, unit),
            f"{unit} to be active",
            device.run("systemctl", "status", unit, check=False),
        )
    said = json.loads(device.run("littoral", "status", "--json"))
    expect(said["models"] == [], "no model yet", said)
    held = device.run("stat", "-c", "%U:%G %a", "/var/lib/littoral", "/var/cache/littoral")
    expect(held.split("\n")[0] == "littoral:littoral 750", "a folder of the agent's own", held)
    size = device.run("dpkg-query", "-W", "-f", "${Installed-Size} ${Version}", "littoral-agent")
    kib, version = size.split()
    return {"install_s": seconds, "version": version, "installed_mib": round(int(kib) / 1024, 1)}


def is_active(world: World, unit: str) -> bool:
    return world.device.run("systemctl", "is-active", unit, check=False).strip() == "active"


def enrol(world: World) -> dict[str, Any]:
    """One command, typed as root; the agent takes note of it by itself."""
    world.house.begin()
    for number, source in enumerate(("tiny_int8", "tiny_int8_b"), 1):
        world.release(MODEL, number, FIXTURES / f"{source}.tflite")
    device, house = world.device, world.house
    settings = (device.root / "etc/littoral/agent.toml").read_text()
    device.write("/etc/littoral/agent.toml", settings + SETTINGS)
    device.write("/etc/littoral/serve.toml", "window_s = 2\n")
    device.run("systemctl", "restart", "littoral-agent", "littoral-serve")
    token = house.fleet("tokens", "new")["token"]
    device.run("littoral", "enroll", house.devices, "--token", token, "--name", DEVICE)
    started = time.monotonic()
    told = house.wait_online(DEVICE, within_s=30 * world.slow)
    mode = device.run("stat", "-c", "%U %a", "/var/lib/littoral/identity/device.key").split()
    expect(mode == ["littoral", "600"], "a key that only the agent reads", mode)
    return {
        "online_after_s": round(time.monotonic() - started, 1),
        "channel": told["channel"],
        "trust": told["trust"],
        "clock": told["clock"],
    }


def receive(world: World) -> dict[str, Any]:
    """A signed release arrives, is proven, and answers as the same bytes do on the host."""
    release = world.house.releases[f"{MODEL}:1"]
    started = time.monotonic()
    world.house.push(f"{MODEL}:1", DEVICE)
    world.wait_running(f"{MODEL}:1")
    seconds = time.monotonic() - started
    with world.client() as client:
        got = np.asarray(client.predict(MODEL, release.inputs, signature="raw"))
    most = world.differ(got, release.outputs)
    expect(most <= world.steps, f"outputs within {world.steps} steps of the host's", most)
    same = bool((got.argmax(axis=1) == release.outputs.argmax(axis=1)).all())
    expect(same, "every digit recognised as on the host", got.argmax(axis=1))
    return {
        "push_to_proven_s": round(seconds, 1),
        "samples": len(release.inputs),
        "largest_difference_steps": most,
        "tried_by": tried_by(world),
        "journal_lines": len(world.device.journal(f"MODEL={MODEL}", "-q").splitlines()),
        "identical": round(float((got == release.outputs).mean()), 4),
    }


def tried_by(world: World) -> str:
    """Return the user who ran the release for the first time: one that owns nothing."""
    said = world.device.journal("-q", "-u", "littoral-trial@*", "-o", "cat")
    expect("Started littoral-trial@" in said, "a trial in a unit of its own", said[-300:])
    told = world.device.sh("systemctl show --value -p User littoral-trial@x.service").strip()
    expect(told == "littoral-trial", "a user of the trials' own", told)
    return told


def doctor(world: World) -> dict[str, Any]:
    """``littoral doctor`` finds nothing that fails, and the settings are as they should be."""
    device = world.device
    told = json.loads(device.run("littoral", "doctor", "--json", check=False))
    failed = [one for one in told["findings"] if one["state"] == "fail"]
    expect(not failed, "no failed check", failed)
    device.run("littoral", "config", "check")
    status = device.run("littoral", "status")
    expect(DEVICE in status and MODEL in status, "device and model in the status", status)
    device.sh("test -s /usr/share/bash-completion/completions/littoral")
    return {**told["counts"], "status_lines": len(status.splitlines())}


def tell(world: World) -> dict[str, Any]:
    """Each request that was ever made is in the console's figures, none is there twice."""
    with world.load() as met:
        time.sleep(5)
    expect(met[0].failed == 0, "no failed request", met[0].failures)
    answered = met[0].requests + len(world.house.releases[f"{MODEL}:1"].inputs)

    def probe() -> int | None:
        counted = world.house.counted(DEVICE, MODEL)
        if counted < answered:
            raise UnmetError(f"{answered} requests", counted)
        return counted

    counted = wait_for("telemetry of all requests", probe, within_s=60 * world.slow)
    expect(counted == answered, f"{answered} requests told of", counted)
    return {"requests": answered, "told": counted, **met[0].latency_ms}


def exposure(world: World) -> dict[str, Any]:
    """``systemd-analyze security`` of the services as this Debian runs them."""
    most = {"littoral-agent": 1.5, "littoral-serve": 0.5}
    return {unit: exposed(world.device, unit, limit) for unit, limit in most.items()}


def exposed(machine: Machine, unit: str, most: float) -> float:
    """Return the exposure of ``unit``, which is at most ``most``."""
    said = machine.run("systemd-analyze", "security", "--no-pager", f"{unit}.service")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    figure = float(found[1]) if found else 10.0
    expect(figure <= most, f"{unit} at most {most}", figure)
    return figure
