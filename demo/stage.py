"""The stage: a work folder, free ports, the ``littoral`` processes, and the end of all of them.

It knows how programs are started, watched and stopped; it does not know the story.
"""

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

BIN = Path(sys.executable).parent
# Everything may take so many times longer: what a machine needs that stalls for seconds.
PATIENCE = float(os.environ.get("PATIENCE", "1"))


class UnmetError(Exception):
    """A step did not hold: what it expected, what it found, and where to look."""

    def __init__(self, expected: str, found: object, *, log: Path | None = None) -> None:
        super().__init__(f"expected {expected}; found {found}")
        self.expected, self.found, self.log = expected, found, log


def expect(held: bool, expected: str, found: object) -> None:  # noqa: FBT001
    """Raise UnmetError if ``held`` is false."""
    if not held:
        raise UnmetError(expected, found)


def wait_for(
    expected: str, probe: Callable[[], T | None], *, within_s: float, of: "Process | None" = None
) -> T:
    """Return the first answer of ``probe`` that is not None, while the process ``of`` runs.

    Raises:
        UnmetError: There was none in time; tells the last thing that the probe raised.

    """
    until, trouble = time.monotonic() + within_s * PATIENCE, "nothing"
    log = of.log if of else None
    while True:
        try:
            if (found := probe()) is not None:
                return found
        except (UnmetError, OSError) as e:
            trouble = str(e)
        if of and not of.alive:
            raise UnmetError(expected, f"that {of.name} ended with {of.popen.poll()}", log=log)
        if time.monotonic() > until:
            raise UnmetError(f"{expected} within {within_s:g} s", trouble, log=log)
        time.sleep(0.1)


def free_port() -> int:
    """Return a port to listen on soon: none that the kernel gives to a connection meanwhile."""
    while True:
        port = secrets.randbelow(22_000) + 10_000
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


@dataclass(slots=True)
class Process:
    """A program in the background, in a process group of its own, and its log."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def end(self, how: signal.Signals = signal.SIGTERM, *, patience_s: float = 10) -> int:
        """Send ``how`` to the whole group; what is left after ``patience_s`` is killed."""
        _signal_group(self.popen.pid, how)
        try:
            return self.popen.wait(patience_s)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            _signal_group(self.popen.pid, signal.SIGKILL)
            self.popen.wait()


@dataclass(slots=True)
class Stage:
    """Runs ``littoral`` in the work folder, and ends what it started."""

    work: Path
    processes: dict[str, Process] = field(default_factory=dict)

    def __enter__(self) -> Self:
        (self.work / "logs").mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.processes)):
            self.stop(name)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",
            "LITTORAL_FLEET": str(self.work / "fleet.json"),
            "NO_COLOR": "1",
        }

    def run(self, *command: str | Path, within_s: float = 180) -> str:
        """Return what ``command`` prints. Raises UnmetError if it fails."""
        words = [str(word) for word in command]
        log = self.work / "logs" / "commands.log"
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                timeout=within_s * PATIENCE,
                check=False,
                env=self.environment,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as e:
            raise UnmetError(f"{_said(words)} to end within {within_s:g} s", "it runs") from e
        with log.open("a") as told:
            told.write(f"$ {_said(words)}\n{done.stderr}[{done.returncode}]\n")
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
            raise UnmetError(f"{_said(words)} to exit 0", f"{done.returncode}: {last}", log=log)
        return done.stdout

    def littoral(self, *args: str | Path, within_s: float = 180) -> Any:  # noqa: ANN401
        """Run ``littoral ARGS --json`` and return what it answers."""
        answer = self.run(BIN / "littoral", *args, "--json", within_s=within_s)
        try:
            return json.loads(answer)
        except ValueError as e:
            raise UnmetError(f"one JSON object of littoral {args[0]}", answer[:200]) from e

    def start(self, name: str, *command: str | Path) -> Process:
        """Start ``command`` in the background; its output goes into logs/NAME.log."""
        log = self.work / "logs" / f"{name}.log"
        with log.open("ab") as out:
            popen = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self.processes[name] = Process(name, popen, log)
        return self.processes[name]

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM) -> int:
        """End NAME and all that it started; return its exit status."""
        return self.processes.pop(name).end(how)


def _signal_group(pid: int, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, how)


def _said(words: list[str]) -> str:
    """Return the command as a log may have it: without what only its reader should know."""
    secret = {i + 1 for i, word in enumerate(words) if word in ("--token", "--code", "--password")}
    shown = ["…" if i in secret else word for i, word in enumerate(words)]
    return " ".join([Path(words[0]).name, *shown[1:]])
