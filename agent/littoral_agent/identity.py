"""Who this device is, and where its console is: what enrolment wrote, and nothing else does.

An identity is four files that belong together. A new one is made whole in ``enrolling/``; one
rename to ``enrolled/`` makes it the device's, and only then do its files take the place of the
earlier ones: ``settle`` does that, at once or after a power cut at any moment.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from littoral import durable, records
from littoral.bundle.manifest import check_id
from littoral.errors import StorageError, WrongBoardError
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
    serial: str = ""  # of the board that was enrolled; empty: it was not told, and any will do

    def check_board(self, here: str) -> None:
        """Raise WrongBoardError when this is the identity of another board than ``here``."""
        if self.serial and self.serial != here:
            raise WrongBoardError(self.device, enrolled=self.serial, here=here)

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

    @property
    def enrolling(self) -> "Identity":
        """Return the files of an identity that is being made; its key stays until it is whole."""
        return Identity(self.folder / "enrolling")

    @property
    def enrolled(self) -> "Identity":
        """Return the files of one that is whole, and has not taken the place of the earlier."""
        return Identity(self.folder / "enrolled")

    def adopt(self) -> None:
        """Make the identity in ``enrolling`` this device's. Raises StorageError."""
        with durable.storage_errors(self.folder):
            durable.sync_folder(self.enrolling.folder)
            self.enrolling.folder.rename(self.enrolled.folder)
            durable.sync_folder(self.folder)
        self.settle()

    def settle(self) -> None:
        """Finish what was interrupted while it took its place. Can be done twice.

        Raises:
            StorageError: The disk refuses.

        """
        new = self.enrolled
        with durable.storage_errors(self.folder):
            begun = any(self.folder.glob(".*.new"))
        if begun:  # a kill in the middle of one: half a key, or a whole
            with contextlib.suppress(StorageError), self.settling():
                durable.sweep(self.folder)
        if not new.folder.is_dir():
            return
        with self.settling(), durable.storage_errors(new.folder):
            for renewal in self.folder.glob("next-*"):  # of the earlier identity's key
                shutil.rmtree(renewal, ignore_errors=True)
            for source, target in zip(new.files, self.files, strict=True):
                if source.exists():  # else it was placed, and removed, before a power cut
                    durable.replace(target, source.read_bytes(), mode=0o600)
            shutil.rmtree(new.folder, ignore_errors=True)
            durable.sync_folder(self.folder)

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files, that which makes the device somebody last."""
        return self.key, self.certificate, self.console_ca, self.enrolment

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Be the only one that enrols this device; wait until one is. Raises StorageError."""
        return self._locked("asking")

    def settling(self) -> contextlib.AbstractContextManager[None]:
        """Be the only one that places files of the identity. Raises StorageError."""
        return self._locked("settling")

    @contextlib.contextmanager
    def _locked(self, what: str) -> Iterator[None]:
        path = self.folder / f"{what}.lock"
        with durable.storage_errors(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

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
