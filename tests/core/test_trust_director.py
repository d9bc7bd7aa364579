"""The director is believed within its limits, and obeyed only where the publisher agrees."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Delegations, Metadata, TargetFile, Targets

from littoral.errors import (
    EndlessError,
    ExpiredError,
    FloorError,
    HashError,
    LittoralError,
    MalformedError,
    MixError,
    RollbackError,
    SignatureError,
    WrongDeviceError,
    WrongHardwareError,
)
from littoral.trust import writer
from littoral.trust.beliefs import Anchors, Assignment, Desired
from littoral.trust.rules import accept_director, accept_manifest, agree
from simulators.repository import tiny_bundle

NOW = datetime(2027, 6, 1, tzinfo=UTC)
KEY = CryptoSigner.generate_ed25519()
SPARE = CryptoSigner.generate_ed25519()
ANCHORS = Anchors(
    fleet="shore",
    director={signer.public_key.keyid: signer.public_key for signer in (KEY, SPARE)},
    time={},
    device_ca_sha256="0" * 64,
)
DIGITS = Assignment(
    model="digits", release=3, manifest_sha256="a" * 64, length=900, hardware="cpu-x86_64"
)
BIRDS = replace(DIGITS, model="birds", release=9, attempt=2)


def document(*wanted: Assignment, signer: Signer = KEY, version: int = 5, **to: Any) -> bytes:
    names: dict[str, Any] = {"fleet": "shore", "device": "pi-1", "incarnation": 2, **to}
    return writer.director(wanted, signer=signer, version=version, now=NOW, **names)


def believe(data: bytes, *, accepted: int = 0, now: datetime = NOW) -> Desired:
    return accept_director(
        data, anchors=ANCHORS, device="pi-1", incarnation=2, accepted=accepted, now=now
    )


def edited(data: bytes, change: Any) -> bytes:
    """Return the document changed as only a holder of the director's key could."""
    metadata: Metadata[Targets] = Metadata.from_bytes(data)
    change(metadata.signed)
    metadata.sign(KEY)
    return metadata.to_bytes()


def test_what_it_wants_is_read() -> None:
    desired = believe(document(DIGITS, BIRDS))
    assert desired.version == 5
    assert desired.assignments == (BIRDS, DIGITS)
    assert DIGITS.path == "bundles/digits/3/manifest.json"


def test_it_may_want_nothing() -> None:
    assert believe(document()).assignments == ()


def test_it_fits_into_a_retained_message() -> None:
    assert len(document(DIGITS)) <= 640


def test_any_key_that_root_names_will_do() -> None:
    assert believe(document(signer=SPARE)).version == 5


def test_a_strangers_document_is_refused() -> None:
    with pytest.raises(SignatureError):
        believe(document(signer=CryptoSigner.generate_ed25519()))


@pytest.mark.parametrize(
    "to", [{"fleet": "other"}, {"device": "pi-2"}, {"incarnation": 1}, {"incarnation": 3}]
)
def test_a_document_for_another_is_refused(to: dict[str, Any]) -> None:
    with pytest.raises(WrongDeviceError) as refused:
        believe(document(DIGITS, **to))
    assert refused.value.here == "shore/pi-1/2"


def test_an_older_document_is_refused_and_the_same_may_come_again() -> None:
    assert believe(document(version=5), accepted=5).version == 5
    with pytest.raises(RollbackError):
        believe(document(version=4), accepted=5)


def test_a_document_expires() -> None:
    with pytest.raises(ExpiredError):
        believe(document(), now=NOW + timedelta(days=15))


def delegating(signed: Targets) -> None:
    signed.delegations = Delegations({}, roles={})


def anonymous(signed: Targets) -> None:
    del signed.unrecognized_fields["x-littoral"]


def talkative(signed: Targets) -> None:
    signed.unrecognized_fields["x-littoral"]["url"] = "https://elsewhere"


def twice(signed: Targets) -> None:
    target = TargetFile(9, {"sha256": "b" * 64}, "bundles/digits/4/manifest.json")
    target.unrecognized_fields["custom"] = {"release": 4, "hardware": "cuda", "attempt": 0}
    signed.targets[target.path] = target


def elsewhere(path: str) -> Any:
    def change(signed: Targets) -> None:
        target = signed.targets.pop(DIGITS.path)
        target.path = path
        signed.targets[path] = target

    return change


def custom(**fields: Any) -> Any:
    def change(signed: Targets) -> None:
        signed.targets[DIGITS.path].unrecognized_fields["custom"].update(fields)

    return change


def unhashed(signed: Targets) -> None:
    signed.targets[DIGITS.path].hashes = {"sha512": "0" * 128}


@pytest.mark.parametrize(
    "change",
    [
        delegating,
        anonymous,
        talkative,
        twice,
        unhashed,
        elsewhere("bundles/digits/4/manifest.json"),
        elsewhere("bundles/../3/manifest.json"),
        elsewhere("digits"),
        elsewhere("bundles/digits/03/manifest.json"),
        custom(release=True),
        custom(release=0),
        custom(hardware=["cuda"]),
        custom(attempt=-1),
        custom(url="https://elsewhere"),
    ],
)
def test_a_document_that_is_no_such_document_is_malformed(change: Any) -> None:
    with pytest.raises(MalformedError):
        believe(edited(document(DIGITS), change))


