"""The board: its clock, disk, memory, power."""

import ctypes
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Final

from littoral.board import heat, kernel, power
from littoral.board.files import found, number, text
from littoral.errors import SettingsError
from littoral.sizes import mib, size
from littoral.trust.clock import TrustedClock
from littoral_agent import settings
from littoral_agent.board import alarms
from littoral_agent.doctor.finding import Finding, Place, allowed, fail, ok, skip, warn

_TIME_ERROR: Final = 5  # what adjtimex gives of a clock that nobody has set
_TIMEX_BYTES: Final = 512  # more than struct timex has anywhere
_MANY: Final = 0.5
_LAST_TENTH: Final = 0x0A  # of what an eMMC's maker says it lasts
_OVER: Final = 0x0B
_COOL: Final = "give it a heat sink, or a fan"
_EVER_LOW: Final = 1 << 16  # the firmware of a Raspberry Pi: since its start


def clock(place: Place) -> Finding:
    """Check the system's clock against what signatures have proven, and whether it is kept."""
    allowed(place.tree.root)
    allowed(place.tree.trust)
    trusted = TrustedClock(place.tree.clock)
    behind = trusted.floor - (trusted.now() + timedelta(seconds=trusted.system_ahead_s))
    has_rtc = any(found(place.root, "sys/class/rtc/rtc*"))
    synchronised = _synchronised()
    said = "set by the network" if synchronised else "not set by the network"
    said += ", and kept over a power cut" if has_rtc else ", with no battery to keep it"
    keep = "sudo timedatectl set-ntp true"
    if not any(found(place.root, "usr/lib/systemd/ntp-units.d/*.list")):  # who would keep it
        keep = f"sudo apt-get install systemd-timesyncd\n{keep}"
    if behind > timedelta(0):
        return warn(
            said,
            f"it is {_span(behind)} behind what signatures have proven; the agent goes by those, "
            "and logs bear the wrong time",
            do=keep,
        )
    if synchronised is False:
        return warn(said, "it may drift, or start in the past", do=keep)
    return ok(said if synchronised is not None else "not behind what signatures have proven")


