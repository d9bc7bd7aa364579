"""Refuse: five bad releases, one after the other, while release 2 goes on serving.

Each ends with a reason code of its own in the console; the clients in the background must
meet nothing but release 2's one answer.
"""

import json
from pathlib import Path
from typing import Any

import attacker
from chapters.models import RECIPE, convert_one, manifest
from stage import expect, wait_for
from world import MODEL, Load, World

CLIENTS = 2
PAUSE_MS = 20


def prepare(world: World) -> dict[str, Any]:
    """Convert what the five refusals need; then the clients begin, and go on to the end."""
    convert_one(world, "digits-3", release=3)
    budget = manifest(world.bundle("digits-2"))["selftest"]["p95_cpu_us"]
    lines = "\n".join(f'"{name}" = {value}' for name, value in budget.items())
    recipe = f"{RECIPE}\n[selftest.p95_cpu_us]\n{lines}\n"
    convert_one(world, "careless", release=6, recipe=recipe)
    three = world.bundle("digits-3")
    attacker.copy_bundle(three, world.bundle("forged"), release=4)
    swapped = attacker.copy_bundle(three, world.bundle("swapped"), release=5)
    attacker.swap_model(swapped, world.bundle("digits-1"))
    attacker.copy_bundle(
        three,
        world.bundle("other-hardware"),
        release=7,
        variants__0__requires={"hardware": ["edgetpu-usb"]},
    )
    world.start_load(clients=CLIENTS, pause_ms=PAUSE_MS)
    return {"budget_us": budget}


def refused(world: World, release: int, code: str, *more: str) -> dict[str, Any]:
    """Push ``release``; it must be refused with ``code``, and nobody may notice."""
    before, answer = world.load().requests, world.answer()
    world.push(release, *more)
    row = world.wait_refused(release, code)
    still = world.wait_running(2)
    expect(world.answer() == answer, "the answer of release 2", world.answer())
    met = wait_for("more requests", lambda: _later(world, before), within_s=10)
    met.check(answers=1)
    return {
        "release": release,
        "code": row["code"],
        "still_serving": still["release"],
        "requests": met.requests - before,
        "failed": met.failed,
        "said": row["detail"],
        "figures": row["figures"],
    }


def flipped_bit(world: World) -> dict[str, Any]:
    """Refuse (a) a genuine release: the disk flipped a bit of its model, and of its encodings."""
    world.publish(world.bundle("digits-3"))
    blobs = _blobs(world, release=3)
    for blob in blobs:
        attacker.flip_one_bit(blob)
    try:
        return refused(world, 3, "hash")
    finally:
        for blob in blobs:
            attacker.flip_one_bit(blob)


def stranger(world: World) -> dict[str, Any]:
    """Refuse (b) what a stolen console vouches for, and a stranger signed."""
    world.publish(world.bundle("forged"))
    keys = world.console_data / "keys"
    attacker.forge(world.console_data / "repo", keys, model=MODEL, release=4)
    return refused(world, 4, "signature")


def other_outputs(world: World) -> dict[str, Any]:
    """Refuse (c) a genuine, correctly signed release: other outputs than its vectors.

    The thief's metadata is still there. What heals it is honest metadata of a greater version,
    so the publisher signs anew before he publishes.
    """
    repository, offline = world.publisher / "repo", world.publisher / "offline"
    world.stage.littoral("repo", "extend", repository, "--offline", offline)
    world.publish(world.bundle("swapped"))
    return refused(world, 5, "outputs")


def slow(world: World) -> dict[str, Any]:
    """Refuse (d) a model that is right and takes far more time than release 2 was allowed."""
    world.publish(world.bundle("careless"))
    return refused(world, 6, "latency")


def other_hardware(world: World) -> dict[str, Any]:
    """Refuse (e) a release for an accelerator that is not there; the console was forced."""
    world.publish(world.bundle("other-hardware"))
    return refused(world, 7, "wrong-hardware", "--force")


def _later(world: World, requests: int) -> Load | None:
    met = world.load()
    return met if met.requests > requests else None


def _blobs(world: World, *, release: int) -> list[Path]:
    """Return in the console's repository the model of a release, and the encodings of it."""
    repo = world.console_data / "repo"
    (published,) = (repo / "targets" / "bundles" / MODEL / str(release)).glob("*.manifest.json")
    said = json.loads(published.read_text())
    model = said["files"][said["variants"][0]["files"][0]]
    named = [model["sha256"], *(one["sha256"] for one in model.get("encodings", ()))]
    paths = [repo / "blobs" / sha256 for sha256 in named]
    for path in paths:
        expect(path.is_file(), "the model among the console's blobs", path)
    return paths
