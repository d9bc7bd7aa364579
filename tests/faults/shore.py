"""What stays while pairs of programs come and go: a publisher, a console, states to start from.

with shore() as here:
    with here.pair(SCENARIOS[1]) as pair:   # a device's folder, and nobody at work in it yet
        pair.start()
        pair.kill("agent", "serve")
"""

import http
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self

from faults.client import predict
from faults.memory import in_memory
from faults.pair import Pair
from faults.scenarios import FAILS_TEST, NEXT, SOUND, Scenario, Start
from littoral.tree import Tree
from littoral.wire.journal import State
from littoral.wire.messages import Key
from simulators.fleet import Fleet
from simulators.served import Device, model, serving

SETTINGS: Final = """
hardware = ["cpu-x86_64"]
channel = "https"
keep = 0
probation_s = {probation_s}
serve_poll_s = 0.05
retry_first_s = 0.05
retry_most_s = 0.3
refused_retry_s = 0.3
disk_reserve_bytes = 0
"""


class Shore:
    """What stays while pairs come and go. One at a time: they are all the same device."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet = Fleet(
            folder / "fleet", broker=False, settings=SETTINGS.format(probation_s=0.3)
        )
        self.answers: dict[bytes, int] = {}  # what clients get, by the release that says so
        self._starts: dict[Start, dict[Key, bytes]] = {}
        self._count = 0

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.fleet)
            self.fleet.serve.stop()
            one, other = model("tiny_int8"), model("tiny_int8_b")
            # The one that fails has the other's outputs, and promises those of the first.
            self._publish(SOUND, _long(one, SOUND), golden_of=one)
            self._publish(NEXT, _long(other, NEXT), golden_of=other)
            self._publish(FAILS_TEST, _long(other, FAILS_TEST), golden_of=one)
            self._learn({SOUND: one, NEXT: other})
            self.fleet.enrol()
            self._make_starts()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @contextmanager
    def pair(self, scenario: Scenario, *, broken: str | None = None) -> Iterator[Pair]:
        """Make a device that starts where ``scenario`` does, and is told what it shall come to."""
        with self._at(scenario.start) as tree:
            if "dropped" in scenario.steps:
                # What is to be dropped must not prove itself before anybody says so.
                tree.settings.write_text(SETTINGS.format(probation_s=600))
            self._say(scenario.wish, version=3)
            pair = Pair(tree, self.answers, broken=broken)
            try:
                yield pair
            finally:
                pair.close()

    @contextmanager
    def _at(self, start: Start) -> Iterator[Tree]:
        self._count += 1
        folder = self.folder / str(self._count)
        shutil.copytree(self.folder / "starts" / start, folder / "device")
        self.fleet.console.taken = dict(self._starts[start])
        self.fleet.console.statuses.clear()
        # What the fleet knows of its device, its reports above all, is about this one now.
        self.fleet.tree, self.fleet.log = Tree(folder / "device"), folder / "log"
        try:
            yield self.fleet.tree
        finally:
            shutil.rmtree(folder)

    def _say(self, wish: int | None, *, version: int) -> None:
        repo = self.fleet.repo
        named = [] if wish is None else [repo.assignment("digits", wish)]
        self.fleet.console.desire("pi-7", repo.director(*named, device="pi-7", version=version))

    def _publish(self, release: int, data: bytes, *, golden_of: bytes) -> None:
        press = Device(self.folder / "press")
        made = press.add("digits", release=release, data=data, golden_of=golden_of)
        self.fleet.repo.publish(press.bundle(made, self.folder / "made" / str(release)))

    def _learn(self, models: dict[int, bytes]) -> None:
        """Ask each model for what it says, so that its answers are known again."""
        options = []
        for release, data in models.items():
            path = self.folder / f"r{release}.tflite"
            path.write_bytes(data)
            options += ["--model", f"r{release}={path}"]
        with serving(*options) as serve:
            for release in models:
                status, body = predict(serve.address[1], f"r{release}")
                assert status == http.HTTPStatus.OK, body
                self.answers[body] = release
        assert len(self.answers) == len(models)

    def _make_starts(self) -> None:
        self._keep("empty", self.fleet.tree)
        with self._at("empty") as tree:
            self._say(SOUND, version=1)
            self._bring(tree, until=lambda: self.fleet.good("digits") == SOUND, told=4)
            self._keep("good", tree)
        with self._at("good") as tree:
            tree.settings.write_text(SETTINGS.format(probation_s=600))
            self._say(NEXT, version=2)
            self._bring(tree, until=self._on_probation, told=7)
            tree.settings.write_text(SETTINGS.format(probation_s=0.3))
            self._keep("probation", tree)

    def _on_probation(self) -> bool:
        return self.fleet.journal("digits").state is State.PROBATION

    def _bring(self, tree: Tree, *, until: Callable[[], bool], told: int) -> None:
        pair = Pair(tree, self.answers)
        pair.start()
        try:
            self.fleet.wait(lambda: until() and len(self.fleet.events("digits")) == told)
        finally:
            pair.kill("agent", "serve")
            pair.close()

    def _keep(self, start: Start, tree: Tree) -> None:
        aside = shutil.ignore_patterns("*.sock")
        shutil.copytree(tree.root, self.folder / "starts" / start, ignore=aside)
        self._starts[start] = dict(self.fleet.console.taken)


def _long(data: bytes, release: int) -> bytes:
    """Return a model of several chunks, and no other release's bytes: what follows it is unread."""
    return data + bytes([release]) * 150_000


@contextmanager
def shore() -> Iterator[Shore]:
    """Make a shore in memory."""
    with in_memory("shore") as folder, Shore(folder) as made:
        yield made
