"""What is done in each attack: how the repository lies, or who speaks in the director's name.

What leaves the honest publisher lost for good is said by CELLS in attacks.py.
"""

from typing import Final

from securesystemslib.signer import Signer

from faults import thief
from faults.scene import MODEL, OTHER, Scene
from littoral.trust import writer
from littoral.trust.beliefs import FARTHEST, Assignment
from littoral.trust.keyfiles import load_signer
from simulators.repository import Fault

TIMESTAMP: Final = "metadata/timestamp.json"
DRIP_S: Final = 0.2  # a byte: a timestamp takes minutes


# The repository lies.


def arbitrary_files(scene: Scene) -> None:
    """A file of the model has other bytes."""
    scene.publish(2)
    thief.spoil(thief.blob(scene.repo, MODEL, 2))
    scene.say(scene.document(2))


def older_metadata(scene: Scene) -> None:
    """An older timestamp is shown, truly signed."""
    before = scene.repo.read(TIMESTAMP)
    scene.repo.renew()
    scene.say(scene.document(1, other=True))
    scene.wait(lambda: scene.good(OTHER) == 1, "the newer metadata was looked at")
    scene.publish(2)
    scene.keep(TIMESTAMP)
    (scene.repo.folder / TIMESTAMP).write_bytes(before)
    scene.say(scene.document(2, other=True))


def older_release(scene: Scene) -> None:
    """Who has the console's keys vouches for the model's metadata of before what runs."""
    scene.publish(2)
    scene.say(scene.document(2))
    scene.wait(lambda: scene.good() == 2, "release 2 is good")
    thief.roll_back(scene.repo, MODEL)
    scene.say(scene.document(1))


def frozen_metadata(scene: Scene) -> None:
    """What was signed long ago is shown as the newest."""
    scene.publish(2)
    thief.freeze(scene.repo)
    scene.say(scene.document(2))


def mixed_metadata(scene: Scene) -> None:
    """Who has the console's keys names together what was never published together."""
    scene.publish(2)
    thief.mix(scene.repo, MODEL)
    scene.say(scene.document(2))


def leapt_metadata(scene: Scene) -> None:
    """Who has the timestamp key signs a version that no honest one will reach."""
    honest = thief.read_timestamp(scene.repo).signed.version
    thief.leap(scene.repo)
    scene.say(scene.document(1, other=True))
    scene.wait(lambda: scene.good(OTHER) == 1, "the leap was believed")
    scene.publish(2)
    thief.land(scene.repo, honest + 1)
    scene.say(scene.document(2, other=True))


def endless_metadata(scene: Scene) -> None:
    """The timestamp does not end."""
    scene.publish(2)
    if scene.source == "https":
        scene.repo.fault(TIMESTAMP, Fault.ENDLESS)
    else:
        scene.keep(TIMESTAMP)
        thief.lay_endless(scene.repo.folder / TIMESTAMP)
    scene.say(scene.document(2))


def slow_metadata(scene: Scene) -> None:
    """The timestamp comes byte by byte."""
    scene.publish(2)
    scene.repo.slow_s = DRIP_S
    scene.repo.fault(TIMESTAMP, Fault.SLOW)
    scene.say(scene.document(2))


def strange_metadata(scene: Scene) -> None:
    """A stranger signs the model's metadata, and who has the console's keys vouches for it."""
    scene.publish(2)
    document = scene.document(2)
    version, _ = thief.newest(scene.repo, MODEL)
    scene.repo.sign_as_stranger(f"metadata/{version}.{MODEL}.json")
    scene.say(document)


def half_signed_root(scene: Scene) -> None:
    """One of the two who must sign a next root."""
    scene.publish(2)
    document = scene.document(2)
    thief.sign_root_by_one(scene.repo)
    scene.say(document)


def other_hardware(scene: Scene) -> None:
    """The release is published for other hardware than the director names."""
    scene.publish(2, hardware=("edgetpu-usb",))
    scene.say(scene.document(2))


def swapped_manifest(scene: Scene) -> None:
    """Another model's manifest lies in the place of the release's."""
    scene.publish(2)
    mine, other = (thief.manifest(scene.repo, m, n) for m, n in ((MODEL, 2), (OTHER, 1)))
    length = mine.stat().st_size
    mine.write_bytes(other.read_bytes()[:length].ljust(length))
    scene.say(scene.document(2))


