"""Who this device is, and where its console is: what enrolment wrote, and nothing else does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from littoral import durable, records
from littoral.bundle.manifest import check_id
from littoral.errors import StorageError
from littoral.tree import Tree

_MAX_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """The last thing that enrolment writes: while it is not there, the device is nobody's."""

    device: str
    fleet: str
    incarnation: int
    url: str  # of the console's listener for devices
    broker: str | None = None  # host:port; None: HTTPS alone
    trust: Literal["token", "package", "first-use"] = "token"

    def __post_init__(self) -> None:
        check_id("device", self.device)
        if self.incarnation < 1:
            raise ValueError("incarnations count from 1")
        if not self.url.startswith(("https://", "http://")):
            raise ValueError(f"url: expected https://…, found {self.url!r}")


@dataclass(frozen=True, slots=True)
class Identity:
    """The files of the identity, below ``folder``."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "device.key"

    @property
    def certificate(self) -> Path:
        """Return the device's certificate, and after it the intermediate's."""
        return self.folder / "device.crt"

    @property
    def console_ca(self) -> Path:
        return self.folder / "console-ca.pem"

    @property
    def enrolment(self) -> Path:
        return self.folder / "enrolment.json"

    def read(self) -> Enrolment | None:
        """Return who this device is, None while it is not enrolled.

        Raises:
            StorageError: What stands there cannot be read.

        """
        try:
            data = self.enrolment.read_bytes()
            return records.from_json(Enrolment, data, limit=_MAX_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, records.RecordError) as e:
            raise StorageError(f"{self.enrolment}: {e}; run 'littoral enroll' again") from e

    def write(self, enrolment: Enrolment) -> None:
        """Say durably who this device is. Raises StorageError."""
        durable.replace(self.enrolment, records.to_json(enrolment), mode=0o600)


def of(tree: Tree) -> Identity:
    return Identity(tree.identity)
