"""A Coral on PCIe, set up as docs/install.md says: a TPU's child below serve's hardened unit.

No TPU is here. The library is the one that the tests build, and before it gives anybody a TPU it
has to open a device of the kernel's: a real one, which the drop-in alone lets serve come to. The
driver's class is laid over /sys, so that the agent finds the card by itself. Of a stick on USB
only the drop-in's exposure is seen: the class of its device is not in every kernel.
"""

import json
import re
import shutil
import time
from typing import Any, Final

import numpy as np

from boot.bundles import Release, bundle, for_coral
from boot.chapters.begin import FIXTURES, exposed
from boot.chapters.figures import CARD, resident
from boot.chapters.pages import blocks, typed
from boot.machine import Machine
from boot.world import World
from simulators import edgetpu
from stage import UnmetError, expect, wait_for

NAME: Final = "birds"
MOST: Final = 1.0
PAGE: Final = "An accelerator"  # the title in docs/install.md
_LIBRARY: Final = "/opt/libedgetpu"
# The device has the numbers of /dev/fuse, which systems have, and who may come to it may open it.
# The library has a TPU for itself by a lock: here that is the device, which it has to open for it.
_DRIVER: Final = f"""
groupadd --system apex
mknod -m 660 /dev/apex_0 c 10 229
chgrp apex /dev/apex_0
mkdir -p /run/driver/apex/apex_0
mount -t overlay -o lowerdir=/run/driver:/sys/class apex /sys/class
ln -s /dev/apex_0 {_LIBRARY}/lock-apex_0
echo {_LIBRARY} >/etc/ld.so.conf.d/libedgetpu.conf
ldconfig
"""
# Who is in no group of its may come to it now, and the unit is for another kind of Coral.
_ANOTHER: Final = """
chmod 666 /dev/apex_0
cd /etc/systemd/system/littoral-serve.service.d
rm coral-pcie.conf
ln -s /usr/share/littoral-agent/drop-ins/coral-usb.conf .
systemctl daemon-reload
systemctl restart littoral-serve
"""


def coral(world: World) -> dict[str, Any]:
    """The page's drop-in is linked, a compiled release arrives, and its child is killed."""
    card = world.second
    plug(world, card)
    typed(card, blocks()[PAGE][0], {"coral-usb": "coral-pcie"})
    exposure = exposed(card, "littoral-serve", MOST)
    folder = world.stage.work / f"bundles/{NAME}-1"
    plain = bundle(folder, NAME, 1, FIXTURES / "tiny_int8.tflite")
    release = for_coral(plain)
    world.house.publish(release)
    started = time.monotonic()
    world.house.push(f"{NAME}:1", CARD)
    world.house.wait_running(CARD, f"{NAME}:1", within_s=120)
    on_tpu(world, release)
    proven_s = round(time.monotonic() - started, 1)
    pid = confined(card)
    memory = {"serve": resident(card, card.pid("littoral-serve")), "child": resident(card, pid)}
    return {
        "exposure": exposure,
        "push_to_proven_s": proven_s,
        **memory,
        **kill(world, release, plain),
        "start_to_tpu_s": restart(world, release),
        "another_drop_in": denied(world, plain),
    }


def plug(world: World, card: Machine) -> None:
    """Put a card in whose driver and library are installed, and let the agent find it."""
    there = card.root / _LIBRARY.lstrip("/")
    there.mkdir(parents=True)
    shutil.copy(edgetpu.build(world.stage.work) / edgetpu.LIBRARY, there)
    edgetpu.Sticks(there).plug("pci apex_0")
    card.sh(_DRIVER)
    card.run("systemctl", "restart", "littoral-agent")

    def found() -> bool | None:
        hardware = world.house.device(CARD)["hardware"]
        if "edgetpu-pcie" not in hardware:
            raise UnmetError("edgetpu-pcie", hardware)
        return True

    wait_for("the console to know of the card", found, within_s=60)


def said(card: Machine) -> dict[str, Any]:
    """Return what ``littoral status`` says of the model."""
    serve = json.loads(card.run("littoral", "status", "--json"))["serve"] or {"models": []}
    return next((dict(one) for one in serve["models"] if one["model"] == NAME), {})


