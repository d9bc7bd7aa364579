"""Downloads over real HTTP: resumed, bounded, hashed, and never believed for being whole."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from littoral.bundle.manifest import NAME, File, Manifest
from littoral.errors import (
    DeniedError,
    DiskFullError,
    EndlessError,
    ForgottenError,
    HashError,
    LittoralError,
    SlowError,
    UnreachableError,
)
from littoral.tree import Tree
from littoral_agent import download, fetch
from littoral_agent.download import MOST_STRIKES, Limits
from littoral_agent.fetch import drop_damaged
from littoral_agent.halting import Halt, HaltedError
from littoral_agent.hosts import Repository
from littoral_agent.origin import Origin
from littoral_agent.streams import SLOW_OVER_S, Stream
from littoral_agent.ways import arrived
from patience import patient
from simulators.repository import Fault, RepositorySimulator

SIZE = 1_000_000
LIMITS = Limits()

bring = partial(fetch.bring, halt=Halt())


@pytest.fixture(scope="module")
def data() -> bytes:
    return b"".join(hashlib.sha256(i.to_bytes(4)).digest() for i in range(SIZE // 32))


@pytest.fixture
def repo(tmp_path: Path, data: bytes) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        repo.publish(repo.bundle("digits", 1, files={"model.tflite": data}))
        yield repo


@pytest.fixture
def model(repo: RepositorySimulator) -> File:
    manifest = (repo.base / "bundles/digits/1" / NAME).read_bytes()
    return Manifest.from_json(manifest).files["model.tflite"]


@pytest.fixture
def source(repo: RepositorySimulator) -> Iterator[Repository]:
    origin = Origin(repo.url, ca=None)
    yield Repository(origin, prefix="")
    origin.close()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "device")
    tree.make()
    return tree


def test_a_file_arrives_whole_and_read_only(
    tree: Tree, source: Repository, model: File, data: bytes
) -> None:
    assert bring([model, model], source, tree, limits=LIMITS).bytes == len(data)
    path = tree.blob(model.sha256)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o440
    assert not list(tree.parts.iterdir())
    assert bring([model], source, tree, limits=LIMITS).bytes == 0


def test_a_cut_download_goes_on_where_it_ended(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator, data: bytes
) -> None:
    repo.fault("blobs/*", Fault.CUT, times=3)
    for _ in range(3):
        before = arrived([model], tree)
        with pytest.raises(UnreachableError):
            bring([model], source, tree, limits=LIMITS)
        assert arrived([model], tree) > before
    bring([model], source, tree, limits=LIMITS)
    assert tree.blob(model.sha256).read_bytes() == data
    assert repo.sent[f"blobs/{model.sha256}"] == len(data)


def test_a_source_that_cannot_resume_sends_it_all_again(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator, data: bytes
) -> None:
    tree.part(model.sha256).write_bytes(data[:1000])
    repo.fault("blobs/*", Fault.NO_RANGE)
    bring([model], source, tree, limits=LIMITS)
    assert tree.blob(model.sha256).read_bytes() == data


def test_other_bytes_are_dropped_and_the_source_gets_no_third_chance(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator
) -> None:
    repo.fault("blobs/*", Fault.FLIPPED_BIT)
    with pytest.raises(HashError, match=model.sha256[:12]):
        bring([model], source, tree, limits=LIMITS)
    assert len([r for r in repo.requests if r[0].startswith("blobs/")]) == MOST_STRIKES
    assert not list(tree.parts.iterdir())
    assert not tree.blob(model.sha256).exists()


def test_one_flipped_bit_on_the_way_costs_a_second_download(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator
) -> None:
    repo.fault("blobs/*", Fault.FLIPPED_BIT, times=1)
    bring([model], source, tree, limits=LIMITS)
    assert tree.blob(model.sha256).exists()


@pytest.mark.parametrize("poison", [b"poison" * 1000, bytes(SIZE), bytes(SIZE + 7), b""])
def test_a_poisoned_part_is_not_resumed_for_ever(
    tree: Tree, source: Repository, model: File, data: bytes, poison: bytes
) -> None:
    tree.part(model.sha256).write_bytes(poison)
    bring([model], source, tree, limits=LIMITS)
    assert tree.blob(model.sha256).read_bytes() == data


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.NOT_FOUND, ForgottenError),
        (Fault.FORBIDDEN, ForgottenError),
        (Fault.TRUNCATED, HashError),
        (Fault.ENDLESS, EndlessError),
        (Fault.BROKEN, UnreachableError),
        (Fault.REDIRECTED, UnreachableError),
        (Fault.NO_STATUS, UnreachableError),
        (Fault.UNAUTHORIZED, DeniedError),
        (Fault.CUT_REFUSAL, UnreachableError),
    ],
)
def test_each_fault_has_its_name(
    *,
    tree: Tree,
    source: Repository,
    model: File,
    repo: RepositorySimulator,
    fault: Fault,
    error: type[LittoralError],
) -> None:
    repo.fault("blobs/*", fault)
    with pytest.raises(error):
        bring([model], source, tree, limits=LIMITS)
    assert not tree.blob(model.sha256).exists()


def test_a_longer_file_is_not_read_at_all(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator
) -> None:
    name = f"blobs/{model.sha256}"
    repo.override[name] = bytes(SIZE + 1)
    with pytest.raises(EndlessError):
        bring([model], source, tree, limits=LIMITS)
    assert arrived([model], tree) == 0


def test_a_byte_now_and_then_is_too_slow(
    tree: Tree,
    source: Repository,
    model: File,
    repo: RepositorySimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "SLOW_OVER_S", 0.3)
    repo.fault("blobs/*", Fault.SLOW)
    with pytest.raises(SlowError, match="expected at least 256"):
        bring([model], source, tree, limits=Limits(min_rate_bytes_per_s=256))
    assert arrived([model], tree) > 0


@dataclass
class Paced:
    """A source that sends what the test says, in as many seconds as it says."""

    data: bytes
    plan: list[tuple[int, float]]  # bytes, and the seconds before them
    now_s: float = 0.0

    @contextmanager
    def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:
        assert name.startswith("blobs/")
        yield Stream(start=start, total=len(self.data), chunks=self._chunks(start))

    def _chunks(self, start: int) -> Iterator[bytes]:
        for count, seconds in self.plan:
            self.now_s += seconds
            yield self.data[start : start + count]
            start += count


@pytest.mark.parametrize(
    ("plan", "found_s"),
    [
        ([(900_000, 1.0), *[(100, 10.0)] * 1000], 60.0),  # a burst is no credit for ever
        ([(1, 29.0)] * 1_000_000, 58.0),  # each read is in time, and none of them is any use
        ([(256 * 29, 30.0)] * 200, 30.0),
    ],
    ids=["burst", "drip", "little"],
)
def test_the_lowest_rate_holds_in_every_window(
    tree: Tree, model: File, data: bytes, plan: list[tuple[int, float]], found_s: float
) -> None:
    source = Paced(data, plan)
    limits = Limits(min_rate_bytes_per_s=256, clock=lambda: source.now_s)
    with pytest.raises(SlowError, match="expected at least 256"):
        bring([model], source, tree, limits=limits)
    assert source.now_s <= found_s + SLOW_OVER_S / 2


def test_who_is_slow_and_steady_is_not_given_up(tree: Tree, model: File, data: bytes) -> None:
    """An hour over a radio link, with pauses shorter than the window."""
    source = Paced(data, [(5000, 0.5), (5000, 29.0)] * 100)
    bring(
        [model], source, tree, limits=Limits(min_rate_bytes_per_s=256, clock=lambda: source.now_s)
    )
    assert arrived([model], tree) == SIZE


def test_no_room_is_said_before_the_first_byte(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator
) -> None:
    disk = os.statvfs(tree.blobs)
    free = disk.f_bavail * disk.f_frsize
    with pytest.raises(DiskFullError, match="disk_reserve_bytes"):
        bring([model], source, tree, limits=Limits(reserve_bytes=free))
    assert not [r for r in repo.requests if r[0].startswith("blobs/")]


def test_a_disk_that_is_too_small_is_said_to_be_so(
    small_disk: Path, source: Repository, model: File
) -> None:
    tree = Tree(small_disk)
    tree.make()
    with pytest.raises(DiskFullError):
        bring([model], source, tree, limits=Limits(reserve_bytes=0))


@pytest.mark.parametrize("after", [0, 3])
def test_a_halt_ends_it_while_it_waits_for_the_next_byte(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator, after: int
) -> None:
    """Whoever reads from a source that says nothing reads for half a minute."""
    repo.slow_s = 0.05 if after else 60.0
    repo.fault("blobs/*", Fault.SLOW)
    halt, ended = Halt(), threading.Event()

    def reading() -> None:
        with pytest.raises((HaltedError, UnreachableError)):
            fetch.bring([model], source, tree, limits=LIMITS, halt=halt)
        ended.set()

    threading.Thread(target=reading).start()
    until(lambda: repo.requests and arrived([model], tree) >= after)
    repo.slow_s = 60.0
    time.sleep(0.2)
    halt.say()
    assert ended.wait(1.0)
    assert arrived([model], tree) >= after


def test_nothing_of_a_download_is_written_after_it_was_halted(
    tree: Tree, data: bytes, model: File
) -> None:
    """It cannot be ended while a name is looked up, say: then it is left to itself."""
    halt, asked, answered = Halt(), threading.Event(), threading.Event()

    class Late:
        @contextmanager
        def stream(self, name: str, *, start: int = 0) -> Iterator[Stream]:  # noqa: ARG002
            asked.set()
            assert answered.wait(5)
            yield Stream(start, SIZE, iter([data[start:]]))

    ended = threading.Event()

    def late() -> None:
        with pytest.raises(HaltedError):
            fetch.bring([model], Late(), tree, limits=LIMITS, halt=halt)
        ended.set()

    threading.Thread(target=late).start()
    assert asked.wait(5)
    halt.say()
    answered.set()
    assert ended.wait(5)
    assert arrived([model], tree) == 0


def test_one_file_is_brought_by_one_thread_and_the_other_waits(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator, data: bytes
) -> None:
    came: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: came.append(bring([model], source, tree, limits=LIMITS).bytes)
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(came) == [0, 0, 0, SIZE]
    assert len([name for name, _ in repo.requests if name.startswith("blobs/")]) == 1
    assert tree.blob(model.sha256).read_bytes() == data


def test_whoever_waits_for_another_goes_on_when_that_one_is_halted(
    tree: Tree, source: Repository, model: File, repo: RepositorySimulator
) -> None:
    repo.slow_s = 60.0
    repo.fault("blobs/*", Fault.SILENT, times=1)
    halt, came = Halt(), threading.Event()
    left = {"limits": LIMITS, "halt": halt}
    first = threading.Thread(target=lambda: given_up(fetch.bring, [model], source, tree, **left))
    first.start()
    until(lambda: repo.requests)

    def second() -> None:
        assert bring([model], source, tree, limits=LIMITS).bytes == model.size
        came.set()

    threading.Thread(target=second).start()
    assert not came.wait(0.3)
    halt.say()
    assert came.wait(5)


def given_up(deed: Callable[..., object], *arguments: object, **more: object) -> None:
    """Do what ends in some error, whenever that may be."""
    with suppress(HaltedError, LittoralError):
        deed(*arguments, **more)


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + patient(10)
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_empty_file_needs_no_request(tree: Tree, source: Repository) -> None:
    nothing = File(sha256=hashlib.sha256(b"").hexdigest(), size=0)
    assert bring([nothing], source, tree, limits=LIMITS).bytes == 0
    assert tree.blob(nothing.sha256).read_bytes() == b""


def test_damage_on_the_disk_is_found(tree: Tree, source: Repository, model: File) -> None:
    bring([model], source, tree, limits=LIMITS)
    assert drop_damaged([model], tree) == []
    path = tree.blob(model.sha256)
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(SIZE // 2)
        file.write(b"!!")
    assert drop_damaged([model], tree) == [model.sha256]
    assert not path.exists()


DOWNLOADER = """
import sys
from pathlib import Path
from littoral.bundle.manifest import File
from littoral.tree import Tree
from littoral_agent.download import Limits
from littoral_agent.fetch import bring
from littoral_agent.halting import Halt
from littoral_agent.hosts import Repository
from littoral_agent.origin import Origin
url, root, sha256, size = sys.argv[1:]
print("begins", flush=True)
bring([File(sha256=sha256, size=int(size))], Repository(Origin(url, ca=None), prefix=""),
      Tree(Path(root)), limits=Limits(), halt=Halt())
