"""What must hold of a device's folder: at any moment, and when all is done. It changes nothing."""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from faults.scenarios import Scenario
from littoral.bundle.manifest import Manifest
from littoral.errors import EncodingError, LittoralError
from littoral.tree import Tree
from littoral.wire import journal
from littoral.wire.journal import Choice, Journal
from littoral.wire.messages import Report

_WOKEN = frozenset({"woke"})  # what an interruption may add to a life
TROUBLED = _WOKEN | {"refused", "stumbled"}  # and what a disk that says no may


def at_rest(tree: Tree, scenario: Scenario) -> list[str]:
    """Return what is wrong while nobody runs: a part that can be seen, a start without a model."""
    return [*_parts_seen(tree), *_would_not_start(tree, scenario)]


def _parts_seen(tree: Tree) -> Iterator[str]:
    """Name each file that bears its final name and is not whole."""
    for path in _files(tree.blobs):
        if _sha256(path) != path.name:
            yield f"partial: blobs/{path.name[:12]} is not what it is called"
    for path in _files(tree.manifests):
        if _sha256(path) != path.stem:
            yield f"partial: manifests/{path.name[:12]} is not what it is called"
    for path in (*_files(tree.journals), *tree.journals.glob(".*.proven")):
        try:
            _journal(path)
        except (LittoralError, ValueError) as e:
            yield f"partial: {path.name}: {e}"
    for path in (*_files(tree.trust), *_files(tree.metadata)):
        try:
            json.loads(path.read_bytes())
        except ValueError as e:
            yield f"partial: trust/{path.name}: {e}"


def _would_not_start(tree: Tree, scenario: Scenario) -> Iterator[str]:
    """Say what a serve that started now would lack: it loads what the journals call good."""
    path = tree.journal("digits")
    try:
        held: Journal | None = journal.read(path) if path.exists() else None
    except LittoralError:
        held = journal.read_proven(path)
    good = held.good if held else None
    release = good.release if good else None
    if release not in scenario.may_serve:
        yield f"no-start: release {release} would serve; expected one of {scenario.may_serve}"
    if good is not None:
        yield from (f"no-start: {missing}" for missing in _missing(tree, good))


def _missing(tree: Tree, choice: Choice) -> Iterator[str]:
    try:
        manifest = Manifest.from_json(tree.manifest(choice.manifest).read_bytes())
    except (OSError, LittoralError) as e:
        yield f"the manifest of release {choice.release}: {e}"
        return
    for name, file in manifest.files_for(manifest.variant(choice.variant)).items():
        blob = tree.blob(file.sha256)
        if not blob.exists() or _sha256(blob) != file.sha256:
            yield f"{name} of release {choice.release} is not here, or other bytes"


def at_end(
    tree: Tree,
    scenario: Scenario,
    serving: dict[str, int],
    *,
    aside: frozenset[str] = _WOKEN,
    reports: Sequence[Report] | None = None,
) -> list[str]:
    """Return what is wrong when there is nothing left to do; events ``aside`` are not counted.

    ``reports`` are those that the console has; without, none of them was ever sent.
    """
    wrong = [*_not_there(tree, scenario, serving), *_left(tree)]
    return [*wrong, *_told_wrong(told(tree) if reports is None else reports, scenario, aside)]


def _not_there(tree: Tree, scenario: Scenario, serving: dict[str, int]) -> Iterator[str]:
    held, goal = journal.read(tree.journal("digits")), scenario.goal
    good = held.good.release if held.good else None
    bad = next((one.code for one in held.quarantine.values()), None)
    if (held.state, good, held.candidate, bad) != (goal.state, goal.good, None, goal.bad):
        yield f"end: found {held}; expected {goal}"
    expected = {} if goal.good is None else {"digits": goal.good}
    if serving != expected:
        yield f"end: serve runs {serving}; expected {expected}"


def _left(tree: Tree) -> Iterator[str]:
    """Name what takes space and is nobody's."""
    good = journal.read(tree.journal("digits")).good
    blobs: set[str] = set()
    if good is not None:
        manifest = Manifest.from_json(tree.manifest(good.manifest).read_bytes())
        chosen = manifest.files_for(manifest.variant(good.variant))
        blobs = {file.sha256 for file in chosen.values()}
    kept = {
        tree.blobs: blobs,
        tree.parts: set[str](),
        tree.manifests: {f"{good.manifest}.json"} if good else set[str](),
        tree.journals: {"digits.json"} | ({".digits.proven"} if good else set[str]()),
    }
    for folder, names in kept.items():
        found = {path.name for path in folder.iterdir() if path.is_file()}
        if found != names:
            yield f"left: {folder.name}: {sorted(found ^ names)}"
    for path in tree.root.rglob(".*.new"):
        yield f"left: {path.relative_to(tree.root)}"


def _told_wrong(
    reports: Sequence[Report], scenario: Scenario, aside: frozenset[str]
) -> Iterator[str]:
    """Say which reports are lost, doubled, or were never due."""
    numbers = [report.key.sequence for report in reports]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"reports: sequences {numbers}"
    updates = [one.update for one in reports if one.update is not None]
    found = Counter(one.event for one in updates if one.event not in aside)
    expected = Counter(one for one in scenario.before + scenario.steps if one not in aside)
    if found != expected:
        yield f"reports: {dict(found)}; expected {scenario.before} and {scenario.steps}"
    struck = sum(one.code == EncodingError.code for one in reports)
    # Of a disk that refuses the spool only the step's figures tell, once the agent is ended.
    if struck > scenario.struck or (aside <= _WOKEN and struck < scenario.struck):
        yield f"reports: {struck} of encodings that were struck; expected {scenario.struck}"


def told(tree: Tree) -> list[Report]:
    """Return the reports that wait for the console, in their order."""
    with closing(sqlite3.connect(tree.spool)) as db:
        rows = db.execute(
            "SELECT body FROM messages JOIN streams ON name = stream "
            "WHERE kind = 'report' ORDER BY sequence"
        ).fetchall()
    return [Report.from_json(body) for (body,) in rows]


def _files(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")]


def _journal(path: Path) -> Journal:
    if path.name.startswith("."):
        found = journal.read_proven(path.with_name(f"{path.name[1:].removesuffix('.proven')}.json"))
        if found is None:
            raise ValueError("it cannot be read")
        return found
    return journal.read(path)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
