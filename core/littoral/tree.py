"""Where things lie on a device: one folder, the same under systemd, the demo and a laptop.

The agent owns and writes everything here; serve reads manifests, blobs and journals.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral import durable

DATA: Final = Path("/var/lib/littoral")  # where a device's folder is, unless it is said
VARIABLE: Final = "LITTORAL_DATA"  # of the environment, by which it can be said


@dataclass(frozen=True, slots=True)
class Tree:
    """The device's data folder (``/var/lib/littoral``) and what is in it."""

    root: Path

    @property
    def settings(self) -> Path:
        """Return the agent's settings, which need not be there."""
        return self.root / "agent.toml"

    @property
    def identity(self) -> Path:
        """Return the folder of the device's key and certificates: 0700."""
        return self.root / "identity"

    @property
    def trust(self) -> Path:
        """Return the folder of believed metadata and of the clock's floor."""
        return self.root / "trust"

    @property
    def metadata(self) -> Path:
        """Return the folder of believed metadata: apart, for its files bear the names of models."""
        return self.trust / "metadata"

    @property
    def clock(self) -> Path:
        """Return the file of the clock's floors."""
        return self.trust / "clock.json"

    @property
    def blobs(self) -> Path:
        """Return the folder of whole, verified files, each named by its sha256."""
        return self.root / "blobs"

    @property
    def parts(self) -> Path:
        """Return the folder of files that are still arriving, each named by its sha256."""
        return self.root / "blobs" / ".part"

    @property
    def manifests(self) -> Path:
        """Return the folder of believed manifests, ``<sha256>.json``."""
        return self.root / "manifests"

    @property
    def journals(self) -> Path:
        """Return the folder of journals, ``<model>.json``."""
        return self.root / "journals"

    @property
    def spool(self) -> Path:
        """Return the file of reports and telemetry that the console has not acknowledged."""
        return self.root / "spool.db"

    @property
    def usage(self) -> Path:
        """Return the file of how many bytes were brought this month."""
        return self.root / "usage.json"

    @property
    def desired(self) -> Path:
        """Return the last believed director document."""
        return self.trust / "director.json"

    @property
    def carried(self) -> Path:
        """Return the sha256 of that document, while the console has not said it."""
        return self.trust / "carried"

    @property
    def carried_timestamp(self) -> Path:
        """Return the sha256 of the repository's timestamp, while the console has not said it."""
        return self.trust / "carried-timestamp"

    @property
    def sockets(self) -> Path:
        """Return the folder of sockets, and of what a running agent says of itself."""
        return self.root / "run"

    @property
    def control(self) -> Path:
        """Return the socket on which serve takes the agent's orders."""
        return self.sockets / "control.sock"

    @property
    def serve(self) -> Path:
        """Return the socket on which serve answers local programs."""
        return self.sockets / "serve.sock"

    @property
    def desk(self) -> Path:
        """Return the socket at which the agent is handed a medium."""
        return self.sockets / "install.sock"

    @property
    def trial(self) -> Path:
        """Return the socket on which systemd starts trials; nobody else listens on it."""
        return self.sockets / "trial.sock"

    def blob(self, sha256: str) -> Path:
        return self.blobs / sha256

    def part(self, sha256: str) -> Path:
        return self.parts / sha256

    def manifest(self, sha256: str) -> Path:
        return self.manifests / f"{sha256}.json"

    def journal(self, model: str) -> Path:
        return self.journals / f"{model}.json"

    def make(self) -> None:
        """Create the folders: 0750, and 0700 what holds keys. Can be done twice.

        What is new survives a power cut: else all that is ever written below it would be gone.
        """
        durable.make_folder(self.root)
        for folder in (self.blobs, self.parts, self.manifests, self.journals, self.sockets):
            durable.make_folder(folder, mode=0o750)
        for folder in (self.identity, self.trust, self.metadata):
            durable.make_folder(folder, mode=0o700)
