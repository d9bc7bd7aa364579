"""The package's own life: upgrade and downgrade under load, remove, purge."""

from typing import Any

from boot.world import DEVICE, MODEL, World
from stage import expect


def upgrade(world: World) -> dict[str, Any]:
    """A newer package, then the older one again, while clients ask without a pause."""
    device = world.device
    running = world.serves()
    edited = (device.root / "etc/littoral/agent.toml").read_text()
    figures: dict[str, Any] = {}
    with world.load(clients=4) as met:
        figures["upgrade_s"] = world.install(device, "newer")
        version(world, "newer")
        world.serves()
        figures["downgrade_s"] = world.install(device, "agent", "--allow-downgrades")
        version(world, "agent")
        world.serves()
    expect(met[0].failed == 0, "no failed request", met[0].failures)
    expect(world.serves() == running, f"{running} all the while", world.serves())
    kept = (device.root / "etc/littoral/agent.toml").read_text()
    expect(kept == edited, "the settings as they were edited", kept[-200:])
    other = f"{MODEL}:{3 - int(running.partition(':')[2])}"
    world.house.push(other, DEVICE)
    world.wait_running(other)
    return figures | {"requests": met[0].requests, "failed": 0, "reports": world.whole()}


def version(world: World, package: str) -> None:
    wanted = world.packages[package].name.split("_")[1]
    held = world.device.run("dpkg-query", "-W", "-f", "${Version}", "littoral-agent")
    expect(held == wanted, f"version {wanted}", held)


def remove(world: World) -> dict[str, Any]:
    """Remove keeps identity and models, and the package finds them again; purge keeps nothing."""
    device = world.device
    running = world.serves()
    device.sh("apt-get remove --yes littoral-agent", within_s=300)
    units = device.run("systemctl", "list-units", "--plain", "--no-legend", "littoral-*")
    expect(not units.strip(), "no unit of littoral's at work", units)
    expect(running_processes(world) == [], "no process of littoral's", running_processes(world))
    world.install(device, "agent")
    expect(world.serves() == running, f"{running} after it came back", world.serves())
    world.house.wait_online(DEVICE, within_s=60 * world.slow)
    reports = world.whole()
    device.sh("apt-get purge --yes littoral-agent", within_s=300)
    device.sh("apt-get autoremove --yes --purge", within_s=300)
    left = left_over(world)
    expect(left == [], "nothing left", left)
    return {"served_again": running, "reports": reports, "left": len(left)}


def running_processes(world: World) -> list[str]:
    return world.device.run("pgrep", "-af", "littoral_", check=False).splitlines()


def left_over(world: World) -> list[str]:
    """Return every path that names littoral, but the packages that the test brought."""
    said = world.device.sh(
        "find / -xdev -iname '*littoral*' -not -path '/root/*' -not -path '/proc/*'"
        " -not -path '/var/log/journal/*' -not -path '/sys/*';"
        " find /run -iname '*littoral*' -not -path '/run/systemd/*'"
    )
    return said.split()
