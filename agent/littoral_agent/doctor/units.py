"""The units as systemd has them, and the board's own watchdog."""

import shutil
from pathlib import Path
from typing import Final

from littoral.board.files import found, number, text
from littoral_agent import child
from littoral_agent.doctor.finding import Finding, Place, fail, ok, skip, warn
from littoral_agent.settings import DATA

UNITS: Final = (
    "littoral-agent.service",
    "littoral-serve.service",
    "littoral-serve.socket",
    "littoral-control.socket",
    "littoral-trial.socket",
)
_PROPERTIES: Final = "Id,LoadState,ActiveState,SubState,Result,NRestarts,UnitFileState,WatchdogUSec"
_SYSTEMCTL_S: Final = 10.0
_MANY_RESTARTS: Final = 3
_WATCH: Final = (
    "sudo mkdir -p /etc/systemd/system.conf.d\n"
    "printf '[Manager]\\nRuntimeWatchdogSec=15\\n' "
    "| sudo tee /etc/systemd/system.conf.d/watchdog.conf\n"
    "sudo systemctl daemon-reexec"
)


def units(_: Place) -> Finding:
    """Check what systemd says of our units."""
    systemctl = shutil.which("systemctl")
    if systemctl is None or not Path("/run/systemd/system").is_dir():
        return skip("no systemd here; 'littoral run' keeps both programs going")
    end = child.run((systemctl, "show", f"--property={_PROPERTIES}", *UNITS), within_s=_SYSTEMCTL_S)
    if end.status != 0:
        return warn("systemd", f"it does not answer: {end.how} {end.last}", do="systemctl status")
    return judge_units(end.out.decode(errors="replace"))


def judge_units(shown: str) -> Finding:
    """Say what the output of ``systemctl show`` means."""
    units = [
        dict(line.partition("=")[::2] for line in block.splitlines())
        for block in shown.strip().split("\n\n")
    ]
    there = [unit for unit in units if unit.get("LoadState") not in ("not-found", None)]
    if not there:
        return skip("the package is not installed; 'littoral run' keeps both programs going")
    said = ", ".join(f"{unit['Id']} {unit.get('SubState')}" for unit in there)
    for unit in there:
        if (wrong := _unit_wrong(unit)) is not None:
            return fail(said, f"{unit['Id']} {wrong[0]}", do=wrong[1])
    for unit in there:
        if _count(unit, "NRestarts") > _MANY_RESTARTS:
            wrong_ = f"{unit['Id']} was started again {unit['NRestarts']} times"
            return warn(said, wrong_, do=f"sudo journalctl -u {unit['Id']} -n 100")
        if unit.get("UnitFileState") == "disabled" and unit["Id"].endswith(".service"):
            do = f"sudo systemctl enable {unit['Id']}"
            return warn(said, f"{unit['Id']} does not start with the machine", do=do)
        if unit["Id"].endswith(".service") and unit.get("WatchdogUSec") in ("0", "infinity"):
            do = f"systemctl cat {unit['Id']}; one of its drop-ins says WatchdogSec=0"
            return warn(said, f"nobody notices when {unit['Id']} hangs", do=do)
    return ok(said)


def watchdog(place: Place) -> Finding:
    """Check that the board starts again by itself when its kernel hangs."""
    dogs = list(found(place.root, "sys/class/watchdog/watchdog[0-9]*"))
    if not dogs:
        return skip("this machine has none")
    names = ", ".join(text(dog / "identity") or dog.name for dog in dogs)
    if any(text(dog / "state") == "active" for dog in dogs):
        after = next((s for dog in dogs if (s := number(dog / "timeout"))), None)
        return ok(f"{names} is fed" + (f", and bites after {after} s" if after else ""))
    if not (place.root / "proc/device-tree").exists() and place.tree.root != DATA:
        return skip(f"{names} sleeps, and this is no board")
    return warn(names, "nobody feeds it: a kernel that hangs stays so", do=_WATCH)


def _unit_wrong(unit: dict[str, str]) -> tuple[str, str] | None:
    name, now = unit["Id"], unit.get("ActiveState")
    if unit.get("LoadState") == "masked":
        how = "unmask --runtime" if unit.get("UnitFileState") == "masked-runtime" else "unmask"
        return "is masked", f"sudo systemctl {how} {name} && sudo systemctl start {name}"
    if unit.get("LoadState") != "loaded":
        return f"does not load ({unit.get('LoadState')})", f"systemctl status {name}"
    look = f"sudo journalctl -u {name} -n 50"
    if now == "failed":
        return f"failed: {unit.get('Result')}", f"{look}; sudo systemctl restart {name}"
    begins_anew = now == "activating" and _count(unit, "NRestarts") > _MANY_RESTARTS
    if unit.get("SubState") == "auto-restart" or begins_anew:
        return f"ends again and again: {unit.get('Result')}", look
    if now == "inactive":
        return "does not run", f"sudo systemctl start {name}"
    return None


def _count(unit: dict[str, str], name: str) -> int:
    value = unit.get(name, "0")
    return int(value) if value.isdigit() else 0