def director_signs_timestamp(scene: Scene) -> None:
    """Who has the director's key signs a timestamp."""
    scene.publish(2)
    thief.sign_timestamp_by(scene.repo, load_signer(scene.repo.online / "director.pem"))
    scene.say(scene.document(2))


# The director lies, or who speaks in its name.


def arbitrary_word(scene: Scene) -> None:
    """Something else than a document."""
    scene.say(b"run whatever lies here")


def older_word(scene: Scene) -> None:
    """A document of before, truly signed."""
    before = scene.document(1)
    scene.publish(2)
    scene.say(scene.document(2))
    scene.wait(lambda: scene.good() == 2, "release 2 is good")
    scene.say(before)


def word_below_the_floor(scene: Scene) -> None:
    """A release below the floor is named."""
    scene.publish(2)
    scene.publish(3, floor=3)
    scene.say(scene.document(2))


def frozen_word(scene: Scene) -> None:
    """A document whose time is over is shown."""
    scene.publish(2)
    scene.repo.now -= thief.LONG_AGO
    document = scene.document(2)
    scene.repo.now += thief.LONG_AGO
    scene.say(document)


def mixed_word(scene: Scene) -> None:
    """A release is named with the bytes of another."""
    scene.publish(2)
    scene.say(_naming(scene, scene.repo.assignment(MODEL, 1), release=2))


def leapt_word(scene: Scene) -> None:
    """Who has the key signs a version that no honest one will reach."""
    scene.publish(2)
    version, scene.version = scene.version, FARTHEST + 7
    scene.say(scene.document(1, other=True))
    scene.wait(lambda: scene.good(OTHER) == 1, "the leap was believed")
    scene.version = version
    scene.say(scene.document(2))


def endless_word(scene: Scene) -> None:
    """The document does not end."""
    if scene.source == "https":
        scene.say(bytes(65536), "endless")
    else:
        thief.lay_endless(scene.repo.folder / "director" / f"{scene.device}.json")


def slow_word(scene: Scene) -> None:
    """The document comes byte by byte."""
    scene.publish(2)
    scene.say(scene.document(2) * 10, "slow")


def strange_word(scene: Scene) -> None:
    """A stranger signs it."""
    scene.publish(2)
    scene.say(_signed(scene, thief.stranger(), scene.repo.assignment(MODEL, 2)))


def word_for_another(scene: Scene) -> None:
    """A document for another device."""
    scene.publish(2)
    wanted = scene.repo.assignment(MODEL, 2)
    scene.say(scene.repo.director(wanted, device="another", version=scene.version + 1))


def word_for_other_hardware(scene: Scene) -> None:
    """Hardware is named that the device does not have."""
    scene.publish(2, hardware=("cpu-x86_64", "edgetpu-usb"))
    wanted = scene.repo.assignment(MODEL, 2, hardware="edgetpu-usb")
    scene.say(scene.repo.director(wanted, device=scene.device, version=scene.version + 1))


def swapped_word(scene: Scene) -> None:
    """A release is named with another model's manifest."""
    scene.publish(2)
    scene.say(_naming(scene, scene.repo.assignment(OTHER, 1), release=2))


def stolen_word(scene: Scene) -> None:
    """Who has the key names a release that nobody published."""
    evil = Assignment(
        model=MODEL, release=9, manifest_sha256="e" * 64, length=900, hardware="cpu-x86_64"
    )
    scene.say(_signed(scene, load_signer(scene.repo.online / "director.pem"), evil))


def _naming(scene: Scene, other: Assignment, *, release: int) -> bytes:
    """Return a word that names ``release`` with the bytes of another."""
    wanted = Assignment(
        model=MODEL,
        release=release,
        manifest_sha256=other.manifest_sha256,
        length=other.length,
        hardware=other.hardware,
    )
    return _signed(scene, load_signer(scene.repo.online / "director.pem"), wanted)


def _signed(scene: Scene, signer: Signer, *named: Assignment) -> bytes:
    scene.version += 1
    return writer.director(
        named,
        signer=signer,
        fleet=scene.repo.fleet,
        device=scene.device,
        incarnation=1,
        version=scene.version,
    )
