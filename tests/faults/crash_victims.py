"""Victims that nobody disturbs, and all that they do, written down."""

import shutil
from pathlib import Path

from faults import crash_identity, crash_record
from faults.crash_disk import State
from faults.crash_states import Recording
from faults.crash_waker import fill
from faults.ground import SETTINGS, Ground
from faults.job import DONE, Job
from faults.scenarios import SCENARIOS, Scenario
from littoral.tree import Tree
from simulators.serve import ServeSimulator


def record_fresh(ground: Ground) -> Recording:
    """Let a board be enrolled and get its first model, before its disk had a moment's rest."""
    folder = ground.folder / "fresh"
    start, root = folder / "start", folder / "device"
    start.mkdir(parents=True)
    (start / "agent.toml").write_text(SETTINGS.format(probation_s=0.02))
    enrolling = crash_identity.record_enrolment(ground, start, root, folder / "enrolling")
    first = next(one for one in SCENARIOS if one.start == "empty")
    serve = ServeSimulator(Tree(root))
    serve.start()
    try:
        live(ground, root, first, folder / "first", acknowledged=False)
    finally:
        serve.stop()
    return Recording("fresh", str(root), start, (enrolling, folder / "first"), judged=1)


def record_again(ground: Ground, scenario: Scenario, state: State, folder: Path) -> Recording:
    """Let a victim wake in ``state``, and keep what it did."""
    start = Tree(folder / "start")
    start.root.mkdir(parents=True)
    fill(start, state)
    with ground.place(scenario) as place:
        fill(place.tree, state)
        place.serve.crash()
        trace = folder / "trace"
        live(ground, place.tree.root, scenario, trace, acknowledged=False, boot="boot-2")
        name = f"{scenario.name}, woken"
        return Recording(name, str(place.tree.root), start.root, (trace,))


def record(ground: Ground, scenario: Scenario, *, acknowledged: bool) -> Recording:
    """Let a victim live undisturbed, and keep what it did.

    One that is ``acknowledged`` also counts what it brings in a month.
    """
    name = f"{scenario.name}{', acknowledged' if acknowledged else ''}"
    folder = ground.folder / name
    start, trace = folder / "start", folder / "trace"
    with ground.place(scenario) as place:
        if acknowledged:
            with place.tree.settings.open("a") as settings:
                settings.write("bytes_per_month = 10_000_000\n")
        shutil.copytree(place.tree.root, start, ignore=shutil.ignore_patterns("*.sock"))
        live(ground, place.tree.root, scenario, trace, acknowledged=acknowledged)
        return Recording(name, str(place.tree.root), start, (trace,))


def live(
    ground: Ground,
    root: Path,
    scenario: Scenario,
    trace: Path,
    *,
    acknowledged: bool,
    boot: str = "boot-1",
) -> None:
    """Let a victim live in ``root``, and write down what it does."""
    job = Job(
        root=str(root),
        document=str(ground.documents[scenario.wish]),
        goal=scenario.goal,
        boot=boot,
        marks=True,
        acknowledged=acknowledged,
    )
    pid = ground.zygote.begin(job)
    with crash_record.recorded(pid, trace, follow=False):
        ground.zygote.go()
        code = ground.zygote.end()
    if code != DONE:
        raise RuntimeError(f"{scenario.name}, undisturbed: code {code}")