def disk(place: Place) -> Finding:
    """Check the file system of the data folder: room, files, whether it can be written to."""
    folder = _nearest(place.tree.root)
    held = os.statvfs(folder)
    free, whole = held.f_bavail * held.f_frsize, held.f_blocks * held.f_frsize
    said = f"{size(free)} of {size(whole)} free for {place.tree.root}"
    if held.f_flag & os.ST_RDONLY:
        return fail(
            said,
            "it is mounted read-only; a card that fails is, by the kernel",
            do=f"sudo dmesg | grep -iE 'error|mmc'; then: sudo mount -o remount,rw {folder}",
        )
    try:
        own = settings.read(place.tree)
    except (SettingsError, PermissionError):
        own = settings.Settings()
    reserve = own.disk_reserve_bytes
    look = f"sudo du -xh --max-depth=2 {folder} | sort -h | tail; sudo journalctl --vacuum-size=50M"
    if free <= reserve:
        return fail(
            said, f"no model is fetched below {size(reserve)} (disk_reserve_bytes)", do=look
        )
    if held.f_files and held.f_favail < max(100, held.f_files // 100):
        return fail(said, f"only {held.f_favail} more files fit (inodes)", do=look)
    if free < own.disk_low_bytes:
        return warn(said, "there is not much left for the next model", do=look)
    if (kind := _kind(place.root, folder)) in ("tmpfs", "ramfs"):
        do = "choose a folder on a disk: --data DIR, or a mount at this one"
        return warn(said, f"it is in memory ({kind}): a restart loses identity and models", do=do)
    return ok(said)


def wear(place: Place) -> Finding:
    """Check what the board's flash says of its own age."""
    said = []
    for device in found(place.root, "sys/block/mmcblk*/device"):
        name = device.parent.name
        lives = [int(life, 16) for life in (text(device / "life_time") or "").split()]
        end = number(device / "pre_eol_info", base=16) or 0
        if not lives:
            said.append(f"{name} tells nothing, as cards do")
            continue
        used = max(lives)
        words = f"{name}: {'all' if used >= _OVER else f'at most {used * 10} %'} of its life used"
        if used >= _OVER or end >= 3:  # noqa: PLR2004 (urgent)
            do = "replace the flash; before: copy /var/lib/littoral, or enrol the next board anew"
            return fail(words, "it may fail any day", do=do)
        if used >= _LAST_TENTH or end == 2:  # noqa: PLR2004 (warning)
            return warn(words, "it is near its end", do="plan to replace the flash")
        said.append(words)
    return ok("; ".join(said)) if said else skip("no flash here says how old it is")


def memory(place: Place) -> Finding:
    """Check what programs may still take, and whether any was ended for want of it."""
    whole, free = kernel.memory_mib(place.root)
    if whole is None or free is None:
        return skip("the kernel does not say")
    said = f"{mib(free)} of {mib(whole)} free"
    look = "ps -eo rss,comm --sort=-rss | head"
    killed = re.search(r"^oom_kill (\d+)$", text(place.root / "proc/vmstat") or "", re.MULTILINE)
    if killed and int(killed[1]):
        wrong = f"the kernel has ended {killed[1]} programs for want of memory since the start"
        return warn(said, wrong, do="sudo journalctl -k --grep 'out of memory'")
    if alarms.memory_low(free, whole):
        return warn(said, f"less than {100 * alarms.LOW_MEMORY:.0f} % is left for a trial", do=look)
    return ok(said)


def swap(place: Place) -> Finding:
    """Check that swap does not lie on a card, and is not what the board lives on."""
    lines = (text(place.root / "proc/swaps") or "").splitlines()[1:]
    areas = [line.split() for line in lines if len(line.split()) >= 4]  # noqa: PLR2004
    if not areas:
        return ok("none")
    used = sum(int(area[3]) for area in areas)
    whole = sum(int(area[2]) for area in areas) or 1
    said = (
        f"{', '.join(area[0] for area in areas)}: {size(used * 1024)} of {size(whole * 1024)} used"
    )
    zram = all("zram" in area[0] for area in areas)
    if used > whole * _MANY and not zram:
        return warn(said, "answers wait for the disk", do="ps -eo rss,comm --sort=-rss | head")
    if any(found(place.root, "sys/block/mmcblk*")) and not zram:
        do = "sudo systemctl disable --now dphys-swapfile; sudo apt-get install zram-tools"
        return warn(said, "it wears the card out, and is slow", do=do)
    return ok(said)


def supply(place: Place) -> Finding:
    """Check heat and power, as far as the board tells."""
    seen = power.look(place.root)
    degrees = heat.temperature_c(place.root)
    said = "the board does not tell its heat" if degrees is None else f"{degrees:.0f} °C"
    if seen.under_voltage:
        do = "use the power supply that is made for this board, and a short cable"
        return fail(said, "its voltage is too low: it slows down, and cards lose data", do=do)
    if seen.throttled:
        return warn(said, "it is slowed for heat or power", do=_COOL)
    if degrees is not None and degrees >= (hot_c := heat.hot_c(place.root)):
        return warn(said, f"it is hot: a board slows itself from {hot_c:.0f} °C on", do=_COOL)
    if seen.firmware is not None and seen.firmware & _EVER_LOW:
        return warn(
            said,
            "its voltage was too low at some moment since the start",
            do="use the power supply that is made for this board, and a short cable",
        )
    return ok(said)


def _synchronised() -> bool | None:
    """Return whether somebody sets the kernel's clock; None: one may not ask."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return None if state < 0 else state != _TIME_ERROR


def _nearest(folder: Path) -> Path:
    """Return the first of ``folder`` and what it lies in that is there."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _kind(root: Path, folder: Path) -> str:
    """Return the kind of the file system in which ``folder`` lies."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in (text(root / "proc/self/mountinfo") or "").splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2:3] == [wanted]:
            return source.split()[0]
    return ""


def _span(span: timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.total_seconds() / 60:.0f} minutes"
