"""Whatever is changed in a repository, nothing of another meaning is ever believed.

A changed byte may be harmless: signatures are over a canonical form, so a space between two
fields means nothing. What is asked is that every file that is believed says what its signers
said, that a target that is found is the one that was published, and that every refusal is a
typed one.
"""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from littoral.errors import (
    EndlessError,
    ExpiredError,
    ForgottenError,
    HashError,
    MalformedError,
    MixError,
    RollbackError,
    SignatureError,
    WrongDeviceError,
)
from littoral.trust import writer
from littoral.trust.client import Client, bootstrap
from littoral.trust.rules import accept_director
from simulators.repository import RepositorySimulator

PATH = "bundles/digits/2/manifest.json"
KINDS = ("timestamp.json", "snapshot.json", "targets.json", "digits.json", "2.root.json")

MEMORY = Path("/dev/shm")  # where a hundred thousand fsyncs cost nothing
REFUSALS = (
    EndlessError,
    ExpiredError,
    ForgottenError,
    HashError,
    MalformedError,
    MixError,
    RollbackError,
    SignatureError,
    WrongDeviceError,
)


class World:
    """A repository that was published, and a device that believes the release before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.publisher = RepositorySimulator(folder / "publisher")
        p = self.publisher
        p.publish(p.bundle("digits", 1))
        self.device = folder / "device"
        bootstrap(self.device, p.root)
        client = Client(self.device, self.honest, now=p.now)
        client.refresh()
        assert client.lookup("bundles/digits/1/manifest.json") is not None
        writer.rotate(p.folder, "snapshot", offline=p.offline, online=p.online, now=p.now)
        self.published = p.publish(p.bundle("digits", 2))
        self.files = {
            f"metadata/{path.name}": path.read_bytes() for path in (p.folder / "metadata").iterdir()
        }
        before = [path.read_bytes() for path in self.device.iterdir()]
        self.said = {canonical(data) for data in (*self.files.values(), *before)}
        self.document = p.director(p.assignment("digits", 2), device="pi-1", version=7)

    def honest(self, name: str, *, limit: int) -> bytes:
        del limit
        try:
            return self.publisher.read(name)
        except OSError as e:
            raise ForgottenError(name) from e

    def newest(self, kind: str) -> str:
        names = [name for name in self.files if name.endswith(kind)]
        return max(names, key=lambda name: (len(name), name))

    def update(self, changed: dict[str, bytes]) -> bool:
        """Update a device from a changed repository; return whether it believed all of it."""

        def fetch(name: str, *, limit: int) -> bytes:
            del limit
            files = {**self.files, **changed}
            if name not in files:
                raise ForgottenError(name)
            return files[name]

        with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else self.folder) as scratch:
            device = Path(scratch) / "device"
            shutil.copytree(self.device, device)
            believed = self._update(device, fetch)
            for path in device.iterdir():
                assert canonical(path.read_bytes()) in self.said, path.name
        return believed

    def _update(self, device: Path, fetch: Any) -> bool:
        client = Client(device, fetch, now=self.publisher.now)
        try:
            client.refresh()
            found = client.lookup(PATH)
        except REFUSALS:
            return False
        assert found is None or found[0].hashes["sha256"] == self.published.manifest_sha256
        return found is not None


def canonical(data: bytes) -> bytes:
    return Metadata[Any].from_bytes(data).signed_bytes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes flipped, cut out, doubled or put in."""
    spoiled = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(spoiled) - 1)))
        match draw(st.sampled_from(("flip", "cut", "double", "insert", "truncate"))):
            case "flip" if spoiled:
                spoiled[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del spoiled[at : at + draw(st.integers(1, 40))]
            case "double":
                spoiled[at:at] = spoiled[at : at + draw(st.integers(1, 40))]
            case "insert":
                spoiled[at:at] = draw(st.binary(min_size=1, max_size=4))
            case _:
                del spoiled[at:]
    return bytes(spoiled)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.just([]),
    st.just({}),
    st.sampled_from(["2100-01-01T00:00:00Z", "root", "targets", "ed25519", "../x", "0" * 64]),
)


@st.composite
def edited(draw: st.DrawFn, data: bytes) -> bytes:
    """JSON in which one value is another one, gone, or has something beside it."""
    whole: Any = {"": json.loads(data)}
    parent, key, at = whole, "", whole[""]
    while isinstance(at, dict | list) and at and draw(st.integers(0, 5)):
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        parent, key = at, draw(st.sampled_from(keys))
        at = parent[key]
    match draw(st.sampled_from(("replace", "remove", "add"))):
        case "replace":
            parent[key] = draw(JUNK)
        case "remove":
            del parent[key]
        case _ if isinstance(parent, dict):
            parent[draw(st.text(min_size=1, max_size=8))] = draw(JUNK)
        case _:
            parent.append(draw(JUNK))
    return json.dumps(whole.get("")).encode()


def test_the_honest_repository_is_believed(world: World) -> None:
    assert world.update({})


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_changed_bytes_are_never_believed_with_another_meaning(
    world: World, kind: str, data: st.DataObject
) -> None:
    name = world.newest(kind)
    world.update({name: data.draw(mutated(world.files[name]))})


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_changed_json_is_never_believed_with_another_meaning(
    world: World, kind: str, data: st.DataObject
) -> None:
    name = world.newest(kind)
    world.update({name: data.draw(edited(world.files[name]))})


@given(data=st.data())
def test_files_in_each_other_s_place_are_never_believed_with_another_meaning(
    world: World, data: st.DataObject
) -> None:
    names = st.sampled_from(sorted(world.files))
    pairs = data.draw(st.dictionaries(names, names, min_size=1, max_size=3))
    world.update({name: world.files[other] for name, other in pairs.items()})


@given(data=st.data())
def test_a_changed_director_document_is_never_believed_with_another_meaning(
    world: World, data: st.DataObject
) -> None:
    honest = world.document
    spoiled = data.draw(st.one_of(mutated(honest), edited(honest)))
    names: dict[str, Any] = {
        "anchors": world.publisher.anchors,
        "device": "pi-1",
        "incarnation": 1,
        "accepted": 7,
        "now": world.publisher.now,
    }
    try:
        desired = accept_director(spoiled, **names)
    except REFUSALS:
        return
    assert desired == accept_director(honest, **names)
