"""Runs every script of benchmarks/, shows one table, keeps a day's in benchmarks/results/.

    .venv/bin/python benchmarks/run.py [NAME…]

A script prints one JSON object, ``{"rows": [{"what", "value", "unit", "most"?, "least"?}]}``;
``most`` and ``least`` are promises. One that has nothing to measure here prints
``{"skipped": "why"}``. It exits 1 if a script failed; a promise that was not kept is marked and
fails nothing, for a busy machine breaks it as well. So how busy it was is told beside: what other
machines on the same processor took (``stolen``), and the load the script was started at. Neither
sees who shares a core's caches.
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def measure(script: Path) -> dict[str, Any]:
    """Return what ``script`` printed, or why it printed nothing, and how busy the machine was."""
    started, load, before = time.monotonic(), os.getloadavg()[0], ticks()
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=1800
    )
    told: dict[str, Any] = {"failed": (done.stderr.strip().splitlines() or ["no reason"])[-1]}
    if not done.returncode:
        told = json.loads(done.stdout.strip().splitlines()[-1])
    ran, stolen = (later - earlier for later, earlier in zip(ticks(), before, strict=True))
    return told | {
        "seconds": round(time.monotonic() - started, 1),
        "load": round(load, 2),
        "stolen": round(stolen / max(1, ran + stolen), 4),
    }


def ticks() -> tuple[int, int]:
    """Return how long all processors worked, and how long others had what these wanted.

    Linux: proc_stat(5), user, nice, system, irq, softirq, then steal. Elsewhere nothing is known.
    """
    try:
        user, nice, system, _, _, irq, softirq, stolen = map(
            int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
        )
    except OSError:
        return 0, 0
    return user + nice + system + irq + softirq, stolen


def lines(name: str, told: dict[str, Any]) -> list[str]:
    for what in ("failed", "skipped"):
        if what in told:
            return [f"{name:<14} {what}: {told[what]}"]
    return [
        f"{name:<14} {row['what']:<52} {row['value']:>12.4g} {row['unit']:<8} {_promise(row)}"
        for row in told["rows"]
    ] + [f"{name:<14} load {told['load']:g} when it began, {told['stolen']:.1%} stolen meanwhile"]


def _promise(row: dict[str, Any]) -> str:
    if "most" in row:
        return f"≤ {row['most']:g}" + ("" if row["value"] <= row["most"] else "  NOT KEPT")
    if "least" in row:
        return f"≥ {row['least']:g}" + ("" if row["value"] >= row["least"] else "  NOT KEPT")
    return ""


def machine() -> dict[str, Any]:
    return {
        "name": platform.node(),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in told.splitlines() if "model name" in line]
    return f"{len(named)} x {named[0]}" if named else platform.machine()


def main(asked: list[str]) -> int:
    scripts = [p for p in sorted(HERE.glob("*.py")) if p != Path(__file__)]
    known = [p.stem for p in scripts]
    if unknown := [name for name in asked if name not in known]:
        print(f"error: no benchmark {unknown[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    scripts = [p for p in scripts if not asked or p.stem in asked]
    results = {}
    for script in scripts:
        results[script.stem] = measure(script) | {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        print("\n".join(lines(script.stem, results[script.stem])), flush=True)
    RESULTS.mkdir(exist_ok=True)
    kept = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{platform.node() or 'here'}.json"
    before = json.loads(kept.read_text())["results"] if kept.exists() else {}
    told = {"machine": machine(), "results": before | results}
    kept.write_text(json.dumps(told, indent=2) + "\n")
    print(f"\nkept in {kept.relative_to(HERE.parent)}")
    return 1 if any("failed" in told for told in results.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
