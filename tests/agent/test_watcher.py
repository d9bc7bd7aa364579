"""Looking at serve: that it is there, that it is another one, and what it measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from littoral.bundle.manifest import Manifest
from littoral.errors import StorageError
from littoral.tree import Tree
from littoral.wire.control import Activate, Window
from littoral.wire.telemetry import Telemetry
from littoral_agent.board.sampler import Sampler
from littoral_agent.control import Control
from littoral_agent.settings import Settings
from littoral_agent.spool import Spool
from littoral_agent.watcher import Watcher
from simulators.boards import BoardSimulator
from simulators.repository import tiny_bundle
from simulators.serve import ServeSimulator


class Seen:
    def __init__(self, tree: Tree) -> None:
        self.started = self.changed = 0
        self.busy, self.now = False, 1000.0
        self.spool = Spool(tree.spool, device="pi-7", incarnation=1, cap_bytes=2**20)
        self.board = BoardSimulator(tree.root / "board")
        self.sampler = Sampler(
            tree.root, disk_low_mib=0, root=self.board.root, clock=lambda: self.now
        )
        self.watcher = Watcher(
            Control(tree.control),
            Settings(telemetry_window_s=900, telemetry_probation_window_s=60),
            self.spool,
            started=self._started,
            changed=self._changed,
            busy=lambda: self.busy,
            sampler=self.sampler,
            clock=lambda: self.now,
        )

    def _started(self) -> None:
        self.started += 1

    def _changed(self) -> None:
        self.changed += 1


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    tree.make()
    return tree


@pytest.fixture
def seen(tree: Tree) -> Iterator[Seen]:
    seen = Seen(tree)
    yield seen
    seen.spool.close()


def test_serve_comes_goes_and_comes_again(tree: Tree, seen: Seen) -> None:
    seen.watcher.look()
    assert (seen.started, seen.changed, seen.watcher.serving) == (0, 0, None)
    with ServeSimulator(tree) as serve:
        seen.watcher.look()
        seen.watcher.look()
        assert (seen.started, seen.changed) == (1, 1)
        serve.crash()
        seen.watcher.look()
        assert (seen.started, seen.changed) == (2, 2)
    seen.watcher.look()
    assert (seen.started, seen.changed, seen.watcher.serving) == (2, 3, None)


def test_requests_are_no_change_and_another_release_is(
    tree: Tree, seen: Seen, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    tiny_bundle(folder, model="digits", release=1)
    data = (folder / "manifest.json").read_bytes()
    tree.manifest("a" * 64).write_bytes(data)
    for name, file in Manifest.from_json(data).files.items():
        tree.blob(file.sha256).write_bytes((folder / name).read_bytes())
    with ServeSimulator(tree) as serve:
        seen.watcher.look()
        Control(tree.control).activate(Activate(model="digits", manifest="a" * 64, variant="cpu"))
        seen.watcher.look()
        assert seen.changed == 2
        serve.traffic("digits", requests=50)
        seen.watcher.look()
        assert seen.changed == 2


def test_windows_are_fetched_now_and_then_and_more_often_on_probation(
    tree: Tree, seen: Seen
) -> None:
    with ServeSimulator(tree) as serve:
        serve.windows = [
            Window(sequence=1, start_ms=0, duration_ms=1, errors={"digits/1": 1}, timings=())
        ]
        seen.watcher.look()
        seen.now += 61
        seen.watcher.look()
        assert "timings" not in serve.calls
        seen.busy = True
        seen.watcher.look()
        assert serve.calls.count("timings") == 1
        assert [m.kind for m in seen.spool.messages({}, limit=9)] == ["telemetry"]
        seen.busy = False
        seen.now += 899
        seen.watcher.look()
        assert serve.calls.count("timings") == 1
        seen.now += 2
        seen.watcher.look()
        assert serve.calls.count("timings") == 2


def test_the_board_is_told_each_window_though_serve_is_down(seen: Seen) -> None:
    seen.board.raspberry(milli=50_000)
    for _ in range(31 * 60):
        seen.watcher.look()
        seen.now += 1
    told = [Telemetry.decode(m.body).board for m in seen.spool.messages({}, limit=9)]
    assert [one.samples for one in told if one] == [16, 15]


def test_readings_wait_while_the_disk_takes_nothing(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> bool:
        raise StorageError("full")

    with monkeypatch.context() as patch:
        patch.setattr(seen.spool, "add", full)
        for _ in range(20):
            seen.watcher.look()
            seen.now += 60
    for _ in range(20):
        seen.watcher.look()
        seen.now += 60
    told = [Telemetry.decode(m.body).board for m in seen.spool.messages({}, limit=9)]
    assert [one.samples for one in told if one] == [31]


def test_an_alarm_of_the_board_is_news(seen: Seen) -> None:
    seen.watcher.look()
    seen.board.raspberry(throttled=0x4)
    seen.now += 60
    seen.watcher.look()
    assert seen.changed == 1
    assert seen.sampler.board.alarms == ("throttled",)


def test_an_accelerator_that_is_lost_is_an_alarm_and_told_once(
    tree: Tree, seen: Seen, tmp_path: Path
) -> None:
    tiny_bundle(tmp_path, model="digits", release=1)
    data = (tmp_path / "manifest.json").read_bytes()
    tree.manifest("a" * 64).write_bytes(data)
    for name, file in Manifest.from_json(data).files.items():
        tree.blob(file.sha256).write_bytes((tmp_path / name).read_bytes())
    with ServeSimulator(tree) as serve:
        Control(tree.control).activate(Activate(model="digits", manifest="a" * 64, variant="cpu"))
        seen.watcher.look()
        before = seen.changed
        serve.loaded["digits"] = replace(serve.loaded["digits"], instead="twin", lost=True)
        seen.watcher.look()
        assert seen.sampler.board.alarms == ("accelerator-lost",)
        assert seen.changed > before
        told = seen.changed
        seen.watcher.look()
        assert seen.changed == told