"""


def test_a_kill_at_any_time_costs_no_byte_that_arrived(
    tree: Tree, model: File, repo: RepositorySimulator, data: bytes
) -> None:
    repo.slow_s = 0.0
    with throttled(repo, 0.02) as url:
        command = [sys.executable, "-c", DOWNLOADER, url, str(tree.root), model.sha256, str(SIZE)]
        for n in range(3):
            with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                child.stdout.readline()
                least = (n + 1) * 100_000
                deadline = time.monotonic() + 30
                while arrived([model], tree) < least and time.monotonic() < deadline:
                    time.sleep(0.01)
                child.send_signal(signal.SIGKILL)
            held = arrived([model], tree)
            assert held >= least
        ranges = [asked for name, asked in repo.requests if name.startswith("blobs/")]
        assert ranges[0] is None
        assert all(asked is not None for asked in ranges[1:])
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=patient(60))
    assert tree.blob(model.sha256).read_bytes() == data


@contextmanager
def throttled(repo: RepositorySimulator, pause_s: float) -> Iterator[str]:
    """Let the simulator send 16 KiB at a time, with pauses."""
    handler: Callable[..., None] = repo._server.RequestHandlerClass._write  # type: ignore[attr-defined]

    def slowly(self: object, name: str, chunk: bytes) -> None:
        for at in range(0, len(chunk), 16384):
            handler(self, name, chunk[at : at + 16384])
            time.sleep(pause_s)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repo._server.RequestHandlerClass, "_write", slowly)
        yield repo.url
