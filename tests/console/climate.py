"""How the boards of the coast are: what each is, and its readings at a moment."""

import math
import random
from typing import Final

from littoral.wire.board import Board, BoardWindow, Reading, window

HOUR_MS: Final = 3_600_000
WHAT: Final = {
    "quay-cam-1": Board(
        model="Raspberry Pi 4 Model B Rev 1.4",
        cores=4,
        memory_mib=3792,
        disk_mib=29_500,
        accelerators=("Edge TPU, USB, 1-1.2",),
        runtimes={"ai-edge-litert": "2.3.0", "libedgetpu": "16.0tf2.17.1-1"},
    ),
    "quay-cam-2": Board(
        model="Raspberry Pi 5 Model B Rev 1.0",
        cores=4,
        memory_mib=8062,
        disk_mib=59_000,
        runtimes={"ai-edge-litert": "2.3.0"},
        alarms=("hot", "throttled"),
    ),
    "pier-gate": Board(model="LENOVO 30AGS0", cores=8, memory_mib=15_900, disk_mib=233_000),
    "lock-west": Board(
        model="NVIDIA Jetson Nano Developer Kit",
        cores=4,
        memory_mib=3964,
        disk_mib=14_300,
        accelerators=("Tegra GPU",),
        runtimes={"ai-edge-litert": "2.3.0", "cuda": "10.2.300", "tensorrt": "8.2.1"},
        alarms=("under-voltage", "disk-low"),
    ),
}
_WARMTH_C: Final = {"quay-cam-2": 74.0, "pier-gate": 41.0, "lock-west": 55.0}
_FREE_MIB: Final = {"lock-west": 96.0}


def reading(device: str, at_ms: int) -> Reading:
    """Return how the board of ``device`` is then: warmer by day, slower when it is hot."""
    what = WHAT[device]
    chance = random.Random(f"{device} {at_ms}")
    day = math.sin(at_ms / HOUR_MS * math.pi / 3)
    warmth_c = _WARMTH_C.get(device, 52.0) + 6 * day + chance.uniform(-1, 1)
    hot = warmth_c > 78
    return Reading(
        temperature_c=round(warmth_c, 1),
        frequency_mhz=1500.0 if hot else 2400.0,
        load=round(1.4 + day / 2 + chance.uniform(-0.3, 0.3), 2),
        memory_free_mib=round(what.memory_mib * chance.uniform(0.42, 0.5), 1),
        disk_free_mib=_FREE_MIB.get(device, what.disk_mib * 0.6) + (at_ms // HOUR_MS) % 7,
        uptime_s=float(at_ms // 1000 % 3_000_000),
        throttled=hot,
        under_voltage=device == "lock-west" and chance.random() < 0.05,
    )


def passed(device: str, start_ms: int, end_ms: int) -> BoardWindow | None:
    """Return the window of the readings between."""
    if device not in WHAT:
        return None
    return window(reading(device, at) for at in range(start_ms, end_ms, 60_000))