def answers(world: World, release: Release) -> bool:
    """Whether the board answers as ``release`` does."""
    with world.client(world.second) as client:
        got: Any = client.predict(NAME, release.inputs, signature="raw")
    return np.array_equal(got, release.outputs)


def on_tpu(world: World, release: Release) -> None:
    """Wait until the model is on the TPU by serve's own word, and its answers are the TPU's."""

    def probe() -> bool | None:
        row = said(world.second)
        if row.get("variant") != "coral" or row["instead"] is not None:
            raise UnmetError("coral, and nothing instead", row)
        return True

    wait_for(f"{NAME} to be on the TPU", probe, within_s=60)
    expect(answers(world, release), "what a TPU answers", "other outputs")


def children(card: Machine) -> list[int]:
    """Return the processes that have a TPU, by the board's numbers."""
    found = []
    for path in card.inside("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"littoral_serve.tpu.child\0" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def confined(card: Machine) -> int:
    """Return the child, which is as the unit has it: nobody's, without rights, filtered."""
    (pid,) = children(card)
    status = card.inside(f"/proc/{pid}/status").read_text()
    held = dict(re.findall(r"^(\w+):\s+(.*)$", status, re.MULTILINE))
    serve, apex = (card.sh(one).strip() for one in ("id -u littoral-serve", "getent group apex"))
    wanted = {
        "Uid": "\t".join(4 * [serve]),
        "CapEff": f"{0:016x}",
        "CapBnd": f"{0:016x}",
        "NoNewPrivs": "1",
        "Seccomp": "2",
    }
    expect({name: held[name] for name in wanted} == wanted, str(wanted), held)
    expect(apex.split(":")[2] in held["Groups"].split(), "the device's group", held["Groups"])
    for process, loaded in ((pid, True), (card.pid("littoral-serve"), False)):
        maps = card.inside(f"/proc/{process}/maps").read_text()
        expect((edgetpu.LIBRARY in maps) == loaded, f"the library: {loaded}", process)
    return pid


def kill(world: World, release: Release, twin: Release) -> dict[str, Any]:
    """kill -9 of the child: all are answered, by the twin until another child has the TPU."""
    card, counts = world.second, {"by_twin": 0, "by_tpu": 0}
    before = children(card)
    card.run("kill", "-9", *map(str, before))
    started = time.monotonic()
    with world.client(card) as client:
        while not counts["by_tpu"] or children(card) == before:
            got: Any = client.predict(NAME, release.inputs[:1], signature="raw")
            tpu = np.array_equal(got, release.outputs[:1])
            known = tpu or np.array_equal(got, twin.outputs[:1])
            expect(known, "an answer of the TPU's or of the twin's", got)
            counts["by_tpu" if tpu else "by_twin"] += 1
            expect(time.monotonic() < started + 60, "another child", counts)
            time.sleep(0.005)
    seconds = round(time.monotonic() - started, 1)
    on_tpu(world, release)
    expect(counts["by_twin"] > 0, "a twin that stood in", counts)
    return {"killed_to_tpu_s": seconds, "by_twin": counts["by_twin"]}


def restart(world: World, release: Release) -> float:
    """Return the seconds from a start of serve until the TPU answers."""
    started = time.monotonic()
    world.second.run("systemctl", "restart", "littoral-serve")
    on_tpu(world, release)
    return round(time.monotonic() - started, 1)


def denied(world: World, twin: Release) -> dict[str, Any]:
    """A drop-in for another kind: the unit alone keeps serve from the device; the twin answers."""
    card = world.second
    card.sh(_ANOTHER)

    def probe() -> bool | None:
        row = said(card)
        return (row.get("instead") == "cpu-int8" and row["lost"]) or None

    wait_for("a TPU that serve may not open", probe, within_s=60)
    expect(answers(world, twin), "what the twin answers", "other outputs")
    why = card.journal("-u", "littoral-serve", "-g", "no Edge TPU can be opened", "-o", "cat")
    expect("pci:0 is there" in why, "a device that is listed, and not opened", why)
    return {"drop_in": "coral-usb", "exposure": exposed(card, "littoral-serve", MOST)}
