"""How much memory this process has, and had at most. An agent may ask: it loads nothing."""

from pathlib import Path


def resident_bytes() -> int | None:
    """Return how much memory this process has now; None where /proc does not tell."""
    return _status("VmRSS")


def peak_bytes() -> int | None:
    """Return the most memory this process ever had; None where /proc does not tell."""
    return _status("VmHWM")


def _status(key: str) -> int | None:
    # Not getrusage: its ru_maxrss begins with what the parent had before the exec.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith(f"{key}:"))
    return next((int(kib) * 1024 for kib in found), None)