def test_only_documents_of_a_message_s_size_are_read() -> None:
    with pytest.raises(EndlessError):
        believe(document(DIGITS) + b" " * 65536)


# What both must name.


@pytest.fixture
def manifest(tmp_path: Path) -> bytes:
    return (tiny_bundle(tmp_path, model="digits", release=3) / "manifest.json").read_bytes()


def both(data: bytes) -> tuple[Assignment, TargetFile]:
    sha256 = hashlib.sha256(data).hexdigest()
    wanted = replace(DIGITS, manifest_sha256=sha256, length=len(data))
    target = TargetFile(len(data), {"sha256": sha256}, wanted.path)
    target.unrecognized_fields["custom"] = {"release": 3, "hardware": ["cpu-x86_64", "cuda"]}
    return wanted, target


def accept(
    data: bytes,
    wanted: Assignment,
    target: TargetFile | None,
    *,
    floor: int = 0,
    hardware: tuple[str, ...] = ("cpu-x86_64",),
) -> str:
    found = accept_manifest(data, assignment=wanted, target=target, floor=floor, hardware=hardware)
    return f"{found.model}:{found.release}"


def test_what_both_name_is_accepted(manifest: bytes) -> None:
    wanted, target = both(manifest)
    assert accept(manifest, wanted, target) == "digits:3"
    assert accept(manifest, wanted, target, floor=3) == "digits:3"
    agree(wanted, target=target, floor=0, hardware=("edgetpu-usb", "cpu-x86_64"))


def test_what_only_the_director_names_is_refused(manifest: bytes) -> None:
    wanted, target = both(manifest)
    with pytest.raises(MixError, match="not by the publisher"):
        accept(manifest, wanted, None)
    target.path = "bundles/digits/4/manifest.json"
    with pytest.raises(MixError, match="not by the publisher"):
        accept(manifest, wanted, target)


@pytest.mark.parametrize(
    "changed", [{"length": 1}, {"manifest_sha256": "b" * 64}, {"hardware": "cpu-armv7l"}]
)
def test_what_they_name_otherwise_is_refused(manifest: bytes, changed: dict[str, Any]) -> None:
    wanted, target = both(manifest)
    with pytest.raises(MixError):
        accept(manifest, replace(wanted, **changed), target, hardware=("cpu-x86_64", "cpu-armv7l"))


def test_a_release_that_the_publisher_calls_otherwise_is_refused(manifest: bytes) -> None:
    wanted, target = both(manifest)
    target.custom["release"] = 4
    with pytest.raises(MixError, match="release"):
        accept(manifest, wanted, target)
    target.unrecognized_fields["custom"] = None
    with pytest.raises(MalformedError):
        accept(manifest, wanted, target)


def test_hardware_that_is_not_here_is_refused(manifest: bytes) -> None:
    wanted, target = both(manifest)
    with pytest.raises(WrongHardwareError):
        accept(manifest, wanted, target, hardware=("cpu-aarch64",))


def test_hardware_that_the_publisher_does_not_name_is_refused(manifest: bytes) -> None:
    wanted, target = both(manifest)
    with pytest.raises(MixError, match="the director names tensorrt"):
        agree(replace(wanted, hardware="tensorrt"), target=target, floor=0, hardware=("tensorrt",))


def test_a_release_below_the_floor_is_refused(manifest: bytes) -> None:
    wanted, target = both(manifest)
    with pytest.raises(FloorError) as refused:
        accept(manifest, wanted, target, floor=4)
    assert (refused.value.release, refused.value.floor) == (3, 4)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda data: data[:-1], HashError),
        (lambda data: data[:9] + b"x" + data[10:], HashError),
        (lambda data: data + b" ", EndlessError),
    ],
)
def test_other_bytes_are_refused(manifest: bytes, spoil: Any, error: type[LittoralError]) -> None:
    wanted, target = both(manifest)
    with pytest.raises(error):
        accept(spoil(manifest), wanted, target)


def test_a_manifest_that_calls_itself_otherwise_is_refused(tmp_path: Path) -> None:
    """Signed by both, for a name that is not its own: a publisher's mistake, or a thief's."""
    other = tiny_bundle(tmp_path, model="birds", release=3) / "manifest.json"
    wanted, target = both(other.read_bytes())
    with pytest.raises(MixError, match="birds:3"):
        accept(other.read_bytes(), wanted, target)


def test_a_manifest_without_a_variant_for_the_named_hardware_is_refused(manifest: bytes) -> None:
    wanted, target = both(manifest)
    with pytest.raises(MixError, match="no variant"):
        accept(manifest, replace(wanted, hardware="cuda"), target, hardware=("cuda",))


def test_what_was_signed_and_is_no_manifest_is_malformed() -> None:
    wanted, target = both(b'{"format":1}')
    with pytest.raises(MalformedError):
        accept(b'{"format":1}', wanted, target)
