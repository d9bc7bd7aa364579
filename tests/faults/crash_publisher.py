"""Crash states of a repository, and of what a client believes of one.

Whatever a power cut leaves of a repository, who asks it finds all that was published before,
whole; and the same command again ends. What a cut leaves beside a publisher's files stays: nobody
knows who else is writing there.
"""

import hashlib
import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from faults import crash_deeds
from faults.crash_disk import State
from faults.crash_identity import record_child
from faults.crash_states import Recording, key
from faults.crash_trace import Step
from faults.crash_waker import fill
from faults.ground import Ground
from faults.tally import Tally
from littoral.bundle.manifest import Manifest, target_path
from littoral.errors import LittoralError
from littoral.tree import Tree
from littoral.trust.client import bootstrap
from simulators.repository import tiny_bundle

STORIES: Final = ("founded", "published", "published again", "rotated", "followed")


class Publications:
    """Judges the states of one story."""

    def __init__(self, ground: Ground, story: str, tally: Tally) -> None:
        self._story, self._tally = story, tally
        self._folder = ground.folder / story
        self._base = self._folder / "woken"
        self._base.mkdir(exist_ok=True)
        self._ends: dict[bytes, list[str]] = {}
        again = {
            "founded": partial(crash_deeds.found, self._base),
            "rotated": partial(crash_deeds.rotate, self._base),
            "followed": partial(crash_deeds.follow, self._base, self._folder / "repo"),
        }
        publish = partial(crash_deeds.publish, self._base, self._folder / "bundle")
        self._again: Callable[[], None] = again.get(story, publish)

    def hear(self, step: Step, now: State) -> None:
        """Nobody else knows anything."""

    def judge(self, state: State) -> Iterator[str]:
        word = key(state)
        if word not in self._ends:
            self._tally.count["woken"] += 1
            fill(Tree(self._base), state)
            self._ends[word] = [*self._wake()]
        yield from self._ends[word]

    def _wake(self) -> Iterator[str]:
        if self._story == "published":
            yield from self._misses(set(), "no-start")
        if self._story == "published again":
            yield from self._misses({1}, "no-start")
        try:
            self._again()
        except (LittoralError, ValueError) as e:
            yield f"stuck: {type(e).__name__}: {e}"
            return
        wanted = {"published": {1}, "published again": {1, 2}}.get(self._story, set())
        if self._story != "followed":
            yield from self._misses(wanted, "end")

    def _misses(self, releases: set[int], kind: str) -> Iterator[str]:
        """Say what somebody who asks for the first time does not find."""
        folder, repo = self._folder / "client", self._base / "repo"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            bootstrap(folder, (repo / "metadata" / "1.root.json").read_bytes())
            client = crash_deeds.client(folder, repo)
            client.refresh()
            for release in (1, 2):
                found = client.lookup(target_path("digits", release))
                if found is None and release not in releases:
                    continue
                if found is None:
                    yield f"{kind}: release {release} is not there"
                    continue
                data = (repo / client.remote_name(found[0])).read_bytes()
                found[0].verify_length_and_hashes(data)
                for file in Manifest.from_json(data).files.values():
                    for sha256 in (file.sha256, *(one.sha256 for one in file.encodings)):
                        blob = (repo / "blobs" / sha256).read_bytes()
                        if hashlib.sha256(blob).hexdigest() != sha256:
                            yield f"{kind}: a blob of release {release} holds other bytes"
        except (LittoralError, OSError, ValueError) as e:
            yield f"{kind}: {type(e).__name__}: {e}"


def record(ground: Ground, story: str) -> Recording:
    """Let somebody do what ``story`` is about, and keep what was done."""
    folder = ground.folder / story
    start, root, trace = folder / "start", folder / "device", folder / "trace"
    start.mkdir(parents=True)
    words = {"published": "publish", "published again": "publish", "rotated": "rotate"}
    bundle = folder / "bundle"
    if story != "founded":
        crash_deeds.found(start)
    if story == "published again":
        first = folder / "first"
        first.mkdir()
        crash_deeds.publish(start, _bundle(first, release=1))
    if story in {"published", "published again"}:
        bundle.mkdir()
        _bundle(bundle, release=1 + (story == "published again"))
    if story == "followed":
        start = _ahead(folder, start)
    about = {"founded": [], "rotated": [], "followed": [str(folder / "repo")]}
    word = words.get(story, "found" if story == "founded" else "follow")
    record_child(start, root, trace, [word, str(root), *about.get(story, [str(bundle)])])
    return Recording(story, str(root), start, (trace,))


def _bundle(folder: Path, *, release: int) -> Path:
    """Write a bundle that is published with zstd, and if it is the second, with a patch too."""
    model = random.Random(1).randbytes(2000) + bytes([release]) * 500
    files = {"model.tflite": model}
    return tiny_bundle(folder, model="digits", release=release, files=files)


def _ahead(folder: Path, publisher: Path) -> Path:
    """Rotate a key behind the back of a client that believes the root before; return its folder."""
    believed = folder / "believed"
    bootstrap(believed, (publisher / "repo" / "metadata" / "1.root.json").read_bytes())
    crash_deeds.follow(believed, publisher / "repo")
    crash_deeds.rotate(publisher)
    shutil.copytree(publisher / "repo", folder / "repo")
    return believed
