"""Downloads in encodings, over real HTTP and through real decoders: for few bytes, or for more."""

import os
import random
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from littoral.bundle.manifest import NAME, File, Manifest
from littoral.errors import DiskFullError, HashError, SpentError, UnreachableError
from littoral.tree import Tree
from littoral_agent import decoding, fetch
from littoral_agent.decoding import StarvedError
from littoral_agent.download import Limits
from littoral_agent.folder import Folder
from littoral_agent.halting import Halt
from littoral_agent.hosts import Repository
from littoral_agent.origin import Origin
from littoral_agent.struck import Struck
from littoral_agent.usage import Usage
from simulators.encodings import Made, file_of, made, offered, patch, sha256, zstd
from simulators.repository import Fault, RepositorySimulator

OLD = random.Random(5).randbytes(60_000) + bytes(240_000)
NEW = bytes(b ^ (n % 9 == 0) for n, b in enumerate(OLD))
ZSTD, PATCH = zstd(NEW), patch(NEW, OLD)
OTHER = patch(bytes(b ^ (n % 11 == 0) for n, b in enumerate(OLD)), OLD)  # of another file
assert len(PATCH.data) < len(ZSTD.data) < len(NEW)

Told = list[tuple[str, str, str]]


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[RepositorySimulator]:
    with RepositorySimulator(tmp_path) as repo:
        yield repo


@pytest.fixture
def source(repo: RepositorySimulator) -> Iterator[Repository]:
    origin = Origin(repo.url, ca=None)
    yield Repository(origin, prefix="")
    origin.close()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "device")
    tree.make()
    tree.blob(sha256(OLD)).write_bytes(OLD)
    return tree


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def limits(told: Told) -> Limits:
    return Limits(about="digits:1", struck=Struck(lambda *what: told.append(what)))


bring = partial(fetch.bring, halt=Halt())


def publish(repo: RepositorySimulator, *offers: Made) -> File:
    bundle = offered(repo.bundle("digits", 1, files={"model.tflite": NEW}), "model.tflite", *offers)
    repo.publish(bundle)
    return Manifest.from_json((bundle / NAME).read_bytes()).files["model.tflite"]


def asked(repo: RepositorySimulator) -> list[str]:
    known = {sha256(NEW): "plain", ZSTD.encoding.sha256: "zstd", PATCH.encoding.sha256: "patch"}
    names = [name.removeprefix("blobs/") for name, _ in repo.requests]
    return [known.get(name, "other") for name in names]


def whole(tree: Tree) -> bool:
    """Whether the file is here, and nothing else that came with it."""
    here = tree.blob(sha256(NEW))
    return here.exists() and here.read_bytes() == NEW and not list(tree.parts.iterdir())


def test_a_patch_comes_where_its_base_is(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits, told: Told
) -> None:
    model = publish(repo, ZSTD, PATCH)
    came = bring([model], source, tree, limits=limits)
    assert (came.bytes, came.files) == (len(PATCH.data), {"patch": 1})
    assert asked(repo) == ["patch"]
    assert whole(tree)
    assert not told
    assert bring([model], source, tree, limits=limits).files == {}


def test_zstd_comes_where_it_is_not(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits
) -> None:
    tree.blob(sha256(OLD)).unlink()
    came = bring([publish(repo, ZSTD, PATCH)], source, tree, limits=limits)
    assert (came.bytes, came.files) == (len(ZSTD.data), {"zstd": 1})
    assert whole(tree)


def test_what_is_as_it_is_comes_without_a_process(
    *,
    tree: Tree,
    source: Repository,
    repo: RepositorySimulator,
    limits: Limits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "decoded", None)
    model = publish(repo, ZSTD, PATCH)
    came = bring([model], source, tree, limits=Limits(encoded=False))
    assert (came.bytes, came.files) == (len(NEW), {"plain": 1})
    del limits


def test_a_source_need_not_have_every_encoding(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits, told: Told
) -> None:
    model = publish(repo, ZSTD, PATCH)
    repo.fault(f"blobs/{PATCH.encoding.sha256}", Fault.NOT_FOUND)
    assert bring([model], source, tree, limits=limits).files == {"zstd": 1}
    assert whole(tree)
    assert not told
    assert PATCH.encoding.sha256 not in limits.struck  # another source may have it


