"""What the machine is on which bench measures."""

import platform
import re
from pathlib import Path

from littoral import __version__, machine
from littoral.board import kernel
from littoral.board.files import text
from littoral_serve.bench.result import Host


def describe(runtime: str, *, root: Path = Path("/")) -> Host:
    return Host(
        name=platform.node(),
        hardware=machine.cpu(),
        board=kernel.model(root),
        processor=_processor(root),
        cores=kernel.cores(root),
        memory_mib=round(kernel.memory_mib(root)[0] or 0),
        governor=text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        littoral=__version__,
        runtime=runtime,
    )


def _processor(root: Path) -> str:
    """Return what it is called; an ARM's kernel may tell only its part's number."""
    said = text(root / "proc/cpuinfo") or ""
    for key in ("model name", "Hardware", "CPU part"):
        found = re.search(rf"^{key}\s*:\s*(.+)$", said, re.MULTILINE)
        if found:
            return found[1].strip() if key != "CPU part" else f"{platform.machine()} {found[1]}"
    return platform.machine()
