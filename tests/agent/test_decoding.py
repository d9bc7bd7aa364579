"""Encodings that are here become files, in a process that may do nothing else; or nothing does."""

import random
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from littoral.bundle import frames
from littoral.bundle import patch as patches
from littoral.bundle.frames import PLAIN
from littoral.bundle.manifest import File
from littoral.errors import EncodingError, LittoralError, StorageError
from littoral.tree import Tree
from littoral_agent import decode_status, decoding
from littoral_agent.decoding import StarvedError, decoded, judged
from littoral_agent.halting import Halt, HaltedError
from simulators.encodings import Made, file_of, made, patch, zstd

RANDOM = random.Random(3)
OLD = RANDOM.randbytes(PLAIN + 77)
NEW = bytes(b ^ (n % 7 == 0) for n, b in enumerate(OLD)) + b"and more" * 1000
ZSTD, PATCH = zstd(NEW), patch(NEW, OLD)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "device")
    tree.make()
    old = file_of(OLD)
    tree.blob(old.sha256).write_bytes(OLD)
    return tree


def decode(tree: Tree, plain: bytes, offer: Made, *, halt: Halt | None = None) -> File:
    """Decode ``offer``, which is here, as if it were one of ``plain``."""
    file = file_of(plain, offer)
    tree.part(offer.encoding.sha256).write_bytes(offer.data)
    decoded(file, offer.encoding, tree, halt=halt or Halt())
    return file


@pytest.mark.parametrize("offer", [ZSTD, PATCH], ids=["zstd", "patch"])
def test_a_file_comes_of_its_encoding_and_nothing_else_is_left(tree: Tree, offer: Made) -> None:
    file = decode(tree, NEW, offer)
    assert tree.blob(file.sha256).read_bytes() == NEW
    assert tree.blob(file.sha256).stat().st_mode & 0o777 == 0o440
    assert not list(tree.parts.iterdir())


def test_a_patch_of_hardly_anything_is_one_too(tree: Tree) -> None:
    file = decode(tree, OLD[:5], patch(OLD[:5], OLD))
    assert tree.blob(file.sha256).read_bytes() == OLD[:5]


