"""What manifests call the machine that this runs on. An agent may ask: it loads nothing."""

import platform
from typing import Final

from littoral.bundle.manifest import Hardware

_CPUS: Final[dict[str, Hardware]] = {
    "x86_64": "cpu-x86_64",
    "AMD64": "cpu-x86_64",
    "aarch64": "cpu-aarch64",
    "arm64": "cpu-aarch64",
    "armv7l": "cpu-armv7l",
}


def cpu() -> Hardware | None:
    """Return what this machine's processor is as hardware; None: nothing that models run on."""
    return _CPUS.get(platform.machine())