BAD = {
    "of another file": OTHER,
    "no patch": made("patch", b"lpt1 and nothing more", base=OLD),
    "cut off": made("patch", PATCH.data[:-7], base=OLD),
    "a bomb": made("patch", patch(bytes(len(NEW)), bytes(len(OLD))).data, base=OLD),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_patch_costs_its_bytes_and_is_told_and_struck(
    *,
    tree: Tree,
    source: Repository,
    repo: RepositorySimulator,
    limits: Limits,
    told: Told,
    what: str,
) -> None:
    bad = BAD[what]
    model = publish(repo, ZSTD, bad)
    came = bring([model], source, tree, limits=limits)
    assert came.files == {"zstd": 1}
    assert came.bytes == len(bad.data) + len(ZSTD.data)
    assert whole(tree)
    ((struck, words, code),) = told
    assert (struck, code) == (bad.encoding.sha256, "encoding")
    assert words.startswith(f"digits:1: patch {struck[:12]}… of {model.sha256[:12]}…, ")
    tree.blob(model.sha256).unlink()
    repo.requests.clear()
    bring([model], source, tree, limits=limits)
    assert asked(repo) == ["zstd"]  # struck is struck
    assert len(told) == 1


def test_where_all_encodings_are_bad_the_file_comes_as_it_is(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits, told: Told
) -> None:
    model = publish(repo, made("zstd", b"no frame"), BAD["no patch"])
    assert bring([model], source, tree, limits=limits).files == {"plain": 1}
    assert whole(tree)
    assert len(told) == 2


def test_a_source_that_spoils_an_encoding_has_two_tries(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits, told: Told
) -> None:
    model = publish(repo, ZSTD, PATCH)
    repo.fault(f"blobs/{PATCH.encoding.sha256}", Fault.FLIPPED_BIT)
    assert bring([model], source, tree, limits=limits).files == {"zstd": 1}
    assert asked(repo) == ["patch", "patch", "zstd"]
    assert [code for *_, code in told] == ["hash"]
    assert whole(tree)


def test_another_source_is_asked_for_what_one_spoilt(
    *,
    tmp_path: Path,
    tree: Tree,
    source: Repository,
    repo: RepositorySimulator,
    limits: Limits,
    told: Told,
) -> None:
    model = publish(repo, ZSTD, PATCH)
    copied = Folder(shutil.copytree(repo.folder, tmp_path / "copy"))
    repo.fault(f"blobs/{PATCH.encoding.sha256}", Fault.FLIPPED_BIT)
    bring([model], source, tree, limits=limits)
    assert [code for *_, code in told] == ["hash"]
    tree.blob(model.sha256).unlink()
    assert bring([model], copied, tree, limits=limits).files == {"patch": 1}
    tree.blob(model.sha256).unlink()
    repo.honest()
    assert bring([model], source, tree, limits=limits).files == {"zstd": 1}, "nothing forgets"


def test_a_source_that_spoils_everything_is_refused(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits
) -> None:
    model = publish(repo, ZSTD, PATCH)
    repo.fault("blobs/*", Fault.FLIPPED_BIT)
    with pytest.raises(HashError):
        bring([model], source, tree, limits=limits)
    assert not list(tree.parts.iterdir())


def test_a_base_that_is_damaged_is_told_as_that(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits, told: Told
) -> None:
    tree.blob(sha256(OLD)).write_bytes(OLD[::-1])
    model = publish(repo, ZSTD, PATCH)
    bring([model], source, tree, limits=limits)
    assert whole(tree)
    ((_, words, code),) = told
    assert code == "hash"
    assert "damaged on this disk" in words


def test_an_encoding_that_was_cut_goes_on_where_it_ended(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits
) -> None:
    model = publish(repo, ZSTD, PATCH)
    repo.fault("blobs/*", Fault.CUT, times=1)
    with pytest.raises(UnreachableError):
        bring([model], source, tree, limits=limits)
    held = tree.part(PATCH.encoding.sha256).stat().st_size
    assert 0 < held < len(PATCH.data)
    assert bring([model], source, tree, limits=limits).bytes == len(PATCH.data) - held
    assert repo.requests[-1][1] == f"bytes={held}-"
    assert repo.sent[f"blobs/{PATCH.encoding.sha256}"] == len(PATCH.data)
    assert whole(tree)


def test_an_encoding_that_is_here_whole_is_not_asked_for_again(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits
) -> None:
    """As after a kill while it was decoded: what that left of the file is made again."""
    model = publish(repo, ZSTD, PATCH)
    tree.part(PATCH.encoding.sha256).write_bytes(PATCH.data)
    tree.part(model.sha256).write_bytes(NEW[: len(NEW) // 2])
    assert bring([model], source, tree, limits=limits).bytes == 0
    assert asked(repo) == []
    assert whole(tree)


def test_a_machine_without_memory_tries_again_before_it_pays_more(
    *,
    tree: Tree,
    source: Repository,
    repo: RepositorySimulator,
    limits: Limits,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def starved(*_: object, **__: object) -> None:
        raise StarvedError("no memory")

    model = publish(repo, PATCH)
    with monkeypatch.context() as there:
        there.setattr(decoding, "decoded", starved)
        for _ in range(2):
            with pytest.raises(StarvedError):
                bring([model], source, tree, limits=limits)
        assert tree.part(PATCH.encoding.sha256).exists()
        came = bring([model], source, tree, limits=limits)
    assert (came.bytes, came.files) == (len(NEW), {"plain": 1})
    assert asked(repo) == ["patch", "plain"]
    assert [code for *_, code in told] == ["child"]
    assert whole(tree)


def test_another_way_has_to_be_within_the_allowance(
    tmp_path: Path, tree: Tree, source: Repository, repo: RepositorySimulator, told: Told
) -> None:
    model = publish(repo, ZSTD, BAD["of another file"])
    usage = Usage(
        tmp_path / "usage.json",
        most_bytes=len(ZSTD.data),  # too few for both
        now=lambda: datetime.now(UTC),
        sure=lambda: True,
    )
    with pytest.raises(SpentError):
        bring([model], source, tree, limits=Limits(usage=usage, struck=Struck()))
    assert asked(repo) == ["other"]
    assert not list(tree.parts.iterdir())
    assert usage.left_bytes == len(ZSTD.data) - BAD["of another file"].encoding.size
    del told


@pytest.mark.parametrize(
    ("room", "way"),
    [
        (len(NEW) + len(PATCH.data), "patch"),
        (len(NEW) + len(PATCH.data) - 1, "plain"),  # for the file alone, there is room
        (len(NEW), "plain"),
        (len(NEW) - 1, None),
    ],
)
def test_an_encoding_needs_room_beside_its_file(
    *,
    tree: Tree,
    source: Repository,
    repo: RepositorySimulator,
    monkeypatch: pytest.MonkeyPatch,
    room: int,
    way: str | None,
) -> None:
    model, reserve = publish(repo, PATCH), 1000
    disk = SimpleNamespace(f_bavail=room + reserve, f_frsize=1)
    monkeypatch.setattr(os, "statvfs", lambda _: disk)
    limits = Limits(reserve_bytes=reserve)
    if way is None:
        with pytest.raises(DiskFullError):
            fetch.check_room([model], tree, limits=limits)
        return
    travels = {"patch": len(PATCH.data), "plain": len(NEW)}[way]
    assert fetch.check_room([model], tree, limits=limits) == travels
    assert bring([model], source, tree, limits=limits).files == {way: 1}


def test_two_files_of_one_encoding_are_brought_in_turns(
    tree: Tree, source: Repository, repo: RepositorySimulator
) -> None:
    """Nobody honest names one encoding for two files; who does gets one of them as it is."""
    limits, halt = Limits(), Halt()
    model = publish(repo, PATCH)
    with limits.turns.of(PATCH.encoding.sha256, halt):
        assert bring([model], source, tree, limits=limits).files == {"plain": 1}
    assert whole(tree)


def test_one_patch_is_decoded_by_one_thread_and_the_other_waits(
    tree: Tree, source: Repository, repo: RepositorySimulator, limits: Limits
) -> None:
    model, came = publish(repo, PATCH), list[int]()

    def one() -> None:
        came.append(fetch.bring([model], source, tree, limits=limits, halt=Halt()).bytes)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(came) == [0, 0, len(PATCH.data)]
    assert whole(tree)


def test_an_empty_file_has_no_encoding(tree: Tree, source: Repository, limits: Limits) -> None:
    bring([file_of(b"", made("zstd", b""))], source, tree, limits=limits)
    assert tree.blob(sha256(b"")).read_bytes() == b""
