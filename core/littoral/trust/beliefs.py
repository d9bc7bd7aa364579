"""What is believed once it was checked. Values only: nothing here checks anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from littoral.bundle.manifest import check_id, check_sha256, target_path

if TYPE_CHECKING:
    from securesystemslib.signer import Key

# A version of a director's document counts milliseconds since 1970. From here on (in 142,000 years)
# it is a thief's: no console goes above it, and it ends with the key that signed it.
FARTHEST: Final = 2**52


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """Whom root names beside TUF's own roles; the keys are by key id."""

    fleet: str
    director: Mapping[str, "Key"]
    time: Mapping[str, "Key"]
    device_ca_sha256: str  # of the device CA's root certificate, DER


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A release that the director wants on this device."""

    model: str
    release: int
    manifest_sha256: str
    length: int  # of the manifest
    hardware: str
    attempt: int = 0

    def __post_init__(self) -> None:
        check_id("model", self.model)
        check_sha256("manifest", self.manifest_sha256)
        if self.release < 1 or self.length < 1 or self.attempt < 0:
            raise ValueError("a release and a length are at least 1, an attempt at least 0")

    @property
    def path(self) -> str:
        """Return the name of its manifest in the image repository's metadata."""
        return target_path(self.model, self.release)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All that this device shall run; a model that is not named shall not."""

    version: int
    expires: datetime
    assignments: tuple[Assignment, ...]
