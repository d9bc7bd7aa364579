"""Settings that a device has for a while, and what has to wait for them: hours, a month's bytes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from boot.machine import Machine
from boot.trees import ROOT
from boot.world import DEVICE, MODEL, World
from littoral.errors import ClosedError, SpentError
from stage import UnmetError, expect, wait_for

PATH: Final = "/etc/littoral/agent.toml"
ZONE: Final = "Europe/Berlin"  # the package brings the system's names of zones
FIXTURES: Final = ROOT / "tests/fixtures"


@contextmanager
def also(machine: Machine, text: str) -> Iterator[None]:
    """Let agent.toml hold ``text`` too."""
    before = (machine.root / PATH.lstrip("/")).read_text()
    machine.write(PATH, before + text)
    machine.run("littoral", "config", "check")
    machine.run("systemctl", "restart", "littoral-agent")
    yield
    machine.write(PATH, before)
    machine.run("systemctl", "restart", "littoral-agent")


def waits(world: World) -> dict[str, Any]:
    """A window that is closed and a month that is spent: both are said, and what runs goes on."""
    running = world.serves()
    other = f"{MODEL}:{3 - int(running.partition(':')[2])}"
    opens = datetime.now(ZoneInfo(ZONE)).replace(minute=0) + timedelta(hours=6)
    window = f'windows = ["mon-sun {opens:%H}:00-{opens:%H}:59"]\nzone = "{ZONE}"\n'
    with also(world.device, window):
        world.house.push(other, DEVICE)
        closed = told(world, MODEL, ClosedError.code, f"until {opens.astimezone(UTC):%H:%M} UTC")
        expect(world.serves() == running, f"{running} to go on", world.serves())
    world.wait_running(other)
    return {"window": closed, "allowance": spent(world), "reports": world.whole()}


def spent(world: World) -> str:
    """Bring one release of a month that has no room for another; return what is said of that."""
    house = world.house
    world.release("tide", 1, FIXTURES / "tiny_float.tflite")
    world.release("wind", 1, FIXTURES / "two_int8.tflite")
    enough = cost(world, "tide") + cost(world, "wind") // 2
    with also(world.device, f"bytes_per_month = {enough}\n"):
        house.push("tide:1", DEVICE)
        world.wait_running("tide:1")
        house.push("wind:1", DEVICE)
        said = told(world, "wind", SpentError.code, "waits for next month's bytes until")
    world.wait_running("wind:1")
    return said


def cost(world: World, model: str) -> int:
    """Return how many bytes release 1 takes to a device that has none of it."""
    return int(world.house.rest(f"/releases/{model}/1/costs")[0]["first"])


def told(world: World, model: str, code: str, words: str) -> str:
    """Return the line of ``littoral status`` in which ``words`` say it; the console says so too."""

    def probe() -> str | None:
        rows = world.house.device(DEVICE)["models"]
        rows += json.loads(world.device.run("littoral", "status", "--json"))["models"]
        codes = [one["waits"] for one in rows if one["model"] == model]
        lines = world.device.run("littoral", "status").splitlines()
        found = [line for line in lines if line.startswith(model) and words in line]
        if codes != [code, code] or not found:
            raise UnmetError(f"{code} of both, and {words!r}", (codes, lines))
        return " ".join(found[0].split())

    return wait_for(f"{model} to wait", probe, within_s=60 * world.slow)
