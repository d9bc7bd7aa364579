"""Publish, console, device: keys and signatures, the fleet's room, and the first device in it."""

import shutil
import stat
from pathlib import Path
from typing import Any

from rest import Rest
from stage import BIN, expect, wait_for
from world import AGENT_TOML, DEVICE, FLEET, MODEL, SERVE_TOML, World

USER, PASSWORD = "keeper", "only-for-the-demo"


def publish(world: World) -> dict[str, Any]:
    """Keys (the release keys apart, as if offline), a repository, release 1 signed."""
    stage, publisher = world.stage, world.publisher
    repository, offline, online = publisher / "repo", publisher / "offline", world.console_data
    apart = ("--offline", offline, "--online", online / "keys")
    stage.littoral("repo", "init", repository, *apart, "--fleet", FLEET)
    stage.littoral("repo", "delegate", repository, MODEL, "--offline", offline)
    told = stage.littoral(
        "publish", world.bundle("digits-1"), "--repo", repository, "--offline", offline
    )
    stage.run(BIN / "littoral", "repo", "verify", repository)
    keys = sorted([*offline.glob("*.pem"), *(online / "keys").glob("*.pem")])
    _check_private(keys)
    names = {key.stem for key in offline.glob("*.pem")}
    expect(
        names >= {"root-1", "root-2", "root-3", "targets-1", f"{MODEL}-1", "device-ca"},
        "root, targets, the model's and the device CA's keys apart",
        sorted(names),
    )
    return {"keys": len(keys), "release": told["release"], "manifest": told["manifest_sha256"][:12]}


def console(world: World) -> dict[str, Any]:
    """Start the console and its broker, log in for the first time, upload release 1."""
    world.start_console("--broker", "auto")
    code = (world.console_data / "first-login").read_text().strip()
    login = ("--username", USER, "--password", PASSWORD)
    world.fleet("login", world.console, "--code", code, *login)
    upload = world.fleet("releases", "upload", world.publisher / "repo")
    with Rest(world.console) as people:
        status, _ = people.raw("GET", "/api/v1/devices")
        expect(status == 401, "401 for a stranger", status)
        known = people.post("/api/v1/login", {"username": USER, "password": PASSWORD})
        world.token = known["token"]
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
        expect(world.broker is not None, "a broker, for Mosquitto is installed", world.broker)
    return {
        "address": world.console,
        "broker": world.broker or "none: over HTTPS alone",
        "uploaded_files": upload["files"],
        "uploaded_bytes": upload["bytes"],
    }


def device(world: World) -> dict[str, Any]:
    """One command enrols the device; it receives release 1, proves it and serves it."""
    enroll(world)
    world.start_device()
    wait_for("the device online", lambda: world.device()["online"] or None, within_s=30)
    world.push(1)
    row = world.wait_running(1)
    told = world.device()
    expect(told["serving"], "serve to answer on its socket", told)
    return {
        "channel": told["channel"],
        "trust": told["trust"],
        "clock": told["clock"],
        "hardware": told["hardware"],
        "release": row["release"],
    }


def enroll(world: World) -> None:
    data = world.device_data
    data.mkdir(mode=0o750)
    (data / "agent.toml").write_text(AGENT_TOML)
    (data / "serve.toml").write_text(SERVE_TOML)
    token = world.fleet("tokens", "new")["token"]
    enrolment = ["--token", token, "--data", data, "--name", DEVICE]
    world.stage.run(BIN / "littoral", "enroll", world.devices, *enrolment)
    _check_private([data / "identity" / "device.key"])


def _check_private(keys: list[Path]) -> None:
    for key in keys:
        mode = stat.S_IMODE(key.stat().st_mode)
        expect(mode == 0o600, f"{key.name} of mode 0600", oct(mode))
