"""The encodings of a release: what devices have saves bytes, and the same in gives the same out."""

import hashlib
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from littoral.bundle.manifest import NAME, Manifest
from littoral.errors import HashError
from littoral.trust.publishing import Encoded
from littoral_converter.encoding import Encoder
from littoral_converter.worker import Progress
from simulators.repository import tiny_bundle

FIXTURES = Path(__file__).parents[1] / "fixtures"
TINY = (FIXTURES / "tiny_int8.tflite").read_bytes() + random.Random(1).randbytes(20_000)


def changed(at: int) -> bytes:
    return TINY[:at] + bytes([TINY[at] ^ 1]) + TINY[at + 1 :]


class Place:
    """A repository's blobs, and the manifests of releases 1, 2, …"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[Progress] = []

    def blob(self, sha256: str) -> Path:
        return self.folder / sha256

    def release(self, number: int, model: bytes) -> Manifest:
        bundle = self.folder / f"bundle-{number}"
        bundle.mkdir()
        tiny_bundle(bundle, model="digits", release=number, files={"model.tflite": model})
        for path in bundle.iterdir():
            data = path.read_bytes()
            self.blob(hashlib.sha256(data).hexdigest()).write_bytes(data)
        return Manifest.from_json((bundle / NAME).read_bytes())

    def encode(self, *releases: Manifest, patches: int = 3) -> Encoded:
        """Encode the last of ``releases``."""
        new, *older = reversed(releases)
        return Encoder(patches=patches, say=self.said.append)(new, older, self.blob)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def made(encoded: Encoded) -> Mapping[str, list[tuple[str, str | None, int]]]:
    found: dict[str, list[tuple[str, str | None, int]]] = {}
    for name, encoding, data in encoded.made:
        assert hashlib.sha256(data).hexdigest() == encoding.sha256
        assert len(data) == encoding.size
        found.setdefault(name, []).append((encoding.kind, encoding.base, encoding.size))
    return found


def test_a_device_that_has_the_last_release_needs_a_patch_of_it(place: Place) -> None:
    one, two, three = (place.release(n, changed(n * 700)) for n in (1, 2, 3))
    patches = [e for e in made(place.encode(one, two, three))["model.tflite"] if e[0] == "patch"]
    bases = [one.files["model.tflite"].sha256, two.files["model.tflite"].sha256]
    assert [base for _, base, _ in patches] == [bases[1], bases[0]]
    assert all(size < 1000 for _, _, size in patches)


def test_the_same_bundle_and_repository_give_the_same_bytes(place: Place) -> None:
    one, two = place.release(1, TINY), place.release(2, changed(700))
    first, second = (list(place.encode(one, two).made) for _ in range(2))
    assert first == second
    assert first


def test_how_far_it_is_is_said(place: Place) -> None:
    one, two = place.release(1, TINY), place.release(2, changed(700))
    made(place.encode(one, two))
    assert any("patch from release 1" in said.stage for said in place.said)
    done = [said.done for said in place.said]
    assert done == sorted(done)
    assert {said.of for said in place.said} == {2 * len(TINY) + 64 + 10}


def test_a_base_that_is_not_at_hand_is_passed_over_and_said(place: Place) -> None:
    one, two = place.release(1, TINY), place.release(2, changed(700))
    place.blob(one.files["model.tflite"].sha256).unlink()
    encoded = place.encode(one, two)
    assert encoded.left_out == ("model.tflite from 1: its base is not in the repository",)
    assert {kind for found in made(encoded).values() for kind, _, _ in found} <= {"zstd"}


def test_a_base_that_rotted_is_no_base_of_anybody_s(place: Place) -> None:
    """No device has it: the patch would be named by a digest that nobody holds."""
    one, two = place.release(1, TINY), place.release(2, changed(700))
    place.blob(one.files["model.tflite"].sha256).write_bytes(changed(5))
    with pytest.raises(HashError):
        made(place.encode(one, two))


def test_what_saves_less_than_naming_it_takes_is_not_named(place: Place) -> None:
    """The vectors of 64 and 10 bytes would shrink, and the manifest grow by more."""
    assert set(made(place.encode(place.release(1, bytes(5000))))) == {"model.tflite"}
