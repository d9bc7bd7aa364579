"""What a device survives: kills, a cut network, cut power, a wrong clock, a full disk.

After each the model answers as before, and the console has every report once.
"""

import random
import time
from functools import partial
from pathlib import Path
from typing import Any

from boot.ground import leave
from boot.machine import Machine
from boot.world import DEVICE, MODEL, World
from stage import expect, wait_for

# Loaded into both services, it says that 1970 begins when they start.
CLOCK = """\
[Service]
Environment=LD_PRELOAD={library}
Environment="FAKETIME=@1970-01-01 00:00:00"
Environment=FAKETIME_DONT_FAKE_MONOTONIC=1
Environment=FAKETIME_DISABLE_SHM=1
"""
DROP_IN = "/etc/systemd/system/littoral-{}.service.d/1970.conf"


def kill_each(world: World) -> dict[str, Any]:
    """kill -9 of serve, of the agent, and of the child that tries a candidate."""
    figures: dict[str, Any] = {}
    for unit in ("littoral-serve", "littoral-agent"):
        with world.load() as met:
            before = world.device.pid(unit)
            kill(world.device, before)
            started = time.monotonic()
            another = partial(anew, world, unit, before)
            wait_for(f"{unit} anew", another, within_s=30 * world.slow)
            world.serves()
            figures[f"{unit}_back_s"] = round(time.monotonic() - started, 1)
        # Whoever was being answered by the process that died is told so, and no one else.
        most = met[0].clients if unit == "littoral-serve" else 0
        expect(met[0].failed <= most, f"at most {most} failed requests", met[0].failures)
        figures[f"{unit}_requests"] = met[0].requests
        figures[f"{unit}_failed"] = met[0].failed
    figures["trial_kills"] = kill_trials(world)
    return figures | {"reports": world.whole()}


def anew(world: World, unit: str, before: int) -> bool | None:
    """Tell whether another process than ``before`` is ready."""
    ready = world.device.run("systemctl", "is-active", unit, check=False).strip() == "active"
    return (ready and world.device.pid(unit) not in (0, before)) or None


def kill(machine: Machine, pid: int) -> None:
    machine.run("kill", "-9", str(pid))


def kill_trials(world: World, times: int = 2) -> int:
    """Kill what serve starts to try release 2, twice; the third try holds."""
    world.house.push(f"{MODEL}:2", DEVICE)
    killed = 0
    until = time.monotonic() + 30 * world.slow
    while killed < times and time.monotonic() < until:
        for pid in trials(world.device):
            world.device.sh(f"kill -9 {pid}", check=False)
            killed += 1
        time.sleep(0.02)
    expect(killed >= times, f"{times} trials to be killed", killed)
    world.wait_running(f"{MODEL}:2", within_s=120)
    world.house.push(f"{MODEL}:1", DEVICE)
    world.wait_running(f"{MODEL}:1")
    return killed


def trials(machine: Machine) -> list[str]:
    """Return the running trials, by the machine's numbers."""
    found = []
    for path in machine.inside("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"littoral_serve.trials.trial\0" in words or b"littoral_serve.trials.trying\0" in words:
            found.append(path.parent.name)
    return found


def network(world: World) -> dict[str, Any]:
    """The cable is drawn at moments of an update, and put back: each update arrives."""
    ground, moments = world.ground, (0.0, 0.3, 0.8, 1.5)
    for number, moment in enumerate(moments):
        release = f"{MODEL}:{2 - number % 2}"
        if moment == 0:
            ground.unplug(DEVICE)
        world.house.push(release, DEVICE)
        time.sleep(moment * world.slow)
        ground.unplug(DEVICE)
        time.sleep(4)
        world.serves()
        ground.plug(DEVICE)
        world.wait_running(release, within_s=120)
    return {"cuts": len(moments), "reports": world.whole()}


def power(world: World) -> dict[str, Any]:
    """The power is cut at random moments of updates and of boots."""
    chance, began, back = random.Random(3), time.monotonic(), []
    answered: dict[str, int] = {}
    device, house = world.device, world.house
    for number in range(world.cuts):
        wanted = f"{MODEL}:{2 - number % 2}"
        house.push(wanted, DEVICE)
        time.sleep(chance.uniform(0, 4) * world.slow)
        device.cut()
        if number % 5 == 4:  # once in a while also before it is up
            device.boot(wait=False)
            time.sleep(chance.uniform(0, 3) * world.slow)
            device.cut()
        started = time.monotonic()
        device.boot(wait=False)
        release = world.serves(within_s=90)
        back.append(time.monotonic() - started)
        answered[release] = answered.get(release, 0) + 1
    last = f"{MODEL}:{2 - (world.cuts - 1) % 2}"
    world.wait_running(last, within_s=180)
    return {
        "cuts": world.cuts + world.cuts // 5,
        "power_to_first_answer_s": {
            "median": round(sorted(back)[len(back) // 2], 1),
            "most": round(max(back), 1),
        },
        "answered": answered,
        "seconds": round(time.monotonic() - began),
        "reports": world.whole(),
    }


def clock(world: World) -> dict[str, Any]:
    """It boots in 1970 and without a network, serves, and takes an update once there is one."""
    device = world.device
    device.sh("apt-get install --yes --no-install-recommends libfaketime", within_s=300)
    library = device.sh("ls /usr/lib/*/faketime/libfaketime.so.1").strip()
    for unit in ("agent", "serve"):
        device.write(DROP_IN.format(unit), CLOCK.format(library=library))
    running = world.serves()
    device.cut()
    world.ground.unplug(DEVICE)
    device.boot()
    expect(world.serves() == running, f"{running} to answer in 1970", world.serves())
    year = device.inside(f"/proc/{device.pid('littoral-agent')}/environ").read_bytes()
    expect(b"FAKETIME=@1970" in year, "an agent in 1970", year)
    world.ground.plug(DEVICE)
    other = f"{MODEL}:{3 - int(running.partition(':')[2])}"
    world.house.push(other, DEVICE)
    world.wait_running(other, within_s=120)
    told = world.house.device(DEVICE)
    for unit in ("agent", "serve"):
        device.sh(f"rm -r {Path(DROP_IN.format(unit)).parent}")
    device.sh("systemctl daemon-reload; systemctl restart littoral-agent littoral-serve")
    return {"served": running, "then": other, "clock": told["clock"], "reports": world.whole()}


def disk(world: World) -> dict[str, Any]:
    """The card is full to the last byte: it is told, the model goes on, and room heals it."""
    device, house = world.device, world.house
    running = world.serves()
    other = f"{MODEL}:{3 - int(running.partition(':')[2])}"
    leave(DEVICE, 2**20)
    device.sh("dd if=/dev/zero of=/var/ballast bs=4k status=none || true")
    house.push(other, DEVICE)

    def told() -> bool | None:
        said = device.journal("-u", "littoral-agent", "-n", "200")
        return "[disk-full]" in said or None

    wait_for("the agent to say disk-full", told, within_s=40 * world.slow)
    expect(world.serves() == running, f"{running} to answer from a full card", world.serves())
    device.cut()
    device.boot(wait=False)
    expect(world.serves(within_s=90) == running, f"{running} after a boot of it", "another")
    device.sh("rm /var/ballast")
    leave(DEVICE, None)
    world.wait_running(other, within_s=120)
    return {"served": running, "then": other, "reports": world.whole()}
