"""Asks all checks side by side, and waits for none of them longer than it may take."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from littoral.errors import LittoralError
from littoral_agent.doctor.finding import Check, Finding, Place, for_root, warn

_Answers = queue.SimpleQueue[tuple[str, Finding, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A check, what it said, and how long that took."""

    check: Check
    finding: Finding
    took_s: float


def ask(checks: Sequence[Check], place: Place) -> tuple[Asked, ...]:
    """Return what all ``checks`` said, in their order."""
    answers: _Answers = queue.SimpleQueue()
    begun = time.monotonic()
    for check in checks:
        # A daemon: one that hangs in a call of the kernel's must not keep this process.
        threading.Thread(target=_one, args=(check, place, answers), daemon=True).start()
    heard: dict[str, tuple[Finding, float]] = {}
    for check in sorted(checks, key=lambda one: one.within_s):
        until = begun + check.within_s
        while check.name not in heard:
            try:
                name, finding, took_s = answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                heard[check.name] = (_too_long(check), check.within_s)
            else:
                heard.setdefault(name, (finding, took_s))
    return tuple(
        Asked(check=one, finding=heard[one.name][0], took_s=heard[one.name][1]) for one in checks
    )


def _one(check: Check, place: Place, answers: _Answers) -> None:
    begun = time.monotonic()
    try:
        finding = check.ask(place)
    except PermissionError as e:
        finding = for_root(f"this user may not look at {e.filename or 'it'}")
    except (LittoralError, OSError) as e:
        finding = warn("nothing", f"it cannot be looked at: {e}", do="littoral --debug doctor")
    except Exception as e:  # noqa: BLE001 (one check's defect must not hide what the others found)
        wrong = f"this check has a defect: {type(e).__name__}: {e}"
        finding = warn("nothing", wrong, do="report it, with what littoral doctor --json prints")
    answers.put((check.name, finding, time.monotonic() - begun))


def _too_long(check: Check) -> Finding:
    return warn(
        "nothing",
        f"no answer within {check.within_s:.0f} s: the machine is very busy, or a device hangs",
        do="run it again; then: sudo dmesg | tail",
    )
