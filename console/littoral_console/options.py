"""What ``littoral console`` is told, and what it says once it listens. Light: no server here."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from littoral import addresses
from littoral.errors import SettingsError

REPLICAS: Final = ("a", "b", "c", "d")  # which of several consoles one is, as brokers know it


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    data: Path
    http: str = "127.0.0.1:8080"
    devices: str = "127.0.0.1:8443"
    broker: str = "auto"  # auto, none, mqtts://host:port
    database: str | None = None
    names: tuple[str, ...] = ()
    blobs: str | None = None  # a folder, or s3://bucket/prefix
    replica: str = REPLICAS[0]
    blob_rate: float = 0.0  # bytes a second of files over the broker, to all together; 0: any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """Where the console listens, once it does."""

    http: str
    devices: str
    broker: str | None
    setup: str | None  # where the first login is made
    note: str = ""  # why there is no broker

    def to_json(self) -> str:
        said = {
            "ready": True,
            "http": self.http,
            "devices": self.devices,
            "broker": self.broker,
            "setup": self.setup,
        }
        return json.dumps(said)


def split_address(option: str, address: str) -> tuple[str, int]:
    """Return host and port of ``address``. Raises SettingsError that names the option."""
    try:
        return addresses.split(address)
    except ValueError as e:
        raise SettingsError(f"{option}: {e}") from e
