"""serve.toml: every setting of serve, with its default."""

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from littoral import addresses
from littoral.errors import SettingsError
from littoral.tree import DATA

KiB: Final = 1024
MiB: Final = 1024 * KiB
_TIMES: Final = (
    "receive_timeout_s",
    "keep_alive_s",
    "deadline_s",
    "window_s",
    "edgetpu_invoke_s",
)
_NOT_BELOW_ZERO: Final = (
    "memory_bytes",
    "bodies_bytes",
    "queue_bytes",
    "timings_backlog_bytes",
    "keep_previous_free_bytes",
)
_MOST_THREADS: Final = 256  # LiteRT ends the process where it cannot have as many as it is told
_EDGETPU: Final = re.compile(r"(usb|pci):\d{1,2}")
_DELEGATE: Final = re.compile(r"(?!edgetpu$)[a-z0-9-]{1,64}")
ETC: Final = Path("/etc/littoral/serve.toml")  # of the device in DATA


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may be said in serve.toml, and what holds where nothing is said."""

    http: str = "127.0.0.1:8501"  # where clients are answered; port 0: any free one
    grpc: str = ""  # where gRPC is: HOST:PORT, or the path of a Unix socket; empty: nowhere
    hosts: tuple[str, ...] = ()  # names beside the loopback's by which clients may call it
    threads: int | Literal["auto"] = "auto"  # a model runs in; auto: measured when it is loaded
    memory_bytes: int = 0  # of all models together, about; what was asked least goes. 0: any amount
    pinned: tuple[str, ...] = ()  # models that are not unloaded for it
    edgetpus: tuple[str, ...] = ()  # that models run on: "usb:0", "pci:1"; empty: all there are
    edgetpu_invoke_s: float = 5.0  # for one inference: an Edge TPU that takes longer is lost
    delegates: tuple[str, ...] = ()  # others that variants name: "teflon=/usr/lib/libteflon.so"
    max_body_bytes: int = 16 * MiB
    bodies_bytes: int = 64 * MiB  # of all bodies together, until answered; max_body_bytes at least
    max_picture_pixels: int = 25_000_000  # of one that a client sends; decoded, each takes 3 bytes
    max_connections: int = 128
    receive_timeout_s: float = 30.0  # for a request; a client that reads nothing; a silent stream
    keep_alive_s: float = 75.0  # for a connection that says nothing
    queue_requests: int = 64  # that wait before one model; those beyond are told to come again
    queue_bytes: int = 64 * MiB  # of tensors that wait before one model
    deadline_s: float = 30.0  # for a request that names none: one that waited longer is not run
    window_s: float = 60.0  # the timings' window
    timings_backlog_bytes: int = 512 * KiB  # of closed windows that nobody has fetched
    trial_address_space_bytes: int = 2048 * MiB
    trial_nice: int = 10
    keep_previous_free_bytes: int = 128 * MiB  # with less memory free, only one release is held

    def __post_init__(self) -> None:
        _check_address("http", self.http)
        if self.grpc and not self.grpc.startswith("/"):
            _check_address("grpc", self.grpc)
        for name in _TIMES:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name!r} should be more than 0")
        _check_edgetpus(self.edgetpus)
        self.libraries()
        if self.threads != "auto" and not 1 <= self.threads <= _MOST_THREADS:
            raise ValueError(f"'threads' should be from 1 to {_MOST_THREADS}, or auto")
        for name in _NOT_BELOW_ZERO:
            if getattr(self, name) < 0:
                raise ValueError(f"{name!r} should be at least 0")
        for name in ("max_body_bytes", "max_picture_pixels", "max_connections", "queue_requests"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name!r} should be at least 1")

    def libraries(self) -> dict[str, str]:
        """Return the libraries of ``delegates`` by name. Raises ValueError."""
        found: dict[str, str] = {}
        for text in self.delegates:
            name, _, path = text.partition("=")
            if not _DELEGATE.fullmatch(name) or not path.startswith("/") or name in found:
                raise ValueError(f"'delegates': expected NAME=/PATH, each once, found {text!r}")
            found[name] = path
        return found


def _check_edgetpus(names: tuple[str, ...]) -> None:
    for name in names:
        if not _EDGETPU.fullmatch(name) or names.count(name) > 1:
            raise ValueError(f"'edgetpus': expected usb:0, pci:1, …, each once, found {name!r}")


def _check_address(name: str, address: str) -> None:
    try:
        addresses.split(address)
    except ValueError as e:
        raise ValueError(f"{name!r}: {e}") from e


def places(data: Path | None) -> tuple[Path, ...]:
    """Return where the settings may stand; the first file that is there is read, alone."""
    if data is None:
        return ()
    own = data / "serve.toml"
    return (own, ETC) if data == DATA else (own,)


def found(data: Path | None) -> Path | None:
    """Return the file that is read, None where there is none.

    Raises:
        SettingsError: What is there is no file, or this process may not look: to go on without it
            would be to serve otherwise than its owner said.

    """
    for place in places(data):
        try:
            if not place.is_symlink() and not place.exists():
                continue
            is_file = stat.S_ISREG(place.stat().st_mode)
        except OSError as e:
            raise SettingsError(f"{place}: {e.strerror or e}") from e
        if not is_file:
            raise SettingsError(f"{place}: expected a file")
        return place
    return None


def load(file: Path | None) -> Settings:
    """Return the settings in ``file``, or the defaults.

    Raises:
        SettingsError: A setting is unknown or of the wrong kind.

    """
    if file is None:
        return Settings()
    # It brings a TOML parser, which a device without a file need not load.
    from littoral import settings

    return settings.read(Settings, file)
