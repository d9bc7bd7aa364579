"""A second board, which enrols by a file on its card, and what both services cost there."""

import re
import time
from typing import Any, Final

from boot.machine import Machine
from boot.mobilenet import mobilenet
from boot.world import SETTINGS, World
from stage import expect

CARD: Final = "pi-8"
NAME: Final = "mobilenet"
MOST_MIB: Final = {"serve": 60.0, "agent": 48.0, "together": 108.0}
REQUESTS: Final = 200


def credential(world: World) -> dict[str, Any]:
    """Enrol without a login: one file in /etc/credstore, put there before the first boot."""
    house = world.house
    card = world.second = world.machine(CARD)
    told = house.stage.run(*house.command("tokens", "new", "--device", CARD, "--credential"))
    card.write("/etc/credstore/littoral.enrolment", told, mode=0o600)
    card.boot()
    world.install(card, "agent")
    started = time.monotonic()
    found = house.wait_online(CARD, within_s=60 * world.slow)
    seconds = round(time.monotonic() - started, 1)
    settings = (card.root / "etc/littoral/agent.toml").read_text()
    card.write("/etc/littoral/agent.toml", settings + SETTINGS)
    card.run("systemctl", "restart", "littoral-agent")
    return {"online_after_s": seconds, "incarnation": found["incarnation"], "trust": found["trust"]}


def memory(world: World) -> dict[str, Any]:
    """RSS and PSS of both services: MobileNet 0.25 answers, the broker's TLS connection is up."""
    card = world.second
    release = world.release(NAME, 1, mobilenet(world.mobilenet))
    world.house.push(f"{NAME}:1", CARD)
    world.house.wait_running(CARD, f"{NAME}:1", within_s=90 * world.slow)
    with world.client(card) as client:
        answers = [
            client.predict(NAME, release.inputs[:1], signature="raw") for _ in range(REQUESTS)
        ]
    most = max(world.differ(got, release.outputs[:1]) for got in answers)
    expect(most <= world.steps, f"outputs within {world.steps} steps of the host's", most)
    channel = world.house.wait_online(CARD)["channel"]
    expect(channel == "mqtt", "the broker's channel", channel)
    figures = {name: resident(card, card.pid(f"littoral-{name}")) for name in ("serve", "agent")}
    together = {what: round(sum(f[what] for f in figures.values()), 1) for what in ("rss", "pss")}
    rss = {name: row["rss"] for name, row in figures.items()} | {"together": together["rss"]}
    kept = {name: rss[name] <= most for name, most in MOST_MIB.items()}
    expect(all(kept.values()), f"at most {MOST_MIB} MiB", figures)
    return {"unit": "MiB", **figures, "together": together, "requests": REQUESTS}


def resident(machine: Machine, pid: int) -> dict[str, float]:
    """Return what a process of the machine's holds, in MiB."""
    told = machine.inside(f"/proc/{pid}/smaps_rollup").read_text()
    found = {
        what: int(kib) for what, kib in re.findall(r"^(Rss|Pss): +(\d+) kB", told, re.MULTILINE)
    }
    return {what.lower(): round(kib / 1024, 1) for what, kib in found.items()}