WRONG = {
    "no frame": (made("zstd", b"no frame at all"), "it begins"),
    "cut off": (made("zstd", ZSTD.data[:-9]), "ends early"),
    "goes on": (made("zstd", ZSTD.data + b"!"), "more than the 0 bytes"),
    "another file's": (zstd(OLD), "it says"),
    "of the same size": (zstd(NEW[::-1]), "other bytes came out"),
    "of another base": (patch(NEW, OLD[::-1], of=OLD), "other bytes came out"),
    "a bomb": (made("zstd", frames.encode(bytes(len(NEW)))), "other bytes came out"),
    "beyond its base": (patch(NEW, OLD + OLD, of=OLD), "other bytes|the base has no"),
    "half a table": (made("patch", patches.MAGIC + frames.compress(b"\x80"), base=OLD), "table"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_not_the_file_is_told_and_leaves_nothing(tree: Tree, what: str) -> None:
    offer, words = WRONG[what]
    with pytest.raises(EncodingError, match=words):
        decode(tree, NEW, offer)
    assert [path.name for path in tree.parts.iterdir()] == [offer.encoding.sha256]
    assert not tree.blob(file_of(NEW).sha256).exists()


def test_what_was_here_of_the_file_is_written_over(tree: Tree) -> None:
    tree.part(file_of(NEW).sha256).write_bytes(b"something else" * 99)
    file = decode(tree, NEW, ZSTD)
    assert tree.blob(file.sha256).read_bytes() == NEW


def test_a_base_that_is_gone_is_the_disks_affair(tree: Tree) -> None:
    tree.blob(file_of(OLD).sha256).unlink()
    with pytest.raises(StorageError, match="No such file"):
        decode(tree, NEW, PATCH)


# A decoder that does something else, in the place of ours.
ODD = """
import os, signal, sys, time
what = os.environ["PATH"]
if what == "flood":
    while True:
        os.write(1, bytes(65536))
if what == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if what == "time":
    os.kill(os.getpid(), signal.SIGXCPU)
if what == "defect":
    raise ValueError("nobody thought of this")
if what == "silent":
    time.sleep(60)
if what == "mute":
    os.close(1)
    time.sleep(60)
if what == "chatty":
    os.write(2, b"\\x1b[31m" + b"words " * 99)
    sys.exit(3)
sys.exit(int(what))
"""


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    (tmp_path / "odd_decoder.py").write_text(ODD)
    monkeypatch.setattr(decode_status, "MODULE", "odd_decoder")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PATH", request.param)
    late = request.param in {"silent", "mute"}
    monkeypatch.setattr(decoding, "LEAST_S", 0.5 if late else 30.0)
    monkeypatch.setattr(decoding, "cpu_s", lambda _: 0)


@pytest.mark.parametrize(
    ("odd", "error", "words"),
    [
        ("flood", EncodingError, "more came out"),
        ("killed", StarvedError, "SIGKILL"),
        ("crash", EncodingError, "SIGSEGV"),
        ("time", EncodingError, "SIGXCPU"),
        ("defect", StarvedError, "ended with 1 ValueError: nobody thought of this"),
        ("silent", StarvedError, "it did not end in time"),
        ("mute", StarvedError, "it did not end in time"),
        ("chatty", EncodingError, r"^ ?\[31mwords"),
        ("0", EncodingError, "other bytes"),
        (str(decode_status.STARVED), StarvedError, "ended with 4"),
        (str(decode_status.DAMAGED), StorageError, "cannot be decoded"),
    ],
    indirect=["odd"],
)
@pytest.mark.usefixtures("odd")
def test_every_end_of_a_decoder_has_its_name(
    tree: Tree, error: type[LittoralError], words: str
) -> None:
    with pytest.raises(error, match=words):
        decode(tree, NEW, ZSTD)
    assert not tree.part(file_of(NEW).sha256).exists()


@pytest.mark.parametrize("odd", ["silent"], indirect=True)
@pytest.mark.usefixtures("odd")
def test_a_halt_ends_it_at_once_and_writes_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "LEAST_S", 60.0)
    halt, ended = Halt(), threading.Event()

    def decoding_on() -> None:
        with pytest.raises(HaltedError):
            decode(tree, NEW, ZSTD, halt=halt)
        ended.set()

    threading.Thread(target=decoding_on).start()
    part = tree.part(file_of(NEW).sha256)
    deadline = time.monotonic() + 10
    while not part.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    halt.say()
    assert ended.wait(1.0)
    assert part.read_bytes() == b""


def test_a_machine_that_starts_no_process_is_starved(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(StarvedError, match="cannot be started"):
        decode(tree, NEW, ZSTD)


@pytest.mark.parametrize(
    "status", [None, 1, decode_status.STARVED, decode_status.LEFT, -signal.SIGKILL, -signal.SIGTERM]
)
def test_what_is_nobodys_fault_is_no_encodings(status: int | None) -> None:
    assert isinstance(judged(status, "", is_true=True), StarvedError)


def test_the_file_decides_and_not_the_decoder() -> None:
    assert judged(0, "", is_true=True) is None
    assert isinstance(judged(0, "all is well", is_true=False), EncodingError)
    signals = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGXCPU)
    for status in (decode_status.REFUSED, decode_status.BROKEN, 77, *signals):
        assert isinstance(judged(status, "", is_true=True), EncodingError)


def test_no_descriptor_and_no_child_stays(tree: Tree) -> None:
    before, children = len(list(Path("/proc/self/fd").iterdir())), _children()
    for _ in range(3):
        with pytest.raises(EncodingError):
            decode(tree, NEW, WRONG["cut off"][0])
        decode(tree, NEW, ZSTD)
        tree.blob(file_of(NEW).sha256).unlink()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert _children() <= children, "other tests' may end meanwhile"
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


def _children() -> set[str]:
    """Return all processes that this one began and has not waited for, whichever thread did."""
    return {
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }
