"""The console's online keys: what it may sign, and nothing that publishes a release.

``littoral repo init`` makes them beside a repository; they lie in DATA/keys and leave it
only in a backup that asks for them.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from securesystemslib.signer import Signer
from tuf.api.metadata import Root, Snapshot, Timestamp

from littoral.errors import MisuseError, SignatureError
from littoral.trust import rules
from littoral.trust.beliefs import Anchors
from littoral.trust.certificates import Authority
from littoral.trust.identity import digest
from littoral.trust.keyfiles import load_signer


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineKeys:
    folder: Path
    snapshot: Signer
    timestamp: Signer
    director: Signer
    time: Signer
    device_ca: Authority  # the intermediate that signs devices' certificates

    @classmethod
    def load(cls, folder: Path) -> "OnlineKeys":
        """Read every key in ``folder``.

        Raises:
            MisuseError: One is missing; says how to make them.

        """
        try:
            return cls(
                folder=folder,
                snapshot=load_signer(folder / "snapshot.pem"),
                timestamp=load_signer(folder / "timestamp.pem"),
                director=load_signer(folder / "director.pem"),
                time=load_signer(folder / "time.pem"),
                device_ca=Authority.load(folder / "device-ca.pem", folder / "device-ca.crt"),
            )
        except MisuseError as e:
            if folder.is_dir() and any(folder.iterdir()):
                raise
            raise MisuseError(
                f"{folder}: expected the console's online keys, found none; make them with: "
                f"littoral repo init REPO --offline OFFLINE --online {folder} --fleet NAME"
            ) from e

    @property
    def device_ca_root(self) -> x509.Certificate:
        return self.device_ca.root

    def named_by(self, root: Root) -> Anchors:
        """Return whom ``root`` names beside TUF's roles, if this console is among them.

        Raises:
            SignatureError: It names other online keys, or another device CA.
            MalformedError: It names nobody.

        """
        anchors = rules.anchors(root)
        named = {
            "snapshot": self.snapshot.public_key.keyid in root.roles[Snapshot.type].keyids,
            "timestamp": self.timestamp.public_key.keyid in root.roles[Timestamp.type].keyids,
            "director": self.director.public_key.keyid in anchors.director,
            "time": self.time.public_key.keyid in anchors.time,
            "device CA": anchors.device_ca_sha256 == digest(self.device_ca_root),
        }
        others = [what for what, mine in named.items() if not mine]
        if others:
            raise SignatureError(
                f"root: its {', '.join(others)} is not this console's; "
                f"use the keys that were made with it in {self.folder}"
            )
        return anchors
